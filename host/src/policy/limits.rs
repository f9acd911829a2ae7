//! The limits of one plugin: their names, units, defaults and reasons. The one place for them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::settings::{ByteSize, format_duration};

/// What one plugin may use, a call at a time unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub deadline: Duration,
    pub register_deadline: Duration,
    pub cpu: Duration,
    pub memory_bytes: usize,
    pub table_elements: usize,
    pub handles: usize,
    pub emits: u32,
    pub emit_bytes: usize,
    pub requests: u32,
    pub request_bytes: usize,
    pub log_lines: u32,
    pub log_bytes: usize,
    pub output_bytes: usize,
    pub registrations: u32,
    pub listeners: u32,
    pub listener_age: Duration,
    pub concurrency: u32,
}

/// One limit, as it is written and why it is there.
#[derive(Debug)]
pub struct Limit {
    /// Its key in `[limits]`.
    pub key: &'static str,
    pub unit: Unit,
    /// In the unit's smallest part: milliseconds, bytes, pieces.
    pub default: u64,
    /// The smallest value that makes sense.
    pub least: u64,
    /// What it bounds, and the reason for the default.
    pub why: &'static str,
}

/// How a limit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `"250ms"`, `"5s"`, `"2m"`.
    Time,
    /// `65536`, `"64MiB"`.
    Bytes,
    /// `100`.
    Count,
}

/// Amounts by key, in the smallest part of their unit.
pub(crate) type Amounts = BTreeMap<&'static str, u64>;

const MIB: u64 = 1 << 20;
const KIB: u64 = 1 << 10;

/// Wall time of a call, waiting included. As long as old askers wait.
pub const DEADLINE: Limit = Limit {
    key: "deadline",
    unit: Unit::Time,
    default: 5_000,
    least: 1,
    why: "wall time of a call, waiting included; as long as an asker waits by default",
};
pub const REGISTER_DEADLINE: Limit = Limit {
    key: "register-deadline",
    unit: Unit::Time,
    default: 2_000,
    least: 1,
    why: "wall time of register, once a version; a large interpreter starts in a tenth of it",
};
pub const CPU: Limit = Limit {
    key: "cpu",
    unit: Unit::Time,
    default: 1_000,
    least: 10,
    why: "guest execution in a call, waiting not counted; looked at every 10 ms",
};
pub const MEMORY: Limit = Limit {
    key: "memory",
    unit: Unit::Bytes,
    default: 64 * MIB,
    least: 64 * KIB,
    why: "sum over an instance's linear memories; JavaScript needs 64 MiB, and a memory.copy over it can't be interrupted",
};
pub const TABLE_ELEMENTS: Limit = Limit {
    key: "table-elements",
    unit: Unit::Count,
    default: 40_000,
    least: 1,
    why: "sum over an instance's tables; StarlingMonkey needs 40,000",
};
pub const HANDLES: Limit = Limit {
    key: "handles",
    unit: Unit::Count,
    default: 1_000,
    least: 8,
    why: "open WASI resources of an instance; a guest leaks them, the host pays",
};
pub const EMITS: Limit = Limit {
    key: "emits",
    unit: Unit::Count,
    default: 256,
    least: 0,
    why: "events emitted in a call; all are kept until it succeeds",
};
pub const EMIT_BYTES: Limit = Limit {
    key: "emit-bytes",
    unit: Unit::Bytes,
    default: 8 * MIB,
    least: 0,
    why: "bytes emitted in a call; they lie in the host's memory until it succeeds",
};
pub const REQUESTS: Limit = Limit {
    key: "requests",
    unit: Unit::Count,
    default: 128,
    least: 0,
    why: "queries asked and exchanges begun in a call",
};
pub const REQUEST_BYTES: Limit = Limit {
    key: "request-bytes",
    unit: Unit::Bytes,
    default: 8 * MIB,
    least: 0,
    why: "bytes of queries and exchanges sent in a call, answers not counted",
};
pub const LOG_LINES: Limit = Limit {
    key: "log-lines",
    unit: Unit::Count,
    default: 200,
    least: 0,
    why: "log lines in a call; what is over is dropped and counted",
};
pub const LOG_BYTES: Limit = Limit {
    key: "log-bytes",
    unit: Unit::Bytes,
    default: 64 * KIB,
    least: 0,
    why: "bytes logged in a call; what is over is dropped and counted",
};
pub const OUTPUT_BYTES: Limit = Limit {
    key: "output-bytes",
    unit: Unit::Bytes,
    default: 64 * KIB,
    least: 0,
    why: "bytes on stdout and stderr in a call, which go to the log; room for a panic with its trace",
};
pub const REGISTRATIONS: Limit = Limit {
    key: "registrations",
    unit: Unit::Count,
    default: 500,
    least: 1,
    why: "ops, types and handlers that register may declare; each op is a subscription",
};
pub const LISTENERS: Limit = Limit {
    key: "listeners",
    unit: Unit::Count,
    default: 1_000,
    least: 0,
    why: "dynamic listeners of the plugin that wait at the same time; each is looked at for events of its types",
};
pub const LISTENER_AGE: Limit = Limit {
    key: "listener-age",
    unit: Unit::Time,
    default: 24 * 60 * 60 * 1_000,
    least: 1,
    why: "how long a dynamic listener waits at the most; longer than any answer that somebody still wants",
};
/// Its default is the host's slots: see [`Limits::defaults`].
pub const CONCURRENCY: Limit = Limit {
    key: "concurrency",
    unit: Unit::Count,
    default: u64::MAX,
    least: 1,
    why: "calls of the plugin at the same time; all of the host's slots by default",
};

