//! What the client's callbacks tell of a connection, on its way to the log and to who keeps it. Must
//! not know what is done about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::{Event, ServerError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::connect::Connector;
use super::fence::Fences;
use crate::shutdown::Shutdown;

/// What the client's callbacks tell.
#[derive(Debug)]
pub(super) struct Told {
    purpose: &'static str,
    /// To look at the connection now.
    look: Arc<Notify>,
    /// The client has ended by itself.
    ended: CancellationToken,
    /// It was connected once: attempts are the client's own from then on.
    pub(super) up: AtomicBool,
    fences: Arc<Fences>,
    shutdown: Shutdown,
}

/// The client's tasks hold it as long as they live. One that ends before the host does has panicked
/// (at headers that it cannot read: nats.rs#1612), still calls itself connected, and never comes back.
impl Drop for Told {
    fn drop(&mut self) {
        if self.up.load(Ordering::Relaxed) && !self.shutdown.has_begun() {
            let purpose = self.purpose;
            error!(
                purpose,
                "the NATS client has ended by itself, as it does at headers that it cannot read: connecting anew"
            );
            self.ended.cancel();
            self.look.notify_one();
        }
    }
}

impl Told {
    /// Of a client that is not up yet, and cancels `ended` when it ends by itself.
    pub(super) fn new(connector: &Connector, ended: CancellationToken) -> Told {
        Told {
            purpose: connector.purpose,
            look: connector.look.clone(),
            ended,
            up: AtomicBool::new(false),
            fences: connector.fences.clone(),
            shutdown: connector.shutdown.clone(),
        }
    }

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
        self.look.notify_one();
    }
}
