//! One plugin by itself, on a bus of its own: for `call` and `inspect`.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, anyhow, bail};
use conche::config::{Config, lookups};
use conche::host;
use conche::metrics::Metrics;
use conche::outbound::Outbound;
use conche::outbound::watch::Watch;
use conche::plugin::{Plugin, RegisterError};
use conche::policy::{Granting, NameError, PluginName, Policy, PolicyFile};
use conche::reload::{self, Denied};
use conche::sandbox::{Compiled, LoadError, Sandbox, Tenant};
use conche::settings::Mistakes;
use conche::shutdown::Shutdown;

use super::{EXIT_CONFIGURATION, EXIT_FAILED, EXIT_REFUSED};

/// A component that is compiled, and did not run yet.
pub(super) struct Opened {
    pub(super) name: PluginName,
    pub(super) compiled: Compiled,
    sandbox: Arc<Sandbox>,
    /// As it was given, for errors.
    path: String,
}

/// A plugin and what it runs on.
pub(super) struct Single {
    pub(super) plugin: Plugin,
    outbound: Outbound,
    /// Counts the guest's time as long as it lives.
    _sandbox: Arc<Sandbox>,
}

/// Reads and compiles a component.
pub(super) fn open(config: &Config, path: &Path) -> anyhow::Result<Opened> {
    open_in(&Arc::new(host::sandbox(config)?), path)
}

/// Reads and compiles a component, one of several.
pub(super) fn open_in(sandbox: &Arc<Sandbox>, path: &Path) -> anyhow::Result<Opened> {
    let shown = path.display().to_string();
    let bytes = reload::read_component(path);
    let bytes = bytes.map_err(|reason| anyhow!("cannot read `{shown}`: {reason}"))?;
    let name = PluginName::of_file(path)?;
    let compiled = sandbox.compile(&bytes).with_context(|| quoted(&shown))?;
    Ok(Opened {
        name,
        compiled,
        sandbox: sandbox.clone(),
        path: shown,
    })
}

impl Opened {
    /// Runs `register` under a policy.
    pub(super) async fn load(self, config: &Config, policy: Policy) -> anyhow::Result<Single> {
        let outbound = Outbound::Embedded(host::embedded_bus(config)?);
        let tenant = Tenant {
            source: config.source_of(&self.name),
            name: self.name,
            digest: self.compiled.digest,
            policy,
            config: Arc::new(config.clone()),
            outbound: outbound.clone(),
            watch: Watch::new(
                outbound.clone(),
                config.events.stream.clone(),
                config.compat.transaction_attribute.clone(),
                &Shutdown::default(),
            ),
            listeners: Arc::default(),
            listener_handlers: OnceLock::new(),
        };
        let loaded = Plugin::load(self.compiled, tenant, &Metrics::new()).await;
        Ok(Single {
            plugin: loaded.with_context(|| quoted(&self.path))?,
            outbound,
            _sandbox: self.sandbox,
        })
    }
}

impl Single {
    /// Why a host of this configuration would not let it serve, beside what other plugins do.
    pub(super) async fn denied(&self, config: &Config) -> Result<(), Denied> {
        reload::check_registrations(&self.plugin, config, &self.outbound).await
    }
}

/// A policy as a host would take it; everything is granted if there is none.
pub(super) fn policy(config: &Config, file: Option<&Path>) -> anyhow::Result<Policy> {
    let Some(file) = file else {
        return Ok(Policy::allow_all());
    };
    let shown = file.display().to_string();
    let text = match reload::read_policy(file) {
        Ok(Some(text)) => text,
        Ok(None) => bail!("cannot read `{shown}`: does not exist"),
        Err(reason) => bail!("cannot read `{shown}`: {reason}"),
    };
    let file = PolicyFile {
        path: &shown,
        text: Some(&text),
    };
    let rules = config.plugins.rules.clone().granted(Granting::AsWritten);
    Ok(rules.resolve(file, lookups())?)
}

/// What an error here means to who called: no plugin, a wrong policy, or anything else.
pub(super) fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<LoadError>()
        || error.is::<RegisterError>()
        || error.is::<NameError>()
        || error.is::<Denied>()
    {
        EXIT_REFUSED
    } else if error.is::<Mistakes>() {
        EXIT_CONFIGURATION
    } else {
        EXIT_FAILED
    }
}

fn quoted(path: &str) -> String {
    format!("`{path}`")
}
