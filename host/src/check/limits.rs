//! What a rehearsal used, against what the policy allows. Pure.

use std::time::Duration;

use serde::Serialize;

use super::rehearsal::Rehearsal;
use super::{Finding, Severity};
use crate::config::CallsConfig;
use crate::plugin::RegisterError;
use crate::policy::limits::{
    CPU, DEADLINE, HANDLES, Limit, MEMORY, REGISTER_DEADLINE, TABLE_ELEMENTS, Unit,
};
use crate::policy::{InstanceMode, Limits, Policy};
use crate::sandbox::{Failure, Usage};

/// Of a limit, what a single call with next to no data should leave: a part in so many.
const HEADROOM: u64 = 4;

/// One limit, and how much of it was used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    pub(super) limit: &'static Limit,
    /// None: it could not be measured.
    pub(super) used: Option<u64>,
    pub(super) given: u64,
    /// What the host could give.
    pub(super) most: Option<u64>,
}

/// One limit and its use, for a reader.
#[derive(Debug, Clone, Serialize)]
pub struct Amount {
    /// The key in `[limits]`.
    pub limit: &'static str,
    /// The most that anything used.
    pub used: u64,
    /// What the policy gives.
    pub given: u64,
    /// Of both: `ms`, `bytes` or `count`.
    pub unit: &'static str,
    /// Both, as a person reads them.
    #[serde(skip)]
    pub text: (String, String),
}

/// What was used, in the order of the documentation. What stopped the plugin even so is not known.
pub(super) fn measures(
    rehearsal: &Rehearsal,
    limits: &Limits,
    calls: &CallsConfig,
) -> Vec<Measure> {
    let usage = &rehearsal.seen.usage;
    let is_started = !usage.start.is_zero();
    let memory = usage
        .start_memory_bytes
        .max(usage.register_memory_bytes)
        .max(usage.call_memory_bytes);
    let cpu = usage.register_cpu.max(usage.call_cpu);
    let is_called = !rehearsal.call.is_zero() && !rehearsal.waited();
    let measure = |limit: &'static Limit, is_known: bool, used, given| {
        let is_known = is_known && !rehearsal.ran_into(limit);
        let most = match limit.key {
            key if key == MEMORY.key => Some(whole(calls.max_memory_bytes)),
            key if key == TABLE_ELEMENTS.key => Some(whole(calls.max_table_elements)),
            _ => None,
        };
        Measure {
            limit,
            used: is_known.then_some(used),
            given,
            most,
        }
    };
    let (call, load) = (rehearsal.call, rehearsal.load);
    let (register, tables) = (limits.register_deadline, usage.table_elements);
    vec![
        measure(&DEADLINE, is_called, ms(call), ms(limits.deadline)),
        measure(&REGISTER_DEADLINE, is_started, ms(load), ms(register)),
        measure(&CPU, is_started, ms(cpu), ms(limits.cpu)),
        measure(
            &MEMORY,
            is_started,
            whole(memory),
            whole(limits.memory_bytes),
        ),
        measure(
            &TABLE_ELEMENTS,
            is_started,
            whole(tables),
            whole(limits.table_elements),
        ),
        measure(&HANDLES, false, 0, whole(limits.handles)),
    ]
}

/// That no instance of a reusable plugin is small enough after its call to be kept.
pub(super) fn never_kept(usage: &Usage, policy: &Policy) -> Option<Finding> {
    let instances = &policy.instances;
    let (held, mark) = (usage.call_memory_bytes, instances.memory_mark_bytes);
    if instances.mode == InstanceMode::Fresh || held <= mark {
        return None;
    }
    let [held, mark] = [held, mark].map(|bytes| shown(Unit::Bytes, whole(bytes)));
    let what = format!(
        "it is reusable, and each call gets a fresh instance: {held} after a call is above memory-mark, {mark}"
    );
    let file = &policy.grants.policy_file;
    let mend = format!("raise memory in [limits], or memory-mark in [instances] of {file}");
    Some(Finding::new(Severity::Warning, "instances", what).with(mend))
}

