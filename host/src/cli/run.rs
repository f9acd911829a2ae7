//! `conche run`: the host on NATS.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use conche::config::{Config, Mode};
use conche::host::Host;

use super::options::Common;
use super::serve;

/// Serve plugins from a directory on NATS
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  NATS_URL=nats://127.0.0.1:4222 conche run --plugins plugins --policies /etc/conche/policies"
)]
pub(crate) struct Run {
    /// Where the plugins are: *.wasm components [default: plugins]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// Where their policies are: NAME.toml [default: beside the plugins]
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Servers [default: NATS_URL, or nats://nats:4222]
    #[arg(long, value_name = "URL[,URL...]")]
    nats_url: Option<String>,
    /// Address of the HTTP gateway [default: none]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address of /healthz, /readyz and /metrics, or off [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    health_listen: Option<String>,
    /// Where compiled code is kept [default: the user's cache directory]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl Run {
    /// Serves until SIGTERM or SIGINT; a second one ends at once.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut flags = self.common.flags();
        flags.plugins = self.plugins;
        flags.policies = self.policies;
        flags.nats_url = self.nats_url;
        flags.listen = self.listen;
        flags.health_listen = self.health_listen;
        flags.cache_dir = self.cache_dir;
        serve::serve(Config::load(Mode::Run, &flags)?, banner)
    }
}

/// What a person wants to know at the start; its last line says that all is up.
fn banner(host: &Host) {
    serve::show_plugins(host);
    let config = host.config();
    println!(
        "queue group {}, durables {}-*",
        config.nats.queue_group, config.events.durable
    );
    let mut ready = String::from("ready");
    if let Some(address) = host.gateway() {
        ready.push_str(&format!(" gateway=http://{address}"));
    }
    if let Some(address) = host.health() {
        ready.push_str(&format!(" health=http://{address}"));
    }
    println!("{ready}");
}
