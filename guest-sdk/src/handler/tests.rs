//! Every shape of handler, called as `plugin!` calls it.

use serde::Deserialize;

use super::*;
use crate::{Attribute, Extension, Payload};

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    greeting: String,
}

fn greet(Name { name }: Name) -> Result<Greeting, Fault> {
    Ok(Greeting {
        greeting: format!("Hello, {name}!"),
    })
}

fn echo(query: Query) -> Result<Reply, Fault> {
    let CloudEvent {
        subject,
        extensions,
        data,
        ..
    } = query.envelope;
    Ok(Reply {
        subject,
        extensions,
        data,
        ..Reply::empty()
    })
}

fn silent(_: Query) -> Result<Answer, Fault> {
    Ok(Answer::Silence)
}

fn maybe(name: Option<u32>) -> Result<Option<u32>, Fault> {
    Ok(name)
}

fn keep(_: Name) -> Result<(), EventError> {
    Ok(())
}

fn faulty(Event { state, .. }: Event) -> Result<(), Fault> {
    Err(Fault::new(
        state.as_deref().unwrap_or("500").parse().unwrap(),
        "no",
    ))
}

fn matched(state: Option<&str>) -> Matched {
    Matched {
        handler: "h".into(),
        listener: None,
        state: state.map(Into::into),
    }
}

fn envelope(data: Option<Payload>) -> CloudEvent {
    CloudEvent {
        id: "cloudevent-1".into(),
        source: "/test".into(),
        type_: "cyverse.test".into(),
        time: None,
        subject: Some("s".into()),
        datacontenttype: None,
        dataschema: None,
        transaction_id: None,
        extensions: vec![Extension {
            name: "n".into(),
            value: Attribute::Integer(7),
        }],
        data,
    }
}

fn json(text: &str) -> CloudEvent {
    envelope(Some(Payload::Json(text.into())))
}

#[track_caller]
fn check(answer: Result<Option<Reply>, Fault>, expected: &str) {
    let text = match answer {
        Ok(Some(Reply {
            data: Some(Payload::Json(text)),
            ..
        })) => text,
        Ok(other) => format!("{other:?}"),
        Err(fault) => format!("{} {}", fault.code, fault.message),
    };
    assert_eq!(text, expected);
}

#[test]
fn queries() {
    check(
        query(greet, matched(None), json(r#"{"name":"Ada"}"#)),
        r#"{"greeting":"Hello, Ada!"}"#,
    );
    check(
        query(greet, matched(None), json("{}")),
        "400 invalid data: missing field `name` at line 1 column 2",
    );
    check(
        query(greet, matched(None), envelope(None)),
        "400 no data: invalid type: null, expected struct Name at line 1 column 4",
    );
    let text = envelope(Some(Payload::Text("hi".into())));
    check(
        query(greet, matched(None), text),
        "400 the data is text, not JSON",
    );
    check(query(silent, matched(None), json("1")), "None");
    check(query(maybe, matched(None), envelope(None)), "null");
}

#[test]
fn data_may_come_with_its_message() {
    fn of(With { data, envelope }: With<Name>) -> Result<String, Fault> {
        let tid = envelope.transaction_id.as_deref().unwrap_or("none");
        Ok(format!("{} {} {tid}", data.name, envelope.type_))
    }
    fn heard(With { data, envelope }: With<Name>) -> Result<(), Fault> {
        let text = format!("{} {}", data.name, envelope.source);
        Err(Fault::new(409, text))
    }
    let mut ada = json(r#"{"name":"Ada"}"#);
    ada.transaction_id = Some("tid-1".into());
    let expected = format!("\"Ada {} tid-1\"", ada.type_);
    let text = Fault::new(409, format!("Ada {}", ada.source));
    check(query(of, matched(None), ada.clone()), &expected);
    let rejected = event(heard, matched(None), ada);
    assert_eq!(rejected, Err(EventError::reject(text)));
    let misfit = query(of, matched(None), json("[]"));
    assert_eq!(misfit.unwrap_err().code, 400);
}

#[test]
fn a_whole_query_passes_untouched() {
    let exact = r#"{"b":12345678901234567890123,"a":1.0}"#;
    let reply = query(echo, matched(None), json(exact)).unwrap().unwrap();
    assert_eq!(reply.data, Some(Payload::Json(exact.into())));
    assert_eq!(reply.extensions, envelope(None).extensions);
}

#[test]
fn events() {
    assert_eq!(
        event(keep, matched(None), json(r#"{"name":"Ada"}"#)),
        Ok(())
    );
    assert!(matches!(
        event(keep, matched(None), json("[]")),
        Err(EventError::Reject(Fault { code: 400, .. }))
    ));
    let retried = event(faulty, matched(Some("503")), json("1"));
    assert_eq!(retried, Err(EventError::retry("no (code 503)")));
    let rejected = event(faulty, matched(Some("409")), json("1"));
    assert_eq!(rejected, Err(EventError::reject(Fault::new(409, "no"))));
}