/// The limit that a failure ran into, if it was one.
pub(super) fn limit_of(failure: &Failure) -> Option<&'static Limit> {
    match failure {
        Failure::DeadlineExceeded { .. } => Some(&DEADLINE),
        Failure::CpuExceeded { .. } => Some(&CPU),
        Failure::OutOfMemory { key, .. } if *key == TABLE_ELEMENTS.key => Some(&TABLE_ELEMENTS),
        Failure::OutOfMemory { .. } => Some(&MEMORY),
        Failure::OutOfHandles { .. } => Some(&HANDLES),
        _ => None,
    }
}

/// As [`limit_of`], while the plugin was loaded.
pub(super) fn limit_of_load(error: &RegisterError) -> Option<&'static Limit> {
    match error {
        RegisterError::Failed(failure) => limit_of(failure),
        RegisterError::TooSlow { .. } => Some(&REGISTER_DEADLINE),
        RegisterError::Refused(_) => None,
    }
}

impl Measure {
    /// That `who` ran into the limit.
    pub(super) fn stopped(&self, who: &str, policy_file: &str) -> Finding {
        let given = self.shown(self.given);
        let what = match self.limit.key {
            key if key == DEADLINE.key => format!("{who} takes longer than {given}"),
            key if key == REGISTER_DEADLINE.key => format!("{who} takes longer than {given}"),
            key if key == CPU.key => format!("{who} runs for longer than {given}"),
            key if key == MEMORY.key => format!("{who} wants more than {given} of memory"),
            key if key == HANDLES.key => format!("{who} holds more than {given} handles"),
            _ => format!("{who} wants more than {given} table elements"),
        };
        self.finding(Severity::Error, what, policy_file)
    }

    /// That the limit refused a growth, and a handler did without.
    pub(super) fn denied(&self, policy_file: &str) -> Finding {
        let (key, given) = (self.limit.key, self.shown(self.given));
        let what = format!("{key}: more than {given} was asked for and refused");
        self.finding(Severity::Warning, what, policy_file)
    }

    /// That what was used leaves too little, or is too much.
    pub(super) fn tight(&self, policy_file: &str) -> Option<Finding> {
        let used = self.used?;
        let (key, given) = (self.limit.key, self.shown(self.given));
        let shown = self.shown(used);
        if used > self.given {
            let what = format!("{key}: {shown} are needed, and {given} allowed");
            return Some(self.finding(Severity::Error, what, policy_file));
        }
        let is_tight = used.saturating_mul(HEADROOM) > self.given.saturating_mul(HEADROOM - 1);
        let what = format!("{key}: {shown} of {given} were used, less than a quarter is left");
        is_tight.then(|| self.finding(Severity::Warning, what, policy_file))
    }

    /// What the limit should be, if it should be another.
    pub(super) fn wanted(&self) -> Option<u64> {
        let used = self.used?;
        let is_enough = used.saturating_mul(HEADROOM) <= self.given.saturating_mul(HEADROOM - 1);
        let with_room = used.saturating_mul(HEADROOM).div_ceil(HEADROOM - 1);
        let wanted = with_room.next_multiple_of(self.step());
        let wanted = wanted.min(self.most.unwrap_or(wanted)).max(used);
        (!is_enough && wanted > self.given).then_some(wanted)
    }

    /// The line of the policy that gives what is wanted.
    pub(super) fn line(&self) -> Option<String> {
        let wanted = self.wanted()?;
        let value = self.limit.unit.show(wanted);
        let key = self.limit.key;
        Some(match self.limit.unit {
            Unit::Count => format!("{key} = {value}"),
            Unit::Time | Unit::Bytes => format!("{key} = \"{value}\""),
        })
    }

