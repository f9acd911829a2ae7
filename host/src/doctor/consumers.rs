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
        findings.extend(doubled(config, plugin, consumers));
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

/// Consumers that get the same events for a plugin of the same name, under another durable name.
/// What begins with our own is another plugin's, whether it is known here or not.
fn doubled(config: &Config, plugin: &str, consumers: &[ConsumerSeen]) -> Vec<Finding> {
    let prefix = format!("{}-", config.events.durable);
    let own = format!("{prefix}{plugin}");
    let Some(ours) = consumers.iter().find(|it| it.name == own) else {
        return Vec::new();
    };
    let suffix = format!("-{plugin}");
    let others = consumers
        .iter()
        .filter(|other| other.name.ends_with(&suffix) && !other.name.starts_with(&prefix));
    let stream = &config.events.stream;
    others
        .filter_map(|other| Some((other, common(ours, other)?)))
        .map(|(other, filter)| {
            let name = &other.name;
            let what = format!(
                "consumers `{own}` and `{name}` both get {filter}: if both are served, plugin `{plugin}` runs twice for each event"
            );
            // Who removes it where it is served loses its place in the stream.
            let mend = if other.pulls == 0 && !other.is_push {
                format!("nats consumer rm {stream} {name}")
            } else {
                format!(
                    "somebody reads from `{name}`: if that is plugin `{plugin}` too, give its host the same NATS_DURABLE_NAME"
                )
            };
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

#[cfg(test)]
mod tests {
    use super::{ConsumerSeen, check};
    use crate::config::Config;
    use crate::doctor::Wants;

    /// What is found at plugin `orders` beside another consumer of the same events.
    fn beside(name: &str, pulls: u64) -> Vec<(String, String)> {
        let consumer = |name: &str, pulls| ConsumerSeen {
            name: name.to_owned(),
            filters: vec!["org.cyverse.events.OrderPaid".to_owned()],
            pulls,
            ..ConsumerSeen::default()
        };
        let wants = Wants {
            plugins: vec!["orders".to_owned()],
            ..Wants::default()
        };
        let look = vec![consumer("conche-orders", 1), consumer(name, pulls)];
        let subjects = ["org.cyverse.events.>".to_owned()];
        let found = check(&Config::default(), &wants, &subjects, &[look]);
        found.into_iter().map(|it| (it.what, it.mend)).collect()
    }

    #[test]
    fn another_plugin_of_the_same_durable_is_no_copy() {
        for name in ["conche-paid-orders", "conche-orders-eu"] {
            assert_eq!(beside(name, 1), []);
            assert_eq!(beside(name, 0), []);
        }
    }

    #[test]
    fn what_somebody_pulls_from_is_not_to_be_removed() {
        let what = "consumers `conche-orders` and `users-orders` both get org.cyverse.events.OrderPaid: if both are served, plugin `orders` runs twice for each event";
        let rm = "nats consumer rm conche-events users-orders";
        assert_eq!(
            beside("users-orders", 0),
            [(what.to_owned(), rm.to_owned())]
        );
        let mend = "somebody reads from `users-orders`: if that is plugin `orders` too, give its host the same NATS_DURABLE_NAME";
        assert_eq!(
            beside("users-orders", 1),
            [(what.to_owned(), mend.to_owned())]
        );
    }
}
