//! What only a real server can show of events: consumers that grow, full dead-letter streams, what
//! others made before.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::support::server::NatsServer;
use crate::support::{DEADLINE, On, Setup, TestHost, event, guest};

const EVENTS: &str = "conche-events";
const DEAD: &str = "conche-events-dlq";
const DO: &str = "org.cyverse.events.probe.Do";
const DONE: &str = "org.cyverse.events.probe.Done";
const REPORT: &str = r#"{"report":true,"steps":[]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_added_type_is_for_what_comes_later() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let late = "org.cyverse.events.probe.Late";
    host.publish(late, REPORT).await;
    let policy = format!("[config]\ntypes = \"{late}\"\n");
    std::fs::write(host.dir.path().join("probe.toml"), policy).unwrap();
    let grown = async {
        loop {
            let what = format!("CONSUMER.INFO.{EVENTS}.conche-probe");
            let info = host.wire.api(&what, json!({})).await;
            if info["config"]["filter_subjects"] == json!([DO, late]) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, grown).await.unwrap();
    let second = host.publish(late, REPORT).await;
    let done = host.wire.wait_for(EVENTS, DONE, 1).await;
    let body = String::from_utf8_lossy(&done[0].message.body).into_owned();
    // The report's subject is the id of what it reports on.
    assert!(body.contains(&second.id), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_no_longer_listened_to_is_dead_lettered() {
    let host = TestHost::on(On::Nats, &[], "").await;
    let late = "org.cyverse.events.probe.Late";
    let policy = host.dir.path().join("probe.toml");
    std::fs::write(&policy, format!("[config]\ntypes = \"{late}\"\n")).unwrap();
    std::fs::copy(guest("probe"), host.dir.path().join("probe.wasm")).unwrap();
    host.ask_until("cyverse.probe.Echo", "1", |_| true).await;
    std::fs::write(&policy, "[config]\nother = \"\"\n").unwrap();
    host.ask_until("cyverse.probe.Context", "{}", |answer| {
        answer.contains("other")
    })
    .await;
    host.publish(late, REPORT).await;
    let letters = host.wire.wait_for(DEAD, "conche.dlq.>", 1).await;
    let reason = letters[0].message.headers.get("Conche-Dlq-Reason").unwrap();
    assert!(reason.starts_with("unlistened: "), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_dead_letter_stream_stops_the_plugin_and_drops_nothing() {
    let server = NatsServer::start();
    let client = crate::support::Wire::connect(&server.url()).await;
    let subjects = [
        "conche.dlq.conche-events.>",
        "conche.redrive.conche-events.>",
    ];
    let full = json!({"name": DEAD, "subjects": subjects, "storage": "memory", "max_msgs": 1, "discard": "new"});
    client.api(&format!("STREAM.CREATE.{DEAD}"), full).await;
    let host = TestHost::with_server(Some(server), &["probe"], "").await;
    let reject = r#"{"steps":[{"reject":{"code":400,"message":"never"}}]}"#;
    host.publish(DO, reject).await;
    host.wire.wait_for(DEAD, "conche.dlq.>", 1).await;
    host.publish(DO, reject).await;
    let waits = async {
        loop {
            let what = format!("CONSUMER.INFO.{EVENTS}.conche-probe");
            let info = host.wire.api(&what, json!({})).await;
            if info["num_ack_pending"] == 1 && info["delivered"]["stream_seq"] == 2 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waits).await.unwrap();
    client.api(&format!("STREAM.PURGE.{DEAD}"), json!({})).await;
    let letters = host.wire.wait_for(DEAD, "conche.dlq.>", 1).await;
    assert!(
        letters[0].subject.ends_with(".2"),
        "{:?}",
        letters[0].subject
    );
    host.publish(DO, REPORT).await;
    host.wire.wait_for(EVENTS, DONE, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_does_not_age_while_the_plugin_stands_still() {
    let server = NatsServer::start();
    let client = crate::support::Wire::connect(&server.url()).await;
    let subjects = [
        "conche.dlq.conche-events.>",
        "conche.redrive.conche-events.>",
    ];
    let full = json!({"name": DEAD, "subjects": subjects, "max_msgs": 1, "discard": "new"});
    client.api(&format!("STREAM.CREATE.{DEAD}"), full).await;
    let filler = event("a.b", "{}").to_structured().unwrap();
    let taken = client.publish("conche.dlq.conche-events.filler", filler);
    taken.await.unwrap();
    let config = "[events]\nack_wait = \"1s\"";
    let host = TestHost::with_server(Some(server), &["probe"], config).await;
    // Never acknowledged here: shows when the ack wait is over.
    let witness = json!({"stream_name": EVENTS, "config": {"durable_name": "witness",
        "ack_policy": "explicit", "ack_wait": 1_000_000_000, "deliver_subject": "witness",
        "filter_subject": DO, "deliver_policy": "new"}});
    let _reader = host.wire.nats().subscribe("witness").await.unwrap();
    let what = format!("CONSUMER.DURABLE.CREATE.{EVENTS}.witness");
    host.wire.api(&what, witness).await;
    let reject = r#"{"steps":[{"reject":{"code":400,"message":"never"}}]}"#;
    host.publish(DO, reject).await;
    host.stands_still("probe").await;
    // One at a time: what is not there yet when the first is read is asked for all the same.
    for _ in 0..20 {
        host.publish(DO, REPORT).await;
    }
    let info = async |durable| {
        let what = format!("CONSUMER.INFO.{EVENTS}.{durable}");
        host.wire.api(&what, json!({})).await
    };
    let waited = async {
        while info("witness").await["num_redelivered"] != 21 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waited).await.unwrap();
    assert_eq!(info("conche-probe").await["num_redelivered"], 0);
    client.api(&format!("STREAM.PURGE.{DEAD}"), json!({})).await;
    for done in host.stored(DONE, 20).await {
        let body = String::from_utf8_lossy(&done.message.body).into_owned();
        assert!(body.contains(r#""attempt":1"#), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_where_effects_go_uses_up_no_attempts() {
    let host = TestHost::with(Setup {
        guests: &["probe"],
        policies: &[(
            "probe",
            "[grants]\nemit = [\"org.>\"]\n[retry]\nmax-attempts = 1\nfirst = \"1ms\"\n",
        )],
        server: Some(NatsServer::start()),
        ..Setup::default()
    })
    .await;
    let small =
        json!({"name": "AUDIT", "subjects": ["org.audit.>"], "max_msgs": 1, "discard": "new"});
    host.wire.api("STREAM.CREATE.AUDIT", small).await;
    let script = r#"{"steps":[{"emit":{"type":"org.audit.Seen"}}]}"#;
    host.publish(DO, script).await;
    host.wire.wait_for("AUDIT", "org.audit.>", 1).await;
    let second = host.publish(DO, script).await;
    let retried = "conche_events_total{plugin=\"probe\",outcome=\"retried\"}";
    host.counted(retried, 5.0).await;
    host.wire.api("STREAM.PURGE.AUDIT", json!({})).await;
    let stored = host.wire.wait_for("AUDIT", "org.audit.>", 1).await;
    let cause = stored[0].message.headers.get("Conche-Cause").unwrap();
    assert!(
        cause.starts_with("conche-events/2/"),
        "{cause} {}",
        second.id
    );
    assert!(host.wire.messages(DEAD, "conche.dlq.>").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_handler_is_not_delivered_twice() {
    let host = TestHost::on(On::Nats, &["probe"], "[events]\nack_wait = \"1s\"").await;
    let script = r#"{"report":true,"steps":[{"sleep":{"ms":2500}}]}"#;
    host.publish(DO, script).await;
    let done = host.wire.wait_for(EVENTS, DONE, 1).await;
    let body = String::from_utf8_lossy(&done[0].message.body).into_owned();
    assert!(body.contains(r#""calls":1"#), "{body}");
    let what = format!("CONSUMER.INFO.{EVENTS}.conche-probe");
    let info = host.wire.api(&what, json!({})).await;
    assert_eq!(info["num_redelivered"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_for_the_events_own_stream_keep_no_letter_out() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let reject = r#"{"steps":[{"reject":{"code":400,"message":"never"}}]}"#;
    let mut message = event(DO, reject).to_structured().unwrap();
    message
        .headers
        .insert("Nats-Expected-Stream", "conche-events");
    message.headers.insert("Nats-Expected-Last-Sequence", "0");
    host.wire.publish(DO, message).await.unwrap();
    let letters = host.dead_letters(1).await;
    let aside = letters[0]
        .message
        .headers
        .get("Conche-Dlq-Nats-Expected-Stream");
    assert_eq!(aside, Some("conche-events"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_cannot_be_sent_again_keeps_no_letter_out() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let head = "NATS/1.0\r\n: x\r\n\r\n";
    let body = "no event";
    let (size, total) = (head.len(), head.len() + body.len());
    let text = format!(
        "CONNECT {{\"headers\":true,\"verbose\":false}}\r\nHPUB {DO} {size} {total}\r\n{head}{body}\r\nPING\r\n"
    );
    let address = host.server.as_ref().unwrap().address();
    let mut raw = tokio::net::TcpStream::connect(address).await.unwrap();
    raw.write_all(text.as_bytes()).await.unwrap();
    let letters = host.dead_letters(2).await;
    assert_eq!(
        letters[0].message.body,
        format!("{head}{body}").into_bytes()
    );
    let chunks = letters[1].message.headers.get("Conche-Dlq-Chunks");
    assert_eq!(chunks, Some("1"));
    host.publish(DO, REPORT).await;
    host.stored(DONE, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_reason_ends_its_delivery_all_the_same() {
    let host = TestHost::with(Setup {
        guests: &["hostile"],
        policies: &[("hostile", "[retry]\nmax-attempts = 1\n")],
        server: Some(NatsServer::start()),
        config: "[events]\nack_wait = \"1s\"\n",
        ..Setup::default()
    })
    .await;
    // A fault 500 asks for a retry, and there is none.
    let ty = "org.cyverse.events.hostile.BigFault";
    host.publish(ty, r#"{"bytes":1100000}"#).await;
    host.dead_letters(1).await;
    let what = format!("CONSUMER.INFO.{EVENTS}.conche-hostile");
    let ended = async {
        while host.wire.api(&what, json!({})).await["num_ack_pending"] != 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, ended).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_a_stream_made_anew_is_not_taken_for_the_old_one() {
    let host = TestHost::with(Setup {
        guests: &["probe"],
        policies: &[("probe", "[events]\nstart = \"all\"\n")],
        server: Some(NatsServer::start()),
        ..Setup::default()
    })
    .await;
    let reject = r#"{"steps":[{"reject":{"code":400,"message":"never"}}]}"#;
    host.publish(DO, reject).await;
    host.dead_letters(1).await;
    // Sequences begin at 1 again, and the letter of the old 1 is still there.
    host.wire
        .api(&format!("STREAM.DELETE.{EVENTS}"), json!({}))
        .await;
    let stream = json!({"name": EVENTS, "subjects": ["org.cyverse.events.>"]});
    host.wire
        .api(&format!("STREAM.CREATE.{EVENTS}"), stream)
        .await;
    host.publish(DO, reject).await;
    host.stands_still("probe").await;
    host.wire
        .api(&format!("STREAM.PURGE.{DEAD}"), json!({}))
        .await;
    host.dead_letters(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_made_for_all_by_others_keeps_its_backlog() {
    let server = NatsServer::start();
    let client = crate::support::Wire::connect(&server.url()).await;
    let stream = json!({"name": EVENTS, "subjects": ["org.cyverse.events.>"], "storage": "file"});
    client.api(&format!("STREAM.CREATE.{EVENTS}"), stream).await;
    let consumer = json!({"stream_name": EVENTS, "config": {
        "durable_name": "conche-probe", "ack_policy": "explicit", "ack_wait": 30_000_000_000_u64}});
    let what = format!("CONSUMER.CREATE.{EVENTS}.conche-probe");
    client.api(&what, consumer).await;
    let earlier = event(DO, REPORT).to_structured().unwrap();
    client.publish(DO, earlier).await.unwrap();
    let host = TestHost::with_server(Some(server), &["probe"], "").await;
    host.stored(DONE, 1).await;
    let what = format!("CONSUMER.INFO.{EVENTS}.conche-probe");
    let info = host.wire.api(&what, json!({})).await;
    assert_eq!(info["config"]["ack_wait"], 60_000_000_000_u64);
    assert_eq!(
        info["config"]["filter_subjects"],
        json!(["org.cyverse.events.>"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_consumer_is_made_anew() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    let what = format!("CONSUMER.DELETE.{EVENTS}.conche-probe");
    host.wire.api(&what, json!({})).await;
    let made = async {
        loop {
            let what = format!("CONSUMER.INFO.{EVENTS}.conche-probe");
            let info = host.wire.api(&what, json!({})).await;
            if info["num_waiting"].as_u64().unwrap_or(0) > 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, made).await.unwrap();
    host.publish(DO, REPORT).await;
    host.wire.wait_for(EVENTS, DONE, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_types_may_share_one_subject() {
    let config = "[compat]\nevent_subject = \"org.cyverse.events.all\"";
    let host = TestHost::on(On::Nats, &["probe", "auditor"], config).await;
    let script = event(DO, r#"{"report":true,"steps":[]}"#);
    let message = script.to_structured().unwrap();
    let all = "org.cyverse.events.all";
    host.wire.publish(all, message).await.unwrap();
    let both = host.wire.wait_for(EVENTS, all, 2).await;
    let body = String::from_utf8_lossy(&both[1].message.body).into_owned();
    assert!(body.contains(DONE), "{body}");
    assert!(host.wire.messages(DEAD, "conche.dlq.>").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_types_may_come_on_several_subjects_and_go_to_the_first() {
    let (new, old) = ("org.cyverse.events.new", "org.cyverse.events.old");
    let config = format!("[compat]\nevent_subject = [\"{new}\", \"{old}\"]");
    let host = TestHost::on(On::Nats, &["probe"], &config).await;
    let what = format!("CONSUMER.INFO.{EVENTS}.conche-probe");
    for subject in [old, new] {
        let script = event(DO, REPORT).to_structured().unwrap();
        host.wire.publish(subject, script).await.unwrap();
    }
    // Both were run, and both reports went to the first.
    host.wire.wait_for(EVENTS, new, 3).await;
    assert_eq!(host.wire.messages(EVENTS, old).await.len(), 1);
    let info = host.wire.api(&what, json!({})).await;
    assert_eq!(info["config"]["filter_subjects"], json!([new, old]));
    assert!(host.wire.messages(DEAD, "conche.dlq.>").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_gets_the_types_that_the_plugin_names_nowhere() {
    let policy = "[grants]\nemit = \"org.>\"\nany-event = true\n[config]\nany-event = \"true\"\n";
    let host = TestHost::with(Setup {
        guests: &["probe"],
        policies: &[("probe", policy)],
        server: Some(NatsServer::start()),
        ..Setup::default()
    })
    .await;
    // Its own report is another such event, which asks for nothing and so is a dead letter.
    let unnamed = host.publish("org.cyverse.events.Unnamed", REPORT).await;
    let done = host.wire.wait_for(EVENTS, DONE, 1).await;
    let body = String::from_utf8_lossy(&done[0].message.body).into_owned();
    assert!(body.contains(&unnamed.id), "{body}");
}

/// Each time it is there again, and something was pulled: the waits begin anew. Else they would double
/// until an event waits for half a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_goes_again_and_again_is_made_anew_at_once() {
    let host = TestHost::on(On::Nats, &["probe"], "").await;
    for times in 1..=8 {
        let what = format!("CONSUMER.DELETE.{EVENTS}.conche-probe");
        host.wire.api(&what, json!({})).await;
        host.publish(DO, REPORT).await;
        host.stored(DONE, times).await;
    }
}
