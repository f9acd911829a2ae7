//! What the gateway takes from whom: sizes, times, hosts, tokens, connections.

use serde_json::json;

use crate::gateway::{EVENT_TYPE, envelope, events, gateway};
use crate::http::{Connection, post_event, raw};
use crate::support::{Setup, TestHost};

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_takes_too_long_is_answered_for() {
    let setup = Setup {
        guests: &["versioned_v1"],
        config: "gateway.timeout = '300ms'",
        ..Setup::default()
    };
    let host = TestHost::with(setup).await;
    let gateway = host.host.gateway().unwrap();
    let body = envelope("cyverse.versioned.Get", &json!({"sleep_ms": 60_000}));
    let response = post_event(gateway, "/query", &body).await;
    assert_eq!(response.error(504), "the handler took too long");
    // The host has its slots back: nobody runs for an asker who left.
    let body = envelope("cyverse.versioned.Get", &json!({"sleep_ms": 0}));
    assert_eq!(post_event(gateway, "/query", &body).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_may_come_in_chunks_and_not_be_too_large() {
    let (_host, gateway) = gateway("gateway.max_body = 200").await;
    let chunked = |chunks: &[&str]| {
        let mut request = "POST /event HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Type: application/cloudevents+json\r\n\r\n".to_owned();
        for chunk in chunks {
            request.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
        }
        request + "0\r\n\r\n"
    };
    let whole = String::from_utf8(envelope(EVENT_TYPE, &json!("chunks"))).unwrap();
    let (first, second) = whole.split_at(40);
    let response = raw(gateway, &chunked(&[first, second])).await;
    assert_eq!(response.status, 202, "{response:?}");

    let too_large = "the body has more than the 200 bytes of max_body in [gateway]";
    let long = "x".repeat(150);
    let response = raw(gateway, &chunked(&[&long, &long])).await;
    assert_eq!(response.error(413), too_large);
    let response = post_event(gateway, "/event", &vec![b'x'; 201]).await;
    assert_eq!(response.error(413), too_large);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let (_host, gateway) = gateway("gateway.timeout = '200ms'").await;
    let request = "POST /event HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
    let text = raw(gateway, request).await.error(408);
    assert_eq!(
        text,
        "the body did not arrive within the 200ms of timeout in [gateway]"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_may_not_be_endless() {
    let (_host, gateway) = gateway("").await;
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let request = format!("GET /events HTTP/1.1\r\nHost: localhost\r\n{many}\r\n");
    assert_eq!(raw(gateway, &request).await.status, 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_know_its_name_reach_a_loopback_gateway() {
    let (_host, gateway) = gateway("gateway.hosts = ['conche.example.org']").await;
    let get = |host: &str| format!("GET /events HTTP/1.1\r\n{host}\r\n");
    for ours in ["localhost:1", "127.0.0.1", "[::1]", "conche.example.org:80"] {
        let response = raw(gateway, &get(&format!("Host: {ours}\r\n"))).await;
        assert_eq!(response.status, 200, "{ours}");
    }
    let text = raw(gateway, &get("Host: evil.example.org\r\n"))
        .await
        .error(421);
    assert_eq!(
        text,
        "host `evil.example.org` is not served here: add it to hosts in [gateway]"
    );
    assert_eq!(raw(gateway, &get("")).await.status, 421);
    let twice = raw(gateway, &get("Host: localhost\r\nHost: evil.org\r\n")).await;
    assert_eq!(twice.error(400), "header `host` is there twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_set_must_be_sent() {
    let (_host, gateway) = gateway("gateway.token = 's3cret'").await;
    let get = |line: &str| format!("GET /events HTTP/1.1\r\nHost: any.example\r\n{line}\r\n");
    for line in [
        "",
        "Authorization: Bearer s3cre\r\n",
        "Authorization: Basic s3cret\r\n",
    ] {
        let response = raw(gateway, &get(line)).await;
        let text = response.error(401);
        assert_eq!(text, "send the gateway's token: Authorization: Bearer …");
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
    }
    let response = raw(gateway, &get("Authorization: bearer s3cret\r\n")).await;
    assert_eq!(response.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_idle_hold_nobody_up_at_the_end() {
    let (host, gateway) = gateway("shutdown.drain = '10s'").await;
    let mut used = Connection::open(gateway).await;
    for _ in 0..2 {
        used.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await;
        assert_eq!(used.receive().await.status, 200);
    }
    let _unused = Connection::open(gateway).await;
    // It was accepted before this one, which is answered.
    let mut halfway = Connection::open(gateway).await;
    halfway.send(b"GET /events HTTP/1.1\r\n").await;
    assert_eq!(events(gateway).await.len(), 0);
    assert!(host.host.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_answered_before_the_end() {
    let host = TestHost::start(&["versioned_v1"]).await;
    let mut connection = Connection::open(host.host.gateway().unwrap()).await;
    let idle = host.free_slots("versioned_v1");
    let body = envelope("cyverse.versioned.Get", &json!({"sleep_ms": 1_000}));
    let head =
        "POST /query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cloudevents+json";
    let head = format!("{head}\r\nContent-Length: {}\r\n\r\n", body.len());
    connection.send(head.as_bytes()).await;
    connection.send(&body).await;
    host.until_running("versioned_v1", idle).await;
    assert!(host.host.stop().await);
    assert_eq!(connection.receive().await.status, 200);
}