/// Every limit, in the order of the documentation.
pub const LIMITS: [&Limit; 17] = [
    &DEADLINE,
    &REGISTER_DEADLINE,
    &CPU,
    &MEMORY,
    &TABLE_ELEMENTS,
    &HANDLES,
    &EMITS,
    &EMIT_BYTES,
    &REQUESTS,
    &REQUEST_BYTES,
    &LOG_LINES,
    &LOG_BYTES,
    &OUTPUT_BYTES,
    &REGISTRATIONS,
    &LISTENERS,
    &LISTENER_AGE,
    &CONCURRENCY,
];

impl Limits {
    /// The defaults, for a host with so many slots.
    pub fn defaults(slots: u32) -> Limits {
        Limits::of(&Amounts::from([(CONCURRENCY.key, u64::from(slots))]))
    }

    /// Each limit as it is written, in the order of [`LIMITS`].
    pub fn values(&self) -> Vec<(&'static str, String)> {
        let time = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let size = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let amounts: [u64; LIMITS.len()] = [
            time(self.deadline),
            time(self.register_deadline),
            time(self.cpu),
            size(self.memory_bytes),
            size(self.table_elements),
            size(self.handles),
            self.emits.into(),
            size(self.emit_bytes),
            self.requests.into(),
            size(self.request_bytes),
            self.log_lines.into(),
            size(self.log_bytes),
            size(self.output_bytes),
            self.registrations.into(),
            self.listeners.into(),
            time(self.listener_age),
            self.concurrency.into(),
        ];
        LIMITS
            .iter()
            .zip(amounts)
            .map(|(l, amount)| (l.key, l.unit.show(amount)))
            .collect()
    }

    /// What the amounts say, and the default for what they do not say.
    pub(crate) fn of(amounts: &Amounts) -> Limits {
        let get = |limit: &Limit| *amounts.get(limit.key).unwrap_or(&limit.default);
        let time = |limit| Duration::from_millis(get(limit));
        let size = |limit| usize::try_from(get(limit)).unwrap_or(usize::MAX);
        let count = |limit| u32::try_from(get(limit)).unwrap_or(u32::MAX);
        Limits {
            deadline: time(&DEADLINE),
            register_deadline: time(&REGISTER_DEADLINE),
            cpu: time(&CPU),
            memory_bytes: size(&MEMORY),
            table_elements: size(&TABLE_ELEMENTS),
            handles: size(&HANDLES),
            emits: count(&EMITS),
            emit_bytes: size(&EMIT_BYTES),
            requests: count(&REQUESTS),
            request_bytes: size(&REQUEST_BYTES),
            log_lines: count(&LOG_LINES),
            log_bytes: size(&LOG_BYTES),
            output_bytes: size(&OUTPUT_BYTES),
            registrations: count(&REGISTRATIONS),
            listeners: count(&LISTENERS),
            listener_age: time(&LISTENER_AGE),
            concurrency: count(&CONCURRENCY),
        }
    }
}

impl Unit {
    /// The amount as a person writes it.
    pub fn show(self, amount: u64) -> String {
        match self {
            Unit::Time => format_duration(Duration::from_millis(amount)),
            Unit::Bytes => ByteSize(amount).to_string(),
            Unit::Count => amount.to_string(),
        }
    }
}
