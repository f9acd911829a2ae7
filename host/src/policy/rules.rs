//! `[plugins.default]` and `[plugins.ceiling]`: what makes a [`Policy`] of what a plugin's file
//! says.
//!
//! What somebody wrote above the ceiling is a mistake that names both places: a limit cut down in
//! silence would surprise whoever wrote it. A built-in default is cut down, for nobody wrote it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::grants::Grant;
use super::limits::{Amounts, CONCURRENCY, LIMITS};
use super::raw::{Ceiling, RawGrants, RawInstances, RawLimits, RawPolicy, RawRetry};
use super::{
    EventsPolicy, Grants, InstanceMode, Instances, Limits, ListenersPolicy, OnSwap, Policy, Retry,
    Start,
};
use crate::settings::{
    ByteSize, Document, Lookups, Mistakes, Origin, Problem, Written, expand, format_duration,
};
use crate::subject::SubjectPattern;

mod ceiling;

/// What the host itself bounds, whatever the ceiling says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostBounds {
    /// Calls at the same time: a larger `concurrency` is cut down to it.
    pub slots: u32,
    /// What the engine was built for.
    pub max_memory_bytes: usize,
    /// What the engine was built for.
    pub max_table_elements: usize,
    /// What ops must match; listening to them is granted unless a policy says otherwise.
    pub namespace: Vec<SubjectPattern>,
    /// What the stream takes; listening to them is granted unless a policy says otherwise.
    pub events: Vec<SubjectPattern>,
}

/// Who decides what a plugin may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granting {
    /// The policies, under the ceiling.
    AsWritten,
    /// Nobody: all is granted, every secret too. For `conche dev` and `conche call`.
    Everything,
}

/// Makes each plugin's [`Policy`].
#[derive(Debug, Clone)]
pub struct PolicyRules {
    bounds: HostBounds,
    granting: Granting,
    default: RawPolicy,
    ceiling: Ceiling,
    operator_file: String,
    /// Where relative paths of that file begin.
    operator_dir: PathBuf,
}

/// The file of one plugin's policy.
#[derive(Debug, Clone, Copy)]
pub struct PolicyFile<'a> {
    /// Where it is, or would be: refusals name it.
    pub path: &'a str,
    /// `None`: there is none, the defaults decide.
    pub text: Option<&'a str>,
}

impl PolicyRules {
    /// Rules with neither `[plugins.default]` nor `[plugins.ceiling]`.
    pub fn new(bounds: HostBounds, granting: Granting) -> PolicyRules {
        PolicyRules {
            bounds,
            granting,
            default: RawPolicy::default(),
            ceiling: Ceiling::default(),
            operator_file: "conche.toml".to_owned(),
            operator_dir: PathBuf::new(),
        }
    }

    /// These rules with the operator's sections, which stand in that file, in that directory. Notes
    /// where the default exceeds the ceiling.
    pub(crate) fn with_sections(
        mut self,
        default: RawPolicy,
        ceiling: Ceiling,
        (file, dir): (&str, &Path),
        mistakes: &mut Mistakes,
    ) -> PolicyRules {
        self.ceiling = ceiling.beside(dir);
        self.operator_file = file.to_owned();
        self.operator_dir = dir.to_owned();
        self.check(&default, "plugins.default.", mistakes);
        self.default = default;
        self
    }

    /// These rules with another grantor: `conche call --policy` takes the file at its word.
    pub fn granted(mut self, granting: Granting) -> PolicyRules {
        self.granting = granting;
        self
    }

    /// Whether everything is granted, which the host then says.
    pub fn granting(&self) -> Granting {
        self.granting
    }

    /// The policy of the plugin whose file this is. May block: it looks references up.
    ///
    /// # Errors
    /// Every mistake of the file, each with its line.
    pub fn resolve(&self, file: PolicyFile<'_>, lookups: Lookups<'_>) -> Result<Policy, Mistakes> {
        let mut mistakes = Mistakes::default();
        let mut raw = RawPolicy::default();
        if let Some(text) = file.text {
            let document = Document::parse(file.path, text)?;
            raw = document.read(RawPolicy::read);
            mistakes = document.into_mistakes();
        }
        self.check(&raw, "", &mut mistakes);
        let raw = raw.over(&self.default);
        let limits = self.limits(&raw.limits);
        let mut policy = Policy {
            grants: self.grants(raw.grants, file.path),
            instances: instances(&raw.instances, &limits, &mut mistakes),
            limits,
            retry: retry(&raw.retry, &mut mistakes),
            events: EventsPolicy {
                start: raw.start.map_or(Start::New, |w| w.value),
            },
            listeners: ListenersPolicy {
                on_swap: raw.on_swap.map_or(OnSwap::Drop, |w| w.value),
            },
            config: self.config(raw.config, lookups, &mut mistakes),
            digest: String::new(),
        };
        policy.digest = policy.digest_of_values();
        mistakes.finish(policy)
    }

    fn limits(&self, raw: &RawLimits) -> Limits {
        let mut amounts = Amounts::new();
        for limit in LIMITS {
            let mut amount = raw.get(limit.key).map_or(limit.default, |w| w.value);
            if let Some(bound) = self.ceiling.limits.get(limit.key) {
                amount = amount.min(bound.value);
            }
            if let Some((most, _)) = self.host_bound(limit) {
                amount = amount.min(most);
            }
            if limit.key == CONCURRENCY.key {
                amount = amount.min(u64::from(self.bounds.slots));
            }
            amounts.insert(limit.key, amount);
        }
        Limits::of(&amounts)
    }

