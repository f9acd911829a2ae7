//! What the operator grants and limits for one plugin: [`RawPolicy`] as written in
//! `<name>.toml`, [`Policy`] as resolved under `[plugins.default]` and `[plugins.ceiling]`.
//!
//! Pure: the environment and files come in as closures. It must not know wasmtime, NATS, or what
//! a plugin does with its grants.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use grants::{Grants, Refusal};
pub use limits::Limits;
pub use name::{NameError, PluginName};
pub use rules::{HostBounds, PolicyRules};

pub mod grants;
pub mod limits;
pub mod name;
pub mod rules;

/// Everything one plugin may do, resolved and checked.
#[derive(Clone, PartialEq)]
pub struct Policy {
    pub grants: Grants,
    pub limits: Limits,
    pub instances: Instances,
    pub retry: Retry,
    pub events: EventsPolicy,
    /// `[config]`, secrets put in. Never log the values.
    pub config: BTreeMap<String, String>,
    /// SHA-256, hexadecimal, of all the values: equal digests, equal policies.
    pub digest: String,
}

/// `[instances]`: how instances are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instances {
    pub mode: InstanceMode,
    /// An instance is dropped after so many calls.
    pub max_calls: u64,
    /// An instance whose memory has grown above this is dropped after its call.
    pub memory_mark_bytes: usize,
    /// Idle instances kept for the next call.
    pub idle_max: u32,
}

/// Whether a call may get an instance that served another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceMode {
    /// If the guest declared itself reusable.
    Auto,
    /// Never.
    Fresh,
}

/// `[retry]`: when an event that failed runs again.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Runs in all, the first one included; then it is dead-lettered.
    pub max_attempts: u32,
    /// Before the second run.
    pub first: Duration,
    /// The longest delay.
    pub max: Duration,
    /// Each delay is so much longer than the one before; at least 1.
    pub factor: f64,
    /// The part of the delay that is left to chance, 0 to 1.
    pub jitter: f64,
}

/// `[events]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsPolicy {
    /// Where a new durable begins; without effect on one that exists.
    pub start: Start,
}

/// Where in the stream a new durable begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    New,
    All,
    Time(DateTime<Utc>),
    Sequence(u64),
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("grants", &self.grants)
            .field("limits", &self.limits)
            .field("instances", &self.instances)
            .field("retry", &self.retry)
            .field("events", &self.events)
            .field("config", &self.config.keys().collect::<Vec<_>>())
            .field("digest", &self.digest)
            .finish()
    }
}
