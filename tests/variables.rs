//! The variables of the old package, each seen to do something on the wire. What they resolve to,
//! and what -1 means, is with the configuration itself.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use conche::config::{Config, Flags, Inputs, Machine, Mode};
use conche::envelope::{CloudEvent, Fault};
use conche::host::{Host, Runtimes};
use conche::settings::Lookups;
use futures_util::StreamExt as _;
use serde_json::json;
use tempfile::TempDir;

use crate::support::server::NatsServer;
use crate::support::{DEADLINE, On, TestHost, Wire, event, guest};

const ECHO: &str = "cyverse.probe.Echo";
const GRANTS: &str = "[plugins.default.grants]\nemit = \"org.>\"\nrequest = \"cyverse.>\"\n";

/// Below the default of 10 s, above the second that is set.
const BEFORE_THE_DEFAULT: Duration = Duration::from_secs(9);

/// A host that knows its server, and all else, from variables.
struct Started {
    host: Host,
    wire: Wire,
    server: NatsServer,
    _dir: TempDir,
}

async fn start(guests: &[&str], variables: &[(&str, &str)]) -> Started {
    let server = NatsServer::start();
    let url = server.url();
    let dir = tempfile::tempdir().unwrap();
    for name in guests {
        std::fs::copy(guest(name), dir.path().join(format!("{name}.wasm"))).unwrap();
    }
    let flags = Flags {
        plugins: Some(dir.path().to_owned()),
        health_listen: Some("off".to_owned()),
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")),
        ..Flags::default()
    };
    let env = |name: &str| match variables.iter().find(|(known, _)| *known == name) {
        Some((_, value)) => Some((*value).to_owned()),
        None => (name == "NATS_URL").then(|| url.clone()),
    };
    let file = |path: &Path| std::fs::read_to_string(path);
    let config = Config::resolve(Inputs {
        mode: Mode::Run,
        flags: &flags,
        file: Some(("conche.toml", GRANTS)),
        lookups: Lookups {
            env: &env,
            file: &file,
        },
        machine: &Machine::this(),
    });
    let host = Host::start(config.unwrap(), &Runtimes::one()).await;
    Started {
        host: host.unwrap(),
        wire: Wire::connect(&url).await,
        server,
        _dir: dir,
    }
}

