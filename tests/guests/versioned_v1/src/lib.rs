//! One plugin in two versions (`versioned_v2` builds this very file): the version of the package is
//! the answer.
//!
//! - query `cyverse.versioned.Get` `{"sleep_ms": 0}`: waits, then answers `{"version": "1.0.0"}`
//! - event `org.cyverse.events.versioned.Happened`, same data: waits, then emits
//!   `org.cyverse.events.versioned.Seen` with `{"version": …, "cause": the event's id}`

use std::time::Duration;

use conche_guest::{Draft, Event, EventError, Fault, emit};

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Ask {
    sleep_ms: u64,
}

fn get(ask: Option<Ask>) -> Result<serde_json::Value, Fault> {
    wait(ask);
    Ok(serde_json::json!({ "version": VERSION }))
}

fn happened(
    Event {
        envelope: event, ..
    }: Event,
) -> Result<(), EventError> {
    wait(event.parse()?);
    let seen = serde_json::json!({ "version": VERSION, "cause": event.id });
    emit(Draft::new("org.cyverse.events.versioned.Seen").json(&seen)?)?;
    Ok(())
}

fn wait(ask: Option<Ask>) {
    std::thread::sleep(Duration::from_millis(ask.unwrap_or_default().sleep_ms));
}

conche_guest::plugin! {
    reusable,
    query "cyverse.versioned.Get" => get,
    event "org.cyverse.events.versioned.Happened" => happened,
}
