//! `conche call`.

use std::process::Stdio;

use serde_json::json;

use crate::conche::{Place, Run};

const GREET: &str = "cyverse.greeter.Greet";
const HEARD: &str = "org.cyverse.events.GreetingRequested";

fn call(guest: &str, ty: &str, json: &str) -> Run {
    let place = Place::new();
    place.run(&["call", &place.guest(guest), ty, json])
}

#[test]
fn a_query_shows_its_reply() {
    let run = call("greeter", GREET, r#"{"name":"Ada"}"#);
    assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
    let reply = run.json_of("reply ");
    assert_eq!(reply["data"], json!({"greeting": "Hello, Ada!"}));
    assert_eq!(reply["type"], GREET);
    assert!(reply["transactionid"].as_str().unwrap().starts_with("tid-"));
}

#[test]
fn the_data_is_read_from_stdin_as_those_read_it_that_ask_a_server() {
    let place = Place::new();
    let greeter = place.guest("greeter");
    for more in [&["-"][..], &[]] {
        let arguments = [&["call", &greeter, GREET][..], more].concat();
        let mut command = place.command(&arguments);
        let run = Run::with_input(command.stdin(Stdio::piped()), "{\"name\": \"Ada\"}\n");
        assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{run:?}");
        assert_eq!(
            run.json_of("reply ")["data"],
            json!({"greeting": "Hello, Ada!"})
        );
        let nothing = place.run(&arguments);
        assert_eq!(nothing.code, Some(2), "{nothing:?}");
        assert!(
            nothing
                .stderr
                .starts_with("conche: stdin has no JSON value"),
            "{nothing:?}"
        );
    }
}

#[test]
fn a_fault_shows_its_code_text_and_details() {
    let run = call(
        "orders",
        "cyverse.orders.Create",
        r#"{"customer":"","items":[]}"#,
    );
    assert_eq!(run.code, Some(5));
    insta::assert_snapshot!(run.stdout, @r#"
    fault    422 the order is not acceptable
    details  [{"field":"customer","reason":"is empty"},{"field":"items","reason":"is empty"}]
    "#);
}

#[test]
fn an_event_shows_its_effects_and_its_log() {
    let run = call("auditor", HEARD, r#"{"name":"Ada"}"#);
    assert_eq!(run.code, Some(0), "{run:?}");
    let emitted = run.json_of("emit ");
    assert_eq!(emitted["type"], "org.cyverse.events.AuditRecorded");
    assert_eq!(emitted["data"]["type"], HEARD);
    assert_eq!(
        run.stdout.lines().last(),
        Some("done     a host acknowledges the event")
    );
    let logged = run.stderr.contains("recorded") && run.stderr.contains("plugin=\"auditor\"");
    assert!(logged, "{run:?}");
}

#[test]
fn a_retry_says_when() {
    let failed = r#"{"order":"o-1","reason":"declined"}"#;
    let run = call("orders", "org.cyverse.events.PaymentFailed", failed);
    assert_eq!(run.code, Some(5));
    let expected = "retry    after 1s: payment of o-1 not settled yet: declined\n";
    assert_eq!(run.stdout, expected);
}

#[test]
fn what_a_guest_says_acts_on_no_terminal_and_forges_no_line() {
    let text = "x\nreply    {\"ok\":true}\u{1b}]0;gone\u{7}\u{202e}";
    let fault = json!({"code": 422, "message": text}).to_string();
    let run = call("probe", "cyverse.probe.Fault", &fault);
    assert_eq!(run.code, Some(5), "{run:?}");
    let expected = r#"fault    422 x
    reply    {"ok":true}\u{1b}]0;gone\u{7}\u{202e}
"#;
    assert_eq!(run.stdout, expected);
}

#[test]
fn a_failure_shows_what_the_guest_said() {
    let run = call("hostile", "cyverse.hostile.Panic", "{}");
    assert_eq!(run.code, Some(5));
    assert!(run.stdout.starts_with("failed   panicked: "), "{run:?}");
    assert!(run.stdout.contains("hostile on purpose"), "{run:?}");
}

#[test]
fn a_reply_that_no_host_sends_is_a_failure() {
    let big = r#"{"bytes":1200000}"#;
    let run = call("hostile", "cyverse.hostile.BigReply", big);
    assert_eq!(run.code, Some(5));
    let begin = "failed   a host could not send the reply: message has 1200";
    assert!(run.stdout.starts_with(begin), "{}", &run.stdout[..100]);
}

#[test]
fn what_the_policy_refuses_names_the_line_to_add() {
    let place = Place::new();
    let auditor = place.guest("auditor");
    let policy = place.file("policy.toml", "[grants]\nemit = []\n");
    let run = place.run(&["call", &auditor, HEARD, "{}", "--policy", policy]);
    assert_eq!(run.code, Some(5));
    let line =
        r#"not granted: add "org.cyverse.events.AuditRecorded" to emit in [grants] of policy.toml"#;
    assert!(run.stdout.contains(line), "{run:?}");

    let policy = place.file("policy.toml", "[grants]\nevent = []\n");
    let run = place.run(&["call", &auditor, HEARD, "{}", "--policy", policy]);
    assert_eq!((run.code, &*run.stdout), (Some(5), ""));
    insta::assert_snapshot!(run.stderr, @r#"
    conche: `auditor.wasm`: registers `org.cyverse.events.GreetingRequested`: not granted: add "org.cyverse.events.GreetingRequested" to event in [grants] of policy.toml
    "#);
}

#[test]
fn a_policy_with_mistakes_is_a_matter_of_configuration() {
    let place = Place::new();
    let text = "[grant]\nemit = []\n[limits]\ncpu = 'soon'\n";
    let policy = place.file("policy.toml", text);
    let run = place.run(&[
        "call",
        &place.guest("auditor"),
        HEARD,
        "{}",
        "--policy",
        policy,
    ]);
    assert_eq!((run.code, &*run.stdout), (Some(3), ""));
    insta::assert_snapshot!(run.stderr);
}

#[test]
fn a_type_that_is_not_registered_is_told_beside_those_that_are() {
    let run = call("greeter", "cyverse.greeter.Great", "{}");
    assert_eq!((run.code, &*run.stdout), (Some(5), ""));
    insta::assert_snapshot!(run.stderr, @r"
    conche: plugin `greeter` registers nothing for `cyverse.greeter.Great`; it registers
    conche:   query cyverse.greeter.Greet -> greet
    ");
}

#[test]
fn data_that_is_no_json_is_a_matter_of_usage() {
    let run = Place::new().run(&["call", "greeter.wasm", GREET, "{name: Ada}"]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr);
}

#[test]
fn files_that_are_no_plugin_are_refused_with_a_reason() {
    let place = Place::new();
    let call = |file: &str| place.run(&["call", file, GREET, "{}"]);
    let missing = call("none.wasm");
    assert_eq!(missing.code, Some(1));
    let expected = "conche: cannot read `none.wasm`: does not exist\n";
    assert_eq!(missing.stderr, expected);

    let text = call(place.file("text.wasm", "#!/bin/sh"));
    assert_eq!(text.code, Some(5));
    let begin = "conche: `text.wasm`: is no WebAssembly component: ";
    assert!(text.stderr.starts_with(begin), "{text:?}");

    let named = call(place.file("Text.wasm", ""));
    assert_eq!(named.code, Some(5));
    assert!(named.stderr.contains("such as `text`"), "{named:?}");

    let world = call(&place.guest("wrong_world"));
    assert_eq!(world.code, Some(5));
    let begin = "conche: `wrong_world.wasm`: is a component of another world: ";
    assert!(world.stderr.starts_with(begin), "{world:?}");
}

#[test]
fn a_register_that_fails_is_refused_with_its_own_words() {
    let place = Place::new();
    let hostile = place.guest("hostile");
    for (how, words) in [
        ("err", "the configuration said so"),
        ("panic", "panicked in register, as the configuration said"),
    ] {
        let policy = place.file("policy.toml", &format!("config.register = '{how}'"));
        let run = place.run(&["call", &hostile, "x", "1", "--policy", policy]);
        assert_eq!(run.code, Some(5), "{run:?}");
        assert!(run.stderr.contains(words), "{run:?}");
    }
}

#[test]
fn the_log_is_json_lines_where_asked_for() {
    let place = Place::new();
    let auditor = place.guest("auditor");
    let run = place.run(&["call", &auditor, HEARD, "{}", "--log-format", "json"]);
    assert_eq!(run.code, Some(0));
    let log = run.log();
    let line = log.iter().find(|line| line["plugin"] == "auditor").unwrap();
    assert!(
        line["message"].as_str().unwrap().starts_with("recorded"),
        "{line}"
    );
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["digest"].as_str().unwrap().len(), 12);
    let cause = &run.json_of("emit ")["data"]["id"];
    assert_eq!(&line["event_id"], cause);
}
