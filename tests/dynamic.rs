//! What handlers wait for while they run: `exchange`, and dynamic listeners. Each test runs on a real
//! nats-server and on the embedded bus.

use conche::envelope::{Attribute, CloudEvent, headers};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::server::NatsServer;
use crate::support::{On, Setup, TestHost, event, guest, on_both};

const ASKED: &str = "org.cyverse.events.GreetingRequested";
const RECORDED: &str = "org.cyverse.events.AuditRecorded";
const DO: &str = "org.cyverse.events.probe.Do";
const DONE: &str = "org.cyverse.events.probe.Done";
const HEARD: &str = "org.cyverse.events.probe.Heard";
const NEWS: &str = "org.cyverse.events.News";

on_both! {
    an_exchange_gets_the_first_answer_of_its_transaction,
    an_exchange_that_nobody_answers_times_out,
    an_exchange_that_runs_again_publishes_once_and_finds_its_answer,
    handlers_may_wait_for_their_own_plugin,
    what_is_not_granted_names_the_line,
    a_listener_hears_until_it_is_removed,
    a_listener_that_hears_once_hears_once,
    a_transaction_is_heard_whatever_the_type,
    what_is_not_granted_uses_up_no_listener,
    what_is_granted_no_more_uses_up_no_listener,
    a_handler_that_fails_changes_no_listener,
    a_listener_hears_what_its_own_call_emits,
    listeners_are_counted_and_capped,
    calls_side_by_side_add_no_more_than_may_wait,
    a_listener_that_has_expired_hears_nothing,
    listeners_survive_the_swap_of_another_plugin,
    a_swap_drops_listeners_or_carries_them_on,
    two_listeners_of_one_handler_emit_two_events,
}

async fn start(on: On, guests: &[&str], policy: &str) -> TestHost {
    TestHost::with(Setup {
        guests,
        policies: &[("probe", policy)],
        server: (on == On::Nats).then(NatsServer::start),
        ..Setup::default()
    })
    .await
}

/// As [`start`], with what the policy grants and no more.
async fn start_strict(on: On, policy: &str) -> TestHost {
    TestHost::with(Setup {
        guests: &["probe"],
        policies: &[("probe", policy)],
        server: (on == On::Nats).then(NatsServer::start),
        grants_as_written: true,
        ..Setup::default()
    })
    .await
}

