//! Round trips: what tells that all that was sent before has reached the server. Must not know what
//! else travels on the connection.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{Client, RequestErrorKind};
use tokio::sync::oneshot;

use super::denied::{Act, complaint};

/// For a round trip, before it is tried again.
const FENCE_TIMEOUT: Duration = Duration::from_secs(2);

/// The round trips that are under way on one connection.
#[derive(Debug, Default)]
pub(super) struct Fences {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By where they go.
    under_way: HashMap<String, oneshot::Sender<()>>,
    /// What the server denied last, as it said it.
    denied: Option<String>,
}

/// One that is forgotten when nobody waits for it any more.
struct Fence<'a> {
    fences: &'a Fences,
    inbox: String,
}

/// A round trip of who is told nothing of what the server denies.
#[cfg(feature = "host")]
pub(super) async fn round_trip(client: &Client) -> bool {
    to(client, client.new_inbox()).await
}

impl Fences {
    /// A round trip, also of a user who may not publish to inboxes: to say so, the server has to
    /// have read it. What it says is to be told by [`Fences::denied`].
    pub(super) async fn round_trip(&self, client: &Client) -> bool {
        let inbox = client.new_inbox();
        let (refused, is_refused) = oneshot::channel();
        self.state().under_way.insert(inbox.clone(), refused);
        let fence = Fence {
            fences: self,
            inbox,
        };
        tokio::select! {
            answered = to(client, fence.inbox.clone()) => answered,
            Ok(()) = is_refused => true,
        }
    }

    /// What the server said it denies. True: only a round trip, which has gone through by that.
    pub(super) fn denied(&self, text: &str) -> bool {
        let mut state = self.state();
        if let Some((Act::Publish, inbox)) = complaint(text)
            && let Some(fence) = state.under_way.remove(inbox)
        {
            let _nobody_waits = fence.send(());
            return true;
        }
        state.denied = Some(text.to_owned());
        false
    }

    /// Why none goes through, as far as the server said.
    pub(super) fn reason(&self) -> String {
        match &self.state().denied {
            Some(text) => format!(
                "{text}: permissions: {{ subscribe: {{ allow: [\"_INBOX.>\"] }} }} for this user of the server"
            ),
            None => "the server does not answer".to_owned(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics half-way through a change of it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Fence<'_> {
    fn drop(&mut self) {
        self.fences.state().under_way.remove(&self.inbox);
    }
}

/// `flush` is none: it ends when the bytes have left. A request that nobody can answer comes back
/// as "no responders", from the server itself.
async fn to(client: &Client, nobody: String) -> bool {
    let request = async_nats::Request::new().timeout(Some(FENCE_TIMEOUT));
    // The client's own time begins when it has handed the request over, which waits while it is
    // not connected.
    let asked = tokio::time::timeout(FENCE_TIMEOUT, client.send_request(nobody, request));
    match asked.await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => error.kind() == RequestErrorKind::NoResponders,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Fences;
    use tokio::sync::oneshot;

    #[test]
    fn a_fence_that_is_denied_has_gone_through_and_no_other_has() {
        let fences = Fences::default();
        let (refused, mut is_refused) = oneshot::channel();
        let under_way = ("_INBOX.a".to_owned(), refused);
        fences.state().under_way.extend([under_way]);
        let denied =
            |inbox| fences.denied(&format!("Permissions Violation for Publish to \"{inbox}\""));
        assert!(!denied("_INBOX.b") && is_refused.try_recv().is_err());
        assert!(denied("_INBOX.a") && is_refused.try_recv().is_ok());
        assert!(!denied("_INBOX.a"));
    }
}
