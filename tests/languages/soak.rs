//! One instance, called again and again: it neither grows nor traps, whatever it is written in.

use std::sync::Arc;

use conche::sandbox::{Stage, Usage};
use serde_json::json;

use super::{LANGUAGES, component};
use crate::sandbox::{SANDBOX, ask, load_file, reply};

const CALLS: u32 = 20_000;
/// Go's collector goes by the clock: when the machine is busy it takes one page more. That is less
/// than five bytes for each of the small calls.
const PAGE: usize = 64 << 10;
/// Heaps find their size in these, and collectors their pace.
const SETTLING: u32 = 5_000;

async fn check(name: &str, length: usize, calls: u32, settling: u32) {
    for language in LANGUAGES {
        let stage = Arc::new(Stage::default());
        let whole = |policy: &mut conche::policy::Policy| {
            policy.instances.max_calls = u64::MAX;
            policy.instances.memory_mark_bytes = policy.limits.memory_bytes;
        };
        let file = component("greeter", language);
        let plugin = load_file(&SANDBOX, &file, whole, Some(stage.clone()))
            .await
            .unwrap();
        let asked = json!({ "name": name.repeat(length) }).to_string();
        let answer = json!({ "greeting": format!("Hello, {}!", name.repeat(length)) });
        let mut settled = Usage::default();
        for call in 0..calls {
            let said = reply(ask(&plugin, "cyverse.greeter.Greet", &asked).await);
            assert!(said == answer, "{language}, call {call}: another answer");
            if call == settling {
                settled = stage.seen().usage;
            }
        }
        let usage = stage.seen().usage;
        let (before, after) = (settled.call_memory_bytes, usage.call_memory_bytes);
        let grew = after - before;
        let allowed = if language == "go" { PAGE } else { 0 };
        assert!(grew <= allowed, "{language} grew by {grew} bytes");
        // One for `register`, one for all calls.
        assert_eq!(usage.instances, 2, "{language}");
    }
}

#[tokio::test]
async fn small_calls() {
    check("Ada", 1, CALLS, SETTLING).await;
}

#[tokio::test]
async fn large_calls() {
    check("Ada ", 1 << 17, 200, 50).await;
}