    fn grants(&self, mut raw: RawGrants, policy_file: &str) -> Grants {
        if self.granting == Granting::Everything {
            return Grants::everything(policy_file);
        }
        let mut list = |grant| match raw.lists.remove(&grant) {
            Some(written) => written.value,
            None => self.granted_unasked(grant),
        };
        let on = |switch: Option<Written<bool>>| switch.is_some_and(|w| w.value);
        Grants {
            query: list(Grant::Query),
            event: list(Grant::Event),
            emit: list(Grant::Emit),
            request: list(Grant::Request),
            exchange: list(Grant::Exchange),
            listen: list(Grant::Listen),
            any_query: on(raw.any_query),
            any_event: on(raw.any_event),
            policy_file: policy_file.to_owned(),
        }
    }

    /// Out of the box: what exists may be listened to, nothing may be sent.
    fn granted_unasked(&self, grant: Grant) -> Vec<SubjectPattern> {
        let patterns = match grant {
            Grant::Query => &self.bounds.namespace,
            Grant::Event => &self.bounds.events,
            Grant::Emit | Grant::Request | Grant::Exchange | Grant::Listen => return vec![],
        };
        match self.ceiling.grants.lists.get(&grant) {
            Some(bound) => common(patterns, &bound.value),
            None => patterns.clone(),
        }
    }

    fn config(
        &self,
        raw: BTreeMap<String, Written<String>>,
        lookups: Lookups<'_>,
        mistakes: &mut Mistakes,
    ) -> BTreeMap<String, String> {
        let mut config = BTreeMap::new();
        for (key, written) in raw {
            let base = self.base(&written.origin);
            match expand(&written.value, base, lookups, |reference| {
                self.may_read(reference)
            }) {
                Ok(value) => {
                    config.insert(key, value);
                }
                Err(problem) => mistakes.add(written.origin, format!("config.{key}"), problem),
            }
        }
        config
    }

    /// Where relative paths begin: at the file that they stand in.
    fn base<'a>(&'a self, origin: &'a Origin) -> &'a Path {
        match origin {
            Origin::File { file, .. } if *file != self.operator_file => {
                Path::new(file).parent().unwrap_or(Path::new(""))
            }
            _ => &self.operator_dir,
        }
    }
}

fn instances(raw: &RawInstances, limits: &Limits, mistakes: &mut Mistakes) -> Instances {
    let memory = u64::try_from(limits.memory_bytes).unwrap_or(u64::MAX);
    if let Some(written) = raw.memory_mark.as_ref().filter(|w| w.value > memory) {
        let why = format!(
            "{} is above limits.memory, {}: no instance would ever reach it",
            ByteSize(written.value),
            ByteSize(memory)
        );
        mistakes.add(
            written.origin.clone(),
            "instances.memory-mark",
            Problem::Other(why),
        );
    }
    let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let mark = said(raw.memory_mark.as_ref(), memory / 4 * 3);
    Instances {
        mode: said(raw.mode.as_ref(), InstanceMode::Auto),
        max_calls: said(raw.max_calls.as_ref(), Instances::MAX_CALLS),
        memory_mark_bytes: usize::try_from(mark).unwrap_or(usize::MAX),
        idle_max: raw
            .idle_max
            .as_ref()
            .map_or(Instances::IDLE_MAX.min(limits.concurrency), |w| {
                count(w.value)
            }),
    }
}

fn retry(raw: &RawRetry, mistakes: &mut Mistakes) -> Retry {
    let default = Retry::default();
    let max_attempts = raw.max_attempts.as_ref().map(|w| u32::try_from(w.value));
    let first = said(raw.first.as_ref(), default.first);
    // A first delay above the default maximum moves the maximum, which nobody set.
    let max: Duration = said(raw.max.as_ref(), default.max.max(first));
    if let Some(written) = raw.max.as_ref().filter(|w| w.value < first) {
        let (max, first) = (format_duration(max), format_duration(first));
        let why = format!("{max} is below retry.first, {first}: raise one or lower the other");
        mistakes.add(written.origin.clone(), "retry.max", Problem::Other(why));
    }
    Retry {
        max_attempts: max_attempts
            .and_then(Result::ok)
            .unwrap_or(default.max_attempts),
        first,
        max,
        factor: said(raw.factor.as_ref(), default.factor),
        jitter: said(raw.jitter.as_ref(), default.jitter),
    }
}

fn said<T: Copy>(written: Option<&Written<T>>, default: T) -> T {
    written.map_or(default, |w| w.value)
}

/// What both lists match, as far as patterns can say it.
fn common(ours: &[SubjectPattern], theirs: &[SubjectPattern]) -> Vec<SubjectPattern> {
    let mut both: Vec<SubjectPattern> = Vec::new();
    for (a, b) in ours.iter().flat_map(|a| theirs.iter().map(move |b| (a, b))) {
        let narrow = if a.covers(b) {
            Some(b)
        } else {
            b.covers(a).then_some(a)
        };
        if let Some(narrow) = narrow.filter(|n| !both.contains(n)) {
            both.push(narrow.clone());
        }
    }
    both
}

#[cfg(test)]
mod tests;
