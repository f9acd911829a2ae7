//! A double of the host, so that handlers are tested with `cargo test`, without wasm and without a
//! server. Not there in a wasm build.
//!
//! A [`Host`] runs one handler as a real host would: reads its argument, calls it, collects what it
//! asked for. What the handler emitted counts only if it succeeded.
//!
//! ```
//! use conche_guest::testing::{Host, Incoming, json};
//! use conche_guest::{Draft, Fault, call, config, emit};
//!
//! fn order(item: String) -> Result<String, Fault> {
//!     let shop = config::get("shop").ok_or_else(|| Fault::internal("no shop"))?;
//!     emit(Draft::new("org.cyverse.events.Ordered").json(&item)?)?;
//!     Ok(format!("{item} from {shop}"))
//! }
//!
//! let mut host = Host::new();
//! let query = Incoming::new("cyverse.shop.Order").json("tea");
//! let failed = host.query(order, query.clone());
//! assert_eq!(failed.fault().message, "no shop");
//!
//! host.config("shop", "Ada's");
//! let outcome = host.query(order, query);
//! assert_eq!(outcome.reply::<String>(), "tea from Ada's");
//! assert_eq!(outcome.effects.emitted[0].parse(), Ok(json!("tea")));
//! ```
//!
//! What it asks of others is answered by what the test says:
//!
//! ```
//! # use conche_guest::testing::{Host, Incoming, json};
//! # use conche_guest::{Draft, EventError, SendError, request};
//! fn welcome(user: u32) -> Result<(), EventError> {
//!     let name: String = request(Draft::new("cyverse.users.Name").json(&user)?, None)?.parse()?;
//!     assert_eq!(name, "Ada");
//!     Ok(())
//! }
//!
//! let mut host = Host::new();
//! let event = Incoming::new("org.cyverse.events.Joined").json(&7);
//! host.answer("cyverse.users.Name", "Ada");
//! let outcome = host.event(welcome, event.clone());
//! assert_eq!(outcome.result, Ok(()));
//! assert_eq!(outcome.requests[0].parse(), Ok(json!(7)));
//!
//! host.fail("cyverse.users.Name", SendError::Busy);
//! assert_eq!(host.event(welcome, event).result, Err(EventError::retry("busy")));
//! ```
//!
//! [`Plugin`] runs the whole table of `plugin!`, so that a test sees which handler takes what.
//!
//! # What is not doubled
//!
//! Everything is granted and no budget ends: [`Host::fail`] says otherwise. Nothing waits, so a
//! time-out is one that the test asks for; a panic fails the test; envelopes are not checked against
//! the CloudEvents specification. Ids look like a host's and are as stable, but are not the same.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::bindings::wire::Matched;
use crate::errors::{EventError, Fault, SendError};
use crate::handler::{self, Answer, FromEvent, FromQuery, IntoAnswer};
use crate::message::{CloudEvent, Payload, Reply};
use crate::registration::Registration;

mod ids;
pub(crate) mod imports;
mod incoming;
mod outcome;
mod plugin;
mod registrations;
mod running;
mod sending;

pub use incoming::Incoming;
pub use outcome::{
    AddedListener, Effects, EventOutcome, ListenerChange, LogLine, Outcome, QueryOutcome,
};
pub use plugin::Plugin;
pub use registrations::Registrations;
/// For data and answers: with it a plugin's tests need no dependency of their own.
pub use serde_json::{Value, json};

use running::Call;

/// What a call has left, unless the test says so: as long as a host gives by default.
const REMAINING: Duration = Duration::from_secs(5);

type Answering = Box<dyn FnMut(&CloudEvent) -> Result<Reply, SendError>>;

/// A host for one handler at a time, on the test's own thread.
pub struct Host {
    config: BTreeMap<String, String>,
    attempt: u32,
    hops: u32,
    remaining: Duration,
    answers: BTreeMap<String, Answering>,
    failures: BTreeMap<String, SendError>,
    /// Listeners added so far, and messages sent: for their ids.
    listeners: u32,
    sent: u32,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            config: BTreeMap::new(),
            attempt: 1,
            hops: 0,
            remaining: REMAINING,
            answers: BTreeMap::new(),
            failures: BTreeMap::new(),
            listeners: 0,
            sent: 0,
        }
    }
}

/// What the test says.
impl Host {
    /// A host without configuration, where nobody answers, at the first attempt.
    pub fn new() -> Self {
        Self::default()
    }

    /// A value of the policy's `[config]`.
    pub fn config(&mut self, key: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.config.insert(key.into(), value.into());
        self
    }

    /// How often the next events have been delivered, this time included. Always 1 for a query.
    pub fn attempt(&mut self, attempt: u32) -> &mut Self {
        self.attempt = attempt;
        self
    }

    /// What `call::hops` answers.
    pub fn hops(&mut self, hops: u32) -> &mut Self {
        self.hops = hops;
        self
    }

    /// What `call::remaining` answers; it does not run down.
    pub fn remaining(&mut self, remaining: Duration) -> &mut Self {
        self.remaining = remaining;
        self
    }

    /// Answers every request of an op with a value as JSON.
    ///
    /// # Panics
    /// For what JSON cannot express.
    #[track_caller]
    pub fn answer<T: Serialize + ?Sized>(&mut self, op: impl Into<String>, value: &T) -> &mut Self {
        let reply = json_reply(value);
        self.answer_with(op, move |_| Ok(reply.clone()))
    }

