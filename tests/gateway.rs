//! The HTTP gateway: the CloudEvents binding in both modes, and what is no event for it.

use std::net::SocketAddr;

use serde_json::json;

use crate::http::{Connection, post, post_event, raw};
use crate::malformed;
use crate::support::server::NatsServer;
use crate::support::{DEADLINE, On, Setup, TestHost, until_called};

pub(crate) const EVENT_TYPE: &str = "org.cyverse.events.Tested";

const BINARY: [(&str, &str); 5] = [
    ("ce-specversion", "1.0"),
    ("ce-id", "1"),
    ("ce-source", "/test"),
    ("ce-type", EVENT_TYPE),
    ("Content-Type", "application/json"),
];

pub(crate) fn envelope(ty: &str, data: &serde_json::Value) -> Vec<u8> {
    json!({"specversion": "1.0", "id": "1", "source": "/test", "type": ty, "data": data})
        .to_string()
        .into_bytes()
}

pub(crate) async fn gateway(config: &str) -> (TestHost, SocketAddr) {
    let setup = Setup {
        config,
        ..Setup::default()
    };
    let host = TestHost::with(setup).await;
    let address = host.host.gateway().unwrap();
    (host, address)
}

/// The events that the gateway shows.
pub(crate) async fn events(gateway: SocketAddr) -> Vec<serde_json::Value> {
    let response = raw(gateway, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(
        response.header("content-type"),
        Some("application/x-ndjson")
    );
    let parsed = response.body.lines().map(serde_json::from_str);
    parsed.collect::<Result<_, _>>().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_answered_in_the_mode_it_came_in() {
    let host = TestHost::start(&["greeter"]).await;
    let gateway = host.host.gateway().unwrap();
    let greet = "cyverse.greeter.Greet";
    let body = json!({"specversion": "1.0", "id": "1", "source": "/test", "type": greet,
        "transactionid": "tid-1", "data": {"name": "Ada"}});
    let response = post_event(gateway, "/query", body.to_string().as_bytes()).await;
    assert_eq!(response.status, 200, "{response:?}");
    let kind = response.header("content-type");
    assert_eq!(kind, Some("application/cloudevents+json; charset=utf-8"));
    let reply = response.json();
    assert_eq!(reply["data"], json!({"greeting": "Hello, Ada!"}));
    assert_eq!(
        (&reply["type"], &reply["transactionid"]),
        (&json!(greet), &json!("tid-1"))
    );

    let mut headers = BINARY;
    headers[3].1 = greet;
    let response = post(gateway, "/query", &headers, br#"{"name":"Ada"}"#).await;
    assert_eq!(
        (response.status, &*response.body),
        (200, r#"{"greeting":"Hello, Ada!"}"#)
    );
    assert_eq!(response.header("ce-type"), Some(greet));
    assert_eq!(
        response.header("content-type"),
        Some("application/json; charset=utf-8")
    );

    // A fault looks as it does on the wire, whatever mode the query came in.
    let response = post(gateway, "/query", &headers, br#"{"name":5}"#).await;
    let text = response.error(400);
    assert!(text.contains("expected a string"), "{text}");
    assert_eq!(response.header("ce-type"), Some(greet));
    assert_eq!(response.header("nats-service-error"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_gets_what_it_would_get_on_nats() {
    let setup = Setup {
        guests: &["probe"],
        policies: &[("probe", "[config]\nany-query = \"true\"\n")],
        ..Setup::default()
    };
    let host = TestHost::with(setup).await;
    let gateway = host.host.gateway().unwrap();
    let ask = async |op| post_event(gateway, "/query", &envelope(op, &json!(1))).await;
    assert_eq!(ask("cyverse.other.Do").await.status, 200);
    let text = ask("com.other.Do").await.error(404);
    assert_eq!(text, "no plugin serves query `com.other.Do`");
    for reserved in ["$SYS.REQ.SERVER.PING", "_INBOX.x", "conche.dlq.x"] {
        let text = ask(reserved).await.error(400);
        assert!(text.contains("is reserved"), "{text}");
    }
    let text = ask("a b").await.error(400);
    assert!(text.starts_with("query op: subject `a b`"), "{text}");
    host.counted(
        r#"conche_queries_total{plugin="",op="",outcome="unserved"}"#,
        1.0,
    )
    .await;
    let metrics = host.metrics();
    let replied = r#"conche_queries_total{plugin="probe",op="",outcome="reply"} 1"#;
    assert!(metrics.lines().any(|line| line == replied), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_an_answer_without_content() {
    let host = TestHost::start(&["probe"]).await;
    let gateway = host.host.gateway().unwrap();
    let body = envelope("cyverse.probe.Silence", &json!({}));
    let response = post_event(gateway, "/query", &body).await;
    assert_eq!((response.status, &*response.body), (204, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_stored_once() {
    let (_host, gateway) = gateway("").await;
    let body = envelope(EVENT_TYPE, &json!({"n": 1}));
    let first = post_event(gateway, "/event", &body).await;
    let stored = json!({"stream": "conche-events", "sequence": 1, "duplicate": false});
    assert_eq!((first.status, first.json()), (202, stored));
    let again = post_event(gateway, "/event", &body).await;
    let known = json!({"stream": "conche-events", "sequence": 1, "duplicate": true});
    assert_eq!((again.status, again.json()), (202, known));
    // The same id of another source is another event.
    let other = String::from_utf8(body).unwrap().replace("/test", "/other");
    let other = post_event(gateway, "/event", other.as_bytes()).await;
    assert_eq!(other.json()["duplicate"], false);
    assert_eq!(events(gateway).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_in_headers_are_decoded() {
    let (host, gateway) = gateway("").await;
    let mut headers = BINARY.to_vec();
    headers.extend([
        ("ce-subject", "Euro%20%E2%82%AC%20100%25"),
        ("ce-comexample", "\"quoted \\\" text\""),
        ("CE-Plain", "Über"),
        ("traceparent", "00-1-2-01"),
        ("tracestate", "a=1"),
        ("cookie", "a=b"),
    ]);
    let response = post(
        gateway,
        "/event",
        &headers,
        b"{\"n\":12345678901234567890123}",
    )
    .await;
    assert_eq!(response.status, 202, "{response:?}");
    let stored = &events(gateway).await[0];
    assert_eq!(stored["subject"], "Euro € 100%");
    assert_eq!(stored["comexample"], "quoted \" text");
    assert_eq!(stored["plain"], "Über");
    assert!(stored.get("cookie").is_none(), "{stored}");
    // Trace context travels as extensions and as headers, whichever way it came.
    let message = &host.bus().messages("conche-events")[0].message;
    for (name, value) in [("traceparent", "00-1-2-01"), ("tracestate", "a=1")] {
        assert_eq!(stored[name], value);
        assert_eq!(message.headers.get(name), Some(value));
    }

    let latin1 = b"POST /event HTTP/1.1\r\nHost: localhost\r\nce-specversion: 1.0\r\nce-subject: \xfc\r\nContent-Length: 0\r\n\r\n";
    let mut connection = Connection::open(gateway).await;
    connection.send(latin1).await;
    let refused = connection.receive().await.error(400);
    assert_eq!(
        refused,
        "header `ce-subject` is no UTF-8: percent-encode it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_written_over_many_lines_are_shown_on_one() {
    let (_host, gateway) = gateway("").await;
    let body = "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/t\",\r\n\"type\":\"org.cyverse.events.Tested\",\"data\":{\r\n  \"a\": \"b c\"\r\n}}";
    post_event(gateway, "/event", body.as_bytes()).await;
    post_event(gateway, "/event", &envelope(EVENT_TYPE, &json!(2))).await;
    let shown = events(gateway).await;
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0]["data"], json!({"a": "b c"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_envelopes_are_refused_with_the_attribute() {
    let (_host, gateway) = gateway("").await;
    for path in ["/query", "/event"] {
        for malformed::Structured { body, error } in malformed::structured(EVENT_TYPE) {
            let text = post_event(gateway, path, &body).await.error(400);
            assert!(text.starts_with(error), "{error}: {text}");
        }
        for malformed::Binary {
            headers,
            body,
            error,
        } in malformed::binary(EVENT_TYPE)
        {
            let text = post(gateway, path, &headers, body.as_bytes()).await;
            let text = text.error(400);
            assert!(text.starts_with(error), "{error}: {text}");
        }
    }
    assert!(events(gateway).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_cloud_event_in_json_is_an_unsupported_media_type() {
    let (_host, gateway) = gateway("").await;
    let structured = "application/cloudevents+json";
    let no_event = "no CloudEvent: send content-type application/cloudevents+json, or ce- headers";
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[], no_event),
        (&[("Content-Type", "application/json")], no_event),
        (
            &[("Content-Type", "application/cloudevents-batch+json")],
            "batches are not taken: post one event at a time",
        ),
        (
            &[("Content-Type", "Application/CloudEvents+XML; charset=utf-8")],
            "content-type `application/cloudevents+xml` is not taken: send application/cloudevents+json",
        ),
        (
            &[("Content-Type", "application/cloudeventsx")],
            "content-type `application/cloudeventsx` is not taken: send application/cloudevents+json",
        ),
        (
            &[("Content-Type", structured), ("Content-Encoding", "gzip")],
            "content-encoding `gzip` is not taken: send the body as it is",
        ),
    ];
    for (headers, error) in cases {
        let response = post(gateway, "/event", headers, b"{}").await;
        assert_eq!(response.error(415), error);
    }
    let spelled = [(
        "content-type",
        " Application/CloudEvents+JSON ;charset=UTF-8",
    )];
    let response = post(
        gateway,
        "/event",
        &spelled,
        &envelope(EVENT_TYPE, &json!(1)),
    )
    .await;
    assert_eq!(response.status, 202, "{response:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_no_stream_should_have_are_refused() {
    let (host, gateway) = gateway("gateway.max_body = '4MiB'").await;
    let nowhere = post_event(gateway, "/event", &envelope("com.example.X", &json!(1))).await;
    assert_eq!(nowhere.error(404), "no stream takes `com.example.X`");
    for reserved in [
        "conche.dlq.conche-events.x.1",
        "$JS.API.STREAM.DELETE.x",
        "_INBOX.x",
    ] {
        let response = post_event(gateway, "/event", &envelope(reserved, &json!(1))).await;
        let text = response.error(400);
        assert!(text.contains("is reserved"), "{text}");
    }
    assert!(host.bus().messages("conche-events-dlq").is_empty());
    let large = envelope(EVENT_TYPE, &json!("x".repeat(1 << 20)));
    let text = post_event(gateway, "/event", &large).await.error(413);
    assert!(
        text.contains("more than the 1048576 that the server takes"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_nobody_confirms_may_be_sent_again() {
    let setup = Setup {
        config: "events.publish_timeout = '100ms'",
        server: Some(NatsServer::start()),
        ..Setup::default()
    };
    let host = TestHost::with(setup).await;
    // In the place of the stream, somebody who takes its events and says nothing.
    let deleted = host
        .wire
        .api("STREAM.DELETE.conche-events", json!({}))
        .await;
    assert_eq!(deleted["success"], true);
    let client = host.wire.nats();
    let _mute = client.subscribe(EVENT_TYPE).await.unwrap();
    client.flush().await.unwrap();
    let body = envelope(EVENT_TYPE, &json!(1));
    let response = post_event(host.host.gateway().unwrap(), "/event", &body).await;
    let text = response.error(504);
    assert!(text.ends_with("with the same id is safe"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_paths_and_methods_are_refused_in_the_same_form() {
    let (_host, gateway) = gateway("").await;
    let unserved = post_event(
        gateway,
        "/query",
        &envelope("cyverse.nobody.Get", &json!(1)),
    )
    .await;
    assert_eq!(
        unserved.error(404),
        "no plugin serves query `cyverse.nobody.Get`"
    );
    let line =
        |line: &str| format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let unknown = raw(gateway, &line("GET /")).await;
    assert_eq!(
        unknown.error(404),
        "nothing is at /: there are POST /query, POST /event and GET /events"
    );
    // Which has no events to show.
    let on_a_server = TestHost::on(On::Nats, &[], "").await;
    let unknown = raw(on_a_server.host.gateway().unwrap(), &line("GET /")).await;
    assert_eq!(
        unknown.error(404),
        "nothing is at /: there are POST /query and POST /event"
    );
    for (request, allowed) in [
        ("GET /query", "POST"),
        ("DELETE /event", "POST"),
        ("POST /events", "GET,HEAD"),
        // A page in a browser asks this first; it learns nothing that would let it go on.
        ("OPTIONS /event", "POST"),
    ] {
        let response = raw(gateway, &line(request)).await;
        let text = response.error(405);
        assert!(text.contains("is not for"), "{text}");
        assert_eq!(response.header("allow"), Some(allowed), "{request}");
        assert_eq!(response.header("access-control-allow-origin"), None);
    }
    let mut connection = Connection::open(gateway).await;
    connection.send(line("HEAD /query").as_bytes()).await;
    let response = connection.receive_head().await;
    assert_eq!((response.status, &*response.body), (405, ""));
    assert_eq!(response.header("allow"), Some("POST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_asker_left_is_finished() {
    let host = TestHost::start(&["probe"]).await;
    let gateway = host.host.gateway().unwrap();
    let steps = json!({"steps": [{"sleep": {"ms": 300}}, {"emit": {"type": EVENT_TYPE}}]});
    let body = envelope("cyverse.probe.Do", &steps);
    let headers = [("Content-Type", "application/cloudevents+json")];
    let asker = Connection::post(gateway, "/query", &headers, &body).await;
    until_called(host.host.dispatcher()).await;
    drop(asker);
    let stored = async { while events(gateway).await.is_empty() {} };
    let waited = tokio::time::timeout(DEADLINE, stored).await;
    waited.expect("its effects were not stored");
}
