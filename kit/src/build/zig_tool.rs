//! The `zig` program, which builds C as well as Zig: where it is looked for, and which will do.

use std::process::Command;

use anyhow::{Result, bail};

use crate::project::Project;

/// Zig changes its language and its library with each of these: others cannot build the SDK.
const VERSION: &str = "0.17.";

const GET: &str = "python3 -m venv .venv && .venv/bin/pip install ziglang==0.17.1";

/// A command to add arguments to. It runs in the project's directory, and what zig keeps of a build
/// goes where all of our own scratch is.
pub(crate) fn command(project: &Project) -> Result<Command> {
    let mut unfit = None;
    for (program, arguments) in candidates(project) {
        let mut command = Command::new(&program);
        command.args(&arguments).current_dir(&project.dir);
        let Some(version) = version(&mut command) else {
            continue;
        };
        if version.starts_with(VERSION) {
            let mut command = Command::new(&program);
            command.args(&arguments).current_dir(&project.dir);
            command.env("ZIG_LOCAL_CACHE_DIR", ".conche/build/zig");
            return Ok(command);
        }
        unfit.get_or_insert(format!("`{program}` is version {version}"));
    }
    let found = unfit.unwrap_or_else(|| "there is none".to_owned());
    bail!(
        "building `{}` needs zig {VERSION}x (it compiles C too), and {found}; get it: {GET}",
        project.manifest.name
    )
}

/// What the wheel `ziglang` installs calls itself `python-zig`; a module it is in any case.
fn candidates(project: &Project) -> Vec<(String, Vec<&'static str>)> {
    let module = vec!["-m", "ziglang"];
    let venv = std::path::absolute(project.dir.join(".venv/bin/python"));
    let mut candidates = Vec::new();
    if let Ok(python) = venv
        && python.is_file()
    {
        candidates.push((python.to_string_lossy().into_owned(), module.clone()));
    }
    candidates.push(("zig".to_owned(), Vec::new()));
    candidates.push(("python-zig".to_owned(), Vec::new()));
    candidates.push(("python3".to_owned(), module));
    candidates
}

/// None where there is no such program, or where it is no zig.
fn version(command: &mut Command) -> Option<String> {
    let output = command.arg("version").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

/// The line that gets it, if it is missing.
pub(crate) fn missing(project: &Project) -> Vec<String> {
    match command(project) {
        Ok(_) => Vec::new(),
        Err(_) => vec![GET.to_owned()],
    }
}
