//! What a plugin registered, against its grants, the namespace and the stream.

use thiserror::Error;

use crate::config::Config;
use crate::nats::StreamFlaw;
use crate::outbound::{Outbound, SendError};
use crate::plugin::Plugin;
use crate::policy;
use crate::sandbox::has_interface;
use crate::subject::{SubjectError, SubjectPattern, check_literal, is_reserved};

const WIDEN_NAMESPACE: &str = "set NATS_WILDCARD_SUBJECT, or rename the op";
const ADD_SUBJECT: &str = "add its subject to [events] subjects";

/// Why a registration cannot be.
#[derive(Debug, Error)]
pub enum Denied {
    /// No policy grants it.
    #[error("registers `{subject}`: {refusal}")]
    NotGranted {
        /// The op or type.
        subject: String,
        /// The line to add.
        refusal: policy::Refusal,
    },
    /// The defaults need a grant too.
    #[error("registers a default: {0}")]
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
    #[error("registers query `{op}` outside the namespace {namespace}: {WIDEN_NAMESPACE}")]
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
    /// Events cannot travel at all.
    #[error("listens to events, and {0}")]
    NoEvents(#[from] StreamFlaw),
    /// The server did not say which stream takes what.
    #[error("cannot be checked against the server's streams: {0}")]
    Unchecked(SendError),
    /// Such events never come.
    #[error(
        "listens to `{ty}`, which no stream takes (stream `{stream}` takes {subjects}): {ADD_SUBJECT}"
    )]
    NoStream {
        /// The type.
        ty: String,
        /// The configured stream.
        stream: String,
        /// What it takes.
        subjects: String,
    },
    /// The server's stream is not as it is configured, for now.
    #[error("listens to `{ty}`, which stream `{stream}` of the server does not take")]
    NotTaken {
        /// The type.
        ty: String,
        /// The configured stream.
        stream: String,
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

impl Denied {
    /// The line that mends it, where one does; its text ends with that.
    pub fn mend(&self) -> Option<String> {
        match self {
            Denied::NotGranted { refusal, .. } | Denied::DefaultNotGranted(refusal) => {
                refusal.line()
            }
            Denied::NoStream { .. } => Some(ADD_SUBJECT.to_owned()),
            Denied::OutsideNamespace { .. } => Some(WIDEN_NAMESPACE.to_owned()),
            _ => None,
        }
    }

    /// Whether it may be otherwise in a while, without a change of the plugin: the server's word.
    pub(super) fn may_pass(&self) -> bool {
        matches!(
            self,
            Denied::NoEvents(_)
                | Denied::Unchecked(_)
                | Denied::TakenByStream(..)
                | Denied::NotTaken { .. }
        )
    }
}

/// Checks all that a plugin registered against its grants and the configuration, then against
/// the streams there are.
///
/// # Errors
/// The first thing that cannot be.
pub async fn check_registrations(
    plugin: &Plugin,
    config: &Config,
    outbound: &Outbound,
) -> Result<(), Denied> {
    if let Some(first) = denials(plugin, config).into_iter().next() {
        return Err(first);
    }
    let registrations = plugin.registrations();
    let ops = registrations.queries.iter().map(|(_, op)| op.as_str());
    let namespace = config.nats.namespace.iter().map(SubjectPattern::as_str);
    let namespace = namespace.filter(|_| registrations.any_query.is_some());
    for subject in ops.chain(namespace) {
        if let Some(stream) = taker(subject, outbound).await? {
            return Err(Denied::TakenByStream(subject.to_owned(), stream));
        }
    }
    if registrations.events.is_empty() && registrations.any_event.is_none() {
        return Ok(());
    }
    outbound.ensure_streams(&config.events).await?;
    for (_, ty) in &registrations.events {
        for subject in config.heard_subjects(ty) {
            let taken = taker(&subject, outbound).await?;
            if taken.as_ref() != Some(&config.events.stream) {
                let (ty, stream) = (ty.clone(), config.events.stream.clone());
                return Err(Denied::NotTaken { ty, stream });
            }
        }
    }
    Ok(())
}

/// A stream that takes a subject, or some subject of a pattern.
async fn taker(subject: &str, outbound: &Outbound) -> Result<Option<String>, Denied> {
    let Ok(pattern) = subject.parse::<SubjectPattern>() else {
        return Ok(None);
    };
    let streams = outbound.streams_taking(&pattern).await;
    Ok(streams.map_err(Denied::Unchecked)?.into_iter().next())
}

/// All that the exports, the namespace and the grants deny; what the streams deny is not among it.
pub fn denials(plugin: &Plugin, config: &Config) -> Vec<Denied> {
    let registrations = plugin.registrations();
    let grants = &plugin.policy().grants;
    let ops = registrations.queries.iter().map(|(_, op)| {
        check_query(op, config)?;
        let allowed = grants.allows_query(op);
        allowed.map_err(|refusal| not_granted(op, refusal))
    });
    let any_query = registrations.any_query.iter().map(|_| {
        let allowed = grants.allows_any_query();
        allowed.map_err(Denied::DefaultNotGranted)
    });
    let types = registrations.events.iter().map(|(_, ty)| {
        check_event(ty, config)?;
        let allowed = grants.allows_event(ty);
        allowed.map_err(|refusal| not_granted(ty, refusal))
    });
    let any_event = registrations.any_event.iter().map(|_| {
        let allowed = grants.allows_any_event();
        allowed.map_err(Denied::DefaultNotGranted)
    });
    let subjects = ops.chain(any_query).chain(types).chain(any_event);
    let denied = subjects.filter_map(Result::err);
    missing_exports(plugin).into_iter().chain(denied).collect()
}

/// Handlers without the export that would be called.
fn missing_exports(plugin: &Plugin) -> Vec<Denied> {
    let registrations = plugin.registrations();
    let exports = &plugin.component().exports;
    let queries = !registrations.queries.is_empty() || registrations.any_query.is_some();
    let listeners = !registrations.listeners.is_empty();
    let events = !registrations.events.is_empty() || registrations.any_event.is_some();
    let needed = [
        (queries, "queries", "query-handler"),
        (listeners, "listeners", "event-handler"),
        (events, "events", "event-handler"),
    ];
    let missing = needed
        .into_iter()
        .filter(|(is_needed, _, interface)| *is_needed && !has_interface(exports, interface));
    missing
        .map(|(_, what, interface)| Denied::NoExport { what, interface })
        .collect()
}

fn check_query(op: &str, config: &Config) -> Result<(), Denied> {
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
            namespace: quoted(&config.nats.namespace),
        });
    }
    Ok(())
}

fn check_event(ty: &str, config: &Config) -> Result<(), Denied> {
    if is_reserved(ty) {
        return Err(Denied::Reserved(ty.to_owned()));
    }
    let subjects = config.heard_subjects(ty);
    let taken = |subject: &String| any_matches(&config.events.subjects, subject);
    if subjects.is_empty() || !subjects.iter().all(taken) {
        return Err(no_stream(ty, config));
    }
    Ok(())
}

fn no_stream(ty: &str, config: &Config) -> Denied {
    Denied::NoStream {
        ty: ty.to_owned(),
        stream: config.events.stream.clone(),
        subjects: quoted(&config.events.subjects),
    }
}

fn any_matches(patterns: &[SubjectPattern], subject: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(subject))
}

fn quoted(patterns: &[SubjectPattern]) -> String {
    let quoted = patterns.iter().map(|pattern| format!("`{pattern}`"));
    quoted.collect::<Vec<_>>().join(", ")
}

fn not_granted(subject: &str, refusal: policy::Refusal) -> Denied {
    Denied::NotGranted {
        subject: subject.to_owned(),
        refusal,
    }
}