impl Started {
    async fn ask(&self, op: &str, json: &str) -> conche::envelope::Message {
        let query = event(op, json).to_structured().unwrap();
        self.wire.request(op, query, DEADLINE).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_group_is_shared_with_the_services_in_it() {
    let started = start(&["probe"], &[("NATS_QUEUE_GROUP", "users")]).await;
    let client = started.wire.nats().clone();
    let mut queries = client
        .queue_subscribe(ECHO, "users".to_owned())
        .await
        .unwrap();
    client.flush().await.unwrap();
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    let service = tokio::spawn(async move {
        while let Some(query) = queries.next().await {
            count.fetch_add(1, Ordering::Relaxed);
            let answer = client.publish(query.reply.unwrap(), query.payload).await;
            answer.unwrap();
        }
    });
    for _ in 0..100 {
        started.ask(ECHO, "1").await;
    }
    // In a group of its own it would have got all of them, as well as the host.
    let served = served.load(Ordering::Relaxed);
    assert!((1..100).contains(&served), "{served}");
    service.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wildcard_subject_is_what_ops_must_match() {
    let variables = [("NATS_WILDCARD_SUBJECT", "cyverse.probe.>")];
    let started = start(&["probe", "greeter"], &variables).await;
    started.ask(ECHO, "1").await;
    let report = started.host.report();
    let report = report.borrow();
    let refused: Vec<_> = report.refused().collect();
    let (name, reason) = refused.first().unwrap();
    assert_eq!((name.as_str(), refused.len()), ("greeter", 1));
    assert!(
        reason.contains("outside the namespace `cyverse.probe.>`"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_id_is_in_the_source_and_the_durable_name_in_the_consumers() {
    let variables = [
        ("NATS_CLIENT_ID", "users-7"),
        ("NATS_DURABLE_NAME", "users-durable"),
    ];
    let started = start(&["probe"], &variables).await;
    let answer = CloudEvent::decode(&started.ask(ECHO, "1").await).unwrap();
    assert_eq!(answer.source, "/conche/users-7/probe");
    let names = async {
        loop {
            let names = started.wire.api("CONSUMER.NAMES.conche-events", json!({}));
            let names = names.await["consumers"].take();
            if names != json!([]) {
                return names;
            }
            tokio::task::yield_now().await;
        }
    };
    let names = tokio::time::timeout(DEADLINE, names).await.unwrap();
    assert_eq!(names, json!(["users-durable-probe"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn reconnects_end_after_that_many() {
    let variables = [("NATS_MAX_RECONNECTS", "2"), ("NATS_RECONNECT_WAIT", "1")];
    let mut started = start(&[], &variables).await;
    started.server.down();
    // Unset, it would go on for ever.
    let gave_up = tokio::time::timeout(DEADLINE, started.host.gave_up()).await;
    gave_up.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_timeout_is_that_of_a_query_without_one() {
    let started = start(&["probe"], &[("NATS_REQUEST_TIMEOUT", "2")]).await;
    let client = started.wire.nats();
    let mut queries = client.subscribe("cyverse.other.Op").await.unwrap();
    client.flush().await.unwrap();
    let ask = event("cyverse.probe.Ask", r#"{"op":"cyverse.other.Op"}"#);
    let ask = ask.to_structured().unwrap();
    let asked = started.wire.request("cyverse.probe.Ask", ask, DEADLINE);
    let query = async { queries.next().await.unwrap() };
    let (answer, query) = tokio::join!(asked, query);
    // What it is told it may take: by default 5 s, and less only if the call has less left.
    let headers = query.headers.unwrap();
    assert_eq!(headers.get("Conche-Timeout-Ms").unwrap().as_str(), "2000");
    let answer = String::from_utf8_lossy(&answer.unwrap().body).into_owned();
    assert!(answer.contains("timed"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_timeout_is_that_of_a_publish() {
    let started = start(&["probe"], &[("NATS_EVENTS_TIMEOUT", "1")]).await;
    // Somebody listens, and nobody acknowledges.
    let what = "STREAM.DELETE.conche-events";
    started.wire.api(what, serde_json::json!({})).await;
    let client = started.wire.nats();
    let ty = "org.cyverse.events.Seen";
    let _silent = client.subscribe(ty).await.unwrap();
    client.flush().await.unwrap();
    let emit = r#"{"steps":[{"emit":{"type":"org.cyverse.events.Seen"}}]}"#;
    let asked = started.ask("cyverse.probe.Do", emit);
    let answer = tokio::time::timeout(BEFORE_THE_DEFAULT, asked).await;
    let fault = Fault::from_message(&answer.unwrap()).unwrap();
    assert_eq!(fault.code, 503, "{fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transaction_id_is_in_the_attribute_that_is_configured() {
    let config = "[compat]\ntransaction_attribute = \"tid\"";
    let host = TestHost::on(On::Nats, &["probe"], config).await;
    let mut query = event(ECHO, "1").to_structured().unwrap();
    let body = String::from_utf8_lossy(&query.body).into_owned();
    query.body = body.replacen('{', r#"{"tid":"tid-7","#, 1).into();
    let answer = host.wire.request(ECHO, query, DEADLINE).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["tid"], "tid-7");
    let op = "cyverse.probe.Context";
    let mut query = event(op, "1").to_structured().unwrap();
    let body = String::from_utf8_lossy(&query.body).into_owned();
    query.body = body.replacen('{', r#"{"tid":"tid-8","#, 1).into();
    let answer = host.wire.request(op, query, DEADLINE).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["data"]["transaction_id"], "tid-8", "{answer}");
}
