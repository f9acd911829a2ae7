//! Plugins that come, change and go while the host runs.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{DEADLINE, Setup, TestHost, bytes, event, guest};

pub(crate) const GET: &str = "cyverse.versioned.Get";

pub(crate) async fn version(host: &TestHost) -> String {
    let answer = host.ask_json(GET, "{}").await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    answer["version"].as_str().unwrap().to_owned()
}

/// A host that serves the first version, as the plugin `versioned`.
pub(crate) async fn with_v1() -> TestHost {
    let host = TestHost::start(&[]).await;
    host.put("versioned", &bytes("versioned_v1"));
    assert_eq!(host.tried("versioned", &bytes("versioned_v1")).await, None);
    host.ask_until(GET, "{}", |answer| answer.contains("1.0.0"))
        .await;
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_comes_later_serves() {
    let host = TestHost::start(&[]).await;
    assert!(host.ask(GET, "{}").await.is_err());
    host.put("versioned", &bytes("versioned_v1"));
    host.ask_until(GET, "{}", |answer| answer.contains("1.0.0"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_on_the_version_it_began_on() {
    let host = with_v1().await;
    let idle = host.free_slots("versioned");
    let bus = host.bus().clone();
    let message = event(GET, r#"{"sleep_ms":3000}"#).to_structured().unwrap();
    let slow = tokio::spawn(async move { bus.request(GET, message, DEADLINE).await });
    host.until_running("versioned", idle).await;
    host.put("versioned", &bytes("versioned_v2"));
    host.ask_until(GET, "{}", |answer| answer.contains("2.0.0"))
        .await;
    let answer = slow.await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(answer.contains("1.0.0"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_plugin_leaves_no_query_without_an_answer() {
    let host = with_v1().await;
    let ask = |bus: conche::embedded::Bus| async move {
        loop {
            let message = event(GET, "{}").to_structured().unwrap();
            if let Err(error) = bus.request(GET, message, DEADLINE / 2).await {
                return error.to_string();
            }
        }
    };
    let askers: Vec<_> = (0..8)
        .map(|_| tokio::spawn(ask(host.bus().clone())))
        .collect();
    std::fs::remove_file(host.path("versioned")).unwrap();
    for asker in askers {
        let last = tokio::time::timeout(DEADLINE, asker).await.unwrap();
        assert_eq!(last.unwrap(), format!("nobody answers on `{GET}`"));
    }
    assert!(host.serving("versioned").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_written_in_pieces_serves_once_it_is_whole() {
    let host = with_v1().await;
    let whole = bytes("versioned_v2");
    let (first, second) = whole.split_at(whole.len() / 2);
    let mut file = File::create(host.path("versioned")).unwrap();
    file.write_all(first).unwrap();
    let reason = host.tried("versioned", first).await.unwrap();
    assert!(reason.contains("is no WebAssembly component"), "{reason}");
    assert_eq!(version(&host).await, "1.0.0");
    file.write_all(second).unwrap();
    drop(file);
    host.ask_until(GET, "{}", |answer| answer.contains("2.0.0"))
        .await;
    assert_eq!(host.tried("versioned", &whole).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_plugin_are_refused_and_the_old_version_serves() {
    let host = with_v1().await;
    let before = host.serving("versioned").unwrap();
    let mut cut = bytes("versioned_v2");
    cut.pop();
    let mut compiled = vec![0; 64];
    // The header of what wasmtime compiles: an ELF file of its own kind.
    compiled[..9].copy_from_slice(b"\x7fELF\x02\x01\x01\xc8\x00");
    (compiled[16], compiled[18], compiled[20]) = (1, 62, 1);
    (compiled[48], compiled[52], compiled[58]) = (2, 64, 64);
    let cases: [(&[u8], &str); 8] = [
        (b"", "is empty: was it still being written?"),
        (&cut, "is no WebAssembly component: "),
        (b"#!/bin/sh\n", "is no WebAssembly component: "),
        (
            b"\0asm\x0d\0\x01\0\xff\xff\xff\xff",
            "is no WebAssembly component: ",
        ),
        (b"\0asm\x01\0\0\0", "is a core module, not a component: "),
        (
            &compiled,
            "is compiled machine code (.cwasm), which is never loaded",
        ),
        (&bytes("wrong_world"), "is a component of another world: "),
        (&bytes("no_lifecycle"), "is a component of another world: "),
    ];
    for (bad, reason) in cases {
        host.put("versioned", bad);
        let refusal = host.tried("versioned", bad).await.unwrap();
        assert!(refusal.contains(reason), "{reason}: {refusal}");
        assert_eq!(version(&host).await, "1.0.0", "{reason}");
    }
    // The same file as before all that: nothing to do, and no refusal is left behind.
    host.put("versioned", &bytes("versioned_v1"));
    assert_eq!(host.tried("versioned", &bytes("versioned_v1")).await, None);
    assert!(Arc::ptr_eq(&before, &host.serving("versioned").unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_refused_with_the_line_to_add() {
    let setup = Setup {
        guests: &["versioned_v1"],
        policies: &[("versioned_v1", "[grants]\nquery = ['cyverse.users.*']")],
        grants_as_written: true,
        ..Setup::default()
    };
    let host = TestHost::with(setup).await;
    let file = host.dir.path().join("versioned_v1.toml");
    let expected = format!(
        "registers `{GET}`: not granted: add \"{GET}\" to query in [grants] of {}",
        file.display()
    );
    host.refuses("versioned_v1", &expected).await;
    host.put_policy("versioned_v1", &format!("[grants]\nquery = ['{GET}']"));
    host.ask_until(GET, "{}", |answer| answer.contains("1.0.0"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_that_could_never_be_served_are_refused() {
    let host = TestHost::start(&[]).await;
    let cases = [
        (
            "outside-namespace",
            "registers query `org.elsewhere.Do` outside the namespace `cyverse.>`: set NATS_WILDCARD_SUBJECT, or rename the op",
        ),
        (
            "unstreamed",
            "listens to `com.example.Nowhere`, which no stream takes (stream `conche-events` takes `org.cyverse.events.>`)",
        ),
        ("reserved", "`$JS.API.STREAM.NAMES`"),
        ("wildcard", "`cyverse.hostile.>`"),
    ];
    for (how, _) in cases {
        host.put_policy(how, &format!("config.register = '{how}'"));
        host.put(how, &bytes("hostile"));
    }
    for (how, reason) in cases {
        let refusal = host.tried(how, &bytes("hostile")).await.unwrap();
        assert!(refusal.contains(reason), "{how}: {refusal}");
    }
    assert_eq!(host.host.dispatcher().registry().ops().count(), 0);
    // What never served is not counted: its ops are no series.
    let metrics = host.metrics();
    assert!(!metrics.contains("cyverse.hostile."), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_goes_to_who_was_first_and_to_the_next_when_that_one_leaves() {
    let host = TestHost::start(&[]).await;
    host.put("first", &bytes("versioned_v1"));
    host.ask_until(GET, "{}", |answer| answer.contains("1.0.0"))
        .await;
    host.put("second", &bytes("versioned_v2"));
    let refusal = host.tried("second", &bytes("versioned_v2")).await;
    let expected = format!("query `{GET}` is served by plugin `first`: remove one of the two");
    assert_eq!(refusal, Some(expected));
    assert_eq!(version(&host).await, "1.0.0");
    std::fs::remove_file(host.path("first")).unwrap();
    host.serves("second").await;
    host.ask_until(GET, "{}", |answer| answer.contains("2.0.0"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_that_a_new_version_lets_go_of_goes_to_the_next() {
    let host = TestHost::start(&[]).await;
    host.put("second", &bytes("versioned_v1"));
    host.ask_until(GET, "{}", |answer| answer.contains("1.0.0"))
        .await;
    host.put("first", &bytes("versioned_v2"));
    let refusal = host.tried("first", &bytes("versioned_v2")).await;
    assert!(refusal.unwrap().contains("is served by plugin `second`"));
    host.put("second", &bytes("greeter"));
    host.serves("first").await;
    host.ask_until(GET, "{}", |answer| answer.contains("2.0.0"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loser_is_tried_again_when_another_loser_lets_go() {
    let host = TestHost::start(&[]).await;
    host.put("holder", &bytes("versioned_v1"));
    host.put("moves", &bytes("greeter"));
    host.serves("holder").await;
    host.serves("moves").await;
    host.put("waits", &bytes("greeter"));
    host.refuses("waits", "is served by plugin `moves`").await;
    // The younger file: it is tried after the one that waits for what it has.
    host.put("moves", &bytes("versioned_v2"));
    host.refuses("moves", "is served by plugin `holder`").await;
    std::fs::remove_file(host.path("holder")).unwrap();
    host.serves("moves").await;
    host.serves("waits").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_start_an_op_goes_to_the_older_file() {
    let dir = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::now();
    for (name, from, age) in [("a", "versioned_v1", 1), ("b", "versioned_v2", 2)] {
        let path = dir.path().join(format!("{name}.wasm"));
        std::fs::copy(guest(from), &path).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(now - Duration::from_secs(age)).unwrap();
    }
    let setup = Setup {
        plugins: Some(dir.path()),
        ..Setup::default()
    };
    let host = TestHost::with(setup).await;
    assert_eq!(version(&host).await, "2.0.0");
    host.refuses("a", "is served by plugin `b`").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_with_a_mistake_leaves_the_old_version() {
    let host = with_v1().await;
    host.put_policy("versioned", "[limit]\ndeadline = '1s'");
    host.refuses("versioned", "limit: unknown key, did you mean `limits`?")
        .await;
    assert_eq!(version(&host).await, "1.0.0");
    // Bytes that come now wait for the policy: they were never meant for the old one.
    host.put("versioned", &bytes("versioned_v2"));
    let refusal = host.tried("versioned", &bytes("versioned_v2")).await;
    assert!(refusal.unwrap().contains("unknown key"));
    assert_eq!(version(&host).await, "1.0.0");
    host.put_policy("versioned", "[limits]\ndeadline = '1s'");
    host.ask_until(GET, "{}", |answer| answer.contains("2.0.0"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_alone_makes_a_new_version() {
    let host = TestHost::start(&["greeter"]).await;
    let old = host.serving("greeter").unwrap();
    host.put_policy("greeter", "limits.deadline = '1234ms'");
    let swapped = async {
        loop {
            let now = host.serving("greeter").unwrap();
            if now.policy().limits.deadline == Duration::from_millis(1234) {
                return now;
            }
            tokio::task::yield_now().await;
        }
    };
    let new = tokio::time::timeout(DEADLINE, swapped).await.unwrap();
    assert_eq!(new.digest(), old.digest());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_empty_or_away_for_a_moment_is_not_taken() {
    let text = "limits.deadline = '1234ms'";
    let setup = Setup {
        guests: &["greeter"],
        policies: &[("greeter", text)],
        ..Setup::default()
    };
    let host = TestHost::with(setup).await;
    let before = host.serving("greeter").unwrap();
    let policy = host.dir.path().join("greeter.toml");
    let moments: [fn(&Path); 2] = [
        |policy| drop(File::create(policy).unwrap()),
        |policy| std::fs::remove_file(policy).unwrap(),
    ];
    for moment in moments {
        let looks = host.host.report().borrow().looks;
        moment(&policy);
        host.reports(|report| report.looks > looks + 1).await;
        std::fs::write(&policy, text).unwrap();
        let looks = host.host.report().borrow().looks;
        host.reports(|report| report.looks > looks + 1).await;
        assert!(Arc::ptr_eq(&before, &host.serving("greeter").unwrap()));
    }
    // For good, it is: then the defaults decide.
    std::fs::remove_file(&policy).unwrap();
    let default = async {
        while Arc::ptr_eq(&before, &host.serving("greeter").unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, default).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn however_an_editor_saves_there_is_always_somebody_who_answers() {
    let host = with_v1().await;
    let dances: [fn(&Path, &[u8]); 3] = [
        |path, bytes| {
            let temporary = path.with_extension("wasm~");
            std::fs::write(&temporary, bytes).unwrap();
            std::fs::rename(&temporary, path).unwrap();
        },
        |path, bytes| std::fs::write(path, bytes).unwrap(),
        |path, bytes| {
            std::fs::rename(path, path.with_extension("bak")).unwrap();
            std::fs::write(path, bytes).unwrap();
            std::fs::remove_file(path.with_extension("bak")).unwrap();
        },
    ];
    let done = AtomicBool::new(false);
    let ask = async {
        while !done.load(Ordering::Relaxed) {
            version(&host).await;
        }
    };
    let save = async {
        for (dance, next) in dances.iter().zip([2, 1, 2]) {
            let new = bytes(&format!("versioned_v{next}"));
            dance(&host.path("versioned"), &new);
            assert_eq!(host.tried("versioned", &new).await, None);
            assert_eq!(version(&host).await, format!("{next}.0.0"));
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(ask, save);
}
