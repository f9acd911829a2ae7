//! What a case expects, checked for its shape and kept as JSON: what the handler came to, its
//! effects, its log lines. What was seen has the same shape (`seen`), and the two are compared as
//! values. Pure.

use serde_json::{Map, Value};

use super::case::Comes;
use super::compare::check_patterns;
use super::fields::Fields;
use super::message::{PAYLOADS, compact, letters, one_payload};
use crate::sandbox::Failure;

/// Attributes of a message that may be expected.
const ATTRIBUTES: [&str; 8] = [
    "type",
    "subject",
    "datacontenttype",
    "dataschema",
    "transaction-id",
    "id",
    "source",
    "time",
];

/// What a query may come to.
const OF_QUERIES: [&str; 5] = ["reply", "fault", "no-answer", "failure", "refused"];
/// What an event may come to, a listener's too.
const OF_EVENTS: [&str; 5] = ["done", "retry", "reject", "failure", "refused"];

/// One way for a case to be right.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    /// One key, such as `reply`, and what is expected of it.
    pub(super) outcome: Value,
    pub(super) emits: Vec<Value>,
    pub(super) listeners: Vec<Value>,
    /// Some of the lines, in their order.
    pub(super) log: Vec<Value>,
}

/// Reads `expect`: one way, or the several of `any-of`.
pub(super) fn read(mut fields: Fields<'_>, comes: &Comes) -> Vec<Expected> {
    let alternatives = fields.list("any-of");
    if alternatives.is_empty() {
        return vec![one(fields, comes)];
    }
    let mut all = Vec::new();
    for (index, value) in alternatives.into_iter().enumerate() {
        all.push(one(fields.entry("any-of", index, value), comes));
    }
    fields.finish();
    all
}

fn one(mut fields: Fields<'_>, comes: &Comes) -> Expected {
    let (what, fit, unfit) = match comes {
        Comes::Query(_) => ("query", OF_QUERIES, OF_EVENTS),
        Comes::Event(_) | Comes::Listener { .. } => ("event", OF_EVENTS, OF_QUERIES),
    };
    let outcomes: Vec<_> = fit
        .into_iter()
        .filter_map(|key| fields.value(key).map(|value| (key, value)))
        .collect();
    for key in unfit.into_iter().filter(|key| !fit.contains(key)) {
        if fields.value(key).is_some() {
            let what = format!("is nothing that an {what} can come to: {}", fit.join(", "));
            fields.wrong(key, &what.replace("an query", "a query"));
        }
    }
    let mut outcome = Map::new();
    if outcomes.len() != 1 {
        let what = format!(
            "needs exactly one of {}: what the handler comes to",
            fit.join(", ")
        );
        fields.wrong("", &what);
    }
    for (key, value) in outcomes {
        let value = outcome_value(&mut fields, key, value);
        outcome.insert(key.to_owned(), value);
    }
    let expected = Expected {
        outcome: outcome.into(),
        emits: each(&mut fields, "emits", |fields| message(fields, &["key"])),
        listeners: each(&mut fields, "listeners", change),
        log: each(&mut fields, "log", line),
    };
    fields.finish();
    expected
}

fn outcome_value(fields: &mut Fields<'_>, key: &'static str, value: Value) -> Value {
    if matches!(key, "done" | "no-answer") {
        if value != Value::Bool(true) {
            fields.wrong(
                key,
                "can only be true; delete it, or say what comes instead",
            );
        }
        return Value::Bool(true);
    }
    let mut below = fields.below(key, value);
    let read = match key {
        "reply" => message(&mut below, &[]),
        "failure" => failure(&mut below),
        "refused" => {
            let mut map = Map::new();
            texts(&mut below, &mut map, &["message"]);
            map.into()
        }
        "retry" => {
            let mut map = Map::new();
            texts(&mut below, &mut map, &["message"]);
            number(&mut below, &mut map, "after-ms");
            map.into()
        }
        // A reject has a fault.
        _ => {
            let mut map = Map::new();
            number(&mut below, &mut map, "code");
            texts(&mut below, &mut map, &["message"]);
            any(&mut below, &mut map, "details");
            map.into()
        }
    };
    below.finish();
    read
}

