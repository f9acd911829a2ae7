//! `conche dev`: the host on its embedded bus, with the HTTP gateway.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use conche::config::{Config, Mode};
use conche::host::Host;

use super::options::Common;
use super::serve;

/// Run plugins from a directory without NATS, with an HTTP gateway; grants everything
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  conche dev plugins --listen 127.0.0.1:8080")]
pub(crate) struct Dev {
    /// Where the plugins are: *.wasm components
    dir: PathBuf,
    /// Address of the HTTP gateway; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Dev {
    /// Serves until SIGTERM or SIGINT; a second one ends at once.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut flags = self.common.flags();
        flags.plugins = Some(self.dir);
        flags.listen = self.listen;
        serve::serve(Config::load(Mode::Dev, &flags)?, banner)
    }
}

/// What a person wants to know at the start; its last line says that all is up.
fn banner(host: &Host) {
    println!("everything is granted to every plugin: this is for development");
    serve::show_plugins(host);
    match host.gateway() {
        Some(address) => println!("ready gateway=http://{address}"),
        None => println!("ready"),
    }
}
