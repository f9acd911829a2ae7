//! Streams: which subject is whose, publishing, and the consumers that a publish wakes.
//!
//! One lock a stream guards its log and its consumers; it is never held across an await.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::consumer::{Consumer, StartFrom};
use super::delivery::BusConsumer;
use super::log::{Appended, Log, Stored, StoredMessage, StreamLimits};
use super::{Bus, BusError, Counts, after, check_name, lock};
use crate::envelope::Message;
use crate::subject::SubjectPattern;

/// One stream: what never changes, and behind the lock what does.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) name: String,
    subjects: Vec<SubjectPattern>,
    pub(super) state: Mutex<StreamState>,
    /// Told at each message stored.
    pub(super) stored: Notify,
}

#[derive(Debug)]
pub(super) struct StreamState {
    pub(super) log: Log,
    pub(super) durables: HashMap<String, Durable>,
}

/// A consumer, and who waits for it.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) consumer: Consumer,
    /// Told when a pull may get more, or must wake earlier, than it thought. Also tells a durable
    /// from a later one of the same name.
    pub(super) wake: Arc<Notify>,
}

impl Bus {
    /// Creates a stream with the limits of [`BusConfig::stream`](super::BusConfig::stream). One
    /// that exists with the same subjects and limits is left as it is.
    ///
    /// # Errors
    /// See [`Bus::create_stream_with`].
    pub fn create_stream(&self, name: &str, subjects: &[SubjectPattern]) -> Result<(), BusError> {
        self.create_stream_with(name, subjects, self.inner.config.stream)
    }

    /// Creates a stream with limits of its own.
    ///
    /// # Errors
    /// `Name`, `NoSubjects`, `StreamOverlap` with its own subjects or another stream's,
    /// `StreamDiffers`.
    pub fn create_stream_with(
        &self,
        name: &str,
        subjects: &[SubjectPattern],
        limits: StreamLimits,
    ) -> Result<(), BusError> {
        check_name(name)?;
        if subjects.is_empty() {
            return Err(BusError::NoSubjects {
                stream: name.to_owned(),
            });
        }
        let mut streams = lock(&self.inner.streams);
        if let Some(have) = streams.iter().find(|stream| stream.name == name) {
            let same = have.subjects == subjects && lock(&have.state).log.limits() == limits;
            let differs = BusError::StreamDiffers {
                stream: name.to_owned(),
            };
            return if same { Ok(()) } else { Err(differs) };
        }
        for (index, subject) in subjects.iter().enumerate() {
            let own = subjects[..index].iter().map(|taken| (name, taken));
            let others = streams
                .iter()
                .flat_map(|s| s.subjects.iter().map(|t| (&*s.name, t)));
            if let Some((stream, taken)) = own.chain(others).find(|(_, t)| t.overlaps(subject)) {
                return Err(BusError::StreamOverlap {
                    subject: subject.to_string(),
                    taken: taken.to_string(),
                    stream: stream.to_owned(),
                });
            }
        }
        let log = Log::new(limits, self.inner.config.duplicate_window);
        streams.push(Arc::new(Stream {
            name: name.to_owned(),
            subjects: subjects.to_vec(),
            state: Mutex::new(StreamState {
                log,
                durables: HashMap::new(),
            }),
            stored: Notify::new(),
        }));
        tracing::debug!(
            stream = name,
            subjects = super::describe(subjects),
            "stream created"
        );
        Ok(())
    }

    /// The stream that takes a subject.
    pub fn stream_of(&self, subject: &str) -> Option<String> {
        self.taker(subject).map(|stream| stream.name.clone())
    }

    /// A stream that takes some subject of a pattern: what an op or a wildcard must not have.
    pub fn stream_overlapping(&self, pattern: &SubjectPattern) -> Option<String> {
        let streams = lock(&self.inner.streams);
        let overlaps = |stream: &&Arc<Stream>| stream.subjects.iter().any(|s| s.overlaps(pattern));
        streams
            .iter()
            .find(overlaps)
            .map(|stream| stream.name.clone())
    }

    /// Stores a message in the stream that takes its subject. Whoever subscribes to the subject
    /// sees it too, stored or not. A `Nats-Msg-Id` header that the stream saw within the duplicate
    /// window makes it a duplicate; `expect_last_subject_seq` makes it a compare-and-set (0: the
    /// subject must be empty).
    ///
    /// # Errors
    /// `NoStream`, `WrongLastSequence`, `StreamFull`, `TooLarge`, `Subject`.
    pub async fn publish(
        &self,
        subject: &str,
        message: Message,
        expect_last_subject_seq: Option<u64>,
    ) -> Result<Stored, BusError> {
        // Nothing else here waits: a loop of publishes must still let others run.
        tokio::task::coop::consume_budget().await;
        self.check(subject, &message)?;
        self.hand_out(subject, &message, None);
        let Some(stream) = self.taker(subject) else {
            return Err(BusError::NoStream {
                subject: subject.to_owned(),
            });
        };
        let now = Instant::now();
        let now = (now, self.inner.clock.at(now));
        let (stored, discarded) = stream.append(subject, message, expect_last_subject_seq, now)?;
        if discarded > 0 {
            self.inner.count(
                subject,
                Counts {
                    discarded,
                    ..Counts::default()
                },
            );
        }
        Ok(stored)
    }

