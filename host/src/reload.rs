//! The only writer of the registry: finds plugins, compiles them, checks what they register, and
//! swaps them in. Whatever goes wrong before the swap leaves the old version serving.

mod checks;
mod files;

use std::collections::BTreeMap;
use std::sync::Arc;
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
use crate::sandbox::{Digest, LoadError, Sandbox, Tenant};
use crate::settings::Mistakes;
use files::Found;

pub use checks::Denied;

/// Keeps the registry equal to the plugins directory.
#[derive(Debug)]
pub struct Reload {
    config: Arc<Config>,
    sandbox: Arc<Sandbox>,
    dispatcher: Arc<Dispatcher>,
    outbound: Outbound,
    /// What was last tried for each plugin, and how it ended.
    tried: BTreeMap<PluginName, Tried>,
    changes: watch::Sender<u64>,
    looked: watch::Sender<Looked>,
}

/// What the last look at the directory came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// How many looks there were.
    pub count: u64,
    /// Why the newest version of a plugin does not serve.
    pub refused: BTreeMap<PluginName, String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Tried {
    digest: Digest,
    policy: String,
    /// Why it does not serve, if it does not.
    refused: Option<String>,
    /// It was refused for something that may pass by itself: when it is tried again.
    again: Option<Instant>,
}

/// Before a version is tried again that the server's streams did not suit.
const TRY_AGAIN: Duration = Duration::from_secs(15);

/// Why a version does not serve.
#[derive(Debug, Error)]
pub enum Refusal {
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
            tried: BTreeMap::new(),
            changes: watch::Sender::new(0),
            looked: watch::Sender::default(),
        }
    }

    /// Counts swaps: whoever follows the registry looks again when it changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What each look came to.
    pub fn looked(&self) -> watch::Receiver<Looked> {
        self.looked.subscribe()
    }

    /// Looks at the directory once, and makes the registry agree with it.
    pub async fn look(&mut self) {
        let config = self.config.clone();
        let found = tokio::task::spawn_blocking(move || files::find(&config.plugins)).await;
        let found = match found {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                warn!(directory = %self.config.plugins.dir.display(), %error, "cannot read the plugins directory: what serves goes on");
                return;
            }
            Err(error) => {
                warn!(%error, "reading the plugins directory failed");
                return;
            }
        };
        let left = self.retire_missing(&found);
        for found in found {
            self.consider(found, left).await;
        }
        self.looked.send_modify(|looked| {
            looked.count += 1;
            looked.refused = self
                .tried
                .iter()
                .filter_map(|(name, tried)| Some((name.clone(), tried.refused.clone()?)))
                .collect();
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
            info!(plugin = %name, "plugin removed");
        }
        !gone.is_empty()
    }

    /// Loads one file's version unless it was tried already.
    async fn consider(&mut self, found: Found, try_refused_again: bool) {
        let (policy, fingerprint) = match files::policy(&self.config.plugins, &found) {
            Ok(policy) => (Ok(policy.clone()), policy.digest),
            Err(mistakes) => (Err(mistakes), found.policy_text.clone().unwrap_or_default()),
        };
        let tried = Tried {
            digest: found.digest,
            policy: fingerprint,
            refused: None,
            again: None,
        };
        if let Some(last) = self.tried.get(&found.name) {
            let same = last.digest == tried.digest && last.policy == tried.policy;
            let due = last.again.is_some_and(|again| again <= Instant::now());
            if same && !(last.refused.is_some() && (try_refused_again || due)) {
                return;
            }
        }
        let name = found.name.clone();
        let digest = found.digest;
        let result = match policy {
            Ok(policy) => self.load(found, policy).await,
            Err(mistakes) => Err(Refusal::Policy(mistakes)),
        };
        let refused = result.as_ref().err().map(ToString::to_string);
        let passes = matches!(&result, Err(Refusal::Denied(denied)) if denied.may_pass());
        let again = passes.then(|| Instant::now() + TRY_AGAIN);
        if let Err(reason) = result {
            let serving = self.dispatcher.registry().plugin(&name).is_some();
            warn!(
                plugin = %name, digest = digest.short(), old_version_serves = serving, %reason,
                "plugin refused"
            );
        }
        self.tried.insert(
            name,
            Tried {
                refused,
                again,
                ..tried
            },
        );
    }

    async fn load(&self, found: Found, policy: Policy) -> Result<(), Refusal> {
        let sandbox = self.sandbox.clone();
        let bytes = found.bytes;
        let compiled = tokio::task::spawn_blocking(move || sandbox.compile(&bytes))
            .await
            .map_err(|error| Refusal::Internal(format!("compiling failed: {error}")))??;
        let tenant = Tenant {
            source: self.config.source_of(&found.name),
            name: found.name,
            digest: found.digest,
            policy,
            transaction_attribute: self.config.compat.transaction_attribute.clone(),
            outbound: self.outbound.clone(),
            hop_limit: self.config.calls.hop_limit,
            request_timeout: self.config.calls.request_timeout,
        };
        let plugin = Plugin::load(compiled, tenant).await?;
        checks::registrations(&plugin, &self.config, &self.outbound).await?;
        let plugin = Arc::new(plugin);
        let registry = self.dispatcher.registry().with(plugin.clone())?;
        self.swap(registry);
        announce(&plugin);
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
