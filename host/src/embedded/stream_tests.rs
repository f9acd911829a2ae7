//! Streams and durable consumers. The clock is paused: waits take no time.

use std::time::Duration;

use tokio::time::{Instant, advance};

use super::{
    Bus, BusConfig, BusConsumer, BusError, Retention, StartFrom, StoredMessage, StreamLimits,
};
use crate::envelope::Message;
use crate::envelope::headers::NATS_MSG_ID;
use crate::subject::SubjectPattern;

const WAIT: Duration = Duration::from_secs(5);
const ACK_WAIT: Duration = Duration::from_secs(60);

fn patterns(list: &[&str]) -> Vec<SubjectPattern> {
    list.iter()
        .map(|pattern| pattern.parse().unwrap())
        .collect()
}

fn bus_with_stream() -> Bus {
    let bus = Bus::default();
    bus.create_stream("s", &patterns(&["e.>"])).unwrap();
    bus
}

fn all(bus: &Bus, filters: &[&str]) -> BusConsumer {
    bus.consumer("s", "d", &patterns(filters), StartFrom::All)
        .unwrap()
}

async fn publish(bus: &Bus, subject: &str) -> u64 {
    bus.publish(subject, Message::default(), None)
        .await
        .unwrap()
        .seq
}

async fn publish_id(bus: &Bus, subject: &str, id: &'static str) -> (u64, bool) {
    let mut message = Message::default();
    message.headers.insert(NATS_MSG_ID, id);
    let stored = bus.publish(subject, message, None).await.unwrap();
    (stored.seq, stored.duplicate)
}