    /// A durable pull consumer: a new one begins at `start`; one that exists goes on where it was,
    /// and filters it lacks are added, for messages stored from now on. No filters means all that
    /// the stream takes. Handles to one durable share its messages.
    ///
    /// # Errors
    /// `UnknownStream`, `Name`.
    pub fn consumer(
        &self,
        stream: &str,
        durable: &str,
        filters: &[SubjectPattern],
        start: StartFrom,
    ) -> Result<BusConsumer, BusError> {
        check_name(durable)?;
        let stream = self.named(stream)?;
        let filters = if filters.is_empty() {
            &stream.subjects
        } else {
            filters
        };
        let mut state = lock(&stream.state);
        let StreamState { log, durables } = &mut *state;
        let wake = if let Some(have) = durables.get_mut(durable) {
            have.consumer.grow(filters, log.next());
            Arc::clone(&have.wake)
        } else {
            let kept = self.inner.config.terminations_kept;
            let consumer = Consumer::new(filters, start, log, kept);
            let wake = Arc::new(Notify::new());
            durables.insert(
                durable.to_owned(),
                Durable {
                    consumer,
                    wake: Arc::clone(&wake),
                },
            );
            wake
        };
        drop(state);
        // With none a message would come again within the pull that took it.
        let ack_wait = self.inner.config.ack_wait.max(Duration::from_millis(1));
        Ok(BusConsumer::new(stream, durable, wake, ack_wait))
    }

    /// Forgets a durable and all it had in flight; handles to it get nothing any more. Whether
    /// there was one.
    ///
    /// # Errors
    /// `UnknownStream`.
    pub fn delete_consumer(&self, stream: &str, durable: &str) -> Result<bool, BusError> {
        Ok(lock(&self.named(stream)?.state)
            .durables
            .remove(durable)
            .is_some())
    }

    /// All messages of a stream, oldest first; none if there is no such stream.
    pub fn messages(&self, stream: &str) -> Vec<StoredMessage> {
        self.named(stream)
            .map(|stream| copy(&stream.messages(|_| true)))
            .unwrap_or_default()
    }

    /// The stream's messages that `pattern` matches, as soon as there are `count` of them, or
    /// whatever there is after `wait`: for tests, instead of sleeping.
    pub async fn wait_for_messages(
        &self,
        stream: &str,
        pattern: &SubjectPattern,
        count: usize,
        wait: Duration,
    ) -> Vec<StoredMessage> {
        let Ok(named) = self.named(stream) else {
            return Vec::new();
        };
        let end = after(Instant::now(), wait);
        loop {
            let mut stored = std::pin::pin!(named.stored.notified());
            stored.as_mut().enable();
            let messages = named.messages(|stored| pattern.matches(&stored.subject));
            if messages.len() >= count || timeout_at(end, stored).await.is_err() {
                return copy(&messages);
            }
        }
    }

    fn taker(&self, subject: &str) -> Option<Arc<Stream>> {
        let streams = lock(&self.inner.streams);
        let takes = |stream: &&Arc<Stream>| stream.subjects.iter().any(|s| s.matches(subject));
        streams.iter().find(takes).cloned()
    }

    pub(super) fn named(&self, name: &str) -> Result<Arc<Stream>, BusError> {
        let streams = lock(&self.inner.streams);
        let found = streams.iter().find(|stream| stream.name == name).cloned();
        found.ok_or_else(|| BusError::UnknownStream {
            stream: name.to_owned(),
        })
    }
}

impl Stream {
    fn messages(&self, wanted: impl Fn(&StoredMessage) -> bool) -> Vec<Arc<StoredMessage>> {
        lock(&self.state)
            .log
            .iter()
            .filter(|stored| wanted(stored))
            .cloned()
            .collect()
    }

    /// Stores, wakes who wants it, and says how many unsettled messages had to leave for it.
    fn append(
        &self,
        subject: &str,
        message: Message,
        expect_last_of_subject: Option<u64>,
        now: (Instant, chrono::DateTime<chrono::Utc>),
    ) -> Result<(Stored, u64), BusError> {
        let mut state = lock(&self.state);
        let StreamState { log, durables } = &mut *state;
        let appended = log.append(&self.name, subject, message, expect_last_of_subject, now)?;
        let mut missed = 0;
        for old in &appended.discarded {
            let mut unsettled = false;
            for durable in durables.values_mut() {
                unsettled |= durable.consumer.discarded(old);
            }
            missed += u64::from(unsettled);
        }
        if !appended.duplicate {
            if let Some(stored) = log.get(appended.seq) {
                let wanting = durables
                    .values()
                    .filter(|durable| durable.consumer.wants(stored));
                wanting.for_each(|durable| durable.wake.notify_one());
            }
            self.stored.notify_waiters();
        }
        let Appended { seq, duplicate, .. } = appended;
        Ok((
            Stored {
                stream: self.name.clone(),
                seq,
                duplicate,
            },
            missed,
        ))
    }
}

/// Apart from the locked look: bodies are shared, headers are not.
fn copy(messages: &[Arc<StoredMessage>]) -> Vec<StoredMessage> {
    messages
        .iter()
        .map(|stored| StoredMessage::clone(stored))
        .collect()
}
