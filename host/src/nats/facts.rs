//! What the metadata of a durable consumer says: which filters it has, from which sequence on each
//! counts, and which types its plugin listens to on subjects that many share. Facts only grow, so
//! that what they lack, read after a message was delivered, nobody listened to when it was stored.
//! Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::subject::SubjectPattern;

/// Filters that the server judges; above it, it gets their common wildcard and the host discards
/// the rest (250 filters: 6,200 events a second, none: 90,000).
const FILTERS_MAX: usize = 64;

/// Where in the metadata our facts are.
pub(super) const METADATA_KEY: &str = "conche";

/// Among types: all of them.
pub(crate) const ANY_TYPE: &str = "*";

/// Our facts about a consumer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Pattern, and the first sequence that it is for.
    filters: Vec<(SubjectPattern, u64)>,
    /// Types whose events come on a subject that is not theirs alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    types: Vec<String>,
}

impl Facts {
    /// Of patterns, each with its first sequence, and types.
    pub(super) fn new(filters: Vec<(SubjectPattern, u64)>, types: &[String]) -> Facts {
        Facts {
            filters,
            types: types.to_vec(),
        }
    }

    /// Those of a consumer; one that has none was made by somebody else, for all it filters.
    pub(super) fn of(config: &Map<String, Value>) -> Facts {
        let written = config
            .get("metadata")
            .and_then(|metadata| metadata.get(METADATA_KEY)?.as_str())
            .and_then(|text| serde_json::from_str(text).ok());
        written.unwrap_or_else(|| Facts {
            filters: filters_of(config).map(|filter| (filter, 0)).collect(),
            types: Vec::new(),
        })
    }

    /// With what is not in it yet. Nothing ever leaves.
    pub(super) fn grown(&self, more: &Facts) -> Facts {
        let mut grown = self.clone();
        for (pattern, from) in &more.filters {
            let covered = self.filters.iter().any(|(have, _)| have.covers(pattern));
            if !covered && !grown.filters.iter().any(|(have, _)| have == pattern) {
                grown.filters.push((pattern.clone(), *from));
            }
        }
        for ty in &more.types {
            if !grown.types.contains(ty) {
                grown.types.push(ty.clone());
            }
        }
        grown
    }

    /// The same, each from the first message on.
    pub(super) fn for_all_messages(&self) -> Facts {
        let filters = self.filters.iter().map(|(pattern, _)| (pattern.clone(), 0));
        Facts::new(filters.collect(), &self.types)
    }

    /// Whether a consumer has them, and filters by them.
    pub(super) fn are_in(&self, config: &Map<String, Value>) -> bool {
        let written = config
            .get("metadata")
            .is_some_and(|metadata| metadata.get(METADATA_KEY).is_some());
        let there = Facts::of(config);
        let mut filters: Vec<SubjectPattern> = filters_of(config).collect();
        let mut expected = there.on_the_server();
        filters.sort();
        expected.sort();
        written && there.grown(self) == there && filters == expected
    }

    pub(super) fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Whether they name something that these patterns and types do not cover.
    pub(super) fn exceed(&self, patterns: &[SubjectPattern], types: &[String]) -> bool {
        let filter = |(have, _): &(SubjectPattern, u64)| !patterns.iter().any(|p| p.covers(have));
        let ty = |ty: &String| !hears(types, ty);
        self.filters.iter().any(filter) || self.types.iter().any(ty)
    }

    /// Whether somebody listens, or once did, to a type on a subject that is not its own.
    pub(super) fn name(&self, ty: &str) -> bool {
        hears(&self.types, ty)
    }

    /// What the server filters by: it refuses two that overlap.
    pub(super) fn on_the_server(&self) -> Vec<SubjectPattern> {
        let mut kept: Vec<&SubjectPattern> = Vec::new();
        for (pattern, _) in &self.filters {
            if kept.iter().any(|have| have.covers(pattern)) {
                continue;
            }
            kept.retain(|have| !pattern.covers(have));
            kept.push(pattern);
        }
        let overlap = kept
            .iter()
            .enumerate()
            .any(|(i, a)| kept[..i].iter().any(|b| a.overlaps(b)));
        if kept.len() > FILTERS_MAX || overlap {
            return common_wildcard(&kept).parse().into_iter().collect();
        }
        kept.into_iter().cloned().collect()
    }

