//! A queue subscription, and leaving it without losing what is on its way.

use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;
use tracing::warn;

use super::message::Asked;
use super::{Nats, NatsError};

/// How many more messages are taken at each step of leaving, and for how long they are waited
/// for. The client and the server count alike, so that a subscription which ends by count loses
/// nothing; each way of the client's to end one at once (`unsubscribe`, `drain`) loses what is on
/// its way (12–64 of 64 measured). A busy subject uses up the first step at once; at a quiet one
/// nothing comes within the last, and nothing is lost by ending it then.
const LEAVING: [(u64, Duration); 4] = [
    (200, Duration::from_millis(100)),
    (20, Duration::from_millis(50)),
    (3, Duration::from_millis(50)),
    (1, Duration::from_millis(50)),
];

/// A member of a queue group.
#[derive(Debug)]
pub(crate) struct Subscription {
    client: Client,
    subscriber: Subscriber,
    received: u64,
    leaving: Option<Leaving>,
}

#[derive(Debug)]
struct Leaving {
    step: usize,
    until: Instant,
}

impl Nats {
    /// Joins a queue group on a subject or pattern. What the server denies is said by its events.
    pub(crate) async fn subscribe(
        &self,
        pattern: &str,
        group: &str,
    ) -> Result<Subscription, NatsError> {
        let client = self.inner.queries.client.clone();
        let subscriber = client
            .queue_subscribe(pattern.to_owned(), group.to_owned())
            .await
            .map_err(|error| NatsError::Other(error.to_string()))?;
        Ok(Subscription {
            client,
            subscriber,
            received: 0,
            leaving: None,
        })
    }
}

impl Subscription {
    /// The next message; `None` once it has left. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Asked> {
        loop {
            let Some(Leaving { until, .. }) = self.leaving else {
                let message = self.subscriber.next().await?;
                return Some(self.took(message));
            };
            match tokio::time::timeout_at(until, self.subscriber.next()).await {
                Ok(message) => return message.map(|message| self.took(message)),
                Err(_) => self.next_step().await?,
            }
        }
    }

    /// A message that is there already.
    pub(crate) fn next_ready(&mut self) -> Option<Asked> {
        let message = self.subscriber.next().now_or_never()??;
        Some(self.took(message))
    }

    /// Begins to leave the group: what is on its way still comes, then `None`.
    pub(crate) async fn leave(&mut self) {
        if self.leaving.is_none() {
            self.step(0).await;
        }
    }

    async fn next_step(&mut self) -> Option<()> {
        let step = self.leaving.as_ref().map_or(0, |leaving| leaving.step + 1);
        if step < LEAVING.len() {
            self.step(step).await;
            return Some(());
        }
        if let Err(error) = self.subscriber.drain().await {
            warn!(%error, "cannot leave a subscription");
        }
        None
    }

    async fn step(&mut self, step: usize) {
        let (more, wait) = LEAVING[step];
        if let Err(error) = self
            .subscriber
            .unsubscribe_after(self.received + more)
            .await
        {
            warn!(%error, "cannot leave a subscription");
        }
        self.leaving = Some(Leaving {
            step,
            until: Instant::now() + wait,
        });
    }

    fn took(&mut self, message: async_nats::Message) -> Asked {
        self.received += 1;
        Asked::new(&self.client, message)
    }
}
