//! All values of a policy as text, and their digest: a swap is needed when it changes.

use sha2::{Digest, Sha256};

use super::grants::Grant;
use super::{InstanceMode, OnSwap, Policy, Start};
use crate::settings::{ByteSize, format_duration};

impl Policy {
    /// Every value but those of `[config]`, as a person writes them: for `inspect` and logs.
    pub fn values(&self) -> Vec<(String, String)> {
        let mut values = Vec::new();
        let mut add = |section: &str, key: &str, value: String| {
            values.push((format!("{section}.{key}"), value));
        };
        for grant in Grant::ALL {
            let patterns: Vec<_> = self
                .grants
                .list(grant)
                .iter()
                .map(|p| format!("\"{p}\""))
                .collect();
            add("grants", grant.key(), format!("[{}]", patterns.join(", ")));
        }
        add("grants", "any-query", self.grants.any_query.to_string());
        add("grants", "any-event", self.grants.any_event.to_string());
        for (key, value) in self.limits.values() {
            add("limits", key, value);
        }
        let bytes = |n: usize| ByteSize(u64::try_from(n).unwrap_or(u64::MAX)).to_string();
        add("instances", "mode", self.instances.mode.to_string());
        add(
            "instances",
            "max-calls",
            self.instances.max_calls.to_string(),
        );
        add(
            "instances",
            "memory-mark",
            bytes(self.instances.memory_mark_bytes),
        );
        add("instances", "idle-max", self.instances.idle_max.to_string());
        add("retry", "max-attempts", self.retry.max_attempts.to_string());
        add("retry", "first", format_duration(self.retry.first));
        add("retry", "max", format_duration(self.retry.max));
        add("retry", "factor", self.retry.factor.to_string());
        add("retry", "jitter", self.retry.jitter.to_string());
        add("events", "start", self.events.start.to_string());
        add("listeners", "on-swap", self.listeners.on_swap.to_string());
        values
    }

    pub(super) fn digest_of_values(&self) -> String {
        let mut hash = Sha256::new();
        let config = self
            .config
            .iter()
            .map(|(k, v)| (format!("config.{k}"), v.clone()));
        for (key, value) in self.values().into_iter().chain(config) {
            // With their lengths, so that no two lists of values read the same.
            for text in [key, value] {
                hash.update(text.len().to_le_bytes());
                hash.update(text);
            }
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl std::fmt::Display for InstanceMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            InstanceMode::Auto => "auto",
            InstanceMode::Fresh => "fresh",
        })
    }
}

impl std::fmt::Display for OnSwap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            OnSwap::Drop => "drop",
            OnSwap::Carry => "carry",
        })
    }
}

impl std::fmt::Display for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Start::New => f.write_str("new"),
            Start::All => f.write_str("all"),
            Start::Time(time) => f.write_str(&time.to_rfc3339()),
            Start::Sequence(sequence) => write!(f, "{sequence}"),
        }
    }
}
