//! Policies under the default and the ceiling, and what a person reads when one is wrong.

use std::io;
use std::path::Path;

use super::*;
use crate::subject::SubjectPattern;

fn patterns(texts: &[&str]) -> Vec<SubjectPattern> {
    texts.iter().map(|t| t.parse().unwrap()).collect()
}

fn bounds() -> HostBounds {
    HostBounds {
        slots: 16,
        max_memory_bytes: 256 << 20,
        max_table_elements: 40_000,
        namespace: patterns(&["cyverse.>"]),
        events: patterns(&["org.cyverse.events.>"]),
    }
}

/// Rules from the `default` and `ceiling` sections of a `conche.toml`.
fn rules(operator: &str, granting: Granting) -> Result<PolicyRules, Mistakes> {
    let document = Document::parse("conche.toml", operator).unwrap();
    let (default, ceiling) = document.read(|s| {
        (
            s.section("default", RawPolicy::read),
            s.section("ceiling", Ceiling::read),
        )
    });
    let mut mistakes = document.into_mistakes();
    let rules = PolicyRules::new(bounds(), granting).with_sections(
        default,
        ceiling,
        ("conche.toml", Path::new("/run")),
        &mut mistakes,
    );
    mistakes.finish(rules)
}

fn resolve(rules: &PolicyRules, text: Option<&str>) -> Result<Policy, Mistakes> {
    let env = |name: &str| (name == "USERS_DB").then(|| "s3cret".to_owned());
    let file = |path: &Path| match path.to_str() {
        Some("/run/secrets/key") => Ok("k3y\n".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let lookups = Lookups {
        env: &env,
        file: &file,
    };
    rules.resolve(
        PolicyFile {
            path: "users.toml",
            text,
        },
        lookups,
    )
}

fn policy(operator: &str, text: &str) -> Policy {
    resolve(&rules(operator, Granting::AsWritten).unwrap(), Some(text)).unwrap()
}

/// The mistakes of a policy file under the operator's sections.
fn check(operator: &str, text: &str, expected: &str) {
    let found = resolve(&rules(operator, Granting::AsWritten).unwrap(), Some(text));
    assert_eq!(
        found.err().map(|m| m.to_string()).unwrap_or_default(),
        expected
    );
}

#[test]
fn out_of_the_box_a_plugin_listens_and_sends_nothing() {
    let rules = PolicyRules::new(bounds(), Granting::AsWritten);
    let p = resolve(&rules, None).unwrap();
    assert_eq!(p.grants.query, patterns(&["cyverse.>"]));
    assert_eq!(p.grants.event, patterns(&["org.cyverse.events.>"]));
    for grant in [Grant::Emit, Grant::Request, Grant::Exchange, Grant::Listen] {
        assert_eq!(p.grants.list(grant), []);
    }
    assert!(!p.grants.any_query && !p.grants.any_event);
    assert_eq!(p.limits, Limits::defaults(16));
    let refusal = p
        .grants
        .allows_emit("org.cyverse.events.UserCreated")
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        r#"not granted: add "org.cyverse.events.UserCreated" to emit in [grants] of users.toml"#
    );
}

#[test]
fn defaults_by_name() {
    let p = resolve(&PolicyRules::new(bounds(), Granting::AsWritten), None).unwrap();
    let lines: Vec<_> = p
        .values()
        .into_iter()
        .map(|(key, v)| format!("{key} = {v}"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    grants.query = ["cyverse.>"]
    grants.event = ["org.cyverse.events.>"]
    grants.emit = []
    grants.request = []
    grants.exchange = []
    grants.listen = []
    grants.any-query = false
    grants.any-event = false
    limits.deadline = 5s
    limits.register-deadline = 2s
    limits.cpu = 1s
    limits.memory = 64MiB
    limits.table-elements = 40000
    limits.handles = 1000
    limits.emits = 256
    limits.emit-bytes = 8MiB
    limits.requests = 128
    limits.request-bytes = 8MiB
    limits.log-lines = 200
    limits.log-bytes = 64KiB
    limits.output-bytes = 64KiB
    limits.registrations = 500
    limits.listeners = 1000
    limits.listener-age = 1d
    limits.concurrency = 16
    instances.mode = auto
    instances.max-calls = 10000
    instances.memory-mark = 48MiB
    instances.idle-max = 16
    retry.max-attempts = 10
    retry.first = 1s
    retry.max = 5m
    retry.factor = 2
    retry.jitter = 0.2
    events.start = new
    listeners.on-swap = drop
    "#);
}

#[test]
fn a_whole_policy_reads() {
    let p = policy(
        "ceiling.env = ['USERS_*']\nceiling.files = ['/run/secrets/*']",
        r#"
        [grants]
        query = "cyverse.users.*"
        emit = ["org.cyverse.events.UserCreated"]
        any-event = true
        [limits]
        deadline = "30s"
        cpu = "250ms"
        memory = "128MiB"
        emits = 4
        concurrency = 500
        [instances]
        mode = "fresh"
        max_calls = 5
        memory-mark = "100MiB"
        idle-max = 2
        [retry]
        max-attempts = 3
        first = "100ms"
        max = "2s"
        factor = 3
        jitter = 0
        [events]
        start = 2026-01-31T12:00:00Z
        [config]
        url = "pg://u:${env:USERS_DB}@db"
        key = "${file:/run/secrets/key}"
        rows = 50
        "#,
    );
    assert_eq!(p.grants.query, patterns(&["cyverse.users.*"]));
    assert_eq!(p.grants.emit, patterns(&["org.cyverse.events.UserCreated"]));
    assert!(p.grants.any_event);
    assert_eq!(p.limits.deadline, Duration::from_secs(30));
    assert_eq!(p.limits.cpu, Duration::from_millis(250));
    assert_eq!((p.limits.memory_bytes, p.limits.emits), (128 << 20, 4));
    assert_eq!(p.limits.concurrency, 16, "no more than the host has");
    assert_eq!(
        (p.instances.mode, p.instances.max_calls),
        (InstanceMode::Fresh, 5)
    );
    assert_eq!(
        (p.instances.memory_mark_bytes, p.instances.idle_max),
        (100 << 20, 2)
    );
    assert_eq!(
        (p.retry.max_attempts, p.retry.factor, p.retry.jitter),
        (3, 3.0, 0.0)
    );
    assert_eq!(p.retry.first, Duration::from_millis(100));
    assert_eq!(p.events.start.to_string(), "2026-01-31T12:00:00+00:00");
    let config: Vec<_> = p.config.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(config, ["key=k3y", "rows=50", "url=pg://u:s3cret@db"]);
    let debug = format!("{p:?}");
    assert!(
        !debug.contains("s3cret") && debug.contains("url"),
        "{debug}"
    );
}

#[test]
fn mistakes_of_a_policy_file_come_all_at_once() {
    check(
        "",
        "[grants]\nemits = 'a'\nquery = 'a..b'\nlisten = '_INBOX.>'\n[limit]\ncpu = '1s'\n\
         [limits]\ncpu = '1ms'\nmemory = 12\nemits = -1\n[instances]\nmode = 'fersh'\n\
         [retry]\nfactor = 0.5\nfirst = '9s'\nmax = '1s'\n[events]\nstart = 'yesterday'\n\
         [config]\nlist = []",
        r#"users.toml:2: grants.emits: unknown key, did you mean `emit`?
users.toml:3: grants.query: subject `a..b` has an empty token: a dot too many
users.toml:4: grants.listen: "_INBOX.>" is reserved: what begins with `$`, `_INBOX.` or `conche.` belongs to the host
users.toml:5: limit: unknown key, did you mean `limits`?
users.toml:8: limits.cpu: 1ms is out of range: at least 10ms
users.toml:9: limits.memory: 12B is out of range: at least 64KiB
users.toml:10: limits.emits: -1 is no whole number
users.toml:12: instances.mode: "fersh" is none of auto, fresh, did you mean "fresh"?
users.toml:14: retry.factor: 0.5 is out of range: 1 to 100
users.toml:16: retry.max: 1s is below retry.first, 9s: raise one or lower the other
users.toml:18: events.start: "yesterday" is no start: write "new", "all", a time such as "2026-01-31T12:00:00Z" or a sequence number
users.toml:20: config.list: a list is no string: put it in quotes"#,
    );
    check(
        "",
        "[instances]\nmemory-mark = '65MiB'",
        "users.toml:2: instances.memory-mark: 65MiB is above limits.memory, 64MiB: no instance would ever reach it",
    );
}

const CEILING: &str = "
[ceiling]
env = ['USERS_DB', 'MISSING']
files = ['/run/secrets/*']
[ceiling.grants]
query = 'cyverse.users.>'
emit = ['org.cyverse.events.>', 'org.other.A']
any-query = false
[ceiling.limits]
deadline = '3s'
emits = 10
";

#[test]
fn no_policy_exceeds_the_ceiling() {
    check(
        CEILING,
        "[grants]\nquery = 'cyverse.>'\nemit = ['org.other.A', 'org.>']\nany-query = true\n\
         request = 'anything.>'\n[limits]\ndeadline = '4s'\nemits = 10\nmemory = '1GiB'",
        r#"users.toml:2: grants.query: "cyverse.>" is not covered by the ceiling's ["cyverse.users.>"] (conche.toml:6): narrow it, or widen query in [plugins.ceiling.grants]
users.toml:3: grants.emit: "org.>" is not covered by the ceiling's ["org.cyverse.events.>", "org.other.A"] (conche.toml:7): narrow it, or widen emit in [plugins.ceiling.grants]
users.toml:4: grants.any-query: true is above the ceiling's false (conche.toml:8): drop it, or set any-query = true in [plugins.ceiling.grants]
users.toml:7: limits.deadline: 4s is above the ceiling's 3s (conche.toml:10): lower it, or raise deadline in [plugins.ceiling.limits]
users.toml:9: limits.memory: 1GiB is above the host's 256MiB: lower it, or raise max_memory in [calls]"#,
    );
}

#[test]
fn a_ceiling_that_names_some_leaves_no_default_unless_it_says_so() {
    let ceiling = "ceiling.grants.event = 'org.a.>'\nceiling.grants.query = 'cyverse.a.>'";
    let text = "grants.any-event = true\ngrants.any-query = true";
    check(
        ceiling,
        text,
        "users.toml:1: grants.any-event: true is above the ceiling, which names event alone (conche.toml:1): \
         drop it, or set any-event = true in [plugins.ceiling.grants]\n\
         users.toml:2: grants.any-query: true is above the ceiling, which names query alone (conche.toml:2): \
         drop it, or set any-query = true in [plugins.ceiling.grants]",
    );
    let switched =
        format!("{ceiling}\nceiling.grants.any-event = true\nceiling.grants.any-query = true");
    check(&switched, text, "");
    check("ceiling.grants.emit = 'org.a.>'", text, "");
}

#[test]
fn built_in_defaults_are_cut_down_to_the_ceiling() {
    let p = policy(CEILING, "");
    assert_eq!(p.grants.query, patterns(&["cyverse.users.>"]));
    assert_eq!(p.grants.event, patterns(&["org.cyverse.events.>"]));
    assert_eq!(p.limits.deadline, Duration::from_secs(3));
    assert_eq!(p.limits.emits, 10);
}

#[test]
fn secrets_are_those_that_the_ceiling_names() {
    check(
        CEILING,
        "[config]\na = '${env:PATH}'\nb = '${file:/etc/shadow}'\n\
         c = '${file:/run/secrets/../../etc/shadow}'\nd = '${env:MISSING}'\ne = '${HOME}'\n\
         f = '${file:/run/secrets/none}'\ng = '$${env:PATH}'",
        r#"users.toml:2: config.a: ${env:PATH} is not allowed: add "PATH" to env in [plugins.ceiling] of conche.toml
users.toml:3: config.b: ${file:/etc/shadow} is not allowed: add "/etc/shadow" to files in [plugins.ceiling] of conche.toml
users.toml:4: config.c: ${file:/run/secrets/../../etc/shadow} is not allowed: add "/run/secrets/../../etc/shadow" to files in [plugins.ceiling] of conche.toml
users.toml:5: config.d: ${env:MISSING}: the variable is not set
users.toml:6: config.e: `${HOME}` is neither ${env:NAME} nor ${file:PATH}, did you mean ${env:HOME}?
users.toml:7: config.f: ${file:/run/secrets/none}: entity not found"#,
    );
}

#[test]
fn relative_paths_begin_where_the_file_is_that_names_them() {
    let ceiling = "ceiling.files = ['secrets/key', 'users/*']";
    let p = policy(ceiling, "config.a = '${file:/run/secrets/key}'");
    assert_eq!(p.config["a"], "k3y");
    let operator = format!("{ceiling}\ndefault.config.a = '${{file:secrets/key}}'");
    assert_eq!(policy(&operator, "").config["a"], "k3y");
    let rules = rules(ceiling, Granting::AsWritten).unwrap();
    let text = "config.a = '${file:key}'\nconfig.b = '${file:../secrets/key}'";
    let file = |path: &Path| Ok(path.display().to_string());
    let lookups = Lookups {
        env: &|_| None,
        file: &file,
    };
    let resolve = |path| {
        let text = Some(text);
        rules.resolve(PolicyFile { path, text }, lookups)
    };
    let mistakes = resolve("/run/users/a.toml").unwrap_err().to_string();
    assert_eq!(
        mistakes,
        "/run/users/a.toml:2: config.b: ${file:/run/users/../secrets/key} is not allowed: \
         add \"/run/users/../secrets/key\" to files in [plugins.ceiling] of conche.toml"
    );
    let mistakes = resolve("/srv/a.toml").unwrap_err().to_string();
    let denied = "${file:/srv/key} is not allowed";
    assert!(mistakes.contains(denied), "{mistakes}");
}

#[test]
fn the_operators_default_lies_under_a_policy_and_under_the_ceiling() {
    let operator = "default.limits.cpu = '2s'\ndefault.limits.emits = 1\n\
                    default.grants.emit = 'org.a'\ndefault.config.mode = 'x'\n\
                    default.config.zone = 'eu'";
    let p = policy(operator, "[limits]\nemits = 2\n[config]\nmode = 'y'");
    assert_eq!((p.limits.cpu, p.limits.emits), (Duration::from_secs(2), 2));
    assert_eq!(p.grants.emit, patterns(&["org.a"]));
    assert_eq!(
        (p.config["mode"].as_str(), p.config["zone"].as_str()),
        ("y", "eu")
    );

    let above = "ceiling.limits.cpu = '1s'\ndefault.limits.cpu = '2s'";
    assert_eq!(
        rules(above, Granting::AsWritten).unwrap_err().to_string(),
        "conche.toml:2: plugins.default.limits.cpu: 2s is above the ceiling's 1s (conche.toml:1): \
         lower it, or raise cpu in [plugins.ceiling.limits]"
    );
}

#[test]
fn granting_everything_keeps_limits_and_settings() {
    let rules = rules(CEILING, Granting::Everything).unwrap();
    let text =
        "[grants]\nquery = 'none'\n[limits]\ndeadline = '1s'\n[config]\na = '${env:USERS_DB}'";
    let p = resolve(&rules, Some(text)).unwrap();
    assert_eq!(p.grants, Grants::everything("users.toml"));
    assert_eq!(p.limits.deadline, Duration::from_secs(1));
    assert_eq!(p.config["a"], "s3cret");
}

#[test]
fn equal_values_have_equal_digests() {
    let base = policy("", "[limits]\ncpu = '1s'").digest;
    assert_eq!(
        base,
        policy("", "").digest,
        "a default written out changes nothing"
    );
    assert_eq!(base.len(), 64);
    assert_ne!(base, policy("", "[limits]\ncpu = '2s'").digest);
    assert_ne!(base, policy("", "[config]\na = 'b'").digest);
    assert_ne!(
        policy("", "[config]\na = 'b'").digest,
        policy("", "[config]\na = 'c'").digest
    );
    assert_ne!(base, Policy::allow_all().digest);
}

#[test]
fn starts() {
    let start = |text: &str| policy("", &format!("events.start = {text}")).events.start;
    assert_eq!(start("'new'"), Start::New);
    assert_eq!(start("'all'"), Start::All);
    assert_eq!(start("12"), Start::Sequence(12));
    assert_eq!(start("0x10"), Start::Sequence(16));
    let noon = start("'2026-01-31T13:00:00+01:00'");
    assert_eq!(noon, start("2026-01-31T12:00:00Z"));
    check(
        "",
        "events.start = 0",
        "users.toml:1: events.start: 0 is no start: write \"new\", \"all\", a time such as \"2026-01-31T12:00:00Z\" or a sequence number",
    );
}
