//! One plugin by itself, read and compiled as a host would, and loaded on a bus of its own: for `call`,
//! `inspect` and `doctor`; `check` and `test` load what is opened here themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use conche::config::{Config, lookups};
use conche::host;
use conche::outbound::Outbound;
use conche::plugin::{Plugin, RegisterError};
use conche::policy::{Granting, NameError, PluginName, Policy, PolicyFile};
use conche::reload::{self, Denied};
use conche::sandbox::{self, Compiled, Sandbox, Tenant};
use conche::settings::Mistakes;

use super::{EXIT_CONFIGURATION, EXIT_FAILED, EXIT_REFUSED};

/// A component that is compiled, and did not run yet.
pub(super) struct Opened {
    pub(super) name: PluginName,
    pub(super) compiled: Compiled,
    pub(super) sandbox: Arc<Sandbox>,
    /// As it was given, for errors.
    path: PathBuf,
}

/// A plugin and what it runs on.
pub(super) struct Single {
    pub(super) plugin: Plugin,
    pub(super) outbound: Outbound,
    /// Counts the guest's time as long as it lives.
    _sandbox: Arc<Sandbox>,
}

/// A policy that was named, and is not there or cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{path}`: {reason}")]
struct NoPolicy {
    path: String,
    reason: String,
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
    let compiled = sandbox.compile(&bytes).with_context(|| quoted(path))?;
    Ok(Opened {
        name,
        compiled,
        sandbox: sandbox.clone(),
        path: path.to_owned(),
    })
}

impl Opened {
    /// Runs `register` under a policy.
    pub(super) async fn load(self, config: &Config, policy: Policy) -> anyhow::Result<Single> {
        let outbound = Outbound::Embedded(host::embedded_bus(config)?);
        let tenant = Tenant::alone(
            self.name,
            self.compiled.digest,
            policy,
            Arc::new(config.clone()),
            outbound.clone(),
        );
        let loaded = Plugin::load(self.compiled, tenant).await;
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
    let text =
        reload::read_policy(file).and_then(|text| text.ok_or_else(|| "does not exist".to_owned()));
    let text = text.map_err(|reason| NoPolicy {
        path: shown.clone(),
        reason,
    })?;
    let file = PolicyFile {
        path: &shown,
        text: Some(&text),
    };
    as_written(config, file)
}

/// What a host decides for a plugin that has no policy of its own.
pub(super) fn default_policy(config: &Config, name: &PluginName) -> anyhow::Result<Policy> {
    let path = format!("{name}.toml");
    let file = PolicyFile {
        path: &path,
        text: None,
    };
    as_written(config, file)
}

fn as_written(config: &Config, file: PolicyFile<'_>) -> anyhow::Result<Policy> {
    let rules = config.plugins.rules.clone().granted(Granting::AsWritten);
    Ok(rules.resolve(file, lookups())?)
}

/// What an error here means to who called: no plugin, a wrong policy or none, or anything else.
pub(super) fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<sandbox::LoadError>()
        || error.is::<RegisterError>()
        || error.is::<NameError>()
        || error.is::<Denied>()
    {
        EXIT_REFUSED
    } else if error.is::<Mistakes>() || error.is::<NoPolicy>() {
        EXIT_CONFIGURATION
    } else {
        EXIT_FAILED
    }
}

/// What an error is about.
pub(super) fn quoted(path: &Path) -> String {
    format!("`{}`", path.display())
}
