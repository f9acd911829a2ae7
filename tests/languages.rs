//! The same plugins in every language, held to the same cases: `conche test` runs those of
//! `plugins/*/tests` against each component that `cargo xtask test` built.

mod soak;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support;

/// As `target/plugins` has them.
const LANGUAGES: [&str; 7] = ["rust", "js", "ts", "python", "go", "c", "zig"];

/// The same outcomes, of the same handlers under the same names.
fn check(plugin: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut first = None;
    for language in LANGUAGES {
        let source = root.join("plugins").join(plugin);
        let component = component(plugin, language);
        run(&component, &source.join(language));
        let registered = registrations(&component);
        assert_eq!(registered["reusable"], true, "{plugin} in {language}");
        let expected = first.get_or_insert_with(|| registered.clone());
        assert_eq!(&registered, expected, "{plugin} in {language}");
    }
}

/// What `conche inspect` shows of them.
fn registrations(component: &Path) -> Value {
    let said = conche([Path::new("inspect"), component, Path::new("--json")]);
    let shown: Value = serde_json::from_str(&said).unwrap();
    let keys = [
        "queries",
        "any_query",
        "events",
        "any_event",
        "listeners",
        "reusable",
    ];
    let registered = keys.map(|key| {
        let value = shown
            .get(key)
            .unwrap_or_else(|| panic!("no `{key}` in {said}"));
        (key.to_owned(), value.clone())
    });
    Value::from_iter(registered)
}

fn component(plugin: &str, language: &str) -> PathBuf {
    let built = support::guest(plugin);
    let built = built.parent().unwrap().parent().unwrap();
    built.join(language).join(format!("{plugin}.wasm"))
}

fn run(component: &Path, project: &Path) {
    assert!(
        component.is_file(),
        "{} is not built: run cargo xtask guests",
        component.display()
    );
    let options = [Path::new("test"), project, Path::new("--component")];
    conche(options.into_iter().chain([component]));
}

/// Runs the binary beside this test's own to its good end; gives its stdout.
fn conche<'a>(arguments: impl IntoIterator<Item = &'a Path>) -> String {
    let own = std::env::current_exe().unwrap();
    let debug = own.parent().unwrap().parent().unwrap();
    let mut command = Command::new(debug.join("conche"));
    let output = command.args(arguments).output().unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{command:?}:\n{stdout}{stderr}");
    stdout
}

/// Every call of the SDK, every error that can come of it, all that a message can hold.
#[test]
fn capabilities() {
    for language in ["js", "ts", "python", "go", "c", "zig"] {
        let component = support::guest(&format!("capabilities_{language}"));
        run(&component, &guests("capabilities").join(language));
    }
}

/// What an error that nobody caught, a loop without end and memory without end come to. For Rust it is
/// `guests/hostile`, by which the sandbox is tested: a panic's text is for the log alone.
#[test]
fn hostile() {
    for language in ["js", "ts", "python", "go", "c", "zig"] {
        let component = support::guest(&format!("hostile_{language}"));
        run(&component, &guests("hostile_langs"));
    }
}

/// What nothing catches in C.
#[test]
fn hostile_in_c() {
    run(&support::guest("hostile_c"), &guests("hostile_langs/c"));
}

/// What nothing but the SDK keeps from the bindings in Python.
#[test]
fn hostile_in_python() {
    run(
        &support::guest("hostile_python"),
        &guests("hostile_langs/python"),
    );
}

/// What Go's runtime makes of mistakes, of garbage and of goroutines.
#[test]
fn hostile_in_go() {
    run(&support::guest("hostile_go"), &guests("hostile_langs/go"));
}

fn guests(directory: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("guests").join(directory)
}

/// What only the SDK for C has.
#[test]
fn c_sdk() {
    conche([Path::new("test"), &guests("c_sdk")]);
}

/// All that the SDK for Zig has. It is built here: what a handler's types say is for the compiler.
#[test]
fn zig_sdk() {
    conche([Path::new("test"), &guests("zig_sdk")]);
}

#[test]
fn greeter() {
    check("greeter");
}

#[test]
fn auditor() {
    check("auditor");
}

#[test]
fn orders() {
    check("orders");
}
