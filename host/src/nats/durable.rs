//! The durable consumer of one plugin on the server. Its filters only grow; what each is for, and
//! from which sequence on, is kept in the consumer's own metadata, where every replica reads it.

use std::time::Duration;

use async_nats::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::pull::Consumer;
use super::{Nats, NatsError, api};
use crate::policy::Start;
use crate::subject::SubjectPattern;

/// Filters that the server judges; above it, it gets their common wildcard and the host discards
/// the rest (250 filters: 6,200 events a second, none: 90,000).
const FILTERS_MAX: usize = 64;

/// Where in the metadata our facts are.
const METADATA_KEY: &str = "conche";

/// How often a change is tried again when another replica changed the consumer meanwhile.
const TRIES: usize = 5;

/// What a plugin wants of its consumer.
#[derive(Debug, Clone)]
pub(crate) struct DurableConfig {
    pub(crate) stream: String,
    pub(crate) durable: String,
    /// Subjects of its types; none: all that the stream takes.
    pub(crate) filters: Vec<SubjectPattern>,
    /// Where a new one begins.
    pub(crate) start: Start,
    pub(crate) ack_wait: Duration,
    /// The plugin's version and what it listens to.
    pub(crate) digest: String,
    /// It was loaded just now, and so is the newest of all replicas; else it is only opened anew.
    pub(crate) is_new: bool,
}

/// Our facts about a consumer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Pattern, and the first sequence that it is for.
    filters: Vec<(String, u64)>,
    /// The digest of the version that was loaded last.
    newest: String,
}

#[derive(Debug, Deserialize)]
struct ConsumerInfo {
    config: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct StreamInfo {
    config: StreamConfig,
    state: StreamState,
}

#[derive(Debug, Deserialize)]
struct StreamConfig {
    #[serde(default)]
    subjects: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct StreamState {
    last_seq: u64,
}

impl Nats {
    /// Opens the plugin's consumer: creates it, or lets its filters grow.
    ///
    /// # Errors
    /// `Refused` by the server, or with code 0 if the consumer is one that cannot serve us.
    pub(crate) async fn consumer(&self, wanted: &DurableConfig) -> Result<Consumer, NatsError> {
        let client = &self.inner.events.client;
        for _ in 0..TRIES {
            if let Some(facts) = wanted.agree(client).await? {
                return Ok(Consumer::new(self.inner.events.clone(), wanted, facts));
            }
        }
        Err(NatsError::Other(format!(
            "consumer `{}` is changed by others all the time",
            wanted.durable
        )))
    }

    /// Whether this version is the one that was loaded last on any replica.
    pub(crate) async fn is_newest(&self, wanted: &DurableConfig) -> Result<bool, NatsError> {
        let found = wanted.find(&self.inner.events.client).await?;
        Ok(found.is_none_or(|config| Facts::of(&config).newest == wanted.digest))
    }
}

impl DurableConfig {
    /// One try; `None` when somebody else was faster.
    async fn agree(&self, client: &Client) -> Result<Option<Facts>, NatsError> {
        let what = format!("STREAM.INFO.{}", self.stream);
        let stream: StreamInfo = api::ask(client, &what, &json!({})).await?;
        let all = stream.config.subjects;
        let patterns = if self.filters.is_empty() {
            all.clone()
        } else {
            self.filters.iter().map(ToString::to_string).collect()
        };
        let Some(mut config) = self.find(client).await? else {
            let facts = Facts::default().grown(&patterns, 0, &self.digest);
            let created = self
                .change(client, "create", self.to_create(), &facts)
                .await;
            return match created {
                Ok(()) => Ok(Some(facts)),
                Err(NatsError::Refused {
                    code: api::CONSUMER_EXISTS,
                    ..
                }) => Ok(None),
                Err(error) => Err(error),
            };
        };
        self.check(&config)?;
        let mut known = Facts::of(&config);
        if known.filters.is_empty() {
            // Somebody made it without a filter, and so for all there is.
            known.filters = all.into_iter().map(|subject| (subject, 0)).collect();
        }
        let newest = if self.is_new || known.newest.is_empty() {
            self.digest.clone()
        } else {
            known.newest.clone()
        };
        let facts = known.grown(&patterns, stream.state.last_seq + 1, &newest);
        let ack_wait = json!(self.ack_wait_nanos());
        let same = facts == known && config.get("ack_wait") == Some(&ack_wait);
        if same && config.contains_key("metadata") {
            return Ok(Some(facts));
        }
        config.insert("ack_wait".to_owned(), ack_wait);
        config.remove("filter_subject");
        self.change(client, "update", config, &facts).await?;
        // Two replicas that grew it at once: the later one has put the other's filters away.
        let now = self.find(client).await?;
        Ok(now
            .is_some_and(|config| Facts::of(&config) == facts)
            .then_some(facts))
    }

