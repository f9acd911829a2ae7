//! One plugin by itself, on a bus of its own: for `call` and `inspect`.

use std::path::Path;

use anyhow::Context as _;
use conche::config::{Config, lookups};
use conche::host;
use conche::metrics::Metrics;
use conche::outbound::Outbound;
use conche::plugin::Plugin;
use conche::policy::{Granting, PluginName, Policy, PolicyFile};
use conche::sandbox::{Digest, Sandbox, Tenant};

/// A plugin and what it runs on.
pub(super) struct Single {
    pub(super) plugin: Plugin,
    /// Counts the guest's time as long as it lives.
    _sandbox: Sandbox,
}

/// Loads a component. Everything is granted unless a policy is given.
pub(super) async fn load(
    config: &Config,
    path: &Path,
    policy: Option<&Path>,
) -> anyhow::Result<Single> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let name = PluginName::of_file(path)?;
    let policy = match policy {
        Some(file) => read_policy(config, file)?,
        None => Policy::allow_all(),
    };
    let sandbox = host::sandbox(config)?;
    let named = || format!("`{}`", path.display());
    let compiled = sandbox.compile(&bytes).with_context(named)?;
    let tenant = Tenant {
        source: config.source_of(&name),
        name,
        digest: Digest::of(&bytes),
        policy,
        transaction_attribute: config.compat.transaction_attribute.clone(),
        outbound: Outbound::Embedded(host::embedded_bus(config)?),
        hop_limit: config.calls.hop_limit,
        request_timeout: config.calls.request_timeout,
    };
    let plugin = Plugin::load(compiled, tenant, &Metrics::new())
        .await
        .with_context(named)?;
    Ok(Single {
        plugin,
        _sandbox: sandbox,
    })
}

fn read_policy(config: &Config, file: &Path) -> anyhow::Result<Policy> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{shown}`"))?;
    let file = PolicyFile {
        path: &shown,
        text: Some(&text),
    };
    let rules = config.plugins.rules.clone().granted(Granting::AsWritten);
    Ok(rules.resolve(file, lookups())?)
}
