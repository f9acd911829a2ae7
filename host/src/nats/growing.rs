//! How a plugin's consumer is made, and how its filters grow. Replicas change it one after the other:
//! the server has no compare-and-set for a consumer, and of two that read it and then write it the
//! later would take away what the earlier had added. The lock is another consumer, which only one of
//! them can create; whoever does not come to delete it loses it after a while. Must not know who
//! pulls.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::durable::{ConsumerInfo, Durable};
use super::facts::{ANY_TYPE, Facts, METADATA_KEY};
use super::streams::{self, StreamInfo};
use super::{NatsError, api};
use crate::envelope::new_id;
use crate::policy::Start;
use crate::subject::SubjectPattern;

/// How often a change is tried again when another replica changes the consumer meanwhile, and the
/// pause before.
const TRIES: usize = 20;
const TRY_PAUSE: Duration = Duration::from_millis(100);

/// How long a change may take at the most, its answers being that of the lock, what the lock is, what
/// the consumer is, and that of the change.
const LOCK_HELD: Duration = api::TIMEOUT.saturating_mul(4);

/// What a plugin wants of its consumer.
#[derive(Debug, Clone)]
pub(crate) struct DurableConfig {
    /// Subjects of its types; none: all that the stream takes.
    pub(crate) filters: Vec<SubjectPattern>,
    /// Its types, or [`ANY_TYPE`](super::facts::ANY_TYPE).
    pub(crate) types: Vec<String>,
    /// Those among them whose events come on subjects that are not theirs alone.
    pub(crate) shared: Vec<String>,
    /// Where a new one begins.
    pub(crate) start: Start,
    pub(crate) ack_wait: Duration,
}

impl Durable {
    pub(super) async fn agree(&self, wanted: &DurableConfig) -> Result<(), NatsError> {
        for _ in 0..TRIES {
            let agreed = {
                let _one = self.looks.acquire().await;
                self.try_to_agree(wanted).await?
            };
            if agreed {
                return Ok(());
            }
            tokio::time::sleep(TRY_PAUSE).await;
        }
        Err(NatsError::Other(format!(
            "consumer `{}` is changed by others all the time",
            self.name
        )))
    }

    /// False when somebody else is changing it.
    async fn try_to_agree(&self, wanted: &DurableConfig) -> Result<bool, NatsError> {
        let stream = streams::info(self.client(), &self.stream).await?;
        let own = self.note(&stream, wanted);
        let began = Instant::now();
        let Some(config) = self.read().await? else {
            return self.create(wanted, &own).await;
        };
        DurableConfig::check(&config, &self.stream, &self.name)?;
        let facts = self.grown(&config, &own, &stream);
        if wanted.is_met(&config, &facts) {
            self.learn(facts, began, None);
            return Ok(true);
        }
        let Some(lock) = Lock::take(self.client(), &self.stream, &self.name).await? else {
            return Ok(false);
        };
        // As it is now that nobody else changes it.
        let began = Instant::now();
        let mut config = match self.read().await {
            Ok(Some(config)) => config,
            nothing_asked => {
                lock.give_back().await;
                return nothing_asked.map(|_| false);
            }
        };
        let facts = self.grown(&config, &own, &stream);
        config.insert("ack_wait".to_owned(), json!(wanted.ack_wait_nanos()));
        config.remove("filter_subject");
        let changed = self.change("update", config, &facts).await;
        // Without an answer it may still happen: then the lock is held until it is too old.
        if matches!(changed, Ok(_) | Err(NatsError::Refused { .. })) {
            lock.give_back().await;
        }
        self.learn(facts, began, Some(changed?.ack_floor.stream_seq));
        Ok(true)
    }

