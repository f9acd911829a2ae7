//! Durable consumers of the event stream: ones that nobody pulls from, ones that wait for subjects
//! that never come, ones that do another's work. Pure.

use super::{Finding, Wants};
use crate::config::Config;
use crate::nats::ConsumerSeen;
use crate::subject::SubjectPattern;

/// Whether a consumer has messages and was left alone at each look.
pub(super) fn any_alone(looks: &[Vec<ConsumerSeen>]) -> bool {
    let Some(last) = looks.last() else {
        return false;
    };
    last.iter().any(|consumer| is_alone(consumer, looks))
}

/// What is wrong with the consumers of a stream that takes `subjects`.
pub(super) fn check(
    config: &Config,
    wants: &Wants,
    subjects: &[String],
    looks: &[Vec<ConsumerSeen>],
) -> Vec<Finding> {
    let Some(consumers) = looks.last() else {
        return Vec::new();
    };
    let prefix = format!("{}-", config.events.durable);
    let ours = consumers
        .iter()
        .filter_map(|it| Some((it, it.name.strip_prefix(&prefix)?)));
    let mut findings = Vec::new();
    for (consumer, plugin) in ours {
        if is_alone(consumer, looks) {
            findings.push(alone(config, wants, consumer, plugin));
        }
        findings.extend(dead_filters(config, consumer, subjects));
    }
    for plugin in &wants.plugins {
        findings.extend(doubled(config, wants, plugin, consumers));
    }
    findings
}

/// Has messages, and neither was pulled from nor delivered any since the first look.
fn is_alone(consumer: &ConsumerSeen, looks: &[Vec<ConsumerSeen>]) -> bool {
    let mut before = looks.iter().flatten().filter(|it| it.name == consumer.name);
    !consumer.is_push
        && consumer.pending > 0
        && before.all(|it| it.pulls == 0 && it.delivered == consumer.delivered)
}

fn alone(config: &Config, wants: &Wants, consumer: &ConsumerSeen, plugin: &str) -> Finding {
    let ConsumerSeen { name, pending, .. } = consumer;
    let stream = &config.events.stream;
    let (events, wait) = match pending {
        1 => ("event", "waits"),
        _ => ("events", "wait"),
    };
    let what = format!("{pending} {events} {wait} at consumer `{name}`, and nobody pulls");
    let mend = if wants.plugins.iter().any(|known| known == plugin) {
        format!("start a host with plugin `{plugin}`: conche run")
    } else {
        format!(
            "run a host with plugin `{plugin}`, or, if it is gone for good: nats consumer rm {stream} {name}"
        )
    };
    Finding::warning("consumers", what, mend)
}

/// Filters of subjects that the stream does not take any more.
fn dead_filters(config: &Config, consumer: &ConsumerSeen, subjects: &[String]) -> Vec<Finding> {
    let stream = &config.events.stream;
    let name = &consumer.name;
    let dead = consumer.filters.iter().filter(|filter| {
        let taken = subjects.iter().any(|subject| overlap(subject, filter));
        !taken && !subjects.is_empty()
    });
    dead.map(|filter| {
        let what =
            format!("consumer `{name}` waits for {filter}, which stream `{stream}` does not take");
        let all = subjects.iter().map(String::as_str).chain([filter.as_str()]);
        let all = all.collect::<Vec<_>>().join(",");
        let mend = format!("nats stream edit {stream} --subjects \"{all}\"");
        Finding::warning("filters", what, mend)
    })
    .collect()
}

/// Consumers that get the same events for the same plugin: under another durable name, or with
/// something added to it, as copies are made.
fn doubled(
    config: &Config,
    wants: &Wants,
    plugin: &str,
    consumers: &[ConsumerSeen],
) -> Vec<Finding> {
    let own = format!("{}-{plugin}", config.events.durable);
    let Some(ours) = consumers.iter().find(|it| it.name == own) else {
        return Vec::new();
    };
    let is_other_plugin = |name: &str| {
        let prefix = format!("{}-", config.events.durable);
        let rest = name.strip_prefix(&prefix);
        rest.is_some_and(|rest| wants.plugins.iter().any(|known| known == rest))
    };
    let copies = consumers.iter().filter(|other| {
        let name = &other.name;
        let copied = name.ends_with(&format!("-{plugin}")) || name.starts_with(&format!("{own}-"));
        *name != own && copied && !is_other_plugin(name)
    });
    let stream = &config.events.stream;
    copies
        .filter_map(|other| Some((other, common(ours, other)?)))
        .map(|(other, filter)| {
            let what = format!(
                "consumers `{own}` and `{}` both get {filter}: if both are served, plugin `{plugin}` runs twice for each event",
                other.name
            );
            let mend = format!("nats consumer rm {stream} {}", other.name);
            Finding::warning("filters", what, mend)
        })
        .collect()
}

/// A filter of the first that overlaps one of the second; none is a filter for all.
fn common(ours: &ConsumerSeen, other: &ConsumerSeen) -> Option<String> {
    let all = [">".to_owned()];
    let filters = |it: &ConsumerSeen| match it.filters.as_slice() {
        [] => all.to_vec(),
        filters => filters.to_vec(),
    };
    let theirs = filters(other);
    let shared = |filter: &String| theirs.iter().any(|their| overlap(filter, their));
    filters(ours).into_iter().find(shared)
}

fn overlap(a: &str, b: &str) -> bool {
    let (Ok(a), Ok(b)) = (a.parse::<SubjectPattern>(), b.parse::<SubjectPattern>()) else {
        return a == b;
    };
    a.overlaps(&b)
}
