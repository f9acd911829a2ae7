//! The only writer of the registry: finds plugins, compiles them, checks what they register, and
//! swaps them in. Whatever goes wrong before the swap leaves the old version serving.

mod checks;
mod directories;
mod files;
mod refusal;
mod report;
mod settling;
mod topology;
mod tried;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::outbound::Outbound;
use crate::plugin::Plugin;
use crate::policy::{PluginName, Policy};
use crate::registry::Registry;
use crate::sandbox::{Compiled, Digest, Sandbox, Tenant};
use files::{Files, Found};
use settling::Settling;
use topology::{Topology, Unheard};
use tried::{Again, Refused, Tried, Version};

pub use checks::{Denied, check_registrations, denials};
pub use directories::{Entry, NoDirectory, entries, missing};
pub use files::{policy_of, policy_path, read_component, read_policy};
pub use refusal::{NoPolicy, Refusal};
pub use report::{Report, Standing};

/// Keeps the registry equal to the plugins directory.
#[derive(Debug)]
pub struct Reload {
    config: Arc<Config>,
    sandbox: Arc<Sandbox>,
    dispatcher: Arc<Dispatcher>,
    outbound: Outbound,
    files: Files,
    /// What was last tried for each plugin, and how it ended.
    tried: BTreeMap<PluginName, Tried>,
    /// Policies that wait until nobody can be writing them any more.
    settling: Settling,
    /// When the first of them may be taken.
    look_again: Option<Instant>,
    /// What was told of already.
    unheard: Unheard,
    changes: watch::Sender<u64>,
    report: watch::Sender<Report>,
}

impl Reload {
    /// A reload that has not looked yet.
    pub fn new(
        config: Arc<Config>,
        sandbox: Arc<Sandbox>,
        dispatcher: Arc<Dispatcher>,
        outbound: Outbound,
    ) -> Reload {
        Reload {
            config,
            sandbox,
            dispatcher,
            outbound,
            files: Files::default(),
            tried: BTreeMap::new(),
            settling: Settling::default(),
            look_again: None,
            unheard: Unheard::default(),
            changes: watch::Sender::new(0),
            report: watch::Sender::default(),
        }
    }

    /// Counts swaps: whoever follows the registry looks again when it changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// When the next look is due, whatever changes until then.
    pub fn look_again(&self) -> Option<Instant> {
        self.look_again
    }

    /// What the last look found.
    pub fn report(&self) -> watch::Receiver<Report> {
        self.report.subscribe()
    }

    /// Looks at the directory once, and makes the registry agree with it.
    pub async fn look(&mut self) {
        let config = self.config.clone();
        let mut files = std::mem::take(&mut self.files);
        self.look_again = None;
        // All that may wait for a file, secrets that policies name included.
        let looked = tokio::task::spawn_blocking(move || {
            let found = files.look(&config.plugins);
            (files, found)
        });
        match looked.await {
            Ok((files, found)) => {
                self.files = files;
                if let Some(found) = found {
                    let mut let_go = self.retire_missing(&found);
                    for found in &found {
                        let_go |= self.consider(found).await;
                    }
                    // A loser may let go of what another one wants; each does so once.
                    while let_go {
                        let_go = self.try_losers_again(&found).await;
                    }
                    self.tell_unheard();
                }
            }
            Err(error) => warn!(%error, "reading the plugins directory failed"),
        }
        self.publish_report();
    }

    fn publish_report(&self) {
        let standing = |tried: &Tried| Standing {
            digest: tried.version.digest.as_ref().ok().copied(),
            refusal: tried.refusal().map(str::to_owned),
        };
        let tried = self.tried.iter();
        let plugins = tried.map(|(name, tried)| (name.clone(), standing(tried)));
        self.report.send_modify(|report| {
            *report = Report {
                looks: report.looks + 1,
                plugins: plugins.collect(),
                passed_over: self.files.passed_over.clone(),
                unreadable: self.files.unreadable.clone(),
            };
        });
    }

