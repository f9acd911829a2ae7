//! Where values come from: defaults, the old names, files, flags.

use super::*;
use crate::policy::Granting;

#[test]
fn every_default() {
    insta::assert_snapshot!(lines(&of_file("")), @r#"
    nats.client_id = pod-1 (default)
    source = /conche/{client_id}/{plugin} (default)
    nats.urls = nats://nats:4222 (default)
    nats.queue_group = conche (default)
    nats.namespace = ["cyverse.>"] (default)
    nats.max_reconnects = forever (default)
    nats.reconnect_wait = 10s (default)
    nats.request_timeout = 5s (default)
    nats.tls.required = false (default)
    events.stream = conche-events (default)
    events.subjects = ["org.cyverse.events.>"] (default)
    events.durable = conche (default)
    events.replicas = 1 (default)
    events.create = true (default)
    events.max_age = 30d (default)
    events.max_bytes = unlimited (default)
    events.duplicate_window = 2m (default)
    events.ack_wait = 1m (default)
    events.publish_timeout = 10s (default)
    calls.slots = 16 (default)
    calls.guest_threads = 2 (default)
    calls.hop_limit = 16 (default)
    calls.request_timeout = 5s (default)
    calls.max_memory = 256MiB (default)
    calls.max_table_elements = 40000 (default)
    plugins.dir = /srv/plugins (default)
    plugins.policies = /srv/plugins (default)
    gateway.listen = off (default)
    gateway.max_body = 1MiB (default)
    gateway.hosts = [] (default)
    gateway.timeout = 10s (default)
    cache.dir = /tmp/conche-1000 (default)
    cache.max_bytes = 1GiB (default)
    health.listen = 127.0.0.1:8081 (default)
    shutdown.drain = 25s (default)
    log.format = auto (default)
    log.level = info (default)
    compat.transaction_attribute = transactionid (default)
    compat.errors = faults (default)
    compat.event_subject = type (default)
    "#);
}

#[test]
fn dev_opens_the_gateway_and_grants_everything() {
    let run = of_file("");
    assert_eq!(
        (run.gateway.listen, run.plugins.rules.granting()),
        (None, Granting::AsWritten)
    );
    assert!(!run.mode.is_embedded());
    let dev = resolve(Mode::Dev, &Flags::default(), &[], "").unwrap();
    assert_eq!(dev.gateway.listen, Some(([127, 0, 0, 1], 8080).into()));
    assert_eq!(
        (dev.health.listen, dev.plugins.rules.granting()),
        (None, Granting::Everything)
    );
    assert!(dev.mode.is_embedded());
    let call = resolve(Mode::Call, &Flags::default(), &[], "").unwrap();
    assert!(call.mode.is_embedded() && !Mode::Health.is_embedded());
    assert_eq!((call.gateway.listen, call.health.listen), (None, None));
}

#[test]
fn old_names_with_values() {
    let config = of_env(&[
        ("NATS_URL", "nats://a:4222, tls://u:pw@b:4223"),
        ("NATS_QUEUE_GROUP", "users"),
        ("NATS_WILDCARD_SUBJECT", "cyverse.users.>,cyverse.groups.*"),
        ("NATS_CLIENT_ID", "users-7"),
        ("NATS_MAX_RECONNECTS", "3"),
        ("NATS_RECONNECT_WAIT", "4"),
        ("NATS_REQUEST_TIMEOUT", "7"),
        ("NATS_CLUSTER_ID", "cacao-cluster"),
        ("NATS_DURABLE_NAME", "users-durable"),
        ("NATS_EVENTS_TIMEOUT", "20"),
    ]);
    assert_eq!(config.nats.urls, ["nats://a:4222", "tls://u:pw@b:4223"]);
    assert_eq!(config.nats.queue_group, "users");
    let namespace: Vec<_> = config
        .nats
        .namespace
        .iter()
        .map(SubjectPattern::as_str)
        .collect();
    assert_eq!(namespace, ["cyverse.users.>", "cyverse.groups.*"]);
    assert_eq!(config.client_id, "users-7");
    assert_eq!(config.nats.max_reconnects, Some(3));
    assert_eq!(config.nats.reconnect_wait, Duration::from_secs(4));
    assert_eq!(config.nats.request_timeout, Duration::from_secs(7));
    assert_eq!(config.calls.request_timeout, Duration::from_secs(7));
    assert_eq!(config.events.durable, "users-durable");
    assert_eq!(config.events.publish_timeout, Duration::from_secs(20));
    assert_eq!(
        config.warnings,
        [
            "NATS_CLUSTER_ID=cacao-cluster is ignored: it names a NATS Streaming cluster, and events \
          go over JetStream"
        ]
    );
    let lines = lines(&config);
    assert!(
        lines.contains("nats.urls = nats://a:4222,tls://…@b:4223 (NATS_URL)"),
        "{lines}"
    );
    assert!(
        lines.contains("calls.request_timeout = 7s (NATS_REQUEST_TIMEOUT)"),
        "{lines}"
    );
    assert!(!lines.contains("pw"), "{lines}");
}

#[test]
fn the_variable_goes_before_both_keys_of_its_time() {
    let text = "[nats]\nrequest_timeout = '2s'\n[calls]\nrequest_timeout = '3s'";
    let check = |variables: &[(&str, &str)], asking: u64, guests: u64, origin: &str| {
        let config = resolve(Mode::Run, &Flags::default(), variables, text).unwrap();
        let times = [config.nats.request_timeout, config.calls.request_timeout];
        assert_eq!(times, [asking, guests].map(Duration::from_secs));
        let line = format!("calls.request_timeout = {guests}s ({origin})");
        assert!(lines(&config).contains(&line), "{}", lines(&config));
    };
    check(&[], 2, 3, "etc/conche.toml:4");
    let variable = "NATS_REQUEST_TIMEOUT";
    check(&[(variable, "9")], 9, 9, variable);
}

#[test]
fn minus_one_is_the_old_default_and_unset_is_not() {
    let old = of_env(&[
        ("NATS_MAX_RECONNECTS", "-1"),
        ("NATS_RECONNECT_WAIT", "-1"),
        ("NATS_REQUEST_TIMEOUT", "-1"),
        ("NATS_EVENTS_TIMEOUT", "-1"),
    ]);
    assert_eq!(old.nats.max_reconnects, Some(6));
    assert_eq!(old.nats.reconnect_wait, Duration::from_secs(10));
    assert_eq!(old.nats.request_timeout, Duration::from_secs(5));
    assert_eq!(old.events.publish_timeout, Duration::from_secs(10));
    let unset = of_env(&[("NATS_MAX_RECONNECTS", " ")]);
    assert_eq!(unset.nats.max_reconnects, None, "for ever");
    assert_eq!(
        of_env(&[("NATS_MAX_RECONNECTS", "0")]).nats.max_reconnects,
        Some(0)
    );
    assert_eq!(
        of_file("nats.max_reconnects = 9").nats.max_reconnects,
        Some(9)
    );
    assert_eq!(
        of_file("nats.max_reconnects = 0x10").nats.max_reconnects,
        Some(16)
    );
    assert_eq!(
        of_file("nats.max_reconnects = 'forever'")
            .nats
            .max_reconnects,
        None
    );
}

#[test]
fn own_variables() {
    let config = of_env(&[
        ("CONCHE_PLUGINS", "wasm"),
        ("CONCHE_POLICIES", "/etc/policies"),
        ("CONCHE_LOG", "debug"),
        ("CONCHE_HEALTH_LISTEN", "0.0.0.0:8081"),
        ("CONCHE_GATEWAY_TOKEN", "a${env:b}"),
        ("XDG_CACHE_HOME", "/var/cache"),
    ]);
    assert_eq!(config.plugins.dir, Path::new("/srv/wasm"));
    assert_eq!(config.plugins.policies, Path::new("/etc/policies"));
    assert_eq!(config.log.level, "debug");
    assert_eq!(config.health.listen, Some(([0, 0, 0, 0], 8081).into()));
    assert_eq!(
        config.gateway.token.as_ref().map(Secret::expose),
        Some("a${env:b}"),
        "as it is"
    );
    assert_eq!(config.cache.dir, Path::new("/var/cache/conche"));
    assert_eq!(
        of_env(&[("HOME", "/users/u")]).cache.dir,
        Path::new("/users/u/.cache/conche")
    );
    assert_eq!(of_env(&[]).cache.dir, Path::new("/tmp/conche-1000"));
}

#[test]
fn flags_over_environment_over_file() {
    let text = "nats.urls = 'file:1'\nplugins.dir = 'file'\nlog.level = 'warn'";
    let variables = [("NATS_URL", "env:1"), ("CONCHE_PLUGINS", "env")];
    let flags = Flags {
        nats_url: Some("flag:1".to_owned()),
        listen: Some("localhost:9000".to_owned()),
        health_listen: Some("off".to_owned()),
        policies: Some("p".into()),
        cache_dir: Some("c".into()),
        log_format: Some("json".to_owned()),
        ..Flags::default()
    };
    let config = resolve(Mode::Run, &flags, &variables, text).unwrap();
    assert_eq!(config.nats.urls, ["nats://flag:1"]);
    assert_eq!(
        config.plugins.dir,
        Path::new("/srv/env"),
        "from the working directory"
    );
    assert_eq!(config.log.level, "warn");
    assert_eq!(config.gateway.listen, Some(([127, 0, 0, 1], 9000).into()));
    assert_eq!(
        (config.health.listen, config.log.format),
        (None, LogFormat::Json)
    );
    assert_eq!(
        of_file(text).plugins.dir,
        Path::new("/srv/etc/file"),
        "from where the file is"
    );
    let lines = lines(&config);
    assert!(lines.contains("nats.urls = flag:1 (--nats-url)"), "{lines}");
    assert!(
        lines.contains("plugins.dir = /srv/env (CONCHE_PLUGINS)"),
        "{lines}"
    );
    assert!(
        lines.contains("log.level = warn (etc/conche.toml:3)"),
        "{lines}"
    );
}

/// As every other path in a file.
#[test]
fn a_secrets_relative_path_begins_where_the_file_is() {
    let config = of_file("nats.auth = { user = 'u', password = '${file:token}' }");
    let password = Secret::new("t0ken");
    let user = "u".to_owned();
    assert_eq!(config.nats.auth, Auth::UserPassword { user, password });
}

const WHOLE: &str = r#"
        source = "https://example.org/{client_id}"
        [nats]
        urls = ["nats://a:1", "tls://b:2"]
        queue_group = "q"
        namespace = ["org.cyverse.users.>"]
        client_id = "c"
        reconnect_wait = "2s"
        auth = { user = "u", password = "${file:/srv/etc/token}" }
        tls = { required = true, ca = "ca.pem", cert = "c.pem", key = "/k.pem" }
        [events]
        stream = "S"
        subjects = ["org.cyverse.events.>"]
        durable = "d"
        create = false
        replicas = 3
        max_age = "unlimited"
        max_bytes = "10GiB"
        ack_wait = "90s"
        [calls]
        slots = 64
        guest_threads = 3
        hop_limit = 4
        request_timeout = "1s"
        max_memory = "512MiB"
        [plugins.default.limits]
        memory = "128MiB"
        [plugins.ceiling]
        env = ["DB_*"]
        [plugins.ceiling.grants]
        emit = "org.cyverse.events.>"
        [gateway]
        listen = "0.0.0.0:80"
        token_file = "token"
        hosts = ["api.example.org"]
        max_body = "2MiB"
        [health]
        listen = "[::]:8081"
        [shutdown]
        drain = "5s"
        [compat]
        transaction_attribute = "tid"
        errors = "silent"
        event_subject = "org.cyverse.events.all"
        "#;

#[test]
fn a_whole_file_reads() {
    let config = of_file(WHOLE);
    assert_eq!(
        config.source_of(&"users".parse().unwrap()),
        "https://example.org/c"
    );
    let password = Secret::new("t0ken");
    assert_eq!(
        config.nats.auth,
        Auth::UserPassword {
            user: "u".to_owned(),
            password
        }
    );
    assert_eq!(
        config.nats.tls.ca.as_deref(),
        Some(Path::new("/srv/etc/ca.pem"))
    );
    assert_eq!(config.nats.tls.key.as_deref(), Some(Path::new("/k.pem")));
    assert!(config.nats.tls.required);
    assert_eq!((config.events.replicas, config.events.create), (3, false));
    assert_eq!(
        (config.events.max_age, config.events.max_bytes),
        (None, Some(10 << 30))
    );
    assert_eq!((config.calls.slots, config.calls.hop_limit), (64, 4));
    assert_eq!(config.calls.request_timeout, Duration::from_secs(1));
    assert_eq!(
        config.gateway.token.as_ref().map(Secret::expose),
        Some("t0ken")
    );
    assert_eq!(config.gateway.max_body_bytes, 2 << 20);
    assert_eq!(config.shutdown.drain, Duration::from_secs(5));
    assert_eq!(config.compat.errors, ErrorAnswers::Silent);
    assert_eq!(
        config.compat.event_subject,
        EventSubject::Fixed(vec!["org.cyverse.events.all".into()])
    );
    let lines = lines(&config);
    assert!(
        lines.contains("plugins.default.limits.memory = 128MiB (etc/conche.toml:27)"),
        "{lines}"
    );
    assert!(
        !lines.contains("t0ken") && !format!("{config:?}").contains("t0ken"),
        "{lines}"
    );
}
