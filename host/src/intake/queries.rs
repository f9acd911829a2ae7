//! One loop for each op: read always, then admit or shed. Nothing waits in the loop itself, so a
//! slow handler delays no other query.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::dispatch::{Dispatcher, Travel};
use crate::embedded::{Asked, Subscription};
use crate::envelope::CloudEvent;
use crate::shutdown::Shutdown;

/// Serves a subscription until it is to leave; what it had been handed by then is served too.
pub(super) async fn serve(
    mut subscription: Subscription,
    dispatcher: Arc<Dispatcher>,
    shutdown: Shutdown,
    leave: CancellationToken,
    max_payload: usize,
) {
    let mut leaving = false;
    loop {
        let asked = tokio::select! {
            biased;
            () = leave.cancelled(), if !leaving => {
                leaving = true;
                subscription.stop();
                continue;
            }
            asked = subscription.next() => asked,
        };
        let Some(asked) = asked else { return };
        let dispatcher = dispatcher.clone();
        shutdown.spawn(async move { answer(asked, &dispatcher, max_payload).await });
    }
}

/// Answers one message, or stays silent where it is not for us: others share those subjects.
async fn answer(asked: Asked, dispatcher: &Dispatcher, max_payload: usize) {
    let Some(reply) = asked.reply else {
        debug!(
            subject = asked.subject,
            "a query without a reply subject: passed over"
        );
        return;
    };
    let event = match CloudEvent::decode(&asked.message) {
        Ok(event) => event,
        Err(error) => {
            warn!(subject = asked.subject, %error, "a message that is no CloudEvent: not answered");
            return;
        }
    };
    let answer = dispatcher.query(&event, Travel::of(&asked.message)).await;
    let Some(message) = answer.into_message(max_payload) else {
        return;
    };
    if let Err(error) = reply.send(message) {
        warn!(subject = asked.subject, event_id = event.id, %error, "the answer did not reach its asker");
    }
}
