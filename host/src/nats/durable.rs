//! The durable consumer of one plugin on the server, as this host knows it. Must not know what
//! becomes of a delivery.
//!
//! Versions of one plugin may listen to different types, on hosts that share its durable. What they
//! agree by:
//! - The filters only grow, and what they are for is in the metadata ([`Facts`]). The server has no
//!   compare-and-set for a consumer, so whoever changes one holds a lock ([`super::lock`]).
//! - Nobody acknowledges an event because it knows nothing of its type before it has read the facts
//!   again, after the event came. They only grow: what they lack then was for nobody.
//! - A type that they have and the version here does not handle: whoever is there and handles it
//!   gets the event ([`super::peers`]); when nobody has been for a while it is a dead letter.
//! - A version pulls nothing while one is there that listens to all it does, and to more.
//!
//! The facts are looked at every few seconds, so that a consumer that grew, or was cut down by
//! others, is noticed without an event. From the first try on the host remembers from which
//! sequence on a version listens, and of an open consumer what was acknowledged: one that opens
//! late, or was deleted, begins there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Client;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::durable_config::DurableConfig;
use super::facts::Facts;
use super::peers::{Others, Whose};
use super::pull::Consumer;
use super::{Delivery, Nats, NatsError, api, raw};
use crate::subject::SubjectPattern;

/// Between two looks at the facts.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks in a row that may fail before a version takes events again that yields: whoever listens to
/// more may have gone unheard, and to yield is a courtesy.
const FAILED_MAX: u32 = 2;

