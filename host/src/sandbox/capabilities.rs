//! What a guest may ask of the host: the imports of `wit/handler.wit`. Ordinary errors are WIT
//! results; a Rust `Err` is a trap and ends the instance. Only `request` and `exchange` wait.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::bindings::conche::handler::types::{Draft, SendError};
use super::bindings::conche::handler::{
    call, config, emit, exchange, listeners, log, registration, request, types,
};
use super::state::{Phase, State, misused};
use super::{effects, exchange as exchanges, guest_log, listening, requests};
use crate::policy::Grant;
use crate::text;

type Answer = Result<request::Event, SendError>;

impl types::Host for State {}

impl registration::Host for State {
    fn on_query(&mut self, handler: String, op: String) -> wasmtime::Result<()> {
        let registering = self.registering()?;
        registering.room().map_err(misused)?;
        registering.query(handler, op);
        Ok(())
    }

    fn on_any_query(&mut self, handler: String) -> wasmtime::Result<()> {
        let registering = self.registering()?;
        registering.room().map_err(misused)?;
        registering.any_query(handler);
        Ok(())
    }

    fn on_event(&mut self, handler: String, types: Vec<String>) -> wasmtime::Result<()> {
        let registering = self.registering()?;
        let handler = handler.into();
        for ty in types {
            registering.room().map_err(misused)?;
            registering.event(&handler, ty);
        }
        Ok(())
    }

    fn on_any_event(&mut self, handler: String) -> wasmtime::Result<()> {
        let registering = self.registering()?;
        registering.room().map_err(misused)?;
        registering.any_event(handler);
        Ok(())
    }

    fn on_listener(&mut self, handler: String) -> wasmtime::Result<()> {
        let registering = self.registering()?;
        registering.room().map_err(misused)?;
        registering.listener(handler);
        Ok(())
    }

    fn reusable(&mut self) -> wasmtime::Result<()> {
        self.registering()?.reusable();
        Ok(())
    }
}

impl call::Host for State {
    fn attempt(&mut self) -> wasmtime::Result<u32> {
        Ok(self.running("call.attempt")?.facts.attempt)
    }

    fn idempotency_key(&mut self) -> wasmtime::Result<String> {
        let plugin = self.tenant.name.as_str().to_owned();
        let facts = &self.running("call.idempotency-key")?.facts;
        let mut hash = Sha256::new();
        for part in [
            &facts.event.source,
            &facts.event.id,
            plugin.as_str(),
            &*facts.handler,
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        // Two listeners may name one handler.
        if let Some(listener) = &facts.listener {
            hash.update((listener.len() as u64).to_le_bytes());
            hash.update(listener);
        }
        let digest = hash.finalize();
        Ok(digest[..16].iter().map(|b| format!("{b:02x}")).collect())
    }

    fn remaining_ms(&mut self) -> wasmtime::Result<u32> {
        let deadline = self.running("call.remaining-ms")?.facts.deadline;
        let left = deadline.saturating_duration_since(Instant::now());
        Ok(u32::try_from(left.as_millis()).unwrap_or(u32::MAX))
    }

    fn hops(&mut self) -> wasmtime::Result<u32> {
        Ok(self.running("call.hops")?.facts.hops)
    }
}

impl config::Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        if let Some(stage) = &self.tenant.stage {
            stage.looked_up(&key);
        }
        Ok(self.tenant.policy.config.get(&key).cloned())
    }

    fn keys(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.tenant.policy.config.keys().cloned().collect())
    }
}

impl log::Host for State {
    fn log(
        &mut self,
        level: log::Level,
        message: String,
        fields: Vec<log::Field>,
    ) -> wasmtime::Result<()> {
        guest_log::line(self, level, &message, &fields);
        Ok(())
    }
}

impl emit::Host for State {
    fn emit(&mut self, event: Draft) -> wasmtime::Result<Result<String, SendError>> {
        self.asks(Grant::Emit, &event.type_);
        effects::emit(self, event)
    }
}

impl request::Host for State {
    async fn request(&mut self, query: Draft, timeout_ms: Option<u32>) -> wasmtime::Result<Answer> {
        let mut answers = self.request_all(vec![query], timeout_ms).await?;
        Ok(answers
            .pop()
            .unwrap_or_else(|| Err(SendError::Other("no answer".into()))))
    }

    async fn request_all(
        &mut self,
        queries: Vec<Draft>,
        timeout_ms: Option<u32>,
    ) -> wasmtime::Result<Vec<Answer>> {
        for query in &queries {
            self.asks(Grant::Request, &query.type_);
        }
        let prepared = requests::prepare(self, queries, timeout_ms)?;
        Ok(requests::ask(prepared).await)
    }
}

impl exchange::Host for State {
    async fn exchange(
        &mut self,
        event: Draft,
        answer_types: Vec<String>,
        timeout_ms: Option<u32>,
    ) -> wasmtime::Result<Answer> {
        self.asks(Grant::Exchange, &event.type_);
        for ty in &answer_types {
            self.asks(Grant::Exchange, ty);
        }
        match exchanges::prepare(self, event, answer_types, timeout_ms)? {
            Ok(prepared) => Ok(exchanges::ask(prepared).await),
            Err(refusal) => Ok(Err(refusal)),
        }
    }
}

impl listeners::Host for State {
    fn add(
        &mut self,
        listener: listeners::Listener,
    ) -> wasmtime::Result<Result<String, SendError>> {
        for ty in &listener.types {
            self.asks(Grant::Listen, ty);
        }
        listening::add(self, listener)
    }

    fn remove(&mut self, id: String) -> wasmtime::Result<Result<(), SendError>> {
        listening::remove(self, id)
    }
}

impl State {
    /// Where a log line belongs: the event's id, or that it is registration.
    pub(super) fn place(&self) -> Cow<'_, str> {
        match &self.phase {
            Phase::Calling(running) => text::name(&running.facts.event.id),
            Phase::Registering(_) => Cow::Borrowed("register"),
            Phase::Idle => Cow::Borrowed("-"),
        }
    }
}
