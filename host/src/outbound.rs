//! Where messages go out: publish an event, ask a query, store a dead letter, watch for events that
//! others publish. Must not know plugins.

mod tail;
pub mod watch;

use std::time::Duration;

use thiserror::Error;

use crate::config::EventsConfig;
use crate::embedded::{Bus, BusError, Retention, StreamLimits};
use crate::envelope::{CloudEvent, Message};
use crate::nats::{Nats, NatsError, StreamFlaw};
use crate::subject::SubjectPattern;

/// Where a host sends to.
#[derive(Debug, Clone)]
pub enum Outbound {
    /// A server.
    Nats(Nats),
    /// The bus inside this process.
    Embedded(Bus),
}

/// What a stream said of a message it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The stream that has it.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// The stream had it already: nothing was stored.
    pub duplicate: bool,
}

/// Why a message did not go out, or brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// Nobody listens on the subject.
    #[error("nobody answers on `{subject}`")]
    NoResponders {
        /// Where it went.
        subject: String,
    },
    /// Somebody may have got it; no answer came in time.
    #[error("no answer on `{subject}` in time")]
    TimedOut {
        /// Where it went.
        subject: String,
    },
    /// Refused before it ran: safe to repeat.
    #[error("those who answer on `{subject}` are busy")]
    Busy {
        /// Where it went.
        subject: String,
    },
    /// More than the server's max payload.
    #[error(
        "message has {size} bytes, more than the {max} that the server takes: send a reference (dataref)"
    )]
    TooLarge {
        /// Headers and body, in bytes.
        size: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// More than the stream takes that its subject belongs to.
    #[error("{0}")]
    TooLargeForStream(String),
    /// No message that could go out, such as a header that cannot be sent.
    #[error("{0}")]
    Invalid(String),
    /// An event of a type that no stream takes.
    #[error("no stream takes `{subject}`")]
    NoStream {
        /// Where it went.
        subject: String,
    },
    /// Anything else, and nothing that is wrong with the message: it may pass, or somebody mends it.
    /// The text is that of NATS or of the bus.
    #[error("{0}")]
    Other(String),
}

impl SendError {
    /// Whether the same message may go out another time.
    pub fn may_pass(&self) -> bool {
        match self {
            SendError::NoStream { .. }
            | SendError::TooLarge { .. }
            | SendError::TooLargeForStream(_)
            | SendError::Invalid(_) => false,
            SendError::NoResponders { .. }
            | SendError::TimedOut { .. }
            | SendError::Busy { .. }
            | SendError::Other(_) => true,
        }
    }
}

impl Outbound {
    /// The largest message, in bytes, headers included.
    pub fn max_payload(&self) -> usize {
        match self {
            Outbound::Nats(nats) => nats.max_payload(),
            Outbound::Embedded(bus) => bus.max_payload(),
        }
    }

    /// An envelope as the server takes it.
    ///
    /// # Errors
    /// It is too large, or cannot be written.
    pub fn written(&self, event: &CloudEvent) -> Result<Message, SendError> {
        let message = event.to_structured();
        let message = message.map_err(|flaw| SendError::Invalid(flaw.to_string()))?;
        self.fits(&message, 0)?;
        Ok(message)
    }

    /// Whether the server takes a message with `room` bytes more; how large it is without them.
    ///
    /// # Errors
    /// `TooLarge`, without them too.
    pub fn fits(&self, message: &Message, room: usize) -> Result<usize, SendError> {
        let (size, max) = (message.wire_size(), self.max_payload());
        if size + room > max {
            return Err(SendError::TooLarge { size, max });
        }
        Ok(size)
    }

    /// The largest message that a stream takes, in bytes, headers included.
    ///
    /// # Errors
    /// [`SendError`], if the server did not say.
    pub(crate) async fn largest_in(&self, stream: &str) -> Result<usize, SendError> {
        match self {
            Outbound::Nats(nats) => Ok(nats.largest_in(stream).await?),
            Outbound::Embedded(bus) => Ok(bus.max_payload()),
        }
    }

    /// Asks and waits for one answer.
    ///
    /// # Errors
    /// [`SendError`], `NoResponders` at once.
    pub async fn request(
        &self,
        subject: &str,
        message: Message,
        timeout: Duration,
    ) -> Result<Message, SendError> {
        match self {
            Outbound::Nats(nats) => Ok(nats.request(subject, message, timeout).await?),
            Outbound::Embedded(bus) => Ok(bus.request(subject, message, timeout).await?),
        }
    }