/// Attributes, and a payload in one of its forms.
fn message(fields: &mut Fields<'_>, more: &[&'static str]) -> Value {
    one_payload(fields);
    let mut map = Map::new();
    texts(fields, &mut map, &ATTRIBUTES);
    texts(fields, &mut map, more);
    let extensions = fields.map("extensions");
    if !extensions.is_empty() {
        let extensions = Value::Object(extensions);
        patterns(fields, "extensions", &extensions);
        map.insert("extensions".to_owned(), extensions);
    }
    any(fields, &mut map, PAYLOADS[0]);
    texts(fields, &mut map, &PAYLOADS[1..]);
    if let Some(Value::String(json)) = map.get_mut("json") {
        match compact(json) {
            Some(compact) => *json = compact,
            None => fields.wrong("json", "is not the text of one JSON value"),
        }
    }
    map.into()
}

fn failure(fields: &mut Fields<'_>) -> Value {
    let mut map = Map::new();
    texts(fields, &mut map, &["kind", "message"]);
    if let Some(Value::String(kind)) = map.get("kind")
        && !Failure::KINDS.contains(&kind.as_str())
    {
        let what = format!("is `{kind}`, none of {}", Failure::KINDS.join(", "));
        fields.wrong("kind", &what);
    }
    map.into()
}

fn change(fields: &mut Fields<'_>) -> Value {
    let (add, remove) = (fields.value("add"), fields.text("remove"));
    let mut map = Map::new();
    match (add, remove) {
        (Some(value), None) => {
            let mut add = Map::new();
            let mut below = fields.below("add", value);
            texts(
                &mut below,
                &mut add,
                &["handler", "transaction-id", "state"],
            );
            for key in ["types", "once"] {
                any(&mut below, &mut add, key);
            }
            number(&mut below, &mut add, "expires-ms");
            below.finish();
            map.insert("add".to_owned(), add.into());
        }
        (None, Some(id)) => {
            let id = Value::String(id);
            patterns(fields, "remove", &id);
            map.insert("remove".to_owned(), id);
        }
        _ => fields.wrong("", "needs either `add` or `remove`"),
    }
    map.into()
}

fn line(fields: &mut Fields<'_>) -> Value {
    let mut map = Map::new();
    texts(fields, &mut map, &["level", "message"]);
    let values = letters(fields, "fields");
    if !values.is_empty() {
        let values = values.into_iter().map(|(key, text)| (key, text.into()));
        let values = Value::Object(values.collect());
        patterns(fields, "fields", &values);
        map.insert("fields".to_owned(), values);
    }
    map.into()
}

fn each(
    fields: &mut Fields<'_>,
    key: &'static str,
    read: impl Fn(&mut Fields<'_>) -> Value,
) -> Vec<Value> {
    let mut all = Vec::new();
    for (index, value) in fields.list(key).into_iter().enumerate() {
        let mut entry = fields.entry(key, index, value);
        all.push(read(&mut entry));
        entry.finish();
    }
    all
}

/// Keys whose value is text, or `null` where there shall be none.
fn texts(fields: &mut Fields<'_>, map: &mut Map<String, Value>, keys: &[&'static str]) {
    for key in keys.iter().copied() {
        let Some(value) = fields.value(key) else {
            continue;
        };
        if !value.is_string() && !value.is_null() {
            fields.wrong(key, &format!("is {value}, not text: quote it"));
        }
        patterns(fields, key, &value);
        map.insert(key.to_owned(), value);
    }
}

fn number(fields: &mut Fields<'_>, map: &mut Map<String, Value>, key: &'static str) {
    if let Some(value) = fields.value(key) {
        if !value.is_u64() && !value.is_null() {
            fields.wrong(key, &format!("is {value}, not a whole number"));
        }
        map.insert(key.to_owned(), value);
    }
}

fn any(fields: &mut Fields<'_>, map: &mut Map<String, Value>, key: &'static str) {
    if let Some(value) = fields.value(key) {
        patterns(fields, key, &value);
        map.insert(key.to_owned(), value);
    }
}

fn patterns(fields: &mut Fields<'_>, key: &str, value: &Value) {
    if let Err(flaw) = check_patterns(value) {
        fields.wrong(key, &flaw);
    }
}
