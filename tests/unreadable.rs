//! Messages with headers that the NATS client cannot read, as only a raw publisher can send them: at
//! some of them the client ends, at others its connection does.

use std::sync::Arc;

use conche::client::{EventSource, Seen};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::client::Connected;
use crate::support::server::NatsServer;
use crate::support::{DEADLINE, On, TestHost, event};

const EVENTS: &str = "conche-events";
const DEAD: &str = "conche-events-dlq";
const DO: &str = "org.cyverse.events.probe.Do";
const DONE: &str = "org.cyverse.events.probe.Done";
const GREET: &str = "cyverse.greeter.Greet";
const ADA: &str = r#"{"name":"Ada"}"#;

const ENDS_THE_CONNECTION: &str = "NATS/1.0\r\nno colon\r\n\r\n";

/// The client panics at a carriage return in a value.
const ENDS_THE_CLIENT: &str = "NATS/1.0\r\nX: a\rb\r\n\r\n";

const REPORT: &str = r#"{"report":true,"steps":[]}"#;

/// Publishes a body with these headers, whatever they are.
async fn publish(server: &NatsServer, subject: &str, headers: &str, body: &str) {
    let (size, total) = (headers.len(), headers.len() + body.len());
    let text = format!(
        "CONNECT {{\"headers\":true,\"verbose\":false}}\r\nHPUB {subject} {size} {total}\r\n{headers}{body}\r\nPING\r\n"
    );
    let mut raw = TcpStream::connect(server.address()).await.unwrap();
    raw.write_all(text.as_bytes()).await.unwrap();
    // Until it is there: the server reads nothing more of one that has gone.
    let mut answer = String::new();
    while !answer.contains("PONG") {
        let mut bytes = [0; 1024];
        let read = tokio::time::timeout(DEADLINE, raw.read(&mut bytes)).await;
        answer.push_str(&String::from_utf8_lossy(&bytes[..read.unwrap().unwrap()]));
    }
}

/// Waits until the plugin's consumer owes nothing.
async fn settled(host: &TestHost) {
    let what = format!("CONSUMER.INFO.{EVENTS}.conche-probe");
    let settled = async {
        while host.wire.api(&what, json!({})).await["num_ack_pending"] != 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, settled).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_the_client_is_a_dead_letter_over_the_next() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    publish(host.server.as_ref().unwrap(), DO, ENDS_THE_CLIENT, "body").await;
    let letters = host.wire.wait_for(DEAD, "conche.dlq.>", 2).await;
    let whole = format!("{ENDS_THE_CLIENT}body").into_bytes();
    assert_eq!(letters[0].message.body, whole);
    let facts = &letters[1].message.headers;
    assert_eq!(
        facts.get("Conche-Dlq-Reason"),
        Some("undecodable: headers cannot be read: the value of `X` has a carriage return")
    );
    let size = ENDS_THE_CLIENT.len().to_string();
    assert_eq!(facts.get("Conche-Dlq-Header-Bytes"), Some(size.as_str()));
    settled(&host).await;
    host.publish(DO, REPORT).await;
    host.stored(DONE, 1).await;
}

/// Twice: the second client is one that took another's place.
#[tokio::test(flavor = "multi_thread")]
async fn queries_are_answered_after_one_that_ends_the_client() {
    let host = TestHost::on(On::Nats, &["greeter"], "").await;
    for connects in [2.0, 3.0] {
        publish(host.server.as_ref().unwrap(), GREET, ENDS_THE_CLIENT, "").await;
        let counter = r#"conche_nats_connects_total{connection="queries"}"#;
        host.counted(counter, connects).await;
        host.ask_until(GREET, ADA, |answer| answer.contains("Ada"))
            .await;
    }
    // What was made for the client as it is now is left without a loss, too.
    assert!(host.host.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_when_the_client_ends_is_settled_over_the_next() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let mut asked = host
        .wire
        .nats()
        .subscribe("cyverse.test.Hold")
        .await
        .unwrap();
    let hold = r#"{"report":true,"steps":[{"ask":{"op":"cyverse.test.Hold","timeout_ms":25000}}]}"#;
    host.publish(DO, hold).await;
    let question = asked.next().await.unwrap();
    publish(host.server.as_ref().unwrap(), DO, ENDS_THE_CLIENT, "").await;
    host.wire.wait_for(DEAD, "conche.dlq.>", 2).await;
    let answer = event("cyverse.test.Held", "{}").to_structured().unwrap();
    let client = host.wire.nats();
    client
        .publish(question.reply.unwrap(), answer.body)
        .await
        .unwrap();
    // The ack wait is longer than the deadline of this test.
    settled(&host).await;
    host.stored(DONE, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_reconnect_gives_up_at_it() {
    let host = TestHost::on(On::Nats, &["greeter"], "[nats]\nmax_reconnects = 0").await;
    publish(host.server.as_ref().unwrap(), GREET, ENDS_THE_CLIENT, "").await;
    let gave_up = tokio::time::timeout(DEADLINE, host.host.gave_up()).await;
    let reason = gave_up.unwrap().to_string();
    assert!(
        reason.ends_with("in 1 attempt: the NATS client has ended by itself"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_the_connection_is_a_dead_letter_once_it_is_back() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let server = host.server.as_ref().unwrap();
    publish(server, DO, ENDS_THE_CONNECTION, "body").await;
    let letters = host.wire.wait_for(DEAD, "conche.dlq.>", 2).await;
    let reason = letters[1].message.headers.get("Conche-Dlq-Reason");
    assert_eq!(
        reason,
        Some("undecodable: headers cannot be read: `no colon` has no colon")
    );
    settled(&host).await;
    host.publish(DO, REPORT).await;
    host.stored(DONE, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_what_comes_after_it() {
    let connected = Connected::on(On::Nats).await;
    let (sender, mut heard) = mpsc::unbounded_channel();
    let source = EventSource::of(&connected.client);
    let callback = move |seen: Arc<Seen>| {
        let _test_is_over = sender.send(seen.event.data_as::<u64>().unwrap());
        std::future::ready(())
    };
    source.add_listener(DO, "", callback).await.unwrap();
    let unreadable = [ENDS_THE_CONNECTION, ENDS_THE_CLIENT, ENDS_THE_CONNECTION];
    for (n, headers) in (1..).zip(unreadable) {
        let message = event(DO, &n.to_string()).to_structured().unwrap();
        connected.wire.publish(DO, message).await.unwrap();
        publish(connected.server.as_ref().unwrap(), DO, headers, "body").await;
    }
    for expected in [1, 2, 3] {
        let next = tokio::time::timeout(DEADLINE, heard.recv()).await;
        assert_eq!(next.unwrap(), Some(expected));
    }
}
