//! `conche run`: the host on NATS.

use std::process::ExitCode;

use clap::Args;
use conche::config::{Config, Mode};
use conche::host::Host;

use super::options::Serving;
use super::serve;

/// Serve plugins from a directory on NATS
#[derive(Debug, Args)]
#[command(after_help = "\
Subscribes to exactly the queries that plugins register, pulls their events
from the stream, and waits for a server that is not there. Files that come,
change or go take effect at once. SIGTERM and Ctrl-C finish what runs, a
second one ends at once. conche config shows what all settings come to.

Example:
  NATS_URL=nats://127.0.0.1:4222 conche run --plugins plugins --policies policies")]
pub(crate) struct Run {
    #[command(flatten)]
    serving: Serving,
}

impl Run {
    /// Serves until SIGTERM or SIGINT; a second one ends at once.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(Mode::Run, &self.serving.flags())?;
        serve::serve(config, banner)
    }
}

/// What a person wants to know at the start; its last line says that all is up.
fn banner(host: &Host) -> String {
    let config = host.config();
    let mut text = format!(
        "conche {} on NATS: queue group {}, stream {}, durables {}-<plugin>\n\n{}\n{}ready",
        env!("CARGO_PKG_VERSION"),
        config.nats.queue_group,
        config.events.stream,
        config.events.durable,
        serve::plugins(host),
        serve::watched(host)
    );
    if let Some(address) = host.gateway() {
        text.push_str(&format!(" gateway=http://{address}"));
    }
    if let Some(address) = host.health() {
        text.push_str(&format!(" health=http://{address}"));
    }
    text.push('\n');
    text
}
