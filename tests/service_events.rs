//! The events of services in plain Rust, on a real nats-server and on the embedded bus.

use std::time::Duration;

use conche::client::{Call, Fault, Service};
use conche::config::EventSubject;
use conche::envelope::Message;
use conche::policy::{Retry, Start};
use tokio::sync::mpsc;

use crate::client::{Connected, service};
use crate::support::{DEADLINE, On, event, on_both};

const OP: &str = "cyverse.users.Get";
const ADDED: &str = "org.cyverse.events.UserAdded";
const DEAD: &str = "conche-events-dlq";

on_both! {
    an_event_is_handled_until_it_succeeds,
    what_is_rejected_is_dead_lettered,
    what_fails_too_often_is_dead_lettered,
    events_are_heard_on_every_subject_that_is_configured,
    a_default_gets_every_other_event,
    a_durable_begins_where_it_is_told,
}

async fn an_event_is_handled_until_it_succeeds(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let (told, mut tells) = mpsc::channel(8);
    let serving = service(client)
        .event(&[ADDED], move |call: Call, name: String| {
            let told = told.clone();
            async move {
                told.send((call.attempt, call.transaction_id, name))
                    .await
                    .unwrap();
                match call.attempt {
                    1 => Err(Fault::new(503, "not yet")),
                    _ => Ok(()),
                }
            }
        })
        .start()
        .await
        .unwrap();
    client
        .publish_with_transaction_id(ADDED, "tid-1", "ada")
        .await
        .unwrap();
    for attempt in 1..=2 {
        let told = tokio::time::timeout(DEADLINE, tells.recv()).await.unwrap();
        assert_eq!(
            told,
            Some((attempt, Some("tid-1".to_owned()), "ada".to_owned()))
        );
    }
    assert!(serving.stop().await);
    // Acknowledged: a later process does not get it again, and goes on where this one was.
    client.publish(ADDED, "bob").await.unwrap();
    let (told, mut tells) = mpsc::channel(8);
    let _again = service(client)
        .event(&[ADDED], move |_, name: String| {
            let told = told.clone();
            async move {
                told.send(name).await.unwrap();
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    let told = tokio::time::timeout(DEADLINE, tells.recv()).await.unwrap();
    assert_eq!(told.as_deref(), Some("bob"));
}

async fn what_is_rejected_is_dead_lettered(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let _serving = service(client)
        .event(&[ADDED], |_, _name: String| async {
            Err(Fault::new(422, "never"))
        })
        .start()
        .await
        .unwrap();
    client.publish(ADDED, "ada").await.unwrap();
    client.publish(ADDED, &7).await.unwrap();
    let letters = connected.wire.wait_for(DEAD, "conche.dlq.>", 2).await;
    let mut reasons: Vec<_> = letters
        .iter()
        .map(|letter| letter.message.headers.get("Conche-Dlq-Reason").unwrap())
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons[0], "rejected: never (422)");
    assert!(
        reasons[1].starts_with("rejected: the data does not fit: "),
        "{reasons:?}"
    );
    let first = &letters[0];
    assert_eq!(
        first.message.headers.get("Conche-Dlq-Plugin"),
        Some("users")
    );
    assert!(
        first
            .subject
            .starts_with("conche.dlq.conche-events.conche-users.")
    );
    let junk = Message {
        body: "junk".into(),
        ..Message::default()
    };
    connected.wire.publish(ADDED, junk).await.unwrap();
    let letters = connected.wire.wait_for(DEAD, "conche.dlq.>", 3).await;
    assert_eq!(&*letters[2].message.body, b"junk");
}

async fn what_fails_too_often_is_dead_lettered(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let retry = Retry {
        max_attempts: 2,
        first: Duration::from_millis(1),
        ..Retry::default()
    };
    let _serving = service(client)
        .retry(retry)
        .event(&[ADDED], |_, _name: String| async {
            Err(Fault::new(503, "not now"))
        })
        .start()
        .await
        .unwrap();
    client.publish(ADDED, "ada").await.unwrap();
    let letters = connected.wire.wait_for(DEAD, "conche.dlq.>", 1).await;
    let reason = letters[0].message.headers.get("Conche-Dlq-Reason");
    assert_eq!(reason, Some("attempt 2 of 2: not now (503)"));
}

async fn events_are_heard_on_every_subject_that_is_configured(on: On) {
    let subjects = ["org.cyverse.events.new", "org.cyverse.events.old"];
    let connected = Connected::with(on, |config| {
        let subjects = subjects.map(str::to_owned).to_vec();
        config.compat.event_subject = EventSubject::Fixed(subjects);
    })
    .await;
    let client = &connected.client;
    let (told, mut tells) = mpsc::channel(8);
    let _serving = service(client)
        .event(&[ADDED], move |_, name: String| {
            let told = told.clone();
            async move {
                told.send(name).await.unwrap();
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    client.publish(ADDED, "new").await.unwrap();
    let old = event(ADDED, r#""old""#).to_structured().unwrap();
    connected.wire.publish(subjects[1], old).await.unwrap();
    let mut heard = Vec::new();
    for _ in 0..2 {
        let told = tokio::time::timeout(DEADLINE, tells.recv()).await;
        heard.push(told.unwrap().unwrap());
    }
    heard.sort_unstable();
    assert_eq!(heard, ["new", "old"]);
}

async fn a_default_gets_every_other_event(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let (told, mut tells) = mpsc::channel(8);
    let others = told.clone();
    let _serving = service(client)
        .event_whole(&[ADDED], move |event| {
            let told = told.clone();
            async move {
                told.send(format!("named {}", event.ty)).await.unwrap();
                Ok(())
            }
        })
        .any_event_whole(move |event| {
            let told = others.clone();
            async move {
                told.send(format!("other {}", event.ty)).await.unwrap();
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    client.publish(ADDED, &()).await.unwrap();
    client.publish("org.cyverse.events.X", &()).await.unwrap();
    client.publish("a type with spaces", &()).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..3 {
        let told = tokio::time::timeout(DEADLINE, tells.recv()).await.unwrap();
        all.push(told.unwrap());
    }
    all.sort();
    assert_eq!(
        all,
        [
            format!("named {ADDED}"),
            "other a type with spaces".to_owned(),
            "other org.cyverse.events.X".to_owned(),
        ]
    );
}

async fn a_durable_begins_where_it_is_told(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    for name in ["first", "second", "third"] {
        client.publish(ADDED, name).await.unwrap();
    }
    for (durable, start, expected) in [
        ("all", Start::All, &["first", "second", "third", "last"][..]),
        ("some", Start::Sequence(3), &["third", "last"]),
    ] {
        let (told, mut tells) = mpsc::channel(8);
        let serving = Service::new(client, durable)
            .unwrap()
            .event(&[ADDED], move |_, name: String| {
                let told = told.clone();
                async move {
                    told.send(name).await.unwrap();
                    Ok(())
                }
            })
            .events_from(start)
            .start()
            .await
            .unwrap();
        let mut heard = Vec::new();
        if durable == "all" {
            client.publish(ADDED, "last").await.unwrap();
        }
        for _ in expected {
            let told = tokio::time::timeout(DEADLINE, tells.recv()).await;
            heard.push(told.unwrap().unwrap());
        }
        heard.sort_unstable_by_key(|name| expected.iter().position(|it| it == name));
        assert_eq!(heard, expected, "{durable}");
        assert!(serving.stop().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_comes_back_with_its_server() {
    let mut connected = Connected::on(On::Nats).await;
    let (told, mut tells) = mpsc::channel(8);
    let service = service(&connected.client)
        .query(OP, |_, (): ()| async { Ok("here") })
        .event(&[ADDED], move |_, n: u32| {
            let told = told.clone();
            async move {
                told.send(n).await.unwrap();
                Ok(())
            }
        });
    let _serving = service.start().await.unwrap();
    let server = connected.server.as_mut().unwrap();
    server.down();
    server.up();
    let other = connected.another().await;
    other.publish(ADDED, &1).await.unwrap();
    let told = tokio::time::timeout(DEADLINE, tells.recv()).await.unwrap();
    assert_eq!(told, Some(1));
    let asked = async {
        while other.request(OP, &()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, asked).await.unwrap();
}
