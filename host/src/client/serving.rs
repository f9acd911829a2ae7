//! A service: queries answered and events handled in plain Rust, as a plugin would, in a process of
//! its own. Owns what is registered, its start and its end; must not know what a handler does.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::handlers::{Call, OnEvent, OnQuery, Reply};
use super::{Client, ClientError, pulling, queries};
use crate::envelope::{CloudEvent, Fault};
use crate::policy::{PluginName, Retry, Start};
use crate::shutdown::Shutdown;
use crate::source::Source;
use crate::subject::{SubjectPattern, check_literal};

/// A service before it serves: what it answers and handles.
///
/// **Queries** reach it through one queue subscription an op, in the queue group of the configuration
/// (`NATS_QUEUE_GROUP`), so that of several processes one answers. A default handler subscribes to
/// the namespace (`NATS_WILDCARD_SUBJECT`) and takes what no other handler of the service has. A
/// [`Fault`] is an error as an answer (silence under `compat.errors = "silent"`, and always from a
/// default handler); data that does not fit is 400.
///
/// **Events** come through one durable consumer, `<durable>-<name>`, which several processes share.
/// An event is acknowledged once its handler has succeeded. After a fault of 500 and above it comes
/// again, with a growing delay, as often as [`Service::retry`] says; after one below, as when its data
/// does not fit, and after the last attempt it is stored as a dead letter. A durable begins with what
/// is published after its first start, unless [`Service::events_from`] says otherwise.
///
/// A plugin of the same name takes over both, op by op and event by event: the durable is the same.
#[derive(Debug)]
pub struct Service {
    client: Client,
    name: PluginName,
    start: Start,
    retry: Retry,
    flaw: Option<String>,
    pub(super) handlers: Handlers,
}

/// Who gets what.
#[derive(Debug, Default)]
pub(super) struct Handlers {
    pub(super) queries: BTreeMap<String, OnQuery>,
    pub(super) any_query: Option<OnQuery>,
    pub(super) events: BTreeMap<String, OnEvent>,
    pub(super) any_event: Option<OnEvent>,
}

/// A service that serves, until it is stopped or its client disconnected: not until it is dropped.
#[derive(Debug)]
pub struct Serving {
    client: Client,
    tasks: Shutdown,
}

/// What the loops of a service share.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) client: Client,
    pub(super) name: PluginName,
    pub(super) start: Start,
    pub(super) retry: Retry,
    /// The `source` of its answers.
    pub(super) source: String,
    pub(super) handlers: Handlers,
    pub(super) tasks: Shutdown,
    pub(super) room: Arc<Semaphore>,
}

impl Service {
    /// A service of this name over a client's connection; it serves nothing yet.
    ///
    /// # Errors
    /// `Invalid`: a name has 1 to 64 characters of `a-z`, `0-9`, `_` and `-`.
    pub fn new(client: &Client, name: &str) -> Result<Service, ClientError> {
        let name: PluginName = name
            .parse()
            .map_err(|error| ClientError::Invalid(format!("service name: {error}")))?;
        Ok(Service {
            client: client.clone(),
            name,
            start: Start::New,
            retry: Retry::default(),
            flaw: None,
            handlers: Handlers::default(),
        })
    }

    /// Answers an op: JSON in, JSON out.
    #[must_use]
    pub fn query<D, R, F, Fut>(self, op: &str, handler: F) -> Service
    where
        D: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(Call, D) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
    {
        self.on_query(op, OnQuery::data(handler))
    }

    /// Answers an op: a whole event in, an event or any bytes out.
    #[must_use]
    pub fn query_event<F, Fut>(self, op: &str, handler: F) -> Service
    where
        F: Fn(CloudEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply, Fault>> + Send + 'static,
    {
        self.on_query(op, OnQuery::whole(handler))
    }

    /// Answers what no other handler does: JSON in, JSON out; [`Call::ty`] is the op.
    #[must_use]
    pub fn any_query<D, R, F, Fut>(mut self, handler: F) -> Service
    where
        D: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(Call, D) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
    {
        self.handlers.any_query = Some(OnQuery::data(handler));
        self
    }

    /// Answers what no other handler does: a whole event in, an event or any bytes out.
    #[must_use]
    pub fn any_query_event<F, Fut>(mut self, handler: F) -> Service
    where
        F: Fn(CloudEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply, Fault>> + Send + 'static,
    {
        self.handlers.any_query = Some(OnQuery::whole(handler));
        self
    }

    /// Handles events of these types: JSON in.
    #[must_use]
    pub fn event<D, F, Fut>(self, types: &[&str], handler: F) -> Service
    where
        D: DeserializeOwned + 'static,
        F: Fn(Call, D) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        self.on_event(types, &OnEvent::data(handler))
    }

    /// Handles events of these types: whole events in.
    #[must_use]
    pub fn event_whole<F, Fut>(self, types: &[&str], handler: F) -> Service
    where
        F: Fn(CloudEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        self.on_event(types, &OnEvent::whole(handler))
    }

    /// Handles events of all types that no other handler has: JSON in.
    #[must_use]
    pub fn any_event<D, F, Fut>(mut self, handler: F) -> Service
    where
        D: DeserializeOwned + 'static,
        F: Fn(Call, D) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        self.handlers.any_event = Some(OnEvent::data(handler));
        self
    }

