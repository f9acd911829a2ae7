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
    /// All that a stream has from a sequence on and stores later, or all that it stores from now on:
    /// nothing that is stored after this returned is missed.
    pub(super) async fn tail(&self, stream: &str, from: Option<u64>) -> Result<Tail, SendError> {
        let opened = match self {
            Outbound::Nats(nats) => {
                let opened = nats.tail(stream, from).await;
                opened.map(|tail| Tail::Nats(Box::new(tail))).map_err(text)
            }
            Outbound::Embedded(bus) => bus.tail(stream, from).map(Tail::Embedded).map_err(text),
        };
        opened
            .map_err(|reason| SendError::Other(format!("cannot read stream `{stream}`: {reason}")))
    }

    /// The sequence of what a stream stored last; 0 if that is nothing.
    pub(super) async fn last_sequence(&self, stream: &str) -> Result<u64, SendError> {
        let last = match self {
            Outbound::Nats(nats) => nats.last_sequence(stream).await.map_err(text),
            Outbound::Embedded(bus) => bus.last_sequence(stream).map_err(text),
        };
        last.map_err(|reason| SendError::Other(format!("cannot read stream `{stream}`: {reason}")))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: impl ToString) -> String {
    error.to_string()
}

impl Tail {
    /// The sequence before the next one.
    pub(super) fn position(&self) -> u64 {
        match self {
            Tail::Nats(tail) => tail.position(),
            Tail::Embedded(tail) => tail.position(),
        }
    }

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
