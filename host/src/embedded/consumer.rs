//! Where one durable consumer stands: what it wants, what is in flight, what comes again and when.
//!
//! Pure: it is told the time and shown the log. Must not know locks, wake-ups or who pulls.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::after;
use super::log::{Log, StoredMessage};
use crate::subject::SubjectPattern;

/// Where a new durable consumer begins. One that exists goes on where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// After the last message stored so far.
    New,
    /// With the oldest message there is.
    All,
    /// With the first message stored at this time or later.
    Time(DateTime<Utc>),
    /// With this sequence, or the oldest after it.
    Sequence(u64),
}

/// A delivery that ended by [`BusDelivery::term`](super::BusDelivery::term).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Termination {
    /// The message's sequence.
    pub seq: u64,
    /// How often it had been delivered.
    pub attempt: u32,
    /// The reason given.
    pub reason: String,
}

#[derive(Debug)]
pub(super) struct Consumer {
    filters: Vec<Filter>,
    /// Everything before it was delivered at least once, or is not wanted.
    cursor: u64,
    /// Delivered and not settled, by sequence. No limit: delayed retries must not stop the rest.
    in_flight: HashMap<u64, InFlight>,
    /// The same, by when each comes again. Exact, so that settled ones leave at once.
    due: BTreeSet<(Instant, u64)>,
    terminations: VecDeque<Termination>,
    terminations_kept: usize,
}

#[derive(Debug)]
struct Filter {
    pattern: SubjectPattern,
    /// The first sequence it is for.
    from: u64,
}

#[derive(Debug)]
struct InFlight {
    due: Instant,
    attempt: u32,
}

impl Consumer {
    pub(super) fn new(
        filters: &[SubjectPattern],
        start: StartFrom,
        log: &Log,
        kept: usize,
    ) -> Self {
        let cursor = match start {
            StartFrom::New => log.next(),
            StartFrom::All => log.first(),
            StartFrom::Time(time) => log.since(time),
            StartFrom::Sequence(seq) => seq,
        };
        let mut consumer = Consumer {
            filters: Vec::new(),
            cursor,
            in_flight: HashMap::new(),
            due: BTreeSet::new(),
            terminations: VecDeque::new(),
            terminations_kept: kept,
        };
        consumer.grow(filters, 0);
        consumer
    }

    /// Adds what is not wanted yet, for messages from sequence `from` on. Nothing ever leaves.
    pub(super) fn grow(&mut self, filters: &[SubjectPattern], from: u64) {
        for pattern in filters {
            if !self.filters.iter().any(|have| have.pattern.covers(pattern)) {
                self.filters.push(Filter {
                    pattern: pattern.clone(),
                    from,
                });
            }
        }
    }

    /// The filters, without those that another covers.
    pub(super) fn filters(&self) -> Vec<SubjectPattern> {
        let patterns = || self.filters.iter().map(|filter| &filter.pattern);
        let redundant = |p: &SubjectPattern| patterns().any(|other| other != p && other.covers(p));
        patterns()
            .filter(|pattern| !redundant(pattern))
            .cloned()
            .collect()
    }

    pub(super) fn wants(&self, stored: &StoredMessage) -> bool {
        self.filters
            .iter()
            .any(|f| f.from <= stored.seq && f.pattern.matches(&stored.subject))
    }

    /// Takes up to `max` messages: first those that come again, by when they were due, then new
    /// ones. Each is with its attempt and comes again after `ack_wait`, unless settled before.
    pub(super) fn take(
        &mut self,
        log: &Log,
        max: usize,
        now: Instant,
        ack_wait: Duration,
    ) -> Vec<(Arc<StoredMessage>, u32)> {
        let mut taken = Vec::new();
        let until = after(now, ack_wait);
        while taken.len() < max {
            let Some(stored) = self.next(log, now) else {
                break;
            };
            taken.push((Arc::clone(stored), self.deliver(stored.seq, until)));
        }
        taken
    }

    /// When the next message comes again, if no other does before.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The message is done with, whichever attempt said so. False if it was already.
    pub(super) fn settle(&mut self, seq: u64) -> bool {
        let settled = self.in_flight.remove(&seq);
        settled.is_some_and(|was| self.due.remove(&(was.due, seq)))
    }

    /// Like [`Consumer::settle`], and remembers why.
    pub(super) fn terminate(&mut self, seq: u64, reason: &str) -> bool {
        let attempt = self
            .in_flight
            .get(&seq)
            .map_or(0, |message| message.attempt);
        let settled = self.settle(seq);
        if settled {
            self.terminations.push_back(Termination {
                seq,
                attempt,
                reason: reason.to_owned(),
            });
            if self.terminations.len() > self.terminations_kept {
                self.terminations.pop_front();
            }
        }
        settled
    }

    /// The message comes again at `due`, neither before nor after. False if it was settled.
    pub(super) fn postpone(&mut self, seq: u64, due: Instant) -> bool {
        let Some(message) = self.in_flight.get_mut(&seq) else {
            return false;
        };
        self.due.remove(&(message.due, seq));
        self.due.insert((due, seq));
        message.due = due;
        true
    }

    /// The log discarded this message. Whether the consumer had not settled it, and so missed it.
    pub(super) fn discarded(&mut self, stored: &StoredMessage) -> bool {
        self.settle(stored.seq) || (self.cursor <= stored.seq && self.wants(stored))
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How many messages were never delivered. Looks at each: for tests and people.
    pub(super) fn undelivered(&self, log: &Log) -> usize {
        log.iter()
            .filter(|stored| stored.seq >= self.cursor && self.wants(stored))
            .count()
    }

    pub(super) fn terminations(&self) -> Vec<Termination> {
        self.terminations.iter().cloned().collect()
    }

    fn next<'log>(&mut self, log: &'log Log, now: Instant) -> Option<&'log Arc<StoredMessage>> {
        if let Some(&(due, seq)) = self.due.first()
            && due <= now
        {
            return log.get(seq);
        }
        self.cursor = self.cursor.max(log.first());
        while let Some(stored) = log.get(self.cursor) {
            if self.wants(stored) {
                return Some(stored);
            }
            self.cursor += 1;
        }
        None
    }

    fn deliver(&mut self, seq: u64, until: Instant) -> u32 {
        self.cursor = self.cursor.max(seq + 1);
        let message = self.in_flight.entry(seq).or_insert(InFlight {
            due: until,
            attempt: 0,
        });
        self.due.remove(&(message.due, seq));
        self.due.insert((until, seq));
        message.due = until;
        message.attempt = message.attempt.saturating_add(1);
        message.attempt
    }
}
