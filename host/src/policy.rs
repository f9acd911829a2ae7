//! What the operator grants and limits for one plugin: [`RawPolicy`] as written in
//! `<name>.toml`, [`Policy`] as resolved under `[plugins.default]` and `[plugins.ceiling]`.
//!
//! Pure: the environment and files come in as closures. It must not know wasmtime, NATS, or what
//! a plugin does with its grants.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use grants::{Grant, Grants, Refusal};
pub use limits::Limits;
pub use name::{NameError, PluginName};
pub use raw::{Ceiling, RawPolicy};
pub use rules::{Granting, HostBounds, PolicyFile, PolicyRules};

mod digest;
pub mod grants;
pub mod limits;
pub mod name;
mod raw;
pub mod rules;
mod said;

/// Everything one plugin may do, resolved and checked.
#[derive(Clone, PartialEq)]
pub struct Policy {
    pub grants: Grants,
    pub limits: Limits,
    pub instances: Instances,
    pub retry: Retry,
    pub events: EventsPolicy,
    pub listeners: ListenersPolicy,
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
    /// Deliveries: from the so manieth on, a run that fails makes a dead letter.
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

/// `[listeners]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenersPolicy {
    /// What becomes of those that an earlier version or policy of the plugin added.
    pub on_swap: OnSwap,
}

/// What a swap of the plugin does to its dynamic listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSwap {
    /// They are gone.
    Drop,
    /// Those whose handler is still registered go on.
    Carry,
}

impl Policy {
    /// All granted, all else at its default; the host's slots bound the concurrency.
    pub fn allow_all() -> Policy {
        let limits = Limits::defaults(u32::MAX);
        let mut policy = Policy {
            grants: Grants::everything("the policy"),
            instances: Instances {
                mode: InstanceMode::Auto,
                max_calls: Instances::MAX_CALLS,
                memory_mark_bytes: limits.memory_bytes / 4 * 3,
                idle_max: Instances::IDLE_MAX,
            },
            limits,
            retry: Retry::default(),
            events: EventsPolicy { start: Start::New },
            listeners: ListenersPolicy {
                on_swap: OnSwap::Drop,
            },
            config: BTreeMap::new(),
            digest: String::new(),
        };
        policy.digest = policy.digest_of_values();
        policy
    }
}

impl Instances {
    /// Calls that an instance serves by default: leaks stay small, and the price of a new one is
    /// spread over enough of them.
    pub const MAX_CALLS: u64 = 10_000;
    /// Idle instances kept by default, unless `concurrency` is lower. The memory mark is three
    /// quarters of the memory limit by default.
    pub const IDLE_MAX: u32 = 16;
}

impl Retry {
    /// How long to wait after so many attempts: `first × factor^(attempt − 1)`, at most `max`, of
    /// which `jitter` is left to `chance`, which is between 0 and 1.
    pub fn delay(&self, attempt: u32, chance: f64) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.first.as_secs_f64() * self.factor.powi(exponent);
        // NaN and infinity end at the cap too.
        let capped = if grown < self.max.as_secs_f64() {
            grown
        } else {
            self.max.as_secs_f64()
        };
        let sure = capped * (1.0 - self.jitter);
        Duration::from_secs_f64((sure + capped * self.jitter * chance).max(0.0))
    }
}

impl Default for Retry {
    /// Ten runs over some nine minutes: longer than a restart of what the handler needs, shorter
    /// than anybody's patience.
    fn default() -> Retry {
        Retry {
            max_attempts: 10,
            first: Duration::from_secs(1),
            max: Duration::from_secs(300),
            factor: 2.0,
            jitter: 0.2,
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("grants", &self.grants)
            .field("limits", &self.limits)
            .field("instances", &self.instances)
            .field("retry", &self.retry)
            .field("events", &self.events)
            .field("listeners", &self.listeners)
            .field("config", &self.config.keys().collect::<Vec<_>>())
            .field("digest", &self.digest)
            .finish()
    }
}
