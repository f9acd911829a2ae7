//! What `register` may do, and what comes of a plugin whose `register` misbehaves.

use std::time::Duration;

use conche::plugin::Plugin;

use super::load;

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);

/// The refusal of the hostile guest that registers like this.
async fn refusal(how: &str, deadline: Duration, cpu: Duration) -> String {
    let loaded: Result<Plugin, _> = load("hostile", |policy| {
        policy.config.insert("register".into(), how.into());
        policy.limits.register_deadline = deadline;
        policy.limits.cpu = cpu;
    })
    .await;
    loaded.unwrap_err().to_string()
}

async fn check(how: &str, expected: &str) {
    let refusal = refusal(how, LONG, LONG).await;
    assert!(refusal.starts_with(expected), "{how}: {refusal}");
}

#[tokio::test]
async fn what_it_says_is_handed_on() {
    check("err", "register failed: the configuration said so").await;
    check(
        "duplicate",
        "query `cyverse.hostile.Loop` is registered twice",
    )
    .await;
    let long = refusal("long-err", LONG, LONG).await;
    assert!(long.ends_with("xxx… (1048576 bytes)"), "{long:.100}");
    assert!(long.len() < 1100, "{}", long.len());
    let flood = "register registered more than 500 handlers: raise registrations in [limits]";
    check("flood", flood).await;
    let long = "the name `axxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (1048576 bytes)` has 1048576 bytes, more than 255";
    check("names", long).await;
    check("emit", "register emit works only while a handler runs").await;
}

#[tokio::test]
async fn what_it_does_is_a_failure() {
    check("trap", "register trapped: wasm trap: wasm `unreachable`").await;
    check("panic", "register panicked: ").await;
    check(
        "allocate",
        "register wanted more than 67108864 bytes of memory",
    )
    .await;
}

#[tokio::test]
async fn it_has_a_deadline_and_cpu_time() {
    let too_long =
        "register took longer than 100ms: raise register-deadline in [limits], or do less";
    assert_eq!(refusal("sleep", SHORT, LONG).await, too_long);
    assert_eq!(refusal("loop", SHORT, LONG).await, too_long);
    let too_much = "register used more than 100ms of cpu: raise cpu in [limits], or do less";
    assert_eq!(refusal("loop", LONG, SHORT).await, too_much);
}

#[tokio::test]
async fn a_plugin_registers_what_it_says() {
    let plugin = load("probe", |policy| {
        let config = [("ops", "cyverse.a cyverse.b"), ("any-event", "true")];
        let config = config.map(|(key, value)| (key.to_owned(), value.to_owned()));
        policy.config.extend(config);
    });
    let plugin = plugin.await.unwrap();
    let registrations = plugin.registrations();
    for op in ["cyverse.probe.Echo", "cyverse.a", "cyverse.b"] {
        let mut queries = registrations.queries.iter();
        assert!(queries.any(|(_, served)| served == op), "{op}");
    }
    assert!(registrations.any_event.is_some() && registrations.any_query.is_none());
    assert_eq!(registrations.listeners.len(), 1);
    assert!(registrations.reusable);
}
