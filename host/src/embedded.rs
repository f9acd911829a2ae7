//! The embedded bus: what NATS core and JetStream do for Conche, inside one process and in memory.
//!
//! `conche dev` runs on it, and it is the double for tests that want a bus and no server. It owns
//! subjects, queue groups, request and reply, streams, durable consumers and redelivery. It must
//! not know CloudEvents, plugins, policies or files: it carries a [`Message`] from here to there.
//!
//! As with NATS: a queue group is one receiver, chosen at random, and spans patterns; an asker
//! whom nobody serves hears so at once; a message is its headers and its body, and both count
//! for the largest payload; a stream stores an id once within a window; what a consumer does not
//! settle within the ack wait comes again, beside and after newer messages; an ack counts for the
//! message, whichever attempt it comes from.
//!
//! On purpose unlike NATS:
//! - A full subscription buffer passes a message to another member of its group; if all are full
//!   the asker gets [`BusError::Overflow`], and the loss is counted ([`Bus::counts`]). NATS drops.
//! - A request to a subject that a stream takes is refused; NATS would store it and answer with
//!   the stream's publish ack.
//! - A durable's filters only grow, and an added one starts at the end of the stream; NATS
//!   replaces them. It is what the host makes of NATS.
//! - Nothing survives the process.
//!
//! All waiting goes by tokio's clock, so tests can pause it; times in messages follow that clock.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use conche::embedded::{Bus, StartFrom};
//! use conche::envelope::Message;
//! use std::time::Duration;
//!
//! let bus = Bus::default();
//! bus.create_stream("events", &["org.cyverse.events.>".parse()?])?;
//! let users = bus.consumer("events", "users", &[], StartFrom::New)?;
//!
//! bus.publish("org.cyverse.events.UserAdded", Message::default(), None).await?;
//! for delivery in users.pull(10, Duration::from_secs(1)).await {
//!     assert_eq!(delivery.attempt, 1);
//!     delivery.ack();
//! }
//! # Ok(())
//! # }
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::envelope::Message;
use crate::subject::{SubjectPattern, check_literal};

mod consumer;
mod delivery;
mod error;
mod log;
mod queries;
mod streams;
mod tail;

#[cfg(test)]
mod consumer_tests;
#[cfg(test)]
mod query_tests;
#[cfg(test)]
mod stream_tests;

pub use consumer::{StartFrom, Termination};
pub use delivery::{BusConsumer, BusDelivery};
pub use error::BusError;
pub use log::{Retention, Stored, StoredMessage, StreamLimits};
pub use queries::{Asked, Reply, Subscription};
pub use tail::BusTail;

/// A bus. Cloning gives another handle to the same one; it ends with its last handle.
#[derive(Debug, Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

/// The limits and waits of a bus.
#[derive(Debug, Clone)]
pub struct BusConfig {
    /// The largest message, in bytes, headers counted as NATS writes them. 1 MiB, as nats-server.
    pub max_payload: usize,
    /// Messages that one subscription holds for a reader that is slow; at least 1. 4096.
    pub subscription_capacity: usize,
    /// How long a delivery may stay unsettled before it comes again. 60 s.
    pub ack_wait: Duration,
    /// How long a stream remembers a message id, however many there are. 120 s, as nats-server.
    pub duplicate_window: Duration,
    /// The limits of a stream that is created without its own.
    pub stream: StreamLimits,
    /// How many terminations a consumer remembers, for [`BusConsumer::terminations`]. 256.
    pub terminations_kept: usize,
}

/// What went missing since the bus began; each was logged too. All zero in a healthy run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that a subscription or a whole queue group had no room for.
    pub overflowed: u64,
    /// Messages that lay unread in a subscription when it was dropped.
    pub unread: u64,
    /// Messages that a full stream discarded though a consumer had not settled them.
    pub discarded: u64,
}

