//! Queries, and the way back to who asked.

use std::ops::Deref;
use std::pin::pin;

use crate::config::EventsConfig;
use crate::embedded;
use crate::envelope::Message;
use crate::nats;
use crate::subject::is_reserved;

/// A member of a queue group.
#[derive(Debug)]
pub(crate) enum Queries {
    Nats(Box<nats::Subscription>),
    Embedded(embedded::Subscription),
}

/// A query, and the way back to its asker.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) subject: Subject,
    pub(crate) message: Message,
    /// `None` when nobody waits for an answer.
    pub(crate) reply: Option<Reply>,
}

/// Where a query was sent, as its transport has it: a copy would be one more allocation.
#[derive(Debug)]
pub(crate) enum Subject {
    Nats(nats::Subject),
    Embedded(String),
}

#[derive(Debug)]
pub(crate) enum Reply {
    Nats(nats::ReplyTo),
    Embedded(embedded::Reply),
}

impl Queries {
    /// The next message; `None` once it has left. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Asked> {
        match self {
            Queries::Nats(subscription) => subscription.next().await.map(Asked::from),
            Queries::Embedded(subscription) => subscription.next().await.map(Asked::from),
        }
    }

    /// A message that is there already.
    #[cfg(feature = "host")]
    pub(crate) fn next_ready(&mut self) -> Option<Asked> {
        match self {
            Queries::Nats(subscription) => subscription.next_ready().map(Asked::from),
            Queries::Embedded(subscription) => subscription.next_ready().map(Asked::from),
        }
    }

    /// Begins to leave: what is on its way still comes, then `None`.
    pub(crate) async fn leave(&mut self) {
        match self {
            Queries::Nats(subscription) => subscription.leave().await,
            Queries::Embedded(subscription) => subscription.stop(),
        }
    }
}

impl From<nats::Asked> for Asked {
    fn from(asked: nats::Asked) -> Asked {
        Asked {
            subject: Subject::Nats(asked.subject),
            message: asked.message,
            reply: asked.reply.map(Reply::Nats),
        }
    }
}

impl From<embedded::Asked> for Asked {
    fn from(asked: embedded::Asked) -> Asked {
        Asked {
            subject: Subject::Embedded(asked.subject),
            message: asked.message,
            reply: asked.reply.map(Reply::Embedded),
        }
    }
}

impl Deref for Subject {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Subject::Nats(subject) => subject,
            Subject::Embedded(subject) => subject,
        }
    }
}

impl Reply {
    /// Whether nobody but an asker gets what is sent there. A server checks no asker's right to a reply
    /// subject, and takes what comes back by the right of who answers.
    pub(crate) fn is_an_askers(&self, events: &EventsConfig) -> bool {
        let Reply::Nats(reply) = self else {
            return true;
        };
        let subject = reply.subject();
        subject.starts_with("_INBOX.") || !(is_reserved(subject) || events.takes(subject))
    }

    pub(crate) async fn send(self, message: Message) -> Result<(), String> {
        match self {
            Reply::Nats(reply) => {
                // Pinned here: to move it would cost more than it does.
                let sent = pin!(reply.send(message)).await;
                sent.map_err(|error| error.to_string())
            }
            Reply::Embedded(reply) => reply.send(message).map_err(|error| error.to_string()),
        }
    }
}
