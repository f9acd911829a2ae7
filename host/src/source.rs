//! Where messages come from, whichever transport that is: a query subscription, a plugin's
//! consumer, a delivery. Chooses between the two; what either does is its own. Alike for both are how
//! long a delivery is kept while it is worked on, and when one comes again that is left to others.

mod queries;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, MissedTickBehavior};

use crate::embedded::{Bus, BusConsumer, BusDelivery, StartFrom};
use crate::envelope::{CloudEvent, Message};
use crate::nats::{self, DurableConfig, Nats, Unreadable, Whose};
use crate::policy::Start;
use crate::subject::SubjectPattern;

#[cfg(feature = "host")]
pub(crate) use queries::Reply;
pub(crate) use queries::{Asked, Queries};

/// How long one pull of the embedded bus waits for a first message.
const EMBEDDED_PULL_WAIT: Duration = Duration::from_secs(2);

/// How soon an event comes again that is another replica's, and how often that is doubled.
const LEFT_FIRST: Duration = Duration::from_millis(500);
const LEFT_DOUBLED: u32 = 4;

/// What a host or a service listens on.
#[derive(Debug, Clone)]
pub enum Source {
    /// A server.
    Nats(Nats),
    /// The bus inside this process.
    Embedded(Bus),
}

/// The reading end of a plugin's durable consumer.
#[derive(Debug)]
pub(crate) enum Consumer {
    Nats(Box<nats::Consumer>),
    Embedded {
        consumer: BusConsumer,
        leaving: bool,
    },
}

/// A plugin's durable consumer. Its loop and its deliveries share it.
#[derive(Debug)]
pub(crate) enum Durable {
    Nats(Arc<nats::Durable>),
    Embedded {
        bus: Bus,
        stream: String,
        name: String,
    },
}

/// A message that was pulled and waits to be settled.
#[derive(Debug)]
pub(crate) enum Delivery {
    Nats(Box<nats::Delivery>),
    Embedded(Box<BusDelivery>),
}

/// What becomes of a delivery.
#[derive(Debug)]
pub(crate) enum End {
    /// It is handled, or not for us.
    Ack,
    /// It comes again after this time.
    Nak(Duration),
    /// Its dead letter is stored, for this reason.
    Term(String),
}

impl Source {
    /// The embedded bus, if it is that.
    pub fn bus(&self) -> Option<&Bus> {
        match self {
            Source::Nats(_) => None,
            Source::Embedded(bus) => Some(bus),
        }
    }

    pub(crate) async fn subscribe(&self, pattern: &str, group: &str) -> Result<Queries, String> {
        match self {
            Source::Nats(nats) => {
                let subscription = nats.subscribe(pattern, group).await;
                subscription
                    .map(|subscription| Queries::Nats(Box::new(subscription)))
                    .map_err(|error| error.to_string())
            }
            Source::Embedded(bus) => {
                let pattern: SubjectPattern = pattern.parse().map_err(|flaw| format!("{flaw}"))?;
                let subscription = bus.subscribe(&pattern, group);
                subscription
                    .map(Queries::Embedded)
                    .map_err(|error| error.to_string())
            }
        }
    }

    /// The durable consumer of that name.
    pub(crate) fn durable(&self, stream: &str, name: &str) -> Durable {
        match self {
            Source::Nats(nats) => Durable::Nats(nats::Durable::new(nats, stream, name)),
            Source::Embedded(bus) => Durable::Embedded {
                bus: bus.clone(),
                stream: stream.to_owned(),
                name: name.to_owned(),
            },
        }
    }
}

impl Durable {
    /// Opens it for a version: creates it, or lets the filters of one that exists grow.
    pub(crate) async fn open(&self, wanted: DurableConfig) -> Result<Consumer, String> {
        match self {
            Durable::Nats(durable) => {
                let consumer = durable.open(wanted).await;
                consumer
                    .map(|consumer| Consumer::Nats(Box::new(consumer)))
                    .map_err(|error| error.to_string())
            }
            Durable::Embedded { bus, stream, name } => {
                let start = match wanted.start {
                    Start::New => StartFrom::New,
                    Start::All => StartFrom::All,
                    Start::Time(time) => StartFrom::Time(time),
                    Start::Sequence(sequence) => StartFrom::Sequence(sequence),
                };
                bus.consumer(stream, name, &wanted.filters, start)
                    .map(|consumer| Consumer::Embedded {
                        consumer,
                        leaving: false,
                    })
                    .map_err(|error| error.to_string())
            }
        }
    }

