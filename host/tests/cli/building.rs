//! `conche build --watch` and `conche dev --build`: save, and it is built; what does not build changes
//! nothing. In C, which builds fastest. Needs its toolchain on the PATH: cargo xtask test.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::conche::{DEADLINE, Killed, Place, lines};
use crate::dev::{Dev, query, response};

/// What `conche new hello --lang c` makes, built once: the first build on a machine compiles wasi-libc,
/// and takes as long as it takes.
fn project() -> Place {
    let place = Place::new();
    let run = place.run(&["new", "hello", "--lang", "c"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let built = command(&place, &["build", "hello"]).output().unwrap();
    assert!(built.status.success(), "{built:?}");
    place
}

/// With a toolchain, and what it keeps in our own home.
fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    let kept = std::env::home_dir().unwrap().join(".cache/zig");
    command
        .env("ZIG_GLOBAL_CACHE_DIR", kept)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Saves the source as an editor does that writes it in place.
fn save(place: &Place, changes: &[(&str, &str)]) {
    let file = place.dir.path().join("hello/plugin.c");
    let mut text = std::fs::read_to_string(&file).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{text}");
        text = text.replace(from, to);
    }
    std::fs::write(&file, text).unwrap();
}

/// Once its first version serves.
fn dev(place: &Place) -> Dev {
    let arguments = ["dev", "hello", "--build", "--listen", "127.0.0.1:0"];
    let dev = Dev::spawn(command(place, &arguments));
    dev.logs("plugin serves");
    dev
}

fn greet(dev: &Dev) -> String {
    let data = serde_json::json!({ "name": "Ada" });
    response(dev.post("/query", &query("cyverse.hello.Greet", &data)))
}

#[test]
fn toolchain_dev_serves_what_was_saved_last() {
    let place = project();
    let dev = dev(&place);
    assert!(greet(&dev).contains("Hello, Ada!"));

    save(&place, &[("Hello", "Welcome")]);
    dev.logs("plugin serves");
    assert!(greet(&dev).contains("Welcome, Ada!"));

    save(&place, &[("return NULL", "retrun NULL")]);
    dev.logs("plugin.c:9:5: error: use of undeclared identifier 'retrun'");
    assert!(greet(&dev).contains("Welcome, Ada!"));

    save(
        &place,
        &[("retrun NULL", "return NULL"), ("Welcome", "Goodbye")],
    );
    dev.logs("plugin serves");
    assert!(greet(&dev).contains("Goodbye, Ada!"));

    dev.send(Signal::INT);
    let (code, rest) = dev.end();
    assert_eq!(code, Some(0), "{rest}");
}

#[test]
fn toolchain_dev_follows_policy_and_name() {
    let place = project();
    let dev = dev(&place);
    place.file("hello/hello.toml", "[limits]\nmemory = \"64KiB\"\n");
    dev.logs("raise memory in [limits]");
    place.file("hello/hello.toml", "[limits]\nmemory = \"1MiB\"\n");
    dev.logs("plugin serves");

    let manifest = place.dir.path().join("hello/conche-plugin.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("name", "nam")).unwrap();
    dev.logs("unknown field `nam`");
    assert!(greet(&dev).contains("Hello, Ada!"));
    std::fs::write(&manifest, text.replace("\"hello\"", "\"goodbye\"")).unwrap();
    // The old one would keep the op.
    dev.logs("plugin serves");
    let answer = greet(&dev);
    assert!(answer.contains("/goodbye\""), "{answer}");
}

#[test]
fn toolchain_build_watches_its_sources() {
    let place = project();
    let component = place.dir.path().join("hello/hello.wasm");
    let mut command = command(&place, &["build", "hello", "--watch"]);
    let mut build = Killed(command.stderr(Stdio::piped()).spawn().unwrap());
    let said = lines(build.0.stderr.take().unwrap());
    let until = |text: &str| {
        let mut seen = String::new();
        while !seen.contains(text) {
            let line = said.recv_timeout(DEADLINE);
            seen.push_str(&line.unwrap_or_else(|_| panic!("no {text}: {seen}")));
        }
    };
    until("imports ");
    let first = std::fs::read(&component).unwrap();

    save(&place, &[("return NULL", "retrun NULL")]);
    until("conche: cannot build `hello`: ");
    assert_eq!(std::fs::read(&component).unwrap(), first);

    save(
        &place,
        &[("retrun NULL", "return NULL"), ("Hello", "Welcome")],
    );
    until("imports ");
    assert_ne!(std::fs::read(&component).unwrap(), first);
}

#[test]
fn toolchain_build_misses_the_plugin() {
    let place = project();
    save(&place, &[("CONCHE_PLUGIN(", "// CONCHE_PLUGIN(")]);
    let run = command(&place, &["build", "hello"]).output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(
        said.contains("no `CONCHE_PLUGIN(…)` in any `.c` file"),
        "{said}"
    );
    assert!(!said.contains("wasm-ld"), "{said}");
}

#[test]
fn what_is_no_project_is_not_watched() {
    let place = Place::new();
    let run = place.run(&["build", "nowhere", "--watch"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("no `nowhere/conche-plugin.toml`"));
    let run = place.run(&["dev", "nowhere", "--build"]);
    // As it is without --build.
    assert_eq!(run.code, Some(3), "{run:?}");
    insta::assert_snapshot!(run.stderr, @"conche: projects directory `nowhere` does not exist: create it, or name another");
    assert!(!place.dir.path().join("nowhere").exists());
}
