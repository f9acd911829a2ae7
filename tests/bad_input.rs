//! Bad input on the bus: messages that are no events, and guests that send or ask too much.

use std::collections::BTreeMap;
use std::time::Duration;

use conche::embedded::BusError;
use conche::envelope::{Fault, Message};
use futures_util::future::join_all;

use crate::malformed;
use crate::support::{DEADLINE, Setup, TestHost, event};

const GREET: &str = "cyverse.greeter.Greet";
const HEARD: &str = "org.cyverse.events.GreetingRequested";

/// Every malformed message, with what is wrong with it.
fn malformed(ty: &'static str) -> Vec<(Message, &'static str)> {
    let structured = malformed::structured(ty).into_iter().map(|it| {
        let message = Message {
            body: it.body.into(),
            ..Message::default()
        };
        (message, it.error)
    });
    let binary = malformed::binary(ty).into_iter().map(|it| {
        let message = Message {
            headers: it.headers.into_iter().collect(),
            body: it.body.into(),
        };
        (message, it.error)
    });
    structured.chain(binary).collect()
}

async fn greets(host: &TestHost) {
    let answer = host.ask_json(GREET, r#"{"name":"Ada"}"#).await;
    assert_eq!(answer.unwrap(), r#"{"greeting":"Hello, Ada!"}"#);
}

/// What a guest that went on after its misdeed was told.
async fn note(host: &TestHost, behaviour: &str, amount: &str) -> String {
    let op = format!("cyverse.hostile.{behaviour}");
    let answer = host.ask_json(&op, amount).await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["survived"], behaviour);
    answer["note"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_no_event_gets_no_answer() {
    let host = TestHost::start(&["greeter"]).await;
    let mut messages = malformed(GREET);
    let unserved = event("cyverse.other.Op", "1").to_structured().unwrap();
    messages.push((
        unserved,
        "an op that nobody serves, on the subject of another",
    ));
    // Others share those subjects: an error of ours could be taken for their answer.
    let bus = host.bus();
    let asked = messages.into_iter().map(|(message, what)| async move {
        let answer = bus
            .request(GREET, message, Duration::from_millis(300))
            .await;
        let silence = matches!(answer, Err(BusError::TimedOut { .. }));
        assert!(silence, "{what}: {answer:?}");
    });
    join_all(asked).await;
    greets(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_is_a_dead_letter_byte_for_byte() {
    let host = TestHost::start(&["auditor"]).await;
    let mut sent = BTreeMap::new();
    for (message, error) in malformed(HEARD) {
        let stored = host.bus().publish(HEARD, message.clone(), None).await;
        sent.insert(stored.unwrap().seq, (message, error));
    }
    for dead in host.dead_letters(sent.len()).await {
        let sequence = dead
            .subject
            .strip_prefix("conche.dlq.conche-events.conche-auditor.");
        let sequence = sequence.unwrap().parse().unwrap();
        let (message, error) = sent.remove(&sequence).unwrap();
        assert_eq!(dead.message.body, message.body, "{error}");
        for (name, value) in message.headers.iter() {
            let kept = dead.message.headers.iter().any(|it| it == (name, value));
            assert!(kept, "{error}: {name}");
        }
        let reason = dead.message.headers.get("Conche-Dlq-Reason").unwrap();
        let expected = format!("undecodable: {error}");
        assert!(reason.starts_with(&expected), "{expected}: {reason}");
        assert_eq!(dead.message.headers.get("Conche-Dlq-Attempts"), Some("1"));
    }
    // The consumer goes on.
    host.publish(HEARD, "{}").await;
    host.stored("org.cyverse.events.AuditRecorded", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_larger_than_the_server_takes_is_a_fault() {
    let host = TestHost::start(&["hostile"]).await;
    let max = host.bus().max_payload();
    // Below the limit by itself, and above it with its envelope or its headers.
    for (behaviour, bytes) in [
        ("BigReply", max + max / 2),
        ("BigReply", max - 300),
        ("BigFault", max + max / 2),
        ("BigFault", max - 60),
    ] {
        let op = format!("cyverse.hostile.{behaviour}");
        let amount = format!(r#"{{"bytes":{bytes}}}"#);
        let fault = host.ask_json(&op, &amount).await.unwrap_err();
        assert_eq!(fault.code, 500, "{behaviour} {bytes}");
        let told = fault.message.contains("more than the") || fault.message.contains("shortened");
        assert!(told, "{behaviour} {bytes}: {}", fault.message.len());
    }
    let small = note(&host, "BigReply", r#"{"bytes":1000}"#).await;
    assert_eq!(small.len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn emits_that_are_too_many_or_too_large_are_over_budget() {
    let host = TestHost::start(&["hostile"]).await;
    let big = note(&host, "BigEmit", r#"{"bytes":1500000}"#).await;
    assert!(
        big.contains("host's headers more than the 1048576"),
        "{big}"
    );
    let bus = host.bus();
    assert!(bus.messages("conche-events").is_empty());

    let many = note(&host, "EmitForever", r#"{"count":1000}"#).await;
    assert!(
        many.contains("256 events in this call: raise emits in [limits]"),
        "{many}"
    );
    assert_eq!(bus.messages("conche-events").len(), 256);

    // Without end, and after a panic: the call failed, so none of its effects happen.
    for behaviour in ["EmitForever", "EmitThenPanic"] {
        let op = format!("cyverse.hostile.{behaviour}");
        let fault = host.ask_json(&op, "{}").await.unwrap_err();
        assert_eq!(fault.code, 500, "{behaviour}");
        assert_eq!(bus.messages("conche-events").len(), 256, "{behaviour}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_asks_itself_comes_to_the_hop_limit() {
    let setup = Setup {
        guests: &["hostile", "greeter"],
        config: "calls.hop_limit = 3",
        ..Setup::default()
    };
    let host = TestHost::with(setup).await;
    let nested = note(&host, "AskSelf", "{}").await;
    let refused = "this call is 3 hops away from its cause, the hop limit";
    assert!(nested.contains(refused), "{nested}");
    // Two questions for each: a tree that no host could serve. What is too deep is refused.
    let asked = host.ask("cyverse.hostile.AskSelfMany", r#"{"count":2}"#);
    let answer = asked.await.unwrap();
    assert!(!answer.body.is_empty());
    greets(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_a_guest_are_cut_and_it_goes_on() {
    let host = TestHost::start(&["hostile"]).await;
    let requests = note(&host, "RequestFlood", "{}").await;
    assert!(
        requests.contains("sent 128 requests in this call, exchanges included: raise requests"),
        "{requests}"
    );
    assert_eq!(note(&host, "LogFlood", r#"{"count":5000}"#).await, "logged");
    assert_eq!(
        note(&host, "BigLog", r#"{"bytes":1000000}"#).await,
        "logged"
    );
    for output in ["Stdout", "Stderr"] {
        assert_eq!(note(&host, output, r#"{"bytes":1000000}"#).await, "written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_flood_of_queries_each_is_answered_or_told_to_ask_again() {
    let host = TestHost::start(&["greeter"]).await;
    let bus = host.bus();
    let asked = (0..6000).map(|_| async {
        let message = event(GREET, r#"{"name":"Ada"}"#).to_structured().unwrap();
        match bus.request(GREET, message, DEADLINE).await {
            Ok(answer) => match Fault::from_message(&answer) {
                None => "answered",
                Some(busy) => {
                    assert_eq!(busy.code, 503);
                    assert_eq!(answer.headers.get("Conche-Shed"), Some("1"));
                    "shed"
                }
            },
            Err(BusError::Overflow { .. }) => "overflow",
            Err(other) => panic!("{other}"),
        }
    });
    let ended = join_all(asked).await;
    assert!(ended.contains(&"answered"));
    greets(&host).await;
}
