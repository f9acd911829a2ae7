//! Builds host and benchmark in release, and what they need; runs `conche-bench` with our
//! arguments. It must not know what is measured.

use std::{env, ffi::OsString, process::Command};

use anyhow::Result;

use crate::{guests, nats_server, shell, workspace::Workspace};

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let built = guests::build(workspace)?;
    let server = nats_server::path(workspace)?;
    // Both in one call: cargo then chooses one set of features, and builds wasmtime once.
    let mut build = shell::cargo(["build", "--release", "--workspace"]);
    build.args(["--bin", "conche", "--bin", "conche-bench"]);
    for name in set_by_cargo_run() {
        build.env_remove(name);
    }
    shell::run(build.current_dir(&workspace.root))?;

    let mut bench = Command::new(workspace.target.join("release/conche-bench"));
    bench
        .args(arguments)
        .env("CONCHE_GUESTS", &built.guests)
        .env("CONCHE_PLUGINS_BUILT", &built.plugins)
        .env(nats_server::VARIABLE, server);
    shell::run(&mut bench)
}

/// What `cargo run` told us of our own package. ring's build script watches these variables: with
/// them, a build from here and one from a shell would each undo the other, up to async-nats and
/// the host.
fn set_by_cargo_run() -> impl Iterator<Item = OsString> {
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    })
}
