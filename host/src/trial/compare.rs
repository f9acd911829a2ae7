//! Expected against seen. What was seen is reduced to what is expected of it; then the two are equal,
//! or their difference is what is wrong. Pure.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::message::PAYLOADS;

/// Keys below which, too, only what is expected is looked at.
const OPEN: [&str; 3] = ["extensions", "fields", "add"];

/// What a string stands for.
enum Pattern {
    /// `${any}`: anything but nothing.
    Any,
    /// `${matches:REGEX}`: text that the expression finds a match in.
    Matches(Box<Regex>),
    /// `${same:NAME}`: the same text wherever the case names it.
    Same(String),
}

/// What each `${same:NAME}` of a case stood for at first.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(BTreeMap<String, String>);

/// Whether every placeholder in a value can be read.
pub(super) fn check_patterns(value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) => pattern(text).map(drop),
        Value::Array(list) => list.iter().try_for_each(check_patterns),
        Value::Object(map) => map.values().try_for_each(check_patterns),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Whether text stands for others.
pub(super) fn is_placeholder(text: &str) -> bool {
    matches!(pattern(text), Ok(Some(_)))
}

/// What was seen, as far as it is expected: keys that are not mentioned are left out, and text that a
/// placeholder stands for is that placeholder.
pub(super) fn mentioned(expected: &Value, seen: &Value, names: &mut Names) -> Value {
    let (Value::Object(expected), Value::Object(seen)) = (expected, seen) else {
        return exact(expected, seen, names);
    };
    let mut reduced = Map::new();
    for (key, wanted) in expected {
        let value = seen.get(key).unwrap_or(&Value::Null);
        let payload = PAYLOADS.contains(&key.as_str());
        // `null` as data is a value; as any other it stands for none of that kind.
        let is_none = wanted.is_null() && key != PAYLOADS[0];
        if payload && !is_none && !seen.contains_key(key) {
            // Another kind of payload than was expected: the one there is.
            let there = PAYLOADS.iter().find_map(|key| seen.get_key_value(*key));
            reduced.extend(there.map(|(key, value)| (key.clone(), value.clone())));
            continue;
        }
        let value = if OPEN.contains(&key.as_str()) {
            mentioned(wanted, value, names)
        } else {
            exact(wanted, value, names)
        };
        reduced.insert(key.clone(), value);
    }
    reduced.into()
}

/// Lists entry by entry, each as [`mentioned`]; what nobody expected stays.
pub(super) fn all_mentioned(expected: &[Value], seen: &[Value], names: &mut Names) -> Vec<Value> {
    let reduced = seen.iter().enumerate().map(|(index, seen)| {
        let expected = expected.get(index);
        expected.map_or_else(|| essential(seen), |wanted| mentioned(wanted, seen, names))
    });
    reduced.collect()
}

/// What is worth showing of what nobody expected.
pub(super) fn essential(seen: &Value) -> Value {
    let Value::Object(map) = seen else {
        return seen.clone();
    };
    let plain = ["json", "id", "source", "time", "datacontenttype"];
    let is_empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    let kept = map
        .iter()
        .filter(|(key, value)| !plain.contains(&key.as_str()) && !is_empty(value));
    Value::Object(
        kept.map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    )
}

/// Whether each of the expected is there, in order, whatever is between.
pub(super) fn in_order(expected: &[Value], seen: &[Value], names: &mut Names) -> bool {
    let mut seen = seen.iter();
    expected.iter().all(|wanted| {
        seen.any(|line| {
            // A line that is passed over gives no name its text.
            let mut here = names.clone();
            let fits = mentioned(wanted, line, &mut here) == *wanted;
            if fits {
                *names = here;
            }
            fits
        })
    })
}

