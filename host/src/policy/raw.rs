//! A policy as written: what stands in `<name>.toml`, in `[plugins.default]`, and the part of it
//! that `[plugins.ceiling]` may bound. No defaults here.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use toml::de::DeValue;

use super::grants::Grant;
use super::limits::{LIMITS, Limit, Unit};
use super::{InstanceMode, OnSwap, Start};
use crate::settings::{Problem, Section, Written, beside, whole};
use crate::subject::SubjectPattern;

/// A policy file, or `[plugins.default]`. `None` and absent entries: nothing was said.
#[derive(Debug, Clone, Default)]
pub struct RawPolicy {
    pub(super) grants: RawGrants,
    pub(super) limits: RawLimits,
    pub(super) instances: RawInstances,
    pub(super) retry: RawRetry,
    pub(super) start: Option<Written<Start>>,
    pub(super) on_swap: Option<Written<OnSwap>>,
    /// References not yet looked up.
    pub(super) config: BTreeMap<String, Written<String>>,
}

/// `[plugins.ceiling]`.
#[derive(Debug, Clone, Default)]
pub struct Ceiling {
    /// A list that is absent bounds nothing.
    pub(super) grants: RawGrants,
    pub(super) limits: RawLimits,
    /// Variables that `${env:…}` may name; `*` at the end stands for the rest.
    pub(super) env: Option<Written<Vec<String>>>,
    /// Paths that `${file:…}` may name; `*` at the end stands for the rest.
    pub(super) files: Option<Written<Vec<String>>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawGrants {
    pub(super) lists: BTreeMap<Grant, Written<Vec<SubjectPattern>>>,
    pub(super) any_query: Option<Written<bool>>,
    pub(super) any_event: Option<Written<bool>>,
}

/// By key, in the smallest part of the unit.
pub(super) type RawLimits = BTreeMap<&'static str, Written<u64>>;

#[derive(Debug, Clone, Default)]
pub(super) struct RawInstances {
    pub(super) mode: Option<Written<InstanceMode>>,
    pub(super) max_calls: Option<Written<u64>>,
    pub(super) memory_mark: Option<Written<u64>>,
    pub(super) idle_max: Option<Written<u64>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawRetry {
    pub(super) max_attempts: Option<Written<u64>>,
    pub(super) first: Option<Written<Duration>>,
    pub(super) max: Option<Written<Duration>>,
    pub(super) factor: Option<Written<f64>>,
    pub(super) jitter: Option<Written<f64>>,
}

impl RawPolicy {
    /// Reads the section. Mistakes go to the document.
    pub fn read(s: &mut Section<'_>) -> RawPolicy {
        RawPolicy {
            grants: s.section("grants", RawGrants::read),
            limits: s.section("limits", read_limits),
            instances: s.section("instances", |s| RawInstances {
                mode: s.parsed("mode", mode),
                max_calls: s.whole("max-calls", 1, u64::MAX),
                memory_mark: s.bytes("memory-mark"),
                idle_max: s.whole("idle-max", 0, u64::from(u32::MAX)),
            }),
            retry: s.section("retry", |s| RawRetry {
                max_attempts: s.whole("max-attempts", 1, u64::from(u32::MAX)),
                first: s.duration("first"),
                max: s.duration("max"),
                factor: s.number("factor", 1.0, 100.0),
                jitter: s.number("jitter", 0.0, 1.0),
            }),
            start: s.section("events", |s| s.value("start", start)),
            on_swap: s.section("listeners", |s| s.parsed("on-swap", on_swap)),
            config: s.section("config", |s| s.entries().into_iter().collect()),
        }
    }

