//! Builds host and benchmark in release, and what they need; runs `conche-bench` with our
//! arguments. It must not know what is measured.

use std::process::Command;

use anyhow::Result;

use crate::{guests, nats_server, shell, workspace::Workspace};

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let built = guests::build(workspace)?;
    let server = nats_server::path(workspace)?;
    // Both in one call: cargo then chooses one set of features, and builds wasmtime once.
    let mut build = shell::cargo(["build", "--release", "--workspace"]);
    build.args(["--bin", "conche", "--bin", "conche-bench"]);
    shell::run(build.current_dir(&workspace.root))?;

    let mut bench = Command::new(workspace.target.join("release/conche-bench"));
    bench
        .args(arguments)
        .env("CONCHE_GUESTS", &built.guests)
        .env("CONCHE_PLUGINS_BUILT", &built.plugins)
        .env(nats_server::VARIABLE, server);
    shell::run(&mut bench)
}