    /// Keeps up with the other replicas. For ever.
    pub(crate) async fn keep_up(&self) {
        match self {
            Durable::Nats(durable) => durable.keep_up().await,
            // There is one host on a bus.
            Durable::Embedded { .. } => std::future::pending().await,
        }
    }

    /// Waits while another version gets the events.
    pub(crate) async fn until_it_may_pull(&self) {
        match self {
            Durable::Nats(durable) => durable.until_it_may_pull().await,
            Durable::Embedded { .. } => {}
        }
    }

    /// Whether a delivery is for the plugin; the server may send more than its filters say.
    pub(crate) async fn wants(&self, delivery: &Delivery) -> Result<bool, String> {
        match (self, delivery) {
            (Durable::Nats(durable), Delivery::Nats(delivery)) => {
                let wants = durable.wants(&delivery.subject, delivery.sequence);
                wants.await.map_err(|error| error.to_string())
            }
            _ => Ok(true),
        }
    }

    /// Whose a delivery is that has no handler here.
    pub(crate) async fn whose(&self, delivery: &Delivery, ty: &str) -> Result<Whose, String> {
        match self {
            Durable::Nats(durable) => {
                let whose = durable.whose(delivery.subject(), ty).await;
                whose.map_err(|error| error.to_string())
            }
            Durable::Embedded { .. } if delivery.subject() != ty => Ok(Whose::Nobodys),
            Durable::Embedded { .. } => Ok(Whose::Ours),
        }
    }
}

impl Consumer {
    /// The deliveries that are there, as soon as there is one; none after a while without, when
    /// `room` may be another. `None` once it has left. Cancel safe.
    ///
    /// # Errors
    /// The consumer is gone: open it anew.
    pub(crate) async fn pull(&mut self, room: usize) -> Result<Option<Vec<Delivery>>, String> {
        match self {
            Consumer::Nats(consumer) => {
                let pulled = consumer
                    .pull(room)
                    .await
                    .map_err(|error| error.to_string())?;
                let boxed = |delivery| Delivery::Nats(Box::new(delivery));
                Ok(pulled.map(|deliveries| deliveries.into_iter().map(boxed).collect()))
            }
            Consumer::Embedded { leaving: true, .. } => Ok(None),
            Consumer::Embedded { consumer, .. } => {
                let pulled = consumer.pull(room, EMBEDDED_PULL_WAIT).await;
                let boxed = |delivery| Delivery::Embedded(Box::new(delivery));
                Ok(Some(pulled.into_iter().map(boxed).collect()))
            }
        }
    }

    /// Those that were asked for before, without asking for more; forever pending when none are.
    /// Cancel safe.
    ///
    /// # Errors
    /// The consumer is gone: open it anew.
    pub(crate) async fn owed(&mut self) -> Result<Option<Vec<Delivery>>, String> {
        let owes = match self {
            Consumer::Nats(consumer) => consumer.owes(),
            // Its pulls end with their future.
            Consumer::Embedded { .. } => false,
        };
        if owes {
            self.pull(0).await
        } else {
            std::future::pending().await
        }
    }

    /// Asks for nothing more; what was asked for still comes, then `None`.
    pub(crate) fn leave(&mut self) {
        match self {
            Consumer::Nats(consumer) => consumer.leave(),
            Consumer::Embedded { leaving, .. } => *leaving = true,
        }
    }
}

impl Delivery {
    pub(crate) fn stream(&self) -> &str {
        match self {
            Delivery::Nats(delivery) => &delivery.stream,
            Delivery::Embedded(delivery) => &delivery.stream,
        }
    }

