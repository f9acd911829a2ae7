//! What the operator's sections say, for `conche config`: only what was written.

use super::raw::{Ceiling, RawGrants, RawLimits, RawPolicy};
use crate::settings::{ByteSize, Origin, Written, format_duration};

use super::limits::LIMITS;

/// Key, value and place of each.
type Said = Vec<(String, String, Origin)>;

impl RawPolicy {
    /// Every value with its key; those of `[config]` hidden, for they may be secrets.
    pub(crate) fn said(&self) -> Said {
        let mut said = Said::new();
        let section = "plugins.default";
        grants(&mut said, section, &self.grants);
        limits(&mut said, section, &self.limits);
        let mut add = |key: &str, found: Option<Written<String>>| {
            said.extend(found.map(|w| (format!("{section}.{key}"), w.value, w.origin)));
        };
        let (instances, retry) = (self.instances.clone(), self.retry.clone());
        add(
            "instances.mode",
            instances.mode.map(|w| w.map(|v| v.to_string())),
        );
        add(
            "instances.max-calls",
            instances.max_calls.map(|w| w.map(|v| v.to_string())),
        );
        let mark = instances
            .memory_mark
            .map(|w| w.map(|v| ByteSize(v).to_string()));
        add("instances.memory-mark", mark);
        add(
            "instances.idle-max",
            instances.idle_max.map(|w| w.map(|v| v.to_string())),
        );
        add(
            "retry.max-attempts",
            retry.max_attempts.map(|w| w.map(|v| v.to_string())),
        );
        add("retry.first", retry.first.map(|w| w.map(format_duration)));
        add("retry.max", retry.max.map(|w| w.map(format_duration)));
        add(
            "retry.factor",
            retry.factor.map(|w| w.map(|v| v.to_string())),
        );
        add(
            "retry.jitter",
            retry.jitter.map(|w| w.map(|v| v.to_string())),
        );
        add(
            "events.start",
            self.start.clone().map(|w| w.map(|v| v.to_string())),
        );
        add(
            "listeners.on-swap",
            self.on_swap.clone().map(|w| w.map(|v| v.to_string())),
        );
        for (key, written) in &self.config {
            let hidden = written.clone().map(|_| "(set)".to_owned());
            add(&format!("config.{key}"), Some(hidden));
        }
        said
    }
}

impl Ceiling {
    /// Every value with its key.
    pub(crate) fn said(&self) -> Said {
        let mut said = Said::new();
        let section = "plugins.ceiling";
        for (key, written) in [("env", &self.env), ("files", &self.files)] {
            if let Some(Written { value, origin }) = written {
                said.push((format!("{section}.{key}"), value.join(","), origin.clone()));
            }
        }
        grants(&mut said, section, &self.grants);
        limits(&mut said, section, &self.limits);
        said
    }
}

fn grants(said: &mut Said, section: &str, grants: &RawGrants) {
    for (grant, Written { value, origin }) in &grants.lists {
        let patterns: Vec<_> = value.iter().map(|p| format!("\"{p}\"")).collect();
        let value = format!("[{}]", patterns.join(", "));
        said.push((format!("{section}.grants.{grant}"), value, origin.clone()));
    }
    for (key, switch) in [
        ("any-query", &grants.any_query),
        ("any-event", &grants.any_event),
    ] {
        if let Some(Written { value, origin }) = switch {
            said.push((
                format!("{section}.grants.{key}"),
                value.to_string(),
                origin.clone(),
            ));
        }
    }
}

fn limits(said: &mut Said, section: &str, limits: &RawLimits) {
    for limit in LIMITS {
        if let Some(Written { value, origin }) = limits.get(limit.key) {
            let value = limit.unit.show(*value);
            said.push((
                format!("{section}.limits.{}", limit.key),
                value,
                origin.clone(),
            ));
        }
    }
}
