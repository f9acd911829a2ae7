//! Each limit holds, and says which it was.

use std::sync::Arc;
use std::time::Duration;

use conche::policy::Policy;
use conche::sandbox::{Call, Failure, QueryOutcome};
use serde_json::{Value, json};

use super::{ask, load, log, reply};
use crate::support::event;

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(60);

/// Asks the hostile guest to misbehave.
async fn misbehave(
    how: &str,
    json: &str,
    change: impl FnOnce(&mut Policy),
) -> Result<QueryOutcome, Failure> {
    let plugin = load("hostile", change).await.unwrap();
    ask(&plugin, &format!("cyverse.hostile.{how}"), json).await
}

async fn failure(how: &str, change: impl FnOnce(&mut Policy)) -> Failure {
    misbehave(how, "{}", change).await.unwrap_err()
}

/// What the guest was told that came through after all.
async fn note(how: &str, json: &str, change: impl FnOnce(&mut Policy)) -> String {
    let reply = reply(misbehave(how, json, change).await);
    reply["note"].as_str().unwrap().to_owned()
}

fn cpu_alone(cpu: Duration) -> impl FnOnce(&mut Policy) {
    move |policy| {
        policy.limits.cpu = cpu;
        policy.limits.deadline = LONG;
    }
}

fn deadline_alone(deadline: Duration) -> impl FnOnce(&mut Policy) {
    move |policy| {
        policy.limits.cpu = LONG;
        policy.limits.deadline = deadline;
    }
}

#[tokio::test]
async fn cpu_time() {
    for how in ["Loop", "MemoryCopy", "EmitThenLoop"] {
        let limit = 100 * MS;
        let failure = failure(how, cpu_alone(limit)).await;
        assert_eq!(failure, Failure::CpuExceeded { limit }, "{how}");
    }
}

#[tokio::test]
async fn wall_time() {
    for how in ["Loop", "SleepForever"] {
        let limit = 50 * MS;
        let failure = failure(how, deadline_alone(limit)).await;
        let of = limit;
        assert_eq!(failure, Failure::DeadlineExceeded { limit, of }, "{how}");
    }
}

