//! Probes as a cluster sends them: one connection each, over a real socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Health, Readiness, serve};
use crate::admission::{Admit, Lanes};
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;

/// The longest that anything here may take.
const DEADLINE: Duration = Duration::from_secs(30);

struct Served {
    address: SocketAddr,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    lanes: Lanes,
    shutdown: Shutdown,
}

impl Served {
    async fn start() -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let served = Served {
            address: listener.local_addr().unwrap(),
            readiness: Readiness::default(),
            metrics: Arc::new(Metrics::new()),
            lanes: Lanes::new(8, 8),
            shutdown: Shutdown::default(),
        };
        let health = Health {
            metrics: served.metrics.clone(),
            readiness: served.readiness.clone(),
            lanes: served.lanes.clone(),
        };
        let shutdown = served.shutdown.clone();
        served.shutdown.spawn(serve(health, listener, shutdown));
        served
    }

    /// Sends this and reads until the server hangs up.
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        tokio::time::timeout(DEADLINE, read).await.unwrap().unwrap();
        answer
    }

    /// The status line's number and the body.
    async fn ask(&self, method: &str, path: &str) -> (String, String) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: probe\r\n\r\n");
        let answer = self.send(&request).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).expect("a status").to_owned();
        (status, body.to_owned())
    }

    async fn check(&self, method: &str, path: &str, status: &str, body: &str) {
        let got = self.ask(method, path).await;
        assert_eq!(got, (status.to_owned(), body.to_owned()), "{method} {path}");
    }
}

#[tokio::test]
async fn probes_answer() {
    let served = Served::start().await;
    served.check("GET", "/healthz", "200", "ok\n").await;
    served.check("HEAD", "/healthz", "200", "").await;
    served.check("GET", "/", "404", "").await;
    served.check("GET", "/healthz/more", "404", "").await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        served.check("POST", path, "405", "").await;
        served.check("DELETE", path, "405", "").await;
    }
}

#[tokio::test]
async fn ready_once_started_and_connected_until_stopping() {
    let served = Served::start().await;
    let not_ready = |reasons: &[&str]| {
        let reasons = serde_json::json!({"ready": false, "reasons": reasons});
        reasons.to_string()
    };
    let readiness = &served.readiness;
    let starting = "the host is starting";
    let lost = "NATS connection `queries` is not ready";
    let body = not_ready(&[starting]);
    served.check("GET", "/readyz", "503", &body).await;
    readiness.connection("queries", false);
    readiness.connection("publishing", false);
    readiness.connection("publishing", true);
    let body = not_ready(&[starting, lost]);
    served.check("GET", "/readyz", "503", &body).await;
    readiness.started();
    let body = not_ready(&[lost]);
    served.check("GET", "/readyz", "503", &body).await;
    readiness.connection("queries", true);
    served
        .check("GET", "/readyz", "200", r#"{"ready":true}"#)
        .await;
    served.check("HEAD", "/readyz", "200", "").await;
    readiness.stopping();
    let body = not_ready(&["the host is stopping"]);
    served.check("GET", "/readyz", "503", &body).await;
    served.check("GET", "/healthz", "200", "ok\n").await;
}

#[tokio::test]
async fn a_scrape_sees_the_counts_and_the_free_slots() {
    let served = Served::start().await;
    served.metrics.query_unserved();
    let permit = served.lanes.admit(0);
    assert!(matches!(permit, Admit::Now(_)));
    let (status, text) = served.ask("GET", "/metrics").await;
    assert_eq!(status, "200");
    let unserved = "\nconche_queries_total{plugin=\"\",op=\"\",outcome=\"unserved\"} 1\n";
    assert!(text.contains(unserved), "{text}");
    // 8 slots, 4 of them kept for deeper calls, 1 taken.
    assert!(text.contains("\nconche_slots_free 3\n"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test]
async fn a_head_beyond_the_limits_is_refused() {
    let served = Served::start().await;
    let many = "A: b\r\n".repeat(100);
    let request = format!("GET /healthz HTTP/1.1\r\n{many}\r\n");
    let answer = served.send(&request).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");

    let long = "b".repeat(64 << 10);
    let request = format!("GET /healthz HTTP/1.1\r\nA: {long}\r\n\r\n");
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    // The server hangs up before it was sent everything: its answer may be lost on the way.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(DEADLINE, read).await.unwrap();
    assert!(read.is_err() || answer.starts_with(b"HTTP/1.1 431"));
    served.check("GET", "/healthz", "200", "ok\n").await;
}

#[tokio::test(start_paused = true)]
async fn who_sends_nothing_is_hung_up_on() {
    let served = Served::start().await;
    assert_eq!(served.send("GET /healthz HTTP/1.1\r\n").await, "");
}

#[tokio::test]
async fn it_ends_on_the_shutdown_even_with_a_client_that_waits() {
    let served = Served::start().await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    served.check("GET", "/healthz", "200", "ok\n").await;
    assert!(served.shutdown.drain(DEADLINE).await);
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(served.address).await.is_err());
}
