//! The scenarios of `tests/double` through a real guest: the probe's own unit tests put the double of
//! the host, `conche_guest::testing`, through them, so that the two cannot part.

use std::sync::Arc;

use conche::envelope::{Attribute, CloudEvent, Fault, Payload};
use conche::plugin::Plugin;
use conche::sandbox::{Call, Emitted, ListenerChange, Registrations, Verdict};
use serde_json::{Map, Value, json};

use super::load;
use crate::support::event;

#[path = "../double/normal.rs"]
mod normal;

#[tokio::test]
async fn a_host_does_what_its_double_does() {
    for scenario in normal::scenarios() {
        normal::check(&scenario, run(&scenario).await);
    }
}

async fn run(scenario: &Value) -> Map<String, Value> {
    let config = scenario["config"].as_object().into_iter().flatten();
    let config = config.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()));
    let loaded = load("probe", |policy| policy.config = config.collect()).await;
    let plugin = match loaded {
        Ok(plugin) => plugin,
        Err(error) => {
            let text = error.to_string();
            let text = text.strip_prefix("register failed: ").unwrap_or(&text);
            return Map::from_iter([("refused".to_owned(), text.into())]);
        }
    };
    let registrations = plugin.registrations();
    let mut outcome = Map::from_iter([("registered".to_owned(), registered(registrations))]);
    let (effects, (key, value)) = called(&plugin, scenario).await;
    outcome.insert(key.into(), value);
    outcome.extend(effects);
    outcome
}

/// Runs the handler; its effects, and what it came to.
async fn called(plugin: &Plugin, scenario: &Value) -> (Map<String, Value>, (&'static str, Value)) {
    let registrations = plugin.registrations();
    let is_query = scenario["query"].is_string();
    let ty = if is_query { "query" } else { "event" };
    let ty = scenario[ty].as_str().unwrap();
    let mut event = event(ty, &scenario["data"].to_string());
    event.id = "cause".into();
    let (named, default) = if is_query {
        (&registrations.queries, &registrations.any_query)
    } else {
        (&registrations.events, &registrations.any_event)
    };
    let handler = named.iter().find(|(_, taken)| taken == ty);
    let attempt = scenario["attempt"].as_u64().unwrap_or(1);
    if let Some(id) = scenario["transaction_id"].as_str() {
        event.set_extension("transactionid", Attribute::Text(id.to_owned()));
    }
    let handler = handler.map(|(name, _)| name).or(default.as_ref()).unwrap();
    let event = Arc::new(event);
    let call = Call {
        attempt: u32::try_from(attempt).unwrap(),
        ..Call::first(handler, &event, plugin.policy().limits.deadline)
    };
    let (effects, came) = if is_query {
        let outcome = plugin.query(&call).await.unwrap();
        (outcome.effects, answered(outcome.answer))
    } else {
        let outcome = plugin.event(&call).await.unwrap();
        (outcome.effects, settled(outcome.verdict))
    };
    let emitted = effects.emitted.iter().map(emitted).collect();
    let listeners = effects.listeners.iter().map(change).collect();
    let effects = [("emitted", emitted), ("listeners", listeners)];
    let effects = effects.map(|(name, value)| (name.to_owned(), value));
    (Map::from_iter(effects), came)
}

fn answered(answer: Result<Option<Box<CloudEvent>>, Fault>) -> (&'static str, Value) {
    match answer {
        Ok(Some(reply)) => ("reply", json_of(reply.data)),
        Ok(None) => ("silence", true.into()),
        Err(fault) => ("fault", fault_of(fault)),
    }
}

fn settled(verdict: Verdict) -> (&'static str, Value) {
    match verdict {
        Verdict::Done => ("done", true.into()),
        Verdict::Reject(fault) => ("reject", fault_of(fault)),
        Verdict::Retry { message, after } => {
            let after_ms = after.map(|after| u64::try_from(after.as_millis()).unwrap());
            let retry = json!({ "message": message, "after_ms": after_ms });
            ("retry", retry)
        }
    }
}

fn fault_of(fault: Fault) -> Value {
    json!({ "code": fault.code, "message": fault.message, "details": json_of(fault.details) })
}

fn emitted(emitted: &Emitted) -> Value {
    let event = CloudEvent::decode(&emitted.message).unwrap();
    assert_eq!(event.id, emitted.id);
    json!({
        "id": event.id,
        "type": event.ty,
        "subject": event.subject,
        "transaction_id": event.transaction_id("transactionid"),
        "data": json_of(event.data),
    })
}

fn change(change: &ListenerChange) -> Value {
    match change {
        ListenerChange::Add(new) => {
            json!({ "add": new.id, "handler": &*new.handler, "state": new.state })
        }
        ListenerChange::Remove(id) => json!({ "remove": id }),
    }
}

fn registered(found: &Registrations) -> Value {
    let events = found.events.iter().map(|(name, ty)| json!([&**name, ty]));
    let listeners = found.listeners.iter().map(|name| json!(&**name));
    json!({
        "any_query": found.any_query.as_deref(),
        "any_event": found.any_event.as_deref(),
        "events": events.collect::<Value>(),
        "listeners": listeners.collect::<Value>(),
        "reusable": found.reusable,
    })
}

fn json_of(data: Option<Payload>) -> Value {
    match data {
        None => Value::Null,
        Some(Payload::Json(text)) => serde_json::from_str(&text).unwrap(),
        Some(other) => panic!("no JSON: {other:?}"),
    }
}
