//! Hosts that share a durable, and what a host makes of a consumer that others changed.

use std::time::Duration;

use conche::host::{Host, Runtimes};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::server::NatsServer;
use crate::support::{DEADLINE, On, Setup, TestHost, Wire, event, guest, resolve};

const EVENTS: &str = "conche-events";
const LOCK: &str = "conche-probe-GROWS";
const OF_THE_TEST: &str = "of the test";
const DEAD: &str = "conche-events-dlq";
const DO: &str = "org.cyverse.events.probe.Do";
const LATE: &str = "org.cyverse.events.probe.Late";
const DONE: &str = "org.cyverse.events.probe.Done";
const REPORT: &str = r#"{"report":true,"steps":[]}"#;
const REJECT: &str = r#"{"steps":[{"reject":{"code":400,"message":"never"}}]}"#;
const LISTENS_TO_LATE: &str = "[config]\ntypes = \"org.cyverse.events.probe.Late\"\n";
const SHARED: &str = "[compat]\nevent_subject = \"org.cyverse.events.all\"";

/// Another host on the same server, with the probe.
async fn beside(host: &TestHost, policy: &str, config: &str) -> (Host, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(guest("probe"), dir.path().join("probe.wasm")).unwrap();
    std::fs::write(dir.path().join("probe.toml"), policy).unwrap();
    let url = host.server.as_ref().unwrap().url();
    let config = resolve(dir.path(), Some(&url), config);
    let runtimes = Runtimes::one();
    let started = Box::pin(Host::start(config, &runtimes));
    (started.await.unwrap(), dir)
}

async fn consumer(wire: &Wire, name: &str) -> Value {
    wire.api(&format!("CONSUMER.INFO.{EVENTS}.{name}"), json!({}))
        .await
}

/// Waits until the probe's consumer is as wanted.
async fn until(wire: &Wire, wanted: impl Fn(&Value) -> bool) {
    let waited = async {
        while !wanted(&consumer(wire, "conche-probe").await) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waited).await;
    waited.expect("the consumer never came to be so");
}

/// Takes the right to change the probe's consumer, as another host would.
async fn lock(wire: &Wire, held: Duration) {
    let config = json!({"name": LOCK, "description": OF_THE_TEST, "ack_policy": "none",
        "deliver_policy": "new", "mem_storage": true,
        "inactive_threshold": u64::try_from(held.as_nanos()).unwrap()});
    let body = json!({"stream_name": EVENTS, "action": "create", "config": config});
    let what = format!("CONSUMER.CREATE.{EVENTS}.{LOCK}");
    let made = wire.api(&what, body).await;
    assert_eq!(made.get("error"), None);
}

