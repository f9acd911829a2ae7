//! The static `conche` that goes into the image.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use super::require;
use crate::{guests::ensure_target, shell, workspace::Workspace};

const MUSL: &str = "x86_64-unknown-linux-musl";

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Profile {
    /// To be run: optimised, on musl.
    Release,
    /// To be tried: what `cargo build` has compiled already, linked with the C library of this
    /// machine. A second target would compile wasmtime a second time, which takes minutes.
    Dev,
}

impl Profile {
    pub(super) fn named(name: &str) -> Option<Profile> {
        [Profile::Release, Profile::Dev]
            .into_iter()
            .find(|profile| profile.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Profile::Release => "release",
            Profile::Dev => "dev",
        }
    }
}

pub(super) fn build(workspace: &Workspace, profile: Profile) -> Result<PathBuf> {
    let mut command = shell::cargo(["build", "--bin", "conche"]);
    command.current_dir(&workspace.root);
    let built = match profile {
        Profile::Release => {
            require("musl-gcc")?;
            ensure_target(MUSL)?;
            command.args(["--release", "--target", MUSL]);
            // Nobody writes plugins in there.
            command.args([
                "-p",
                "conche",
                "--no-default-features",
                "--features",
                "host",
            ]);
            workspace.target.join(MUSL).join("release/conche")
        }
        Profile::Dev => {
            // The whole workspace, for the reason that `test.rs` gives.
            command.arg("--workspace");
            let linker = workspace.root.join("xtask/src/image/link-statically.sh");
            command.env("RUSTC_WORKSPACE_WRAPPER", linker);
            workspace.target.join("debug/conche")
        }
    };
    shell::run(&mut command)?;
    ensure_static(&built)?;
    Ok(built)
}

/// A program that asks for a loader would not start in an image that has none.
fn ensure_static(binary: &Path) -> Result<()> {
    require("readelf")?;
    let mut command = Command::new("readelf");
    let headers = shell::read(command.arg("--program-headers").arg(binary))?;
    ensure!(
        !headers.contains("INTERP"),
        "{} is not linked statically",
        binary.display()
    );
    Ok(())
}