/// Sequence and attempt of what a pull gets; none of it is settled.
async fn pull(consumer: &BusConsumer, max: usize, wait: Duration) -> Vec<(u64, u32)> {
    consumer
        .pull(max, wait)
        .await
        .iter()
        .map(|got| (got.seq, got.attempt))
        .collect()
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
async fn consumers_start_where_told_once() {
    let bus = bus_with_stream();
    for _ in 0..3 {
        publish(&bus, "e.a").await;
        advance(Duration::from_secs(1)).await;
    }
    let second = bus.messages("s")[1].time;
    let mut starts = vec![
        (StartFrom::New, 4),
        (StartFrom::All, 1),
        (StartFrom::Time(second), 2),
        (StartFrom::Sequence(3), 3),
        (StartFrom::Sequence(0), 1),
    ];
    let consumer = |index: usize, start| bus.consumer("s", &format!("d{index}"), &[], start);
    for (index, (start, _)) in starts.iter().enumerate() {
        consumer(index, *start).unwrap();
    }
    publish(&bus, "e.a").await;
    for (index, (start, first)) in starts.drain(..).enumerate() {
        let consumer = consumer(index, StartFrom::New).unwrap();
        assert_eq!(pull(&consumer, 1, WAIT).await, [(first, 1)], "{start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pull_waits_for_one_and_takes_at_most_its_share() {
    let bus = bus_with_stream();
    let consumer = all(&bus, &[]);
    let began = Instant::now();
    assert_eq!(pull(&consumer, 5, WAIT).await, []);
    assert_eq!(began.elapsed(), WAIT);
    let (got, ()) = tokio::join!(pull(&consumer, 5, WAIT), async {
        advance(Duration::from_secs(1)).await;
        publish(&bus, "e.a").await;
    });
    assert_eq!(
        (got, began.elapsed()),
        (vec![(1, 1)], WAIT + Duration::from_secs(1))
    );
    for _ in 0..3 {
        publish(&bus, "e.a").await;
    }
    assert_eq!(pull(&consumer, 0, WAIT).await, []);
    assert_eq!(pull(&consumer, 2, WAIT).await, [(2, 1), (3, 1)]);
    assert_eq!((consumer.undelivered(), consumer.in_flight()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn waiting_pulls_share_what_comes() {
    let bus = bus_with_stream();
    let consumer = all(&bus, &[]);
    let pulls: Vec<_> = (0..3)
        .map(|_| {
            let consumer = consumer.clone();
            tokio::spawn(async move { pull(&consumer, 2, WAIT).await })
        })
        .collect();
    tokio::task::yield_now().await;
    for _ in 0..6 {
        publish(&bus, "e.a").await;
    }
    let mut got = Vec::new();
    for each in pulls {
        got.extend(each.await.unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, (1..=6).map(|seq| (seq, 1)).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_settled_comes_again_beside_the_new() {
    let bus = bus_with_stream();
    let consumer = all(&bus, &[]);
    publish(&bus, "e.a").await;
    let began = Instant::now();
    let first = consumer.pull(1, WAIT).await.remove(0);
    publish(&bus, "e.a").await;
    consumer.pull(1, WAIT).await.remove(0).ack();
    assert_eq!(pull(&consumer, 2, 2 * ACK_WAIT).await, [(1, 2)]);
    assert_eq!(began.elapsed(), ACK_WAIT);
    // A late ack of the first attempt counts for the message.
    first.ack();
    assert_eq!(
        (pull(&consumer, 2, 2 * ACK_WAIT).await, consumer.in_flight()),
        (vec![], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn nak_delays_and_a_waiting_pull_hears_of_it() {
    let bus = bus_with_stream();
    let consumer = all(&bus, &[]);
    publish(&bus, "e.a").await;
    let mut delivery = consumer.pull(1, WAIT).await.remove(0);
    let began = Instant::now();
    for (attempt, delay) in [(2, 7), (3, 1000)] {
        let delay = Duration::from_secs(delay);
        // Two wait; one gives up before the message is due, the other must still hear of it.
        let brief = consumer.pull(1, Duration::from_millis(1));
        let patient = consumer.pull(1, Duration::from_secs(5000));
        let nak = async { delivery.nak(delay) };
        let began = Instant::now();
        let (brief, mut patient, ()) = tokio::join!(brief, patient, nak);
        delivery = patient.remove(0);
        assert_eq!(
            (brief.len(), delivery.seq, delivery.attempt),
            (0, 1, attempt)
        );
        assert_eq!(began.elapsed(), delay);
    }
    delivery.nak(Duration::ZERO);
    delivery = consumer.pull(1, WAIT).await.remove(0);
    assert_eq!(
        (delivery.attempt, began.elapsed()),
        (4, Duration::from_secs(1007))
    );
    delivery.nak(Duration::MAX);
    assert_eq!(
        (
            pull(&consumer, 1, Duration::from_secs(9999)).await,
            consumer.in_flight()
        ),
        (vec![], 1)
    );
}

#[tokio::test(start_paused = true)]
async fn in_progress_begins_the_ack_wait_anew() {
    let bus = bus_with_stream();
    let consumer = all(&bus, &[]);
    publish(&bus, "e.a").await;
    let delivery = consumer.pull(1, WAIT).await.remove(0);
    for _ in 0..5 {
        advance(ACK_WAIT / 2).await;
        delivery.in_progress();
    }
    assert_eq!(
        pull(&consumer, 1, ACK_WAIT - Duration::from_millis(1)).await,
        []
    );
    assert_eq!(pull(&consumer, 1, WAIT).await, [(1, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_terminated_message_never_comes_again() {
    let bus = bus_with_stream();
    let consumer = all(&bus, &[]);
    publish(&bus, "e.a").await;
    consumer.pull(1, WAIT).await.remove(0).nak(Duration::ZERO);
    consumer.pull(1, WAIT).await.remove(0).term("rejected");
    assert_eq!(pull(&consumer, 1, 2 * ACK_WAIT).await, []);
    let ended = consumer.terminations();
    assert_eq!((ended.len(), ended[0].seq, ended[0].attempt), (1, 1, 2));
    assert_eq!(ended[0].reason, "rejected");
}

#[tokio::test(start_paused = true)]
async fn parked_messages_do_not_stop_the_rest() {
    let bus = bus_with_stream();
    let consumer = all(&bus, &[]);
    for _ in 0..10_000 {
        publish(&bus, "e.a").await;
    }
    for delivery in consumer.pull(9_999, WAIT).await {
        delivery.nak(Duration::from_secs(3600));
    }
    assert_eq!(pull(&consumer, 10, WAIT).await, [(10_000, 1)]);
}

#[tokio::test(start_paused = true)]
async fn filters_only_grow_and_an_added_one_starts_now() {
    let bus = bus_with_stream();
    all(&bus, &["e.a"]);
    publish(&bus, "e.a").await;
    publish(&bus, "e.b").await;
    let consumer = all(&bus, &["e.b", "e.c.*"]);
    publish(&bus, "e.b").await;
    publish(&bus, "e.d").await;
    assert_eq!(
        pull(&all(&bus, &["e.c.x"]), 9, WAIT).await,
        [(1, 1), (3, 1)]
    );
    assert_eq!(consumer.filters(), patterns(&["e.a", "e.b", "e.c.*"]));
    assert_eq!(all(&bus, &[]).filters(), patterns(&["e.>"]));
    assert_eq!(pull(&consumer, 9, WAIT).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_durable_is_forgotten() {
    let bus = bus_with_stream();
    let old = all(&bus, &[]);
    publish(&bus, "e.a").await;
    let delivery = old.pull(1, WAIT).await.remove(0);
    assert_eq!(bus.delete_consumer("s", "d"), Ok(true));
    assert_eq!(bus.delete_consumer("s", "d"), Ok(false));
    let new = all(&bus, &[]);
    assert_eq!(pull(&new, 1, WAIT).await, [(1, 1)]);
    delivery.ack();
    assert_eq!((pull(&old, 1, WAIT).await, new.in_flight()), (vec![], 1));
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
