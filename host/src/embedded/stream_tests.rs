//! Streams: whose subject, stored once, limits. The clock is paused: waits take no time.

use std::time::Duration;

use tokio::time::advance;

use super::consumer_tests::{WAIT, all, bus_with_stream, patterns, publish};
use super::{Bus, BusConfig, BusError, Retention, StartFrom, StoredMessage, StreamLimits};
use crate::envelope::Message;
use crate::envelope::headers::NATS_MSG_ID;

async fn publish_id(bus: &Bus, subject: &str, id: &'static str) -> (u64, bool) {
    let mut message = Message::default();
    message.headers.insert(NATS_MSG_ID, id);
    let stored = bus.publish(subject, message, None).await.unwrap();
    (stored.seq, stored.duplicate)
}

#[tokio::test(start_paused = true)]
async fn streams_own_their_subjects() {
    let bus = bus_with_stream();
    assert_eq!(bus.create_stream("s", &patterns(&["e.>"])), Ok(()));
    let differs = BusError::StreamDiffers {
        stream: "s".to_owned(),
    };
    assert_eq!(bus.create_stream("s", &patterns(&["f"])), Err(differs));
    let overlap = |subject: &str, taken: &str, stream: &str| BusError::StreamOverlap {
        subject: subject.to_owned(),
        taken: taken.to_owned(),
        stream: stream.to_owned(),
    };
    let other = bus.create_stream("t", &patterns(&["f.a", "*.x"]));
    assert_eq!(other, Err(overlap("*.x", "e.>", "s")));
    let own = bus.create_stream("t", &patterns(&["f.a", "f.*"]));
    assert_eq!(own, Err(overlap("f.*", "f.a", "t")));
    assert!(matches!(
        bus.create_stream("t", &[]),
        Err(BusError::NoSubjects { .. })
    ));
    assert!(matches!(
        bus.create_stream("t.u", &patterns(&["f"])),
        Err(BusError::Name { .. })
    ));

    assert_eq!(
        (bus.stream_of("e.a").as_deref(), bus.stream_of("f.a")),
        (Some("s"), None)
    );
    let overlapping = |pattern: &str| bus.stream_overlapping(&pattern.parse().unwrap());
    assert_eq!(
        (overlapping("*.a").as_deref(), overlapping("f.>")),
        (Some("s"), None)
    );
    let asked = bus.request("e.a", Message::default(), WAIT).await;
    assert!(matches!(asked, Err(BusError::TakenByStream { .. })));
    let nowhere = bus.publish("f.a", Message::default(), None).await;
    assert_eq!(
        nowhere,
        Err(BusError::NoStream {
            subject: "f.a".to_owned()
        })
    );
    assert!(bus.consumer("t", "d", &[], StartFrom::New).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_id_is_stored_once_within_the_window() {
    let bus = bus_with_stream();
    publish(&bus, "e.a").await;
    assert_eq!(publish_id(&bus, "e.a", "x").await, (2, false));
    assert_eq!(publish_id(&bus, "e.b", "x").await, (2, true));
    assert_eq!(publish_id(&bus, "e.b", "y").await, (3, false));
    assert_eq!(bus.messages("s").len(), 3);
    advance(Duration::from_secs(119)).await;
    assert_eq!(publish_id(&bus, "e.b", "x").await, (2, true));
    advance(Duration::from_secs(1)).await;
    assert_eq!(publish_id(&bus, "e.b", "x").await, (4, false));
}

#[tokio::test(start_paused = true)]
async fn expectations_compare_and_set() {
    let bus = bus_with_stream();
    let publish = async |subject: &str, expected| {
        bus.publish(subject, Message::default(), Some(expected))
            .await
            .map(|stored| stored.seq)
    };
    assert_eq!(publish("e.a", 0).await, Ok(1));
    assert_eq!(publish("e.b", 0).await, Ok(2));
    let wrong = |expected| BusError::WrongLastSequence {
        subject: "e.a".to_owned(),
        expected,
        last: 1,
    };
    assert_eq!(publish("e.a", 0).await, Err(wrong(0)));
    assert_eq!(publish("e.a", 2).await, Err(wrong(2)));
    assert_eq!(publish("e.a", 1).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn a_full_stream_refuses_or_discards_visibly() {
    let bus = Bus::default();
    let limits = |retention| StreamLimits {
        max_messages: 2,
        max_bytes: 100,
        retention,
    };
    let create = |name: &str, subject: &str, retention| {
        bus.create_stream_with(name, &patterns(&[subject]), limits(retention))
            .unwrap();
    };
    create("dlq", "q.>", Retention::DiscardNew);
    create("s", "e.>", Retention::DiscardOld);
    let consumer = all(&bus, &["e.a"]);
    publish(&bus, "q.a").await;
    publish(&bus, "q.a").await;
    let full = |stream: &str, limit| BusError::StreamFull {
        stream: stream.to_owned(),
        limit,
    };
    let refused = bus.publish("q.a", Message::default(), None).await;
    assert_eq!(refused, Err(full("dlq", "max_messages")));
    let large = Message {
        body: vec![0; 101].into(),
        ..Message::default()
    };
    assert_eq!(
        bus.publish("e.a", large, None).await,
        Err(full("s", "max_bytes"))
    );

    for subject in ["e.a", "e.b", "e.a"] {
        publish(&bus, subject).await;
    }
    let left: Vec<u64> = bus
        .messages("s")
        .iter()
        .map(|StoredMessage { seq, .. }| *seq)
        .collect();
    assert_eq!((left, bus.counts().discarded), (vec![2, 3], 1));
    consumer.pull(1, WAIT).await.remove(0).ack();
    publish(&bus, "e.b").await;
    publish(&bus, "e.b").await;
    assert_eq!(
        bus.counts().discarded,
        1,
        "acked or unwanted messages are no loss"
    );
    let expected = bus.publish("e.a", Message::default(), Some(0)).await;
    assert_eq!(
        expected.map(|stored| stored.seq),
        Ok(6),
        "nothing is left on the subject"
    );
}

#[tokio::test(start_paused = true)]
async fn subscribers_see_what_is_published_and_tests_can_wait_for_it() {
    let bus = Bus::new(BusConfig {
        max_payload: 64,
        ..BusConfig::default()
    });
    bus.create_stream("s", &patterns(&["e.>"])).unwrap();
    let mut plain = bus.subscribe(&"e.*".parse().unwrap(), "").unwrap();
    let pattern = &patterns(&["e.a"])[0];
    let (seen, ()) = tokio::join!(bus.wait_for_messages("s", pattern, 2, WAIT), async {
        for subject in ["e.a", "e.b", "e.a"] {
            publish(&bus, subject).await;
        }
    });
    assert_eq!(
        seen.iter().map(|stored| stored.seq).collect::<Vec<_>>(),
        [1, 3]
    );
    assert_eq!(
        (plain.next().await.unwrap().subject, plain.buffered()),
        ("e.a".to_owned(), 2)
    );
    assert_eq!(bus.wait_for_messages("s", pattern, 3, WAIT).await.len(), 2);
}