/// A plugin's consumer. Its loop, its deliveries and its looks share it.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(super) nats: Nats,
    pub(super) stream: String,
    pub(super) name: String,
    known: Mutex<Known>,
    /// One look or change at a time: the others then have what it brought.
    pub(super) looks: Semaphore,
    pub(super) others: Others,
    /// Whether another version, which listens to more, gets the events.
    yields: watch::Sender<bool>,
    /// To look now.
    look: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    /// Of the version that was opened last.
    wanted: Option<Arc<DurableConfig>>,
    pub(super) facts: Arc<Facts>,
    /// When the reading of the facts began.
    pub(super) read: Option<Instant>,
    /// When the stream was made: sequences are of this one.
    pub(super) stream_made: String,
    /// When the consumer was made: another one of its name has facts of its own.
    pub(super) made: String,
    /// For each pattern, the first sequence after it was wanted first.
    pub(super) first: BTreeMap<SubjectPattern, u64>,
    /// All up to it was acknowledged.
    pub(super) floor: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ConsumerInfo {
    #[serde(default)]
    pub(super) created: String,
    pub(super) config: Map<String, Value>,
    /// What was delivered last.
    #[serde(default)]
    delivered: Floor,
    #[serde(default)]
    num_ack_pending: u64,
    #[serde(default)]
    pub(super) ack_floor: Floor,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Floor {
    #[serde(default)]
    pub(super) stream_seq: u64,
}

impl Durable {
    /// That consumer of the stream, of which nothing is known yet.
    pub(crate) fn new(nats: &Nats, stream: &str, name: &str) -> Arc<Durable> {
        Arc::new(Durable {
            nats: nats.clone(),
            stream: stream.to_owned(),
            name: name.to_owned(),
            known: Mutex::default(),
            looks: Semaphore::new(1),
            others: Others::default(),
            yields: watch::Sender::new(false),
            look: Notify::new(),
        })
    }

    /// Opens it for a version: creates it, or lets its filters grow.
    ///
    /// # Errors
    /// `Refused` by the server; `Other` if the consumer is one that cannot serve us.
    pub(crate) async fn open(
        self: &Arc<Self>,
        wanted: DurableConfig,
    ) -> Result<Consumer, NatsError> {
        let wanted = Arc::new(wanted);
        self.known().wanted = Some(wanted.clone());
        self.others.listens(&wanted.types);
        self.agree(&wanted).await?;
        self.others.pulls(true);
        self.look.notify_one();
        Ok(Consumer::new(self.nats.inner.events.clone(), self.clone()))
    }

    /// Looks at the facts from time to time, and answers the other replicas. For ever.
    pub(crate) async fn keep_up(&self) {
        let look = async {
            let mut failed: u32 = 0;
            loop {
                // Whichever comes first.
                let _ = tokio::time::timeout(LOOK_EVERY, self.look.notified()).await;
                let Err(error) = self.look_around().await else {
                    failed = 0;
                    continue;
                };
                debug!(consumer = self.name, %error, "cannot look at it");
                failed += 1;
                if failed >= FAILED_MAX && self.yields.send_replace(false) {
                    warn!(
                        consumer = self.name,
                        %error,
                        "cannot tell whether another host still has a version that listens to more: taking events again"
                    );
                }
            }
        };
        tokio::join!(look, self.answer());
    }

    /// Waits while another version gets the events.
    pub(crate) async fn until_it_may_pull(&self) {
        // An error: nobody can have dropped the sender, which is ours.
        let _ = self.yields.subscribe().wait_for(|yields| !yields).await;
    }

    /// Whether a message that has come is for the plugin: the server may send more than the filters
    /// say, when there are too many of them, or messages from before a filter was added.
    pub(crate) async fn wants(&self, subject: &str, sequence: u64) -> Result<bool, NatsError> {
        // What they want holds for ever; what they lack others may have added before it came.
        let known = self.known().facts.clone();
        if known.wants(subject, sequence) {
            return Ok(true);
        }
        let facts = self.facts_after(Instant::now()).await?;
        Ok(facts.wants(subject, sequence))
    }

    /// Whose an event is that has come and has no handler here.
    pub(crate) async fn whose(&self, subject: &str, ty: &str) -> Result<Whose, NatsError> {
        let came = Instant::now();
        if subject != ty && !self.facts_after(came).await?.name(ty) {
            return Ok(Whose::Nobodys);
        }
        let whose = self.whose_after(came, ty).await?;
        if whose == Whose::Others {
            self.look.notify_one();
        }
        Ok(whose)
    }

    /// What it has delivered, is not settled, and the client cannot read: the oldest that is not
    /// settled, and the last messages up to what it delivered last, are looked at.
    pub(super) async fn unreadable(&self) -> Vec<Delivery> {
        let what = format!("CONSUMER.INFO.{}.{}", self.stream, self.name);
        let info = match api::ask::<ConsumerInfo>(&self.client(), &what, &json!({})).await {
            Ok(info) if info.num_ack_pending > 0 => info,
            // The pull that comes next says what is wrong.
            Ok(_) | Err(_) => return Vec::new(),
        };
        let client = self.client();
        let (oldest, newest) = (info.ack_floor.stream_seq + 1, info.delivered.stream_seq);
        let filters = self.known().facts.on_the_server();
        // What ends each connection anew is soon the oldest.
        let first = match raw::first_on(&client, &self.stream, oldest, &filters).await {
            Ok(first) => first,
            Err(error) => {
                debug!(consumer = self.name, %error, "cannot look for headers that cannot be read");
                return Vec::new();
            }
        };
        let first = first.filter(|first| *first <= newest);
        let last = (oldest..=newest).rev();
        let last = last.filter(|sequence| Some(*sequence) != first);
        let sequences = first.into_iter().chain(last);
        let found = raw::unreadable(&client, &self.stream, sequences).await;
        let delivery = |(raw, reason)| {
            let lives = self.nats.inner.events.lives();
            Delivery::unreadable(lives, &self.stream, &self.name, raw, reason)
        };
        found.into_iter().map(delivery).collect()
    }

    /// The consumer was there and is not any more.
    pub(super) fn gone(&self) {
        self.others.pulls(false);
    }

    async fn look_around(&self) -> Result<(), NatsError> {
        let Some(wanted) = self.known().wanted.clone() else {
            return Ok(());
        };
        let began = Instant::now();
        let info = {
            let _one = self.looks.acquire().await;
            self.read().await?
        };
        let Some(config) = info else {
            // Its loop makes it anew, once it pulls.
            self.yields.send_replace(false);
            return Ok(());
        };
        let facts = self.known().facts.clone();
        if facts.is_empty() {
            return Ok(());
        }
        if !facts.are_in(&config) {
            warn!(
                consumer = self.name,
                "others have taken filters from it: adding them again"
            );
            self.agree(&wanted).await?;
        }
        let own = &wanted.filters;
        let exceeded = !own.is_empty() && facts.exceed(own, &wanted.types);
        let yields = exceeded && self.others_listen_to_more(began).await?;
        if self.yields.send_replace(yields) != yields {
            if yields {
                warn!(
                    consumer = self.name,
                    "another host has a version that listens to more: leaving the events to it"
                );
            } else {
                warn!(
                    consumer = self.name,
                    "no other host has a version that listens to more: taking events again"
                );
            }
        }
        Ok(())
    }

    /// Facts that were read later than `came`.
    async fn facts_after(&self, came: Instant) -> Result<Arc<Facts>, NatsError> {
        let _one = self.looks.acquire().await;
        {
            let known = self.known();
            if known.read.is_some_and(|read| read >= came) {
                return Ok(known.facts.clone());
            }
        }
        if self.read().await?.is_none() {
            return Err(NatsError::Other("its consumer is gone".to_owned()));
        }
        let facts = self.known().facts.clone();
        if facts.is_empty() {
            // Forgotten with a stream that was made anew, and not agreed on since.
            return Err(NatsError::Other(
                "it is not known yet what its consumer is for".to_owned(),
            ));
        }
        Ok(facts)
    }

    /// Reads what is on the server, and learns from it.
    pub(super) async fn read(&self) -> Result<Option<Map<String, Value>>, NatsError> {
        let began = Instant::now();
        let what = format!("CONSUMER.INFO.{}.{}", self.stream, self.name);
        let info = match api::ask::<ConsumerInfo>(&self.client(), &what, &json!({})).await {
            Ok(info) => info,
            Err(NatsError::Refused {
                code: api::CONSUMER_NOT_FOUND,
                ..
            }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut known = self.known();
        let is_another = known.made != info.created;
        known.made = info.created;
        // Known to none as yet: what the consumer is for is for `agree` to say.
        if !known.facts.is_empty() {
            let there = Facts::of(&info.config);
            let facts = match &known.wanted {
                // Made anew by others: what the version here wants it has wanted since before.
                Some(wanted) if is_another => there.grown(&wanted.for_all_messages()),
                _ => known.facts.grown(&there),
            };
            known.facts = Arc::new(facts);
            known.read = Some(began);
            known.floor = Some(info.ack_floor.stream_seq);
        }
        Ok(Some(info.config))
    }

    /// What an answer of the server says.
    pub(super) fn learn(&self, facts: Facts, read: Instant, floor: Option<u64>) {
        let mut known = self.known();
        known.facts = Arc::new(facts);
        known.read = Some(read);
        known.floor = floor.or(known.floor);
    }

    pub(super) fn client(&self) -> Arc<Client> {
        self.nats.inner.events.client()
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