#[tokio::test]
async fn waiting_is_no_cpu_time() {
    let plugin = load("probe", cpu_alone(500 * MS)).await.unwrap();
    let naps = json!({ "steps": vec![json!({"sleep": {"ms": 10}}); 100] });
    let reply = reply(ask(&plugin, "cyverse.probe.Do", &naps.to_string()).await);
    assert_eq!(reply["outcomes"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn naps_between_do_not_make_cpu_time_free() {
    let limit = 100 * MS;
    let plugin = load("probe", cpu_alone(limit)).await.unwrap();
    let nap_across_ticks = [json!({"spin": {"ms": 8}}), json!({"sleep": {"ms": 4}})];
    let steps = json!({ "steps": vec![nap_across_ticks; 1000].concat() });
    let failure = ask(&plugin, "cyverse.probe.Do", &steps.to_string()).await;
    assert_eq!(failure, Err(Failure::CpuExceeded { limit }));
}

#[tokio::test]
async fn host_calls_that_do_not_wait_are_cpu_time() {
    let limit = 100 * MS;
    let without_end = r#"{"count": 1000000000000}"#;
    let ungranted = |policy: &mut Policy| {
        cpu_alone(limit)(policy);
        policy.grants.request.clear();
        policy.grants.emit.clear();
    };
    for how in ["RequestFlood", "EmitForever", "LogFlood"] {
        let failure = misbehave(how, without_end, ungranted).await;
        assert_eq!(failure, Err(Failure::CpuExceeded { limit }), "{how}");
    }
}

#[tokio::test]
async fn memory() {
    let failure = failure("Allocate", |policy| policy.limits.memory_bytes = 8 << 20).await;
    assert_eq!(
        failure.to_string(),
        "wanted more than 8388608 bytes of memory: raise memory in [limits], or hold less"
    );
}

#[tokio::test]
async fn tables() {
    let loaded = load("hostile", |policy| policy.limits.table_elements = 1).await;
    assert_eq!(
        loaded.unwrap_err().to_string(),
        "register wanted more than 1 table elements: raise table-elements in [limits], or hold less"
    );
}

/// The stack that Rust keeps in its memory ends before the engine's does.
#[tokio::test]
async fn stack() {
    match failure("Recurse", |_| {}).await {
        Failure::Trapped { reason } => assert!(reason.contains("recurse deeply?"), "{reason}"),
        other => assert_eq!(other, Failure::StackOverflow),
    }
}

#[tokio::test]
async fn leaving() {
    for how in ["Exit", "ExitZero"] {
        assert_eq!(failure(how, |_| {}).await, Failure::Exited, "{how}");
    }
}

#[tokio::test]
async fn a_panic_comes_with_its_text_and_a_trap_with_its_reason() {
    match failure("Panic", |_| {}).await {
        Failure::Panicked { text } => assert!(text.contains("hostile on purpose"), "{text}"),
        other => panic!("{other}"),
    }
    match failure("Trap", |_| {}).await {
        Failure::Trapped { reason } => assert!(reason.contains("unreachable"), "{reason}"),
        other => panic!("{other}"),
    }
    match failure("EmitThenPanic", |_| {}).await {
        Failure::Panicked { text } => assert!(text.contains("after emitting: "), "{text}"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_is_printed_beyond_the_limit_is_dropped_and_counted() {
    for (how, stream) in [("Stdout", "stdout"), ("Stderr", "stderr")] {
        let log = log::capture();
        let told = note(how, r#"{"bytes": 1048576}"#, |policy| {
            policy.limits.output_bytes = 2048;
        });
        assert_eq!(told.await, "written");
        let text = log.text();
        let dropped = format!("{stream}_dropped={}", (1 << 20) - 2048);
        assert!(text.contains(&dropped), "{text}");
        assert!(text.contains(&format!("stream=\"{stream}\"")), "{text}");
        // The second line is the last that fits, and its end comes from the log.
        assert_eq!(text.matches(&"x".repeat(1023)).count(), 2, "{text}");
    }
}

#[tokio::test]
async fn log_lines() {
    let log = log::capture();
    let told = note("LogFlood", r#"{"count": 50}"#, |policy| {
        policy.limits.log_lines = 7;
    });
    assert_eq!(told.await, "logged");
    let text = log.text();
    assert!(text.contains("lines_dropped=43"), "{text}");
    let (first, last) = ("line 6 plugin=\"hostile\"", "line 7 plugin=");
    assert!(text.contains(first) && !text.contains(last), "{text}");
    for (how, amount) in [
        ("BigLog", r#"{"bytes": 100000}"#),
        ("EmptyFields", r#"{"count": 20000}"#),
    ] {
        let log = log::capture();
        note(how, amount, |_| {}).await;
        assert!(log.text().contains("lines_dropped=1\n"), "{how}");
    }
}

/// A peer chooses it, and it stands in each line.
#[tokio::test]
async fn an_id_is_cut_in_log_lines() {
    let plugin = load("probe", |_| {}).await.unwrap();
    let mut event = event("cyverse.probe.Log", r#"{"message": "m", "count": 10}"#);
    event.id = "i".repeat(100_000);
    let event = Arc::new(event);
    let log = log::capture();
    let mut queries = plugin.registrations().queries.iter();
    let (handler, _) = queries.find(|(_, op)| *op == event.ty).unwrap();
    let call = Call::first(handler, &event, LONG);
    plugin.query(&call).await.unwrap();
    let text = log.text();
    assert_eq!(text.matches("… (100000 bytes)").count(), 10, "{text:.1000}");
    assert!(text.len() < 10 * 500, "{}", text.len());
}

#[tokio::test]
async fn what_is_printed_before_a_call_is_cut_off_is_in_the_log_once() {
    let log = log::capture();
    let deadline = 50 * MS;
    let failure = failure("PrintAndSleep", deadline_alone(deadline)).await;
    assert!(
        matches!(failure, Failure::DeadlineExceeded { .. }),
        "{failure}"
    );
    let text = log.text();
    assert_eq!(text.matches("connecting").count(), 1, "{text}");
}

#[tokio::test]
async fn names_are_not_kept_whatever_their_length() {
    let plugin = load("probe", |_| {}).await.unwrap();
    let (out, long) = ("org.cyverse.events.probe.Out", "x".repeat(1025));
    let ty = format!("org.cyverse.events.{long}");
    let steps = json!({"steps": [
        {"emit": {"type": out, "key": long}},
        {"exchange": {"type": out, "answer_types": [out], "key": long}},
        {"exchange": {"type": out, "answer_types": [ty]}},
        {"listen": {"handler": "heard", "types": [ty]}},
        {"listen": {"handler": "heard", "transaction_id": long}},
        {"unlisten": long},
    ]});
    let outcome = ask(&plugin, "cyverse.probe.Do", &steps.to_string()).await;
    let outcome = outcome.unwrap();
    assert!(outcome.effects.is_empty());
    let told = reply(Ok(outcome));
    let invalid = told["outcomes"]
        .to_string()
        .matches(r#""kind":"invalid""#)
        .count();
    assert_eq!(invalid, 6, "{told}");
}

#[tokio::test]
async fn emits() {
    let few = |policy: &mut Policy| policy.limits.emits = 3;
    let outcome = misbehave("EmitForever", r#"{"count": 5}"#, few).await;
    assert_eq!(outcome.as_ref().unwrap().effects.emitted.len(), 3);
    let told = reply(outcome)["note"].to_string();
    assert!(told.contains("raise emits in [limits]"), "{told}");
    let small = |policy: &mut Policy| policy.limits.emit_bytes = 2000;
    let told = note("BigEmit", r#"{"bytes": 2000}"#, small).await;
    assert!(told.contains("raise emit-bytes in [limits]"), "{told}");
    // The embedded bus takes 1 MiB.
    let told = note("BigEmit", r#"{"bytes": 1048576}"#, |_| {}).await;
    assert!(
        told.contains("1024 for the host's headers more than the 1048576 that the server takes"),
        "{told}"
    );
}

#[tokio::test]
async fn requests() {
    let few = |policy: &mut Policy| policy.limits.requests = 3;
    let told = note("RequestFlood", "{}", few).await;
    assert!(told.contains("raise requests in [limits]"), "{told}");
    // An exchange is one of them. Nobody answers those that are sent.
    let plugin = load("probe", few).await.unwrap();
    let out = "org.cyverse.events.probe.Out";
    let steps = json!({"steps": [
        {"exchange": {"type": out, "answer_types": [out], "timeout_ms": 1}},
        {"ask_all": {"queries": vec![json!({"op": "cyverse.probe.Nobody"}); 5]}},
        {"exchange": {"type": out, "answer_types": [out]}},
    ]});
    let told = reply(ask(&plugin, "cyverse.probe.Do", &steps.to_string()).await);
    let kind = |outcome: &Value| outcome["error"]["kind"].as_str().unwrap_or("").to_owned();
    let told = &told["outcomes"];
    assert_ne!(kind(&told[0]), "over-budget");
    let asked: Vec<_> = told[1].as_array().unwrap().iter().map(kind).collect();
    let [sent, over] = ["no-responders", "over-budget"];
    assert_eq!(asked, [sent, sent, over, over, over]);
    assert_eq!(kind(&told[2]), over);
}

#[tokio::test]
async fn handles() {
    let few = |policy: &mut Policy| policy.limits.handles = 50;
    let limit = 50;
    assert_eq!(
        failure("HandleFlood", few).await,
        Failure::OutOfHandles { limit }
    );
}

#[tokio::test]
async fn what_one_call_hands_over() {
    // Two messages of the embedded bus and a MiB.
    let limit = 3 << 20;
    for how in ["BigReply", "BigFault"] {
        let failure = misbehave(how, r#"{"bytes": 4194304}"#, |_| {}).await;
        assert_eq!(failure, Err(Failure::TooMuchAtOnce { limit }), "{how}");
    }
}

#[tokio::test]
async fn registering_late() {
    assert_eq!(
        failure("LateRegister", |_| {}).await.to_string(),
        "called a registration function outside register: declare handlers there"
    );
}

#[tokio::test]
async fn types_that_must_not_leave() {
    let told = note("BadEmits", "{}", |_| {}).await;
    for type_ in ["$JS.API.STREAM.DELETE.x", "_INBOX.x", "conche.dlq.x"] {
        assert!(told.contains(&format!("`{type_}` is reserved")), "{told}");
    }
    let outcome = misbehave("BadEmits", "{}", |_| {}).await.unwrap();
    assert_eq!(outcome.effects.emitted, []);
}

#[tokio::test]
async fn a_fault_takes_its_effects_back() {
    let plugin = load("probe", |_| {}).await.unwrap();
    let steps = json!({"steps": [
        {"emit": {"type": "org.cyverse.events.probe.Out"}},
        {"fault": {"code": 422, "message": "after emitting"}},
    ]});
    let outcome = ask(&plugin, "cyverse.probe.Do", &steps.to_string())
        .await
        .unwrap();
    assert_eq!(outcome.answer.unwrap_err().code, 422);
    assert_eq!(outcome.effects.emitted, []);
}
