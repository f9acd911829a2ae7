//! What the server denies: each thing that a host needs is tried in a way that has no effect, and
//! the server's complaints are listened for, since nothing else tells. Must not know why a host
//! needs it.

use std::sync::PoisonError;
use std::time::Duration;

use async_nats::HeaderMap;

use super::Survey;
use crate::nats::denied::{Act, complaint};
use crate::nats::fence;

/// Tried together: the client hands on 128 complaints, and forgets the rest.
const TOGETHER: usize = 64;

/// From the round trip after which the server has complained, until the client has handed it on.
const HANDED_ON: Duration = Duration::from_millis(100);

/// A stream of this name takes what is tried; there is none, so none does.
const NO_STREAM: &str = "conche doctor";

/// Something that a host does, and has to be allowed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) act: Act,
    /// What is tried.
    pub(crate) subject: String,
    /// What should be allowed.
    pub(crate) pattern: String,
    /// What for.
    pub(crate) why: String,
}

impl Survey {
    /// Those of the needs that the server denies.
    ///
    /// Subscriptions end before anything can come: they take a query from nobody. Publishes are
    /// empty and ask for a stream that is not there, so that none stores them; who subscribes to
    /// their subject sees an empty message.
    pub(crate) async fn denied(&self, needs: &[Need]) -> Vec<Need> {
        for some in needs.chunks(TOGETHER) {
            for need in some {
                self.attempt(need).await;
            }
            fence::round_trip(&self.client).await;
            tokio::time::sleep(HANDED_ON).await;
        }
        let denied = needs
            .iter()
            .filter(|need| self.was_denied(need.act, &need.subject));
        denied.cloned().collect()
    }

    /// Whether the server has complained of this already.
    pub(super) fn was_denied(&self, act: Act, subject: &str) -> bool {
        let told = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter()
            .any(|text| complaint(text) == Some((act, subject)))
    }

    /// An inbox of this connection, to be tried.
    pub(crate) fn inbox(&self) -> String {
        self.client.new_inbox()
    }

    async fn attempt(&self, need: &Need) {
        let subject = need.subject.clone();
        // What the client itself cannot send is no matter of permissions.
        match need.act {
            Act::Subscribe => {
                if let Ok(mut subscription) = self.client.subscribe(subject).await {
                    let _ended = subscription.unsubscribe().await;
                }
            }
            Act::Publish => {
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Expected-Stream", NO_STREAM);
                let nothing = Vec::new().into();
                let _sent = self
                    .client
                    .publish_with_headers(subject, headers, nothing)
                    .await;
            }
        }
    }
}
