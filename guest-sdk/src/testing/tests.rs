//! Each promise of the double.
#![expect(
    clippy::needless_pass_by_value,
    reason = "handlers take the whole message, whatever they use of it"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

mod asking;
mod table;

use super::*;
use crate::listeners::Listener;
use crate::log::Level;
use crate::{Draft, Event, Query, call, config, emit, exchange, info, listeners, request, warn};

const OP: &str = "cyverse.test.Op";
const TYPE: &str = "org.cyverse.events.test.Happened";

fn query() -> Incoming {
    Incoming::new(OP).transaction_id("tid-1").json(&json!({}))
}

fn event() -> Incoming {
    Incoming::new(TYPE).transaction_id("tid-1").json(&json!({}))
}

fn ids(effects: &Effects) -> Vec<&str> {
    effects.emitted.iter().map(|one| one.id.as_str()).collect()
}

#[test]
fn a_query_is_parsed_and_answered() {
    fn double(n: u32) -> Result<u32, Fault> {
        Ok(2 * n)
    }
    let mut host = Host::new();
    let outcome = host.query(double, Incoming::new(OP).json(&21));
    assert_eq!(outcome.reply::<u32>(), 42);
    let outcome = host.query(double, Incoming::new(OP).json("x"));
    assert_eq!(outcome.fault().code, 400);
    let silent = |_: Query| Ok::<_, Fault>(Answer::Silence);
    assert_eq!(host.query(silent, query()).result, Ok(Answer::Silence));
}

#[test]
fn an_event_that_cannot_be_read_is_rejected() {
    let handler = |_: u32| Ok::<_, EventError>(());
    let outcome = Host::new().event(handler, event());
    assert!(matches!(
        outcome.result,
        Err(EventError::Reject(Fault { code: 400, .. }))
    ));
}

#[test]
fn a_handler_sees_the_envelope_and_its_own_name() {
    fn look(query: Query) -> Result<Value, Fault> {
        Ok(json!([query.handler, query.subject, query.transaction_id]))
    }
    let mut host = Host::new();
    let reply: Value = host.query(look, query().subject("s")).reply();
    assert_eq!(reply, json!(["look", "s", "tid-1"]));
    let reply: Value = host.query(look, query().handler("other")).reply();
    assert_eq!(reply, json!(["other", null, "tid-1"]));
}

#[test]
fn the_host_shows_what_the_test_says() {
    fn show(_: Query) -> Result<Value, Fault> {
        let known = config::get("a").zip(config::parse::<u32>("n")?);
        let facts = (call::attempt(), call::hops(), call::remaining().as_secs());
        Ok(json!([known, config::keys(), facts]))
    }
    let mut host = Host::new();
    let reply: Value = host.query(show, query()).reply();
    assert_eq!(reply, json!([null, [], [1, 0, 5]]));
    host.config("n", "7").config("a", "b").hops(3).attempt(2);
    host.remaining(Duration::from_secs(60));
    let reply: Value = host.query(show, query()).reply();
    assert_eq!(reply, json!([["b", 7], ["a", "n"], [1, 3, 60]]));
    let attempt = |_: Event| Err::<(), _>(EventError::retry(call::attempt().to_string()));
    let outcome = host.event(attempt, event());
    assert_eq!(outcome.result, Err(EventError::retry("2")));
}

#[test]
fn effects_count_only_when_the_handler_succeeds() {
    fn handler(event: Event) -> Result<(), EventError> {
        emit(Draft::new("a.b").json(&1)?)?;
        listeners::add(Listener::new("heard").types(["a.c"]))?;
        match event.data {
            Some(_) => Ok(()),
            None => Err(EventError::retry("no data")),
        }
    }
    let mut host = Host::new();
    let done = host.event(handler, event());
    assert_eq!(done.effects.emitted[0].type_, "a.b");
    assert_eq!(
        done.effects.emitted[0].transaction_id.as_deref(),
        Some("tid-1")
    );
    assert_eq!(done.effects.listeners.len(), 1);
    assert_eq!(done.discarded, Effects::default());

    let failed = host.event(handler, Incoming::new(TYPE));
    assert_eq!(failed.effects, Effects::default());
    assert_eq!(failed.discarded.emitted[0].type_, "a.b");
    assert_eq!(failed.discarded.listeners.len(), 1);
}

#[test]
fn ids_are_equal_in_each_run_of_a_delivery_and_only_then() {
    fn keyed(_: Event) -> Result<(), EventError> {
        emit(Draft::new("a.b").key("k").json(&call::attempt())?)?;
        Ok(())
    }
    fn twice(_: Event) -> Result<(), EventError> {
        let answered = [emit(Draft::new("a.b"))?, emit(Draft::new("a.b"))?];
        assert_ne!(answered[0], answered[1]);
        Ok(())
    }
    let mut host = Host::new();
    let first = host.event(keyed, event());
    let again = host.attempt(2).event(keyed, event());
    assert_ne!(first.effects.emitted, again.effects.emitted);
    assert_eq!(ids(&first.effects), ids(&again.effects));
    let other = host.event(keyed, event().id("cloudevent-2"));
    assert_ne!(ids(&first.effects), ids(&other.effects));
    let elsewhere = host.event(keyed, event().handler("elsewhere"));
    assert_ne!(ids(&first.effects), ids(&elsewhere.effects));

    let (first, again) = (host.event(twice, event()), host.event(twice, event()));
    assert_eq!(ids(&first.effects), ids(&again.effects));
}

