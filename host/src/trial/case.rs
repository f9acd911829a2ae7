//! One case: what comes in, who answers what the plugin asks, and what must come of it. The format
//! is described in docs/testing.md. Pure.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::compare::check_patterns;
use super::expected::{self, Expected};
use super::fields::Fields;
use super::message::{PAYLOADS, Written, compact, letters, one_payload};
use crate::envelope::{Fault, Payload};

/// What a case says.
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique within its file.
    pub name: String,
    pub(super) comes: Comes,
    pub(super) message: Written,
    pub(super) attempt: u32,
    /// Over those of the policy.
    pub(super) config: BTreeMap<String, String>,
    /// Where the guest's wall clock stands.
    pub(super) clock: Option<DateTime<Utc>>,
    pub(super) answers: Vec<Answer>,
    pub(super) exchanges: Vec<ExchangeAnswer>,
    /// The ways to be right, at least one.
    pub(super) expect: Vec<Expected>,
}

/// What comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comes {
    /// A query of this op.
    Query(String),
    /// An event of this type.
    Event(String),
    /// An event that a dynamic listener heard.
    Listener {
        /// The handler that `listeners.add` named.
        handler: String,
        /// The event's type.
        ty: String,
        /// The state given there.
        state: String,
    },
}

/// What the plugin may ask once, and what it is answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) op: String,
    /// What the question must carry, in the shape of an expected message; empty: anything.
    pub(super) question: Value,
    pub(super) answer: Answered,
}

/// As [`Answer`], of an event that is published to be answered.
#[derive(Debug, Clone)]
pub(super) struct ExchangeAnswer {
    pub(super) ty: String,
    pub(super) question: Value,
    /// Type and message; none: nobody answers in time.
    pub(super) answer: Option<(String, Written)>,
}

/// How a question ends.
#[derive(Debug, Clone)]
pub(super) enum Answered {
    Reply {
        ty: Option<String>,
        written: Box<Written>,
    },
    Fault(Fault),
    NoResponders,
    TimedOut,
    Busy,
}

impl Case {
    /// Whether it may be right that the plugin refuses to be loaded.
    pub(super) fn expects_refusal(&self) -> bool {
        let mut ways = self.expect.iter();
        ways.any(|way| way.outcome.get("refused").is_some())
    }
}

/// Reads all cases of a file; each mistake names its case.
pub(super) fn read_all(tree: Value) -> Result<Vec<Case>, Vec<String>> {
    let list = match tree {
        Value::Array(list) => list,
        Value::Null => Vec::new(),
        _ => {
            return Err(vec![
                "it is no list of cases: begin each with `- name:`".to_owned(),
            ]);
        }
    };
    let (mut cases, mut all, mut names) = (Vec::new(), Vec::new(), HashSet::new());
    for (index, value) in list.into_iter().enumerate() {
        let mut mistakes = Vec::new();
        let case = read(value, &mut mistakes);
        if !case.name.is_empty() && !names.insert(case.name.clone()) {
            mistakes.push("has the name of a case above: give it another".to_owned());
        }
        let which = match case.name.as_str() {
            "" => format!("case {}", index + 1),
            name => format!("case `{name}`"),
        };
        all.extend(
            mistakes
                .into_iter()
                .map(|mistake| format!("{which}: {mistake}")),
        );
        cases.push(case);
    }
    if all.is_empty() { Ok(cases) } else { Err(all) }
}

fn read(value: Value, mistakes: &mut Vec<String>) -> Case {
    let mut fields = Fields::of("", value, mistakes);
    let name = fields.text("name").unwrap_or_default();
    if name.is_empty() {
        fields.wrong("name", "is missing: say in a few words what the case shows");
    }
    let comes = comes(&mut fields);
    let attempt = fields.number("attempt");
    if attempt == Some(0) {
        fields.wrong("attempt", "is 0: the first delivery is attempt 1");
    }
    if attempt.is_some() && matches!(comes, Comes::Query(_)) {
        fields.wrong("attempt", "is for events: a query comes once");
    }
    let clock = fields.text("clock").and_then(|text| {
        let time = DateTime::parse_from_rfc3339(&text);
        if time.is_err() {
            fields.wrong(
                "clock",
                &format!("is `{text}`, no time such as 2026-01-01T00:00:00Z"),
            );
        }
        time.ok().map(|time| time.to_utc())
    });
    let message = Written::read(&mut fields);
    let config = letters(&mut fields, "config").into_iter().collect();
    let mut answers = Vec::new();
    for (index, value) in fields.list("answers").into_iter().enumerate() {
        answers.extend(answer(fields.entry("answers", index, value)));
    }
    let mut exchanges = Vec::new();
    for (index, value) in fields.list("exchanges").into_iter().enumerate() {
        exchanges.extend(exchange(fields.entry("exchanges", index, value)));
    }
    let expect = match fields.value("expect") {
        Some(value) => expected::read(fields.below("expect", value), &comes),
        None => {
            fields.wrong("expect", "is missing: say what must come of it");
            Vec::new()
        }
    };
    fields.finish();
    Case {
        name,
        comes,
        message,
        attempt: attempt.unwrap_or(1),
        config,
        clock,
        answers,
        exchanges,
        expect,
    }
}

