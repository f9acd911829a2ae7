//! A queue subscription, and leaving it without losing what is on its way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_nats::{Client, SubscribeErrorKind, Subscriber};
use futures_util::StreamExt as _;
use tokio::time::Instant;
use tracing::warn;

use super::link::Link;
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
    link: Link,
    /// What it was made with.
    client: Arc<Client>,
    pattern: String,
    group: String,
    subscriber: Subscriber,
    /// Of the connection that it was made for: in the next one the server counts from zero again, and
    /// the client does not.
    generation: u64,
    received: u64,
    /// Read off the subscriber, and not handed out yet.
    early: VecDeque<Asked>,
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
        let link = self.inner.queries.clone();
        let (generation, client, subscriber) = loop {
            let (generation, client) = (link.current(), link.client());
            let subscribed = client.queue_subscribe(pattern.to_owned(), group.to_owned());
            match subscribed.await {
                Ok(subscriber) => break (generation, client, subscriber),
                // Its client has ended by itself: the next one is waited for.
                Err(error) if error.kind() == SubscribeErrorKind::Other => tokio::select! {
                    () = link.lost(generation) => {}
                    _ = self.inner.gave_up.wait() => {
                        return Err(NatsError::Other(error.to_string()));
                    }
                },
                Err(error) => return Err(NatsError::Other(error.to_string())),
            }
        };
        Ok(Subscription {
            link,
            client,
            pattern: pattern.to_owned(),
            group: group.to_owned(),
            subscriber,
            generation,
            received: 0,
            early: VecDeque::new(),
            leaving: None,
        })
    }
}

impl Subscription {
    /// The next message; `None` once it has left. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Asked> {
        loop {
            if let Some(asked) = self.early.pop_front() {
                return Some(asked);
            }
            let Some(Leaving { until, .. }) = self.leaving else {
                tokio::select! {
                    biased;
                    () = self.link.lost(self.generation) => self.renew().await,
                    message = self.subscriber.next() => match message {
                        Some(message) => return Some(self.took(message)),
                        // Its client has ended by itself.
                        None => {
                            self.link.lost(self.generation).await;
                            self.renew().await;
                        }
                    }
                }
                continue;
            };
            match tokio::time::timeout_at(until, self.subscriber.next()).await {
                Ok(message) => return message.map(|message| self.took(message)),
                Err(_) => self.next_step().await?,
            }
        }
    }

    /// A message that is there already.
    #[cfg(feature = "host")]
    pub(crate) fn next_ready(&mut self) -> Option<Asked> {
        if let Some(asked) = self.early.pop_front() {
            return Some(asked);
        }
        self.ready().map(|message| self.took(message))
    }

    /// Begins to leave the group: what is on its way still comes, then `None`.
    pub(crate) async fn leave(&mut self) {
        if self.leaving.is_some() {
            return;
        }
        if self.generation < self.link.current() {
            self.renew().await;
        }
        // The client counts what it queued: what lies there unread counts too.
        self.read_ready();
        self.step(0).await;
    }

    /// Only a subscription that was made for the connection as it is can be left by count. The old one
    /// ends at once: while the connection is down, nothing is on its way to it.
    async fn renew(&mut self) {
        let generation = self.link.current();
        let (pattern, group) = (self.pattern.clone(), self.group.clone());
        self.client = self.link.client();
        let renewed = self.client.queue_subscribe(pattern, group).await;
        // Whatever came of it: it is not tried for this one again.
        self.generation = generation;
        match renewed {
            Ok(subscriber) => {
                self.read_ready();
                self.subscriber = subscriber;
                self.received = 0;
            }
            Err(error) => warn!(%error, subject = self.pattern, "cannot subscribe anew"),
        }
    }

    fn read_ready(&mut self) {
        while let Some(message) = self.ready() {
            let asked = self.took(message);
            self.early.push_back(asked);
        }
    }

    fn ready(&mut self) -> Option<async_nats::Message> {
        let mut nobody = Context::from_waker(Waker::noop());
        match self.subscriber.poll_next_unpin(&mut nobody) {
            Poll::Ready(message) => message,
            Poll::Pending => None,
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
