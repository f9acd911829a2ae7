//! Well behaved: does what the data of a query or an event tells it, and answers what came of it.
//!
//! - `cyverse.probe.Echo`: the whole query comes back: subject, types, extensions, data
//! - `cyverse.probe.Context`: what the call, the envelope, the policy and WASI show to a guest
//! - `cyverse.probe.Silence`: no answer
//! - `cyverse.probe.Do` `{"steps": [STEP, …]}`: runs the steps (see `script`), answers
//!   `{"calls": calls of this instance, "attempt": …, "outcomes": [one a step that ran]}`
//! - `cyverse.probe.{Emit,Ask,AskAll,Exchange,Listen,Unlisten,Log,Sleep,Panic,Fault}` DATA: the one step
//!   `{"emit": DATA}` and so on, with its outcome as the answer
//! - event `org.cyverse.events.probe.Do` `{"steps": […], "report": false}`: runs the steps; with
//!   `report` it then emits `org.cyverse.events.probe.Done` with what the query `Do` would answer
//! - the listener `heard` emits `org.cyverse.events.probe.Heard` `{"id", "listener", "state"}`;
//!   where the state begins with `key `, with `"idempotency_key"` too
//!
//! Configuration: `ops` and `types` (separated by spaces) are served like `Echo` and the event `Do`
//! as well; `any-query = "true"`, `any-event = "true"` register the defaults; `reusable = "false"`
//! asks for a fresh instance a call.

mod script;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use conche_guest::{
    Answer, CloudEvent, Draft, Event, EventError, Fault, Query, Registration, Reply, call, config,
    emit,
};
use serde_json::{Value, json};

use crate::script::{Failure, Script, Step};

/// Calls of this instance: shows reuse, and that a fresh instance is fresh.
static CALLS: AtomicU32 = AtomicU32::new(0);

fn echo(query: Query) -> Result<Reply, Fault> {
    count();
    let CloudEvent {
        subject,
        datacontenttype,
        dataschema,
        extensions,
        data,
        ..
    } = query.envelope;
    Ok(Reply {
        type_: None,
        subject,
        datacontenttype,
        dataschema,
        extensions,
        data,
    })
}

fn context(Query { envelope, handler }: Query) -> Result<Value, Fault> {
    let values = config::keys().into_iter().map(|key| {
        let value = config::get(&key).map_or(Value::Null, Value::String);
        (key, value)
    });
    Ok(json!({
        "calls": count(),
        "attempt": call::attempt(),
        "idempotency_key": call::idempotency_key(),
        "remaining_ms": u64::try_from(call::remaining().as_millis()).unwrap_or(u64::MAX),
        "hops": call::hops(),
        "unix_s": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
        "config": values.collect::<serde_json::Map<_, _>>(),
        "handler": handler,
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type_,
        "time": envelope.time,
        "transaction_id": envelope.transaction_id,
        "sandbox": {
            "environment": std::env::vars().count(),
            "arguments": std::env::args().count(),
            "files": std::fs::read_dir("/").is_ok(),
            "sockets": std::net::TcpStream::connect("127.0.0.1:9").map_err(|e| e.kind().to_string()).err(),
        },
    }))
}

fn silence(_: Query) -> Result<Answer, Fault> {
    count();
    Ok(Answer::Silence)
}

fn run(script: Script) -> Result<Value, Fault> {
    let calls = count();
    Ok(report(calls, &script.run().map_err(Failure::into_fault)?))
}

/// `cyverse.probe.Sleep` with DATA is the step `{"sleep": DATA}`.
fn one(Query { envelope, .. }: Query) -> Result<Value, Fault> {
    count();
    let action = envelope.type_.rsplit('.').next().unwrap_or_default();
    let step = json!({ snake_case(action): envelope.parse::<Value>()? });
    let step: Step =
        serde_json::from_value(step).map_err(|error| Fault::bad_request(error.to_string()))?;
    step.run().map_err(Failure::into_fault)
}

fn run_event(Event { envelope, .. }: Event) -> Result<(), EventError> {
    let calls = count();
    let script: Script = envelope.parse()?;
    let wants_report = script.report;
    let outcomes = script.run().map_err(Failure::into_event_error)?;
    if wants_report {
        let draft = Draft::new("org.cyverse.events.probe.Done")
            .subject(&envelope.id)
            .key("report");
        emit(draft.json(&report(calls, &outcomes))?)?;
    }
    Ok(())
}

fn heard(event: Event) -> Result<(), EventError> {
    count();
    let Event {
        envelope,
        listener,
        state,
        ..
    } = event;
    let asks = state
        .as_ref()
        .is_some_and(|state| state.starts_with("key "));
    let mut what = json!({ "id": envelope.id, "listener": listener, "state": state });
    if asks {
        what["idempotency_key"] = call::idempotency_key().into();
    }
    emit(Draft::new("org.cyverse.events.probe.Heard").json(&what)?)?;
    Ok(())
}

fn register(registration: &mut Registration) -> Result<(), String> {
    let flag = |key| config::parse::<bool>(key).map_err(|error| error.to_string());
    if flag("reusable")?.unwrap_or(true) {
        registration.reusable();
    }
    for op in config::get("ops").unwrap_or_default().split_whitespace() {
        registration.query("echo", op);
    }
    let types = config::get("types").unwrap_or_default();
    let types: Vec<&str> = types.split_whitespace().collect();
    if !types.is_empty() {
        registration.event("run_event", &types);
    }
    if flag("any-query")?.unwrap_or(false) {
        registration.any_query("echo");
    }
    if flag("any-event")?.unwrap_or(false) {
        registration.any_event("run_event");
    }
    Ok(())
}

fn count() -> u32 {
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}

fn report(calls: u32, outcomes: &[Value]) -> Value {
    json!({ "calls": calls, "attempt": call::attempt(), "outcomes": outcomes })
}

/// `AskAll` to `ask_all`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (index, character) in name.char_indices() {
        if character.is_ascii_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

conche_guest::plugin! {
    query "cyverse.probe.Echo" => echo,
    query "cyverse.probe.Context" => context,
    query "cyverse.probe.Silence" => silence,
    query "cyverse.probe.Do" => run,
    query [
        "cyverse.probe.Emit", "cyverse.probe.Ask", "cyverse.probe.AskAll", "cyverse.probe.Exchange",
        "cyverse.probe.Listen", "cyverse.probe.Unlisten", "cyverse.probe.Log", "cyverse.probe.Sleep", "cyverse.probe.Panic",
        "cyverse.probe.Fault",
    ] => one,
    event "org.cyverse.events.probe.Do" => run_event,
    listener => heard,
    register => register,
}

#[cfg(test)]
mod tests;
