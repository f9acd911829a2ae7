//! Everything that can be said of the code without running it. Fastest first.

use anyhow::{Result, bail};

use crate::{go, languages, shell, tidy, workspace::Workspace};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let cargo = |line: &str| {
        let mut command = shell::cargo(line.split(' '));
        command.current_dir(&workspace.root);
        command
    };
    tidy::run(workspace)?;
    shell::run(&mut cargo("fmt --all --check"))?;
    go::check(workspace)?;
    languages::check(workspace)?;

    let client = "-p conche --no-default-features --features client";
    let tree = shell::read(&mut cargo(&format!(
        "tree {client} -e normal --prefix none"
    )))?;
    if let Some(found) = tree.lines().find(|line| line.starts_with("wasmtime")) {
        bail!("the client feature pulls in {found}: cargo tree {client} -e normal -i wasmtime");
    }
    shell::run(&mut cargo(&format!(
        "clippy {client} --lib --examples -- -D warnings"
    )))?;
    shell::run(&mut cargo(
        "clippy --workspace --all-targets -- -D warnings",
    ))?;
    shell::run(cargo("doc --no-deps --workspace --lib").env("RUSTDOCFLAGS", "-Dwarnings"))
}
