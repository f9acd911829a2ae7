//! The wire, byte by byte: what is in `tests/wire` is sent to a host, on a server and on the
//! embedded bus, and what comes of it is compared with what is there. See `tests/wire/README.md`.

mod mask;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use conche::envelope::{Headers, Message};

use crate::support::interop::OldService;
use crate::support::{DEADLINE, On, TestHost};
use mask::{Ids, mask};

const EVENTS: &str = "conche-events";
const DEAD: &str = "conche-events-dlq";

/// What a message makes a host send.
#[derive(Clone, Copy)]
enum Out {
    /// An answer.
    Reply,
    /// Nothing.
    Silence,
    /// A query of its own, on this subject.
    Query(&'static str),
    /// A message in this stream, on this subject.
    Stored(&'static str, &'static str),
    /// As [`Out::Stored`], by a listener, whose id is in it.
    Heard(&'static str, &'static str),
}

const EXCHANGES: [(&str, Out); 22] = [
    ("query", Out::Reply),
    ("query-bytes", Out::Reply),
    ("query-string", Out::Reply),
    ("query-nil", Out::Reply),
    ("query-numbers", Out::Reply),
    ("query-attributes", Out::Reply),
    ("query-binary", Out::Reply),
    ("query-undecodable", Out::Silence),
    ("fault", Out::Reply),
    ("fault-binary", Out::Reply),
    ("ask", Out::Query("cyverse.old.Get")),
    (
        "effect",
        Out::Stored(EVENTS, "org.cyverse.events.probe.Out"),
    ),
    (
        "effect-binary",
        Out::Stored(EVENTS, "org.cyverse.events.probe.Out"),
    ),
    (
        "exchange-binary",
        Out::Stored(EVENTS, "org.cyverse.events.GreetingRequested"),
    ),
    (
        "listener-once-binary",
        Out::Heard(EVENTS, "org.cyverse.events.probe.Heard"),
    ),
    (
        "exchange",
        Out::Stored(EVENTS, "org.cyverse.events.GreetingRequested"),
    ),
    (
        "listener-once",
        Out::Heard(EVENTS, "org.cyverse.events.probe.Heard"),
    ),
    (
        "event",
        Out::Stored(EVENTS, "org.cyverse.events.AuditRecorded"),
    ),
    (
        "event-bytes",
        Out::Stored(EVENTS, "org.cyverse.events.probe.Done"),
    ),
    (
        "event-binary",
        Out::Stored(EVENTS, "org.cyverse.events.AuditRecorded"),
    ),
    ("event-rejected", Out::Stored(DEAD, "conche.dlq.>")),
    ("event-undecodable", Out::Stored(DEAD, "conche.dlq.>")),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_wire_on_a_server() {
    exchange_all(On::Nats).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wire_on_the_bus() {
    exchange_all(On::Bus).await;
}

/// What is sent is what the CloudEvents SDK for Go writes, now as then.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_what_old_services_write() {
    let written = tempfile::tempdir().unwrap();
    let directory = written.path().to_str().unwrap();
    let program = OldService::on("nats://nowhere");
    program.run(&["golden", directory]).await.unwrap();
    let by_hand = ["-binary", "-rejected", "-undecodable"];
    for (name, _) in EXCHANGES {
        if by_hand.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let file = format!("{name}.in.txt");
        let now = std::fs::read_to_string(written.path().join(&file));
        assert_eq!(now.unwrap(), read(&file), "{file}");
    }
}

#[test]
fn every_file_belongs_to_an_exchange() {
    let listed = std::fs::read_dir(path("")).unwrap();
    let listed = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let listed: BTreeSet<String> = listed.filter(|name| name != "README.md").collect();
    let names = EXCHANGES.iter().flat_map(|(name, _)| {
        let file = |end| format!("{name}.{end}.txt");
        [file("in"), file("out")]
    });
    assert_eq!(listed, names.collect());
}

/// Each with a host of its own: sequences in streams begin at 1.
async fn exchange_all(on: On) {
    let mut wrong = Vec::new();
    for (name, out) in EXCHANGES {
        let host = TestHost::on(
            on,
            &["greeter", "auditor", "probe"],
            "[nats]\nclient_id = \"golden\"\n",
        )
        .await;
        let sent = read(&format!("{name}.in.txt"));
        let ids = match out {
            Out::Stored(..) => Ids::Hashed,
            Out::Reply | Out::Query(_) | Out::Silence | Out::Heard(..) => Ids::Fresh,
        };
        let came = mask(&exchange(&host, &sent, out).await, &sent, ids);
        let file = format!("{name}.out.txt");
        if std::env::var_os("CONCHE_BLESS").is_some() && on == On::Nats {
            std::fs::write(path(&file), &came).unwrap();
        } else if came != read(&file) {
            wrong.push(format!(
                "{file} has\n{}\nbut this came:\n{came}",
                read(&file)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn exchange(host: &TestHost, sent: &str, out: Out) -> String {
    let (subject, message) = parse(sent);
    match out {
        Out::Reply => {
            let answer = host.wire.request(subject, message, DEADLINE).await;
            show("(reply)", &answer.unwrap())
        }
        Out::Silence => {
            let asked = host
                .wire
                .request(subject, message, Duration::from_millis(300));
            assert_eq!(asked.await.unwrap_err(), "no answer in time");
            "(silence)\n".to_owned()
        }
        Out::Query(op) => {
            let mut ear = host.wire.listen(op).await;
            let asked = host.wire.request(subject, message, DEADLINE);
            let (query, _) = tokio::join!(ear.next(), asked);
            show(op, &query)
        }
        Out::Stored(stream, pattern) | Out::Heard(stream, pattern) => {
            if subject.starts_with("cyverse.") {
                let answer = host.wire.request(subject, message, DEADLINE).await;
                answer.unwrap();
            } else {
                host.wire.publish(subject, message).await.unwrap();
            }
            let stored = host.wire.wait_for(stream, pattern, 1).await;
            show(&stored[0].subject, &stored[0].message)
        }
    }
}

/// Subject, headers, an empty line, body; the last line's end is not the body's.
fn parse(text: &str) -> (&str, Message) {
    let (head, body) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let subject = lines.next().unwrap();
    let mut headers = Headers::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(name.to_owned(), value.to_owned());
    }
    let body = body.strip_suffix('\n').unwrap().to_owned().into();
    (subject, Message { headers, body })
}

/// As [`parse`] reads it. Headers are in alphabetical order, for they have none on the wire; what
/// tells a server how to store the message is left out.
fn show(subject: &str, message: &Message) -> String {
    let headers = message.headers.iter();
    let headers = headers.filter(|(name, _)| !name.starts_with("Nats-Expected-"));
    let mut headers: Vec<_> = headers
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    headers.sort_by_key(|line| line.to_ascii_lowercase());
    let body = std::str::from_utf8(&message.body).unwrap();
    format!("{subject}\n{}\n{body}\n", headers.concat())
}

fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("wire")
        .join(file)
}
