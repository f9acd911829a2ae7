//! What a person reads when something is wrong.

use super::*;

pub(super) fn check(text: &str, expected: &str) {
    check_in(&[], text, expected);
}

pub(super) fn check_in(variables: &[(&str, &str)], text: &str, expected: &str) {
    let found = resolve(Mode::Run, &Flags::default(), variables, text);
    assert_eq!(
        found.err().map(|m| m.to_string()).unwrap_or_default(),
        expected,
        "{text}"
    );
}

#[test]
fn all_mistakes_come_at_once() {
    let variables = [
        ("NATS_URL", "nats://a:1,http://u:pw@b"),
        ("NATS_WILDCARD_SUBJECT", "cyverse..users"),
        ("NATS_MAX_RECONNECTS", "-2"),
        ("NATS_RECONNECT_WAIT", "soon"),
        ("NATS_REQUEST_TIMEOUT", "0"),
        ("NATS_EVENTS_TIMEOUT", "5s"),
        ("NATS_QUEUE_GROUP", "a b"),
        ("NATS_DURABLE_NAME", "a.b"),
    ];
    let flags = Flags {
        listen: Some("8080".to_owned()),
        log_format: Some("jsno".to_owned()),
        ..Flags::default()
    };
    let text = r#"
        sourc = "x"
        [nats]
        urlz = "x"
        [events]
        stream = "a.b"
        replicas = 6
        max_age = 5
        max_bytes = "many"
        [calls]
        slots = 0
        max_memory = -1
        [log]
        format = "text"
        [plugins.default.grants]
        emit = "$JS.>"
        [plugins.ceiling]
        envs = ["A"]
        [gateway]
        timeout = "0s"
    "#;
    let found = resolve(Mode::Run, &flags, &variables, text).unwrap_err();
    insta::assert_snapshot!(found.to_string(), @r#"
    --listen: "8080" is no address to listen on: write an IP address and a port, such as 127.0.0.1:8080, or off
    --log-format: "jsno" is none of auto, human, json, did you mean "json"?
    NATS_DURABLE_NAME: "a.b" is no durable name: '.' can't be in it
    NATS_EVENTS_TIMEOUT: "5s" is no number of seconds: write a whole number, or -1 for 10 s
    NATS_MAX_RECONNECTS: "-2" is no number of attempts: write a whole number, or -1 for 6 attempts
    NATS_QUEUE_GROUP: "a b" is no queue group: ' ' can't be in it
    NATS_RECONNECT_WAIT: "soon" is no number of seconds: write a whole number, or -1 for 10 s
    NATS_REQUEST_TIMEOUT: 0s is no time to wait: write a longer one
    NATS_URL: "http://…@b" is no NATS URL (its scheme is neither nats nor tls): write nats://host:4222 or tls://host:4222
    NATS_WILDCARD_SUBJECT: subject `cyverse..users` has an empty token: a dot too many
    etc/conche.toml:2: sourc: unknown key, did you mean `source`?
    etc/conche.toml:4: nats.urlz: unknown key, did you mean `urls`?
    etc/conche.toml:6: events.stream: "a.b" is no stream name: '.' can't be in it
    etc/conche.toml:7: events.replicas: 6 is out of range: 1 to 5
    etc/conche.toml:8: events.max_age: 5 is no duration: write "30d", or "unlimited"
    etc/conche.toml:9: events.max_bytes: "many" is no size: write a number of bytes, or a unit as in "64MiB"
    etc/conche.toml:11: calls.slots: 0 is out of range: 1 to 100000
    etc/conche.toml:12: calls.max_memory: -1 is no size: write a number of bytes, or a unit as in "64MiB"
    etc/conche.toml:14: log.format: "text" is none of auto, human, json
    etc/conche.toml:16: plugins.default.grants.emit: "$JS.>" is reserved: what begins with `$`, `_INBOX.` or `conche.` belongs to the host
    etc/conche.toml:18: plugins.ceiling.envs: unknown key, did you mean `env`?
    etc/conche.toml:20: gateway.timeout: 0s is no time to wait: write a longer one
    "#);
}

#[test]
fn each_of_a_list_is_looked_at() {
    check_in(
        &[("NATS_WILDCARD_SUBJECT", "a..b,x.>.y,c.>")],
        "",
        "NATS_WILDCARD_SUBJECT: subject `a..b` has an empty token: a dot too many\n\
         NATS_WILDCARD_SUBJECT: subject `x.>.y` has `>` before its last token",
    );
    check(
        "[nats]\nnamespace = ['$SYS.>', 'conche.>']\n[plugins.default.grants]\nquery = ['a..b', 'x.>.y']",
        "etc/conche.toml:2: nats.namespace: \"$SYS.>\" is reserved: what begins with `$`, `_INBOX.` or `conche.` belongs to the host\n\
         etc/conche.toml:2: nats.namespace: \"conche.>\" is reserved: what begins with `$`, `_INBOX.` or `conche.` belongs to the host\n\
         etc/conche.toml:4: plugins.default.grants.query: subject `a..b` has an empty token: a dot too many\n\
         etc/conche.toml:4: plugins.default.grants.query: subject `x.>.y` has `>` before its last token",
    );
}

/// A default stands in for what could not be taken, and nobody wrote that.
#[test]
fn no_mistake_makes_another_one() {
    let check = |text: &str, expected: &str| check(text, &format!("etc/conche.toml:1: {expected}"));
    check(
        "events.max_age = '3x'\nevents.duplicate_window = '40d'",
        "events.max_age: \"3x\" is no duration: write \"30d\", or \"unlimited\"",
    );
    check(
        "events.subjects = ['a..b']\ncompat.event_subject = 'a.b'",
        "events.subjects: subject `a..b` has an empty token: a dot too many",
    );
    check(
        "nats.namespace = 5\nevents.subjects = 'cyverse.events.>'",
        "nats.namespace: 5 is no list of strings",
    );
    check(
        "nats.auth.password = 5\nnats.auth.user = 'a'",
        "nats.auth.password: 5 is no string: put it in quotes",
    );
    check(
        "gateway.token = 5\ngateway.listen = '0.0.0.0:80'",
        "gateway.token: 5 is no string: put it in quotes",
    );
    check(
        "health.listen = '8081'\ngateway.listen = '127.0.0.1:8081'",
        "health.listen: \"8081\" is no address to listen on: write an IP address and a port, such as 127.0.0.1:8080, or off",
    );
    check(
        "calls.max_memory = '999GiB'\nplugins.default.limits.memory = '1GiB'",
        "calls.max_memory: 999GiB is out of range: 64KiB to 4GiB",
    );
}

#[test]
fn logging_in_is_done_one_way() {
    check(
        "[nats.auth]\ntoken = 'a'\ncreds = 'b'",
        "etc/conche.toml:3: nats.auth: token and creds are two ways to log in: keep one",
    );
    check_in(
        &[("NATS_URL", "nats://u:pw@a")],
        "[nats.auth]\ntoken = 'a'",
        "NATS_URL: holds credentials, and so does nats.auth: keep one",
    );
    check_in(
        &[("NATS_URL", "nats://u:pw@a,nats://u:other@b")],
        "",
        "NATS_URL: holds several credentials: one is given to all servers, so keep one",
    );
    check(
        "[nats.auth]\nuser = 'a'",
        "etc/conche.toml:2: nats.auth.user: has no password: set one beside it",
    );
    check(
        "[nats.auth]\npassword = 'a'",
        "etc/conche.toml:2: nats.auth.password: has no user: set one beside it",
    );
    check(
        "[nats.auth]\nuser = 'a'\npassword = '${env:PW}'",
        "etc/conche.toml:3: nats.auth.password: ${env:PW}: the variable is not set",
    );
    check(
        "[nats.auth]\nnkey = 'seed.txt'",
        "etc/conche.toml:2: nats.auth.nkey: is no seed of a user: it begins with SU; \"${file:PATH}\" reads a file",
    );
    check(
        "[nats.tls]\ncert = 'c.pem'",
        "etc/conche.toml:2: nats.tls.cert: has no key: set one beside it",
    );
    check(
        "[nats.tls]\nkey = 'c.pem'",
        "etc/conche.toml:2: nats.tls.key: has no cert: set one beside it",
    );
}

#[test]
fn what_a_connection_reads_is_there() {
    let text = "[nats.auth]\ncreds = 'none.creds'\n[nats.tls]\nca = '/none.pem'\ncert = 'c.pem'\nkey = '/x'";
    check(
        text,
        "etc/conche.toml:2: nats.auth.creds: /srv/etc/none.creds: entity not found\n\
         etc/conche.toml:4: nats.tls.ca: /none.pem: entity not found\n\
         etc/conche.toml:6: nats.tls.key: /x: entity not found",
    );
    check("[nats.tls]\nca = 'large.pem'", "");
    // Without a server nobody reads them.
    for mode in [Mode::Dev, Mode::Call] {
        resolve(mode, &Flags::default(), &[], text).unwrap();
    }
}

#[test]
fn streams_take_no_queries() {
    check_in(
        &[("NATS_WILDCARD_SUBJECT", "org.>")],
        "",
        "events.subjects: \"org.cyverse.events.>\" overlaps \"org.>\" of nats.namespace \
         (NATS_WILDCARD_SUBJECT): the stream would answer queries; narrow one of them",
    );
    check(
        "[events]\nsubjects = ['cyverse.users.*', 'a.b', 'a.*']",
        "etc/conche.toml:2: events.subjects: \"cyverse.users.*\" overlaps \"cyverse.>\" of nats.namespace (default): the stream would answer queries; narrow one of them\n\
         etc/conche.toml:2: events.subjects: \"a.b\" and \"a.*\" overlap: a server refuses that",
    );
    check(
        "[events]\nsubjects = []\n[nats]\nnamespace = []",
        "etc/conche.toml:2: events.subjects: is empty: name what the stream takes, such as \"org.cyverse.events.>\"\n\
         etc/conche.toml:4: nats.namespace: is empty: name a pattern that query ops must match, such as \"cyverse.>\"",
    );
    check(
        "events.subjects = 'conche.dlq.>'",
        "etc/conche.toml:1: events.subjects: \"conche.dlq.>\" is reserved: what begins with `$`, `_INBOX.` or `conche.` belongs to the host",
    );
}

#[test]
fn times_of_events() {
    check(
        "events.ack_wait = '10ms'",
        "etc/conche.toml:1: events.ack_wait: 10ms is out of range: at least 1s",
    );
    check(
        "events.duplicate_window = '10ms'",
        "etc/conche.toml:1: events.duplicate_window: 10ms is out of range: at least 100ms",
    );
    check(
        "events.max_age = '1m'",
        "etc/conche.toml:1: events.max_age: 1m is below events.duplicate_window, 2m: lower that",
    );
    check(
        "events.max_age = '0s'",
        "etc/conche.toml:1: events.max_age: 0s keeps nothing: write \"unlimited\"",
    );
}

#[test]
fn names() {
    check(
        "source = 'no uri {plugin}'",
        "etc/conche.toml:1: source: \"no uri {plugin}\" is no URI reference: write one such as https://example.org/{client_id}/{plugin}, with no other placeholders",
    );
    check(
        "source = ''",
        "etc/conche.toml:1: source: is empty: an event needs a source",
    );
    check_in(
        &[("NATS_CLIENT_ID", "a b")],
        "",
        "NATS_CLIENT_ID: \"a b\" is no client id: ' ' can't be in it",
    );
    check(
        "compat.transaction_attribute = 'Tid'",
        "etc/conche.toml:1: compat.transaction_attribute: \"Tid\" is no attribute name: only a-z and 0-9 can be in it",
    );
    check(
        "compat.transaction_attribute = 'id'",
        "etc/conche.toml:1: compat.transaction_attribute: \"id\" is an attribute that CloudEvents defines: choose another",
    );
    check(
        "compat.errors = 'fault'",
        "etc/conche.toml:1: compat.errors: \"fault\" is none of faults, silent, did you mean \"faults\"?",
    );
    check(
        "compat.event_subject = 'cyverse.events'",
        "etc/conche.toml:1: compat.event_subject: \"cyverse.events\" is taken by none of events.subjects, [\"org.cyverse.events.>\"]: add it there, or write \"type\"",
    );
    check(
        "compat.event_subject = ['org.cyverse.events.a', 'cyverse.events']",
        "etc/conche.toml:1: compat.event_subject: \"cyverse.events\" is taken by none of events.subjects, [\"org.cyverse.events.>\"]: add it there, or write \"type\"",
    );
    check(
        "compat.event_subject = ['org.cyverse.events.a', 'org.cyverse.events.a']",
        "etc/conche.toml:1: compat.event_subject: \"org.cyverse.events.a\" is there twice",
    );
    check(
        "compat.event_subject = ['type', 'org.cyverse.events.a']",
        "etc/conche.toml:1: compat.event_subject: \"type\" stands by itself: write it without other subjects",
    );
    check(
        "compat.event_subject = []",
        "etc/conche.toml:1: compat.event_subject: is empty: write \"type\", or the subjects that events travel on",
    );
    check(
        "compat.event_subject = 'org.*'",
        "etc/conche.toml:1: compat.event_subject: subject `org.*` has the wildcard `*`, a literal subject is needed",
    );
}

#[test]
fn a_gateway_for_others_needs_a_token() {
    let why = "can be reached from other machines: set token_file or token in [gateway], or \
               CONCHE_GATEWAY_TOKEN; or listen on 127.0.0.1";
    let text = "[gateway]\nlisten = '0.0.0.0:80'";
    check(
        text,
        &format!("etc/conche.toml:2: gateway.listen: 0.0.0.0:80 {why}"),
    );
    check_in(&[("CONCHE_GATEWAY_TOKEN", "t")], text, "");
    check("[gateway]\nlisten = '127.0.0.1:80'", "");
    check("[gateway]\nlisten = '[::1]:80'", "");
    check(
        "[gateway]\nlisten = '0.0.0.0:80'\ntoken_file = 'none'",
        "etc/conche.toml:3: gateway.token_file: /srv/etc/none: entity not found",
    );
    check(
        "[gateway]\ntoken_file = 'empty'",
        "etc/conche.toml:2: gateway.token_file: /srv/etc/empty is empty",
    );
    check(
        "[gateway]\ntoken = 'a'\ntoken_file = 'token'",
        "etc/conche.toml:3: gateway.token_file: gateway.token is set too: keep one",
    );
    check(
        "[gateway]\nlisten = '127.0.0.1:8081'",
        "health.listen: 127.0.0.1:8081 is gateway.listen too (etc/conche.toml:2): probes have a listener of their own",
    );
}

#[test]
fn the_cache_is_outside_what_is_watched() {
    check(
        "cache.dir = '../plugins/./cache'",
        "etc/conche.toml:1: cache.dir: /srv/plugins/cache is inside plugins.dir, /srv/plugins, which is watched: move it out",
    );
    check(
        "plugins.policies = '/p'\ncache.dir = '/p'",
        "etc/conche.toml:2: cache.dir: /p is inside plugins.policies, /p, which is watched: move it out",
    );
}

#[test]
fn the_default_policy_stays_under_the_ceiling() {
    check(
        "[plugins.default.limits]\ncpu = '9s'\n[plugins.ceiling.limits]\ncpu = '1s'",
        "etc/conche.toml:2: plugins.default.limits.cpu: 9s is above the ceiling's 1s (etc/conche.toml:4): lower it, or raise cpu in [plugins.ceiling.limits]",
    );
}

#[test]
fn broken_syntax_hides_nothing_of_the_environment() {
    check_in(
        &[("NATS_MAX_RECONNECTS", "x")],
        "[nats\n",
        "etc/conche.toml:1: unclosed table, expected `]`\n\
         NATS_MAX_RECONNECTS: \"x\" is no number of attempts: write a whole number, or -1 for 6 attempts",
    );
}