    /// Handles events of all types that no other handler has: whole events in.
    #[must_use]
    pub fn any_event_whole<F, Fut>(mut self, handler: F) -> Service
    where
        F: Fn(CloudEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        self.handlers.any_event = Some(OnEvent::whole(handler));
        self
    }

    /// Where a durable consumer that does not exist yet begins: after all that is there, unless said
    /// here.
    #[must_use]
    pub fn events_from(mut self, start: Start) -> Service {
        self.start = start;
        self
    }

    /// How often an event runs that its handler fails at, and when: unless said here, ten times over
    /// some nine minutes, as for a plugin.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Service {
        self.retry = retry;
        self
    }

    /// Begins to serve. What is asked and published once this has returned is answered and handled.
    /// A stream that is missing is created, as a host does.
    ///
    /// # Errors
    /// `Invalid`: an op or a type that cannot be one, that two handlers have, or an op whose queries
    /// a stream would take. `Other`: events cannot travel, with the command that mends it.
    pub async fn start(self) -> Result<Serving, ClientError> {
        let client = &self.client.inner;
        if client.tasks.has_begun() {
            return Err(ClientError::Disconnected);
        }
        if let Some(flaw) = self.flaw {
            return Err(ClientError::Invalid(flaw));
        }
        let mut subjects = Vec::new();
        for op in self.handlers.queries.keys() {
            check_literal(op)
                .map_err(|error| ClientError::Invalid(format!("query op: {error}")))?;
            subjects.extend(op.parse::<SubjectPattern>());
        }
        if self.handlers.any_query.is_some() {
            subjects.extend(client.config.nats.namespace.iter().cloned());
        }
        for subject in &subjects {
            let takers = client.outbound.streams_taking(subject).await?;
            if let Some(stream) = takers.first() {
                return Err(ClientError::Invalid(format!(
                    "stream `{stream}` takes `{subject}`: askers would get its acknowledgement as their answer"
                )));
            }
        }
        let tasks = client.tasks.part();
        let serving = Serving {
            client: self.client.clone(),
            tasks: tasks.clone(),
        };
        let running = Arc::new(Running {
            source: client.config.source_named(self.name.as_str()),
            name: self.name,
            start: self.start,
            retry: self.retry,
            handlers: self.handlers,
            tasks,
            room: queries::room(),
            client: self.client,
        });
        let opened = running.open(&subjects).await;
        if opened.is_err() {
            // What was opened before is left again.
            serving.stop().await;
        }
        opened.map(|()| serving)
    }

    fn on_query(mut self, op: &str, handler: OnQuery) -> Service {
        if self
            .handlers
            .queries
            .insert(op.to_owned(), handler)
            .is_some()
        {
            self.flaw = Some(format!("two handlers answer `{op}`: keep one"));
        }
        self
    }

    fn on_event(mut self, types: &[&str], handler: &OnEvent) -> Service {
        for ty in types {
            let events = &mut self.handlers.events;
            if events.insert((*ty).to_owned(), handler.clone()).is_some() {
                self.flaw = Some(format!("two handlers take events of type `{ty}`: keep one"));
            }
        }
        self
    }
}

impl Serving {
    /// Ends: leaves the queue group without losing a query, and finishes what has begun. False: some
    /// were still busy when the drain time was over.
    pub async fn stop(&self) -> bool {
        let drain = self.client.inner.config.shutdown.drain;
        let drained = self.tasks.drain(drain).await;
        if let Source::Nats(nats) = &self.client.inner.transport {
            // The last answers are on their way out of this process only after a round trip.
            nats.fence().await;
        }
        drained
    }
}

impl Running {
    async fn open(self: &Arc<Self>, subjects: &[SubjectPattern]) -> Result<(), ClientError> {
        let client = &self.client.inner;
        let group = &client.config.nats.queue_group;
        for subject in subjects {
            let opened = client.transport.subscribe(subject.as_str(), group).await;
            let queries = opened.map_err(|reason| {
                ClientError::Other(format!("cannot subscribe to `{subject}`: {reason}"))
            })?;
            self.tasks.spawn(self.clone().serve(queries));
        }
        if !self.handlers.events.is_empty() || self.handlers.any_event.is_some() {
            pulling::open(self).await?;
        }
        if let Source::Nats(nats) = &client.transport
            && !nats.fence().await
        {
            return Err(nats.no_round_trip().into());
        }
        Ok(())
    }
}
