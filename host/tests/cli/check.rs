//! `conche check`.

use serde_json::{Value, json};

use crate::conche::{Place, Run};

/// What differs from one compiler, or one machine, to the next is left out.
fn shown(run: &Run) -> String {
    let line = |line: &str| match line.split_once(' ') {
        Some(("made", _)) => "made with …\n".to_owned(),
        Some((key, _)) if USED.contains(&key) => format!("{key} …\n"),
        _ => format!("{line}\n"),
    };
    run.stderr.lines().map(line).collect()
}

/// The amounts of a plugin that is well.
const USED: [&str; 5] = [
    "deadline",
    "register-deadline",
    "cpu",
    "memory",
    "table-elements",
];

fn findings(run: &Run) -> Vec<Value> {
    let checked: Value = serde_json::from_str(&run.stdout).unwrap();
    checked["findings"].as_array().unwrap().clone()
}

fn whats(run: &Run) -> Vec<String> {
    let what = |finding: &Value| finding["what"].as_str().unwrap().to_owned();
    findings(run).iter().map(what).collect()
}

#[test]
fn findings_go_to_stderr_and_the_least_policy_to_stdout() {
    let place = Place::new();
    let run = place.run(&["check", &place.guest("orders")]);
    assert_eq!(run.code, Some(0));
    insta::assert_snapshot!(format!("{}\n---- stdout\n{}", shown(&run), run.stdout));
}

#[test]
fn what_is_printed_is_all_that_a_plugin_needs() {
    let place = Place::new();
    for (name, config) in [
        ("greeter", ""),
        ("auditor", ""),
        ("probe", "any-query = \"true\""),
    ] {
        let plugin = place.guest(name);
        let file = format!("{name}.toml");
        place.file(
            &file,
            &format!("[grants]\nany-query = true\n[config]\n{config}\n"),
        );
        let first = place.run(&["check", &plugin]);
        assert_eq!(first.code, Some(0), "{first:?}");
        let config = format!("{}{config}\n", first.stdout);
        place.file(&file, &config);
        let second = place.run(&["check", &plugin, "--json"]);
        assert_eq!(second.code, Some(0), "{second:?}");
        let worse = findings(&second);
        let worse = worse.iter().filter(|finding| finding["severity"] != "note");
        let imports =
            |finding: &&Value| finding["what"].as_str().unwrap().starts_with("it imports");
        assert_eq!(worse.filter(|it| !imports(it)).count(), 0, "{second:?}");
    }
}

#[test]
fn what_is_not_granted_is_named_with_the_line_to_add() {
    let place = Place::new();
    let policy = place.file(
        "policy.toml",
        "[grants]\nquery = ['cyverse.other.*']\nevent = []\nrequest = ['cyverse.users.Get']\n",
    );
    let run = place.run(&["check", &place.guest("orders"), "--policy", policy]);
    assert_eq!(run.code, Some(5));
    insta::assert_snapshot!(shown(&run));
}

