//! Releasing effects: the one place that changes listeners as handlers asked, and publishes what they
//! emitted, with what caused it in the headers. Must not know which transport a cause came from.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::Dispatcher;
use crate::envelope::{Headers, Message, headers};
use crate::outbound::SendError;
use crate::plugin::Plugin;
use crate::sandbox::{Effects, Emitted};

/// What caused a call, as far as it is told to whoever gets the effects.
#[derive(Debug, Clone, Copy)]
pub enum Cause<'a> {
    /// A query.
    Query {
        /// What came with it.
        travel: Travel,
    },
    /// A delivery of an event.
    Event {
        /// The stream it is from.
        stream: &'a str,
        /// Its sequence there.
        sequence: u64,
        /// What came with it.
        travel: Travel,
        /// 1 at first.
        attempt: u32,
    },
}

impl<'a> Cause<'a> {
    pub(super) fn travel(self) -> Travel {
        match self {
            Cause::Query { travel } | Cause::Event { travel, .. } => travel,
        }
    }

    pub(super) fn attempt(self) -> u32 {
        match self {
            Cause::Query { .. } => 1,
            Cause::Event { attempt, .. } => attempt,
        }
    }

    /// Stream and sequence.
    pub(super) fn stored_at(self) -> Option<(&'a str, u64)> {
        match self {
            Cause::Query { .. } => None,
            Cause::Event {
                stream, sequence, ..
            } => Some((stream, sequence)),
        }
    }
}

/// Facts that travel in headers beside an envelope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Travel {
    /// Calls between the first cause and this one.
    pub hops: u32,
    /// What the asker has left.
    pub timeout: Option<Duration>,
}

impl Travel {
    /// Reads them; what is not a number is as good as absent.
    pub fn of(message: &Message) -> Travel {
        Travel::of_headers(&message.headers)
    }

    /// As [`Travel::of`].
    pub fn of_headers(headers: &Headers) -> Travel {
        let number = |name| headers.get(name)?.parse::<u32>().ok();
        Travel {
            hops: number(headers::CONCHE_HOPS).unwrap_or(0),
            timeout: number(headers::CONCHE_TIMEOUT_MS)
                .map(|ms| Duration::from_millis(u64::from(ms))),
        }
    }
}

impl Dispatcher {
    /// Changes listeners, then publishes what was emitted, in order, and waits until all is stored.
    /// The one place that does.
    ///
    /// # Errors
    /// The first that failed: no listener was changed then. Some emits may be stored, and keep
    /// their ids in a next run.
    pub async fn release(
        &self,
        plugin: &Plugin,
        effects: &Effects,
        cause: Cause<'_>,
    ) -> Result<(), SendError> {
        if effects.is_empty() {
            return Ok(());
        }
        // Boxed: most calls have none, and each would be larger by what is needed for them.
        Box::pin(self.release_some(plugin, effects, cause)).await
    }

    async fn release_some(
        &self,
        plugin: &Plugin,
        effects: &Effects,
        cause: Cause<'_>,
    ) -> Result<(), SendError> {
        let changed = self.listeners.apply(plugin, &effects.listeners).await;
        let changed = changed.map_err(|error| SendError::Other(error.to_string()))?;
        let published = self.publish(plugin, &effects.emitted, cause).await;
        if published.is_err() {
            self.listeners.undo(changed).await;
        }
        published
    }

    async fn publish(
        &self,
        plugin: &Plugin,
        emitted: &[Emitted],
        cause: Cause<'_>,
    ) -> Result<(), SendError> {
        if emitted.is_empty() {
            return Ok(());
        }
        let travel = cause.travel();
        let (name, digest) = (plugin.name().as_str(), plugin.digest());
        let cause = headers::cause(cause.stored_at(), name, digest);
        let hops = travel.hops.saturating_add(1).to_string();
        let all = emitted.iter().map(
            |Emitted {
                 id, ty, message, ..
             }| {
                let mut message = message.clone();
                message.headers.insert(headers::NATS_MSG_ID, id.clone());
                message.headers.insert(headers::CONCHE_HOPS, hops.clone());
                message.headers.insert(headers::CONCHE_CAUSE, cause.clone());
                async move {
                    let subject = self.config.event_subject(ty);
                    let subject = subject.ok_or_else(|| SendError::NoStream {
                        subject: ty.clone(),
                    })?;
                    self.outbound.publish_event(&subject, message).await
                }
            },
        );
        let released = try_join_all(all).await.map(drop);
        match &released {
            Ok(()) => plugin.metrics().effects_stored(emitted.len()),
            Err(_) => plugin.metrics().effects_not_stored(emitted.len()),
        }
        released
    }
}
