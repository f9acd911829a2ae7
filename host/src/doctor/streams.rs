//! Streams: those that take queries, those that should take events and do not. Pure.

use super::{Finding, Severity, Wants};
use crate::config::Config;
use crate::nats::{StreamConfig, StreamFlaw, flaws};
use crate::subject::SubjectPattern;

/// What is wrong with the streams there are.
pub(super) fn check(config: &Config, wants: &Wants, streams: &[StreamConfig]) -> Vec<Finding> {
    let mut findings: Vec<_> = flaws(&config.events, streams)
        .into_iter()
        .map(flaw)
        .collect();
    for stream in streams {
        findings.extend(taken_queries(config, wants, stream));
    }
    for (ty, who) in &wants.types {
        findings.extend(untaken_type(config, ty, who, streams));
    }
    findings.dedup();
    findings
}

/// Streams that take smaller messages than the server.
pub(super) fn narrow(flaws: Vec<StreamFlaw>) -> impl Iterator<Item = Finding> {
    flaws.into_iter().map(|found| Finding {
        severity: Severity::Warning,
        ..flaw(found)
    })
}

/// A stream that takes subjects of the namespace, when no more than its name is known.
pub(super) fn overlap_seen_from_afar(stream: &str, pattern: &SubjectPattern) -> Finding {
    let what = format!("stream `{stream}` takes subjects of the query namespace {pattern}: {ACKS}");
    Finding::warning(
        "overlap",
        what,
        "conche doctor prints the command".to_owned(),
    )
}

const ACKS: &str = "askers there get its acknowledgement as their answer";

/// Queries that a stream would answer in our place.
fn taken_queries(config: &Config, wants: &Wants, stream: &StreamConfig) -> Vec<Finding> {
    let name = &stream.name;
    let mut findings = Vec::new();
    for (op, who) in &wants.ops {
        if stream.overlaps(op) {
            let what = format!("stream `{name}` takes query `{op}` of {who}: {ACKS}");
            findings.push(Finding::error("overlap", what, without(stream, op)));
        }
    }
    for pattern in &config.nats.namespace {
        if !stream.overlaps(pattern.as_str()) {
            continue;
        }
        let mend = without(stream, pattern.as_str());
        for who in &wants.any_query {
            let what = format!(
                "stream `{name}` takes subjects of {pattern}, whose other queries {who} takes: {ACKS}"
            );
            findings.push(Finding::error("overlap", what, mend.clone()));
        }
        if findings.is_empty() {
            let what =
                format!("stream `{name}` takes subjects of the query namespace {pattern}: {ACKS}");
            findings.push(Finding::warning("overlap", what, mend));
        }
    }
    findings
}

/// The command that takes the subjects out of a stream that overlap a pattern.
fn without(stream: &StreamConfig, pattern: &str) -> String {
    let kept = stream.subjects.iter().filter(|subject| {
        let pattern = pattern.parse::<SubjectPattern>();
        let subject = subject.parse::<SubjectPattern>();
        !matches!((subject, pattern), (Ok(subject), Ok(pattern)) if subject.overlaps(&pattern))
    });
    let kept: Vec<_> = kept.map(String::as_str).collect();
    let name = &stream.name;
    if kept.is_empty() {
        return format!(
            "nats stream edit {name} --subjects \"SUBJECTS OUTSIDE {pattern}\", or narrow NATS_WILDCARD_SUBJECT"
        );
    }
    format!("nats stream edit {name} --subjects \"{}\"", kept.join(","))
}

/// An event type that would not come.
fn untaken_type(config: &Config, ty: &str, who: &str, streams: &[StreamConfig]) -> Option<Finding> {
    let events = &config.events;
    let subjects = config.heard_subjects(ty);
    let matches = |subject: &String| events.subjects.iter().any(|it| it.matches(subject));
    let in_config = !subjects.is_empty() && subjects.iter().all(matches);
    if in_config {
        // The stream takes it, or will be created so, or is said to be configured otherwise.
        return None;
    }
    let elsewhere = streams.iter().find(|stream| {
        let taken = |subject: &String| stream.overlaps(subject);
        stream.name != events.stream && !subjects.is_empty() && subjects.iter().all(taken)
    });
    let stream = &events.stream;
    if let Some(other) = elsewhere {
        let other = &other.name;
        let what = format!(
            "events of type `{ty}` ({who}) go to stream `{other}`, not to `{stream}`: they are not heard"
        );
        let mend = format!("stream = \"{other}\" in [events], or take the subject out of it");
        return Some(Finding::error("types", what, mend));
    }
    let what = format!("no stream takes events of type `{ty}` ({who})");
    let all = events.subjects.iter().map(SubjectPattern::as_str);
    let all: Vec<_> = all.chain([ty]).map(|it| format!("\"{it}\"")).collect();
    let first = within_namespace(config, ty);
    let mend = format!("subjects = [{}] in [events]{first}", all.join(", "));
    Some(Finding::error("types", what, mend))
}

/// What has to be done first where a type is within the namespace of the queries.
fn within_namespace(config: &Config, ty: &str) -> &'static str {
    let within = config.nats.namespace.iter().any(|it| it.matches(ty));
    if within {
        ", and a NATS_WILDCARD_SUBJECT that does not match it"
    } else {
        ""
    }
}

/// A flaw as a finding: what it says before its last colon, and the command after it.
fn flaw(flaw: StreamFlaw) -> Finding {
    let (what, mend) = match flaw {
        StreamFlaw::Differs { stream, what, mend } => (format!("stream `{stream}` {what}"), mend),
        StreamFlaw::Missing { stream, mend } => (
            format!("there is no stream `{stream}`, and create = false in [events]"),
            mend,
        ),
        StreamFlaw::NotCreated { stream, reason } => (
            format!("stream `{stream}` is missing and cannot be created: {reason}"),
            "name that stream in [events], or take the subjects out of it".to_owned(),
        ),
        flaw @ (StreamFlaw::Off | StreamFlaw::Unknown { .. }) => (
            flaw.to_string(),
            "start nats-server with -js, or enable it for the account".to_owned(),
        ),
    };
    Finding::error("streams", what, mend)
}