#[test]
fn the_idempotency_key_is_that_of_the_delivery() {
    fn key(_: Event) -> Result<(), EventError> {
        info!("{}", call::idempotency_key());
        Ok(())
    }
    let mut host = Host::new();
    let mut logged = |event| host.event(key, event).log[0].message.clone();
    let first = logged(event());
    assert_eq!(first.len(), 32);
    assert_eq!(first, logged(event()));
    assert_ne!(first, logged(event().source("/elsewhere")));
    let by = |id: &str| AddedListener {
        id: id.to_owned(),
        listener: Listener::new("heard"),
    };
    let (one, other) = (event().heard_by(&by("1")), event().heard_by(&by("2")));
    assert_ne!(logged(one), logged(other));
}

#[test]
fn what_no_host_sends_is_not_sent() {
    let try_to = |type_: &'static str| {
        let handler = move |_: Event| emit(Draft::new(type_)).map(drop);
        Host::new().event(handler, event()).result
    };
    let rejected = |result| matches!(result, Err(EventError::Reject(_)));
    for type_ in [
        "",
        "a..b",
        "a.*",
        "a b",
        "$SYS.a",
        "_INBOX.a",
        "conche.dlq.a",
    ] {
        assert!(rejected(try_to(type_)), "{type_}");
    }
    assert_eq!(try_to("a.b"), Ok(()));
}

#[test]
fn emits_and_listeners_fail_as_the_test_says() {
    let refused = SendError::Refused("[grants] emit = [\"a.b\"]".to_owned());
    let mut host = Host::new();
    host.fail("a.b", refused.clone());
    let outcome = host.event(|_: Event| emit(Draft::new("a.b")).map(drop), event());
    assert_eq!(outcome.result, Err(refused.clone().into()));
    let listener = || Listener::new("heard").types(["a.b"]);
    let outcome = host.event(
        move |_: Event| listeners::add(listener()).map(drop),
        event(),
    );
    assert_eq!(outcome.result, Err(refused.into()));
    assert_eq!(outcome.discarded, Effects::default());
}

#[test]
fn listeners_are_added_removed_and_heard() {
    fn listen(event: Event) -> Result<(), SendError> {
        let kept = Listener::new("heard").types(["a.b"]).once().state("s");
        listeners::add(kept)?;
        let gone = listeners::add(Listener::new("heard").transaction_id("tid-9"))?;
        listeners::remove(&gone)?;
        listeners::remove(&event.id)
    }
    fn heard(event: Event) -> Result<(), EventError> {
        let seen = (event.handler, event.listener, event.state);
        info!("{}", json!(seen));
        Ok(())
    }
    let mut host = Host::new();
    let outcome = host.event(listen, event());
    let [ListenerChange::Add(added), ListenerChange::Remove(removed)] =
        outcome.effects.listeners.as_slice()
    else {
        panic!("{:?}", outcome.effects.listeners);
    };
    let expected = Listener::new("heard").types(["a.b"]).once().state("s");
    assert_eq!(added.listener, expected);
    assert_eq!(removed, "cloudevent-1");
    let outcome = host.event(heard, Incoming::new("a.b").heard_by(added));
    let seen = json!(["heard", added.id, "s"]).to_string();
    assert_eq!(outcome.log[0].message, seen);

    let neither = |_: Event| listeners::add(Listener::new("heard")).map(drop);
    let outcome = host.event(neither, event());
    assert!(matches!(outcome.result, Err(EventError::Reject(_))));
}

#[test]
fn log_lines_are_kept_with_their_fields() {
    fn handler(_: Event) -> Result<(), EventError> {
        warn!(order = "o-1", cents = 5; "late");
        Err(EventError::retry("late"))
    }
    let line = LogLine {
        level: Level::Warn,
        message: "late".to_owned(),
        fields: vec![
            ("order".to_owned(), "o-1".to_owned()),
            ("cents".to_owned(), "5".to_owned()),
        ],
    };
    assert_eq!(Host::new().event(handler, event()).log, [line]);
    // Without a host, to stderr alone.
    info!("on its own");
}

/// The text of a panic.
fn panic_of<T>(body: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(body()))).unwrap_err();
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn a_panic_is_the_tests_and_leaves_the_host_as_it_was() {
    let mut host = Host::new();
    host.config("a", "b");
    let panics = |_: Query| -> Result<(), Fault> { panic!("in the handler") };
    let text = panic_of(|| host.query(panics, query()));
    assert_eq!(text, "in the handler");
    assert!(panic_of(|| config::get("a")).contains("there is none"));
    let reply = |_: Query| Ok::<_, Fault>(config::get("a"));
    assert_eq!(host.query(reply, query()).reply::<String>(), "b");
}

#[test]
fn outside_a_host_and_in_register_the_host_is_not_asked() {
    let text = panic_of(|| emit(Draft::new("a.b")));
    assert!(text.starts_with("emit asks the host"), "{text}");
    let emits = |_: &mut Registration| emit(Draft::new("a.b"));
    let text = panic_of(|| Host::new().register(|r| emits(r).map(drop)));
    assert!(text.ends_with("not in register"), "{text}");
    let registers = |_: Query| {
        Registration::new().any_query("a");
        Ok::<_, Fault>(())
    };
    let text = panic_of(|| Host::new().query(registers, query()));
    assert!(text.contains("works only in register"), "{text}");
}