    /// Whether a message is for the plugin: some filter had it in view when it was stored.
    pub(super) fn wants(&self, subject: &str, sequence: u64) -> bool {
        self.filters
            .iter()
            .any(|(pattern, from)| *from <= sequence && pattern.matches(subject))
    }
}

/// What a consumer filters by; nothing: it has no filter.
pub(super) fn filters_of(config: &Map<String, Value>) -> impl Iterator<Item = SubjectPattern> {
    let one = config.get("filter_subject").into_iter();
    let many = config.get("filter_subjects").and_then(Value::as_array);
    let all = one.chain(many.into_iter().flatten());
    all.filter_map(Value::as_str)
        .filter_map(|filter| filter.parse().ok())
}

/// Whether a type is among those that are listened to.
pub(super) fn hears(types: &[String], ty: &str) -> bool {
    types.iter().any(|have| have == ty || have == ANY_TYPE)
}

/// The tokens that all begin with, and `>`.
fn common_wildcard(patterns: &[&SubjectPattern]) -> String {
    let mut all = patterns
        .iter()
        .map(|p| p.as_str().split('.').collect::<Vec<_>>());
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{FILTERS_MAX, Facts};

    fn facts(patterns: &[&str], from: u64) -> Facts {
        let filters = patterns.iter().map(|p| (p.parse().unwrap(), from));
        Facts::new(filters.collect(), &[])
    }

    fn on_the_server(facts: &Facts) -> Vec<String> {
        let filters = facts.on_the_server().into_iter();
        filters.map(String::from).collect()
    }

    fn grow(steps: &[(&[&str], u64)]) -> Facts {
        steps
            .iter()
            .fold(Facts::default(), |grown, (patterns, from)| {
                grown.grown(&facts(patterns, *from))
            })
    }

    #[test]
    fn filters_grow_and_never_overlap() {
        let check = |steps: &[(&[&str], u64)], expected: &[&str]| {
            assert_eq!(on_the_server(&grow(steps)), expected, "{steps:?}");
        };
        check(&[(&["e.a", "e.b"], 0)], &["e.a", "e.b"]);
        check(&[(&["e.a"], 0), (&["e.>"], 9)], &["e.>"]);
        check(&[(&["e.>"], 0), (&["e.a"], 9)], &["e.>"]);
        check(&[(&["e.*.x"], 0), (&["e.a.*"], 9)], &["e.>"]);
        check(&[(&["e.>", "f"], 0)], &["e.>", "f"]);
        let many: Vec<String> = (0..=FILTERS_MAX).map(|n| format!("org.e.{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let facts = facts(&many, 0);
        assert_eq!(on_the_server(&facts), ["org.e.>"]);
        assert!(facts.wants("org.e.64", 1) && !facts.wants("org.e.65", 1));
    }

    #[test]
    fn they_are_written_as_hosts_of_other_versions_read_them() {
        let text = r#"{"filters":[["e.a",0],["e.>",9]],"types":["t"]}"#;
        let mut facts = grow(&[(&["e.a"], 0), (&["e.>"], 9)]);
        facts.types.push("t".to_owned());
        assert_eq!(serde_json::to_string(&facts).unwrap(), text);
        let config = json!({"metadata": {"conche": text}, "filter_subjects": ["f"]});
        assert_eq!(Facts::of(config.as_object().unwrap()), facts);
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

    #[test]
    fn what_a_version_does_not_cover_is_seen() {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let facts = Facts::new(
            vec![("e.a".parse().unwrap(), 0), ("all".parse().unwrap(), 4)],
            &own(&["t", "u"]),
        );
        let check = |patterns: &[&str], types: &[&str], expected| {
            let patterns: Vec<_> = patterns.iter().map(|p| p.parse().unwrap()).collect();
            let exceed = facts.exceed(&patterns, &own(types));
            assert_eq!(exceed, expected, "{patterns:?} {types:?}");
        };
        check(&["e.>", "all"], &["t", "u"], false);
        check(&["e.a", "all"], &["*"], false);
        check(&["e.a"], &["t", "u"], true);
        check(&["e.a", "all"], &["t"], true);
        assert!(facts.name("t") && !facts.name("e.a"));
    }
}
