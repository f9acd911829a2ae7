//! `conche test`. The cases are in `cases/`: those in `pass` use every key of the format.

use std::path::Path;

use crate::conche::{Place, Run};

fn cases(place: &Place, folder: &str) -> String {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/cases");
    let to = place.dir.path().join("probe/tests");
    std::fs::create_dir_all(&to).unwrap();
    std::fs::copy(
        from.join("probe.toml"),
        place.dir.path().join("probe/probe.toml"),
    )
    .unwrap();
    std::fs::copy(from.join(folder).join("probe.yaml"), to.join("probe.yaml")).unwrap();
    place.guest("probe")
}

fn test(folder: &str, more: &[&str]) -> (Place, Run) {
    let place = Place::new();
    let component = cases(&place, folder);
    let run = place.run(&[&["test", "--component", &component, "probe"], more].concat());
    (place, run)
}

/// A run to which no case is left.
const NO_CASE: [&str; 6] = [
    "test",
    "--component",
    "probe.wasm",
    "probe",
    "--filter",
    "x-y",
];

/// Times are not the same twice.
pub(crate) fn timeless(text: &str) -> String {
    let line = |line: &str| match line.rsplit_once(" (") {
        Some((before, time)) if time.ends_with("s)") => format!("{before} (TIME)\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn every_key_of_the_format_does_what_it_says() {
    let (_place, run) = test("pass", &[]);
    assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{run:?}");
    assert!(!run.stdout.contains("FAILED"), "{run:?}");
    let last = timeless(&run.stdout);
    assert_eq!(last.lines().last(), Some("28 cases: 28 passed (TIME)"));
}

#[test]
fn a_case_that_fails_says_how() {
    let (_place, run) = test("fail", &[]);
    assert_eq!((run.code, &*run.stderr), (Some(1), ""), "{run:?}");
    insta::assert_snapshot!(timeless(&run.stdout));
}

#[test]
fn a_filter_chooses_by_name_and_says_what_it_left_out() {
    let (place, run) = test("pass", &["--filter", "the host stops"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    insta::assert_snapshot!(timeless(&run.stdout), @r"
    probe/tests/probe.yaml
      ok      what the host stops is a failure (TIME)

    1 case: 1 passed, 27 left out by the filter (TIME)
    ");
    let run = place.run(&NO_CASE);
    assert_eq!(run.code, Some(1));
    assert_eq!(run.stderr, "conche: no case has `x-y` in its name\n");
}

#[test]
fn ci_gets_its_document() {
    let (place, run) = test("fail", &["--junit", "out.xml", "--filter", "and it logs"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let document = std::fs::read_to_string(place.dir.path().join("out.xml")).unwrap();
    assert!(document.starts_with("<?xml"), "{document}");
    assert!(
        document.contains(r#"<testsuite name="probe/tests/probe.yaml" tests="1" failures="1""#)
    );
    assert!(
        document.contains("<failure message=\"what it emits differs\">"),
        "{document}"
    );
    assert!(
        document.contains("<system-out>warn   emitted n=&quot;1&quot;"),
        "{document}"
    );
    // Who reads a report after a run that came to none must not read that of the last one.
    let run = place.run(&[&NO_CASE[..], &["--junit", "out.xml"]].concat());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(!place.dir.path().join("out.xml").exists());
}

#[test]
fn a_policy_is_the_one_that_is_named_or_lies_there() {
    let place = Place::new();
    let component = cases(&place, "pass");
    let strict = place.file(
        "strict.toml",
        "[grants]\nemit = []\n[config]\nsize = \"large\"\n",
    );
    let test = |more: &[&str]| {
        let all = [
            "test",
            "--component",
            &component,
            "probe",
            "--filter",
            "emits are",
        ];
        place.run(&[all.as_slice(), more].concat())
    };
    assert_eq!(test(&[]).code, Some(0));
    // What a plugin may not emit is refused, as by a host.
    let run = test(&["--policy", strict]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("what it emits differs"), "{run:?}");
    // Without any policy nothing may be sent.
    std::fs::remove_file(place.dir.path().join("probe/probe.toml")).unwrap();
    assert_eq!(test(&[]).code, Some(1));
}

#[test]
fn what_a_host_would_refuse_fails_each_case_with_the_line_to_add() {
    let place = Place::new();
    let component = place.guest("auditor");
    let policy = place.file("policy.toml", "[grants]\nevent = []\n");
    std::fs::create_dir(place.dir.path().join("cases")).unwrap();
    place.file(
        "cases/a.json",
        &serde_json::json!([{
            "name": "a", "event": "org.cyverse.events.OrderCreated", "expect": {"done": true},
        }])
        .to_string(),
    );
    let run = place.run(&[
        "test",
        "--component",
        &component,
        "cases",
        "--policy",
        policy,
    ]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let line = r#"add "org.cyverse.events.GreetingRequested" to event in [grants] of policy.toml"#;
    assert!(run.stdout.contains(line), "{run:?}");
}

#[test]
fn a_reply_that_no_host_sends_is_a_failure() {
    let place = Place::new();
    let component = place.guest("hostile");
    place.file(
        "a.yaml",
        "- { name: a, query: cyverse.hostile.BigReply, data: { bytes: 1200000 }, expect: { reply: {} } }",
    );
    let policy = place.file("policy.toml", "[grants]\nany-query = true\n");
    let run = place.run(&["test", "--component", &component, ".", "--policy", policy]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let line = "a host could not send the reply: message has 1200";
    assert!(run.stdout.contains(line), "{run:?}");
}

#[test]
fn a_policy_that_is_not_there_is_a_matter_of_configuration() {
    let place = Place::new();
    let component = place.guest("greeter");
    place.file("a.yaml", "- { name: a, query: q, expect: { reply: {} } }");
    let named = ["--policy", "none.toml"];
    let test = ["test", "--component", &component, "."];
    let call = ["call", &component, "cyverse.greeter.Greet", "{}"];
    let check = ["check", &component];
    for command in [&test[..], &call, &check] {
        let run = place.run(&[command, &named].concat());
        assert_eq!((run.code, &*run.stdout), (Some(3), ""), "{run:?}");
        assert_eq!(
            run.stderr,
            "conche: cannot read `none.toml`: does not exist\n"
        );
    }
}

#[test]
fn no_cases_is_a_failure_that_says_where_they_belong() {
    let place = Place::new();
    let component = place.guest("greeter");
    std::fs::create_dir_all(place.dir.path().join("empty/tests")).unwrap();
    let run = |dir: &str| place.run(&["test", "--component", &component, dir]);
    let missing = run("empty");
    assert_eq!(missing.code, Some(1));
    let expected = "conche: no cases in `empty/tests`: write one as empty/tests/NAME.yaml\n";
    assert_eq!(missing.stderr, expected);
    place.file("empty/tests/a.yaml", "# none yet\n");
    assert_eq!(
        run("empty").stderr,
        "conche: no case in `empty/tests/a.yaml`\n"
    );
}

#[test]
fn mistakes_in_files_come_all_at_once() {
    let place = Place::new();
    let component = place.guest("greeter");
    place.file(
        "a.yaml",
        "- { name: a, query: q, expect: { replay: {} } }\n- { name: b }\n",
    );
    place.file("b.yml", "- name: a\n  name: b\n");
    place.file("c.json", "{");
    let run = place.run(&["test", "--component", &component, "."]);
    assert_eq!((run.code, &*run.stdout), (Some(1), ""));
    insta::assert_snapshot!(run.stderr);
}

#[test]
fn what_is_no_plugin_is_refused_and_no_project_is_named() {
    let place = Place::new();
    place.file("text.wasm", "#!/bin/sh");
    place.file("a.yaml", "- { name: a, query: q, expect: { reply: {} } }");
    let run = place.run(&["test", "--component", "text.wasm"]);
    assert_eq!(run.code, Some(5), "{run:?}");
    let run = place.run(&["test", "nowhere"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.contains("no `nowhere/conche-plugin.toml`"),
        "{run:?}"
    );
}
