//! Handlers in plain Rust: typed ones made into ones that take a whole event. Must not know where
//! messages come from.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::envelope::{CloudEvent, Fault, Payload};

/// What a data-only handler is told beside the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Query op or event type.
    pub ty: String,
    /// Of the event.
    pub id: String,
    /// Who sent it.
    pub source: String,
    /// To be passed on to whatever follows from it.
    pub transaction_id: Option<String>,
    /// 1 at first; always 1 for a query.
    pub attempt: u32,
}

/// The answer of a handler that takes whole events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An event. What it lacks of id, source, time and type is put in, as is the query's transaction
    /// id.
    Event(Box<CloudEvent>),
    /// Any bytes, as they are.
    Raw(Bytes),
    /// No answer: the asker waits until its time is over.
    Silence,
}

/// An event and which delivery of it this is.
pub(super) struct Incoming {
    pub(super) event: CloudEvent,
    pub(super) attempt: u32,
    pub(super) transaction_id: Option<String>,
}

/// A handler of queries.
#[derive(Clone)]
pub(super) struct OnQuery(Arc<Boxed<Reply>>);

/// A handler of events.
#[derive(Clone)]
pub(super) struct OnEvent(Arc<Boxed<()>>);

type Boxed<T> = dyn Fn(Incoming) -> BoxFuture<'static, Result<T, Fault>> + Send + Sync;

impl OnQuery {
    pub(super) fn data<D, R, F, Fut>(handler: F) -> OnQuery
    where
        D: DeserializeOwned,
        R: Serialize,
        F: Fn(Call, D) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
    {
        OnQuery(Arc::new(move |incoming| {
            let running = incoming.read().map(|(call, data)| handler(call, data));
            async move { reply(running?.await?) }.boxed()
        }))
    }

    pub(super) fn whole<F, Fut>(handler: F) -> OnQuery
    where
        F: Fn(CloudEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply, Fault>> + Send + 'static,
    {
        OnQuery(Arc::new(move |incoming| handler(incoming.event).boxed()))
    }

    /// A handler that panics has failed.
    pub(super) async fn run(&self, incoming: Incoming) -> Result<Reply, Fault> {
        caught(&*self.0, incoming).await
    }
}

impl OnEvent {
    pub(super) fn data<D, F, Fut>(handler: F) -> OnEvent
    where
        D: DeserializeOwned,
        F: Fn(Call, D) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        OnEvent(Arc::new(move |incoming| {
            let running = incoming.read().map(|(call, data)| handler(call, data));
            async move { running?.await }.boxed()
        }))
    }

    pub(super) fn whole<F, Fut>(handler: F) -> OnEvent
    where
        F: Fn(CloudEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        OnEvent(Arc::new(move |incoming| handler(incoming.event).boxed()))
    }

    /// A handler that panics has failed.
    pub(super) async fn run(&self, incoming: Incoming) -> Result<(), Fault> {
        caught(&*self.0, incoming).await
    }
}

impl Incoming {
    fn read<D: DeserializeOwned>(self) -> Result<(Call, D), Fault> {
        let Incoming {
            event,
            attempt,
            transaction_id,
        } = self;
        let data = event
            .data_as()
            .map_err(|error| Fault::new(400, format!("the data does not fit: {error}")))?;
        let call = Call {
            ty: event.ty,
            id: event.id,
            source: event.source,
            transaction_id,
            attempt,
        };
        Ok((call, data))
    }
}

async fn caught<T>(handler: &Boxed<T>, incoming: Incoming) -> Result<T, Fault> {
    let running = AssertUnwindSafe(async { handler(incoming).await });
    let ended = running.catch_unwind().await;
    ended.unwrap_or_else(|_| Err(Fault::new(500, "the handler panicked")))
}

fn reply<R: Serialize>(data: R) -> Result<Reply, Fault> {
    match serde_json::to_string(&data) {
        Ok(json) => Ok(Reply::Event(Box::new(CloudEvent {
            data: Some(Payload::Json(json)),
            ..CloudEvent::default()
        }))),
        Err(error) => Err(Fault::new(500, format!("the answer is no JSON: {error}"))),
    }
}

impl fmt::Debug for OnQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnQuery")
    }
}

impl fmt::Debug for OnEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnEvent")
    }
}
