//! Conche and services that use the old Go package, on one server: a Go program plays them, with
//! the libraries that they are built on.

use std::time::Duration;

use conche::envelope::{Attribute, CloudEvent, Payload};
use serde_json::{Value, json};

use crate::support::interop::OldService;
use crate::support::{DEADLINE, On, TestHost, event};

const GREET: &str = "cyverse.greeter.Greet";
const FAULT: &str = "cyverse.probe.Fault";
const ADA: &str = r#"{"name":"Ada"}"#;

fn old_service(host: &TestHost) -> OldService {
    OldService::on(&host.server.as_ref().unwrap().url())
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_asks_and_gets_the_data() {
    let host = TestHost::on(On::Nats, &["greeter"], "").await;
    let client = old_service(&host);
    let greeting = r#"{"greeting":"Hello, Ada!"}"#;
    let answer = client.run(&["request", GREET, ADA]).await;
    assert_eq!(answer.as_deref(), Ok(greeting));
    let answer = client.run(&["request", "-bytes", GREET, ADA]).await;
    assert_eq!(answer.as_deref(), Ok(greeting));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_gets_its_transaction_id_back() {
    let host = TestHost::on(On::Nats, &["greeter"], "").await;
    let client = old_service(&host);
    let asked = ["request", "-event", "-tid", "tid-1", GREET, ADA];
    let answer = parse(&client.run(&asked).await.unwrap());
    assert_eq!(answer["type"], GREET);
    assert_eq!(answer["transactionid"], "tid-1");
    assert_eq!(answer["datacontenttype"], "application/json; charset=utf-8");
    assert_eq!(answer["data"], json!({ "greeting": "Hello, Ada!" }));
    assert!(answer["id"].as_str().unwrap().starts_with("cloudevent-"));
}

/// What the SDK says of a message without `specversion`: it did not wait for anything.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_fails_at_once_at_a_fault() {
    let host = TestHost::on(On::Nats, &["greeter", "probe"], "").await;
    let client = old_service(&host);
    let fault = r#"{"code":422,"message":"no such user"}"#;
    for (op, data) in [(FAULT, fault), (GREET, r#"{"nobody":1}"#)] {
        let error = client.run(&["request", op, data]).await.unwrap_err();
        assert!(error.contains("no specversion"), "{op}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_of_a_silent_host_times_out() {
    let host = TestHost::on(
        On::Nats,
        &["greeter", "probe"],
        "[compat]\nerrors = \"silent\"",
    )
    .await;
    let client = old_service(&host).set("NATS_REQUEST_TIMEOUT", "1");
    let fault = r#"{"code":422,"message":"no such user"}"#;
    let error = client.run(&["request", FAULT, fault]).await.unwrap_err();
    assert_eq!(error, "context deadline exceeded");
    let answer = client.run(&["request", GREET, ADA]).await;
    assert_eq!(answer.as_deref(), Ok(r#"{"greeting":"Hello, Ada!"}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_hears_that_nobody_answers() {
    let host = TestHost::on(On::Nats, &["greeter"], "").await;
    let asked = ["request", "cyverse.nobody.Get"];
    let error = old_service(&host).run(&asked).await.unwrap_err();
    assert!(error.contains("no responders"), "{error}");
}

/// What a guest gets from an old service, in an own transaction.
async fn guest_asks(host: &TestHost, op: &str, data: &Value, timeout: Duration) -> Value {
    let ask = json!({ "op": op, "data": data, "timeout_ms": timeout.as_millis() as u64 });
    let mut query = event("cyverse.probe.Ask", &ask.to_string());
    query.set_extension("transactionid", Attribute::Text("tid-2".into()));
    let message = query.to_structured().unwrap();
    let answer = host.wire.request(&query.ty, message, DEADLINE).await;
    match CloudEvent::decode(&answer.unwrap()).unwrap().data {
        Some(Payload::Json(json)) => parse(&json),
        other => panic!("no JSON: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_understands_every_answer_of_an_old_service() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let service = old_service(&host).serve().await;
    let asked = json!({ "user": "ada", "list": [1, null] });
    let got = |op: &str| json!({ "op": op, "transactionID": "tid-2", "data": asked });
    let (object, bytes) = ("cyverse.interop.Object", "cyverse.interop.Bytes");
    for (op, data) in [
        (object, got(object)),
        (bytes, got(bytes)),
        ("cyverse.interop.String", json!("a \"string\"")),
        ("cyverse.interop.Nil", Value::Null),
    ] {
        let answer = guest_asks(&host, op, &asked, DEADLINE).await;
        let answer = &answer["answer"];
        assert_eq!(answer["data"], data, "{op}: {answer}");
        assert_eq!(answer["type"], op);
        assert_eq!(answer["transaction_id"], "tid-2", "{op}");
    }
    drop(service);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_gets_whatever_a_whole_event_handler_returns() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let service = old_service(&host).serve().await;
    let asked = json!({ "user": "ada" });
    let event = guest_asks(&host, "cyverse.interop.Event", &asked, DEADLINE).await;
    let event = &event["answer"];
    assert_eq!(event["type"], "cyverse.interop.Answered");
    assert_eq!(event["transaction_id"], "tid-2");
    assert_eq!(event["data"], asked);
    // Eight bytes that are no CloudEvent, as they are.
    let raw = guest_asks(&host, "cyverse.interop.Raw", &asked, DEADLINE).await;
    let raw = &raw["answer"];
    assert_eq!(raw["data"], json!({ "bytes": 8 }));
    assert_eq!((&raw["id"], &raw["type"]), (&json!(""), &json!("")));
    drop(service);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_times_out_at_a_handler_that_errs() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let mut service = old_service(&host).serve().await;
    let timeout = Duration::from_millis(300);
    let answer = guest_asks(&host, "cyverse.interop.Err", &json!({}), timeout).await;
    assert_eq!(answer["error"]["kind"], "timed-out", "{answer}");
    service.prints("cyverse.interop.Err: it failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_both_ways() {
    let host = TestHost::on(On::Nats, &["auditor"], "").await;
    let service = old_service(&host);
    let asked = "org.cyverse.events.GreetingRequested";
    let recorded = "org.cyverse.events.AuditRecorded";
    for (tid, form) in [("tid-1", "-bytes=false"), ("tid-2", "-bytes")] {
        let publish = ["publish", "-tid", tid, form, asked, ADA];
        let published = parse(&service.run(&publish).await.unwrap());
        assert_eq!(published["stream"], "conche-events");
        let consume = ["consume", "-count", "1", "conche-events", recorded];
        let record = parse(&service.run(&consume).await.unwrap());
        assert_eq!(record["type"], recorded);
        assert_eq!(record["transactionid"], tid);
        assert!(record["source"].as_str().unwrap().ends_with("/auditor"));
        let data = &record["data"];
        assert_eq!(
            (&data["id"], &data["type"]),
            (&published["id"], &json!(asked))
        );
        assert_eq!(data["source"], "old-service-0");
    }
}

/// The old service is in another queue group and gets every query, too.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_wildcard_service_leaves_our_ops_to_us() {
    let host = TestHost::on(On::Nats, &["greeter"], "").await;
    let mut service = old_service(&host).serve().await;
    let answer = old_service(&host).run(&["request", GREET, ADA]).await;
    assert_eq!(answer.as_deref(), Ok(r#"{"greeting":"Hello, Ada!"}"#));
    service.prints(&format!("{GREET}: no handler")).await;
    let replies =
        format!(r#"conche_queries_total{{plugin="greeter",op="{GREET}",outcome="reply"}}"#);
    host.counted(&replies, 1.0).await;
    assert!(host.metrics().contains(&format!("{replies} 1\n")));
}
