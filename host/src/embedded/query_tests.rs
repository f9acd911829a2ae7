//! Queries: groups, answers, silence, limits. The clock is paused: waits take no time.

use std::time::Duration;

use tokio::time::Instant;

use super::{Asked, Bus, BusConfig, BusError, Counts, Subscription};
use crate::envelope::Message;
use crate::subject::SubjectPattern;

const WAIT: Duration = Duration::from_secs(5);

fn text(body: &str) -> Message {
    Message {
        body: body.to_owned().into(),
        ..Message::default()
    }
}

fn subscribe(bus: &Bus, pattern: &str, group: &str) -> Subscription {
    let pattern: SubjectPattern = pattern.parse().unwrap();
    bus.subscribe(&pattern, group).unwrap()
}

/// Answers each request with `name`, until the subscription ends; returns how many.
fn answer_all(mut subscription: Subscription, name: &'static str) -> tokio::task::JoinHandle<u32> {
    tokio::spawn(async move {
        let mut answered = 0;
        while let Some(Asked {
            reply: Some(reply), ..
        }) = subscription.next().await
        {
            reply.send(text(name)).unwrap();
            answered += 1;
        }
        answered
    })
}

async fn ask(bus: &Bus, subject: &str) -> Result<String, BusError> {
    let answer = bus.request(subject, text("?"), WAIT).await?;
    Ok(String::from_utf8(answer.body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn nobody_is_heard_at_once() {
    let bus = Bus::default();
    let began = Instant::now();
    let none = BusError::NoResponders {
        subject: "a.b".to_owned(),
    };
    assert_eq!(ask(&bus, "a.b").await, Err(none.clone()));
    let other = subscribe(&bus, "a.*.c", "g");
    assert_eq!(ask(&bus, "a.b").await, Err(none.clone()));
    drop(other);
    drop(subscribe(&bus, "a.b", "g"));
    assert_eq!(ask(&bus, "a.b").await, Err(none));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_group_shares_and_spans_patterns() {
    let bus = Bus::default();
    let literal = subscribe(&bus, "a.b", "g");
    let wildcard = subscribe(&bus, "a.*", "g");
    let mut plain = [subscribe(&bus, ">", ""), subscribe(&bus, ">", "")];
    for _ in 0..200 {
        bus.send("a.b", text("")).await.unwrap();
    }
    let (one, two) = (literal.buffered(), wildcard.buffered());
    assert_eq!(one + two, 200);
    assert!(one > 50 && two > 50, "not random: {one}, {two}");
    for each in &mut plain {
        assert_eq!(each.buffered(), 200);
        assert!(each.next().await.unwrap().reply.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn each_group_is_asked_and_the_first_answer_wins() {
    let bus = Bus::default();
    let mut slow = subscribe(&bus, "a.b", "slow");
    let fast = answer_all(subscribe(&bus, "a.b", "fast"), "fast");
    assert_eq!(ask(&bus, "a.b").await.as_deref(), Ok("fast"));
    let late = slow.next().await.unwrap().reply.unwrap();
    assert!(late.is_over());
    late.send(text("slow")).unwrap();
    fast.abort();
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_time_out_even_when_the_reply_is_dropped() {
    let bus = Bus::default();
    let mut subscription = subscribe(&bus, "a.b", "g");
    let began = Instant::now();
    let (answer, asked) = tokio::join!(ask(&bus, "a.b"), subscription.next());
    // The reply lived until here; the next one is dropped at once.
    assert_eq!(
        answer,
        Err(BusError::TimedOut {
            subject: "a.b".to_owned(),
            waited: WAIT
        })
    );
    assert!(asked.unwrap().reply.unwrap().is_over());
    let (answer, ()) = tokio::join!(ask(&bus, "a.b"), async { drop(subscription.next().await) });
    assert!(matches!(answer, Err(BusError::TimedOut { .. })));
    assert_eq!(began.elapsed(), 2 * WAIT);
}

#[tokio::test(start_paused = true)]
async fn stop_hands_out_what_is_buffered() {
    let bus = Bus::default();
    let mut leaving = subscribe(&bus, "a.b", "g");
    let asking: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let bus = bus.clone();
                async move { ask(&bus, "a.b").await }
            })
        })
        .collect();
    while leaving.buffered() < 3 {
        tokio::task::yield_now().await;
    }
    leaving.stop();
    assert!(matches!(
        ask(&bus, "a.b").await,
        Err(BusError::NoResponders { .. })
    ));
    assert_eq!(answer_all(leaving, "bye").await.unwrap(), 3);
    for asked in asking {
        assert_eq!(asked.await.unwrap().as_deref(), Ok("bye"));
    }
    assert_eq!(bus.counts(), Counts::default());
}

#[tokio::test(start_paused = true)]
async fn what_overflows_is_told_and_counted() {
    let bus = Bus::new(BusConfig {
        subscription_capacity: 2,
        ..BusConfig::default()
    });
    let one = subscribe(&bus, "a.b", "g");
    let two = subscribe(&bus, "a.b", "g");
    for _ in 0..4 {
        // Whoever has room takes it, whomever chance chose.
        bus.send("a.b", text("")).await.unwrap();
    }
    assert_eq!(
        (one.buffered(), two.buffered(), bus.counts().overflowed),
        (2, 2, 0)
    );
    let full = BusError::Overflow {
        subject: "a.b".to_owned(),
    };
    assert_eq!(ask(&bus, "a.b").await, Err(full));
    assert_eq!(bus.counts().overflowed, 1);
    let other = answer_all(subscribe(&bus, "a.*", "other"), "other");
    assert_eq!(ask(&bus, "a.b").await.as_deref(), Ok("other"));
    assert_eq!(
        bus.counts(),
        Counts {
            overflowed: 2,
            ..Counts::default()
        }
    );
    drop(one);
    assert_eq!(bus.counts().unread, 2);
    other.abort();
}

#[tokio::test(start_paused = true)]
async fn size_counts_headers_both_ways() {
    let bus = Bus::new(BusConfig {
        max_payload: 40,
        ..BusConfig::default()
    });
    let mut subscription = subscribe(&bus, "a.b", "g");
    let mut message = text("0123456789");
    message.headers.append("Name", "Value");
    // "NATS/1.0\r\nName: Value\r\n\r\n" is 25 bytes.
    bus.send("a.b", message.clone()).await.unwrap();
    message.headers.append("N", "V");
    let error = BusError::TooLarge { size: 41, max: 40 };
    assert_eq!(
        bus.request("a.b", message.clone(), WAIT).await,
        Err(error.clone())
    );
    assert!(subscription.next().await.is_some());

    let answering = async {
        let reply = subscription.next().await.unwrap().reply.unwrap();
        let (reply, refused) = reply.try_send(message).unwrap_err();
        reply.send(text("too large")).unwrap();
        refused
    };
    let (answer, refused) = tokio::join!(ask(&bus, "a.b"), answering);
    assert_eq!((answer.as_deref(), refused), (Ok("too large"), error));
}

#[tokio::test(start_paused = true)]
async fn illegal_subjects_and_groups_are_refused() {
    let bus = Bus::default();
    for subject in ["", "a..b", "a.*", "a b"] {
        assert!(
            matches!(ask(&bus, subject).await, Err(BusError::Subject(_))),
            "{subject}"
        );
    }
    assert!(matches!(
        bus.subscribe(&"a".parse().unwrap(), "g g"),
        Err(BusError::Name { .. })
    ));
}