    pub(crate) fn sequence(&self) -> u64 {
        match self {
            Delivery::Nats(delivery) => delivery.sequence,
            Delivery::Embedded(delivery) => delivery.seq,
        }
    }

    pub(crate) fn subject(&self) -> &str {
        match self {
            Delivery::Nats(delivery) => &delivery.subject,
            Delivery::Embedded(delivery) => &delivery.subject,
        }
    }

    pub(crate) fn message(&self) -> &Message {
        match self {
            Delivery::Nats(delivery) => &delivery.message,
            Delivery::Embedded(delivery) => &delivery.message,
        }
    }

    /// Its headers, where they cannot be read and the message is without them.
    pub(crate) fn unreadable(&self) -> Option<&Unreadable> {
        match self {
            Delivery::Nats(delivery) => delivery.unreadable.as_ref(),
            Delivery::Embedded(_) => None,
        }
    }

    /// The event that it is; the text says why it is none.
    pub(crate) fn event(&self) -> Result<CloudEvent, String> {
        if let Some(Unreadable { reason, .. }) = self.unreadable() {
            return Err(format!("undecodable: headers cannot be read: {reason}"));
        }
        let message = self.message();
        let decoded = CloudEvent::decode(message);
        let mut event = decoded.map_err(|error| format!("undecodable: {error}"))?;
        event.trace_from_headers(&message.headers);
        Ok(event)
    }

    /// 1 at first.
    pub(crate) fn attempt(&self) -> u32 {
        match self {
            Delivery::Nats(delivery) => delivery.attempt,
            Delivery::Embedded(delivery) => delivery.attempt,
        }
    }

    pub(crate) fn stored_at(&self) -> DateTime<Utc> {
        match self {
            Delivery::Nats(delivery) => delivery.stored_at,
            Delivery::Embedded(delivery) => delivery.stored_at,
        }
    }

    /// When it comes again, left to another replica: soon, and later the more often it came here.
    pub(crate) fn left_for(&self) -> Duration {
        LEFT_FIRST * (1 << (self.attempt().clamp(1, LEFT_DOUBLED) - 1))
    }

    /// Waits for the work on it. While that takes, the ack wait begins anew again and again.
    pub(crate) async fn at_work<T>(&self, ack_wait: Duration, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let every = ack_wait / 2;
        let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = ticks.tick() => self.in_progress().await,
            }
        }
    }

    /// Ends it.
    pub(crate) async fn settle(self, end: End) -> Result<(), String> {
        match end {
            End::Ack => self.ack().await,
            End::Nak(delay) => self.nak(delay).await,
            End::Term(reason) => self.term(&reason).await,
        }
    }

    /// Done: it never comes again.
    pub(crate) async fn ack(self) -> Result<(), String> {
        match self {
            Delivery::Nats(delivery) => delivery.ack().await.map_err(|error| error.to_string()),
            Delivery::Embedded(delivery) => {
                delivery.ack();
                Ok(())
            }
        }
    }

    /// It comes again after `delay`.
    pub(crate) async fn nak(self, delay: Duration) -> Result<(), String> {
        match self {
            Delivery::Nats(delivery) => {
                let told = delivery.nak(delay).await;
                told.map_err(|error| error.to_string())
            }
            Delivery::Embedded(delivery) => {
                delivery.nak(delay);
                Ok(())
            }
        }
    }

    /// It never comes again, for this reason.
    pub(crate) async fn term(self, reason: &str) -> Result<(), String> {
        match self {
            Delivery::Nats(delivery) => {
                let ended = delivery.term(reason).await;
                ended.map_err(|error| error.to_string())
            }
            Delivery::Embedded(delivery) => {
                delivery.term(reason);
                Ok(())
            }
        }
    }

    /// Still at work: the ack wait begins anew.
    pub(crate) async fn in_progress(&self) {
        match self {
            // If it is lost the next one is not.
            Delivery::Nats(delivery) => drop(delivery.in_progress().await),
            Delivery::Embedded(delivery) => delivery.in_progress(),
        }
    }
}
