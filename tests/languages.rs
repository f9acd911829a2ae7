//! The same plugins in every language, held to the same cases: `conche test` runs those of
//! `plugins/*/tests` against each component that `cargo xtask test` built.

mod soak;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sandbox::{SANDBOX, load_file};
use crate::support;

/// As `target/plugins` has them.
const LANGUAGES: [&str; 7] = ["rust", "js", "ts", "python", "go", "c", "zig"];

fn check(plugin: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for language in LANGUAGES {
        let source = root.join("plugins").join(plugin);
        run(&component(plugin, language), &source.join(language));
    }
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
    passes(&[project, Path::new("--component"), component]);
}

fn passes(arguments: &[&Path]) {
    let output = Command::new(conche())
        .arg("test")
        .args(arguments)
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{arguments:?}:\n{}", said.concat());
}

/// The binary beside this test's own.
fn conche() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let debug = own.parent().unwrap().parent().unwrap();
    debug.join("conche")
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
    passes(&[&guests("c_sdk")]);
}

/// All that the SDK for Zig has. It is built here: what a handler's types say is for the compiler.
#[test]
fn zig_sdk() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/zig_sdk");
    passes(&[&project]);
}

/// The same handlers under the same names, all on instances that serve many calls.
#[tokio::test]
async fn registrations() {
    for plugin in ["greeter", "auditor", "orders"] {
        let mut all = Vec::new();
        for language in LANGUAGES {
            let file = component(plugin, language);
            let loaded = load_file(&SANDBOX, &file, |_| {}, None).await.unwrap();
            all.push((language, loaded.registrations().clone()));
        }
        for (language, registrations) in &all {
            assert!(registrations.reusable, "{plugin} in {language}");
            assert_eq!(registrations, &all[0].1, "{plugin} in {language}");
        }
    }
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
