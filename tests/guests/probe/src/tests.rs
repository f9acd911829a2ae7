//! The scenarios of `tests/double` through the double of the host: `tests/sandbox/double.rs` puts the
//! host itself through them, so that the two cannot part.

use conche_guest::testing::{Host, Incoming, ListenerChange, Registrations, json};
use conche_guest::{Answer, Payload};
use serde_json::{Map, Value};

use super::{CloudEvent, EventError, Fault, PLUGIN};

#[path = "../../../double/normal.rs"]
mod normal;

#[test]
fn the_double_does_what_a_host_does() {
    for scenario in normal::scenarios() {
        normal::check(&scenario, run(&scenario));
    }
}

fn run(scenario: &Value) -> Map<String, Value> {
    let mut host = Host::new();
    for (key, value) in scenario["config"].as_object().into_iter().flatten() {
        host.config(key, value.as_str().unwrap());
    }
    if let Some(attempt) = scenario["attempt"].as_u64() {
        host.attempt(u32::try_from(attempt).unwrap());
    }
    let mut outcome = Map::new();
    match PLUGIN.register(&mut host) {
        Ok(found) => outcome.insert("registered".into(), registered(&found)),
        Err(reason) => return Map::from_iter([("refused".to_owned(), reason.into())]),
    };
    let (effects, (key, value)) = if let Some(op) = scenario["query"].as_str() {
        let ran = PLUGIN.query(&mut host, incoming(op, scenario));
        (ran.effects, answered(ran.result))
    } else {
        let type_ = scenario["event"].as_str().unwrap();
        let ran = PLUGIN.event(&mut host, incoming(type_, scenario));
        (ran.effects, settled(ran.result))
    };
    outcome.insert(key.into(), value);
    outcome.insert(
        "emitted".into(),
        effects.emitted.into_iter().map(emitted).collect(),
    );
    outcome.insert(
        "listeners".into(),
        effects.listeners.iter().map(change).collect(),
    );
    outcome
}

fn incoming(type_: &str, scenario: &Value) -> Incoming {
    let mut incoming = Incoming::new(type_).id("cause").json(&scenario["data"]);
    incoming.envelope.transaction_id = scenario["transaction_id"].as_str().map(Into::into);
    incoming
}

fn answered(result: Result<Answer, Fault>) -> (&'static str, Value) {
    match result {
        Ok(Answer::Reply(reply)) => ("reply", json_of(reply.data)),
        Ok(Answer::Silence) => ("silence", true.into()),
        Err(fault) => ("fault", fault_of(fault)),
    }
}

fn settled(result: Result<(), EventError>) -> (&'static str, Value) {
    match result {
        Ok(()) => ("done", true.into()),
        Err(EventError::Reject(fault)) => ("reject", fault_of(fault)),
        Err(EventError::Retry(retry)) => (
            "retry",
            json!({ "message": retry.message, "after_ms": retry.after_ms }),
        ),
    }
}

fn fault_of(fault: Fault) -> Value {
    json!({ "code": fault.code, "message": fault.message, "details": json_of(fault.details) })
}

fn emitted(event: CloudEvent) -> Value {
    json!({
        "id": event.id,
        "type": event.type_,
        "subject": event.subject,
        "transaction_id": event.transaction_id,
        "data": json_of(event.data),
    })
}

fn change(change: &ListenerChange) -> Value {
    match change {
        ListenerChange::Add(added) => {
            // What it hands to the handler is what a listener is for.
            let heard = Incoming::new("a").heard_by(added);
            let outcome = PLUGIN.event(&mut Host::new(), heard);
            let seen: Value = outcome.effects.emitted[0].parse().unwrap();
            assert_eq!(seen["listener"], json!(added.id));
            json!({ "add": added.id, "handler": "heard", "state": seen["state"] })
        }
        ListenerChange::Remove(id) => json!({ "remove": id }),
    }
}

fn registered(found: &Registrations) -> Value {
    json!({
        "any_query": found.any_query,
        "any_event": found.any_event,
        "events": found.events,
        "listeners": found.listeners,
        "reusable": found.reusable,
    })
}

fn json_of(data: Option<Payload>) -> Value {
    data.map_or(Value::Null, |data| data.parse().unwrap())
}
