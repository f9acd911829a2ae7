//! What a plugin registers, imports and asked for, against its grants. Pure.

use std::collections::BTreeSet;

use super::{Finding, Severity};
use crate::policy::{Grant, Grants};
use crate::reload::Denied;
use crate::sandbox::{Registrations, has_interface};
use crate::subject::SubjectPattern;

/// What is sent or heard while a handler runs: the grant, the interface, and what it does.
pub(super) const SENDING: [(Grant, &str, &str); 4] = [
    (Grant::Emit, "emit", "emits"),
    (Grant::Request, "request", "asks"),
    (Grant::Exchange, "exchange", "exchanges"),
    (Grant::Listen, "listeners", "listens to"),
];

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
        let is_mute = grants.list(grant).is_empty() && has_interface(imports, interface);
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
        if is_written && !has_interface(imports, interface) {
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
    if listens && !has_interface(imports, "listeners") {
        findings.push(warning(
            "it registers listeners and does not import listeners: they never hear anything",
            "add them with listeners.add, or do not register them",
        ));
    }
    if !listens && has_interface(imports, "listeners") {
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

#[cfg(test)]
mod tests {
    use super::{Severity, idle, imported, unused};
    use crate::check::Finding;
    use crate::policy::{Grant, Grants};
    use crate::sandbox::Registrations;

    fn grants(list: &[(Grant, &str)]) -> Grants {
        let of = |wanted| {
            let granted = list.iter().filter(|(grant, _)| *grant == wanted);
            granted.map(|(_, p)| p.parse().unwrap()).collect()
        };
        Grants {
            query: of(Grant::Query),
            event: of(Grant::Event),
            emit: of(Grant::Emit),
            request: of(Grant::Request),
            exchange: of(Grant::Exchange),
            listen: of(Grant::Listen),
            any_query: false,
            any_event: false,
            policy_file: "p.toml".to_owned(),
        }
    }

    fn imports(names: &[&str]) -> Vec<String> {
        let full = names
            .iter()
            .map(|name| format!("conche:handler/{name}@0.1.0"));
        full.collect()
    }

    #[track_caller]
    fn check(found: &[Finding], severity: Severity, expected: &[&str]) {
        let whats: Vec<_> = found.iter().map(|finding| &*finding.what).collect();
        assert_eq!(whats, expected);
        assert!(found.iter().all(|finding| finding.severity == severity));
    }

    #[test]
    fn what_was_asked_for_in_vain_says_more_than_an_import() {
        let imports = imports(&["emit", "request"]);
        let asked = [
            (Grant::Emit, "a.Granted".to_owned()),
            (Grant::Request, "b.Refused".to_owned()),
        ];
        let grants = grants(&[(Grant::Emit, "a.*")]);
        let found = imported(&imports, &grants, &asked.into());
        let expected = ["it asks `b.Refused`, which is not granted"];
        check(&found, Severity::Warning, &expected);
        let mend = "add \"b.Refused\" to request in [grants] of p.toml";
        assert_eq!(found[0].mend.as_deref(), Some(mend));
        let found = imported(&imports, &grants, &[].into());
        let expected = ["it imports request, of which nothing is granted"];
        check(&found, Severity::Warning, &expected);
    }

    #[test]
    fn only_what_somebody_wrote_can_be_too_much() {
        let mut registrations = Registrations::default();
        registrations
            .queries
            .push(("get".into(), "a.users.Get".to_owned()));
        let default = grants(&[(Grant::Query, "a.>"), (Grant::Event, "events.>")]);
        let written = [
            (Grant::Query, "a.>"),
            (Grant::Query, "a.users.*"),
            (Grant::Query, "a.orders.*"),
            (Grant::Event, "events.>"),
            (Grant::Emit, "events.>"),
            (Grant::Listen, "events.>"),
        ];
        let written = Grants {
            any_event: true,
            ..grants(&written)
        };
        let found = unused(&imports(&["emit"]), &written, &default, &registrations);
        let expected = [
            "query has \"a.orders.*\", and nothing it registers matches that",
            "any-event is granted, and it registers no such default",
            "listen is granted, and it does not import listeners",
        ];
        check(&found, Severity::Note, &expected);
    }

    #[test]
    fn what_can_never_run_is_not_meant() {
        let none = Registrations::default();
        let found = idle(&imports(&["listeners"]), &none);
        let expected = [
            "it registers nothing: no host would ever call it",
            "it imports listeners and registers none: it can add none",
        ];
        check(&found, Severity::Warning, &expected);
        let mut some = Registrations::default();
        some.listeners.push("heard".into());
        let expected =
            ["it registers listeners and does not import listeners: they never hear anything"];
        check(&idle(&[], &some), Severity::Warning, &expected);
        check(
            &idle(&imports(&["listeners"]), &some),
            Severity::Warning,
            &[],
        );
    }
}
