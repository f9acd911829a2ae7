//! What only a real server can show of the host as a whole: restarts, permissions, streams that
//! others made, leaving.

use std::time::Duration;

use conche::client::{Client, EventSource};
use conche::host::{Host, Runtimes};
use conche::nats::ConnectError;
use futures_util::future::join_all;
use serde_json::json;

use crate::support::server::NatsServer;
use crate::support::{DEADLINE, On, TestHost, event, guest, resolve, until_called};

const GREET: &str = "cyverse.greeter.Greet";
const ADA: &str = r#"{"name":"Ada"}"#;
const EVENTS: &str = "conche-events";
const DO: &str = "org.cyverse.events.probe.Do";
const DONE: &str = "org.cyverse.events.probe.Done";
const REPORT: &str = r#"{"report":true,"steps":[]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_is_served_again() {
    let mut host = TestHost::on(On::Nats, &["greeter", "probe"], "").await;
    host.ask_until(GREET, ADA, |answer| answer.contains("Ada"))
        .await;
    let server = host.server.as_mut().unwrap();
    server.down();
    server.up();
    host.ask_until(GREET, ADA, |answer| answer.contains("Ada"))
        .await;
    // The test's own client may be a moment behind.
    let stored = async {
        let report = event(DO, REPORT);
        let message = report.to_structured().unwrap();
        while host.wire.publish(DO, message.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, stored).await.unwrap();
    host.wire.wait_for(EVENTS, DONE, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let mut server = NatsServer::start();
    let url = server.url();
    server.down();
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(guest("greeter"), dir.path().join("greeter.wasm")).unwrap();
    let config = resolve(dir.path(), Some(&url), "[nats]\nreconnect_wait = \"100ms\"");
    let starting = tokio::spawn(async move { Host::start(config, &Runtimes::one()).await });
    server.up();
    let host = tokio::time::timeout(DEADLINE, starting).await;
    let host = host.unwrap().unwrap().unwrap();
    assert!(host.dispatcher().registry().query(GREET).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_attempts_is_kept_to() {
    let mut server = NatsServer::start();
    let url = server.url();
    server.down();
    let dir = tempfile::tempdir().unwrap();
    let config = "[nats]\nreconnect_wait = \"1ms\"\nmax_reconnects = 3";
    let config = resolve(dir.path(), Some(&url), config);
    let error = Host::start(config, &Runtimes::one()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("in 4 attempts"), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_server_is_given_up_after_that_many_attempts() {
    let config = "[nats]\nreconnect_wait = \"1ms\"\nmax_reconnects = 3";
    let mut host = TestHost::on(On::Nats, &[], config).await;
    let url = host.server.as_ref().unwrap().url();
    host.server.as_mut().unwrap().down();
    let gave_up = tokio::time::timeout(DEADLINE, host.host.gave_up()).await;
    assert_eq!(gave_up.unwrap(), ConnectError::Lost { urls: url });
}

#[tokio::test(flavor = "multi_thread")]
async fn without_jetstream_queries_are_served_and_events_refused() {
    let server = NatsServer::configured("");
    let host = TestHost::with_server(Some(server), &["greeter", "auditor"], "").await;
    let answer = host.ask_json(GREET, ADA).await;
    assert_eq!(answer.unwrap(), r#"{"greeting":"Hello, Ada!"}"#);
    let reason = refusal(&host, "auditor");
    assert!(reason.contains("JetStream is off"), "{reason}");
    let config = host.host.config().clone();
    let client = Client::connect(config).await.unwrap();
    let published = client.publish("org.cyverse.events.A", &1).await;
    let text = published.unwrap_err().to_string();
    assert!(text.starts_with("JetStream is off: "), "{text}");
    let source = EventSource::of(&client);
    let listening = source.add_listener("org.cyverse.events.A", "", async |_| {});
    let text = listening.await.unwrap_err().to_string();
    assert!(text.contains("JetStream is off: "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_subscription_stops_nothing_else() {
    let server = NatsServer::configured(
        "jetstream { store_dir: \"DIR/js\" }\nauthorization { users = [\n\
         { user: \"conche\", password: \"p\", permissions: { subscribe: { deny: \"cyverse.greeter.>\" } } }\n\
         { user: \"test\", password: \"p\" }\n] }\nno_auth_user: test\n",
    );
    let config = "[nats.auth]\nuser = \"conche\"\npassword = \"p\"";
    let host = TestHost::with_server(Some(server), &["greeter", "probe"], config).await;
    assert_eq!(host.ask(GREET, ADA).await.unwrap_err(), "nobody answers");
    let echo = host.ask_json("cyverse.probe.Echo", "[1]").await;
    assert_eq!(echo.unwrap(), "[1]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_others_is_checked_and_not_changed() {
    let server = NatsServer::start();
    let client = crate::support::Wire::connect(&server.url()).await;
    let mine =
        json!({"name": EVENTS, "subjects": ["org.cyverse.events.users.>"], "storage": "memory"});
    client.api(&format!("STREAM.CREATE.{EVENTS}"), mine).await;
    let host = TestHost::with_server(Some(server), &["auditor"], "").await;
    let reason = refusal(&host, "auditor");
    let mend = "nats stream edit conche-events --subjects \"org.cyverse.events.users.>,org.cyverse.events.>\"";
    assert!(reason.contains(mend), "{reason}");
    let info = client
        .api(&format!("STREAM.INFO.{EVENTS}"), json!({}))
        .await;
    assert_eq!(
        info["config"]["subjects"],
        json!(["org.cyverse.events.users.>"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_stream_is_not_created_unless_allowed() {
    let config = "[events]\ncreate = false";
    let host = TestHost::on(On::Nats, &["auditor"], config).await;
    let reason = refusal(&host, "auditor");
    assert!(reason.contains("nats stream add conche-events"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_that_a_stream_takes_is_refused() {
    let server = NatsServer::start();
    let client = crate::support::Wire::connect(&server.url()).await;
    let stream = json!({"name": "all", "subjects": ["cyverse.>"], "storage": "memory"});
    client.api("STREAM.CREATE.all", stream).await;
    let host = TestHost::with_server(Some(server), &["greeter"], "").await;
    let reason = refusal(&host, "greeter");
    assert!(reason.contains("which stream `all` takes"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_share_and_one_leaves_without_a_loss() {
    let host = TestHost::on(On::Nats, &["versioned_v1"], "").await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("versioned.wasm");
    std::fs::copy(guest("versioned_v2"), &file).unwrap();
    let url = host.server.as_ref().unwrap().url();
    let config = resolve(dir.path(), Some(&url), "");
    let other = Host::start(config, &Runtimes::one()).await.unwrap();
    let op = "cyverse.versioned.Get";
    host.ask_until(op, "{}", |answer| answer.contains("2.0.0"))
        .await;
    let leaving = tokio::spawn(other.stop());
    // Until the one that stays has answered often enough that the other must be gone.
    let mut in_a_row = 0;
    while in_a_row < 500 || !leaving.is_finished() {
        let answer = host.ask_json(op, "{}").await.unwrap();
        in_a_row = if answer.contains("1.0.0") {
            in_a_row + 1
        } else {
            0
        };
    }
    assert!(leaving.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_may_not_reconnect_starts_all_the_same() {
    let host = TestHost::on(On::Nats, &["greeter"], "[nats]\nmax_reconnects = 0").await;
    let answer = host.ask_json(GREET, ADA).await;
    assert_eq!(answer.unwrap(), r#"{"greeting":"Hello, Ada!"}"#);
    let gave_up = tokio::time::timeout(Duration::ZERO, host.host.gave_up());
    assert!(gave_up.await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_leaves_without_a_loss_after_a_reconnect_too() {
    let mut host = TestHost::on(On::Nats, &["greeter"], "").await;
    for _ in 0..300 {
        host.ask_json(GREET, ADA).await.unwrap();
    }
    let server = host.server.as_mut().unwrap();
    server.down();
    server.up();
    host.ask_until(GREET, ADA, |answer| answer.contains("Ada"))
        .await;
    std::fs::remove_file(host.path("greeter")).unwrap();
    let until_gone = async {
        loop {
            match host.ask(GREET, ADA).await {
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    };
    // With the old count the server would have kept the queue member: askers would wait in vain.
    assert_eq!(until_gone.await, "nobody answers");
}

/// Waits until a server that traces what clients say was told this.
async fn told(server: &NatsServer, what: &str) {
    let told = async {
        loop {
            let log = std::fs::read_to_string(server.file("log")).unwrap();
            if log.contains(what) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, told).await;
    waited.unwrap_or_else(|_| panic!("the server was not told `{what}`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_long_after_a_reconnect_is_answered() {
    let server = NatsServer::configured("trace: true\njetstream { store_dir: \"DIR/js\" }\n");
    let mut host = TestHost::with_server(Some(server), &["greeter"], "").await;
    host.ask_json(GREET, ADA).await.unwrap();
    let server = host.server.as_mut().unwrap();
    server.down();
    server.up();
    let server = host.server.as_ref().unwrap();
    let subscribed = format!("<<- [SUB {GREET} ");
    told(server, &subscribed).await;
    // What is asked goes out once the test's own client is back, too.
    let asked = (0..64).map(|_| host.ask_json(GREET, ADA));
    for answer in join_all(asked).await {
        answer.unwrap();
    }
    let log = std::fs::read_to_string(server.file("log")).unwrap();
    assert_eq!(log.matches(&subscribed).count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_way_is_answered_when_the_host_ends() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let TestHost {
        host,
        wire,
        server,
        dir,
    } = host;
    let sleep = event("cyverse.probe.Sleep", r#"{"ms":700}"#);
    let message = sleep.to_structured().unwrap();
    let asked = wire.request("cyverse.probe.Sleep", message, DEADLINE);
    let stop = async {
        until_called(host.dispatcher()).await;
        host.stop().await
    };
    let (answer, drained) = tokio::join!(asked, stop);
    let body = String::from_utf8_lossy(&answer.unwrap().body).into_owned();
    assert!(body.contains("slept_ms"), "{body}");
    assert!(drained);
    drop((server, dir));
}

/// The server does not ask whether the asker may publish there.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_to_an_asker_only() {
    let host = TestHost::on(On::Nats, &["greeter"], "").await;
    let question = event(GREET, ADA).to_structured().unwrap();
    for reply in [
        "conche.dlq.conche-events.conche-greeter.1",
        "org.cyverse.events.Greeted",
        "$JS.API.STREAM.PURGE.conche-events",
    ] {
        let client = host.wire.nats();
        let asked = client.publish_with_reply(GREET, reply, question.body.clone());
        asked.await.unwrap();
    }
    let passed_over = r#"conche_queries_total{plugin="",op="",outcome="undecodable"}"#;
    host.counted(passed_over, 3.0).await;
    // Each after the others, and by the same connection.
    host.ask_json(GREET, ADA).await.unwrap();
    for stream in ["conche-events", "conche-events-dlq"] {
        assert!(host.wire.messages(stream, ">").await.is_empty(), "{stream}");
    }
}

fn refusal(host: &TestHost, plugin: &str) -> String {
    let report = host.host.report();
    let report = report.borrow();
    let found = report.refused().find(|(name, _)| name.as_str() == plugin);
    found
        .map(|(_, reason)| reason.to_owned())
        .unwrap_or_default()
}