    /// None: it was not measured.
    pub(super) fn amount(&self) -> Option<Amount> {
        let used = self.used?;
        Some(Amount {
            limit: self.limit.key,
            used,
            given: self.given,
            unit: match self.limit.unit {
                Unit::Time => "ms",
                Unit::Bytes => "bytes",
                Unit::Count => "count",
            },
            text: (self.shown(used), self.shown(self.given)),
        })
    }

    fn finding(&self, severity: Severity, what: String, policy_file: &str) -> Finding {
        let key = self.limit.key;
        let mend = match self.line() {
            Some(line) => format!("set {line} in [limits] of {policy_file}"),
            None => format!("raise {key} in [limits] of {policy_file}, or do less"),
        };
        Finding::new(severity, "limits", what).with(mend)
    }

    /// What a person would round up to.
    fn step(&self) -> u64 {
        match self.limit.unit {
            Unit::Bytes => 1 << 20,
            Unit::Time => 100,
            Unit::Count => 10,
        }
    }

    fn shown(&self, amount: u64) -> String {
        shown(self.limit.unit, amount)
    }
}

/// As a person reads it: to a tenth, where there is no need for more.
fn shown(unit: Unit, amount: u64) -> String {
    const MIB: u64 = 1 << 20;
    match unit {
        Unit::Bytes if amount.is_multiple_of(MIB) => format!("{} MiB", amount / MIB),
        Unit::Bytes => format!("{:.1} MiB", amount as f64 / MIB as f64),
        Unit::Time if amount.is_multiple_of(1000) && amount > 0 => format!("{} s", amount / 1000),
        Unit::Time => format!("{amount} ms"),
        Unit::Count => amount.to_string(),
    }
}

/// Begun milliseconds.
fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{CPU, MEMORY, Measure, TABLE_ELEMENTS};
    use crate::check::Severity;
    use crate::policy::limits::Limit;

    const MIB: u64 = 1 << 20;

    fn measure(limit: &'static Limit, used: u64, given: u64) -> Measure {
        Measure {
            limit,
            used: Some(used),
            given,
            most: Some(256 * MIB),
        }
    }

    #[track_caller]
    fn check(measure: Measure, expected: Option<(Severity, &str, &str)>) {
        let found = measure.tight("p.toml");
        let found = found.map(|it| (it.severity, it.what, it.mend.unwrap_or_default()));
        let expected = expected.map(|(s, what, mend)| (s, what.to_owned(), mend.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_quarter_is_left_or_it_is_tight() {
        check(measure(&MEMORY, 48 * MIB, 64 * MIB), None);
        check(
            measure(&MEMORY, 14_548_992, 16 * MIB),
            Some((
                Severity::Warning,
                "memory: 13.9 MiB of 16 MiB were used, less than a quarter is left",
                "set memory = \"19MiB\" in [limits] of p.toml",
            )),
        );
        check(
            measure(&TABLE_ELEMENTS, 80, 100),
            Some((
                Severity::Warning,
                "table-elements: 80 of 100 were used, less than a quarter is left",
                "set table-elements = 110 in [limits] of p.toml",
            )),
        );
    }

    #[test]
    fn what_is_needed_is_said_with_room_to_spare() {
        check(
            measure(&CPU, 1500, 1000),
            Some((
                Severity::Error,
                "cpu: 1500 ms are needed, and 1 s allowed",
                "set cpu = \"2s\" in [limits] of p.toml",
            )),
        );
        // The host gives no more, and it is enough.
        assert_eq!(
            measure(&MEMORY, 250 * MIB, 200 * MIB).wanted(),
            Some(256 * MIB)
        );
        assert_eq!(measure(&MEMORY, 250 * MIB, 256 * MIB).wanted(), None);
        let unknown = Measure {
            used: None,
            ..measure(&CPU, 0, 1000)
        };
        check(unknown, None);
        let stopped = unknown.stopped("`spin`", "p.toml");
        assert_eq!(stopped.what, "`spin` runs for longer than 1 s");
        let mend = "raise cpu in [limits] of p.toml, or do less";
        assert_eq!(stopped.mend.as_deref(), Some(mend));
    }
}
