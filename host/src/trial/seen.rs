//! What came of a call, in the shape in which cases expect it. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::message::compact;
use crate::envelope::{Attribute, CloudEvent, DecodeError, Fault, Payload};
use crate::sandbox::{
    Effects, EventOutcome, Failure, GuestLine, ListenerChange, QueryOutcome, Verdict,
};

/// One call, all that can be expected of it.
#[derive(Debug)]
pub(super) struct Seen {
    /// One key, such as `reply`, and what there is of it.
    pub(super) outcome: Value,
    pub(super) emits: Vec<Value>,
    pub(super) listeners: Vec<Value>,
    pub(super) log: Vec<Value>,
}

/// What a query came to.
pub(super) fn query(outcome: &Result<QueryOutcome, Failure>, attribute: &str) -> Value {
    match outcome {
        Ok(QueryOutcome { answer, .. }) => match answer {
            Ok(Some(reply)) => json!({ "reply": message(reply, attribute) }),
            Ok(None) => json!({ "no-answer": true }),
            Err(fault) => json!({ "fault": self::fault(fault) }),
        },
        Err(failure) => self::failure(failure),
    }
}

/// What an event came to.
pub(super) fn event(outcome: &Result<EventOutcome, Failure>) -> Value {
    match outcome {
        Ok(EventOutcome { verdict, .. }) => match verdict {
            Verdict::Done => json!({ "done": true }),
            Verdict::Retry { message, after } => {
                let after = after.and_then(|after| u64::try_from(after.as_millis()).ok());
                json!({ "retry": { "message": message, "after-ms": after } })
            }
            Verdict::Reject(fault) => json!({ "reject": self::fault(fault) }),
        },
        Err(failure) => self::failure(failure),
    }
}

/// What `register` refused the plugin with.
pub(super) fn refused(message: &str) -> Value {
    json!({ "refused": { "message": message } })
}

/// What was emitted, each as it would be published.
pub(super) fn emits(effects: &Effects, attribute: &str) -> Result<Vec<Value>, DecodeError> {
    let emitted = effects.emitted.iter().map(|emitted| {
        let event = CloudEvent::decode(&emitted.message)?;
        let mut shown = message(&event, attribute);
        shown["key"] = json!(emitted.key);
        Ok(shown)
    });
    emitted.collect()
}

/// How listeners were changed.
pub(super) fn listeners(effects: &Effects) -> Vec<Value> {
    let change = |change: &ListenerChange| match change {
        ListenerChange::Add(new) => json!({ "add": {
            "handler": *new.handler,
            "types": new.interest.types,
            "transaction-id": new.interest.transaction_id,
            "once": new.once,
            "state": new.state,
            "expires-ms": u64::try_from(new.expires.as_millis()).unwrap_or(u64::MAX),
        }}),
        ListenerChange::Remove(id) => json!({ "remove": id }),
    };
    effects.listeners.iter().map(change).collect()
}

/// What was logged and printed.
pub(super) fn line(line: &GuestLine) -> Value {
    let fields = line.fields.iter();
    let fields: Map<_, _> = fields.map(|(key, v)| (key.clone(), json!(v))).collect();
    json!({ "level": line.level, "message": line.message, "fields": fields })
}

/// Every attribute, and the payload under each key that it could be expected by.
pub(super) fn message(event: &CloudEvent, attribute: &str) -> Value {
    let others = event.extensions.iter().filter(|e| e.name != attribute);
    let extensions: Map<_, _> = others
        .map(|extension| {
            let value = match &extension.value {
                Attribute::Boolean(value) => json!(value),
                Attribute::Integer(value) => json!(value),
                Attribute::Text(value) => json!(value),
            };
            (extension.name.clone(), value)
        })
        .collect();
    let mut shown = json!({
        "type": event.ty,
        "id": event.id,
        "source": event.source,
        "subject": event.subject,
        "time": event.time,
        "datacontenttype": event.datacontenttype,
        "dataschema": event.dataschema,
        "transaction-id": event.transaction_id(attribute),
        "extensions": extensions,
    });
    match &event.data {
        None => {}
        Some(Payload::Json(text)) => {
            shown["data"] = serde_json::from_str(text).unwrap_or_default();
            shown["json"] = json!(compact(text));
        }
        Some(Payload::Text(text)) => shown["text"] = json!(text),
        Some(Payload::Binary(bytes)) => shown["base64"] = json!(STANDARD.encode(bytes)),
    }
    shown
}

fn fault(fault: &Fault) -> Value {
    let details = fault.details.as_ref().map(|details| match details {
        Payload::Json(text) => serde_json::from_str(text).unwrap_or_default(),
        Payload::Text(text) => json!(text),
        Payload::Binary(bytes) => json!({ "base64": STANDARD.encode(bytes) }),
    });
    json!({ "code": fault.code, "message": fault.message, "details": details })
}

fn failure(failure: &Failure) -> Value {
    json!({ "failure": { "kind": failure.kind(), "message": failure.to_string() } })
}
