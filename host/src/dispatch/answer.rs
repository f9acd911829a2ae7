//! What became of a query, and the message that says so. Must not know who asked or how.

use crate::envelope::{CloudEvent, Fault, Message, headers};
use crate::metrics::QueryEnd;

/// What became of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryAnswer {
    /// A reply.
    Reply {
        /// As an event.
        reply: Box<CloudEvent>,
        /// As a message in structured mode, which the server takes.
        message: Message,
    },
    /// The handler answered nothing, and so does the host.
    Silence,
    /// An error as an answer, the guest's or the host's.
    Fault {
        /// Its attributes.
        envelope: Box<CloudEvent>,
        /// The error.
        fault: Fault,
        /// What kind of end it is: the handler's own fault, a failed call, or shed before it ran.
        end: QueryEnd,
        /// The handler took what nobody else registered: others may answer in its place.
        by_default: bool,
    },
    /// Nobody serves the op.
    Unserved,
}

impl QueryAnswer {
    /// As it is counted; none where no plugin is.
    pub(super) fn end(&self) -> Option<QueryEnd> {
        match self {
            QueryAnswer::Reply { .. } => Some(QueryEnd::Reply),
            QueryAnswer::Silence => Some(QueryEnd::Silence),
            QueryAnswer::Fault { end, .. } => Some(*end),
            QueryAnswer::Unserved => None,
        }
    }

    /// The message that answers the asker; none for silence. A fault that is larger than
    /// `max_payload` is shortened.
    pub fn into_message(self, max_payload: usize) -> Option<Message> {
        let (envelope, fault, end) = match self {
            QueryAnswer::Unserved | QueryAnswer::Silence => return None,
            QueryAnswer::Reply { message, .. } => return Some(message),
            QueryAnswer::Fault {
                envelope,
                fault,
                end,
                ..
            } => (envelope, fault, end),
        };
        let mut message = fault.to_message_within(&envelope, max_payload)?;
        if end == QueryEnd::Shed {
            message.headers.insert(headers::CONCHE_SHED, "1");
        }
        Some(message)
    }
}
