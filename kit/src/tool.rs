//! The programs that builds run: where they are looked for, whether they are usable, how to get
//! them, and running them so that what they say can be read.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::project::Project;

/// A program that a build needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    /// Directories of a project that are looked in before the PATH, such as `.venv/bin`.
    pub(crate) beside: &'static [&'static str],
    /// What makes it print its version; nothing if only the `package.json` that it lies under says it.
    pub(crate) version: &'static [&'static str],
    /// The oldest that works: the numbers that a printed version is compared by.
    pub(crate) least: &'static [u32],
    /// The line that gets it, run in the project's directory.
    pub(crate) get: &'static str,
}

impl Tool {
    /// Finds it and sees that it is new enough.
    pub(crate) fn find(&self, project: &Project) -> Result<PathBuf> {
        let Tool { program, get, .. } = self;
        let wanted = dotted(self.least);
        let Some(path) = self.candidates(project).find(|path| path.is_file()) else {
            bail!(
                "building `{}` needs {program} {wanted} or newer, and there is none; get it: {get}",
                project.manifest.name
            );
        };
        let said = self.says(&path)?;
        match numbers(&said) {
            Some(found) if found.as_slice() >= self.least => Ok(path),
            Some(found) => bail!(
                "`{}` is version {}, and {wanted} or newer is needed; get it: {get}",
                path.display(),
                dotted(&found)
            ),
            None => bail!(
                "`{}` does not say its version; get it: {get}",
                path.display()
            ),
        }
    }

    fn says(&self, path: &Path) -> Result<String> {
        if self.version.is_empty() {
            return Ok(package_version(path).unwrap_or_default());
        }
        let output = Command::new(path).args(self.version).output();
        let output = output.with_context(|| {
            format!(
                "cannot start `{}`; get it anew: {}",
                path.display(),
                self.get
            )
        })?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn candidates(&self, project: &Project) -> impl Iterator<Item = PathBuf> {
        let beside = self.beside.iter().map(|dir| project.dir.join(dir));
        let path = env::var_os("PATH").unwrap_or_default();
        let path: Vec<PathBuf> = env::split_paths(&path).collect();
        let beside: Vec<PathBuf> = beside.collect();
        let program = self.program;
        beside
            .into_iter()
            .chain(path)
            .map(move |dir| dir.join(program))
    }
}

/// The version of the npm package that a program, or what it links to, is part of.
fn package_version(program: &Path) -> Option<String> {
    let program = program.canonicalize().ok()?;
    let packages = program.ancestors().map(|dir| dir.join("package.json"));
    let text = packages
        .filter_map(|file| fs::read_to_string(file).ok())
        .next()?;
    let package: Value = serde_json::from_str(&text).ok()?;
    package["version"].as_str().map(str::to_owned)
}

/// Runs a step of a build and gives its stdout. What it prints is shown only if it fails.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if !output.status.success() {
        // Compilers write to either; programs (JSON) only to stdout, and that nobody wants to read.
        let said = if stderr.trim().is_empty() {
            stdout
        } else {
            stderr
        };
        bail!("{}\n`{line}` failed ({})", said.trim(), output.status);
    }
    Ok(stdout)
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The first `1.2` or `1.2.3` in a text.
fn numbers(text: &str) -> Option<Vec<u32>> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|word| {
            word.split('.')
                .map_while(|part| part.parse().ok())
                .collect::<Vec<u32>>()
        })
        .find(|numbers| numbers.len() >= 2)
}

fn dotted(numbers: &[u32]) -> String {
    let parts: Vec<_> = numbers.iter().map(u32::to_string).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use tempfile::{TempDir, tempdir};

    use super::{Tool, numbers, run};
    use crate::project::Project;

    /// Of no name that a PATH might have.
    const TOOL: Tool = Tool {
        program: "conche-test-tool",
        beside: &["tools"],
        version: &["--version"],
        least: &[1, 26],
        get: "get it there",
    };

    /// A project, with the tool beside it if it shall say something.
    fn project(says: Option<&str>) -> (TempDir, Project) {
        let dir = tempdir().unwrap();
        let manifest = "name = 'a'\nlanguage = 'go'\nkind = 'query'\n";
        fs::write(dir.path().join(crate::MANIFEST), manifest).unwrap();
        if let Some(says) = says {
            let program = dir.path().join("tools").join(TOOL.program);
            fs::create_dir(program.parent().unwrap()).unwrap();
            fs::write(&program, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let project = Project::open(dir.path()).unwrap();
        (dir, project)
    }

    fn refused(says: Option<&str>, reason: &str) {
        let (_dir, project) = project(says);
        let error = TOOL.find(&project).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(error.ends_with("; get it: get it there"), "{error}");
    }

    #[test]
    fn a_tool_is_found_beside_the_project() {
        let (dir, project) = project(Some("tool version go1.27.3 linux"));
        let found = TOOL.find(&project).unwrap();
        assert!(found.starts_with(dir.path()), "{found:?}");
    }

    #[test]
    fn a_tool_that_will_not_do_is_named_with_the_line_that_gets_it() {
        refused(
            None,
            "building `a` needs conche-test-tool 1.26 or newer, and there is none",
        );
        refused(
            Some("1.9.4"),
            "is version 1.9.4, and 1.26 or newer is needed",
        );
        refused(Some("hello"), "does not say its version");
    }

    #[test]
    fn versions_are_read_as_programs_print_them() {
        assert_eq!(
            numbers("go version go1.26.8 linux/amd64"),
            Some(vec![1, 26, 8])
        );
        assert_eq!(numbers("v22.1.0\n"), Some(vec![22, 1, 0]));
        assert_eq!(numbers("componentize-py 0.25.1"), Some(vec![0, 25, 1]));
        assert_eq!(numbers("version 7"), None);
    }

    #[test]
    fn what_a_failed_step_said_is_shown_with_its_line() {
        let mut command = Command::new("/bin/sh");
        let error = run(command.args(["-c", "echo out; echo bad >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("bad\n`sh -c "), "{text}");
        assert!(text.ends_with("failed (exit status: 3)"), "{text}");
        let mut command = Command::new("/bin/sh");
        let error = run(command.args(["-c", "echo out; exit 1"])).unwrap_err();
        assert!(error.to_string().starts_with("out\n"), "{error}");
    }
}
