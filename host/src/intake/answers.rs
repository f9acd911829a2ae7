//! Answers on their way to their askers, by themselves or as a batch. Must not know how a query runs.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tracing::{error, warn};

use super::backlog::Room;
use super::pace::Pace;
use crate::envelope::{CloudEvent, Message};
use crate::source::Reply;
use crate::text;

/// A message on its way to an asker.
#[derive(Debug)]
pub(super) struct Answer {
    /// The query, for the log.
    pub(super) event: Arc<CloudEvent>,
    pub(super) reply: Reply,
    pub(super) message: Message,
}

/// What came of a batch.
#[derive(Debug)]
pub(super) struct Answered {
    /// Of those that have one already.
    pub(super) answers: Vec<Answer>,
    /// What each took, on the average, to its end or to where it waits.
    pub(super) each: Duration,
    /// To be held until the answers are sent.
    pub(super) room: Option<Room>,
}

impl Answer {
    pub(super) async fn send(self) {
        let Answer {
            event,
            reply,
            message,
        } = self;
        // Pinned here: to move it would cost more than it does.
        if let Err(error) = pin!(reply.send(message)).await {
            warn!(
                event_id = &*text::name(&event.id),
                error, "the answer did not reach its asker"
            );
        }
    }
}

/// Delivers what came of a batch on the guests' threads.
pub(super) async fn bring(handed_over: Result<Answered, JoinError>, pace: &mut Pace) {
    match handed_over {
        Ok(answered) => deliver(answered, pace).await,
        // That of a query is caught there; this one was between two of them.
        Err(error) => error!(%error, "the host panicked: a batch of queries is not answered"),
    }
}

/// Sends what a batch brought, notes how long it took, and gives back its room.
pub(super) async fn deliver(answered: Answered, pace: &mut Pace) {
    let Answered {
        answers,
        each,
        room: _until_sent,
    } = answered;
    pace.took(each);
    send(answers).await;
}

/// Sends answers from the thread of the connection: it then writes all of them at once. From
/// another, it would have written the first few before the next are there.
pub(super) async fn send(answers: Vec<Answer>) {
    for answer in answers {
        pin!(answer.send()).await;
    }
}
