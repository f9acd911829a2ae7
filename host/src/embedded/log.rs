//! The messages of one stream: sequences, ids seen, the last sequence of a subject, limits.
//!
//! Pure: it is told the time. Must not know consumers, locks or subscriptions.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::BusError;
use crate::envelope::Message;
use crate::envelope::headers::NATS_MSG_ID;

/// How much a stream keeps, and what it does when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// How many messages. 1,000,000.
    pub max_messages: usize,
    /// How many bytes, headers and bodies. 256 MiB.
    pub max_bytes: usize,
    /// What happens at a limit.
    pub retention: Retention,
}

/// What a full stream does with the next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Drops its oldest messages: a stream of events. Those that a consumer has not settled are
    /// counted as [`discarded`](super::Counts::discarded).
    DiscardOld,
    /// Refuses it with [`BusError::StreamFull`]: a stream of dead letters.
    DiscardNew,
}

/// The answer to a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where it is.
    pub stream: String,
    /// At which sequence; for a duplicate, that of the first.
    pub seq: u64,
    /// Whether the stream had the message's id already and so stored nothing.
    pub duplicate: bool,
}

/// A message in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its sequence; the first message of a stream has 1.
    pub seq: u64,
    /// Where it was published.
    pub subject: String,
    /// Headers and body.
    pub message: Message,
    /// When it was stored.
    pub time: DateTime<Utc>,
}

/// The messages of one stream. Sequences have no gaps: only the oldest ever leave.
#[derive(Debug)]
pub(super) struct Log {
    limits: StreamLimits,
    duplicate_window: Duration,
    first: u64,
    bytes: usize,
    messages: VecDeque<Arc<StoredMessage>>,
    last_of_subject: HashMap<String, u64>,
    ids: HashMap<String, u64>,
    /// The same ids, oldest first, with the time at which each is forgotten.
    ids_by_age: VecDeque<(Instant, String)>,
}

/// What an append did.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) seq: u64,
    pub(super) duplicate: bool,
    /// What had to leave for it, oldest first.
    pub(super) discarded: Vec<Arc<StoredMessage>>,
}

impl Default for StreamLimits {
    fn default() -> StreamLimits {
        StreamLimits {
            max_messages: 1_000_000,
            max_bytes: 256 << 20,
            retention: Retention::DiscardOld,
        }
    }
}

impl Log {
    pub(super) fn new(limits: StreamLimits, duplicate_window: Duration) -> Log {
        Log {
            limits,
            duplicate_window,
            first: 1,
            bytes: 0,
            messages: VecDeque::new(),
            last_of_subject: HashMap::new(),
            ids: HashMap::new(),
            ids_by_age: VecDeque::new(),
        }
    }

    pub(super) fn limits(&self) -> StreamLimits {
        self.limits
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The sequence that the next message gets.
    pub(super) fn next(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    pub(super) fn get(&self, seq: u64) -> Option<&Arc<StoredMessage>> {
        let index = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.messages.get(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<StoredMessage>> {
        self.messages.iter()
    }

    /// The sequence of the first message stored at `time` or later.
    pub(super) fn since(&self, time: DateTime<Utc>) -> u64 {
        self.first + self.messages.partition_point(|stored| stored.time < time) as u64
    }

    /// Stores a message, in the order of checks that nats-server has: an id seen before is a
    /// duplicate even if the expectation fails, so that a repeated publish is told "stored".
    pub(super) fn append(
        &mut self,
        stream: &str,
        subject: &str,
        message: Message,
        expect_last_of_subject: Option<u64>,
        now: (Instant, DateTime<Utc>),
    ) -> Result<Appended, BusError> {
        let (now, time) = now;
        self.forget_ids(now);
        let id = message
            .headers
            .get(NATS_MSG_ID)
            .filter(|id| !id.is_empty())
            .map(str::to_owned);
        if let Some(&seq) = id.as_ref().and_then(|id| self.ids.get(id)) {
            return Ok(Appended {
                seq,
                duplicate: true,
                discarded: Vec::new(),
            });
        }
        let last = self.last_of_subject.get(subject).copied().unwrap_or(0);
        if let Some(expected) = expect_last_of_subject.filter(|expected| *expected != last) {
            let subject = subject.to_owned();
            return Err(BusError::WrongLastSequence {
                subject,
                expected,
                last,
            });
        }
        let size = message.wire_size() + subject.len();
        let discarded = self.make_room(stream, size)?;

        let seq = self.next();
        if let Some(id) = id {
            self.ids.insert(id.clone(), seq);
            self.ids_by_age
                .push_back((super::after(now, self.duplicate_window), id));
        }
        match self.last_of_subject.get_mut(subject) {
            Some(last) => *last = seq,
            None => drop(self.last_of_subject.insert(subject.to_owned(), seq)),
        }
        self.bytes += size;
        let stored = StoredMessage {
            seq,
            subject: subject.to_owned(),
            message,
            time,
        };
        self.messages.push_back(Arc::new(stored));
        Ok(Appended {
            seq,
            duplicate: false,
            discarded,
        })
    }

    fn forget_ids(&mut self, now: Instant) {
        while self
            .ids_by_age
            .front()
            .is_some_and(|(until, _)| *until <= now)
        {
            if let Some((_, id)) = self.ids_by_age.pop_front() {
                self.ids.remove(&id);
            }
        }
    }

    fn make_room(
        &mut self,
        stream: &str,
        size: usize,
    ) -> Result<Vec<Arc<StoredMessage>>, BusError> {
        let full = |limit| BusError::StreamFull {
            stream: stream.to_owned(),
            limit,
        };
        if self.limits.max_messages == 0 {
            return Err(full("max_messages"));
        }
        if size > self.limits.max_bytes {
            return Err(full("max_bytes"));
        }
        let mut discarded = Vec::new();
        loop {
            let limit = if self.messages.len() >= self.limits.max_messages {
                "max_messages"
            } else if self.bytes + size > self.limits.max_bytes {
                "max_bytes"
            } else {
                return Ok(discarded);
            };
            match self.limits.retention {
                Retention::DiscardNew => return Err(full(limit)),
                Retention::DiscardOld => discarded.extend(self.discard_oldest()),
            }
        }
    }

    fn discard_oldest(&mut self) -> Option<Arc<StoredMessage>> {
        let oldest = self.messages.pop_front()?;
        self.first += 1;
        self.bytes -= oldest.message.wire_size() + oldest.subject.len();
        if self.last_of_subject.get(&oldest.subject) == Some(&oldest.seq) {
            self.last_of_subject.remove(&oldest.subject);
        }
        Some(oldest)
    }
}
