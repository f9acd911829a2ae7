//! Builds what the tests need (guests, a nats-server, the Go program), names it in the environment, runs them.

use anyhow::{Result, bail};

use crate::{go, guests, nats_server, shell, workspace::Workspace};

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    // Always the whole workspace: for a part of it cargo would choose other features of the same
    // dependencies, and build wasmtime a second time.
    let mut command = shell::cargo(["test", "--workspace"]);
    match arguments {
        [] => {}
        [filter] if !filter.starts_with('-') => {
            command.arg(filter);
        }
        _ => bail!("usage: cargo xtask test [FILTER]"),
    }
    let built = guests::build(workspace)?;
    command
        .env("CONCHE_GUESTS", &built.guests)
        .env("CONCHE_PLUGINS_BUILT", &built.plugins)
        .env(go::INTEROP, go::build_interop(workspace)?)
        .env(nats_server::VARIABLE, nats_server::path(workspace)?);
    command.current_dir(&workspace.root);
    if let [filter] = arguments {
        let mut list = shell::cargo(["test", "--workspace", filter, "--", "--list"]);
        let listed = shell::read(list.current_dir(&workspace.root))?;
        if !listed.lines().any(|line| line.ends_with(": test")) {
            bail!("no test has `{filter}` in its name");
        }
    }
    shell::run(&mut command)
}
