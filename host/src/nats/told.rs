//! What the client's callbacks tell of a connection, on its way to the log and to who keeps it. Must
//! not know what is done about it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_nats::{Event, ServerError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::fence::Fences;

/// What the client's callbacks tell.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) purpose: &'static str,
    pub(super) events: watch::Sender<u64>,
    pub(super) gave_up: CancellationToken,
    /// It was connected once: attempts are the client's own from then on.
    pub(super) up: AtomicBool,
    pub(super) fences: Arc<Fences>,
}

impl Told {
    /// Called by the client, one event at a time; must not wait.
    pub(super) fn hear(&self, event: &Event) {
        let purpose = self.purpose;
        match event {
            Event::Disconnected => warn!(purpose, "lost the connection to NATS: trying again"),
            Event::ServerError(ServerError::Other(text)) if text.contains("ermissions") => {
                if self.fences.denied(text) {
                    debug!(
                        purpose,
                        reason = text,
                        "a round trip to an inbox that is denied"
                    );
                    return;
                }
                error!(
                    purpose,
                    reason = text,
                    "the server denies it: nothing comes or goes there; allow it in the user's permissions"
                );
            }
            Event::ServerError(text) => error!(purpose, reason = %text, "NATS server error"),
            Event::SlowConsumer(subscription) => {
                error!(
                    purpose,
                    subscription, "messages were dropped: the process did not keep up"
                );
            }
            Event::LameDuckMode => info!(purpose, "the server is about to shut down"),
            Event::ClientError(text) => warn!(purpose, reason = %text, "NATS client error"),
            Event::Connected | Event::Draining | Event::Closed => debug!(purpose, %event, "NATS"),
        }
        self.events.send_modify(|count| *count += 1);
    }
}
