//! What a plugin needs of its policy, and whether the policy gives it: what it registers and imports
//! against grants, what it uses against limits, and the least policy that suffices.
//!
//! Most is seen in a rehearsal: the plugin is loaded as a host loads it, and each handler called
//! once. Must not know the command line, or where the component's file is.

mod grants;
mod least;
mod limits;
mod rehearsal;
mod runtime;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::config::{Config, lookups};
use crate::policy::limits::{LIMITS, Limit, MEMORY};
use crate::policy::{Granting, Grants, PluginName, Policy, PolicyFile};
use crate::sandbox::{Compiled, LoadError, Sandbox};
use limits::Measure;
use rehearsal::{Failed, Rehearsal};

pub use limits::Amount;
pub use runtime::{Runtime, runtime};

/// What to do about interfaces of WASI that are not there.
const WASI: &str = "build it without: hosts give cli, clocks, filesystem, io, random and sockets of \
    WASI 0.2, all empty, and no more";
/// How long a handler may take when the policy does not count: one that spins for ever spins so
/// long.
const ROOMY_TIME: Duration = Duration::from_secs(5);
/// As many handles as it may hold then.
const ROOMY_HANDLES: usize = 100_000;

/// What is checked.
#[derive(Debug)]
pub struct Candidate {
    /// As a host would call it.
    pub name: PluginName,
    /// Its code.
    pub compiled: Compiled,
    /// What lies in it.
    pub runtime: Option<Runtime>,
    /// What it may do.
    pub policy: Policy,
    /// What it might do if it had no policy of its own.
    pub default: Policy,
    /// Of the host that it is to run in.
    pub config: Arc<Config>,
    /// Counts the guest's time as long as it lives.
    pub sandbox: Arc<Sandbox>,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at.
    pub check: &'static str,
    /// What is the matter.
    pub what: String,
    /// The line that mends it, if there is one.
    pub mend: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A host would refuse the plugin, or calls of it fail.
    Error,
    /// Something may not be meant, or is tight.
    Warning,
    /// Good to know.
    Note,
}

/// All that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// The plugin.
    pub plugin: String,
    /// The runtime in it.
    pub runtime: Option<Runtime>,
    /// Errors first.
    pub findings: Vec<Finding>,
    /// What it used, and what it may use.
    pub used: Vec<Amount>,
    /// The least policy, as a file; none if nobody knows what the plugin registers.
    pub policy: Option<String>,
}

impl Candidate {
    /// Looks at everything. Takes as long as the handlers do, and that twice where the policy stops
    /// them.
    ///
    /// # Errors
    /// There is no bus for the plugin to run on.
    pub async fn check(&self) -> anyhow::Result<Checked> {
        let as_written = Rehearsal::of(self, self.policy.clone()).await?;
        // What lies behind a limit, or a grant, only a run without them shows.
        let roomy = match self.is_in_the_way(&as_written) {
            true => Some(Rehearsal::of(self, self.roomy()).await?),
            false => None,
        };
        let full = roomy.as_ref().unwrap_or(&as_written);
        let calls = &self.config.calls;
        let measures = limits::measures(full, &self.policy.limits, calls);
        let mut findings = self.stopped(&as_written, &measures);
        let tight = measures.iter().filter(|it| !as_written.ran_into(it.limit));
        findings.extend(tight.filter_map(|it| it.tight(self.policy_file())));
        let mut of_memory = measures.iter().filter(|it| it.limit.key == MEMORY.key);
        let is_tight = of_memory.any(|it| it.tight(self.policy_file()).is_some());
        let is_short = is_tight || as_written.ran_into(&MEMORY);
        if let Some(runtime) = self.runtime.as_ref().filter(|_| is_short) {
            findings.extend(runtime.holds(&full.seen.usage));
        }
        findings.extend(grants::denied(&as_written.denied));
        findings.extend(grants::imported(
            &self.compiled.imports,
            &self.policy.grants,
            &full.seen.asked,
        ));
        let mut policy = None;
        if let Ok(plugin) = &full.plugin {
            let registrations = plugin.registrations();
            let (imports, written) = (&self.compiled.imports, &self.policy.grants);
            findings.extend(grants::unused(
                imports,
                written,
                &self.default.grants,
                registrations,
            ));
            findings.extend(grants::idle(imports, registrations));
            if registrations.reusable {
                let usage = &as_written.seen.usage;
                findings.extend(limits::never_kept(usage, &self.policy));
            }
            let runtime = self.runtime.as_ref();
            findings.extend(runtime.and_then(|runtime| runtime.not_reused(registrations)));
            let needs = limits::measures(full, &self.default.limits, calls);
            let text = least::text(&self.name, registrations, imports, &full.seen, &needs);
            findings.extend(self.out_of_reach(&text));
            policy = Some(text);
        }
        findings.sort_by_key(|finding| finding.severity);
        Ok(Checked {
            plugin: self.name.to_string(),
            runtime: self.runtime.clone(),
            findings,
            used: measures.iter().filter_map(Measure::amount).collect(),
            policy,
        })
    }

