//! The handles of a durable consumer: pulling, and settling what was pulled.
//!
//! Waits, and wakes others; what is due and when is `consumer`'s to know.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::consumer::{Consumer, Termination};
use super::log::Log;
use super::streams::{Stream, StreamState};
use super::{after, lock};
use crate::envelope::Message;
use crate::subject::SubjectPattern;

/// A handle to a durable consumer; clones and other handles share its messages.
#[derive(Debug, Clone)]
pub struct BusConsumer {
    shared: Arc<Shared>,
}

/// A message that was pulled and waits to be settled. One that is dropped unsettled comes again
/// after the ack wait, as one does whose host died.
#[derive(Debug)]
#[must_use = "a delivery that is not settled comes again after the ack wait"]
pub struct BusDelivery {
    /// The stream it is from.
    pub stream: String,
    /// Its sequence in the stream.
    pub seq: u64,
    /// Where it was published.
    pub subject: String,
    /// Headers and body.
    pub message: Message,
    /// 1 at first.
    pub attempt: u32,
    /// When the stream stored it.
    pub stored_at: DateTime<Utc>,
    consumer: BusConsumer,
}

#[derive(Debug)]
struct Shared {
    stream: Arc<Stream>,
    durable: String,
    wake: Arc<Notify>,
    ack_wait: Duration,
}

/// What a look at the consumer found.
enum Found {
    Deliveries(Vec<BusDelivery>),
    /// Nothing before this time, unless somebody wakes us.
    NothingUntil(Option<Instant>),
}

impl BusConsumer {
    pub(super) fn new(
        stream: Arc<Stream>,
        durable: &str,
        wake: Arc<Notify>,
        ack_wait: Duration,
    ) -> BusConsumer {
        let durable = durable.to_owned();
        BusConsumer {
            shared: Arc::new(Shared {
                stream,
                durable,
                wake,
                ack_wait,
            }),
        }
    }

    /// Up to `max` messages, as soon as there is one; none after `wait`. Those that come again are
    /// first. Cancel safe: a pull that is dropped has taken nothing.
    pub async fn pull(&self, max: usize, wait: Duration) -> Vec<BusDelivery> {
        // A pull that always finds something must still let others run.
        tokio::task::coop::consume_budget().await;
        if max == 0 {
            return Vec::new();
        }
        let end = after(Instant::now(), wait);
        loop {
            // Enabled before the look, so that each publish after it wakes a pull of its own: as
            // permits they would merge into one, and pulls with a small `max` would sleep on.
            let mut woken = std::pin::pin!(self.shared.wake.notified());
            woken.as_mut().enable();
            let now = Instant::now();
            let due = match self.look(max, now) {
                Found::Deliveries(deliveries) => return deliveries,
                Found::NothingUntil(due) => due,
            };
            if now >= end {
                return Vec::new();
            }
            let until = due.map_or(end, |due| due.min(end));
            let _woken_or_due = timeout_at(until, woken).await;
        }
    }

    /// The durable's name.
    pub fn durable(&self) -> &str {
        &self.shared.durable
    }

    /// What it wants, without filters that another covers.
    pub fn filters(&self) -> Vec<SubjectPattern> {
        self.with(|consumer, _| consumer.filters())
            .unwrap_or_default()
    }

    /// How many messages were delivered and are not settled, postponed ones included.
    pub fn in_flight(&self) -> usize {
        self.with(|consumer, _| consumer.in_flight())
            .unwrap_or_default()
    }

    /// How many messages it has yet to deliver for the first time.
    pub fn undelivered(&self) -> usize {
        self.with(|consumer, log| consumer.undelivered(log))
            .unwrap_or_default()
    }

    /// The latest terminations, oldest first.
    pub fn terminations(&self) -> Vec<Termination> {
        self.with(|consumer, _| consumer.terminations())
            .unwrap_or_default()
    }

    fn look(&self, max: usize, now: Instant) -> Found {
        let ack_wait = self.shared.ack_wait;
        let looked = self.with(|consumer, log| {
            let taken = consumer.take(log, max, now, ack_wait);
            (taken, consumer.next_due())
        });
        let Some((taken, due)) = looked else {
            return Found::NothingUntil(None);
        };
        if taken.is_empty() {
            return Found::NothingUntil(due);
        }
        let deliver = |(stored, attempt): (Arc<super::StoredMessage>, u32)| BusDelivery {
            stream: self.shared.stream.name.clone(),
            seq: stored.seq,
            subject: stored.subject.clone(),
            message: stored.message.clone(),
            attempt,
            stored_at: stored.time,
            consumer: self.clone(),
        };
        Found::Deliveries(taken.into_iter().map(deliver).collect())
    }

    /// Runs `f` on the consumer, unless the durable was deleted. When something then comes again
    /// earlier than before, all who wait look anew: any of them may be the one still there.
    fn with<T>(&self, f: impl FnOnce(&mut Consumer, &Log) -> T) -> Option<T> {
        let mut state = lock(&self.shared.stream.state);
        let StreamState { log, durables } = &mut *state;
        let durable = durables.get_mut(&self.shared.durable)?;
        if !Arc::ptr_eq(&durable.wake, &self.shared.wake) {
            return None;
        }
        let before = durable.consumer.next_due();
        let result = f(&mut durable.consumer, log);
        if let Some(due) = durable.consumer.next_due()
            && before.is_none_or(|before| due < before)
        {
            self.shared.wake.notify_waiters();
        }
        Some(result)
    }
}

impl BusDelivery {
    /// Done: it never comes again. As with NATS the ack counts for the message, so that of an
    /// earlier attempt settles a later one too.
    pub fn ack(self) {
        self.consumer.with(|consumer, _| consumer.settle(self.seq));
    }

    /// It comes again after `delay`, at once if that is zero.
    pub fn nak(self, delay: Duration) {
        let due = after(Instant::now(), delay);
        self.consumer
            .with(|consumer, _| consumer.postpone(self.seq, due));
    }

    /// It never comes again, for this reason, which is remembered.
    pub fn term(self, reason: &str) {
        let ended = self
            .consumer
            .with(|consumer, _| consumer.terminate(self.seq, reason));
        if ended == Some(true) {
            // Whoever ends it says so: what a server does not log is no news of the bus either.
            let (stream, sequence) = (&*self.stream, self.seq);
            let durable = self.consumer.durable();
            tracing::debug!(stream, sequence, durable, reason, "delivery terminated");
        }
    }

    /// Still at work: the ack wait begins anew.
    pub fn in_progress(&self) {
        let due = after(Instant::now(), self.consumer.shared.ack_wait);
        self.consumer
            .with(|consumer, _| consumer.postpone(self.seq, due));
    }
}