#[derive(Debug)]
struct Inner {
    config: BusConfig,
    clock: Clock,
    counts: Mutex<Counts>,
    queries: Mutex<queries::Subscribers>,
    streams: Mutex<Vec<Arc<streams::Stream>>>,
}

/// Wall time that follows tokio's clock, paused or not.
#[derive(Debug)]
struct Clock {
    began: Instant,
    began_at: DateTime<Utc>,
}

impl Default for BusConfig {
    fn default() -> BusConfig {
        BusConfig {
            max_payload: 1 << 20,
            subscription_capacity: 4096,
            ack_wait: Duration::from_secs(60),
            duplicate_window: Duration::from_secs(120),
            stream: StreamLimits::default(),
            terminations_kept: 256,
        }
    }
}

impl Default for Bus {
    fn default() -> Bus {
        Bus::new(BusConfig::default())
    }
}

impl Bus {
    /// A bus with nobody on it.
    pub fn new(config: BusConfig) -> Bus {
        let clock = Clock {
            began: Instant::now(),
            began_at: Utc::now(),
        };
        Bus {
            inner: Arc::new(Inner {
                config,
                clock,
                counts: Mutex::default(),
                queries: Mutex::default(),
                streams: Mutex::default(),
            }),
        }
    }

    /// The largest message, in bytes, headers included.
    pub fn max_payload(&self) -> usize {
        self.inner.config.max_payload
    }

    /// What went missing so far.
    pub fn counts(&self) -> Counts {
        *lock(&self.inner.counts)
    }

    /// Sends to whoever subscribes now, and stores it if a stream takes the subject; no answer is
    /// wanted ([`Asked::reply`] is `None`). That nobody listens is no error, as with NATS.
    ///
    /// # Errors
    /// `Subject`, `TooLarge`, `StreamFull`. A subscription without room is counted only.
    pub async fn send(&self, subject: &str, message: Message) -> Result<(), BusError> {
        match self.publish(subject, message, None).await {
            Ok(_) | Err(BusError::NoStream { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    fn check(&self, subject: &str, message: &Message) -> Result<(), BusError> {
        check_literal(subject)?;
        self.inner.check_size(message)
    }
}

impl Inner {
    fn check_size(&self, message: &Message) -> Result<(), BusError> {
        let (size, max) = (message.wire_size(), self.config.max_payload);
        if size > max {
            Err(BusError::TooLarge { size, max })
        } else {
            Ok(())
        }
    }

    /// Adds to the counts, and logs at 1, 2, 4, 8 … so that a flood of losses is no flood of lines.
    fn count(&self, subject: &str, lost: Counts) {
        let mut counts = lock(&self.counts);
        counts.overflowed += lost.overflowed;
        counts.unread += lost.unread;
        counts.discarded += lost.discarded;
        let Counts {
            overflowed,
            unread,
            discarded,
        } = *counts;
        drop(counts);
        if (overflowed + unread + discarded).is_power_of_two() {
            tracing::warn!(
                subject,
                overflowed,
                unread,
                discarded,
                "embedded bus lost messages"
            );
        }
    }
}

impl Clock {
    fn at(&self, now: Instant) -> DateTime<Utc> {
        self.began_at + now.saturating_duration_since(self.began)
    }
}

fn check_name(name: &str) -> Result<(), BusError> {
    let illegal = |c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c);
    if name.is_empty() || name.contains(illegal) {
        return Err(BusError::Name {
            name: name.to_owned(),
        });
    }
    Ok(())
}

/// `now + delay` for delays that others choose: one too long for the clock is 30 years, no panic.
fn after(now: Instant, delay: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
    now.checked_add(delay.min(FAR)).unwrap_or(now)
}

/// Nothing panics while it holds one of our locks half-way through a change, so a poisoned lock
/// still guards a whole value.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn describe(patterns: &[SubjectPattern]) -> String {
    patterns
        .iter()
        .map(SubjectPattern::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
