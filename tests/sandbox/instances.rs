//! Which call gets an instance that served another.

use std::time::Duration;

use conche::plugin::Plugin;
use conche::policy::{InstanceMode, Policy};
use conche::sandbox::Failure;
use serde_json::{Value, json};

use super::{ask, ask_again, load, load_in, reply, sandbox_for};

const DO: &str = "cyverse.probe.Do";
const NOTHING: &str = r#"{"steps": []}"#;

/// How many calls the instance has served that answers next.
async fn calls(plugin: &Plugin) -> u64 {
    calls_at(plugin, 1).await
}

async fn calls_at(plugin: &Plugin, attempt: u32) -> u64 {
    let reply = reply(ask_again(plugin, DO, NOTHING, attempt).await);
    reply["calls"].as_u64().unwrap()
}

async fn check(change: impl FnOnce(&mut Policy), expected: [u64; 4]) {
    let plugin = load("probe", change).await.unwrap();
    let mut found = [0; 4];
    for found in &mut found {
        *found = calls(&plugin).await;
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_reusable_guest_is_reused_as_the_policy_has_it() {
    check(|_| {}, [1, 2, 3, 4]).await;
    check(|policy| policy.instances.mode = InstanceMode::Fresh, [1; 4]).await;
    check(|policy| policy.instances.max_calls = 3, [1, 2, 3, 1]).await;
    check(|policy| policy.instances.memory_mark_bytes = 0, [1; 4]).await;
    check(|policy| policy.instances.idle_max = 0, [1; 4]).await;
}

#[tokio::test]
async fn a_guest_that_did_not_say_reusable_is_always_fresh() {
    let say_no = ("reusable".to_owned(), "false".to_owned());
    check(|policy| policy.config.extend([say_no]), [1; 4]).await;
}

#[tokio::test]
async fn what_ran_before_and_failed_gets_a_fresh_instance() {
    let plugin = load("probe", |_| {}).await.unwrap();
    assert_eq!([calls(&plugin).await, calls(&plugin).await], [1, 2]);
    assert_eq!(calls_at(&plugin, 2).await, 1);
    assert_eq!(calls_at(&plugin, 7).await, 1);
}

#[tokio::test]
async fn an_instance_that_failed_or_was_cut_off_is_gone() {
    let plugin = load("probe", |policy| {
        policy.limits.deadline = Duration::from_secs(1);
    });
    let plugin = plugin.await.unwrap();
    for ending in [
        json!({"panic": "on purpose"}),
        json!({"sleep": {"ms": 3_600_000}}),
    ] {
        assert_eq!([calls(&plugin).await, calls(&plugin).await], [1, 2]);
        let steps = json!({"steps": [ending]}).to_string();
        ask(&plugin, DO, &steps).await.unwrap_err();
    }
    assert_eq!(calls(&plugin).await, 1);
}

#[tokio::test]
async fn budgets_are_those_of_one_call() {
    let plugin = load("probe", |policy| policy.limits.emits = 2)
        .await
        .unwrap();
    let emit = json!({"emit": {"type": "org.cyverse.events.probe.Out", "count": 3}});
    let steps = json!({"steps": [emit]}).to_string();
    for call in 1..=3 {
        let outcome = ask(&plugin, DO, &steps).await;
        assert_eq!(outcome.as_ref().unwrap().effects.emitted.len(), 2);
        assert_eq!(reply(outcome)["calls"], call);
    }
}

#[tokio::test]
async fn a_guest_sees_its_configuration_and_nothing_of_the_machine() {
    let plugin = load("probe", |policy| {
        policy.config.insert("greeting".into(), "hello".into());
    });
    let plugin = plugin.await.unwrap();
    let seen = reply(ask_again(&plugin, "cyverse.probe.Context", "null", 1).await);
    assert_eq!(seen["config"], json!({"greeting": "hello"}));
    assert_eq!(seen["attempt"], 1);
    let sandbox = &seen["sandbox"];
    assert_eq!(sandbox["environment"], 0);
    assert_eq!(sandbox["arguments"], 0);
    assert_eq!(sandbox["files"], Value::Bool(false));
    assert!(sandbox["sockets"].is_string(), "{sandbox}");
}

/// Room for two instances, in the pool; one of them may be idle.
#[tokio::test]
async fn who_is_idle_makes_room() {
    let sandbox = sandbox_for(2, Some(super::cache_in(super::cache_dir())));
    let first = load_in(&sandbox, "probe", |_| {}).await.unwrap();
    let second = load_in(&sandbox, "probe", |_| {}).await.unwrap();
    assert_eq!([calls(&first).await, calls(&first).await], [1, 2]);
    // Both run: the idle one of the first has to go.
    let nap = json!({"steps": [{"sleep": {"ms": 50}}]}).to_string();
    let (one, two) = tokio::join!(ask(&second, DO, &nap), ask(&second, DO, &nap));
    assert_eq!(
        [reply(one)["calls"].clone(), reply(two)["calls"].clone()],
        [1, 1]
    );
    assert_eq!(calls(&first).await, 1);
    // Three at once are one too many.
    let three = tokio::join!(
        ask(&second, DO, &nap),
        ask(&second, DO, &nap),
        ask(&first, DO, &nap)
    );
    assert!(matches!(three.2, Err(Failure::NoRoom { .. })), "{three:?}");
    assert!(three.0.is_ok() && three.1.is_ok(), "{three:?}");
}