    /// Every value of this one, and the base's where this one says nothing.
    pub(super) fn over(self, base: &RawPolicy) -> RawPolicy {
        let base = base.clone();
        let (ours, theirs) = (self.instances, base.instances);
        let instances = RawInstances {
            mode: ours.mode.or(theirs.mode),
            max_calls: ours.max_calls.or(theirs.max_calls),
            memory_mark: ours.memory_mark.or(theirs.memory_mark),
            idle_max: ours.idle_max.or(theirs.idle_max),
        };
        let (ours, theirs) = (self.retry, base.retry);
        let retry = RawRetry {
            max_attempts: ours.max_attempts.or(theirs.max_attempts),
            first: ours.first.or(theirs.first),
            max: ours.max.or(theirs.max),
            factor: ours.factor.or(theirs.factor),
            jitter: ours.jitter.or(theirs.jitter),
        };
        RawPolicy {
            grants: RawGrants {
                lists: overlaid(base.grants.lists, self.grants.lists),
                any_query: self.grants.any_query.or(base.grants.any_query),
                any_event: self.grants.any_event.or(base.grants.any_event),
            },
            limits: overlaid(base.limits, self.limits),
            instances,
            retry,
            start: self.start.or(base.start),
            on_swap: self.on_swap.or(base.on_swap),
            config: overlaid(base.config, self.config),
        }
    }
}

impl Ceiling {
    /// Reads the section. Mistakes go to the document.
    pub fn read(s: &mut Section<'_>) -> Ceiling {
        Ceiling {
            grants: s.section("grants", RawGrants::read),
            limits: s.section("limits", read_limits),
            env: s.strings("env"),
            files: s.strings("files"),
        }
    }

    /// The same, its relative paths begun at `dir`; `*` alone stands for every file.
    pub(super) fn beside(mut self, dir: &Path) -> Ceiling {
        let entry = |entry: String| match entry.as_str() {
            "*" => entry,
            path => beside(dir, path),
        };
        let entries = |list: Vec<String>| list.into_iter().map(entry).collect();
        self.files = self.files.map(|files| {
            let origin = files.origin;
            Written::new(entries(files.value), origin)
        });
        self
    }
}

impl RawGrants {
    fn read(s: &mut Section<'_>) -> RawGrants {
        let lists = Grant::ALL
            .into_iter()
            .filter_map(|g| Some((g, s.subjects(g.key())?)));
        let lists = lists.collect();
        RawGrants {
            lists,
            any_query: s.boolean("any-query"),
            any_event: s.boolean("any-event"),
        }
    }
}

fn read_limits(s: &mut Section<'_>) -> RawLimits {
    LIMITS
        .iter()
        .filter_map(|limit| Some((limit.key, read_limit(s, limit)?)))
        .collect()
}

fn read_limit(s: &mut Section<'_>, limit: &Limit) -> Option<Written<u64>> {
    let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let written = match limit.unit {
        Unit::Count => return s.whole(limit.key, limit.least, u64::from(u32::MAX)),
        Unit::Bytes => s.bytes(limit.key)?,
        Unit::Time => s.duration(limit.key)?.map(millis),
    };
    if written.value >= limit.least {
        return Some(written);
    }
    let found = limit.unit.show(written.value);
    let range = format!("at least {}", limit.unit.show(limit.least));
    s.mistake(written.origin, limit.key, Problem::Range { found, range });
    None
}

fn overlaid<K: Ord, V>(mut base: BTreeMap<K, V>, over: BTreeMap<K, V>) -> BTreeMap<K, V> {
    base.extend(over);
    base
}

fn mode(text: &str) -> Result<InstanceMode, Problem> {
    match text {
        "auto" => Ok(InstanceMode::Auto),
        "fresh" => Ok(InstanceMode::Fresh),
        _ => Err(Problem::choice(text, &["auto", "fresh"])),
    }
}

fn on_swap(text: &str) -> Result<OnSwap, Problem> {
    match text {
        "drop" => Ok(OnSwap::Drop),
        "carry" => Ok(OnSwap::Carry),
        _ => Err(Problem::choice(text, &["drop", "carry"])),
    }
}

fn start(value: &DeValue<'_>) -> Result<Start, Problem> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Integer(_) => {
            let sequence = whole(value).ok().filter(|s| *s > 0);
            return sequence
                .map(Start::Sequence)
                .ok_or_else(|| start_wanted(value));
        }
        other => return Err(start_wanted(other)),
    };
    match text.as_str() {
        "new" => Ok(Start::New),
        "all" => Ok(Start::All),
        time => DateTime::parse_from_rfc3339(time)
            .map(|time| Start::Time(time.with_timezone(&Utc)))
            .map_err(|_| start_wanted(value)),
    }
}

fn start_wanted(found: &DeValue<'_>) -> Problem {
    Problem::wanted(
        "start: write \"new\", \"all\", a time such as \"2026-01-31T12:00:00Z\" or a sequence number",
        found,
    )
}
