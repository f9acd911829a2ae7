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

#[cfg(test)]
mod tests {
    use conche_guest::SendError;
    use conche_guest::testing::{Host, Incoming, Value, json};

    use super::*;

    fn created() -> Incoming {
        Incoming::new("org.cyverse.events.OrderCreated")
            .subject("o-17")
            .transaction_id("tid-1")
    }

    #[test]
    fn an_event_is_recorded_once_however_often_it_comes() {
        let mut host = Host::new();
        let outcome = PLUGIN.event(&mut host, created());
        assert_eq!(outcome.result, Ok(()));
        let [recorded] = outcome.effects.emitted.as_slice() else {
            panic!("{outcome:?}");
        };
        assert_eq!(recorded.type_, "org.cyverse.events.AuditRecorded");
        assert_eq!(recorded.transaction_id.as_deref(), Some("tid-1"));
        let record: Value = recorded.parse().unwrap();
        assert_eq!(record["type"], json!("org.cyverse.events.OrderCreated"));
        assert_eq!(record["subject"], json!("o-17"));

        let again = PLUGIN.event(host.attempt(2), created());
        assert_eq!(again.effects.emitted[0].id, recorded.id);
    }

    #[test]
    fn an_event_that_cannot_be_recorded_comes_again() {
        let mut host = Host::new();
        let full = SendError::OverBudget("emits".to_owned());
        host.fail("org.cyverse.events.AuditRecorded", full);
        let outcome = PLUGIN.event(&mut host, created());
        let retried = EventError::retry("over budget: emits");
        assert_eq!(outcome.result, Err(retried));
    }
}
