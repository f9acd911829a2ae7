//! Durable consumers: what comes, and when again. Where the clock is paused, waits take no time.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, advance, timeout};

use super::{Bus, BusConsumer, StartFrom};
use crate::envelope::Message;
use crate::subject::SubjectPattern;

pub(super) const WAIT: Duration = Duration::from_secs(5);
const ACK_WAIT: Duration = Duration::from_secs(60);

pub(super) fn patterns(list: &[&str]) -> Vec<SubjectPattern> {
    list.iter()
        .map(|pattern| pattern.parse().unwrap())
        .collect()
}

pub(super) fn bus_with_stream() -> Bus {
    let bus = Bus::default();
    bus.create_stream("s", &patterns(&["e.>"])).unwrap();
    bus
}

pub(super) fn all(bus: &Bus, filters: &[&str]) -> BusConsumer {
    bus.consumer("s", "d", &patterns(filters), StartFrom::All)
        .unwrap()
}

pub(super) async fn publish(bus: &Bus, subject: &str) -> u64 {
    bus.publish(subject, Message::default(), None)
        .await
        .unwrap()
        .seq
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

/// Several publish and pull on threads of their own, and each message is put off twice. The pulls
/// wait for ever: one that sleeps through a wake-up or a delay keeps its message from us.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_between_threads() {
    const EACH: usize = 500;
    const LOST: Duration = Duration::from_secs(20);
    let bus = bus_with_stream();
    let consumer = all(&bus, &[]);
    let (acks, mut acked) = mpsc::unbounded_channel();
    for _ in 0..3 {
        let (bus, consumer, acks) = (bus.clone(), consumer.clone(), acks.clone());
        tokio::spawn(async move {
            for _ in 0..EACH {
                publish(&bus, "e.a").await;
            }
        });
        tokio::spawn(async move {
            while !acks.is_closed() {
                for delivery in consumer.pull(2, Duration::MAX).await {
                    let delay = Duration::from_millis(delivery.seq % 3);
                    match delivery.attempt {
                        1 => delivery.nak(delay),
                        2 => delivery.nak(Duration::ZERO),
                        _ => {
                            let _test_ended = acks.send(delivery.seq);
                            delivery.ack();
                        }
                    }
                }
            }
        });
    }
    let mut seen = Vec::new();
    for _ in 0..3 * EACH {
        seen.push(
            timeout(LOST, acked.recv())
                .await
                .expect("a pull slept through a message"),
        );
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 3 * EACH);
}
