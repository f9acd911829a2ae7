//! A guest that is watched instead of serving: where its clock stands, what it logged and printed,
//! what it used. For trials and checks; a host that serves has none. Must not know what either
//! makes of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use wasmtime_wasi::HostWallClock;

use super::limits::MemoryLimiter;
use crate::policy::Grant;

/// What is remembered of what a guest asks for: nobody reads more.
const ASKED_MAX: usize = 1_000;

/// What is set for the instances of one plugin, and seen of them.
#[derive(Debug, Default)]
pub struct Stage {
    clock: Option<DateTime<Utc>>,
    seen: Mutex<Seen>,
}

/// What was seen so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// In order, those of `register` first. They are not in the host's log.
    pub lines: Vec<GuestLine>,
    /// An instance, `register` and calls: the most that any of them used.
    pub usage: Usage,
    /// Ops and types that it wanted to send or to hear, granted or not.
    pub asked: BTreeSet<(Grant, String)>,
    /// Keys of the configuration that it looked up, there or not.
    pub config_keys: BTreeSet<String>,
}

/// What a guest logged or printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestLine {
    /// As in `wit/handler.wit`; for what was printed, `stdout` and `stderr`.
    pub level: &'static str,
    /// What it says.
    pub message: String,
    /// What belongs to it.
    pub fields: Vec<(String, String)>,
}

/// What a guest used, all but the count at its largest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Instances that were made, the one of `register` included.
    pub instances: u64,
    /// Making an instance.
    pub start: Duration,
    /// Linear memory of a fresh instance, in bytes.
    pub start_memory_bytes: usize,
    /// Guest execution in `register`.
    pub register_cpu: Duration,
    /// Linear memory after `register`.
    pub register_memory_bytes: usize,
    /// Guest execution in a call.
    pub call_cpu: Duration,
    /// Linear memory after a call: it never shrinks, so that is the most there was.
    pub call_memory_bytes: usize,
    /// Tables, which do not shrink either.
    pub table_elements: usize,
    /// The limit that refused a growth, by its key: a guest may go on without.
    pub denied: Option<&'static str>,
}

impl Stage {
    /// With a wall clock that stands still, or with the real one.
    pub fn new(clock: Option<DateTime<Utc>>) -> Stage {
        Stage {
            clock,
            seen: Mutex::default(),
        }
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    pub(super) fn clock(&self) -> Option<StoppedClock> {
        self.clock.map(StoppedClock)
    }

    pub(super) fn line(&self, line: GuestLine) {
        self.lock().lines.push(line);
    }

    pub(super) fn asked(&self, grant: Grant, subject: &str) {
        let asked = &mut self.lock().asked;
        if asked.len() < ASKED_MAX {
            asked.insert((grant, subject.to_owned()));
        }
    }

    pub(super) fn looked_up(&self, key: &str) {
        let keys = &mut self.lock().config_keys;
        if keys.len() < ASKED_MAX {
            keys.insert(key.to_owned());
        }
    }

    pub(super) fn started(&self, took: Duration, memory: &MemoryLimiter) {
        let usage = &mut self.lock().usage;
        usage.instances += 1;
        usage.start = usage.start.max(took);
        usage.start_memory_bytes = usage.start_memory_bytes.max(memory.memory());
        usage.holds(memory);
    }

    pub(super) fn registered(&self, cpu: Duration, memory: &MemoryLimiter) {
        let usage = &mut self.lock().usage;
        usage.register_cpu = usage.register_cpu.max(cpu);
        usage.register_memory_bytes = usage.register_memory_bytes.max(memory.memory());
        usage.holds(memory);
    }

    pub(super) fn called(&self, cpu: Duration, memory: &MemoryLimiter) {
        let usage = &mut self.lock().usage;
        usage.call_cpu = usage.call_cpu.max(cpu);
        usage.call_memory_bytes = usage.call_memory_bytes.max(memory.memory());
        usage.holds(memory);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Nothing panics half-way through a change of it.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Usage {
    fn holds(&mut self, memory: &MemoryLimiter) {
        self.table_elements = self.table_elements.max(memory.tables());
        self.denied = self.denied.or(memory.denied.map(|denied| denied.key));
    }
}

/// A wall clock that always shows the same time.
pub(super) struct StoppedClock(DateTime<Utc>);

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        // Before 1970 there is no such time in WASI.
        let seconds = u64::try_from(self.0.timestamp()).unwrap_or(0);
        Duration::new(seconds, self.0.timestamp_subsec_nanos() % 1_000_000_000)
    }
}
