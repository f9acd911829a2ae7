//! Each count ends up under its name and labels, and nothing that traffic says becomes a label.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{CALL_BUCKETS, EventEnd, Metrics, PluginMetrics, QueryEnd, ShedBy};
use crate::policy::PluginName;

const GREET: &str = "cyverse.greeter.Greet";

fn name(text: &str) -> PluginName {
    text.parse().unwrap()
}

fn greeter(metrics: &Metrics) -> PluginMetrics {
    metrics.plugin(&name("greeter"), [GREET])
}

/// Each sample of the text: the name with its labels, and the value.
fn samples(metrics: &Metrics) -> BTreeMap<String, f64> {
    let text = metrics.render();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

#[track_caller]
fn check(metrics: &Metrics, sample: &str, expected: Option<f64>) {
    let samples = samples(metrics);
    assert_eq!(
        samples.get(sample).copied(),
        expected,
        "{sample}: {samples:#?}"
    );
}

#[test]
fn queries_count_by_op_and_outcome() {
    let metrics = Metrics::new();
    let plugin = greeter(&metrics);
    let sample = |op: &str, outcome: &str| {
        format!(r#"conche_queries_total{{plugin="greeter",op="{op}",outcome="{outcome}"}}"#)
    };
    for (end, outcome) in [
        (QueryEnd::Reply, "reply"),
        (QueryEnd::Silence, "silence"),
        (QueryEnd::Fault, "fault"),
        (QueryEnd::Failed, "failed"),
        (QueryEnd::Shed, "shed"),
    ] {
        check(&metrics, &sample(GREET, outcome), Some(0.0));
        plugin.queries(Some(GREET)).count(end);
        check(&metrics, &sample(GREET, outcome), Some(1.0));
    }
    metrics.query_unserved();
    for total in [3, 3, 5] {
        metrics.matches_missed(total);
    }
    check(&metrics, "conche_matches_missed_total", Some(5.0));
    metrics.query_undecodable();
    for outcome in ["unserved", "undecodable"] {
        let sample = sample("", outcome).replace("greeter", "");
        check(&metrics, &sample, Some(1.0));
    }
}

#[test]
fn an_op_that_only_traffic_knows_is_no_label() {
    let metrics = Metrics::new();
    let plugin = greeter(&metrics);
    plugin
        .queries(Some("cyverse.made.Up"))
        .count(QueryEnd::Reply);
    plugin.queries(None).count(QueryEnd::Reply);
    let sample = r#"conche_queries_total{plugin="greeter",op="",outcome="reply"}"#;
    check(&metrics, sample, Some(2.0));
    assert!(!metrics.render().contains("made"), "{}", metrics.render());
}

#[test]
fn events_failures_and_effects_count_by_plugin() {
    let metrics = Metrics::new();
    let plugin = greeter(&metrics);
    for (end, outcome) in [
        (EventEnd::Ok, "ok"),
        (EventEnd::Retried, "retried"),
        (EventEnd::DeadLettered, "dead-lettered"),
        (EventEnd::Skipped, "skipped"),
    ] {
        let sample = format!(r#"conche_events_total{{plugin="greeter",outcome="{outcome}"}}"#);
        check(&metrics, &sample, Some(0.0));
        plugin.event(end);
        check(&metrics, &sample, Some(1.0));
    }
    let failed = r#"conche_failures_total{plugin="greeter",kind="out-of-memory"}"#;
    check(&metrics, failed, None);
    plugin.failure("out-of-memory");
    check(&metrics, failed, Some(1.0));

    plugin.effects_stored(3);
    plugin.effects_not_stored(1);
    let effects =
        |outcome| format!(r#"conche_effects_total{{plugin="greeter",outcome="{outcome}"}}"#);
    check(&metrics, &effects("stored"), Some(3.0));
    check(&metrics, &effects("not-stored"), Some(1.0));
}

#[test]
fn durations_fall_into_their_buckets() {
    let metrics = Metrics::new();
    let plugin = greeter(&metrics);
    plugin.query_took(Duration::from_micros(90));
    plugin.query_took(Duration::from_millis(3));
    plugin.event_took(Duration::from_secs(60));
    let bucket = |kind: &str, le: &str| {
        format!(
            r#"conche_call_duration_seconds_bucket{{le="{le}",plugin="greeter",kind="{kind}"}}"#
        )
    };
    check(&metrics, &bucket("query", "0.0001"), Some(1.0));
    check(&metrics, &bucket("query", "0.0025"), Some(1.0));
    check(&metrics, &bucket("query", "0.005"), Some(2.0));
    check(&metrics, &bucket("event", "10.0"), Some(0.0));
    check(&metrics, &bucket("event", "+Inf"), Some(1.0));
    let sum = r#"conche_call_duration_seconds_sum{plugin="greeter",kind="event"}"#;
    check(&metrics, sum, Some(60.0));
    assert!(CALL_BUCKETS.is_sorted());
}

#[test]
fn the_host_counts_what_is_its_own() {
    let metrics = Metrics::new();
    for (by, limit) in [
        (ShedBy::Plugin, "plugin"),
        (ShedBy::Host, "host"),
        (ShedBy::Intake, "intake"),
        (ShedBy::Late, "late"),
    ] {
        let sample = format!(r#"conche_messages_shed_total{{limit="{limit}"}}"#);
        check(&metrics, &sample, Some(0.0));
        metrics.shed(by);
        check(&metrics, &sample, Some(1.0));
    }
    metrics.slots_free(12);
    check(&metrics, "conche_slots_free", Some(12.0));
    let version = env!("CARGO_PKG_VERSION");
    let build = format!(r#"conche_build_info{{version="{version}"}}"#);
    check(&metrics, &build, Some(1.0));
}

#[test]
fn a_connection_that_comes_back_counts_again() {
    let metrics = Metrics::new();
    let connected = r#"conche_nats_connected{connection="queries"}"#;
    let connects = r#"conche_nats_connects_total{connection="queries"}"#;
    metrics.nats_connected("queries", false);
    check(&metrics, connected, Some(0.0));
    check(&metrics, connects, Some(0.0));
    metrics.nats_connected("queries", true);
    metrics.nats_connected("queries", false);
    metrics.nats_connected("queries", true);
    check(&metrics, connected, Some(1.0));
    check(&metrics, connects, Some(2.0));
}

#[test]
fn a_version_goes_on_counting_where_the_last_one_ended() {
    let metrics = Metrics::new();
    let (greeter, name) = (|| greeter(&metrics), name("greeter"));
    let first = greeter();
    first.queries(Some(GREET)).count(QueryEnd::Reply);
    metrics.swapped(&name, 1);
    metrics.refused(&name, "policy");
    greeter().queries(Some(GREET)).count(QueryEnd::Reply);
    metrics.swapped(&name, 1);
    let replies =
        format!(r#"conche_queries_total{{plugin="greeter",op="{GREET}",outcome="reply"}}"#);
    check(&metrics, &replies, Some(2.0));
    check(
        &metrics,
        r#"conche_swaps_total{plugin="greeter"}"#,
        Some(2.0),
    );
    let refused = r#"conche_refusals_total{plugin="greeter",reason="policy"}"#;
    check(&metrics, refused, Some(1.0));
    check(&metrics, "conche_plugins_serving", Some(1.0));
}

#[test]
fn a_plugin_that_is_gone_is_not_stopped_for_ever() {
    let metrics = Metrics::new();
    let plugin = greeter(&metrics);
    let stopped = r#"conche_plugin_stopped{plugin="greeter"}"#;
    check(&metrics, stopped, Some(0.0));
    plugin.stopped(true);
    check(&metrics, stopped, Some(1.0));
    metrics.removed(&name("greeter"), 0);
    check(&metrics, stopped, None);
    check(&metrics, "conche_plugins_serving", Some(0.0));
}
