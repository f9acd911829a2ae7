//! The only writer of the registry: finds plugins, compiles them, checks what they register, and
//! swaps them in. Whatever goes wrong before the swap leaves the old version serving.

mod checks;
mod files;
mod report;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::outbound::Outbound;
use crate::plugin::{Plugin, RegisterError};
use crate::policy::{PluginName, Policy};
use crate::registry::{Conflict, Registry};
use crate::sandbox::{Digest, Failure, LoadError, Sandbox, Tenant};
use crate::settings::Mistakes;
use files::{Files, Found};

pub use checks::{Denied, denials, registrations as check_registrations};
pub use files::{read_component, read_policy};
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
    changes: watch::Sender<u64>,
    report: watch::Sender<Report>,
}

#[derive(Debug, PartialEq, Eq)]
struct Tried {
    digest: Result<Digest, String>,
    policy: String,
    refusal: Option<String>,
    /// It was refused for something that may pass by itself: when it is tried again.
    again: Option<Instant>,
    /// Another plugin has what it wants.
    lost: bool,
}

/// Before a version is tried again that the server's streams did not suit.
const TRY_AGAIN: Duration = Duration::from_secs(15);

/// Why a version does not serve.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The file or its policy.
    #[error("{0}")]
    Unreadable(String),
    /// Its bytes.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// Its policy file.
    #[error("its policy is wrong:\n{0}")]
    Policy(Mistakes),
    /// What its `register` said or did.
    #[error("{0}")]
    Register(#[from] RegisterError),
    /// What it registered.
    #[error("{0}")]
    Denied(#[from] Denied),
    /// Another plugin was first.
    #[error("{0}")]
    Conflict(#[from] Conflict),
    /// The host's own failure.
    #[error("{0}")]
    Internal(String),
}

impl Refusal {
    /// Whether it may be otherwise in a while, without a change of the plugin: the server's word,
    /// or that the machine was busy.
    fn may_pass(&self) -> bool {
        match self {
            Refusal::Denied(denied) => denied.may_pass(),
            Refusal::Register(RegisterError::Failed(failure)) => matches!(
                failure,
                Failure::DeadlineExceeded { .. } | Failure::NotStarted { .. }
            ),
            Refusal::Internal(_) => true,
            _ => false,
        }
    }

    /// A word for metrics.
    fn kind(&self) -> &'static str {
        match self {
            Refusal::Unreadable(_) => "unreadable",
            Refusal::Load(_) => "component",
            Refusal::Policy(_) => "policy",
            Refusal::Register(_) => "register",
            Refusal::Denied(_) => "denied",
            Refusal::Conflict(_) => "conflict",
            Refusal::Internal(_) => "internal",
        }
    }
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
            changes: watch::Sender::new(0),
            report: watch::Sender::default(),
        }
    }

    /// Counts swaps: whoever follows the registry looks again when it changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What the last look found.
    pub fn report(&self) -> watch::Receiver<Report> {
        self.report.subscribe()
    }

    /// Looks at the directory once, and makes the registry agree with it.
    pub async fn look(&mut self) {
        let config = self.config.clone();
        let mut files = std::mem::take(&mut self.files);
        let looked = tokio::task::spawn_blocking(move || {
            let found = files.look(&config.plugins);
            (files, found)
        });
        match looked.await {
            Ok((files, found)) => {
                self.files = files;
                if let Some(found) = found {
                    let mut let_go = self.retire_missing(&found);
                    for found in found.iter().cloned() {
                        let_go |= self.consider(found).await;
                    }
                    // A loser may let go of what another one wants; each does so once.
                    while let_go {
                        let_go = self.try_losers_again(&found).await;
                    }
                }
            }
            Err(error) => warn!(%error, "reading the plugins directory failed"),
        }
        self.publish_report();
    }

    fn publish_report(&self) {
        let standing = |tried: &Tried| Standing {
            digest: tried.digest.as_ref().ok().copied(),
            refusal: tried.refusal.clone(),
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
            if self.tried.get(&found.name).is_some_and(|last| last.lost) {
                self.tried.remove(&found.name);
                let_go |= self.consider(found.clone()).await;
            }
        }
        let_go
    }

    /// Loads one file's version unless it was tried already. Whether it took the place of another
    /// version, which may have let go of something.
    async fn consider(&mut self, found: Found) -> bool {
        let policy = found.policy(&self.config.plugins);
        let mut tried = Tried {
            digest: found.digest.clone(),
            policy: match &policy {
                Ok(policy) => policy.digest.clone(),
                Err(refusal) => refusal.to_string(),
            },
            refusal: None,
            again: None,
            lost: false,
        };
        if let Some(last) = self.tried.get(&found.name) {
            let same = last.digest == tried.digest && last.policy == tried.policy;
            let due = last.again.is_some_and(|again| again <= Instant::now());
            if same && !due {
                return false;
            }
        }
        let name = found.name.clone();
        let is_swap = self.dispatcher.registry().plugin(&name).is_some();
        let result = match policy {
            Ok(policy) => self.load(found, policy).await,
            Err(refusal) => Err(refusal),
        };
        if let Err(reason) = &result {
            warn!(
                plugin = %name, digest = tried.digest.as_ref().ok().map(Digest::short), old_version_serves = is_swap, %reason,
                "plugin refused"
            );
            let may_pass = reason.may_pass();
            tried.again = may_pass.then(|| Instant::now() + TRY_AGAIN);
            self.dispatcher.metrics().refused(&name, reason.kind());
            tried.refusal = Some(reason.to_string());
            tried.lost = matches!(reason, Refusal::Conflict(_));
        }
        self.tried.insert(name, tried);
        is_swap && result.is_ok()
    }

    async fn load(&self, found: Found, policy: Policy) -> Result<(), Refusal> {
        let sandbox = self.sandbox.clone();
        let name = found.name.clone();
        let compile = move || Ok::<_, Refusal>(sandbox.compile(&found.bytes()?)?);
        let compiled = tokio::task::spawn_blocking(compile)
            .await
            .map_err(|error| Refusal::Internal(format!("compiling failed: {error}")))??;
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
        checks::registrations(&plugin, &self.config, &self.outbound).await?;
        let registry = self.dispatcher.registry();
        registry.conflict(&plugin)?;
        // Only now: what is refused leaves no series behind.
        let metrics = self.dispatcher.metrics();
        let plugin = Arc::new(plugin.counted_by(metrics));
        self.swap(registry.with(plugin.clone())?);
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

    fn swap(&self, registry: Registry) {
        self.dispatcher.replace_registry(registry);
        self.changes.send_modify(|count| *count += 1);
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
