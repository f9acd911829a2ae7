//! Others on our subjects: what they subscribe, services that say what they serve, and whoever
//! takes the whole namespace. Pure.

use std::collections::BTreeMap;

use super::{Finding, Wants};
use crate::config::Config;
use crate::nats::{Neighbour, StreamConfig, subject_within};
use crate::subject::SubjectPattern;

/// Names that are shown of those who subscribe alike.
const SHOWN: usize = 3;

/// A subject that nobody can have meant, within a pattern of the namespace.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) subject: String,
    pub(super) pattern: String,
}

/// One for each pattern of the namespace that has wildcards, of which no stream takes a part (it
/// would store the probe) and nobody is known to subscribe all.
pub(super) fn probes(
    config: &Config,
    streams: &[StreamConfig],
    neighbours: &[Neighbour],
) -> Vec<Probe> {
    let known = |pattern: &SubjectPattern| {
        let mut subjects = neighbours.iter().map(|it| it.subject.parse());
        subjects.any(|it: Result<SubjectPattern, _>| it.is_ok_and(|it| it.covers(pattern)))
    };
    let patterns = config.nats.namespace.iter().filter(|pattern| {
        let stored = streams.iter().any(|it| it.overlaps(pattern.as_str()));
        !stored && !pattern.is_literal() && !known(pattern)
    });
    patterns
        .map(|pattern| Probe {
            subject: subject_within(pattern.as_str()),
            pattern: pattern.to_string(),
        })
        .collect()
}

/// Somebody took the probe, and nobody knows who.
pub(super) fn taken(probe: &Probe, wants: &Wants) -> Finding {
    let pattern = &probe.pattern;
    let who = match wants.any_query.as_slice() {
        [] => "a service of the old package, or another".to_owned(),
        plugins => format!(
            "an old service, or a host that runs {}, which takes any query",
            plugins.join(", ")
        ),
    };
    let what = format!(
        "somebody subscribes all of {pattern} ({who}): who asks for an op that nobody serves waits, and in another queue group each query runs twice"
    );
    Finding::warning("neighbours", what, SAME_OPS.to_owned())
}

const SAME_OPS: &str = "give both the same NATS_QUEUE_GROUP if they serve the same ops; else let the old service drop those that plugins serve";

/// What others subscribe of our ops and our namespace: one finding for all who do alike.
pub(super) fn check(config: &Config, wants: &Wants, neighbours: &[Neighbour]) -> Vec<Finding> {
    let mut alike: BTreeMap<(&str, Option<&str>), Vec<&str>> = BTreeMap::new();
    for neighbour in neighbours {
        let key = (&*neighbour.subject, neighbour.queue_group.as_deref());
        let names = alike.entry(key).or_default();
        if !names.contains(&&*neighbour.who) {
            names.push(&neighbour.who);
        }
    }
    let finding = |((subject, group), names): (_, Vec<&str>)| {
        judge(config, wants, subject, group, &shown(&names))
    };
    alike.into_iter().filter_map(finding).collect()
}

fn judge(
    config: &Config,
    wants: &Wants,
    subject: &str,
    group: Option<&str>,
    who: &str,
) -> Option<Finding> {
    let pattern: SubjectPattern = subject.parse().ok()?;
    let mut ops = wants.ops.iter().filter(|(op, _)| pattern.matches(op));
    let shared = ops.next().map(|(op, plugin)| format!("`{op}` of {plugin}"));
    let more = ops.count();
    let shared = shared.map(|first| match more {
        0 => first,
        more => format!("{first} and {more} more"),
    });
    let ours = &config.nats.queue_group;
    let is_all = config.nats.namespace.iter().any(|it| pattern.covers(it));
    let (what, mend) = match (group, shared) {
        // A host that serves the same op, or any query as one here would, takes its share.
        (Some(group), _)
            if group == ours && (pattern.is_literal() || !wants.any_query.is_empty()) =>
        {
            return None;
        }
        (Some(group), Some(ops)) if group == ours => (
            format!(
                "{who} subscribes {subject} in our queue group `{ours}`: it gets its share of {ops}, and those that it does not serve are never answered"
            ),
            "let it serve the same ops, or set another NATS_QUEUE_GROUP here and let it drop them"
                .to_owned(),
        ),
        (Some(group), Some(ops)) => (
            format!(
                "{who} subscribes {subject} in queue group `{group}`: each query {ops} runs there and here"
            ),
            format!(
                "let it drop those ops, or, if it serves the same ones: NATS_QUEUE_GROUP={group} here"
            ),
        ),
        (None, Some(ops)) => (
            format!(
                "{who} subscribes {subject} without a queue group: it gets a copy of each query {ops}, and may answer it too"
            ),
            "end it, or see to it that it does not answer".to_owned(),
        ),
        (_, None) if is_all => (
            format!(
                "{who} subscribes {subject}: who asks for an op that nobody serves waits for its time-out"
            ),
            "nothing, while it is needed; it goes when the service has moved".to_owned(),
        ),
        (_, None) => return None,
    };
    Some(Finding::warning("neighbours", what, mend))
}

fn shown(names: &[&str]) -> String {
    let first = &names[..names.len().min(SHOWN)];
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
