//! Builds every guest and puts it where hosts and tests look: the plugins with their policies in
//! `target/plugins/rust`, the test guests in `target/guests`. It must not know what a guest does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    shell,
    workspace::{Package, Workspace},
};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "guest";

pub(crate) struct Built {
    pub(crate) plugins: PathBuf,
    pub(crate) guests: PathBuf,
}

pub(crate) fn build(workspace: &Workspace) -> Result<Built> {
    let plugins = workspace.guests("plugins");
    let guests = workspace.guests("tests/guests");
    ensure_target(TARGET)?;

    let mut command = shell::cargo(["build", "--profile", PROFILE, "--target", TARGET]);
    for package in plugins.iter().chain(&guests) {
        command.args(["-p", &package.name]);
    }
    shell::run(command.current_dir(&workspace.root))?;

    let built = Built {
        plugins: workspace.target.join("plugins/rust"),
        guests: workspace.target.join("guests"),
    };
    for package in plugins {
        // The policy first: a host that watches the directory then never sees a plugin without.
        let policy = format!("{}.toml", package.short_name());
        let source = package.directory.with_file_name(&policy);
        if source.exists() {
            copy_if_changed(&source, &built.plugins.join(policy))?;
        }
        place(workspace, package, &built.plugins)?;
    }
    for package in guests {
        place(workspace, package, &built.guests)?;
    }
    Ok(built)
}

fn place(workspace: &Workspace, package: &Package, directory: &Path) -> Result<()> {
    let cdylib = package.cdylib.as_deref().unwrap_or(&package.name);
    let file = workspace
        .target
        .join(TARGET)
        .join(PROFILE)
        .join(format!("{cdylib}.wasm"));
    copy_if_changed(
        &file,
        &directory.join(format!("{}.wasm", package.short_name())),
    )
}

/// Whole or not at all, and only if the bytes differ: a host may be watching the directory.
pub(crate) fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let temporary = to.with_added_extension(format!("{}.tmp", std::process::id()));
    let parent = to.parent().context("a file has a directory")?;
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(&temporary, bytes))
        .and_then(|()| fs::rename(&temporary, to))
        .with_context(|| format!("cannot write {}", to.display()))
}

/// Looks in the sysroot, so that a toolchain without rustup works if it has the target.
pub(crate) fn ensure_target(target: &str) -> Result<()> {
    let sysroot = shell::read(Command::new("rustc").args(["--print", "sysroot"]))?;
    let libraries = Path::new(sysroot.trim()).join("lib/rustlib");
    if libraries.join(target).is_dir() {
        return Ok(());
    }
    if let Err(error) = shell::run(Command::new("rustup").args(["target", "add", target])) {
        bail!("{error:#}\nthis needs the target {target}: rustup target add {target}");
    }
    Ok(())
}
