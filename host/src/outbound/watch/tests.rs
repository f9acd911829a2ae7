//! When the reader opens and closes, on a bus with a paused clock.

use std::time::Duration;

use tokio::sync::mpsc;

use super::reader::CLOSE_AFTER;
use super::{INTERESTS_MAX, Interest, Watch};
use crate::embedded::Bus;
use crate::envelope::{CloudEvent, Message, Payload, new_id};
use crate::outbound::Outbound;
use crate::shutdown::Shutdown;

const TYPE: &str = "e.a";

fn of_type() -> Interest {
    Interest {
        types: vec![TYPE.to_owned()],
        ..Interest::default()
    }
}

fn watch(bus: &Bus, tasks: &Shutdown) -> Watch {
    let outbound = Outbound::Embedded(bus.clone());
    let attribute = "transactionid".to_owned();
    Watch::new(outbound, "s".to_owned(), attribute, tasks, None)
}

fn bus() -> Bus {
    let bus = Bus::default();
    bus.create_stream("s", &["e.>".parse().unwrap()]).unwrap();
    bus
}

async fn publish(bus: &Bus) {
    let event = CloudEvent {
        id: new_id(),
        source: "/test".to_owned(),
        ty: TYPE.to_owned(),
        data: Some(Payload::Json("{}".to_owned())),
        ..CloudEvent::default()
    };
    let message = event.to_structured().unwrap();
    bus.publish(TYPE, message, None).await.unwrap();
}

fn reads(watch: &Watch) -> bool {
    watch.inner.state().reader.is_some()
}

#[tokio::test(start_paused = true)]
async fn it_closes_a_while_after_the_last_interest_and_opens_again() {
    let (bus, tasks) = (bus(), Shutdown::default());
    let watch = watch(&bus, &tasks);
    assert!(!reads(&watch));
    let tap = watch.tap(of_type()).await.unwrap();
    tokio::time::advance(CLOSE_AFTER * 3).await;
    let (to, mut matches) = mpsc::channel(4);
    watch.add(of_type(), 0, true, 0, to).await.unwrap();
    drop(tap);
    assert!(reads(&watch));
    // The last one goes by matching.
    publish(&bus).await;
    matches.recv().await.unwrap();
    tokio::time::advance(CLOSE_AFTER - Duration::from_millis(10)).await;
    assert!(reads(&watch));
    while reads(&watch) {
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    publish(&bus).await;
    let mut tap = watch.tap(of_type()).await.unwrap();
    publish(&bus).await;
    assert_eq!(tap.next().await.unwrap().sequence, 3);
}

#[tokio::test]
async fn without_a_stream_nobody_is_left_waiting() {
    let (bus, tasks) = (Bus::default(), Shutdown::default());
    let watch = watch(&bus, &tasks);
    let (first, second) = tokio::join!(watch.tap(of_type()), watch.tap(of_type()));
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert_eq!(
            error.to_string(),
            "cannot read stream `s`: no stream is called `s`"
        );
    }
    assert!(watch.inner.state().interests.is_empty() && !reads(&watch));
    bus.create_stream("s", &["e.>".parse().unwrap()]).unwrap();
    let mut tap = watch.tap(of_type()).await.unwrap();
    publish(&bus).await;
    assert!(tap.next().await.is_some());
}

#[tokio::test]
async fn the_end_waits_for_who_still_waits() {
    let (bus, tasks) = (bus(), Shutdown::default());
    let watch = watch(&bus, &tasks);
    let mut tap = watch.tap(of_type()).await.unwrap();
    let (to, gone) = mpsc::channel(1);
    watch.add(of_type(), 0, false, 0, to).await.unwrap();
    let draining = tasks.clone();
    let draining = tokio::spawn(async move { draining.drain(Duration::from_secs(20)).await });
    tasks.begun().await;
    // A call that is under way may begin to wait even now.
    let mut late = watch.tap(of_type()).await.unwrap();
    publish(&bus).await;
    assert!(tap.next().await.is_some() && late.next().await.is_some());
    drop((tap, late, gone));
    assert!(draining.await.unwrap());
    assert!(watch.inner.state().interests.is_empty() && !reads(&watch));
}

#[tokio::test]
async fn interests_are_limited_and_full_receivers_counted() {
    let (bus, tasks) = (bus(), Shutdown::default());
    let watch = watch(&bus, &tasks);
    let (to, mut matches) = mpsc::channel(1);
    let mut keys = Vec::new();
    for _ in 0..INTERESTS_MAX {
        keys.push(watch.add(of_type(), 0, false, 0, to.clone()).await.unwrap());
    }
    assert!(watch.add(of_type(), 0, false, 0, to.clone()).await.is_err());
    for key in &keys[2..] {
        assert!(watch.remove(*key));
    }
    let mut tap = watch.tap(of_type()).await.unwrap();
    publish(&bus).await;
    tap.next().await.unwrap();
    assert_eq!(matches.recv().await.unwrap().key, keys[0]);
    assert_eq!(watch.missed(), 1);
}

#[tokio::test]
async fn what_is_no_event_is_passed_over() {
    let (bus, tasks) = (bus(), Shutdown::default());
    let watch = watch(&bus, &tasks);
    let mut tap = watch.tap(of_type()).await.unwrap();
    let junk = Message {
        body: "junk".into(),
        ..Message::default()
    };
    bus.publish(TYPE, junk, None).await.unwrap();
    publish(&bus).await;
    assert_eq!(tap.next().await.unwrap().sequence, 2);
}