    /// Whether the plugin might do something else under another policy.
    fn is_in_the_way(&self, rehearsal: &Rehearsal) -> bool {
        let grants = &self.policy.grants;
        let mut asked = rehearsal.seen.asked.iter();
        let refused = asked.any(|(grant, subject)| grants.allows(*grant, subject).is_err());
        let ran_into = LIMITS.into_iter().any(|limit| rehearsal.ran_into(limit));
        refused || ran_into
    }

    /// Everything granted, and the most that this host could give.
    fn roomy(&self) -> Policy {
        let calls = &self.config.calls;
        let mut policy = self.policy.clone();
        policy.grants = Grants::everything(self.policy_file());
        let limits = &mut policy.limits;
        limits.memory_bytes = calls.max_memory_bytes;
        limits.table_elements = calls.max_table_elements;
        limits.handles = limits.handles.max(ROOMY_HANDLES);
        limits.cpu = limits.cpu.max(ROOMY_TIME);
        limits.deadline = limits.deadline.max(ROOMY_TIME);
        limits.register_deadline = limits.register_deadline.max(ROOMY_TIME);
        policy
    }

    /// Why it did not load, or which calls brought nothing.
    fn stopped(&self, rehearsal: &Rehearsal, measures: &[Measure]) -> Vec<Finding> {
        let find = |limit: &Limit| measures.iter().find(|it| it.limit.key == limit.key);
        let mut findings = Vec::new();
        if let Err(error) = &rehearsal.plugin {
            let who = match rehearsal.seen.usage.start.is_zero() {
                true => "a fresh instance",
                false => "register",
            };
            let measure = limits::limit_of_load(error).and_then(find);
            findings.push(match measure {
                Some(measure) => measure.stopped(who, self.policy_file()),
                None => Finding::new(
                    Severity::Error,
                    "load",
                    format!("it does not load: {error}"),
                ),
            });
        }
        for Failed {
            handler,
            ty,
            failure,
        } in &rehearsal.failed
        {
            let measure = limits::limit_of(failure).and_then(find);
            findings.push(match measure {
                Some(measure) => measure.stopped(&format!("`{handler}`"), self.policy_file()),
                None => {
                    let what = format!("`{handler}` failed when it was tried: {failure}");
                    let mend = format!("see `conche call {}.wasm {ty} '{{}}'`", self.name);
                    Finding::new(Severity::Warning, "calls", what).with(mend)
                }
            });
        }
        let denied = rehearsal.seen.usage.denied;
        let denied = measures.iter().find(|it| Some(it.limit.key) == denied);
        if let Some(measure) = denied.filter(|it| !rehearsal.stopped_at(it.limit)) {
            findings.push(measure.denied(self.policy_file()));
        }
        findings
    }

    /// What of the least policy is above the operator's ceiling.
    fn out_of_reach(&self, least: &str) -> Vec<Finding> {
        let path = format!("{}.toml", self.name);
        let file = PolicyFile {
            path: &path,
            text: Some(least),
        };
        let rules = &self.config.plugins.rules;
        let resolved = rules
            .clone()
            .granted(Granting::AsWritten)
            .resolve(file, lookups());
        let mistakes = resolved.err().map(|mistakes| mistakes.to_string());
        let lines = mistakes.iter().flat_map(|text| text.lines());
        lines
            .map(|line| Finding::new(Severity::Error, "ceiling", format!("what it needs: {line}")))
            .collect()
    }

    fn policy_file(&self) -> &str {
        &self.policy.grants.policy_file
    }
}

impl Checked {
    /// Of a component that is no plugin.
    pub fn refused(name: &PluginName, runtime: Option<Runtime>, error: &LoadError) -> Checked {
        Checked {
            plugin: name.to_string(),
            runtime,
            findings: vec![Finding {
                mend: error.is_about_wasi().then(|| WASI.to_owned()),
                ..Finding::new(Severity::Error, "component", format!("it {error}"))
            }],
            used: Vec::new(),
            policy: None,
        }
    }

    /// How many there are of a kind.
    pub fn count(&self, severity: Severity) -> usize {
        let of = self.findings.iter();
        of.filter(|finding| finding.severity == severity).count()
    }
}

impl Finding {
    fn new(severity: Severity, check: &'static str, what: String) -> Finding {
        Finding {
            severity,
            check,
            what,
            mend: None,
        }
    }

    fn with(self, mend: impl Into<String>) -> Finding {
        Finding {
            mend: Some(mend.into()),
            ..self
        }
    }
}
