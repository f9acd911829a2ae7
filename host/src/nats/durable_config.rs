//! What a version of a plugin wants of its consumer, and whether one is so. Pure.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::NatsError;
use super::facts::{ANY_TYPE, Facts};
use crate::policy::Start;
use crate::subject::SubjectPattern;

/// What a plugin wants of its consumer.
#[derive(Debug, Clone)]
pub(crate) struct DurableConfig {
    /// Subjects of its types; none: all that the stream takes.
    pub(crate) filters: Vec<SubjectPattern>,
    /// Its types, or [`ANY_TYPE`].
    pub(crate) types: Vec<String>,
    /// Those among them whose events come on subjects that are not theirs alone.
    pub(crate) shared: Vec<String>,
    /// Where a new one begins.
    pub(crate) start: Start,
    pub(crate) ack_wait: Duration,
}

impl DurableConfig {
    /// For these types, or for all; `heard` says on which subjects a type comes. `None` for what
    /// listens to nothing: a consumer without a filter would be for all there is.
    pub(crate) fn new<'a>(
        types: impl Iterator<Item = &'a str>,
        all: bool,
        heard: impl Fn(&str) -> Vec<String>,
        start: Start,
        ack_wait: Duration,
    ) -> Option<DurableConfig> {
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
            if filters.is_empty() {
                return None;
            }
        }
        Some(DurableConfig {
            filters,
            types,
            shared,
            start,
            ack_wait,
        })
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
    pub(super) fn is_met(&self, config: &Map<String, Value>, facts: &Facts) -> bool {
        config.get("ack_wait") == Some(&json!(self.ack_wait_nanos())) && facts.are_in(config)
    }

    pub(super) fn ack_wait_nanos(&self) -> i64 {
        i64::try_from(self.ack_wait.as_nanos()).unwrap_or(i64::MAX)
    }

    pub(super) fn to_create(&self, name: &str, start: Start) -> Map<String, Value> {
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
    pub(super) fn check(
        config: &Map<String, Value>,
        stream: &str,
        durable: &str,
    ) -> Result<(), NatsError> {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::DurableConfig;
    use crate::policy::Start;

    #[test]
    fn without_a_filter_it_is_for_all_only_where_that_is_wanted() {
        let filters = |types: &[&str], all, heard: &[&str]| {
            let heard = |_: &str| heard.iter().map(|&subject| subject.to_owned()).collect();
            let types = types.iter().copied();
            let wanted = DurableConfig::new(types, all, heard, Start::New, Duration::ZERO);
            wanted.map(|wanted| wanted.filters.len())
        };
        assert_eq!(filters(&["a.B"], false, &["a.B"]), Some(1));
        assert_eq!(filters(&["a.B"], true, &["a.B"]), Some(0));
        assert_eq!(filters(&[], false, &[]), None);
        assert_eq!(filters(&["a.B"], false, &[]), None);
    }
}