    async fn find(&self, client: &Client) -> Result<Option<Map<String, Value>>, NatsError> {
        let what = format!("CONSUMER.INFO.{}.{}", self.stream, self.durable);
        match api::ask::<ConsumerInfo>(client, &what, &json!({})).await {
            Ok(info) => Ok(Some(info.config)),
            Err(NatsError::Refused {
                code: api::CONSUMER_NOT_FOUND,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn change(
        &self,
        client: &Client,
        action: &str,
        mut config: Map<String, Value>,
        facts: &Facts,
    ) -> Result<(), NatsError> {
        let text = serde_json::to_string(facts).unwrap_or_default();
        let metadata = config.entry("metadata").or_insert_with(|| json!({}));
        if let Value::Object(metadata) = metadata {
            metadata.insert(METADATA_KEY.to_owned(), json!(text));
        }
        config.insert("filter_subjects".to_owned(), json!(facts.on_the_server()));
        let what = format!("CONSUMER.CREATE.{}.{}", self.stream, self.durable);
        let body = json!({"stream_name": self.stream, "config": config, "action": action});
        api::ask::<ConsumerInfo>(client, &what, &body)
            .await
            .map(drop)
    }

    fn ack_wait_nanos(&self) -> i64 {
        i64::try_from(self.ack_wait.as_nanos()).unwrap_or(i64::MAX)
    }

    fn to_create(&self) -> Map<String, Value> {
        let ack_wait = self.ack_wait_nanos();
        let config = json!({
            "durable_name": self.durable,
            "name": self.durable,
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
        let (policy, more) = match self.start {
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
    fn check(&self, config: &Map<String, Value>) -> Result<(), NatsError> {
        let durable = &self.durable;
        let wrong = |what: &str| {
            Err(NatsError::Refused {
                code: 0,
                text: format!(
                    "consumer `{durable}` {what}: nats consumer rm {} {durable}, or set another NATS_DURABLE_NAME",
                    self.stream
                ),
            })
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

impl Facts {
    /// Those of a consumer; one that has none was made by somebody else, for all it filters.
    fn of(config: &Map<String, Value>) -> Facts {
        let written = config
            .get("metadata")
            .and_then(|metadata| metadata.get(METADATA_KEY)?.as_str())
            .and_then(|text| serde_json::from_str(text).ok());
        written.unwrap_or_else(|| {
            let one = config.get("filter_subject").into_iter();
            let many = config.get("filter_subjects").and_then(Value::as_array);
            let all = one.chain(many.into_iter().flatten());
            let filters = all.filter_map(Value::as_str).filter(|s| !s.is_empty());
            Facts {
                filters: filters.map(|filter| (filter.to_owned(), 0)).collect(),
                newest: String::new(),
            }
        })
    }

    /// With what is not in it yet, from a sequence on. Nothing ever leaves.
    fn grown(&self, patterns: &[String], from: u64, digest: &str) -> Facts {
        let mut grown = self.clone();
        for pattern in patterns {
            let covered = self.filters.iter().any(|(have, _)| covers(have, pattern));
            if !covered && !grown.filters.iter().any(|(have, _)| have == pattern) {
                grown.filters.push((pattern.clone(), from));
            }
        }
        digest.clone_into(&mut grown.newest);
        grown
    }

    /// What the server filters by: it refuses two that overlap.
    fn on_the_server(&self) -> Vec<String> {
        let mut kept: Vec<&str> = Vec::new();
        for (pattern, _) in &self.filters {
            if kept.iter().any(|have| covers(have, pattern)) {
                continue;
            }
            kept.retain(|have| !covers(pattern, have));
            kept.push(pattern);
        }
        let overlap = kept
            .iter()
            .enumerate()
            .any(|(i, a)| kept[..i].iter().any(|b| overlap(a, b)));
        if kept.len() > FILTERS_MAX || overlap {
            return vec![common_wildcard(&kept)];
        }
        kept.into_iter().map(str::to_owned).collect()
    }

    /// Whether a message is for the plugin: some filter had it in view when it was stored.
    pub(super) fn wants(&self, subject: &str, sequence: u64) -> bool {
        self.filters
            .iter()
            .any(|(pattern, from)| *from <= sequence && matches(pattern, subject))
    }
}

/// The tokens that all begin with, and `>`.
fn common_wildcard(patterns: &[&str]) -> String {
    let mut all = patterns.iter().map(|p| p.split('.').collect::<Vec<_>>());
    let mut common = all.next().unwrap_or_default();
    // The last token of each may be the one that differs, so that `>` has something to match.
    common.pop();
    for tokens in all {
        let same = common
            .iter()
            .zip(&tokens[..tokens.len() - 1])
            .take_while(|(a, b)| a == b)
            .count();
        common.truncate(same);
    }
    common.retain(|token| *token != ">");
    common.push(">");
    common.join(".")
}

fn covers(wide: &str, narrow: &str) -> bool {
    let patterns = wide.parse::<SubjectPattern>().ok().zip(narrow.parse().ok());
    wide == narrow || patterns.is_some_and(|(wide, narrow)| wide.covers(&narrow))
}

fn overlap(a: &str, b: &str) -> bool {
    let patterns = a.parse::<SubjectPattern>().ok().zip(b.parse().ok());
    patterns.is_some_and(|(a, b)| a.overlaps(&b))
}

fn matches(pattern: &str, subject: &str) -> bool {
    pattern
        .parse::<SubjectPattern>()
        .is_ok_and(|pattern| pattern.matches(subject))
}

#[cfg(test)]
mod tests {
    use super::{FILTERS_MAX, Facts};

    fn grow(steps: &[(&[&str], u64)]) -> Facts {
        steps
            .iter()
            .fold(Facts::default(), |facts, (patterns, from)| {
                let patterns: Vec<_> = patterns.iter().map(|p| (*p).to_owned()).collect();
                facts.grown(&patterns, *from, "d")
            })
    }

    #[test]
    fn filters_grow_and_never_overlap() {
        let check = |steps: &[(&[&str], u64)], expected: &[&str]| {
            assert_eq!(grow(steps).on_the_server(), expected, "{steps:?}");
        };
        check(&[(&["e.a", "e.b"], 0)], &["e.a", "e.b"]);
        check(&[(&["e.a"], 0), (&["e.>"], 9)], &["e.>"]);
        check(&[(&["e.>"], 0), (&["e.a"], 9)], &["e.>"]);
        check(&[(&["e.*.x"], 0), (&["e.a.*"], 9)], &["e.>"]);
        check(&[(&["e.>", "f"], 0)], &["e.>", "f"]);
        let many: Vec<String> = (0..=FILTERS_MAX).map(|n| format!("org.e.{n}")).collect();
        let facts = Facts::default().grown(&many, 0, "d");
        assert_eq!(facts.on_the_server(), ["org.e.>"]);
        assert!(facts.wants("org.e.64", 1) && !facts.wants("org.e.65", 1));
    }

    #[test]
    fn an_added_filter_is_for_what_comes_later() {
        let facts = grow(&[(&["e.a"], 0), (&["e.>"], 9)]);
        let check = |subject: &str, sequence, expected| {
            assert_eq!(
                facts.wants(subject, sequence),
                expected,
                "{subject} {sequence}"
            );
        };
        check("e.a", 1, true);
        check("e.b", 8, false);
        check("e.b", 9, true);
        check("f", 9, false);
    }
}
