//! Flags that several commands have.

use std::path::PathBuf;

use clap::Args;
use conche::config::{Config, Flags};
use conche::settings::Origin;

/// Flags of every command that reads the configuration.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Configuration file, also CONCHE_CONFIG [default: conche.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look: human, json, or auto, which is human on a terminal
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// What to log, also CONCHE_LOG: a level, or TARGET=LEVEL pairs with commas [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// Flags of what serves on NATS; `config` shows what they come to.
#[derive(Debug, Args)]
pub(crate) struct Serving {
    /// Where the plugins are, also CONCHE_PLUGINS: *.wasm components [default: plugins]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// Where their policies are, also CONCHE_POLICIES: <name>.toml [default: beside the plugins]
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// NATS servers, also NATS_URL, with commas [default: nats://nats:4222]
    #[arg(long, value_name = "URLS")]
    nats_url: Option<String>,
    /// Address of the HTTP gateway, or off [default: off]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address of health and metrics, or off [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    health_listen: Option<String>,
    /// Where compiled code is kept [default: conche in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Flags of what asks, publishes and listens on NATS.
#[derive(Debug, Args)]
pub(crate) struct Online {
    /// NATS servers, also NATS_URL, with commas [default: nats://nats:4222]
    #[arg(long, value_name = "URLS")]
    nats_url: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Whether nothing names a value of the configuration: it is the default.
pub(super) fn is_default(config: &Config, key: &str) -> bool {
    let value = config.explain().iter().find(|it| it.key == key);
    value.is_some_and(|value| value.origin == Origin::Default.to_string())
}

impl Common {
    /// As the configuration takes them.
    pub(crate) fn flags(self) -> Flags {
        Flags {
            config: self.config,
            log_format: self.log_format,
            log: self.log,
            ..Flags::default()
        }
    }
}

impl Online {
    /// As the configuration takes them.
    pub(crate) fn flags(&self) -> Flags {
        Flags {
            nats_url: self.nats_url.clone(),
            ..self.common.clone().flags()
        }
    }
}

impl Serving {
    /// As the configuration takes them.
    pub(crate) fn flags(self) -> Flags {
        Flags {
            plugins: self.plugins,
            policies: self.policies,
            nats_url: self.nats_url,
            listen: self.listen,
            health_listen: self.health_listen,
            cache_dir: self.cache_dir,
            ..self.common.flags()
        }
    }
}
