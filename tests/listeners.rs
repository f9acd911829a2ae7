//! Listeners of the client library, on a real nats-server and on the embedded bus.

use std::sync::Arc;

use conche::client::{ClientError, EventSource, Seen};
use conche::config::Config;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::Connected;
use crate::support::server::NatsServer;
use crate::support::{DEADLINE, On, Wire, on_both};

const A: &str = "org.cyverse.events.A";
const B: &str = "org.cyverse.events.B";
const EVENTS: &str = "conche-events";

on_both! {
    types_and_transaction_ids_choose_and_may_be_any,
    once_is_called_once,
    what_was_removed_is_not_called,
    a_slow_listener_delays_no_other,
    a_callback_that_panics_is_called_for_the_next,
    the_end_hands_over_what_is_there,
}

/// Where a callback sends the numbers that it hears.
fn numbers() -> (
    impl Fn(Arc<Seen>) -> std::future::Ready<()> + Send + Sync + 'static,
    mpsc::UnboundedReceiver<u64>,
) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let callback = move |seen: Arc<Seen>| {
        let _test_is_over = sender.send(seen.event.data_as().unwrap());
        std::future::ready(())
    };
    (callback, receiver)
}

async fn next(numbers: &mut mpsc::UnboundedReceiver<u64>) -> Option<u64> {
    let next = tokio::time::timeout(DEADLINE, numbers.recv()).await;
    next.expect("nothing came")
}

async fn types_and_transaction_ids_choose_and_may_be_any(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let source = EventSource::of(client);
    let (callback, mut by_type) = numbers();
    source.add_listener(A, "", callback).await.unwrap();
    let (callback, mut by_transaction) = numbers();
    source.add_listener("", "tid-1", callback).await.unwrap();
    let (callback, mut by_both) = numbers();
    let both = source.add_listener_multi(&[A, B], "tid-1", callback).await;
    both.unwrap();
    for (n, ty, transaction_id) in [(1, A, "tid-2"), (2, B, "tid-1"), (3, A, "tid-1")] {
        client
            .publish_with_transaction_id(ty, transaction_id, &n)
            .await
            .unwrap();
    }
    client.publish("org.cyverse.events.C", &4).await.unwrap();
    let check = async |numbers: &mut mpsc::UnboundedReceiver<u64>, expected: [u64; 2]| {
        let heard = [next(numbers).await.unwrap(), next(numbers).await.unwrap()];
        assert_eq!(heard, expected);
    };
    check(&mut by_type, [1, 3]).await;
    check(&mut by_transaction, [2, 3]).await;
    check(&mut by_both, [2, 3]).await;
    for types in [&[][..], &[""], &["", A]] {
        let (callback, _) = numbers();
        let error = source.add_listener_multi(types, "", callback).await;
        assert!(matches!(error, Err(ClientError::Invalid(_))), "{types:?}");
    }
}

async fn once_is_called_once(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let source = EventSource::of(client);
    let (callback, mut heard) = numbers();
    let id = source.once(A, "", callback).await.unwrap();
    let (callback, mut after) = numbers();
    source.add_listener(A, "", callback).await.unwrap();
    client.publish(A, &1).await.unwrap();
    client.publish(A, &2).await.unwrap();
    assert_eq!(
        (next(&mut after).await, next(&mut after).await),
        (Some(1), Some(2))
    );
    assert_eq!(next(&mut heard).await, Some(1));
    // Its callback is gone, and with it the sender.
    assert_eq!(next(&mut heard).await, None);
    assert!(!source.remove_listener(id));
}

async fn what_was_removed_is_not_called(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let source = EventSource::of(client);
    let (callback, mut heard) = numbers();
    let id = source.add_listener(A, "", callback).await.unwrap();
    let (callback, mut after) = numbers();
    source.add_listener(A, "", callback).await.unwrap();
    client.publish(A, &1).await.unwrap();
    assert_eq!(next(&mut heard).await, Some(1));
    assert!(source.remove_listener(id) && !source.remove_listener(id));
    client.publish(A, &2).await.unwrap();
    assert_eq!(
        (next(&mut after).await, next(&mut after).await),
        (Some(1), Some(2))
    );
    assert_eq!(next(&mut heard).await, None);
    let (callback, _) = numbers();
    let never = source.once(A, "", callback).await.unwrap();
    assert!(source.remove_listener(never));
}

async fn a_slow_listener_delays_no_other(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let source = EventSource::of(client);
    let slow = |_| std::future::pending();
    source.add_listener(A, "", slow).await.unwrap();
    let (callback, mut heard) = numbers();
    source.add_listener(A, "", callback).await.unwrap();
    for n in 1..=50 {
        client.publish(A, &n).await.unwrap();
    }
    for n in 1..=50 {
        assert_eq!(next(&mut heard).await, Some(n));
    }
}

