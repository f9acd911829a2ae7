//! How a handler fails and how a message it sends can fail, and which of the two follows from the
//! other: `?` turns a [`SendError`] into a [`Fault`] or an [`EventError`].
//!
//! Field names and order of variants follow `types` in `wit/handler.wit`.

use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

use crate::message::Payload;

/// An error as an answer. Codes as in HTTP: 4xx do not repeat, 5xx may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} (code {code})")]
pub struct Fault {
    pub code: u16,
    pub message: String,
    pub details: Option<Payload>,
}

impl Fault {
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
        }
    }

    /// 400: the message itself is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// 404: what it asks for is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, message)
    }

    /// 422: well formed, but not acceptable. Say what in [`Fault::details`].
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, message)
    }

    /// 500: it failed here, and may work when repeated.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, message)
    }

    /// Adds a value, as JSON, that tells programs more than the message does. What JSON cannot
    /// express is left out: a fault must not fail.
    #[must_use]
    pub fn details<T: Serialize + ?Sized>(mut self, details: &T) -> Self {
        self.details = Payload::json(details).ok();
        self
    }
}

/// How an event handler fails, and what shall become of the event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EventError {
    /// Never again: the event goes to the dead letters.
    #[error("rejected: {0}")]
    Reject(#[source] Fault),
    /// Later, as often as the policy allows.
    #[error("to be retried: {}", .0.message)]
    Retry(Retry),
}

impl EventError {
    /// Never again: the event goes to the dead letters with this fault.
    pub fn reject(fault: Fault) -> Self {
        Self::Reject(fault)
    }

    /// Later; the host's backoff decides when.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::Retry(Retry {
            message: message.into(),
            after_ms: None,
        })
    }

    /// Later, not before this much time has passed; a host waits 24 hours at most.
    pub fn retry_after(message: impl Into<String>, after: Duration) -> Self {
        Self::Retry(Retry {
            message: message.into(),
            after_ms: Some(milliseconds(after)),
        })
    }
}

/// By its code: 5xx is retried, all else is rejected.
impl From<Fault> for EventError {
    fn from(fault: Fault) -> Self {
        if fault.code >= 500 {
            Self::retry(fault.to_string())
        } else {
            Self::Reject(fault)
        }
    }
}

/// Why and when an event shall come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    pub message: String,
    /// None: the host's backoff decides.
    pub after_ms: Option<u32>,
}

/// Why a message was not sent, or a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// The policy does not grant it; the text says so, and the line to add.
    #[error("{0}")]
    Refused(String),
    /// A budget of this call (count, bytes, hops) is spent.
    #[error("over budget: {0}")]
    OverBudget(String),
    #[error("invalid message: {0}")]
    Invalid(String),
    /// Nobody serves this op.
    #[error("nobody answers")]
    NoResponders,
    #[error("timed out")]
    TimedOut,
    /// Shed before it ran: safe to repeat.
    #[error("busy")]
    Busy,
    /// The other side answered with an error.
    #[error("the other side failed: {0}")]
    Remote(#[source] Fault),
    #[error("{0}")]
    Other(String),
}

/// What the asker gets when a handler passes the error on with `?`: the other side's own fault,
/// 503 and 504 for what may work when repeated, 500 for what is this plugin's fault.
impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        let code = match error {
            SendError::Remote(fault) => return fault,
            SendError::NoResponders | SendError::Busy => 503,
            SendError::TimedOut => 504,
            SendError::Refused(_)
            | SendError::OverBudget(_)
            | SendError::Invalid(_)
            | SendError::Other(_) => 500,
        };
        Self::new(code, error.to_string())
    }
}

/// What becomes of the event when a handler passes the error on with `?`: rejected if the same
/// would happen again (not granted, invalid, a 4xx fault), else retried.
impl From<SendError> for EventError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Remote(fault) => fault.into(),
            SendError::Refused(_) | SendError::Invalid(_) => Self::Reject(error.into()),
            SendError::OverBudget(_)
            | SendError::NoResponders
            | SendError::TimedOut
            | SendError::Busy
            | SendError::Other(_) => Self::retry(error.to_string()),
        }
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: SendError, code: u16, rejected: bool) {
        assert_eq!(Fault::from(error.clone()).code, code);
        assert_eq!(
            matches!(EventError::from(error), EventError::Reject(_)),
            rejected
        );
    }

    #[test]
    fn send_errors_pass_on_what_repeating_would_do() {
        check(
            SendError::Refused("[grants] emit = [\"a\"]".into()),
            500,
            true,
        );
        check(SendError::Invalid("empty type".into()), 500, true);
        check(SendError::OverBudget("emits".into()), 500, false);
        check(SendError::NoResponders, 503, false);
        check(SendError::Busy, 503, false);
        check(SendError::TimedOut, 504, false);
        check(
            SendError::Remote(Fault::not_found("no such order")),
            404,
            true,
        );
        check(SendError::Remote(Fault::internal("down")), 500, false);
        check(SendError::Other("odd".into()), 500, false);
    }

    #[test]
    fn a_long_wait_saturates() {
        assert_eq!(milliseconds(Duration::from_secs(u64::MAX)), u32::MAX);
        assert_eq!(milliseconds(Duration::from_millis(1500)), 1500);
    }
}