    /// Stores an event and waits for the stream's word. A `Nats-Msg-Id` header makes it
    /// idempotent within the stream's window.
    ///
    /// # Errors
    /// [`SendError`]
    pub async fn publish_event(
        &self,
        subject: &str,
        message: Message,
    ) -> Result<Stored, SendError> {
        match self {
            Outbound::Nats(nats) => {
                let stored = nats.store_event(subject, message).await;
                let stored = stored.map_err(not_stored)?;
                Ok(Stored {
                    stream: stored.stream,
                    sequence: stored.sequence,
                    duplicate: stored.duplicate,
                })
            }
            Outbound::Embedded(bus) => {
                let stored = bus.publish(subject, message, None).await?;
                Ok(Stored {
                    stream: stored.stream,
                    sequence: stored.seq,
                    duplicate: stored.duplicate,
                })
            }
        }
    }

    /// Stores a message unless it is at its subject already: one with the same value of the header
    /// `fact`.
    ///
    /// # Errors
    /// [`SendError`], also if another message is there.
    pub async fn store_once(
        &self,
        stream: &str,
        subject: &str,
        message: Message,
        fact: &str,
    ) -> Result<(), SendError> {
        match self {
            Outbound::Nats(nats) => {
                let stored = nats.store_once(stream, subject, message, fact).await;
                stored.map_err(not_stored)
            }
            Outbound::Embedded(bus) => match bus.publish(subject, message, Some(0)).await {
                // Its streams all end with the process: what is there is this one.
                Ok(_) | Err(BusError::WrongLastSequence { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Sees to it that the event stream and the dead-letter stream are there and fit.
    ///
    /// # Errors
    /// [`StreamFlaw`], with the command that mends it.
    pub async fn ensure_streams(&self, events: &EventsConfig) -> Result<(), StreamFlaw> {
        match self {
            Outbound::Nats(nats) => nats.ensure_streams(events).await,
            Outbound::Embedded(bus) => {
                create_embedded_streams(bus, events).map_err(|error| StreamFlaw::NotCreated {
                    stream: events.stream.clone(),
                    reason: error.to_string(),
                })
            }
        }
    }

    /// The streams that take some subject of a pattern.
    ///
    /// # Errors
    /// [`SendError`], if the server did not say.
    pub async fn streams_taking(&self, pattern: &SubjectPattern) -> Result<Vec<String>, SendError> {
        match self {
            Outbound::Nats(nats) => Ok(nats.streams_taking(pattern).await?),
            Outbound::Embedded(bus) => Ok(bus.stream_overlapping(pattern).into_iter().collect()),
        }
    }
}

/// The event stream and its dead-letter stream on a bus, unless it has them.
pub(crate) fn create_embedded_streams(bus: &Bus, events: &EventsConfig) -> Result<(), BusError> {
    bus.create_stream(&events.stream, &events.subjects)?;
    let [letters, again] = events.dead_letter_subjects();
    let subjects = [letters.parse()?, again.parse()?];
    let limits = StreamLimits {
        retention: Retention::DiscardNew,
        ..StreamLimits::default()
    };
    bus.create_stream_with(&events.dead_letter_stream(), &subjects, limits)
}

/// Nobody answers a publish where no stream takes its subject.
fn not_stored(error: NatsError) -> SendError {
    match error {
        NatsError::NoResponders { subject } => SendError::NoStream { subject },
        other => other.into(),
    }
}

impl From<NatsError> for SendError {
    fn from(error: NatsError) -> SendError {
        match error {
            NatsError::NoResponders { subject } => SendError::NoResponders { subject },
            NatsError::TimedOut { subject, .. } => SendError::TimedOut { subject },
            NatsError::TooLarge { size, max } => SendError::TooLarge { size, max },
            NatsError::TooLargeForStream { .. } => SendError::TooLargeForStream(error.to_string()),
            NatsError::Header { .. } => SendError::Invalid(error.to_string()),
            other => SendError::Other(other.to_string()),
        }
    }
}

impl From<BusError> for SendError {
    fn from(error: BusError) -> SendError {
        match error {
            BusError::NoResponders { subject } => SendError::NoResponders { subject },
            BusError::TimedOut { subject, .. } => SendError::TimedOut { subject },
            BusError::Overflow { subject } => SendError::Busy { subject },
            BusError::TooLarge { size, max } => SendError::TooLarge { size, max },
            BusError::NoStream { subject } => SendError::NoStream { subject },
            BusError::Subject(_) => SendError::Invalid(error.to_string()),
            other => SendError::Other(other.to_string()),
        }
    }
}