async fn a_callback_that_panics_is_called_for_the_next(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let source = EventSource::of(client);
    let (callback, mut heard) = numbers();
    let picky = move |seen: Arc<Seen>| {
        assert_ne!(seen.event.data_as::<u64>().unwrap(), 1, "at once");
        let called = callback(seen.clone());
        async move {
            assert_ne!(seen.event.data_as::<u64>().unwrap(), 2, "later");
            called.await;
        }
    };
    let id = source.add_listener(A, "", picky).await.unwrap();
    for n in 1..=3 {
        client.publish(A, &n).await.unwrap();
    }
    assert_eq!(
        (next(&mut heard).await, next(&mut heard).await),
        (Some(2), Some(3))
    );
    assert!(source.remove_listener(id));
}

async fn the_end_hands_over_what_is_there(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let source = EventSource::of(client);
    let (go, goes) = tokio::sync::watch::channel(false);
    let (told, mut tells) = mpsc::unbounded_channel();
    let callback = move |seen: Arc<Seen>| {
        let (mut goes, told) = (goes.clone(), told.clone());
        async move {
            goes.wait_for(|goes| *goes).await.unwrap();
            told.send(seen.event.data_as().unwrap()).unwrap();
        }
    };
    source.add_listener(A, "", callback).await.unwrap();
    let (callback, mut heard) = numbers();
    source.add_listener(A, "", callback).await.unwrap();
    client.publish(A, &1).await.unwrap();
    client.publish(A, &2).await.unwrap();
    // What one has heard is there for the other.
    assert_eq!(
        (next(&mut heard).await, next(&mut heard).await),
        (Some(1), Some(2))
    );
    let ending = source.clone();
    let ending = tokio::spawn(async move { ending.disconnect().await });
    while source.once(B, "", |_| async {}).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go.send(true).unwrap();
    assert!(ending.await.unwrap());
    assert_eq!(
        (next(&mut tells).await, next(&mut tells).await),
        (Some(1), Some(2))
    );
    assert_eq!(next(&mut tells).await, None);
    // The client is its owner's.
    client.publish(A, &3).await.unwrap();
}

/// A server that takes two connections: the test's, and one more.
async fn crowded() -> (NatsServer, Wire, Config) {
    let server =
        NatsServer::configured("jetstream { store_dir: \"DIR/js\" }\nmax_connections: 2\n");
    let wire = Wire::connect(&server.url()).await;
    let stream = json!({"name": EVENTS, "subjects": ["org.cyverse.events.>"]});
    wire.api(&format!("STREAM.CREATE.{EVENTS}"), stream).await;
    let mut config = Config::default();
    config.nats.urls = vec![server.url()];
    (server, wire, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_connected_from_its_first_listener_to_its_last() {
    let (server, wire, config) = crowded().await;
    let source = EventSource::new(config);
    let fits = async || async_nats::connect(server.url()).await.is_ok();
    assert!(fits().await, "connected without a listener");
    let until_it_fits = async || {
        let fitting = async {
            while !fits().await {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, fitting).await;
        waited.expect("it never disconnected");
    };
    for _ in 0..2 {
        until_it_fits().await;
        let (callback, mut heard) = numbers();
        let (a, b) = tokio::join!(
            source.add_listener(A, "", callback),
            source.add_listener(B, "", |_| async {})
        );
        assert!(!fits().await, "no connection, or two");
        let consumers = wire
            .api(&format!("CONSUMER.LIST.{EVENTS}"), json!({}))
            .await;
        assert_eq!(consumers["consumers"].as_array().map(Vec::len), Some(1));
        let event = crate::support::event(A, "1").to_structured().unwrap();
        wire.publish(A, event).await.unwrap();
        assert_eq!(next(&mut heard).await, Some(1));
        assert!(source.remove_listener(b.unwrap()));
        assert!(!fits().await, "disconnected with a listener");
        assert!(source.remove_listener(a.unwrap()));
        until_it_fits().await;
        let consumers = wire
            .api(&format!("CONSUMER.LIST.{EVENTS}"), json!({}))
            .await;
        let none = consumers["consumers"].as_array().is_none_or(Vec::is_empty);
        assert!(none, "{consumers}");
    }
    // One that is called only once goes with its call.
    let (callback, mut heard) = numbers();
    source.once(A, "", callback).await.unwrap();
    assert!(!fits().await);
    let event = crate::support::event(A, "2").to_structured().unwrap();
    wire.publish(A, event).await.unwrap();
    assert_eq!(next(&mut heard).await, Some(2));
    until_it_fits().await;
    assert!(source.disconnect().await);
    let (callback, _) = numbers();
    let error = source.once(A, "", callback).await;
    assert_eq!(error.unwrap_err(), ClientError::Disconnected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_cannot_be_added_leaves_nothing() {
    let (server, wire, config) = crowded().await;
    let gone: Value = wire
        .api(&format!("STREAM.DELETE.{EVENTS}"), json!({}))
        .await;
    assert_eq!(gone["success"], true);
    let source = EventSource::new(config);
    let (callback, _) = numbers();
    let error = source.add_listener(A, "", callback).await.unwrap_err();
    let stream = EVENTS.to_owned();
    assert_eq!(error, ClientError::NoEventStream { stream });
    let fitting = async {
        while async_nats::connect(server.url()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, fitting).await.unwrap();
}
