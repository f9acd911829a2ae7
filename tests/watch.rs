//! Reading along in the event stream, on a real nats-server and on the embedded bus.

use conche::config::Config;
use conche::embedded::Bus;
use conche::envelope::{Attribute, headers};
use conche::host::embedded_bus;
use conche::nats::Nats;
use conche::outbound::Outbound;
use conche::outbound::watch::{Interest, Tap, Watch};
use conche::shutdown::Shutdown;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::server::NatsServer;
use crate::support::{DEADLINE, On, Wire, event, on_both, resolve};

const EVENTS: &str = "conche-events";
const A: &str = "org.cyverse.events.A";
const B: &str = "org.cyverse.events.B";

on_both! {
    types_and_transaction_ids_choose,
    the_envelope_counts_not_the_subject,
    once_is_once,
    what_was_removed_hears_nothing,
    what_was_published_before_is_not_seen,
    a_duplicate_is_seen_once,
}

/// A watch without a host.
struct Watched {
    watch: Watch,
    wire: Wire,
    server: Option<NatsServer>,
    tasks: Shutdown,
}

impl Watched {
    async fn on(on: On) -> Watched {
        Watched::with((on == On::Nats).then(NatsServer::start), "").await
    }

    async fn with(server: Option<NatsServer>, config: &str) -> Watched {
        let dir = tempfile::tempdir().unwrap();
        let url = server.as_ref().map(NatsServer::url);
        let config = resolve(dir.path(), url.as_deref(), config);
        let tasks = Shutdown::default();
        let (outbound, wire) = match &url {
            Some(url) => (connect(&config, &tasks).await, Wire::connect(url).await),
            None => {
                let bus: Bus = embedded_bus(&config).unwrap();
                (Outbound::Embedded(bus.clone()), Wire::Bus(bus))
            }
        };
        outbound.ensure_streams(&config.events).await.unwrap();
        let attribute = config.compat.transaction_attribute.clone();
        let watch = Watch::new(outbound, EVENTS.to_owned(), attribute, &tasks, None);
        Watched {
            watch,
            wire,
            server,
            tasks,
        }
    }

    async fn tap(&self, types: &[&str], transaction_id: Option<&str>) -> Tap {
        self.watch
            .tap(interest(types, transaction_id))
            .await
            .unwrap()
    }

    /// Publishes an event whose data says `n`.
    async fn publish(&self, ty: &str, transaction_id: Option<&str>, n: u32) {
        self.publish_to(ty, ty, transaction_id, n, None).await;
    }

    async fn publish_to(
        &self,
        subject: &str,
        ty: &str,
        transaction_id: Option<&str>,
        n: u32,
        message_id: Option<&str>,
    ) {
        let mut event = event(ty, &n.to_string());
        if let Some(id) = transaction_id {
            event.set_extension("transactionid", Attribute::Text(id.to_owned()));
        }
        let mut message = event.to_structured().unwrap();
        if let Some(id) = message_id {
            message.headers.insert(headers::NATS_MSG_ID, id.to_owned());
        }
        self.wire.publish(subject, message).await.unwrap();
    }

    async fn consumers(&self) -> Vec<Value> {
        let list = self
            .wire
            .api(&format!("CONSUMER.LIST.{EVENTS}"), json!({}))
            .await;
        list["consumers"].as_array().cloned().unwrap_or_default()
    }
}

fn interest(types: &[&str], transaction_id: Option<&str>) -> Interest {
    Interest {
        types: types.iter().map(|ty| (*ty).to_owned()).collect(),
        transaction_id: transaction_id.map(str::to_owned),
        ..Interest::default()
    }
}

async fn connect(config: &Config, tasks: &Shutdown) -> Outbound {
    let this = Handle::current();
    let connected = Nats::connect(&config.nats, &config.events, "test", tasks, &this, &this);
    Outbound::Nats(connected.await.unwrap())
}

/// The numbers of the next events.
async fn numbers(tap: &mut Tap, count: usize) -> Vec<String> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let seen = timeout(DEADLINE, tap.next()).await;
        let seen = seen.unwrap_or_else(|_| panic!("only {numbers:?} of {count} came"));
        match &seen.unwrap().event.data {
            Some(conche::envelope::Payload::Json(json)) => numbers.push(json.clone()),
            other => panic!("{other:?}"),
        }
    }
    numbers
}

