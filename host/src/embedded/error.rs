//! Why the bus refuses. Must not know how it works.

use std::time::Duration;

use crate::subject::SubjectError;

/// Why the bus did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// Nobody subscribes to the subject.
    #[error("nobody answers on `{subject}`")]
    NoResponders {
        /// Where the request went.
        subject: String,
    },
    /// Somebody got the request, and did not answer in time.
    #[error("no answer on `{subject}` within {waited:?}")]
    TimedOut {
        /// Where the request went.
        subject: String,
        /// How long the asker waited.
        waited: Duration,
    },
    /// Everybody who might have answered has a full buffer. Nobody got it: safe to repeat.
    #[error("everybody who answers on `{subject}` has a full buffer")]
    Overflow {
        /// Where the message went.
        subject: String,
    },
    /// Headers and body exceed [`BusConfig::max_payload`](super::BusConfig::max_payload).
    #[error("message has {size} bytes, more than the {max} that the bus takes")]
    TooLarge {
        /// Headers and body, in bytes.
        size: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// A request to a subject whose messages are stored, not answered.
    #[error("`{subject}` belongs to stream `{stream}`, which stores and does not answer")]
    TakenByStream {
        /// Where the request went.
        subject: String,
        /// Who takes it.
        stream: String,
    },
    /// A publish to a subject that no stream takes.
    #[error("no stream takes `{subject}`")]
    NoStream {
        /// Where the message went.
        subject: String,
    },
    /// No stream of that name.
    #[error("no stream is called `{stream}`")]
    UnknownStream {
        /// The name asked for.
        stream: String,
    },
    /// A stream of that name has other subjects or limits.
    #[error("stream `{stream}` exists and is configured otherwise")]
    StreamDiffers {
        /// The stream.
        stream: String,
    },
    /// Two subjects of streams overlap, in one stream or between two.
    #[error("subject `{subject}` overlaps `{taken}` of stream `{stream}`")]
    StreamOverlap {
        /// The subject asked for.
        subject: String,
        /// The subject it overlaps.
        taken: String,
        /// Whose that is.
        stream: String,
    },
    /// A stream needs a subject.
    #[error("stream `{stream}` has no subjects")]
    NoSubjects {
        /// The stream.
        stream: String,
    },
    /// The stream is full and refuses rather than discards, or the message is above its limit.
    #[error("stream `{stream}` is full: its {limit} would be exceeded")]
    StreamFull {
        /// The stream.
        stream: String,
        /// Which limit: the field's name in [`StreamLimits`](super::StreamLimits).
        limit: &'static str,
    },
    /// The publish expected another last sequence on its subject: somebody else was first.
    #[error("last sequence on `{subject}` is {last}, not {expected}")]
    WrongLastSequence {
        /// The subject.
        subject: String,
        /// What the publish expected.
        expected: u64,
        /// What it is; 0 for none.
        last: u64,
    },
    /// A name that NATS would refuse for a stream or a durable, or (white space) a queue group.
    #[error("`{name}` is no name: it is empty, or has white space or one of `. * > / \\`")]
    Name {
        /// The name given.
        name: String,
    },
    /// The subject is not legal.
    #[error(transparent)]
    Subject(#[from] SubjectError),
}
