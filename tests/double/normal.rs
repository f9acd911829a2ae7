//! The scenarios that both the host and its double `conche_guest::testing` are put through, and what is
//! left of an outcome when all that may differ is taken out. Compiled into the tests of both; must
//! know neither.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Each with a name, what comes in, and what is expected of it.
pub(crate) fn scenarios() -> Vec<Value> {
    let text = include_str!("scenarios.json");
    let scenarios: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(!scenarios.is_empty());
    scenarios
}

/// Leaves out what is empty where nothing is expected, and compares.
#[track_caller]
pub(crate) fn check(scenario: &Value, mut outcome: Map<String, Value>) {
    let expected = scenario["expect"].as_object().unwrap();
    outcome.retain(|key, value| {
        let is_empty = value.as_array().is_some_and(Vec::is_empty);
        expected.contains_key(key) || !(is_empty || key == "registered")
    });
    let mut outcome = Value::Object(outcome);
    normalise(&mut outcome, &mut HashMap::new());
    assert_eq!(outcome, scenario["expect"], "{}", scenario["name"]);
}

/// Ids become numbers in the order in which they are met: which are equal is still seen. How often
/// the guest was called, and how an error is worded, is left out.
fn normalise(value: &mut Value, ids: &mut HashMap<String, String>) {
    match value {
        Value::String(text) => {
            let kinds = ["cloudevent", "listener"];
            let kind = kinds.into_iter().find(|kind| {
                let rest = text.strip_prefix(kind);
                rest.is_some_and(|rest| rest.starts_with('-'))
            });
            if let Some(kind) = kind {
                let seen = ids.values().filter(|id| id.starts_with(kind)).count();
                let number = format!("{kind} {}", seen + 1);
                *text = ids.entry(text.clone()).or_insert(number).clone();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|one| normalise(one, ids)),
        Value::Object(map) => {
            map.remove("calls");
            if map.contains_key("kind") {
                map.remove("text");
            }
            // The reply goes before the rest in both, whatever order the map has.
            let mut keys: Vec<String> = map.keys().cloned().collect();
            keys.sort_by_key(|key| key != "reply");
            for key in keys {
                if let Some(value) = map.get_mut(&key) {
                    normalise(value, ids);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
