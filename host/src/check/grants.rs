//! What a plugin registers, imports and asked for, against its grants. Pure.

use std::collections::BTreeSet;

use super::{Finding, Severity};
use crate::policy::{Grant, Grants};
use crate::reload::Denied;
use crate::sandbox::Registrations;
use crate::subject::SubjectPattern;

/// What is sent or heard while a handler runs: the grant, the interface, and what it does.
pub(super) const SENDING: [(Grant, &str, &str); 4] = [
    (Grant::Emit, "emit", "emits"),
    (Grant::Request, "request", "asks"),
    (Grant::Exchange, "exchange", "exchanges"),
    (Grant::Listen, "listeners", "listens to"),
];

/// Whether a component imports, or exports, this interface of ours.
pub(super) fn has(interfaces: &[String], interface: &str) -> bool {
    let prefix = format!("conche:handler/{interface}@");
    interfaces.iter().any(|name| name.starts_with(&prefix))
}

/// What a host would not let it register.
pub(super) fn denied(denied: &[Denied]) -> Vec<Finding> {
    let error = |what, mend| Finding {
        mend,
        ..Finding::new(Severity::Error, "grants", what)
    };
    let all = denied.iter().map(|denied| match denied {
        Denied::NotGranted { subject, refusal } => error(
            format!("it registers `{subject}`, which is not granted"),
            refusal.line(),
        ),
        Denied::DefaultNotGranted(refusal) => error(
            "it registers a default, which is not granted".to_owned(),
            refusal.line(),
        ),
        denied => error(format!("it {denied}"), None),
    });
    all.collect()
}

/// What it imports and nothing is granted of, and what it asked for in vain.
pub(super) fn imported(
    imports: &[String],
    grants: &Grants,
    asked: &BTreeSet<(Grant, String)>,
) -> Vec<Finding> {
    let warning = |what| Finding::new(Severity::Warning, "grants", what);
    let mut findings = Vec::new();
    for (grant, interface, does) in SENDING {
        let asked = asked.iter().filter(|(asked, _)| *asked == grant);
        let refused = asked.filter_map(|(_, subject)| {
            let refusal = grants.allows(grant, subject).err()?;
            let what = format!("it {does} `{subject}`, which is not granted");
            Some(warning(what).with(refusal.line().unwrap_or_else(|| refusal.to_string())))
        });
        let refused: Vec<_> = refused.collect();
        let is_mute = grants.list(grant).is_empty() && has(imports, interface);
        if refused.is_empty() && is_mute {
            let what = format!("it imports {interface}, of which nothing is granted");
            let file = &grants.policy_file;
            let mend = format!("name what it {does} under {grant} in [grants] of {file}");
            findings.push(warning(what).with(mend));
        }
        findings.extend(refused);
    }
    findings
}

/// What the policy grants and the plugin has no use for. What it would have without a policy, nobody
/// wrote.
pub(super) fn unused(
    imports: &[String],
    grants: &Grants,
    default: &Grants,
    registrations: &Registrations,
) -> Vec<Finding> {
    let mut unused = Vec::new();
    for (grant, registered) in [
        (Grant::Query, &registrations.queries),
        (Grant::Event, &registrations.events),
    ] {
        for pattern in written(grant, grants, default) {
            let mut registered = registered.iter();
            if !registered.any(|(_, subject)| pattern.matches(subject)) {
                unused.push(format!(
                    "{grant} has \"{pattern}\", and nothing it registers matches that"
                ));
            }
        }
    }
    for (key, is_granted, registered) in [
        ("any-query", grants.any_query, &registrations.any_query),
        ("any-event", grants.any_event, &registrations.any_event),
    ] {
        if is_granted && registered.is_none() {
            unused.push(format!(
                "{key} is granted, and it registers no such default"
            ));
        }
    }
    for (grant, interface, _) in SENDING {
        let is_written = written(grant, grants, default).next().is_some();
        if is_written && !has(imports, interface) {
            unused.push(format!(
                "{grant} is granted, and it does not import {interface}"
            ));
        }
    }
    let notes = unused.into_iter();
    notes
        .map(|what| Finding::new(Severity::Note, "grants", what))
        .collect()
}

/// What the component could do and never will.
pub(super) fn idle(imports: &[String], registrations: &Registrations) -> Vec<Finding> {
    let warning = |what: &str, mend: &str| {
        Finding::new(Severity::Warning, "registrations", what.to_owned()).with(mend)
    };
    let mut findings = Vec::new();
    if registrations.count() == 0 {
        findings.push(warning(
            "it registers nothing: no host would ever call it",
            "register a query or an event",
        ));
    }
    let listens = !registrations.listeners.is_empty();
    if listens && !has(imports, "listeners") {
        findings.push(warning(
            "it registers listeners and does not import listeners: they never hear anything",
            "add them with listeners.add, or do not register them",
        ));
    }
    if !listens && has(imports, "listeners") {
        findings.push(warning(
            "it imports listeners and registers none: it can add none",
            "register the handlers that listeners.add names",
        ));
    }
    findings
}

/// Patterns that stand in the policy itself.
fn written<'g>(
    grant: Grant,
    grants: &'g Grants,
    default: &'g Grants,
) -> impl Iterator<Item = &'g SubjectPattern> {
    let unasked = default.list(grant);
    let list = grants.list(grant).iter();
    list.filter(move |pattern| !unasked.contains(pattern))
}
