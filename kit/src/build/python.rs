//! Python: componentize-py puts CPython, the plugin and the SDK into one component. It runs the
//! plugin's imports while it builds, so what is wrong with them is said here.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::inputs;
use crate::project::Project;
use crate::tool::Tool;
use crate::world::WORLD;

/// What componentize-py is told to load: a module of the SDK, which loads the author's `plugin`.
const ENTRY: &str = "conche.entry";

/// Where componentize-py mounts the first and the second `--python-path`.
const PROJECT_MOUNT: &str = "/0/";
const SDK_MOUNT: &str = "/1/";

const COMPONENTIZE: Tool = Tool {
    program: "componentize-py",
    beside: &[".venv/bin"],
    version: &["--version"],
    least: &[0, 25, 1],
    get: "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
};

pub(crate) fn build(project: &Project) -> Result<Vec<u8>> {
    let plugin = project.dir.join("plugin.py");
    if !plugin.is_file() {
        bail!("no `{}`: that is where the handlers are", plugin.display());
    }
    let componentize = COMPONENTIZE.find(project)?;
    let scratch = project.scratch();
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make `{}`", scratch.display()))?;
    let output = scratch.join("plugin.wasm");
    let stamp_file = scratch.join("plugin.stamp");
    let stamp = inputs::stamp(&read(project, &componentize))
        .with_context(|| format!("cannot read `{}`", project.dir.display()))?
        .to_string();
    // It compiles CPython anew each time, which takes ten seconds.
    let is_fresh = fs::read_to_string(&stamp_file).is_ok_and(|last| last == stamp);
    if !is_fresh || !output.is_file() {
        let built = command(project, &componentize, &output)
            .output()
            .with_context(|| format!("cannot start `{}`", componentize.display()))?;
        if !built.status.success() {
            bail!("{}", readable(&String::from_utf8_lossy(&built.stderr)));
        }
        fs::write(&stamp_file, stamp)
            .with_context(|| format!("cannot write `{}`", stamp_file.display()))?;
    }
    fs::read(&output).with_context(|| format!("cannot read `{}`", output.display()))
}

/// The line that gets componentize-py, if it is missing.
pub(crate) fn missing(project: &Project) -> Vec<String> {
    let found = COMPONENTIZE.find(project);
    found
        .err()
        .map(|_| COMPONENTIZE.get.to_owned())
        .into_iter()
        .collect()
}

/// What a build reads.
fn read(project: &Project, componentize: &Path) -> Vec<PathBuf> {
    let mut read = vec![
        project.dir.clone(),
        project.sdk(),
        project.wit(),
        componentize.to_owned(),
    ];
    read.extend(environment(project).map(|environment| environment.join("lib")));
    read.retain(|path| path.exists());
    read
}

/// Where its packages are installed: its own `.venv`, or the one that is active.
fn environment(project: &Project) -> Option<PathBuf> {
    let own = project.dir.join(".venv");
    if own.is_dir() {
        return Some(own);
    }
    env::var_os("VIRTUAL_ENV").map(PathBuf::from)
}

fn command(project: &Project, componentize: &Path, output: &Path) -> Command {
    let mut command = Command::new(componentize);
    command.args(["--quiet", "--world", WORLD, "--wit-path"]);
    command.arg(project.wit());
    command
        .args(["componentize", ENTRY, "--output"])
        .arg(output);
    command.arg("--python-path").arg(&project.dir);
    command.arg("--python-path").arg(project.sdk());
    // Its own backtrace says nothing to an author; Python's traceback is in the message.
    command.env("RUST_BACKTRACE", "0");
    // The packages in it can be imported, wherever componentize-py itself is installed.
    if let Some(environment) = environment(project) {
        command.env("VIRTUAL_ENV", environment);
    }
    command
}

/// Python's own message, with the author's files as the author knows them: componentize-py wraps it
/// in a traceback of itself.
fn readable(stderr: &str) -> String {
    let (_, own) = stderr
        .split_once("\nAssertionError: ")
        .unwrap_or(("", stderr));
    let own = own.split("\n\nCaused by:").next().unwrap_or(own);
    let mut lines = Vec::new();
    let mut ours = false;
    for line in own.lines() {
        let frame = line.strip_prefix("  File \"");
        ours = match frame {
            Some(file) => file.starts_with(SDK_MOUNT) || file.starts_with("<frozen importlib"),
            // What belongs to a frame stands further in than it.
            None => ours && line.starts_with("    "),
        };
        if !ours && line != "Traceback (most recent call last):" {
            lines.push(line.replace(&format!("\"{PROJECT_MOUNT}"), "\""));
        }
    }
    lines.join("\n").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(said: &str, expected: &str) {
        let stderr = format!(
            "Traceback (most recent call last):\n  File \"/usr/bin/componentize-py\", line 8, in <module>\n    \
             sys.exit(script())\nAssertionError: {said}\n\n\nCaused by:\n    {said}\n"
        );
        assert_eq!(readable(&stderr), expected);
    }

    #[test]
    fn a_traceback_shows_the_authors_lines_and_no_others() {
        check(
            concat!(
                "Traceback (most recent call last):\n",
                "  File \"/1/conche/entry.py\", line 10, in <module>\n",
                "    import plugin\n",
                "    ^^^^^^^^^^^^^\n",
                "  File \"/0/plugin.py\", line 2, in <module>\n",
                "    import nothere\n",
                "ModuleNotFoundError: No module named 'nothere'",
            ),
            concat!(
                "  File \"plugin.py\", line 2, in <module>\n",
                "    import nothere\n",
                "ModuleNotFoundError: No module named 'nothere'",
            ),
        );
    }

    #[test]
    fn what_is_no_traceback_is_shown_as_it_is() {
        assert_eq!(readable("error: no space left\n"), "error: no space left");
    }
}
