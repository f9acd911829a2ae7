//! Streams that others made take smaller messages than the server: what no stream takes is a dead
//! letter, and a dead letter that is too large for its stream goes there in pieces.

use conche::doctor::{Severity, Wants, examine};
use conche::envelope::Message;
use serde_json::json;

use crate::support::server::NatsServer;
use crate::support::{Found, Setup, TestHost, Wire, event};

const EVENTS: &str = "conche-events";
const DEAD: &str = "conche-events-dlq";
const DO: &str = "org.cyverse.events.probe.Do";
const REJECT: &str = r#"{"steps":[{"reject":{"code":400,"message":"never"}}]}"#;

/// A server that has the dead-letter stream already, for messages of so many bytes.
async fn with_dead_letter_stream(max_msg_size: u32) -> NatsServer {
    let server = NatsServer::start();
    let client = Wire::connect(&server.url()).await;
    let subjects = [
        "conche.dlq.conche-events.>",
        "conche.redrive.conche-events.>",
    ];
    let stream = json!({"name": DEAD, "subjects": subjects, "discard": "new",
        "max_msg_size": max_msg_size});
    client.api(&format!("STREAM.CREATE.{DEAD}"), stream).await;
    server
}

fn header<'a>(letter: &'a Found, name: &str) -> &'a str {
    letter.message.headers.get(name).unwrap()
}

/// The chunks of a letter, one after the other, and the letter itself.
async fn in_pieces(host: &TestHost) -> (Vec<u8>, Found) {
    let letter = "conche.dlq.conche-events.conche-probe.1";
    let mut letters = host.wire.wait_for(DEAD, letter, 1).await;
    let letter = letters.remove(0);
    let chunks: usize = header(&letter, "Conche-Dlq-Chunks").parse().unwrap();
    let pieces = format!("{}.*", letter.subject);
    let pieces = host.wire.messages(DEAD, &pieces).await;
    assert_eq!(pieces.len(), chunks);
    let pieces = pieces.iter().map(|piece| piece.message.body.to_vec());
    (pieces.collect::<Vec<_>>().concat(), letter)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_effect_that_its_stream_never_takes_uses_up_the_attempts() {
    let host = TestHost::with(Setup {
        guests: &["probe"],
        policies: &[(
            "probe",
            "[grants]\nemit = [\"org.>\"]\n[retry]\nmax-attempts = 2\nfirst = \"1ms\"\n",
        )],
        server: Some(NatsServer::start()),
        ..Setup::default()
    })
    .await;
    let small = json!({"name": "AUDIT", "subjects": ["org.audit.>"], "max_msg_size": 100});
    host.wire.api("STREAM.CREATE.AUDIT", small).await;
    host.publish(DO, r#"{"steps":[{"emit":{"type":"org.audit.Seen"}}]}"#)
        .await;
    let letters = host.dead_letters(1).await;
    let reason = header(&letters[0], "Conche-Dlq-Reason");
    assert!(
        reason.starts_with("attempt 2 of 2: its effects were not stored: "),
        "{reason}"
    );
    assert!(
        reason.contains("exceeds maximum allowed (10054)"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_its_stream_does_not_take_whole_goes_there_in_pieces() {
    let server = with_dead_letter_stream(4096).await;
    let host = TestHost::with_server(Some(server), &["probe"], "").await;
    let pad = format!("[{}", " ".repeat(10_000));
    let message = event(DO, &REJECT.replace('[', &pad)).to_structured();
    let message = message.unwrap();
    let body = message.body.clone();
    host.wire.publish(DO, message).await.unwrap();
    let (whole, letter) = in_pieces(&host).await;
    let head: usize = header(&letter, "Conche-Dlq-Header-Bytes").parse().unwrap();
    assert_eq!(&whole[head..], &body[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_with_too_many_headers_for_any_stream_goes_there_in_pieces() {
    let host = TestHost::with_server(Some(NatsServer::start()), &["probe"], "").await;
    let mut message: Message = event(DO, REJECT).to_structured().unwrap();
    // A stream takes 64 KiB of them: these fit, and not with the facts.
    message.headers.insert("X-Long", "x".repeat(65_300));
    host.wire.publish(DO, message).await.unwrap();
    let (whole, letter) = in_pieces(&host).await;
    let head: usize = header(&letter, "Conche-Dlq-Header-Bytes").parse().unwrap();
    assert!(head > 65_300);
    assert!(whole[head..].starts_with(b"{"));
}

/// Nothing is dropped, and nothing is stored by half.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_takes_no_letter_at_all_stops_the_plugin() {
    let server = with_dead_letter_stream(300).await;
    let host = TestHost::with_server(Some(server), &["probe"], "").await;
    host.publish(DO, REJECT).await;
    host.stands_still("probe").await;
    assert!(host.wire.messages(DEAD, "conche.dlq.>").await.is_empty());
    let mended = json!({"name": DEAD, "discard": "new", "max_msg_size": -1,
        "subjects": ["conche.dlq.conche-events.>", "conche.redrive.conche-events.>"]});
    host.wire
        .api(&format!("STREAM.UPDATE.{DEAD}"), mended)
        .await;
    host.dead_letters(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_take_less_than_the_server_are_found() {
    let server = with_dead_letter_stream(4096).await;
    let client = Wire::connect(&server.url()).await;
    let stream = json!({"name": EVENTS, "subjects": ["org.cyverse.events.>"], "max_msg_size": 480});
    client.api(&format!("STREAM.CREATE.{EVENTS}"), stream).await;
    // It serves all the same.
    let host = TestHost::with_server(Some(server), &["probe"], "").await;
    let examined = examine(host.host.config(), &Wants::default()).await;
    let findings = examined.unwrap().findings.into_iter();
    let found: Vec<_> = findings
        .filter(|found| found.check == "streams" && found.severity == Severity::Warning)
        .map(|found| format!("{}; {}", found.what, found.mend))
        .collect();
    let expected = [
        "stream `conche-events` takes 480 bytes in a message, the server 1048576: no larger event is stored; \
         nats stream edit conche-events --max-msg-size=-1",
        "stream `conche-events-dlq` takes 4096 bytes in a message, the server 1048576: no larger dead letter \
         is stored in one piece; nats stream edit conche-events-dlq --max-msg-size=-1",
    ];
    assert_eq!(found, expected);
}