/// The answer of one of the probe's steps.
async fn step(host: &TestHost, op: &str, data: &Value) -> Value {
    let op = format!("cyverse.probe.{op}");
    let answer = host.ask_json(&op, &data.to_string()).await.unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// Adds a listener, and answers its id.
async fn listen(host: &TestHost, mut listener: Value) -> String {
    listener["handler"] = json!("heard");
    let answer = step(host, "Listen", &listener).await;
    let id = answer["listener"].as_str();
    id.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// What the probe's listeners heard, in the order of the stream.
async fn heard(host: &TestHost, count: usize) -> Vec<Value> {
    let found = host.stored(HEARD, count).await;
    found.iter().map(|found| data(&found.message)).collect()
}

fn data(message: &conche::envelope::Message) -> Value {
    match CloudEvent::decode(message).unwrap().data {
        Some(conche::envelope::Payload::Json(json)) => serde_json::from_str(&json).unwrap(),
        other => panic!("no JSON: {other:?}"),
    }
}

/// Publishes an event of a transaction.
async fn publish_in(host: &TestHost, ty: &str, transaction: &str) -> CloudEvent {
    let mut event = event(ty, "{}");
    event.set_extension("transactionid", Attribute::Text(transaction.into()));
    let message = event.to_structured().unwrap();
    host.wire.publish(ty, message).await.unwrap();
    event
}

async fn an_exchange_gets_the_first_answer_of_its_transaction(on: On) {
    let host = start(on, &["probe", "auditor"], "").await;
    publish_in(&host, RECORDED, "tid-other").await;
    let exchange = json!({"type": ASKED, "data": {"n": 1}, "answer_types": ["org.cyverse.events.Never", RECORDED]});
    let answer = step(&host, "Exchange", &exchange).await;
    assert_eq!(answer["answer"]["type"], RECORDED, "{answer}");
    let asked = CloudEvent::decode(&host.stored(ASKED, 1).await[0].message).unwrap();
    let transaction = asked.transaction_id("transactionid").unwrap();
    assert!(transaction.starts_with("tid-"), "{transaction}");
    assert_eq!(answer["answer"]["transaction_id"], transaction);
    let message = &host.stored(ASKED, 1).await[0].message;
    assert_eq!(message.headers.get(headers::CONCHE_HOPS), Some("1"));
    let cause = message.headers.get(headers::CONCHE_CAUSE).unwrap();
    assert!(cause.starts_with("-/-/probe/"), "{cause}");
    assert_eq!(message.headers.get(headers::NATS_MSG_ID), Some(&*asked.id));
}

async fn an_exchange_that_nobody_answers_times_out(on: On) {
    let host = start(on, &["probe"], "").await;
    let exchange = json!({"type": ASKED, "answer_types": [RECORDED], "timeout_ms": 100});
    let answer = step(&host, "Exchange", &exchange).await;
    assert_eq!(answer["error"]["kind"], "timed-out", "{answer}");
    // No later failure undoes it.
    host.stored(ASKED, 1).await;
}

async fn an_exchange_that_runs_again_publishes_once_and_finds_its_answer(on: On) {
    let host = start(on, &["probe", "auditor"], "").await;
    let script = json!({"report": true, "steps": [
        {"exchange": {"type": ASKED, "answer_types": [RECORDED]}},
        {"retry": {"message": "again", "after_ms": 1}, "before_attempt": 3},
    ]});
    host.publish(DO, &script.to_string()).await;
    let done = data(&host.stored(DONE, 1).await[0].message);
    assert_eq!(done["attempt"], 3, "{done}");
    let answer = &done["outcomes"][0]["answer"];
    assert_eq!(answer["type"], RECORDED, "{done}");
    assert_eq!(host.wire.messages("conche-events", ASKED).await.len(), 1);
}

async fn handlers_may_wait_for_their_own_plugin(on: On) {
    let types = "org.cyverse.events.probe.Inner";
    let policy = format!("[config]\ntypes = \"{types}\"\n[limits]\nconcurrency = 4\n");
    let host = start(on, &["probe"], &policy).await;
    let inner = json!({"report": true, "steps": []});
    let outer = json!({"report": true, "steps": [
        {"exchange": {"type": types, "data": inner, "answer_types": [DONE]}},
    ]});
    for _ in 0..3 {
        host.publish(DO, &outer.to_string()).await;
    }
    // Three of what was asked, and three that tell of their answers.
    let done = host.stored(DONE, 6).await;
    let done = done.iter().map(|found| data(&found.message));
    let (inner, outer): (Vec<_>, Vec<_>) =
        done.partition(|done| done["outcomes"].as_array().unwrap().is_empty());
    assert_eq!((inner.len(), outer.len()), (3, 3));
    for told in outer {
        let answer = &told["outcomes"][0]["answer"];
        assert_eq!(answer["type"], DONE, "{told}");
    }
}

async fn what_is_not_granted_names_the_line(on: On) {
    let policy = "[grants]\nexchange = [\"org.cyverse.events.Ok\"]\nlisten = []\n";
    let host = start_strict(on, policy).await;
    for (exchange, named) in [
        (
            json!({"type": ASKED, "answer_types": ["org.cyverse.events.Ok"]}),
            ASKED,
        ),
        (
            json!({"type": "org.cyverse.events.Ok", "answer_types": [RECORDED]}),
            RECORDED,
        ),
    ] {
        let answer = step(&host, "Exchange", &exchange).await;
        let text = answer["error"]["text"].as_str().unwrap();
        assert!(
            text.contains(&format!("add {named:?} to exchange in [grants]")),
            "{text}"
        );
    }
    for (listener, named) in [
        (json!({"types": [NEWS]}), NEWS),
        (json!({"transaction_id": "tid-1"}), ">"),
    ] {
        let mut listener = listener;
        listener["handler"] = json!("heard");
        let answer = step(&host, "Listen", &listener).await;
        let text = answer["error"]["text"].as_str().unwrap();
        assert!(
            text.contains(&format!("add {named:?} to listen in [grants]")),
            "{text}"
        );
    }
}

async fn a_listener_hears_until_it_is_removed(on: On) {
    let host = start(on, &["probe"], "").await;
    host.publish(NEWS, "{}").await;
    let id = listen(
        &host,
        json!({"types": ["org.cyverse.events.Never", NEWS], "state": "kept"}),
    )
    .await;
    let mut published = Vec::new();
    for _ in 0..2 {
        published.push(host.publish(NEWS, "{}").await.id);
    }
    let all = heard(&host, 2).await;
    for heard in &all {
        assert_eq!(heard["listener"], *id);
        assert_eq!(heard["state"], "kept");
    }
    // In no order: their calls run side by side.
    for id in published {
        assert!(all.iter().any(|heard| heard["id"] == *id), "{all:?}");
    }
    step(&host, "Unlisten", &json!(id)).await;
    host.publish(NEWS, "{}").await;
    marked(&host, 3).await;
}

/// Shows that nothing more than `count - 1` was heard before: adds a listener, which hears one.
async fn marked(host: &TestHost, count: usize) {
    let ty = "org.cyverse.events.Marker";
    let id = listen(host, json!({"types": [ty], "once": true})).await;
    host.publish(ty, "{}").await;
    let all = heard(host, count).await;
    assert_eq!(all.len(), count, "{all:?}");
    assert_eq!(all[count - 1]["listener"], *id, "{all:?}");
}

async fn a_listener_that_hears_once_hears_once(on: On) {
    let host = start(on, &["probe"], "").await;
    listen(&host, json!({"types": [NEWS], "once": true})).await;
    for _ in 0..10 {
        host.publish(NEWS, "{}").await;
    }
    heard(&host, 1).await;
    marked(&host, 2).await;
}

async fn a_transaction_is_heard_whatever_the_type(on: On) {
    let host = start(on, &["probe"], "").await;
    listen(&host, json!({"transaction_id": "tid-1"})).await;
    publish_in(&host, NEWS, "tid-2").await;
    let ours = publish_in(&host, "org.cyverse.events.Other", "tid-1").await;
    let all = heard(&host, 1).await;
    assert_eq!(all[0]["id"], *ours.id, "{all:?}");
    let neither = step(&host, "Listen", &json!({"handler": "heard"})).await;
    assert_eq!(neither["error"]["kind"], "invalid");
    let unknown = step(&host, "Listen", &json!({"handler": "x", "types": [NEWS]})).await;
    assert_eq!(unknown["error"]["kind"], "invalid");
}

async fn what_is_not_granted_uses_up_no_listener(on: On) {
    let granted = "org.cyverse.events.granted.Is";
    let policy = "[grants]\nlisten = [\"org.cyverse.events.granted.*\"]\nemit = [\"org.cyverse.events.>\"]\n";
    let host = start_strict(on, policy).await;
    listen(&host, json!({"transaction_id": "tid-1", "once": true})).await;
    publish_in(&host, NEWS, "tid-1").await;
    let ours = publish_in(&host, granted, "tid-1").await;
    assert_eq!(heard(&host, 1).await[0]["id"], *ours.id);
}

async fn what_is_granted_no_more_uses_up_no_listener(on: On) {
    let granted = "org.cyverse.events.granted.Is";
    let policy = |listen: &str, shows: &str| {
        format!(
            "[listeners]\non-swap = \"carry\"\n[config]\nshows = \"{shows}\"\n\
             [grants]\nlisten = [\"{listen}\"]\nemit = [\"org.cyverse.events.>\"]\n"
        )
    };
    let host = start_strict(on, &policy("org.cyverse.events.>", "all")).await;
    listen(&host, json!({"transaction_id": "tid-1", "once": true})).await;
    listen(&host, json!({"transaction_id": "tid-2"})).await;
    let less = policy("org.cyverse.events.granted.*", "less");
    std::fs::write(host.dir.path().join("probe.toml"), less).unwrap();
    let is_less = |answer: &str| answer.contains("less");
    host.ask_until("cyverse.probe.Context", "{}", is_less).await;
    publish_in(&host, NEWS, "tid-1").await;
    // Once this one is heard, that one was passed over.
    publish_in(&host, granted, "tid-2").await;
    heard(&host, 1).await;
    let ours = publish_in(&host, granted, "tid-1").await;
    assert_eq!(heard(&host, 2).await[1]["id"], *ours.id);
}

async fn a_handler_that_fails_changes_no_listener(on: On) {
    let host = start(on, &["probe"], "").await;
    let script = json!({"steps": [
        {"listen": {"handler": "heard", "types": [NEWS]}},
        {"fault": {"code": 422, "message": "no"}},
    ]});
    let fault = host.ask_json("cyverse.probe.Do", &script.to_string()).await;
    assert_eq!(fault.unwrap_err().code, 422);
    host.publish(NEWS, "{}").await;
    marked(&host, 1).await;
}

async fn a_listener_hears_what_its_own_call_emits(on: On) {
    let host = start(on, &["probe"], "").await;
    let script = json!({"report": true, "steps": [
        {"emit": {"type": NEWS}},
        {"listen": {"handler": "heard", "types": [NEWS], "once": true}},
    ]});
    host.publish(DO, &script.to_string()).await;
    heard(&host, 1).await;
}

async fn listeners_are_counted_and_capped(on: On) {
    let host = start(on, &["probe"], "[limits]\nlisteners = 2\n").await;
    let once = json!({"types": [NEWS], "once": true});
    listen(&host, once.clone()).await;
    listen(&host, once.clone()).await;
    let mut third = once;
    third["handler"] = json!("heard");
    let answer = step(&host, "Listen", &third).await;
    assert_eq!(answer["error"]["kind"], "over-budget", "{answer}");
    host.publish(NEWS, "{}").await;
    heard(&host, 2).await;
    // Both are gone: there is room again.
    marked(&host, 3).await;
}

async fn calls_side_by_side_add_no_more_than_may_wait(on: On) {
    let host = start(on, &["probe"], "[limits]\nlisteners = 5\n").await;
    let once = json!({"handler": "heard", "types": [NEWS], "once": true}).to_string();
    let asked = (0..12).map(|_| host.ask_json("cyverse.probe.Listen", &once));
    let answers = join_all(asked).await;
    let is_added =
        |answer: &Result<String, _>| answer.as_ref().is_ok_and(|a| a.contains("listener-"));
    assert_eq!(
        answers.iter().filter(|a| is_added(a)).count(),
        5,
        "{answers:?}"
    );
    assert_eq!(host.host.dispatcher().listeners().len(), 5);
    host.publish(NEWS, "{}").await;
    heard(&host, 5).await;
    // Who found no room has left none taken.
    for _ in 0..5 {
        listen(&host, json!({"types": [NEWS], "once": true})).await;
    }
}

async fn a_listener_that_has_expired_hears_nothing(on: On) {
    let host = start(on, &["probe"], "").await;
    listen(&host, json!({"types": [NEWS], "expires_ms": 0})).await;
    host.publish(NEWS, "{}").await;
    marked(&host, 1).await;
}

async fn listeners_survive_the_swap_of_another_plugin(on: On) {
    let host = start(on, &["probe", "versioned_v1"], "").await;
    listen(&host, json!({"types": [NEWS]})).await;
    let v1 = host.dir.path().join("versioned_v1.wasm");
    std::fs::copy(guest("versioned_v2"), v1).unwrap();
    host.ask_until("cyverse.versioned.Get", "{}", |answer| {
        answer.contains("2.0.0")
    })
    .await;
    host.publish(NEWS, "{}").await;
    heard(&host, 1).await;
}

async fn a_swap_drops_listeners_or_carries_them_on(on: On) {
    let host = start(on, &["probe"], "[config]\na = \"1\"\n").await;
    let swap = async |policy: &str, shows: &str| {
        std::fs::write(host.dir.path().join("probe.toml"), policy).unwrap();
        host.ask_until("cyverse.probe.Context", "{}", |answer| {
            answer.contains(shows)
        })
        .await;
    };
    listen(&host, json!({"types": [NEWS], "state": "dropped"})).await;
    let carry = "[listeners]\non-swap = \"drop\"\n[config]\nb = \"2\"\n";
    swap(carry, r#""b":"2""#).await;
    host.publish(NEWS, "{}").await;
    listen(&host, json!({"types": [NEWS], "state": "carried"})).await;
    let carry = "[listeners]\non-swap = \"carry\"\n[config]\nc = \"3\"\n";
    swap(carry, r#""c":"3""#).await;
    host.publish(NEWS, "{}").await;
    let all = heard(&host, 1).await;
    assert_eq!(all[0]["state"], "carried", "{all:?}");
    marked(&host, 2).await;
}

async fn two_listeners_of_one_handler_emit_two_events(on: On) {
    let host = start(on, &["probe"], "").await;
    for state in ["key a", "key b"] {
        listen(&host, json!({"types": [NEWS], "state": state})).await;
    }
    host.publish(NEWS, "{}").await;
    let all = heard(&host, 2).await;
    assert_ne!(all[0]["state"], all[1]["state"]);
    // What it does elsewhere is done for both, too.
    assert_ne!(all[0]["idempotency_key"], all[1]["idempotency_key"]);
}