/// All of what was seen, with placeholders where they stand for it.
fn exact(expected: &Value, seen: &Value, names: &mut Names) -> Value {
    match (expected, seen) {
        (Value::String(text), seen) => match pattern(text) {
            Ok(Some(pattern)) if pattern.stands_for(seen, names) => expected.clone(),
            _ => seen.clone(),
        },
        (Value::Array(expected), Value::Array(seen)) => {
            let entries = seen.iter().enumerate();
            let entries = entries.map(|(index, seen)| match expected.get(index) {
                Some(wanted) => exact(wanted, seen, names),
                None => seen.clone(),
            });
            entries.collect()
        }
        (Value::Object(expected), Value::Object(seen)) => {
            let entries = seen.iter().map(|(key, seen)| {
                let value = match expected.get(key) {
                    Some(wanted) => exact(wanted, seen, names),
                    None => seen.clone(),
                };
                (key.clone(), value)
            });
            Value::Object(entries.collect())
        }
        (_, seen) => seen.clone(),
    }
}

/// Reads a placeholder; none if the text is only text.
fn pattern(text: &str) -> Result<Option<Pattern>, String> {
    let inside = text.strip_prefix("${").and_then(|t| t.strip_suffix('}'));
    let Some(inside) = inside else {
        return Ok(None);
    };
    let (word, rest) = inside.split_once(':').unwrap_or((inside, ""));
    match word {
        "any" if rest.is_empty() => Ok(Some(Pattern::Any)),
        "same" if !rest.is_empty() => Ok(Some(Pattern::Same(rest.to_owned()))),
        "matches" => match Regex::new(rest) {
            Ok(regex) => Ok(Some(Pattern::Matches(Box::new(regex)))),
            Err(error) => Err(format!("has no regular expression in `{text}`: {error}")),
        },
        _ => Err(format!(
            "has `{text}`, which is none of `${{any}}`, `${{matches:REGEX}}`, `${{same:NAME}}`"
        )),
    }
}

