//! A plugin loaded, and each of its handlers called once, on a bus of its own where nobody answers.
//! What it sends goes nowhere; what it used and asked for is seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Candidate, limits};
use crate::config::Config;
use crate::envelope::{CloudEvent, Payload, new_id, now};
use crate::host::embedded_bus;
use crate::outbound::Outbound;
use crate::plugin::{Plugin, RegisterError};
use crate::policy::limits::Limit;
use crate::policy::{Grant, Policy};
use crate::reload::{self, Denied};
use crate::sandbox::{Call, Failure, Heard, Registrations, Seen, Stage, Tenant};
use crate::subject::SubjectPattern;

/// What every handler is called with: most answer that something is missing, which is fine.
const DATA: &str = "{}";
/// `source` of it.
const SOURCE: &str = "/conche/check";
/// Stands for a wildcard where no type is registered by name.
const TOKEN: &str = "conche-check";

/// What one load and one call of each handler came to.
#[derive(Debug)]
pub(super) struct Rehearsal {
    /// The plugin, or why it does not load.
    pub(super) plugin: Result<Plugin, RegisterError>,
    /// What a host would not let it register.
    pub(super) denied: Vec<Denied>,
    /// Calls that brought no outcome.
    pub(super) failed: Vec<Failed>,
    pub(super) seen: Seen,
    /// Wall time of making an instance and of `register`.
    pub(super) load: Duration,
    /// Wall time of the longest call.
    pub(super) call: Duration,
}

/// A call that brought no outcome.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) handler: Arc<str>,
    /// The op or type that it was called with.
    pub(super) ty: String,
    pub(super) failure: Failure,
}

/// How a handler is reached.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    Query,
    Event,
    Listener,
}

impl Rehearsal {
    pub(super) async fn of(candidate: &Candidate, policy: Policy) -> anyhow::Result<Rehearsal> {
        let config = &candidate.config;
        let outbound = Outbound::Embedded(embedded_bus(config)?);
        let mut tenant = Tenant::alone(
            candidate.name.clone(),
            candidate.compiled.digest,
            policy,
            config.clone(),
            outbound.clone(),
        );
        let stage = Arc::new(Stage::new(None));
        tenant.stage = Some(stage.clone());
        let began = Instant::now();
        let plugin = Plugin::load(candidate.compiled.clone(), tenant).await;
        let mut rehearsal = Rehearsal {
            plugin,
            denied: Vec::new(),
            failed: Vec::new(),
            seen: Seen::default(),
            load: began.elapsed(),
            call: Duration::ZERO,
        };
        if let Ok(plugin) = &rehearsal.plugin {
            rehearsal.denied = reload::denials(plugin, config);
            if rehearsal.denied.is_empty() {
                let checked = reload::check_registrations(plugin, config, &outbound).await;
                rehearsal.denied.extend(checked.err());
            }
            for (handler, role, ty) in roles(plugin.registrations(), config) {
                let began = Instant::now();
                let called = call(plugin, &handler, role, &ty).await;
                rehearsal.call = rehearsal.call.max(began.elapsed());
                if let Err(failure) = called {
                    rehearsal.failed.push(Failed {
                        handler,
                        ty,
                        failure,
                    });
                }
            }
        }
        rehearsal.seen = stage.seen();
        Ok(rehearsal)
    }

    /// Whether this limit was in the way, be it of a growth that the guest could do without.
    pub(super) fn ran_into(&self, limit: &Limit) -> bool {
        self.seen.usage.denied == Some(limit.key) || self.stopped_at(limit)
    }

    /// Whether this limit is why there is no plugin, or no outcome of a call.
    pub(super) fn stopped_at(&self, limit: &Limit) -> bool {
        let load = self.plugin.as_ref().err().and_then(limits::limit_of_load);
        let calls = self.failed.iter();
        let calls = calls.filter_map(|failed| limits::limit_of(&failed.failure));
        load.into_iter().chain(calls).any(|it| it.key == limit.key)
    }

    /// Whether a handler waited for an answer, which nobody gives here.
    pub(super) fn waited(&self) -> bool {
        let mut asked = self.seen.asked.iter();
        asked.any(|(grant, _)| matches!(grant, Grant::Request | Grant::Exchange))
    }
}

/// Each handler once, with the first op or type that it is registered for.
fn roles(registrations: &Registrations, config: &Config) -> Vec<(Arc<str>, Role, String)> {
    let some_op = example(&config.nats.namespace);
    let some_type = example(&config.events.subjects);
    let named = |list: &[(Arc<str>, String)], role| {
        let all = list
            .iter()
            .map(|(handler, ty)| (handler.clone(), role, ty.clone()));
        all.collect::<Vec<_>>()
    };
    let mut roles = named(&registrations.queries, Role::Query);
    let any_query = registrations.any_query.iter();
    roles.extend(any_query.map(|handler| (handler.clone(), Role::Query, some_op.clone())));
    roles.extend(named(&registrations.events, Role::Event));
    let any_event = registrations.any_event.iter();
    roles.extend(any_event.map(|handler| (handler.clone(), Role::Event, some_type.clone())));
    let listeners = registrations.listeners.iter();
    roles.extend(listeners.map(|handler| (handler.clone(), Role::Listener, some_type.clone())));
    let mut seen = Vec::new();
    roles.retain(|(handler, role, _)| {
        let is_new = !seen.contains(&(handler.clone(), *role));
        seen.push((handler.clone(), *role));
        is_new
    });
    roles
}

/// A subject that the first of the patterns matches.
fn example(patterns: &[SubjectPattern]) -> String {
    let pattern = patterns.first().map_or(">", SubjectPattern::as_str);
    let tokens = pattern.split('.').map(|token| match token {
        "*" | ">" => TOKEN,
        token => token,
    });
    tokens.collect::<Vec<_>>().join(".")
}

async fn call(plugin: &Plugin, handler: &Arc<str>, role: Role, ty: &str) -> Result<(), Failure> {
    let event = Arc::new(CloudEvent {
        id: new_id(),
        source: SOURCE.to_owned(),
        ty: ty.to_owned(),
        time: Some(now()),
        data: Some(Payload::Json(DATA.to_owned())),
        ..CloudEvent::default()
    });
    let call = Call {
        listener: (role == Role::Listener).then_some(Heard {
            id: "listener-check",
            state: "",
        }),
        ..Call::first(handler, &event, plugin.policy().limits.deadline)
    };
    match role {
        Role::Query => plugin.query(&call).await.map(drop),
        Role::Event | Role::Listener => plugin.event(&call).await.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::example;

    #[test]
    fn a_pattern_has_an_example() {
        let check = |pattern: &str, expected: &str| {
            let patterns = [pattern.parse().unwrap()];
            assert_eq!(example(&patterns), expected);
            assert!(patterns[0].matches(expected), "{pattern}");
        };
        check("cyverse.>", "cyverse.conche-check");
        check("a.*.c", "a.conche-check.c");
        check("a.b", "a.b");
    }
}
