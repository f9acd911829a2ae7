//! How a plugin's consumer is made, and how its filters grow. Replicas change it one after the other:
//! the server has no compare-and-set for a consumer, and of two that read it and then write it the
//! later would take away what the earlier had added, so that they hold a [`Lock`]. Must not know who
//! pulls.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::durable::{ConsumerInfo, Durable};
use super::durable_config::DurableConfig;
use super::facts::{Facts, METADATA_KEY};
use super::lock::Lock;
use super::streams::{self, StreamInfo};
use super::{NatsError, api};
use crate::policy::Start;

/// How often a change is tried again when another replica changes the consumer meanwhile, and the
/// pause before.
const TRIES: usize = 20;
const TRY_PAUSE: Duration = Duration::from_millis(100);

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
        let stream = streams::info(&self.client(), &self.stream).await?;
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
            // Made anew: sequences begin again, and all that it has came after it was wanted.
            known.facts = Arc::default();
            known.read = None;
            known.first.values_mut().for_each(|first| *first = 1);
            known.floor = (!known.first.is_empty()).then_some(0);
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
        let info: ConsumerInfo = api::ask(&self.client(), &what, &body).await?;
        self.known().made.clone_from(&info.created);
        Ok(info)
    }
}