fn comes(fields: &mut Fields<'_>) -> Comes {
    let (query, event) = (fields.text("query"), fields.text("event"));
    let listener = fields.text("listener");
    let (ty, state) = (fields.text("type"), fields.text("state"));
    let one = usize::from(query.is_some()) + usize::from(event.is_some());
    if one + usize::from(listener.is_some()) != 1 {
        fields.wrong(
            "",
            "needs exactly one of `query`, `event` and `listener`: what comes in",
        );
    }
    if let Some(handler) = listener {
        if ty.is_none() {
            fields.wrong(
                "type",
                "is missing: the type of the event that the listener heard",
            );
        }
        return Comes::Listener {
            handler,
            ty: ty.unwrap_or_default(),
            state: state.unwrap_or_default(),
        };
    }
    for (key, there) in [("type", ty.is_some()), ("state", state.is_some())] {
        if there {
            fields.wrong(key, "is for a `listener`");
        }
    }
    match (query, event) {
        (Some(op), _) => Comes::Query(op),
        (None, event) => Comes::Event(event.unwrap_or_default()),
    }
}

fn answer(mut fields: Fields<'_>) -> Option<Answer> {
    let op = fields.text("query");
    if op.is_none() {
        fields.wrong("query", "is missing: the op that is asked");
    }
    let question = question(&mut fields);
    let (reply, fault) = (fields.value("reply"), fields.value("fault"));
    let error = fields.text("error");
    let answer = match (reply, fault, error.as_deref()) {
        (Some(reply), None, None) => {
            let mut below = fields.below("reply", reply);
            let ty = below.text("type");
            let written = Box::new(Written::read(&mut below));
            below.finish();
            Some(Answered::Reply { ty, written })
        }
        (None, Some(fault), None) => {
            Some(Answered::Fault(read_fault(fields.below("fault", fault))))
        }
        (None, None, Some("no-responders")) => Some(Answered::NoResponders),
        (None, None, Some("timed-out")) => Some(Answered::TimedOut),
        (None, None, Some("busy")) => Some(Answered::Busy),
        (None, None, Some(other)) => {
            let what = format!("is `{other}`, none of no-responders, timed-out, busy");
            fields.wrong("error", &what);
            None
        }
        _ => {
            fields.wrong("", "needs exactly one of `reply`, `fault` and `error`");
            None
        }
    };
    fields.finish();
    Some(Answer {
        op: op?,
        question,
        answer: answer?,
    })
}

fn exchange(mut fields: Fields<'_>) -> Option<ExchangeAnswer> {
    let ty = fields.text("event");
    if ty.is_none() {
        fields.wrong(
            "event",
            "is missing: the type of the event that is published",
        );
    }
    let question = question(&mut fields);
    let (answer, error) = (fields.value("answer"), fields.text("error"));
    let answer = match (answer, error.as_deref()) {
        (Some(answer), None) => {
            let mut below = fields.below("answer", answer);
            let ty = below.text("type");
            if ty.is_none() {
                below.wrong("type", "is missing: the type of the event that answers");
            }
            let written = Written::read(&mut below);
            below.finish();
            ty.map(|ty| Some((ty, written)))
        }
        (None, Some("timed-out")) => Some(None),
        (None, Some(other)) => {
            fields.wrong("error", &format!("is `{other}`; there is only timed-out"));
            None
        }
        _ => {
            fields.wrong("", "needs either `answer` or `error`");
            None
        }
    };
    fields.finish();
    Some(ExchangeAnswer {
        ty: ty?,
        question,
        answer: answer?,
    })
}

/// What a question must carry.
fn question(fields: &mut Fields<'_>) -> Value {
    let mut map = serde_json::Map::new();
    one_payload(fields);
    for key in PAYLOADS.into_iter().chain(["subject"]) {
        let Some(mut value) = fields.value(key) else {
            continue;
        };
        if let Err(flaw) = check_patterns(&value) {
            fields.wrong(key, &flaw);
        }
        if let (true, Value::String(json)) = (key == "json", &mut value) {
            match compact(json) {
                Some(compact) => *json = compact,
                None => fields.wrong(key, "is not the text of one JSON value"),
            }
        }
        map.insert(key.to_owned(), value);
    }
    map.into()
}

fn read_fault(mut fields: Fields<'_>) -> Fault {
    let code = fields
        .number("code")
        .and_then(|code| u16::try_from(code).ok());
    if !code.is_some_and(|code| (400..=599).contains(&code)) {
        fields.wrong("code", "is not within 400 and 599, as faults have it");
    }
    let message = fields.text("message").unwrap_or_default();
    let details = fields.value("details");
    fields.finish();
    Fault {
        code: code.unwrap_or(500),
        message,
        details: details.map(|value| Payload::Json(value.to_string())),
    }
}
