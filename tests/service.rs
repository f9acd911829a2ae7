//! Services in plain Rust, on a real nats-server and on the embedded bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use conche::client::{
    Answer, Call, Client, ClientError, EventSource, Fault, Reply, Service, Serving,
};
use conche::config::{Config, ErrorAnswers};
use conche::envelope::{Attribute, CloudEvent, Payload};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::{Connected, service};
use crate::support::{DEADLINE, On, on_both};

const OP: &str = "cyverse.users.Get";
const ADDED: &str = "org.cyverse.events.UserAdded";

on_both! {
    data_goes_in_and_out,
    whole_events_and_raw_bytes_go_in_and_out,
    faults_panics_and_misfits_are_answered,
    silent_services_answer_no_faults,
    a_default_takes_what_nobody_else_does,
    a_default_takes_whole_events,
    the_end_finishes_what_has_begun,
    two_processes_share_the_work,
    what_is_too_much_is_answered_busy,
}

async fn echo(client: &Client) -> Serving {
    let echo = |call: Call, data: Value| async move {
        Ok(json!({"data": data, "type": call.ty, "tid": call.transaction_id}))
    };
    service(client).query(OP, echo).start().await.unwrap()
}

fn remote(result: Result<Answer, ClientError>) -> Fault {
    match result {
        Err(ClientError::Remote(fault)) => fault,
        other => panic!("no fault: {other:?}"),
    }
}

