//! What the documents name is there: each test of `docs/compatibility.md`, in the file that it names.

use std::collections::BTreeSet;
use std::path::Path;

/// What stands between backquotes, in order.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// All that the package exports, and all that it reads.
const NAMES: &str = "DefaultNatsURL DefaultNatsClusterID DefaultNatsMaxReconnect
    DefaultNatsReconnectWait DefaultNatsRequestTimeout DefaultStanEventsTimeout
    DefaultStanAckWaitTime ConvertNats ConvertStan CreateCloudEvent
    CreateCloudEventWithTransactionID GetTransactionID NewTransactionID SetTransactionID
    EventObservable EventSource NewEventSource NewEventSourceFromStanConnection AddListener
    AddListenerMultiEventType RemoveListenerByID Listener ListenerCallback ListenerID
    QueryEventService Disconnect AddEventHandler AddDefaultEventHandler AddCloudEventHandler
    AddDefaultCloudEventHandler Request RequestWithTransactionID RequestCloudEvent NatsConnection
    ConnectNatsForService ConnectNatsForServiceClient QueryEventHandler QueryCloudEventHandler
    QueryEventHandlerMapping NatsConfig StreamingEventService Publish PublishWithTransactionID
    PublishCloudEvent StanConnection ConnectStanForService ConnectStanForServiceClient
    StreamingEventHandler StreamingCloudEventHandler StreamingEventHandlerMapping StanConfig
    MockNatsConnection MockStanConnection MockNatsMessage NATS_URL NATS_QUEUE_GROUP
    NATS_WILDCARD_SUBJECT NATS_CLIENT_ID NATS_MAX_RECONNECTS NATS_RECONNECT_WAIT
    NATS_REQUEST_TIMEOUT NATS_CLUSTER_ID NATS_DURABLE_NAME NATS_EVENTS_TIMEOUT";

#[test]
fn each_name_of_the_old_package_has_its_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("docs/compatibility.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let first = rows.map(|row| row.split('|').nth(1).unwrap());
    let named: BTreeSet<&str> = first.flat_map(quoted).collect();
    let missing: Vec<_> = NAMES.split_whitespace().collect();
    let missing: Vec<_> = missing
        .iter()
        .filter(|name| !named.contains(**name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn each_row_of_the_compatibility_table_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("docs/compatibility.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let (mut count, mut missing) = (0, BTreeSet::new());
    for row in rows.filter(|row| !row.contains("|---")) {
        count += 1;
        let shown = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let mut source = None;
        let mut named = 0;
        for word in quoted(shown) {
            if word.ends_with(".rs") {
                source = Some((word, std::fs::read_to_string(root.join(word)).unwrap()));
                named += usize::from(shown.contains(&format!("{word}`: each")));
                continue;
            }
            let Some((file, source)) = &source else {
                missing.insert(format!("no file before `{word}`"));
                continue;
            };
            named += 1;
            if !source.contains(&format!("fn {word}(")) {
                missing.insert(format!("{file} has no {word}"));
            }
        }
        if named == 0 && !shown.contains("as for queries") {
            missing.insert(format!("no test in {row}"));
        }
    }
    assert!(count > 20, "only {count} rows were read");
    assert!(missing.is_empty(), "{missing:#?}");
}
