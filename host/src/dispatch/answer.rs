//! What became of a query, and the message that says so. Must not know who asked or how.

use crate::envelope::{CloudEvent, Fault, Message, headers};
use crate::metrics::QueryEnd;

/// What became of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryAnswer {
    /// A reply.
    Reply(CloudEvent),
    /// The handler answered nothing, and so does the host.
    Silence,
    /// An error as an answer, the guest's or the host's.
    Fault {
        /// Its attributes.
        envelope: CloudEvent,
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
            QueryAnswer::Reply(_) => Some(QueryEnd::Reply),
            QueryAnswer::Silence => Some(QueryEnd::Silence),
            QueryAnswer::Fault { end, .. } => Some(*end),
            QueryAnswer::Unserved => None,
        }
    }

    /// The same fault, as one that stands for a failed call.
    pub(super) fn after_failure(mut self) -> QueryAnswer {
        if let QueryAnswer::Fault { end, .. } = &mut self {
            *end = QueryEnd::Failed;
        }
        self
    }

    /// The message that answers the asker; none for silence. A reply that cannot be written, or
    /// is larger than `max_payload`, becomes a fault.
    pub fn into_message(self, max_payload: usize) -> Option<Message> {
        let (envelope, fault, shed) = match self {
            QueryAnswer::Unserved | QueryAnswer::Silence => return None,
            QueryAnswer::Reply(reply) => match reply.to_structured() {
                Ok(message) if message.body.len() <= max_payload => return Some(message),
                Ok(message) => {
                    let size = message.body.len();
                    let text = format!("the reply has {size} bytes, more than the server takes");
                    (bare(reply), own_fault(text), false)
                }
                Err(error) => (
                    bare(reply),
                    own_fault(format!("the reply is invalid: {error}")),
                    false,
                ),
            },
            QueryAnswer::Fault {
                envelope,
                fault,
                end,
                ..
            } => (envelope, fault, end == QueryEnd::Shed),
        };
        let mut message = fault.to_message(&envelope).ok()?;
        if shed {
            message.headers.insert(headers::CONCHE_SHED, "1");
        }
        Some(message)
    }
}

/// The attributes that the host itself wrote.
fn bare(reply: CloudEvent) -> CloudEvent {
    CloudEvent {
        subject: None,
        datacontenttype: None,
        dataschema: None,
        extensions: Vec::new(),
        data: None,
        ..reply
    }
}

fn own_fault(message: String) -> Fault {
    Fault {
        code: 500,
        message,
        details: None,
    }
}