async fn data_goes_in_and_out(on: On) {
    let connected = Connected::on(on).await;
    let _serving = echo(&connected.client).await;
    let client = connected.another().await;
    let big: Box<serde_json::value::RawValue> =
        serde_json::from_str("12345678901234567890123").unwrap();
    let answer = client.request_with_transaction_id(OP, "tid-1", &big).await;
    let data: Value = answer.unwrap().data().unwrap();
    assert_eq!((&data["type"], &data["tid"]), (&json!(OP), &json!("tid-1")));
    let answer = client.request(OP, &json!({"n": 1})).await.unwrap();
    let event = answer.event().unwrap();
    assert_eq!(event.ty, OP);
    assert!(event.source.ends_with("/users") && event.id.starts_with("cloudevent-"));
    let text = String::from_utf8(answer.bytes().to_vec()).unwrap();
    assert_eq!(
        text,
        format!(r#"{{"data":{{"n":1}},"tid":null,"type":"{OP}"}}"#)
    );
}

async fn whole_events_and_raw_bytes_go_in_and_out(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let _serving = service(client)
        .query_event(OP, |query| async move {
            Ok(match query.subject.as_deref() {
                Some("raw") => Reply::Raw("no event".into()),
                _ => Reply::Event(Box::new(CloudEvent {
                    subject: query.subject,
                    data: Some(Payload::Text("hello".into())),
                    ..CloudEvent::default()
                })),
            })
        })
        .start()
        .await
        .unwrap();
    let query = |subject: &str| {
        let mut query = CloudEvent {
            ty: OP.into(),
            subject: Some(subject.into()),
            ..CloudEvent::default()
        };
        query.set_extension("transactionid", Attribute::Text("tid-3".into()));
        query
    };
    let answer = client.request_event(query("ada")).await.unwrap();
    assert_eq!(answer.transaction_id(), Some("tid-3"));
    assert_eq!(&*answer.bytes(), b"hello");
    assert_eq!(answer.into_event().unwrap().subject.as_deref(), Some("ada"));
    let raw = client.request_event(query("raw")).await.unwrap();
    assert_eq!((raw.event(), &*raw.bytes()), (None, &b"no event"[..]));
}

async fn faults_panics_and_misfits_are_answered(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let _serving = service(client)
        .query(OP, |_, n: u32| async move {
            match n {
                0 => panic!("a handler that panics"),
                1 => Err(Fault {
                    details: Some(Payload::Json(r#"{"n":1}"#.into())),
                    ..Fault::new(404, "no such user")
                }),
                n => Ok("x".repeat(n as usize)),
            }
        })
        .start()
        .await
        .unwrap();
    let fault = remote(client.request(OP, &1).await);
    assert_eq!((fault.code, &*fault.message), (404, "no such user"));
    assert_eq!(fault.details, Some(Payload::Json(r#"{"n":1}"#.into())));
    assert_eq!(remote(client.request(OP, "text").await).code, 400);
    let fault = remote(client.request(OP, &0).await);
    assert_eq!((fault.code, &*fault.message), (500, "the handler panicked"));
    let fault = remote(client.request(OP, &(2 << 20)).await);
    assert!(fault.message.contains("more than the"), "{fault:?}");
    // It still serves.
    assert_eq!(
        client
            .request(OP, &3)
            .await
            .unwrap()
            .data::<String>()
            .unwrap(),
        "xxx"
    );
}

async fn silent_services_answer_no_faults(on: On) {
    let silent = |config: &mut Config| config.compat.errors = ErrorAnswers::Silent;
    let connected = Connected::with(on, silent).await;
    let _serving = service(&connected.client)
        .query(OP, |_, (): ()| async {
            Err::<(), _>(Fault::new(404, "no"))
        })
        .start()
        .await
        .unwrap();
    let hasty = connected
        .client
        .with_request_timeout(Duration::from_millis(200));
    let error = hasty.request(OP, &()).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
}

async fn a_default_takes_what_nobody_else_does(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let _serving = service(client)
        .query(OP, |_, (): ()| async { Ok("named") })
        .any_query(|call: Call, fails: bool| async move {
            if fails {
                return Err(Fault::new(500, "never said"));
            }
            Ok(call.ty)
        })
        .start()
        .await
        .unwrap();
    for _ in 0..8 {
        let named: String = client.request(OP, &()).await.unwrap().data().unwrap();
        assert_eq!(named, "named");
    }
    let other = client.request("cyverse.other.Get", &false).await.unwrap();
    assert_eq!(other.data::<String>().unwrap(), "cyverse.other.Get");
    let hasty = client.with_request_timeout(Duration::from_millis(200));
    let error = hasty.request("cyverse.other.Get", &true).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
}

async fn a_default_takes_whole_events(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let _serving = service(client)
        .query(OP, |_, (): ()| async { Ok("named") })
        .any_query_event(|query| async move { Ok(Reply::Raw(query.ty.into())) })
        .start()
        .await
        .unwrap();
    let named = client.request(OP, &()).await.unwrap();
    assert_eq!(named.data::<String>().unwrap(), "named");
    let other = client.request("cyverse.other.Get", &()).await.unwrap();
    assert_eq!(&*other.bytes(), b"cyverse.other.Get");
}

async fn the_end_finishes_what_has_begun(on: On) {
    let connected = Connected::on(on).await;
    let client = connected.client.clone();
    let (begun, mut begins) = mpsc::channel(1);
    let (go, goes) = tokio::sync::watch::channel(false);
    let handlers = client.clone();
    let _serving = service(&client)
        .query(OP, move |_, (): ()| {
            let (begun, mut goes) = (begun.clone(), goes.clone());
            let client = handlers.clone();
            async move {
                begun.send(()).await.unwrap();
                goes.wait_for(|goes| *goes).await.unwrap();
                // To finish is to ask and to publish too.
                let asked = client.request("cyverse.nobody.Get", &()).await;
                assert!(matches!(asked, Err(ClientError::NoResponders { .. })));
                client.publish(ADDED, &()).await.unwrap();
                Ok("done")
            }
        })
        .start()
        .await
        .unwrap();
    let other = connected.another().await;
    let asked = tokio::spawn(async move { other.request(OP, &()).await });
    begins.recv().await.unwrap();
    let ending = client.clone();
    let ending = tokio::spawn(async move { ending.disconnect().await });
    let source = EventSource::of(&client);
    while source.once(ADDED, "", |_| async {}).await != Err(ClientError::Disconnected) {
        tokio::task::yield_now().await;
    }
    go.send(true).unwrap();
    let answer = asked.await.unwrap().unwrap();
    assert_eq!(answer.data::<String>().unwrap(), "done");
    assert!(ending.await.unwrap());
    assert_eq!(
        client.request(OP, &()).await,
        Err(ClientError::Disconnected)
    );
    let started = service(&client)
        .query(OP, |_, (): ()| async { Ok(()) })
        .start();
    assert_eq!(started.await.unwrap_err(), ClientError::Disconnected);
    let another = connected.another().await;
    let error = another.request(OP, &()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::NoResponders { .. }),
        "{error:?}"
    );
}

async fn two_processes_share_the_work(on: On) {
    const QUERIES: usize = 200;
    let connected = Connected::on(on).await;
    let ran = Arc::new(AtomicUsize::new(0));
    let mut serving = Vec::new();
    for _ in 0..2 {
        let client = connected.another().await;
        let ran = ran.clone();
        let service = service(&client).query(OP, move |_, (): ()| {
            let ran = ran.clone();
            async move {
                ran.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        });
        serving.push(service.start().await.unwrap());
    }
    let asked: Vec<_> = (0..QUERIES)
        .map(|_| {
            let client = connected.client.clone();
            tokio::spawn(async move { client.request(OP, &()).await.map(drop) })
        })
        .collect();
    // One leaves in the middle of it; nobody notices.
    assert!(serving.remove(0).stop().await);
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(ran.load(Ordering::Relaxed), QUERIES);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_serve_is_refused_before_it_does() {
    let connected = Connected::on(On::Bus).await;
    let client = &connected.client;
    let nothing = |_: Call, (): ()| async { Ok(()) };
    let check = async |service: Service, expected: &str| {
        let error = service.start().await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let twice = service(client).query(OP, nothing).query(OP, nothing);
    check(twice, "two handlers answer `cyverse.users.Get`").await;
    let twice = service(client).event(&[ADDED, ADDED], nothing);
    check(twice, "two handlers take events of type").await;
    check(service(client).query("a b", nothing), "query op: ").await;
    check(
        service(client).query(ADDED, nothing),
        "stream `conche-events` takes",
    )
    .await;
    let nowhere = service(client).event(&["org.elsewhere.X"], nothing);
    check(nowhere, "org.elsewhere.X").await;
    let error = Service::new(client, "No Name").unwrap_err();
    assert!(matches!(error, ClientError::Invalid(_)));
}

async fn what_is_too_much_is_answered_busy(on: On) {
    const ROOM: usize = 1024;
    let connected = Connected::on(on).await;
    let client = connected.client.with_request_timeout(DEADLINE);
    let (begun, mut begins) = mpsc::channel(ROOM);
    let (go, goes) = tokio::sync::watch::channel(false);
    let _serving = service(&client)
        .query(OP, move |_, (): ()| {
            let (begun, mut goes) = (begun.clone(), goes.clone());
            async move {
                begun.send(()).await.unwrap();
                goes.wait_for(|goes| *goes).await.unwrap();
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    let ask = || {
        let client = client.clone();
        tokio::spawn(async move { client.request(OP, &()).await })
    };
    let asked: Vec<_> = (0..ROOM).map(|_| ask()).collect();
    for _ in 0..ROOM {
        begins.recv().await.unwrap();
    }
    let subject = OP.to_owned();
    assert_eq!(ask().await.unwrap(), Err(ClientError::Busy { subject }));
    go.send(true).unwrap();
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    ask().await.unwrap().unwrap();
}
