//! `conche dev`: the host on its embedded bus, with the HTTP gateway.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use conche::config::{Config, Mode};
use conche::host::Host;

#[cfg(feature = "kit")]
use super::building;
use super::options::Common;
use super::serve;

/// Run plugins from a directory without NATS, with an HTTP gateway; grants everything
#[derive(Debug, Args)]
#[command(after_help = "\
Queries and events go over a bus in this process that behaves as NATS does;
nothing of it is kept. Files that come, change or go take effect at once.
DIR/<name>.toml is the policy of DIR/<name>.wasm: its limits and configuration
count, its grants do not. SIGTERM and Ctrl-C finish what runs, a second one
ends at once.

Example:
  conche dev plugins --listen 127.0.0.1:8080
  conche dev hello --build")]
pub(crate) struct Dev {
    /// Where the plugins are: *.wasm components
    dir: PathBuf,
    /// Address of the HTTP gateway; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// DIR is a plugin's project, or holds some at the start: build them, and again whenever a source changes
    #[cfg(feature = "kit")]
    #[arg(long)]
    build: bool,
    #[command(flatten)]
    common: Common,
}

impl Dev {
    /// Serves until SIGTERM or SIGINT; a second one ends at once.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut flags = self.common.flags();
        flags.listen = self.listen;
        #[cfg(feature = "kit")]
        let (dir, sources) = match self.build {
            true => (building::serve(&self.dir)?, Some(self.dir)),
            false => (self.dir, None),
        };
        #[cfg(not(feature = "kit"))]
        let (dir, sources) = (self.dir, None::<PathBuf>);
        flags.policies = Some(dir.clone());
        flags.plugins = Some(dir);
        let config = Config::load(Mode::Dev, &flags)?;
        serve::serve(config, move |host| banner(host, sources.as_deref()))
    }
}

/// For who has a project, and forgot to have it built.
fn hint(host: &Host) -> String {
    #[cfg(feature = "kit")]
    {
        let dir = &host.config().plugins.dir;
        let is_idle = host.dispatcher().registry().plugins().next().is_none();
        if is_idle && building::projects(dir).is_ok() {
            let dir = dir.display();
            return format!(
                "there is a project: `conche dev {dir} --build` builds and serves it\n"
            );
        }
    }
    #[cfg(not(feature = "kit"))]
    let _ = host;
    String::new()
}

/// What a person wants to know at the start; its last line says that all is up.
fn banner(host: &Host, sources: Option<&Path>) -> String {
    let watched = match sources {
        Some(dir) => format!(
            "watching {}: save a source, and it is built\n",
            dir.display()
        ),
        None => serve::watched(host) + &hint(host),
    };
    let mut text = format!(
        "conche {} for development: no NATS, and every plugin is granted everything\n\n{}\n{watched}",
        env!("CARGO_PKG_VERSION"),
        serve::plugins(host)
    );
    match host.gateway() {
        Some(address) => text.push_str(&format!(
            "POST /query and POST /event take CloudEvents, GET /events shows what was stored\n\
             ready gateway=http://{address}\n"
        )),
        None => text.push_str("ready\n"),
    }
    text
}
