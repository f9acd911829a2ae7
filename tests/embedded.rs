//! Queries, events and reloads on the embedded bus.

use crate::support::{DEADLINE, TestHost, event, guest};

const GREET: &str = "cyverse.greeter.Greet";

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_answered_with_a_fault() {
    let host = TestHost::start(&["greeter"]).await;
    let fault = host.ask_json(GREET, r#"{"name":5}"#).await.unwrap_err();
    assert_eq!(fault.code, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_key_order_survive_a_guest() {
    let host = TestHost::start(&["probe"]).await;
    let json = r#"{"z":12345678901234567890123,"a":[1.50,  2]}"#;
    let answer = host.ask_json("cyverse.probe.Echo", json).await.unwrap();
    assert!(answer.contains(json), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_that_misbehave_are_contained() {
    let host = TestHost::start(&["hostile", "greeter"]).await;
    for (op, code) in [
        ("Panic", 500),
        ("Trap", 500),
        ("Recurse", 500),
        ("Allocate", 500),
        ("Loop", 500),
        ("Exit", 500),
    ] {
        let fault = host.ask_json(&format!("cyverse.hostile.{op}"), "{}").await;
        assert_eq!(fault.unwrap_err().code, code, "{op}");
        let answer = host.ask_json(GREET, r#"{"name":"Ada"}"#).await;
        assert_eq!(answer.unwrap(), r#"{"greeting":"Hello, Ada!"}"#, "{op}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_takes_over_and_a_broken_one_does_not() {
    let host = TestHost::start(&[]).await;
    let file = host.dir.path().join("versioned.wasm");
    let put = |bytes: &[u8]| {
        let temporary = host.dir.path().join("versioned.part");
        std::fs::write(&temporary, bytes).unwrap();
        std::fs::rename(&temporary, &file).unwrap();
    };
    let op = "cyverse.versioned.Get";
    put(&std::fs::read(guest("versioned_v1")).unwrap());
    host.ask_until(op, "{}", |answer| answer.contains("1.0.0"))
        .await;
    put(b"\0asm\x0d\0\x01\0 and no more");
    // A good neighbour that comes later is up only after the broken file was looked at.
    std::fs::copy(guest("greeter"), host.dir.path().join("greeter.wasm")).unwrap();
    host.ask_until(GREET, r#"{"name":"Ada"}"#, |answer| {
        answer.contains("Hello")
    })
    .await;
    let answer = host.ask_json(op, "{}").await.unwrap();
    assert!(answer.contains("1.0.0"), "{answer}");
    put(&std::fs::read(guest("versioned_v2")).unwrap());
    host.ask_until(op, "{}", |answer| answer.contains("2.0.0"))
        .await;
    std::fs::remove_file(&file).unwrap();
    let gone = async {
        while host.ask(op, "{}").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_no_room_for_is_answered_busy_and_counted() {
    let host = TestHost::start(&["greeter"]).await;
    let dispatcher = host.host.dispatcher();
    let answer = dispatcher.shed_query(&event(GREET, r#"{"name":"Ada"}"#), None);
    let message = answer.into_message(1 << 20).unwrap();
    assert_eq!(message.headers.get("Conche-Shed"), Some("1"));
    assert_eq!(message.headers.get("Nats-Service-Error-Code"), Some("503"));
    let metrics = dispatcher.metrics().render();
    let counted = r#"conche_messages_shed_total{limit="intake"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}