fn skipped(host: &Host) -> bool {
    let metrics = host.dispatcher().metrics().render();
    let skipped = "conche_events_total{plugin=\"probe\",outcome=\"skipped\"} ";
    let mut values = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(skipped));
    values.any(|value| value.trim().parse::<u64>() != Ok(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_another_host_added_is_left_to_it_while_it_is_there() {
    let old = TestHost::on(On::Nats, &["probe"], "").await;
    let (new, _dir) = beside(&old, LISTENS_TO_LATE, "").await;
    for _ in 0..100 {
        old.publish(LATE, REPORT).await;
    }
    old.stored(DONE, 100).await;
    assert!(!skipped(&old.host));
    assert!(old.wire.messages(DEAD, "conche.dlq.>").await.is_empty());
    until(&old.wire, |info| info["num_ack_pending"] == 0).await;
    // Gone: nobody else will have it.
    Box::pin(new.stop()).await;
    old.publish(LATE, REPORT).await;
    let letters = old.dead_letters(1).await;
    let reason = letters[0].message.headers.get("Conche-Dlq-Reason").unwrap();
    assert!(reason.starts_with("unlistened: "), "{reason}");
    old.publish(DO, REPORT).await;
    old.stored(DONE, 101).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_loaded_last_leaves_what_it_does_not_handle() {
    let new = TestHost::with(Setup {
        guests: &["probe"],
        policies: &[("probe", LISTENS_TO_LATE)],
        server: Some(NatsServer::start()),
        ..Setup::default()
    })
    .await;
    let (old, _dir) = beside(&new, "", "").await;
    for _ in 0..50 {
        new.publish(LATE, REPORT).await;
    }
    new.stored(DONE, 50).await;
    assert!(!skipped(&old));
    assert!(new.wire.messages(DEAD, "conche.dlq.>").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_subject_of_many_a_type_is_left_to_whoever_handles_it() {
    let old = TestHost::on(On::Nats, &["probe"], SHARED).await;
    let (_new, _dir) = beside(&old, LISTENS_TO_LATE, SHARED).await;
    let all = "org.cyverse.events.all";
    for _ in 0..50 {
        let late = event(LATE, REPORT).to_structured().unwrap();
        old.wire.publish(all, late).await.unwrap();
    }
    // And as many reports.
    old.stored(all, 100).await;
    assert!(old.wire.messages(DEAD, "conche.dlq.>").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_ask_any_more_whether_another_listens_to_more_yields_no_longer() {
    let users = |denied: &str| {
        format!(
            "authorization {{ users = [\n\
             {{ user: \"old\", password: \"p\", permissions: {{ publish: {{ deny: \"{denied}\" }} }} }}\n\
             {{ user: \"test\", password: \"p\" }}\n] }}\nno_auth_user: test\n"
        )
    };
    let configured = "jetstream { store_dir: \"DIR/js\" }\ninclude \"users.conf\"\n";
    let server = NatsServer::with_files(configured, &[("users.conf", &users("nothing"))]);
    let login = "[nats.auth]\nuser = \"old\"\npassword = \"p\"";
    let mut old = TestHost::with_server(Some(server), &["probe"], login).await;
    let mut questions = old.wire.listen("conche.peers.>").await;
    let (_new, _dir) = beside(&old, LISTENS_TO_LATE, "").await;
    // When it asks again, it has made something of the answers to the first time.
    questions.next().await;
    questions.next().await;
    until(&old.wire, |info| info["num_waiting"] == 1).await;
    let server = old.server.as_mut().unwrap();
    server.down();
    std::fs::write(server.file("users.conf"), users("conche.peers.>")).unwrap();
    server.up();
    until(&old.wire, |info| info["num_waiting"] == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_does_not_grow_while_another_changes_it() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    // Longer than a policy that is written takes to be read.
    lock(&host.wire, Duration::from_secs(4)).await;
    std::fs::write(host.dir.path().join("probe.toml"), LISTENS_TO_LATE).unwrap();
    let held = async {
        loop {
            let filters = consumer(&host.wire, "conche-probe").await;
            // The host takes one of the same name once ours is over.
            let lock = consumer(&host.wire, LOCK).await;
            if lock["config"]["description"] != OF_THE_TEST {
                return;
            }
            assert_eq!(filters["config"]["filter_subjects"], json!([DO]));
        }
    };
    tokio::time::timeout(DEADLINE, held).await.unwrap();
    let grown = json!([DO, LATE]);
    until(&host.wire, |info| {
        info["config"]["filter_subjects"] == grown
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_change_a_consumer_that_is_gone_is_given_back() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let of = |action| format!("$JS.API.CONSUMER.{action}.{EVENTS}.{LOCK}");
    let mut taken = host.wire.listen(&of("CREATE")).await;
    let mut given_back = host.wire.listen(&of("DELETE")).await;
    std::fs::write(host.dir.path().join("probe.toml"), LISTENS_TO_LATE).unwrap();
    taken.next().await;
    // Before the host, which has read it already, reads it again.
    let what = format!("CONSUMER.DELETE.{EVENTS}.conche-probe");
    host.wire.api(&what, json!({})).await;
    given_back.next().await;
    let grown = json!([DO, LATE]);
    until(&host.wire, |info| {
        info["config"]["filter_subjects"] == grown
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_others_took_away_is_added_again() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let mut config = consumer(&host.wire, "conche-probe").await["config"].clone();
    config["filter_subjects"] = json!([LATE]);
    let what = format!("CONSUMER.CREATE.{EVENTS}.conche-probe");
    let body = json!({"stream_name": EVENTS, "config": config, "action": "update"});
    host.wire.api(&what, body).await;
    let own = json!([DO]);
    until(&host.wire, |info| info["config"]["filter_subjects"] == own).await;
    host.publish(DO, REPORT).await;
    host.stored(DONE, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_can_be_made_late_begins_where_it_was_wanted() {
    let server = NatsServer::start();
    let client = Wire::connect(&server.url()).await;
    let stream = json!({"name": EVENTS, "subjects": ["org.cyverse.events.>"]});
    client.api(&format!("STREAM.CREATE.{EVENTS}"), stream).await;
    let in_the_way = json!({"stream_name": EVENTS, "config": {"durable_name": "conche-probe",
        "ack_policy": "explicit", "deliver_subject": "elsewhere"}});
    let what = format!("CONSUMER.DURABLE.CREATE.{EVENTS}.conche-probe");
    client.api(&what, in_the_way).await;
    let host = TestHost::with_server(Some(server), &["probe"], "").await;
    host.publish(DO, REPORT).await;
    let what = format!("CONSUMER.DELETE.{EVENTS}.conche-probe");
    host.wire.api(&what, json!({})).await;
    host.stored(DONE, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_consumer_is_made_anew_with_its_backlog() {
    let host = TestHost::with(Setup {
        guests: &["probe"],
        policies: &[("probe", "[limits]\nconcurrency = 1\n")],
        server: Some(NatsServer::start()),
        ..Setup::default()
    })
    .await;
    let slow = r#"{"report":true,"steps":[{"sleep":{"ms":1000}}]}"#;
    host.publish(DO, slow).await;
    until(&host.wire, |info| info["num_ack_pending"] == 1).await;
    for _ in 0..5 {
        host.publish(DO, REPORT).await;
    }
    let what = format!("CONSUMER.DELETE.{EVENTS}.conche-probe");
    host.wire.api(&what, json!({})).await;
    host.stored(DONE, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_dead_letter_stream_runs_on_the_version_that_serves_then() {
    let server = NatsServer::start();
    let client = Wire::connect(&server.url()).await;
    let subjects = [
        "conche.dlq.conche-events.>",
        "conche.redrive.conche-events.>",
    ];
    let full = json!({"name": DEAD, "subjects": subjects, "max_msgs": 2, "discard": "new"});
    client.api(&format!("STREAM.CREATE.{DEAD}"), full).await;
    for n in 0..2 {
        let filler = event("a.b", "{}").to_structured().unwrap();
        let subject = format!("conche.dlq.conche-events.filler.{n}");
        client.publish(&subject, filler).await.unwrap();
    }
    let host = TestHost::with(Setup {
        guests: &["probe"],
        policies: &[("probe", LISTENS_TO_LATE)],
        server: Some(server),
        ..Setup::default()
    })
    .await;
    host.publish(DO, REJECT).await;
    host.stands_still("probe").await;
    host.publish(LATE, REPORT).await;
    until(&host.wire, |info| info["num_ack_pending"] == 2).await;
    // It listens to it no longer.
    let policy = "[config]\nother = \"\"\n";
    std::fs::write(host.dir.path().join("probe.toml"), policy).unwrap();
    host.ask_until("cyverse.probe.Context", "{}", |answer| {
        answer.contains("other")
    })
    .await;
    client.api(&format!("STREAM.PURGE.{DEAD}"), json!({})).await;
    let letters = host.dead_letters(2).await;
    let reason = letters[1].message.headers.get("Conche-Dlq-Reason").unwrap();
    assert!(reason.starts_with("unlistened: "), "{reason}");
    assert!(host.wire.messages(EVENTS, DONE).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_before_a_swap_to_less_room_does_not_age() {
    let host = TestHost::on(On::Nats, &["probe"], "[events]\nack_wait = \"1s\"").await;
    until(&host.wire, |info| info["num_waiting"] == 1).await;
    let policy = "[limits]\nconcurrency = 1\n[config]\nother = \"\"\n";
    std::fs::write(host.dir.path().join("probe.toml"), policy).unwrap();
    host.ask_until("cyverse.probe.Context", "{}", |answer| {
        answer.contains("other")
    })
    .await;
    let slow = r#"{"report":true,"steps":[{"sleep":{"ms":700}}]}"#;
    for _ in 0..8 {
        host.publish(DO, slow).await;
    }
    host.stored(DONE, 8).await;
    let info = consumer(&host.wire, "conche-probe").await;
    assert_eq!(info["num_redelivered"], 0);
    assert_eq!(info["delivered"]["consumer_seq"], 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_nothing_is_known_of_a_consumer_made_anew_is_not_skipped() {
    let host = TestHost::with(Setup {
        guests: &["probe"],
        policies: &[("probe", "[limits]\nconcurrency = 1\ndeadline = \"30s\"\n")],
        server: Some(NatsServer::start()),
        ..Setup::default()
    })
    .await;
    let client = host.wire.nats();
    let mut asked = client.subscribe("cyverse.test.Hold").await.unwrap();
    let hold = r#"{"steps":[{"ask":{"op":"cyverse.test.Hold","timeout_ms":25000}}]}"#;
    host.publish(DO, hold).await;
    let asked = asked.next().await.unwrap();
    // Nothing is asked for now, so that the host is not told that its consumer is gone.
    until(&host.wire, |info| info["num_waiting"] == 0).await;
    let api = async |what: &str, body| host.wire.api(&format!("{what}.{EVENTS}"), body).await;
    api("STREAM.DELETE", json!({})).await;
    let stream = json!({"name": EVENTS, "subjects": ["org.cyverse.events.>"]});
    api("STREAM.CREATE", stream).await;
    let made = json!({"stream_name": EVENTS, "config": {"durable_name": "conche-probe",
        "ack_policy": "explicit", "ack_wait": 60_000_000_000_u64, "filter_subjects": [DO],
        "metadata": {"conche": format!("{{\"filters\":[[\"{DO}\",0]]}}")}}});
    host.wire
        .api(&format!("CONSUMER.CREATE.{EVENTS}.conche-probe"), made)
        .await;
    lock(&host.wire, DEADLINE).await;
    let tries = format!("$JS.API.CONSUMER.CREATE.{EVENTS}.{LOCK}");
    let mut tries = host.wire.listen(&tries).await;
    let policy = format!("[limits]\nconcurrency = 1\n{LISTENS_TO_LATE}");
    std::fs::write(host.dir.path().join("probe.toml"), policy).unwrap();
    // It has seen that the stream is another, and cannot make its consumer fit.
    tries.next().await;
    let mut words = host
        .wire
        .listen(&format!("$JS.ACK.{EVENTS}.conche-probe.1.2.>"))
        .await;
    host.publish("org.cyverse.events.First", "{}").await;
    host.publish(DO, REPORT).await;
    let answer = event("cyverse.test.Hold", "{}").to_structured().unwrap();
    client
        .publish(asked.reply.unwrap(), answer.body)
        .await
        .unwrap();
    let word = words.next().await;
    assert!(word.body.starts_with(b"-NAK"), "{:?}", word.body);
    host.wire
        .api(&format!("CONSUMER.DELETE.{EVENTS}.{LOCK}"), json!({}))
        .await;
    let grown = json!([DO, LATE]);
    until(&host.wire, |info| {
        info["config"]["filter_subjects"] == grown
    })
    .await;
    host.publish(DO, REPORT).await;
    host.stored(DONE, 1).await;
}