#[test]
fn what_a_handler_does_when_it_is_tried_is_seen() {
    let place = Place::new();
    let policy = place.file("policy.toml", "[grants]\n");
    let run = place.run(&[
        "check",
        &place.guest("auditor"),
        "--policy",
        policy,
        "--json",
    ]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(
        findings(&run),
        [json!({
            "severity": "warning",
            "check": "grants",
            "what": "it emits `org.cyverse.events.AuditRecorded`, which is not granted",
            "mend": "add \"org.cyverse.events.AuditRecorded\" to emit in [grants] of policy.toml",
        })]
    );
    let checked: Value = serde_json::from_str(&run.stdout).unwrap();
    let policy = checked["policy"].as_str().unwrap();
    let line = "emit = [\"org.cyverse.events.AuditRecorded\"]\n";
    assert!(policy.contains(line), "{policy}");
}

#[test]
fn memory_that_is_too_small_is_found_with_what_is_needed() {
    let place = Place::new();
    let greeter = place.guest("greeter");
    let check = |memory: &str| {
        let policy = place.file("policy.toml", &format!("[limits]\nmemory = '{memory}'\n"));
        place.run(&["check", &greeter, "--policy", policy, "--json"])
    };
    let run = check("64KiB");
    assert_eq!(run.code, Some(5), "{run:?}");
    let found = findings(&run);
    assert_eq!(found[0]["severity"], "error", "{found:?}");
    let what = "a fresh instance wants more than 0.1 MiB of memory";
    assert_eq!(found[0]["what"], what);
    let mend = found[0]["mend"].as_str().unwrap();
    let memory = mend.split('"').nth(1).unwrap();
    let run = check(memory);
    assert_eq!((run.code, findings(&run)), (Some(0), vec![]), "{mend}");
    // Between the two it runs, with little to spare.
    let checked: Value = serde_json::from_str(&run.stdout).unwrap();
    let used = checked["used"].as_array().unwrap();
    let used = used.iter().find(|it| it["limit"] == "memory").unwrap();
    let run = check(&used["used"].to_string());
    assert_eq!(run.code, Some(0));
    assert_eq!(findings(&run)[0]["severity"], "warning", "{run:?}");
}

#[test]
fn an_instance_that_is_never_kept_is_found() {
    let place = Place::new();
    let policy = place.file("policy.toml", "[instances]\nmemory-mark = '1MiB'\n");
    let greeter = place.guest("greeter");
    let run = place.run(&["check", &greeter, "--policy", policy, "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let what = &whats(&run)[0];
    assert!(
        what.contains("each call gets a fresh instance: 1.1 MiB after a call"),
        "{what}"
    );
    place.file(
        "policy.toml",
        "[instances]\nmemory-mark = '1MiB'\nmode = 'fresh'\n",
    );
    let run = place.run(&["check", &greeter, "--policy", policy, "--json"]);
    assert_eq!(findings(&run), Vec::<Value>::new());
}

#[test]
fn a_handler_that_spins_is_found() {
    let place = Place::new();
    let policy = place.file("policy.toml", "[limits]\ncpu = '50ms'\n");
    let run = place.run(&[
        "check",
        &place.guest("hostile"),
        "--policy",
        policy,
        "--json",
    ]);
    assert_eq!(run.code, Some(5), "{run:?}");
    let whats = whats(&run);
    assert_eq!(
        whats[..2],
        [
            "`query` runs for longer than 50 ms",
            "`event` runs for longer than 50 ms"
        ]
    );
}

#[test]
fn a_register_that_fails_leaves_no_policy_to_print() {
    let place = Place::new();
    let hostile = place.guest("hostile");
    let check = |how: &str| {
        let policy = format!("[config]\nregister = '{how}'\n");
        let policy = place.file("policy.toml", &policy);
        let run = place.run(&["check", &hostile, "--policy", policy, "--json"]);
        assert_eq!(run.code, Some(5), "{run:?}");
        let checked: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(checked["policy"], Value::Null);
        whats(&run)[0].clone()
    };
    assert_eq!(
        check("err"),
        "it does not load: register failed: the configuration said so"
    );
    assert_eq!(check("sleep"), "register takes longer than 2 s");
    assert!(check("allocate").starts_with("register wants more than 64 MiB of memory"));
}

#[test]
fn what_the_ceiling_forbids_no_policy_grants() {
    let place = Place::new();
    let ceiling = "[plugins.ceiling.grants]\nquery = ['cyverse.users.>']\n";
    let config = place.file("conche.toml", ceiling);
    let run = place.run(&[
        "check",
        &place.guest("greeter"),
        "--config",
        config,
        "--json",
    ]);
    assert_eq!(run.code, Some(5), "{run:?}");
    let whats = whats(&run);
    let above = |what: &String| what.contains("is not covered by the ceiling's");
    assert!(whats.iter().any(above), "{whats:?}");
}

#[test]
fn what_is_no_plugin_is_refused_as_one_document_too() {
    let place = Place::new();
    let run = place.run(&["check", &place.guest("no_lifecycle"), "--json"]);
    assert_eq!(run.code, Some(5));
    let reason = "no exported instance named `conche:handler/lifecycle@0.1.0`";
    assert!(whats(&run)[0].contains(reason), "{run:?}");
    let run = place.run(&["check", "none.wasm"]);
    assert_eq!((run.code, &*run.stdout), (Some(1), ""));
    let policy = place.file("policy.toml", "[limit]\n");
    let run = place.run(&["check", &place.guest("greeter"), "--policy", policy]);
    assert_eq!((run.code, &*run.stdout), (Some(3), ""));
}

/// `(component (import "wasi:http/types@0.2.0" (instance (export "f" (func)))))`
const WANTS_HTTP: &[u8] = b"\0asm\x0d\0\x01\0\
    \x07\x0e\x01\x42\x02\x01\x40\0\x01\0\x04\0\x01f\x01\0\
    \x0a\x1a\x01\0\x15wasi:http/types@0.2.0\x05\0";

#[test]
fn what_no_host_has_is_named() {
    let place = Place::new();
    std::fs::write(place.dir.path().join("web.wasm"), WANTS_HTTP).unwrap();
    let run = place.run(&["check", "web.wasm", "--json"]);
    assert_eq!(run.code, Some(5), "{run:?}");
    assert!(
        whats(&run)[0].contains("`wasi:http/types@0.2.0`"),
        "{run:?}"
    );
    let mend = findings(&run)[0]["mend"].to_string();
    assert!(mend.contains("hosts give cli, clocks"), "{mend}");
}

/// Compiled once, and kept: it takes long.
#[test]
fn toolchain_a_runtime_is_told_with_what_it_holds() {
    let place = Place::new();
    let policy = place.file("policy.toml", "[limits]\nmemory = \"1MiB\"\n");
    let cache = std::env::home_dir().unwrap().join(".cache");
    let kept = [("XDG_CACHE_HOME", cache.to_str().unwrap())];
    for (language, runtime) in [("python", "CPython"), ("js", "QuickJS")] {
        let component = place.guest_in(language, "greeter");
        let run = place.run_with(&["check", &component, "--policy", policy, "--json"], &kept);
        assert_eq!(run.code, Some(5), "{run:?}");
        let checked: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(checked["runtime"]["name"], runtime);
        let found = findings(&run);
        let what = "a fresh instance wants more than 1 MiB of memory";
        assert_eq!(found[0]["what"], what);
        let mend = found[0]["mend"].as_str().unwrap();
        assert!(mend.starts_with("set memory = \""), "{mend}");
        let lies = format!(" before any call: {runtime} lies in it");
        let whats = whats(&run);
        assert!(whats.iter().any(|what| what.ends_with(&lies)), "{whats:?}");
    }
}