    /// Answers every exchange that sends one type with an event of another. An exchange that does not
    /// wait for that type times out.
    ///
    /// # Panics
    /// For what JSON cannot express.
    #[track_caller]
    pub fn answer_exchange<T: Serialize + ?Sized>(
        &mut self,
        sent: impl Into<String>,
        answer_type: impl Into<String>,
        value: &T,
    ) -> &mut Self {
        let reply = Reply {
            type_: Some(answer_type.into()),
            ..json_reply(value)
        };
        self.answer_with(sent, move |_| Ok(reply.clone()))
    }

    /// Answers requests of an op, or exchanges that send a type, with what this function says; a
    /// fault of the other side is `Err(SendError::Remote(fault))`. The answer may well come from
    /// another handler, which another `Host` runs.
    pub fn answer_with(
        &mut self,
        type_: impl Into<String>,
        answer: impl FnMut(&CloudEvent) -> Result<Reply, SendError> + 'static,
    ) -> &mut Self {
        let type_ = type_.into();
        self.failures.remove(&type_);
        self.answers.insert(type_, Box::new(answer));
        self
    }

    /// Lets everything of a type fail before it is sent: to emit it, to ask it, to exchange it, to
    /// listen to it.
    pub fn fail(&mut self, type_: impl Into<String>, error: SendError) -> &mut Self {
        self.failures.insert(type_.into(), error);
        self
    }
}

/// What the host does.
impl Host {
    /// Runs a query handler: anything that `plugin!` takes after `query "op" =>`.
    ///
    /// # Panics
    /// With the handler's own panic, for which a host would answer a fault 500.
    pub fn query<H, A, R, E>(&mut self, handler: H, query: impl Into<Incoming>) -> QueryOutcome
    where
        H: FnOnce(A) -> Result<R, E>,
        A: FromQuery,
        R: IntoAnswer,
        E: Into<Fault>,
    {
        let mut call = self.call(query.into(), name_of::<H>());
        // Queries are not delivered again.
        call.attempt = 1;
        let (matched, envelope) = (call.matched.clone(), call.cause.clone());
        let run = || handler::query(handler, matched, envelope);
        answer(running::call(self, call, run))
    }

    /// Runs an event handler: anything that `plugin!` takes after `event "type" =>`.
    ///
    /// # Panics
    /// With the handler's own panic, after which a host would deliver the event again.
    pub fn event<H, A, E>(&mut self, handler: H, event: impl Into<Incoming>) -> EventOutcome
    where
        H: FnOnce(A) -> Result<(), E>,
        A: FromEvent,
        E: Into<EventError>,
    {
        let call = self.call(event.into(), name_of::<H>());
        let (matched, envelope) = (call.matched.clone(), call.cause.clone());
        let run = || handler::event(handler, matched, envelope);
        running::call(self, call, run)
    }

    /// Runs a `register` function; answers what it declared.
    ///
    /// # Errors
    /// What a host refuses the plugin for: the function's error, or something registered twice.
    pub fn register<E: fmt::Display>(
        &mut self,
        register: impl FnOnce(&mut Registration) -> Result<(), E>,
    ) -> Result<Registrations, String> {
        self.registered(|| register(&mut Registration::new()).map_err(|error| error.to_string()))
    }

    fn registered(
        &mut self,
        register: impl FnOnce() -> Result<(), String>,
    ) -> Result<Registrations, String> {
        let (result, mut registrations) = running::register(self, register);
        result?;
        match registrations.flaw.take() {
            Some(flaw) => Err(flaw),
            None => Ok(registrations),
        }
    }

    fn call(&self, incoming: Incoming, registered: &str) -> Call {
        let Incoming {
            envelope,
            handler,
            listener,
        } = incoming;
        let (listener, state) = listener.unzip();
        let matched = Matched {
            handler: handler.unwrap_or_else(|| registered.to_owned()),
            listener,
            state,
        };
        Call::new(envelope, matched, self.attempt)
    }

    fn fails(&self, type_: &str) -> Result<(), SendError> {
        self.failures.get(type_).cloned().map_or(Ok(()), Err)
    }

    fn next_id(&mut self) -> String {
        self.sent += 1;
        format!("cloudevent-sent-{}", self.sent)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("config", &self.config)
            .field("attempt", &self.attempt)
            .field("hops", &self.hops)
            .field("remaining", &self.remaining)
            .field("answers", &self.answers.keys())
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

#[track_caller]
fn json_reply<T: Serialize + ?Sized>(value: &T) -> Reply {
    match Payload::json(value) {
        Ok(data) => Reply {
            datacontenttype: Some("application/json".to_owned()),
            data: Some(data),
            ..Reply::empty()
        },
        Err(error) => panic!("this value cannot be written as JSON: {error}"),
    }
}

fn answer(outcome: Outcome<Option<Reply>, Fault>) -> QueryOutcome {
    Outcome {
        result: outcome
            .result
            .map(|reply| reply.map_or(Answer::Silence, Answer::Reply)),
        effects: outcome.effects,
        discarded: outcome.discarded,
        requests: outcome.requests,
        exchanges: outcome.exchanges,
        log: outcome.log,
    }
}

/// The name of a function, as `plugin!` would register it.
fn name_of<H>() -> &'static str {
    let path = std::any::type_name::<H>();
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests;
