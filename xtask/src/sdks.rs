//! The SDKs' own tests, which need no host: each run as its language does. It must not know what
//! they test.

use std::{
    ffi::OsStr,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

use crate::{shell, workspace::Workspace};

/// The tests of one SDK.
pub(crate) struct Suite {
    /// As `cargo xtask test` takes it for a filter.
    language: &'static str,
    /// Of this repository, where the program is run.
    directory: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    /// What to type if the program is missing.
    get: &'static str,
}

const SUITES: [Suite; 4] = [
    Suite {
        language: "js",
        directory: "guest-sdk/js",
        program: "npm",
        arguments: &["test", "--silent"],
        get: "install Node 20 or newer, with npm; on Debian: apt-get install nodejs npm",
    },
    // The types, and every plugin in TypeScript by them.
    Suite {
        language: "js",
        directory: "guest-sdk/js",
        program: "tsc",
        arguments: &["-p", "test/types"],
        get: "it comes with the JavaScript toolchain; rm -r target/tools/javascript",
    },
    Suite {
        language: "python",
        directory: "guest-sdk/python",
        program: "python3",
        arguments: &["-m", "unittest"],
        get: "install Python 3.10 or newer; on Debian: apt-get install python3-venv",
    },
    Suite {
        language: "go",
        directory: "guest-sdk/go",
        program: "go",
        arguments: &["test", "./..."],
        get: "install Go 1.26 or newer",
    },
];

/// Those that a filter names, which must be a language as a whole; without one all.
pub(crate) fn chosen(filter: Option<&str>) -> impl Iterator<Item = &'static Suite> {
    let is_chosen = move |suite: &&Suite| filter.is_none_or(|filter| filter == suite.language);
    SUITES.iter().filter(is_chosen)
}

impl Suite {
    /// Runs it with the toolchains first on the `PATH`.
    pub(crate) fn run(&self, workspace: &Workspace, path: &OsStr) -> Result<()> {
        let Suite {
            directory,
            program,
            get,
            ..
        } = self;
        let mut version = Command::new(program);
        version.arg("--version").env("PATH", path);
        version.stdout(Stdio::null()).stderr(Stdio::null());
        if version.status().is_err() {
            bail!("no {program}, and {directory} is tested with it: {get}");
        }
        let mut command = Command::new(program);
        command.args(self.arguments).env("PATH", path);
        shell::run(command.current_dir(workspace.root.join(directory)))
    }
}