async fn types_and_transaction_ids_choose(on: On) {
    let watched = Watched::on(on).await;
    let mut by_type = watched.tap(&[A], None).await;
    let mut by_two_types = watched.tap(&[A, B], None).await;
    let mut by_transaction = watched.tap(&[], Some("tid-1")).await;
    let mut by_both = watched.tap(&[B], Some("tid-1")).await;
    for (n, ty, transaction_id) in [
        (1, A, None),
        (2, B, None),
        (3, A, Some("tid-1")),
        (4, B, Some("tid-2")),
        (5, B, Some("tid-1")),
        (6, A, Some("tid-1")),
        (7, B, Some("tid-1")),
    ] {
        watched.publish(ty, transaction_id, n).await;
    }
    assert_eq!(numbers(&mut by_both, 2).await, ["5", "7"]);
    assert_eq!(numbers(&mut by_transaction, 4).await, ["3", "5", "6", "7"]);
    assert_eq!(numbers(&mut by_type, 3).await, ["1", "3", "6"]);
    let all = ["1", "2", "3", "4", "5", "6", "7"];
    assert_eq!(numbers(&mut by_two_types, 7).await, all);
    assert_eq!(watched.watch.missed(), 0);
}

async fn the_envelope_counts_not_the_subject(on: On) {
    let watched = Watched::on(on).await;
    let mut tap = watched.tap(&["an illegal subject"], None).await;
    let other = "org.cyverse.events._other";
    watched
        .publish_to(other, "an illegal subject", None, 1, None)
        .await;
    watched.publish_to(other, A, None, 2, None).await;
    watched
        .publish_to(A, "an illegal subject", None, 3, None)
        .await;
    assert_eq!(numbers(&mut tap, 2).await, ["1", "3"]);
}

async fn once_is_once(on: On) {
    let watched = Watched::on(on).await;
    let (to, mut matches) = mpsc::channel(8);
    let key = watched
        .watch
        .add(interest(&[A], None), 0, true, 0, to)
        .await;
    let key = key.unwrap();
    let mut after = watched.tap(&[A], None).await;
    watched.publish(A, None, 1).await;
    watched.publish(A, None, 2).await;
    numbers(&mut after, 2).await;
    assert_eq!(matches.recv().await.unwrap().key, key);
    // Its sender is gone with it.
    assert!(matches.recv().await.is_none());
    assert!(!watched.watch.remove(key));
}

async fn what_was_removed_hears_nothing(on: On) {
    let watched = Watched::on(on).await;
    let (to, mut matches) = mpsc::channel(8);
    let key = watched
        .watch
        .add(interest(&[A], None), 0, false, 0, to)
        .await;
    let mut after = watched.tap(&[A], None).await;
    watched.publish(A, None, 1).await;
    numbers(&mut after, 1).await;
    assert!(watched.watch.remove(key.unwrap()));
    watched.publish(A, None, 2).await;
    numbers(&mut after, 1).await;
    assert!(matches.recv().await.is_some());
    assert!(matches.recv().await.is_none());
}

async fn what_was_published_before_is_not_seen(on: On) {
    let watched = Watched::on(on).await;
    watched.publish(A, None, 1).await;
    let mut tap = watched.tap(&[A], None).await;
    watched.publish(A, None, 2).await;
    assert_eq!(numbers(&mut tap, 1).await, ["2"]);
}

