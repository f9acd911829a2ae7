//! Reading documents: lines, suggestions, all mistakes at once.

use super::*;

/// Reads a few keys of every kind.
fn check(text: &str, expected: &str) {
    let mistakes = match Document::parse("f.toml", text) {
        Err(mistakes) => mistakes,
        Ok(document) => {
            document.read(|s| {
                s.string("name");
                s.whole("slots", 1, 64);
                s.duration("max_age");
                s.bytes("max_bytes");
                s.boolean("create");
                s.number("jitter", 0.0, 1.0);
                s.section("nats", |s| {
                    s.subjects("namespace");
                    s.strings("urls");
                });
            });
            document
                .into_mistakes()
                .finish(())
                .err()
                .unwrap_or_default()
        }
    };
    assert_eq!(mistakes.to_string(), expected, "{text}");
}

#[test]
fn good_values_make_no_mistakes() {
    check("", "");
    check(
        "name = 'x'\nslots = 0x10\nmax-age = '2m'\nmax-bytes = '64MiB'\ncreate = true\njitter = 1\n\
         [nats]\nnamespace = 'cyverse.>'\nurls = ['a', 'b']",
        "",
    );
}

#[test]
fn every_kind_of_mistake_names_its_line_and_what_to_do() {
    check(
        "\nnamee = 'x'",
        "f.toml:2: namee: unknown key, did you mean `name`?",
    );
    check(
        "[nats]\npassword = 'x'",
        "f.toml:2: nats.password: unknown key: there are namespace, urls",
    );
    check(
        "[natz]",
        "f.toml:1: natz: unknown key, did you mean `nats`?",
    );
    check("nats = 4", "f.toml:1: nats: 4 is no section");
    check(
        "name = 5",
        "f.toml:1: name: 5 is no string: put it in quotes",
    );
    check(
        "name = ['x']",
        "f.toml:1: name: a list is no string: put it in quotes",
    );
    check("slots = '4'", "f.toml:1: slots: \"4\" is no whole number");
    check("slots = -1", "f.toml:1: slots: -1 is no whole number");
    check("slots = 65", "f.toml:1: slots: 65 is out of range: 1 to 64");
    check(
        "jitter = 1.5",
        "f.toml:1: jitter: 1.5 is out of range: 0 to 1",
    );
    check(
        "create = 'yes'",
        "f.toml:1: create: \"yes\" is no boolean: write true or false",
    );
    check(
        "max_age = 5",
        "f.toml:1: max_age: 5 is no duration: write a number and a unit, such as \"250ms\", \"5s\" or \"2m\"",
    );
    check(
        "max_bytes = '64mb'",
        "f.toml:1: max_bytes: \"64mb\" is no size: write a number of bytes, or a unit as in \"64MiB\"",
    );
    check(
        "max_age = '1s'\nmax-age = '2s'",
        "f.toml:2: max_age: given twice: `-` and `_` are the same in a key",
    );
    check(
        "[nats]\nnamespace = ['a.b', 'a..b']",
        "f.toml:2: nats.namespace: subject `a..b` has an empty token: a dot too many",
    );
    check(
        "[nats]\nnamespace = '$SYS.>'",
        "f.toml:2: nats.namespace: \"$SYS.>\" is reserved: what begins with `$`, `_INBOX.` or `conche.` belongs to the host",
    );
    check(
        "[nats]\nurls = 5",
        "f.toml:2: nats.urls: 5 is no list of strings",
    );
}

#[test]
fn all_mistakes_come_at_once() {
    check(
        "slots = 0\ncreat = true\nmax_age = 'soon'",
        "f.toml:1: slots: 0 is out of range: 1 to 64\n\
         f.toml:2: creat: unknown key, did you mean `create`?\n\
         f.toml:3: max_age: \"soon\" is no duration: write a number and a unit, such as \"250ms\", \"5s\" or \"2m\"",
    );
}

#[test]
fn broken_syntax_is_told_with_its_lines() {
    let mistakes = Document::parse("f.toml", "a = \nb = 1\nc = [1")
        .unwrap_err()
        .to_string();
    assert!(mistakes.starts_with("f.toml:1: "), "{mistakes}");
    assert!(mistakes.contains("\nf.toml:3: "), "{mistakes}");
}

/// Each entry has its line: to count it from the beginning each time would take minutes.
#[test]
fn a_file_with_many_entries_is_read_quickly() {
    use std::fmt::Write as _;
    let mut text = String::new();
    for number in 0..50_000 {
        writeln!(text, "key{number} = 'v'").unwrap();
    }
    let document = Document::parse("a.toml", &text).unwrap();
    let entries = document.read(Section::entries);
    let last = entries.iter().find(|(key, _)| key == "key49999").unwrap();
    assert_eq!(last.1.origin.to_string(), "a.toml:50000");
}
