//! Streams that come and go while a host runs.

use serde_json::{Value, json};

use crate::support::{DEADLINE, On, TestHost};

const EVENTS: &str = "conche-events";
const DEAD: &str = "conche-events-dlq";
const DO: &str = "org.cyverse.events.probe.Do";
const DONE: &str = "org.cyverse.events.probe.Done";
const REPORT: &str = r#"{"report":true,"steps":[]}"#;

async fn api(host: &TestHost, what: &str, body: Value) -> Value {
    host.wire.api(&format!("{what}.{EVENTS}"), body).await
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let so = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, so).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_before_the_host_notices_another_stream_is_not_skipped() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    api(&host, "STREAM.DELETE", json!({})).await;
    let stream = json!({"name": EVENTS, "subjects": ["org.cyverse.events.>"]});
    api(&host, "STREAM.CREATE", stream).await;
    for _ in 0..3 {
        host.publish(DO, REPORT).await;
    }
    host.stored(DONE, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_deleted_is_made_again() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    api(&host, "STREAM.DELETE", json!({})).await;
    until(async || api(&host, "STREAM.INFO", json!({})).await["config"].is_object()).await;
    host.publish(DO, REPORT).await;
    host.stored(DONE, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_its_store_gets_its_streams_again() {
    let mut host = TestHost::on(On::Nats, &["greeter"], "").await;
    let server = host.server.as_mut().unwrap();
    server.down();
    std::fs::remove_dir_all(server.file("js")).unwrap();
    server.up();
    for stream in [EVENTS, DEAD] {
        let what = format!("STREAM.INFO.{stream}");
        until(async || host.wire.api(&what, json!({})).await["config"].is_object()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_stream_that_is_deleted_is_made_again() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let what = format!("STREAM.DELETE.{DEAD}");
    host.wire.api(&what, json!({})).await;
    let reject = r#"{"steps":[{"reject":{"code":400,"message":"never"}}]}"#;
    host.publish(DO, reject).await;
    host.dead_letters(1).await;
}