    /// Takes out what is gone. Whether anything was.
    fn retire_missing(&mut self, found: &[Found]) -> bool {
        let here = |name: &PluginName| found.iter().any(|found| found.name == *name);
        let registry = self.dispatcher.registry();
        let gone: Vec<_> = registry
            .plugins()
            .map(|plugin| plugin.name().clone())
            .filter(|name| !here(name))
            .collect();
        self.tried.retain(|name, _| here(name));
        self.settling.retain(here);
        for name in &gone {
            self.swap(self.dispatcher.registry().without(name));
            let serving = self.dispatcher.registry().plugins().count();
            self.dispatcher.metrics().removed(name, serving);
            info!(plugin = %name, "plugin removed");
        }
        !gone.is_empty()
    }

    /// An op may be free now that another plugin had: those who lost it are tried again. Whether
    /// one of them let go of something in turn.
    async fn try_losers_again(&mut self, found: &[Found]) -> bool {
        let mut let_go = false;
        for found in found {
            let last = self.tried.get_mut(&found.name);
            if last.is_some_and(|last| last.may_be_free(Instant::now())) {
                let_go |= self.consider(found).await;
            }
        }
        let_go
    }

    /// Loads one file's version unless it was tried already. Whether it took the place of another
    /// version, which may have let go of something.
    async fn consider(&mut self, found: &Found) -> bool {
        if let Some(due) = self.policy_due(found) {
            let first = self.look_again.map_or(due, |first| first.min(due));
            self.look_again = Some(first);
            return false;
        }
        let mut version = version(found);
        let last = self.tried.get(&found.name);
        let last = last.filter(|last| last.version == version);
        if last.is_some_and(|last| !last.is_due(Instant::now())) {
            return false;
        }
        let before = last.map_or(Again::Never, Tried::again);
        let mut compiled = last.and_then(Tried::compiled).cloned();
        let name = &found.name;
        let serves = self.dispatcher.registry().plugin(name).cloned();
        if serves.as_ref().is_some_and(|it| version.is_of(it)) {
            // What came between was refused, and is gone: to swap for the same would drop listeners.
            let refused = None;
            self.tried.insert(name.clone(), Tried { version, refused });
            return false;
        }
        let is_swap = serves.is_some();
        let result = match found.policy.clone() {
            Ok(policy) => self.load(found, policy, &mut compiled).await,
            Err(none) => Err(none.into()),
        };
        let refused = match &result {
            Ok(()) => None,
            Err(refusal) => {
                self.tell_refused(found, refusal, is_swap);
                if let Refusal::Unreadable(why) = refusal {
                    // The bytes could not be read, or are others than at the look: the next one
                    // reads them anew, though it may find the same as this one.
                    version.digest = Err(why.clone());
                    self.files.forget(found);
                }
                let again = Again::after(refusal, before, Instant::now());
                Some(Refused {
                    reason: refusal.to_string(),
                    again,
                    compiled: compiled.filter(|_| again != Again::Never),
                })
            }
        };
        self.tried.insert(name.clone(), Tried { version, refused });
        is_swap && result.is_ok()
    }

    /// When its policy may take the place of the one that serves, if it stays the same until then:
    /// perhaps it is being written. `None`: at once.
    fn policy_due(&mut self, found: &Found) -> Option<Instant> {
        let registry = self.dispatcher.registry();
        let serves = registry.plugin(&found.name).map(|it| &it.policy().digest);
        // What is no policy is refused, and harms nobody.
        let other = found.policy.as_ref().ok();
        let other = other.filter(|it| serves.is_some_and(|serves| *serves != it.digest));
        let Some(policy) = other else {
            self.settling.forget(&found.name);
            return None;
        };
        let now = Instant::now();
        let (name, is_blank) = (&found.name, found.policy_is_blank);
        let due = self.settling.due(name, &policy.digest, is_blank, now);
        if due <= now {
            return None;
        }
        debug!(plugin = %name, is_blank, left = ?(due - now), "its policy changed: taken if it stays so");
        Some(due)
    }

