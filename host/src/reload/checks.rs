//! What a plugin registered, against its grants, the namespace and the stream.

use thiserror::Error;

use crate::config::Config;
use crate::plugin::Plugin;
use crate::policy;
use crate::subject::{SubjectError, SubjectPattern, check_literal, is_reserved};

/// Why a registration cannot be.
#[derive(Debug, Error)]
pub enum Denied {
    /// No policy grants it.
    #[error("registers `{subject}`, which is not granted: {refusal}")]
    NotGranted {
        /// The op or type.
        subject: String,
        /// The line to add.
        refusal: policy::Refusal,
    },
    /// The defaults need a grant too.
    #[error("registers a default, which is not granted: {0}")]
    DefaultNotGranted(policy::Refusal),
    /// Not for plugins.
    #[error("registers `{0}`: `$…`, `_INBOX.…` and `conche.…` are reserved")]
    Reserved(String),
    /// No legal subject.
    #[error("registers query `{op}`, which is no subject: {flaw}")]
    Illegal {
        /// The op.
        op: String,
        /// Why.
        flaw: SubjectError,
    },
    /// Outside what this host answers.
    #[error(
        "registers query `{op}` outside the namespace {namespace}: set NATS_WILDCARD_SUBJECT, or rename the op"
    )]
    OutsideNamespace {
        /// The op.
        op: String,
        /// What ops must match.
        namespace: String,
    },
    /// Its askers would get a publish ack.
    #[error(
        "registers query `{0}`, which stream `{1}` takes: askers would get its acknowledgement as their answer"
    )]
    TakenByStream(String, String),
    /// Such events never come.
    #[error(
        "listens to `{ty}`, which no stream takes (stream `{stream}` takes {subjects}): add its subject to [events] subjects"
    )]
    NoStream {
        /// The type.
        ty: String,
        /// The configured stream.
        stream: String,
        /// What it takes.
        subjects: String,
    },
    /// A handler without the export that would be called.
    #[error("registers {what} but does not export conche:handler/{interface}")]
    NoExport {
        /// What it registered.
        what: &'static str,
        /// What is missing.
        interface: &'static str,
    },
}

/// Checks all that a plugin registered.
pub(super) fn registrations(plugin: &Plugin, config: &Config) -> Result<(), Denied> {
    let registrations = plugin.registrations();
    let grants = &plugin.policy().grants;
    let exports = &plugin.component().exports;
    let exported = |interface: &str| {
        let prefix = format!("conche:handler/{interface}@");
        exports.iter().any(|export| export.starts_with(&prefix))
    };
    let queries = !registrations.queries.is_empty() || registrations.any_query.is_some();
    if queries && !exported("query-handler") {
        return Err(no_export("queries", "query-handler"));
    }
    let events = !registrations.events.is_empty() || registrations.any_event.is_some();
    if events && !exported("event-handler") {
        return Err(no_export("events", "event-handler"));
    }
    for (_, op) in &registrations.queries {
        query(op, config)?;
        grants
            .allows_query(op)
            .map_err(|refusal| not_granted(op, refusal))?;
    }
    if registrations.any_query.is_some() {
        grants
            .allows_any_query()
            .map_err(Denied::DefaultNotGranted)?;
    }
    for (_, ty) in &registrations.events {
        event(ty, config)?;
        grants
            .allows_event(ty)
            .map_err(|refusal| not_granted(ty, refusal))?;
    }
    if registrations.any_event.is_some() {
        grants
            .allows_any_event()
            .map_err(Denied::DefaultNotGranted)?;
    }
    Ok(())
}

fn query(op: &str, config: &Config) -> Result<(), Denied> {
    if is_reserved(op) {
        return Err(Denied::Reserved(op.to_owned()));
    }
    check_literal(op).map_err(|flaw| Denied::Illegal {
        op: op.to_owned(),
        flaw,
    })?;
    if !any_matches(&config.nats.namespace, op) {
        return Err(Denied::OutsideNamespace {
            op: op.to_owned(),
            namespace: list(&config.nats.namespace),
        });
    }
    if any_matches(&config.events.subjects, op) {
        let stream = config.events.stream.clone();
        return Err(Denied::TakenByStream(op.to_owned(), stream));
    }
    Ok(())
}

fn event(ty: &str, config: &Config) -> Result<(), Denied> {
    if is_reserved(ty) {
        return Err(Denied::Reserved(ty.to_owned()));
    }
    // A type that is no legal subject travels on the stream's `_other`.
    if check_literal(ty).is_ok() && !any_matches(&config.events.subjects, ty) {
        return Err(Denied::NoStream {
            ty: ty.to_owned(),
            stream: config.events.stream.clone(),
            subjects: list(&config.events.subjects),
        });
    }
    Ok(())
}

fn any_matches(patterns: &[SubjectPattern], subject: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(subject))
}

fn list(patterns: &[SubjectPattern]) -> String {
    let quoted = patterns.iter().map(|pattern| format!("`{pattern}`"));
    quoted.collect::<Vec<_>>().join(", ")
}

fn not_granted(subject: &str, refusal: policy::Refusal) -> Denied {
    Denied::NotGranted {
        subject: subject.to_owned(),
        refusal,
    }
}

fn no_export(what: &'static str, interface: &'static str) -> Denied {
    Denied::NoExport { what, interface }
}
