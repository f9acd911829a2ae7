//! Reading along in a stream, whichever transport it is on. Only chooses between the two.

use super::{Outbound, SendError};
use crate::embedded::BusTail;
use crate::envelope::Message;
use crate::nats;

/// A reader with its own place in a stream: in order, without acknowledgements.
#[derive(Debug)]
pub(super) enum Tail {
    Nats(Box<nats::Tail>),
    Embedded(BusTail),
}

impl Outbound {
    /// All that a stream stores from now on: nothing that is stored after this returned is missed.
    pub(super) async fn tail(&self, stream: &str) -> Result<Tail, SendError> {
        let opened = match self {
            Outbound::Nats(nats) => match nats.tail(stream).await {
                Ok(tail) => Ok(Tail::Nats(Box::new(tail))),
                Err(error) => Err(error.to_string()),
            },
            Outbound::Embedded(bus) => match bus.tail(stream) {
                Ok(tail) => Ok(Tail::Embedded(tail)),
                Err(error) => Err(error.to_string()),
            },
        };
        opened
            .map_err(|reason| SendError::Other(format!("cannot read stream `{stream}`: {reason}")))
    }
}

impl Tail {
    /// The next message and its sequence. Cancel safe.
    pub(super) async fn next(&mut self) -> (u64, Message) {
        match self {
            Tail::Nats(tail) => tail.next().await,
            Tail::Embedded(tail) => {
                let stored = tail.next().await;
                (stored.seq, stored.message.clone())
            }
        }
    }

    /// Leaves nothing behind on a server.
    pub(super) async fn close(self) {
        match self {
            Tail::Nats(tail) => tail.close().await,
            Tail::Embedded(_) => {}
        }
    }
}
