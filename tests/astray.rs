//! Messages that would go astray: an event where queries are answered, a query where events are
//! stored, a query whose asker has left. Each test runs on a real nats-server and on the embedded bus.

use conche::envelope::headers;

use crate::support::server::NatsServer;
use crate::support::{DEADLINE, On, Setup, TestHost, event, on_both};

const EVENTS: &str = "conche-events";
const DO: &str = "org.cyverse.events.probe.Do";

on_both! {
    an_event_that_no_stream_takes_asks_nobody,
    a_query_whose_time_is_over_does_not_run,
    a_request_without_time_is_not_sent,
}

/// On a server an event is published as a request: whoever answers queries would get it.
async fn an_event_that_no_stream_takes_asks_nobody(on: On) {
    let policy =
        "[grants]\nemit = \">\"\nrequest = \">\"\n[retry]\nmax-attempts = 2\nfirst = \"1ms\"\n";
    let host = TestHost::with(Setup {
        guests: &["probe", "greeter"],
        policies: &[("probe", policy)],
        server: (on == On::Nats).then(NatsServer::start),
        ..Setup::default()
    })
    .await;
    let out = "org.cyverse.events.probe.Out";
    let script = r#"{"steps":[{"emit":{"type":"org.cyverse.events.probe.Out"}},
        {"emit":{"type":"cyverse.greeter.Greet","data":{"name":"Ada"}}}]}"#;
    host.publish(DO, script).await;
    let letters = host.dead_letters(1).await;
    let reason = letters[0].message.headers.get("Conche-Dlq-Reason");
    let expected =
        "attempt 2 of 2: its effects were not stored: no stream takes `cyverse.greeter.Greet`";
    assert_eq!(reason, Some(expected));
    let metrics = host.metrics();
    let asked =
        "conche_queries_total{plugin=\"greeter\",op=\"cyverse.greeter.Greet\",outcome=\"reply\"} 0";
    assert!(metrics.contains(asked), "{metrics}");
    assert_eq!(host.wire.messages(EVENTS, out).await.len(), 1);
    // Nor does a request store anything.
    let ask = r#"{"steps":[{"ask":{"op":"org.cyverse.events.probe.Asked"}}]}"#;
    let told = host.ask_json("cyverse.probe.Do", ask).await.unwrap();
    assert!(told.contains(r#""kind":"invalid""#), "{told}");
    let asked = host.wire.messages(EVENTS, "org.cyverse.events.probe.Asked");
    assert!(asked.await.is_empty());
}

async fn a_query_whose_time_is_over_does_not_run(on: On) {
    let host = TestHost::on(on, &["probe"], "").await;
    let script = r#"{"steps":[{"emit":{"type":"org.cyverse.events.probe.Out"}}]}"#;
    let mut message = event("cyverse.probe.Do", script).to_structured().unwrap();
    message.headers.insert(headers::CONCHE_TIMEOUT_MS, "0");
    let answer = host
        .wire
        .request("cyverse.probe.Do", message, DEADLINE)
        .await
        .unwrap();
    assert!(answer.headers.get(headers::CONCHE_SHED).is_some());
    let out = host.wire.messages(EVENTS, "org.cyverse.events.probe.Out");
    assert!(out.await.is_empty());
    host.counted("conche_messages_shed_total{limit=\"late\"}", 1.0)
        .await;
}

async fn a_request_without_time_is_not_sent(on: On) {
    let host = TestHost::on(on, &["probe", "greeter"], "").await;
    let ada = r#"{"name":"Ada"}"#;
    let greet = "cyverse.greeter.Greet";
    let ask = format!(r#"{{"op":"{greet}","data":{ada},"timeout_ms":0}}"#);
    let told = host.ask_json("cyverse.probe.Ask", &ask).await.unwrap();
    assert!(told.contains(r#""kind":"timed-out""#), "{told}");
    // What was sent before it would have been shed by now.
    host.ask_json(greet, ada).await.unwrap();
    let metrics = host.metrics();
    let none = "conche_messages_shed_total{limit=\"late\"} 0";
    assert!(metrics.contains(none), "{metrics}");
}
