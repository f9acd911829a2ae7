//! Keeps a trail: hears every `org.cyverse.events.GreetingRequested` and
//! `org.cyverse.events.OrderCreated`, emits one `org.cyverse.events.AuditRecorded` for each.

use conche_guest::{Draft, Event, EventError, emit, info};

/// What an audit record says of the event that caused it.
#[derive(Debug, PartialEq, serde::Serialize)]
struct Record<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    type_: &'a str,
    source: &'a str,
    subject: Option<&'a str>,
    time: Option<&'a str>,
}

/// Takes the whole event, since the attributes matter here and the data does not.
fn record(event: Event) -> Result<(), EventError> {
    let cause = event.envelope;
    let record = Record {
        id: &cause.id,
        type_: &cause.type_,
        source: &cause.source,
        subject: cause.subject.as_deref(),
        time: cause.time.as_deref(),
    };
    // One record an event: with the key, a retry sends the same one again and it is stored once.
    let draft = Draft::new("org.cyverse.events.AuditRecorded")
        .key("record")
        .json(&record)?;
    let id = emit(draft)?;
    info!(record = id; "recorded");
    Ok(())
}

conche_guest::plugin! {
    reusable,
    event ["org.cyverse.events.GreetingRequested", "org.cyverse.events.OrderCreated"] => record,
}
