//! Releasing effects: the one place that publishes what handlers emitted, with what caused it in
//! the headers. Must not know which transport a cause came from.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::Dispatcher;
use crate::envelope::{Message, headers};
use crate::outbound::SendError;
use crate::plugin::Plugin;
use crate::sandbox::Emitted;

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

/// Facts that travel in headers beside an envelope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Travel {
    /// Queries between the first cause and this one.
    pub hops: u32,
    /// What the asker has left.
    pub timeout: Option<Duration>,
}

impl Travel {
    /// Reads them; what is not a number is as good as absent.
    pub fn of(message: &Message) -> Travel {
        let number = |name| message.headers.get(name)?.parse::<u32>().ok();
        Travel {
            hops: number(headers::CONCHE_HOPS).unwrap_or(0),
            timeout: number(headers::CONCHE_TIMEOUT_MS)
                .map(|ms| Duration::from_millis(u64::from(ms))),
        }
    }
}

impl Dispatcher {
    /// Publishes effects, in order, and waits until all are stored. The one place that does.
    ///
    /// # Errors
    /// The first that was not stored. Others may be, and keep their ids in a next run.
    pub async fn release(
        &self,
        plugin: &Plugin,
        emitted: &[Emitted],
        cause: Cause<'_>,
    ) -> Result<(), SendError> {
        if emitted.is_empty() {
            return Ok(());
        }
        let (travel, place) = match cause {
            Cause::Query { travel } => (travel, "-/-".to_owned()),
            Cause::Event {
                travel,
                stream,
                sequence,
                ..
            } => (travel, format!("{stream}/{sequence}")),
        };
        let cause = format!("{place}/{}/{}", plugin.name(), plugin.digest());
        let hops = travel.hops.saturating_add(1).to_string();
        let all = emitted.iter().map(|Emitted { id, ty, message }| {
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
        });
        let released = try_join_all(all).await.map(drop);
        match &released {
            Ok(()) => plugin.metrics().effects_stored(emitted.len()),
            Err(_) => plugin.metrics().effects_not_stored(emitted.len()),
        }
        released
    }
}