    async fn create(&self, wanted: &DurableConfig, own: &Facts) -> Result<bool, NatsError> {
        let began = Instant::now();
        let (facts, start) = {
            let known = self.known();
            let first = known.first.values().copied().min().unwrap_or(1);
            let start = match (known.floor, wanted.start) {
                (Some(floor), _) => Start::Sequence(floor + 1),
                // New when it was wanted first, and not when the server is ready for it.
                (None, Start::New) => Start::Sequence(first),
                (None, start) => start,
            };
            match known.floor {
                Some(_) => (known.facts.grown(own), start),
                None => (own.for_all_messages(), start),
            }
        };
        let config = wanted.to_create(&self.name, start);
        match self.change("create", config, &facts).await {
            Ok(info) => {
                self.learn(facts, began, Some(info.ack_floor.stream_seq));
                Ok(true)
            }
            Err(NatsError::Refused {
                code: api::CONSUMER_EXISTS,
                ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What the version wants, each pattern from where the stream was when it was wanted first.
    fn note(&self, stream: &StreamInfo, wanted: &DurableConfig) -> Facts {
        let mut known = self.known();
        if known.stream_made != stream.created {
            // Made anew: sequences begin again.
            known.facts = Arc::default();
            known.read = None;
            known.first.clear();
            known.floor = None;
            known.stream_made.clone_from(&stream.created);
        }
        let patterns = if wanted.filters.is_empty() {
            stream.config.patterns().collect()
        } else {
            wanted.filters.clone()
        };
        let next = stream.state.last_seq + 1;
        let filters = patterns.into_iter().map(|pattern| {
            let first = *known.first.entry(pattern.clone()).or_insert(next);
            (pattern, first)
        });
        Facts::new(filters.collect(), &wanted.shared)
    }

    /// What is on the server, with what this host knows of and what it wants.
    fn grown(&self, config: &Map<String, Value>, own: &Facts, stream: &StreamInfo) -> Facts {
        let mut there = Facts::of(config);
        if there.is_empty() {
            // Somebody made it without a filter, and so for all there is.
            let all = stream.config.patterns().map(|pattern| (pattern, 0));
            there = Facts::new(all.collect(), &[]);
        }
        there.grown(&self.known().facts).grown(own)
    }

    async fn change(
        &self,
        action: &str,
        mut config: Map<String, Value>,
        facts: &Facts,
    ) -> Result<ConsumerInfo, NatsError> {
        let text = serde_json::to_string(facts).unwrap_or_default();
        let metadata = config.entry("metadata").or_insert_with(|| json!({}));
        if let Value::Object(metadata) = metadata {
            metadata.insert(METADATA_KEY.to_owned(), json!(text));
        }
        config.insert("filter_subjects".to_owned(), json!(facts.on_the_server()));
        let what = format!("CONSUMER.CREATE.{}.{}", self.stream, self.name);
        let body = json!({"stream_name": self.stream, "config": config, "action": action});
        let info: ConsumerInfo = api::ask(self.client(), &what, &body).await?;
        self.known().made.clone_from(&info.created);
        Ok(info)
    }
}

impl DurableConfig {
    /// For these types, or for all; `heard` says on which subjects a type comes.
    pub(crate) fn new<'a>(
        types: impl Iterator<Item = &'a str>,
        all: bool,
        heard: impl Fn(&str) -> Vec<String>,
        start: Start,
        ack_wait: Duration,
    ) -> DurableConfig {
        let mut types: Vec<String> = types.map(str::to_owned).collect();
        types.sort();
        types.dedup();
        let mut filters: Vec<SubjectPattern> = Vec::new();
        let mut shared = types.clone();
        if all {
            types = vec![ANY_TYPE.to_owned()];
            shared.clone_from(&types);
        } else {
            shared.retain(|ty| heard(ty).iter().any(|subject| subject != ty));
            let subjects = types.iter().flat_map(|ty| heard(ty));
            filters.extend(subjects.filter_map(|subject| subject.parse().ok()));
            filters.sort_by(|a, b| a.as_str().cmp(b.as_str()));
            filters.dedup();
        }
        DurableConfig {
            filters,
            types,
            shared,
            start,
            ack_wait,
        }
    }

    /// The facts of a consumer that is for all of this, from the first message on.
    pub(super) fn for_all_messages(&self) -> Facts {
        let patterns = if self.filters.is_empty() {
            ">".parse().into_iter().collect()
        } else {
            self.filters.clone()
        };
        let filters = patterns.into_iter().map(|pattern| (pattern, 0));
        Facts::new(filters.collect(), &self.shared)
    }

    /// Whether a consumer is as it should be.
    fn is_met(&self, config: &Map<String, Value>, facts: &Facts) -> bool {
        config.get("ack_wait") == Some(&json!(self.ack_wait_nanos())) && facts.are_in(config)
    }

    fn ack_wait_nanos(&self) -> i64 {
        i64::try_from(self.ack_wait.as_nanos()).unwrap_or(i64::MAX)
    }

    fn to_create(&self, name: &str, start: Start) -> Map<String, Value> {
        let ack_wait = self.ack_wait_nanos();
        let config = json!({
            "durable_name": name,
            "name": name,
            "ack_policy": "explicit",
            "ack_wait": ack_wait,
            // Attempts are the host's to count, and delayed retries must not stop the rest.
            "max_deliver": -1,
            "max_ack_pending": -1,
            "replay_policy": "instant",
        });
        let mut config = match config {
            Value::Object(config) => config,
            _ => Map::new(),
        };
        let (policy, more) = match start {
            Start::New => ("new", None),
            Start::All => ("all", None),
            Start::Time(time) => (
                "by_start_time",
                Some(("opt_start_time", json!(time.to_rfc3339()))),
            ),
            Start::Sequence(sequence) => (
                "by_start_sequence",
                Some(("opt_start_seq", json!(sequence.max(1)))),
            ),
        };
        config.insert("deliver_policy".to_owned(), json!(policy));
        if let Some((key, value)) = more {
            config.insert(key.to_owned(), value);
        }
        config
    }

    /// A durable of that name that somebody else made.
    fn check(config: &Map<String, Value>, stream: &str, durable: &str) -> Result<(), NatsError> {
        let wrong = |what: &str| {
            Err(NatsError::Other(format!(
                "consumer `{durable}` {what}: nats consumer rm {stream} {durable}, or set another NATS_DURABLE_NAME"
            )))
        };
        if config.get("deliver_subject").is_some_and(|s| s != "") {
            return wrong("is a push consumer");
        }
        if config.get("ack_policy").is_some_and(|p| p != "explicit") {
            return wrong("wants no explicit acknowledgements");
        }
        let most = config.get("max_deliver").and_then(Value::as_i64);
        if most.is_some_and(|most| most > 0) {
            return wrong("gives up after max_deliver deliveries, silently");
        }
        Ok(())
    }
}

/// The right to change a consumer.
struct Lock<'a> {
    client: &'a Client,
    /// Stream and name of the consumer that it is.
    of: String,
}

impl<'a> Lock<'a> {
    /// `None`: somebody else has it.
    async fn take(
        client: &'a Client,
        stream: &str,
        durable: &str,
    ) -> Result<Option<Lock<'a>>, NatsError> {
        // No plugin is called so: their names have no capitals.
        let name = format!("{durable}-GROWS");
        let of = format!("{stream}.{name}");
        let holder = new_id();
        let config = json!({
            "name": name,
            "description": "held while a consumer is changed; deleted by itself",
            "deliver_policy": "new",
            "ack_policy": "none",
            "inactive_threshold": u64::try_from(LOCK_HELD.as_nanos()).unwrap_or(u64::MAX),
            "mem_storage": true,
            "num_replicas": 1,
            "metadata": { METADATA_KEY: holder },
        });
        let body = json!({"stream_name": stream, "config": config, "action": "create"});
        let made = api::ask(client, &format!("CONSUMER.CREATE.{of}"), &body).await;
        let _: Value = match made {
            Err(NatsError::Refused {
                code: api::CONSUMER_EXISTS,
                ..
            }) => return Ok(None),
            made => made?,
        };
        // In a cluster two may have been told that they made it.
        let what = format!("CONSUMER.INFO.{of}");
        let info: ConsumerInfo = api::ask(client, &what, &json!({})).await?;
        let ours = info
            .config
            .get("metadata")
            .and_then(|m| m.get(METADATA_KEY))
            == Some(&json!(holder));
        Ok(ours.then_some(Lock { client, of }))
    }

    async fn give_back(self) {
        let what = format!("$JS.API.CONSUMER.DELETE.{}", self.of);
        // If this is lost, it ends by itself.
        let _ = self.client.publish(what, "".into()).await;
    }
}
