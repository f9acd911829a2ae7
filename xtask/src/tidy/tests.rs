//! Each rule, by snippets that keep it and snippets that break it.

use super::{IGNORED, MACHINE, SLEEPS, UNFINISHED, judge};

/// Expects these rules to be broken, as `line rule`, by one file.
#[track_caller]
fn check(path: &str, text: &str, expected: &[&str]) {
    let mistakes = judge(&[(path.to_owned(), text.to_owned())]);
    let found: Vec<_> = mistakes
        .iter()
        .map(|m| format!("{} {}", m.line, m.rule))
        .collect();
    assert_eq!(found, expected, "{path}: {text}");
}

/// The same, for one line of code under a good header.
#[track_caller]
fn check_line(path: &str, line: &str, expected: &[&str]) {
    check(path, &format!("//! A file.\n{line}\n"), expected);
}

#[test]
fn every_file_has_a_header_and_an_end() {
    check("host/src/a.rs", "//! Owns a.\n", &[]);
    check("host/src/a.rs", "// Owns a.\n", &["1 header"]);
    check("host/src/a.rs", "", &["1 header"]);
    check("notes.md", "no header needed\n", &[]);
    check("xtask/src/a.rs", &"//! Long.\n".repeat(400), &[]);
    check(
        "xtask/src/a.rs",
        &"//! Long.\n".repeat(401),
        &["401 length"],
    );
    check("host/src/a/b/c.rs", "//! Deep.\n", &[]);
    check("host/src/a/b/c/d.rs", "//! Too deep.\n", &["1 depth"]);
    check("tests/guests/a/b/c/d.rs", "//! Not the host.\n", &[]);
}

#[test]
fn libraries_stay_behind_their_fences() {
    let nats = &["2 nats-only-at-the-edge"];
    check_line("host/src/nats/connect.rs", "use async_nats::Client;", &[]);
    check_line("host/src/intake.rs", "use async_nats::Client;", nats);
    check_line("host/src/natsy.rs", "fn f(c: &async_nats::Client) {}", nats);
    check_line("host/src/dispatch.rs", "// as async_nats::Client does", &[]);
    check_line("tests/src/wire.rs", "use async_nats::Client;", &[]);

    let wasmtime = &["2 wasmtime-only-in-sandbox"];
    check_line("host/src/sandbox/limits.rs", "use wasmtime::Store;", &[]);
    check_line("host/src/plugin.rs", "use wasmtime::Store;", wasmtime);
    check_line("host/src/plugin.rs", "use wasmtime_wasi as wasi;", wasmtime);
    check_line("host/src/plugin.rs", "let wasmtime_version = 1;", &[]);

    let notify = &["2 notify-only-in-watch"];
    check_line("host/src/watch.rs", "use notify::Watcher;", &[]);
    check_line("host/src/reload.rs", "use notify::Watcher;", notify);
    check_line(
        "host/src/reload.rs",
        "use notify_debouncer_full::new_debouncer;",
        notify,
    );
    check_line("host/src/reload.rs", "use tokio::sync::Notify;", &[]);
    check_line("host/src/reload.rs", "self.notify_one();", &[]);
}

#[test]
fn the_environment_is_read_at_the_top() {
    let broken = &["2 environment-only-at-the-top"];
    check_line("host/src/main.rs", "std::env::args()", &[]);
    check_line("host/src/cli/run.rs", "std::env::var(\"A\")", &[]);
    check_line("host/src/config/defaults.rs", "use std::env;", &[]);
    check_line("host/src/policy.rs", "use std::env;", broken);
    check_line("host/src/client.rs", "env::args()", broken);
    check_line("host/src/gateway.rs", "env!(\"CARGO_PKG_VERSION\")", &[]);
    check_line("xtask/src/main.rs", "std::env::args()", &[]);
}

#[test]
fn nothing_is_left_unfinished_ignored_or_asleep() {
    for word in UNFINISHED {
        check_line(
            "guest-sdk/src/a.rs",
            &format!("    {word})"),
            &["2 unfinished"],
        );
    }
    check_line(
        "tests/src/a.rs",
        &format!("{IGNORED} = \"slow\"]"),
        &["2 no-ignored-tests"],
    );
    for sleep in SLEEPS {
        let line = format!("tokio::{sleep}(second)");
        check_line("tests/src/a.rs", &line, &["2 no-sleep-in-tests"]);
        check_line("host/src/a/tests.rs", &line, &["2 no-sleep-in-tests"]);
        check_line("host/src/a/b_tests.rs", &line, &["2 no-sleep-in-tests"]);
        check_line("host/src/a.rs", &line, &[]);
        check_line(
            "host/src/a.rs",
            &format!("#[cfg(test)]\n{line}"),
            &["3 no-sleep-in-tests"],
        );
        check_line("tests/guests/a/src/lib.rs", &line, &[]);
    }
}

#[test]
fn no_path_of_one_machine_gets_in() {
    for word in MACHINE {
        check(
            "README.md",
            &format!("cd {word}conche\n"),
            &["1 no-machine-paths"],
        );
        check(
            "a.toml",
            &format!("a = 1\nb = \"{word}conche\"\n"),
            &["2 no-machine-paths"],
        );
        check("README.md", &format!("target{word}conche\n"), &[]);
    }
}

#[test]
fn the_map_names_every_module_of_the_host() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let mut files = vec![
        file("host/src/settle.rs", "//! Settles.\n"),
        file("host/src/policy.rs", "//! Allows.\n"),
        file("host/src/policy/limits.rs", "//! Limits.\n"),
    ];
    assert_eq!(judge(&files), []);
    files.push(file(
        "ARCHITECTURE.md",
        "`settle.rs` is pure; policy_of is not policies\n",
    ));
    let found: Vec<_> = judge(&files).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["ARCHITECTURE.md:1: map: say what host/src/policy.rs owns"]
    );
}

#[test]
fn sdks_have_the_version_of_the_workspace() {
    let check = |path: &str, text: &str, expected: usize| {
        let workspace = "[workspace]\nversion = \"0.1.0\"\ntoml = { version = \"9.9.9\" }\n";
        let files = [("Cargo.toml", workspace), (path, text)];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let mistakes = judge(&files);
        assert_eq!(mistakes.len(), expected, "{path}: {text}");
        assert!(mistakes.iter().all(|m| m.rule == "one-version"));
    };
    check("guest-sdk/c/conche.h", "/* version 0.1.0, */", 0);
    check("guest-sdk/c/conche.h", "/* version 0.1.1, */", 1);
    check("guest-sdk/js/package.json", "\"version\": \"0.1.0\"", 0);
    check("guest-sdk/js/package.json", "\"version\": \"0.2.0\"", 1);
    check("guest-sdk/python/pyproject.toml", "version = \"0.1.0\"", 0);
    check("guest-sdk/python/pyproject.toml", "version = \"1.1.0\"", 1);
    check("other/package.json", "\"version\": \"0.2.0\"", 0);
}
