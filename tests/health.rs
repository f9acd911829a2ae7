//! What a cluster sees of a host: its probes and its metrics, over a socket.

use std::net::{SocketAddr, TcpListener, TcpStream};

use conche::config::Config;
use conche::host::{Host, Runtimes};

use crate::http::{self, Response};
use crate::support::server::NatsServer;
use crate::support::{DEADLINE, On, TestHost, event, guest, resolve, until_called};

const GREET: &str = "cyverse.greeter.Greet";
const LISTEN: &str = "[health]\nlisten = \"127.0.0.1:0\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_are_answered() {
    let host = TestHost::on(On::Bus, &["greeter", "hostile"], LISTEN).await;
    let health = host.host.health().unwrap();
    let check = async |method, path, expected| {
        let answer = send(health, method, path).await;
        assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
        answer.body
    };
    check("GET", "/healthz", 200).await;
    check("GET", "/readyz", 200).await;
    check("GET", "/query", 404).await;
    check("POST", "/metrics", 405).await;

    host.ask_json(GREET, r#"{"name":"Ada"}"#).await.unwrap();
    host.ask_json(GREET, r#"{"name":5}"#).await.unwrap_err();
    host.ask_json("cyverse.hostile.Trap", "{}")
        .await
        .unwrap_err();
    let text = check("GET", "/metrics", 200).await;
    for expected in [
        r#"conche_queries_total{plugin="greeter",op="cyverse.greeter.Greet",outcome="reply"} 1"#,
        r#"conche_queries_total{plugin="greeter",op="cyverse.greeter.Greet",outcome="fault"} 1"#,
        r#"conche_queries_total{plugin="hostile",op="cyverse.hostile.Trap",outcome="failed"} 1"#,
        r#"conche_call_duration_seconds_count{plugin="greeter",kind="query"} 2"#,
        r#"conche_swaps_total{plugin="greeter"} 1"#,
        "conche_plugins_serving 2",
    ] {
        assert!(
            text.lines().any(|line| line == expected),
            "{expected} in {text}"
        );
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit_once(' ').map(|(_, value)| value.parse::<f64>());
        assert!(
            line.starts_with("conche_") && matches!(value, Some(Ok(_))),
            "{line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_server_a_host_is_alive_and_not_ready() {
    let mut server = NatsServer::start();
    let dir = tempfile::tempdir().unwrap();
    let config = resolve(dir.path(), Some(&server.url()), "");
    let host = Host::start(listening(config), &Runtimes::one())
        .await
        .unwrap();
    let health = host.health().unwrap();
    until_ready_is(health, 200, r#"{"ready":true}"#).await;
    server.down();
    until_ready_is(health, 503, "NATS connection `queries` is not ready").await;
    assert_eq!(send(health, "GET", "/healthz").await.status, 200);
    server.up();
    until_ready_is(health, 200, r#"{"ready":true}"#).await;
    let text = send(health, "GET", "/metrics").await.body;
    for expected in [
        r#"conche_nats_connected{connection="queries"} 1"#,
        r#"conche_nats_connects_total{connection="queries"} 2"#,
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_never_had_its_server_says_so_in_its_metrics() {
    let free = || {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let mut config = resolve(dir.path(), Some(&format!("nats://{}", free())), "");
    let health = free();
    config.health.listen = Some(health);
    let starting = tokio::spawn(async move { Host::start(config, &Runtimes::one()).await });
    let up = async {
        while TcpStream::connect(health).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, up).await.unwrap();
    let text = send(health, "GET", "/metrics").await.body;
    for connection in conche::nats::CONNECTIONS {
        for zero in [
            format!("conche_nats_connected{{connection=\"{connection}\"}} 0"),
            format!("conche_nats_connects_total{{connection=\"{connection}\"}} 0"),
        ] {
            assert!(text.lines().any(|line| line == zero), "{zero} in {text}");
        }
    }
    assert!(!starting.is_finished());
    starting.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_drains_a_host_is_alive_and_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(guest("hostile"), dir.path().join("hostile.wasm")).unwrap();
    // Above anything that this test waits for.
    let slow = "[plugins.default.limits]\ndeadline = \"60s\"\n[shutdown]\ndrain = \"60s\"";
    let config = resolve(dir.path(), None, slow);
    let host = Host::start(listening(config), &Runtimes::one())
        .await
        .unwrap();
    let health = host.health().unwrap();
    let (bus, dispatcher) = (host.bus().unwrap().clone(), host.dispatcher().clone());
    let asking = tokio::spawn(async move {
        let op = "cyverse.hostile.SleepForever";
        let message = event(op, "{}").to_structured().unwrap();
        bus.request(op, message, DEADLINE).await
    });
    until_called(&dispatcher).await;
    until_ready_is(health, 200, r#"{"ready":true}"#).await;
    let stopping = tokio::spawn(host.stop());
    until_ready_is(health, 503, "the host is stopping").await;
    assert_eq!(send(health, "GET", "/healthz").await.status, 200);
    // Neither has an end of its own that is worth waiting for.
    stopping.abort();
    asking.abort();
}

/// With probes on a free port.
fn listening(mut config: Config) -> Config {
    config.health.listen = Some(([127, 0, 0, 1], 0).into());
    config
}

async fn until_ready_is(health: SocketAddr, status: u16, body: &str) {
    let asked = async {
        loop {
            let answer = send(health, "GET", "/readyz").await;
            if answer.status == status && answer.body.contains(body) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, asked).await;
    waited.unwrap_or_else(|_| panic!("/readyz never answered {status} {body}"));
}

async fn send(health: SocketAddr, method: &str, path: &str) -> Response {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {health}\r\n\r\n");
    http::raw(health, &request).await
}
