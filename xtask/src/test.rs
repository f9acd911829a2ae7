//! Runs the SDKs' own tests, then builds what all others need (guests, plugins in every language, a
//! nats-server, the Go program), names it in the environment, and runs those.

use anyhow::{Result, bail};

use crate::{go, guests, languages, nats_server, sdks, shell, toolchains, workspace::Workspace};

/// What the tests have in their names that need the toolchains of other languages.
const IN_EVERY_LANGUAGE: [&str; 2] = ["languages::", "toolchain_"];

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let filter = match arguments {
        [] => None,
        [filter] if !filter.starts_with('-') => Some(filter),
        _ => bail!("usage: cargo xtask test [FILTER]"),
    };
    let mut own = sdks::chosen(filter.map(String::as_str)).peekable();
    if own.peek().is_some() {
        let path = toolchains::path(workspace)?;
        own.try_for_each(|suite| suite.run(workspace, &path))?;
    }
    // Always the whole workspace: for a part of it cargo would choose other features of the same
    // dependencies, and build wasmtime a second time.
    let mut command = shell::cargo(["test", "--workspace"]);
    command.args(filter).current_dir(&workspace.root);
    let needs_languages = match filter {
        None => true,
        Some(filter) => {
            let names = listed(workspace, filter)?;
            if names.is_empty() {
                bail!("no test has `{filter}` in its name");
            }
            names
                .iter()
                .any(|name| IN_EVERY_LANGUAGE.iter().any(|part| name.contains(part)))
        }
    };
    let built = guests::build(workspace)?;
    if needs_languages {
        languages::build(workspace, &languages::debug_conche(workspace)?)?;
        command.env("PATH", toolchains::path(workspace)?);
    }
    command
        .env("CONCHE_GUESTS", &built.guests)
        .env("CONCHE_PLUGINS_BUILT", &built.plugins)
        .env(go::INTEROP, go::build_interop(workspace)?)
        .env(nats_server::VARIABLE, nats_server::path(workspace)?);
    shell::run(&mut command)
}

/// The names of the tests that a filter leaves.
fn listed(workspace: &Workspace, filter: &str) -> Result<Vec<String>> {
    let mut list = shell::cargo(["test", "--workspace", filter, "--", "--list"]);
    let listed = shell::read(list.current_dir(&workspace.root))?;
    let names = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    Ok(names.map(str::to_owned).collect())
}