    fn tell_refused(&self, found: &Found, reason: &Refusal, is_swap: bool) {
        let name = &found.name;
        warn!(
            plugin = %name, digest = found.digest.as_ref().ok().map(Digest::short), old_version_serves = is_swap, %reason,
            "plugin refused"
        );
        self.dispatcher.metrics().refused(name, reason.kind());
    }

    /// `compiled` is what an earlier try made of the bytes, or will hold what this one does.
    async fn load(
        &self,
        found: &Found,
        policy: Policy,
        compiled: &mut Option<Compiled>,
    ) -> Result<(), Refusal> {
        let compiled = match compiled {
            Some(compiled) => compiled.clone(),
            None => compiled.insert(self.compile(found).await?).clone(),
        };
        let name = found.name.clone();
        let tenant = Tenant {
            source: self.config.source_of(&name),
            digest: compiled.digest,
            policy,
            config: self.config.clone(),
            outbound: self.outbound.clone(),
            watch: self.dispatcher.listeners().watch().clone(),
            listeners: self.dispatcher.listeners().count_of(&name),
            listener_handlers: OnceLock::new(),
            stage: None,
            name,
        };
        let plugin = Plugin::load(compiled, tenant).await?;
        check_registrations(&plugin, &self.config, &self.outbound).await?;
        let registry = self.dispatcher.registry();
        registry.conflict(&plugin)?;
        // Only now: what is refused leaves no series behind.
        let metrics = self.dispatcher.metrics();
        let plugin = Arc::new(plugin.counted_by(metrics));
        let registry = registry.with(plugin.clone())?;
        if let Some(way) = Topology::of(&registry).circle(plugin.name()) {
            warn!(
                plugin = %plugin.name(), %way, hop_limit = self.config.calls.hop_limit,
                "its events can come back to it: if each handler on the way emits each time, they go round until the hop limit"
            );
        }
        self.swap(registry);
        let serving = self.dispatcher.registry().plugins().count();
        metrics.swapped(plugin.name(), serving);
        announce(&plugin);
        if plugin.registrations().any_query.is_some() {
            warn!(
                plugin = %plugin.name(), queue_group = self.config.nats.queue_group,
                "it takes its share of every query of the namespace in its queue group: all hosts of the group must have the same plugins"
            );
        }
        Ok(())
    }

    async fn compile(&self, found: &Found) -> Result<Compiled, Refusal> {
        let (sandbox, found) = (self.sandbox.clone(), found.clone());
        let compile = move || Ok::<_, Refusal>(sandbox.compile(&found.bytes()?)?);
        let compiled = tokio::task::spawn_blocking(compile).await;
        compiled.map_err(|error| Refusal::Internal(format!("compiling failed: {error}")))?
    }

    /// Once for each, and only after all that a look found: who hears it may be among that.
    fn tell_unheard(&mut self) {
        let unheard = Topology::of(&self.dispatcher.registry()).unheard();
        for (plugin, emits) in unheard.difference(&self.unheard) {
            info!(%plugin, emits, "it may emit what no plugin of this host hears");
        }
        self.unheard = unheard;
    }

    fn swap(&self, registry: Registry) {
        self.dispatcher.replace_registry(registry);
        self.changes.send_modify(|count| *count += 1);
    }
}

fn version(found: &Found) -> Version {
    let policy = found.policy.as_ref();
    Version {
        digest: found.digest.clone(),
        policy: policy
            .map(|policy| policy.digest.clone())
            .map_err(ToString::to_string),
    }
}

fn announce(plugin: &Plugin) {
    let registrations = plugin.registrations();
    let queries: Vec<_> = registrations.queries.iter().map(|(_, op)| op).collect();
    let events: Vec<_> = registrations.events.iter().map(|(_, ty)| ty).collect();
    info!(
        plugin = %plugin.name(),
        digest = plugin.digest().short(),
        ?queries,
        ?events,
        any_query = registrations.any_query.is_some(),
        any_event = registrations.any_event.is_some(),
        compile_ms = u64::try_from(plugin.component().compile_time.as_millis()).unwrap_or(u64::MAX),
        "plugin serves"
    );
}

#[cfg(test)]
mod tests;
