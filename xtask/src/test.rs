//! Builds what the tests need (guests, a nats-server), names it in the environment, runs them.

use anyhow::{Result, bail};

use crate::{guests, nats_server, shell, workspace::Workspace};

/// With a filter, only these are worth building: the guests' own tests are few and quick.
const FILTERED: [&str; 2] = ["conche", "conche-tests"];

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut command = shell::cargo(["test"]);
    match arguments {
        [] => {
            command.arg("--workspace");
        }
        [filter] if !filter.starts_with('-') => {
            for package in FILTERED
                .into_iter()
                .filter(|package| workspace.has(package))
            {
                command.args(["-p", package]);
            }
            command.arg(filter);
        }
        _ => bail!("usage: cargo xtask test [FILTER]"),
    }
    let built = guests::build(workspace)?;
    command
        .env("CONCHE_GUESTS", &built.guests)
        .env("CONCHE_PLUGINS_BUILT", &built.plugins)
        .env(nats_server::VARIABLE, nats_server::path(workspace)?);
    shell::run(command.current_dir(&workspace.root))
}