async fn a_duplicate_is_seen_once(on: On) {
    let watched = Watched::on(on).await;
    let mut tap = watched.tap(&[A], None).await;
    for n in 1..=3 {
        watched.publish_to(A, A, None, n, Some("same")).await;
    }
    watched.publish(A, None, 4).await;
    assert_eq!(numbers(&mut tap, 2).await, ["1", "4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_looking_leaves_no_consumer() {
    let watched = Watched::on(On::Nats).await;
    let until = async |count| {
        let until = async { while watched.consumers().await.len() != count {} };
        timeout(DEADLINE / 3, until).await.expect("consumers");
    };
    let nothing = interest(&[A], None);
    let looks = watched.watch.first_after(0, &nothing);
    tokio::select! {
        found = looks => panic!("nothing is there: {found:?}"),
        () = until(1) => {}
    }
    // It would go by itself after 30 s.
    until(0).await;
    assert!(watched.tasks.drain(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_interests_share_one_consumer_and_the_end_leaves_none() {
    let watched = Watched::on(On::Nats).await;
    assert!(watched.consumers().await.is_empty());
    let (one, two) = tokio::join!(watched.tap(&[A], None), watched.tap(&[B], Some("tid-1")));
    let consumers = watched.consumers().await;
    assert_eq!(consumers.len(), 1, "{consumers:?}");
    let config = &consumers[0]["config"];
    assert_eq!(config["ack_policy"], "none");
    assert_eq!(config["mem_storage"], true);
    assert!(config["inactive_threshold"].as_u64().unwrap() > 0);
    drop((one, two));
    assert!(watched.tasks.drain(DEADLINE).await);
    assert!(watched.consumers().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_server_loses_nothing() {
    let mut watched = Watched::on(On::Nats).await;
    let mut quiet = watched.tap(&[B], None).await;
    let mut tap = watched.tap(&[A], None).await;
    for n in 1..=3 {
        watched.publish(A, None, n).await;
    }
    assert_eq!(numbers(&mut tap, 3).await, ["1", "2", "3"]);
    let server = watched.server.as_mut().unwrap();
    server.down();
    server.up();
    let url = server.url();
    // Most of these are stored before the watch is back.
    watched.wire = Wire::connect(&url).await;
    for n in 4..=200 {
        watched.publish(A, None, n).await;
    }
    watched.publish(B, None, 201).await;
    let expected: Vec<String> = (4..=200).map(|n: u32| n.to_string()).collect();
    assert_eq!(numbers(&mut tap, expected.len()).await, expected);
    assert_eq!(numbers(&mut quiet, 1).await, ["201"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_others_delete_is_made_anew_where_it_was() {
    let watched = Watched::on(On::Nats).await;
    watched.publish(A, None, 1).await;
    let mut tap = watched.tap(&[A], None).await;
    let name = watched.consumers().await[0]["name"].clone();
    let what = format!("CONSUMER.DELETE.{EVENTS}.{}", name.as_str().unwrap());
    assert_eq!(watched.wire.api(&what, json!({})).await["success"], true);
    watched.publish(A, None, 2).await;
    assert_eq!(numbers(&mut tap, 1).await, ["2"]);
    let consumers = watched.consumers().await;
    assert_eq!(consumers.len(), 1);
    assert_ne!(consumers[0]["name"], name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_anew_is_read_from_its_beginning() {
    let watched = Watched::on(On::Nats).await;
    for n in 1..=3 {
        watched.publish(A, None, n).await;
    }
    let mut tap = watched.tap(&[A], None).await;
    // One that began at a sequence of the old stream, which the new one has not come to.
    let (to, mut late) = mpsc::channel(8);
    let after = watched.watch.last_sequence().await.unwrap();
    assert_eq!(after, 3);
    let key = watched.watch.add(interest(&[A], None), after, true, 7, to);
    key.await.unwrap();
    watched
        .wire
        .api(&format!("STREAM.DELETE.{EVENTS}"), json!({}))
        .await;
    let stream = json!({"name": EVENTS, "subjects": ["org.cyverse.events.>"]});
    watched
        .wire
        .api(&format!("STREAM.CREATE.{EVENTS}"), stream)
        .await;
    watched.publish(A, None, 4).await;
    assert_eq!(numbers(&mut tap, 1).await, ["4"]);
    let heard = timeout(DEADLINE, late.recv()).await;
    assert_eq!(heard.unwrap().unwrap().tag, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stream_it_says_so() {
    let watched = Watched::on(On::Nats).await;
    watched
        .wire
        .api(&format!("STREAM.DELETE.{EVENTS}"), json!({}))
        .await;
    let error = watched.watch.tap(interest(&[A], None)).await.unwrap_err();
    let text = "cannot read stream `conche-events`: stream not found (10059)";
    assert_eq!(error.to_string(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_whose_word_is_denied_reads_on() {
    let server = NatsServer::configured(
        "jetstream { store_dir: \"DIR/js\" }\nauthorization { users = [\n\
         { user: \"conche\", password: \"p\", permissions: { publish: { deny: \"$JS.FC.>\" } } }\n\
         { user: \"test\", password: \"p\" }\n] }\nno_auth_user: test\n",
    );
    let config = "[nats.auth]\nuser = \"conche\"\npassword = \"p\"";
    let watched = Watched::with(Some(server), config).await;
    let mut tap = watched.tap(&[A], None).await;
    // More than the server sends before it wants to hear that it may go on.
    let large = format!("\"{}\"", "x".repeat(200_000));
    for _ in 0..16 {
        let message = event(A, &large).to_structured().unwrap();
        watched.wire.publish(A, message).await.unwrap();
    }
    assert_eq!(numbers(&mut tap, 16).await.len(), 16);
}
