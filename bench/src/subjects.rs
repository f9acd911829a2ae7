//! How each subject is started: the native ones (this binary once more), and the host on a
//! directory of its own. Must not know what is measured.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::process::{NatsServer, Subject};

/// What `cargo xtask bench` names in the environment; the tests use the same.
const NATS_SERVER: &str = "NATS_SERVER_BIN";
const PLUGINS: &str = "CONCHE_PLUGINS_BUILT";
const GUESTS: &str = "CONCHE_GUESTS";

/// Plugins, policies, configuration and cache of one host.
#[derive(Debug)]
pub(crate) struct HostSetup {
    dir: TempDir,
    server: String,
}

impl HostSetup {
    pub(crate) fn new(server: &NatsServer) -> Result<HostSetup> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("plugins"))?;
        Ok(HostSetup {
            dir,
            server: server.url(),
        })
    }

    /// Copies a built component into the plugins directory, with this policy, else with its own.
    pub(crate) fn plugin(&self, name: &str, policy: Option<&str>) -> Result<()> {
        let built = component(name)?;
        let plugins = self.dir.path().join("plugins");
        let own = built.with_extension("toml");
        let to = plugins.join(format!("{name}.toml"));
        match policy {
            Some(text) => fs::write(to, text)?,
            None if own.is_file() => drop(fs::copy(own, to)?),
            None => {}
        }
        fs::copy(built, plugins.join(format!("{name}.wasm")))?;
        Ok(())
    }

    /// As a user has it out of the box.
    pub(crate) fn start(&self) -> Result<Subject> {
        self.start_with("")
    }

    /// With more lines in `conche.toml`.
    pub(crate) fn start_with(&self, more: &str) -> Result<Subject> {
        let dir = self.dir.path();
        let config = dir.join("conche.toml");
        let text = format!(
            "[nats]\nurls = [{:?}]\nclient_id = \"bench\"\n\
             [health]\nlisten = \"127.0.0.1:0\"\n\
             [cache]\ndir = {:?}\n\
             [log]\nlevel = \"warn\"\n{more}",
            self.server,
            dir.join("cache"),
        );
        fs::write(&config, text)?;
        let mut command = Command::new(host_binary()?);
        command
            .arg("run")
            .arg("--config")
            .arg(config)
            .arg("--plugins")
            .arg(dir.join("plugins"))
            // Nothing of the caller's decides what is measured.
            .env_clear();
        Subject::start("host", &mut command)
    }
}

/// This binary once more, as the subject that these arguments name.
pub(crate) fn native(server: SocketAddr, arguments: &[&str]) -> Result<Subject> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("native").args(arguments);
    command.args(["--server", &server.to_string()]);
    Subject::start("native", &mut command)
}

/// The pinned nats-server.
pub(crate) fn nats_server() -> Result<PathBuf> {
    from_environment(NATS_SERVER)
}

/// A built component: one of the plugins, or one of the tests' guests.
pub(crate) fn component(name: &str) -> Result<PathBuf> {
    let file = format!("{name}.wasm");
    let (plugins, guests) = (from_environment(PLUGINS)?, from_environment(GUESTS)?);
    let found = [plugins.join(&file), guests.join(&file)];
    let built = found.iter().find(|path| path.is_file());
    built.cloned().with_context(|| {
        format!(
            "{file} is neither in {} nor in {}: run `cargo xtask guests`",
            plugins.display(),
            guests.display()
        )
    })
}

/// The host's binary: cargo put it beside this one.
pub(crate) fn host_binary() -> Result<PathBuf> {
    let binary = std::env::current_exe()?.with_file_name("conche");
    ensure!(
        Path::is_file(&binary),
        "{} is not built: run `cargo xtask bench`, which builds it",
        binary.display()
    );
    Ok(binary)
}

fn from_environment(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.with_context(|| format!("{variable} is not set: run `cargo xtask bench`, which sets it"))
}