impl Pattern {
    fn stands_for(&self, seen: &Value, names: &mut Names) -> bool {
        match (self, seen) {
            (Pattern::Any, seen) => !seen.is_null(),
            (Pattern::Matches(regex), Value::String(text)) => regex.is_match(text),
            (Pattern::Same(name), Value::String(text)) if !text.is_empty() => {
                let first = names.0.entry(name.clone()).or_insert_with(|| text.clone());
                first == text
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, all_mentioned, check_patterns, in_order, mentioned};
    use serde_json::{Value, json};

    #[track_caller]
    fn check(expected: &Value, seen: &Value, fits: bool) {
        let reduced = mentioned(expected, seen, &mut Names::default());
        assert_eq!(reduced == *expected, fits, "{reduced}");
    }

    #[test]
    fn what_is_not_mentioned_is_not_looked_at() {
        let seen = json!({"type": "t", "id": "i", "data": {"a": 1, "b": [2]}, "json": "{}"});
        check(&json!({}), &seen, true);
        check(&json!({"type": "t"}), &seen, true);
        check(&json!({"type": "u"}), &seen, false);
        check(&json!({"subject": null}), &seen, true);
        check(&json!({"subject": "s"}), &seen, false);
        let open = json!({"extensions": {"a": 1, "b": true}, "fields": {"x": "1", "y": "2"}});
        check(
            &json!({"extensions": {"a": 1}, "fields": {"y": "2"}}),
            &open,
            true,
        );
        check(&json!({"extensions": {"a": "1"}}), &open, false);
    }

    #[test]
    fn data_is_compared_whole() {
        let seen = json!({"data": {"a": 1, "b": [2, 3]}, "json": "{…}"});
        check(&json!({"data": {"b": [2, 3], "a": 1}}), &seen, true);
        check(&json!({"data": {"a": 1}}), &seen, false);
        check(&json!({"data": {"a": 1.0, "b": [2, 3]}}), &seen, false);
        check(&json!({"data": {"a": 1, "b": [2]}}), &seen, false);
        check(
            &json!({"data": {"a": 1, "b": [2, 3], "c": null}}),
            &seen,
            false,
        );
    }

    #[test]
    fn another_kind_of_payload_is_shown_as_it_is() {
        let expected = json!({"type": "t", "data": {"a": 1}});
        let seen = json!({"type": "t", "text": "hello"});
        let reduced = mentioned(&expected, &seen, &mut Names::default());
        assert_eq!(reduced, seen);
    }

    #[test]
    fn null_is_no_payload_of_that_kind() {
        for kind in ["text", "base64"] {
            check(
                &json!({ kind: null }),
                &json!({"data": 1, "json": "1"}),
                true,
            );
            check(&json!({ kind: null }), &json!({}), true);
            check(&json!({ kind: null }), &json!({ kind: "" }), false);
        }
        // There it is a value.
        check(&json!({"data": null}), &json!({}), false);
    }

    #[test]
    fn placeholders_stand_for_text() {
        let seen = json!({"data": {"a": "o-17", "b": 7, "c": "o-17", "d": null}});
        let data =
            |a: &str, b: Value, c: &str| json!({"data": {"a": a, "b": b, "c": c, "d": null}});
        check(&data("${any}", json!("${any}"), "o-17"), &seen, true);
        check(
            &data("${matches:^o-\\d{2}$}", json!(7), "${any}"),
            &seen,
            true,
        );
        check(&data("${matches:^\\d}", json!(7), "${any}"), &seen, false);
        check(&data("o-17", json!("${matches:7}"), "o-17"), &seen, false);
        check(&data("${same:x}", json!(7), "${same:x}"), &seen, true);
        let other = json!({"data": {"a": "o-17", "b": 7, "c": "o-18", "d": null}});
        check(&data("${same:x}", json!(7), "${same:x}"), &other, false);
        check(&data("${same:x}", json!(7), "${same:y}"), &other, true);
        check(&json!({"data": "${any}"}), &json!({"data": null}), false);
    }

    #[test]
    fn a_placeholder_that_cannot_be_read_is_a_mistake() {
        let flaw = |text: &str| check_patterns(&json!({"a": [text]})).unwrap_err();
        assert!(flaw("${matches:(}").contains("no regular expression"));
        assert!(flaw("${anything}").contains("none of `${any}`"));
        assert!(flaw("${same}").contains("none of"));
        assert_eq!(check_patterns(&json!("costs ${5}")), Ok(()));
    }

    #[test]
    fn lists_keep_what_nobody_expected() {
        let seen = [
            json!({"type": "a", "id": "1"}),
            json!({"type": "b", "id": "2"}),
        ];
        let expected = [json!({"type": "a"})];
        let reduced = all_mentioned(&expected, &seen, &mut Names::default());
        assert_eq!(reduced, [json!({"type": "a"}), json!({"type": "b"})]);
    }

    #[test]
    fn lines_come_in_order_with_others_between() {
        let line = |text: &str| json!({"level": "info", "message": text, "fields": {}});
        let seen = [line("a"), line("b"), line("c")];
        let check = |wanted: &[&str], expected: bool| {
            let wanted: Vec<_> = wanted.iter().map(|m| json!({ "message": m })).collect();
            assert_eq!(in_order(&wanted, &seen, &mut Names::default()), expected);
        };
        check(&[], true);
        check(&["a", "c"], true);
        check(&["c", "a"], false);
        check(&["a", "a"], false);
    }

    #[test]
    fn only_a_line_that_fits_gives_a_name_its_text() {
        let line = |text: &str, order: &str| json!({"message": text, "fields": {"order": order}});
        let seen = [line("a", "1"), line("b", "2"), line("a", "2")];
        let check = |wanted: &[&str], expected: bool| {
            let wanted: Vec<_> = wanted.iter().map(|m| line(m, "${same:o}")).collect();
            assert_eq!(in_order(&wanted, &seen, &mut Names::default()), expected);
        };
        check(&["b"], true);
        check(&["b", "a"], true);
        check(&["a", "b"], false);
    }
}
