//! Why a client got nothing. Must not know how it asked.

use thiserror::Error;

use crate::embedded::BusError;
use crate::envelope::{EncodeError, Fault};
use crate::nats::{ConnectError, NatsError};
use crate::outbound::SendError;

/// Why it did not work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientError {
    /// Nobody listens on the subject: said at once.
    #[error("nobody answers on `{subject}`: is its service up, and is that its name?")]
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
    /// Shed before it ran: safe to repeat.
    #[error("those who answer on `{subject}` are busy: nothing ran, ask again")]
    Busy {
        /// Where it went.
        subject: String,
    },
    /// The other side answered with an error. Codes as in HTTP: 4xx do not repeat.
    #[error("answered with an error: {} ({})", .0.message, .0.code)]
    Remote(Fault),
    /// It can't be sent so, or can't be asked for so; the text says what would do.
    #[error("{0}")]
    Invalid(String),
    /// The answer's data is not what the caller wants to read.
    #[error("the answer's data does not fit: {0}")]
    Data(String),
    /// More than the server's max payload.
    #[error("message has {size} bytes, more than the {max} that the server takes")]
    TooLarge {
        /// Headers and body, in bytes.
        size: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// More than the stream takes that the event would be in.
    #[error("{0}")]
    TooLargeForStream(String),
    /// An event of a type that no stream takes.
    #[error(
        "no stream takes `{subject}`{}: see [events] in conche.toml",
        of_type(ty, subject)
    )]
    NoStream {
        /// The type.
        ty: String,
        /// Where it went.
        subject: String,
    },
    /// The event stream of the configuration is not there.
    #[error("there is no stream `{stream}`: a host makes it when it starts")]
    NoEventStream {
        /// Its name.
        stream: String,
    },
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The client was disconnected.
    #[error("the client is disconnected")]
    Disconnected,
    /// Anything else; the text is the transport's.
    #[error("{0}")]
    Other(String),
}

impl ClientError {
    /// For an event whose type is its subject.
    pub(super) fn no_stream(subject: String) -> ClientError {
        ClientError::NoStream {
            ty: subject.clone(),
            subject,
        }
    }
}

/// Where nobody wrote the subject.
fn of_type(ty: &str, subject: &str) -> String {
    match ty == subject {
        true => String::new(),
        false => format!(", where events of type `{ty}` go"),
    }
}

impl From<SendError> for ClientError {
    fn from(error: SendError) -> ClientError {
        match error {
            SendError::NoResponders { subject } => ClientError::NoResponders { subject },
            SendError::TimedOut { subject } => ClientError::TimedOut { subject },
            SendError::Busy { subject } => ClientError::Busy { subject },
            SendError::TooLarge { size, max } => ClientError::TooLarge { size, max },
            SendError::NoStream { subject } => ClientError::no_stream(subject),
            SendError::TooLargeForStream(text) => ClientError::TooLargeForStream(text),
            SendError::Invalid(text) => ClientError::Invalid(text),
            SendError::Other(text) => ClientError::Other(text),
        }
    }
}

impl From<EncodeError> for ClientError {
    fn from(error: EncodeError) -> ClientError {
        ClientError::Invalid(error.to_string())
    }
}

impl From<NatsError> for ClientError {
    fn from(error: NatsError) -> ClientError {
        SendError::from(error).into()
    }
}

impl From<BusError> for ClientError {
    fn from(error: BusError) -> ClientError {
        SendError::from(error).into()
    }
}
