//! C: one run of `zig cc`, which brings clang, a linker and wasi-libc. What did not change since the
//! last build it takes from its cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::core::{self, MODULE};
use super::zig_tool;
use crate::project::Project;
use crate::{sdk, tool};

/// Linear memory begins with the stack, and the default of 16 MB would be most of it.
pub(crate) const STACK: &str = "65536";

/// The generated bindings, as files of the SDK include them.
const WIRE: &str = ".conche/build/wire";

/// The arguments that are ours, in a file: the line that a failed build shows is the author's.
const FLAGS: &str = ".conche/build/flags";

/// What the linker says, once for each of the SDK's functions that read it.
const NO_PLUGIN: &str = "undefined symbol: conche_items";

pub(crate) fn build(project: &Project) -> Result<Vec<u8>> {
    let sources = sources(project)?;
    let library = library(project, Path::new(".conche/sdk"))?;
    // System headers: their warnings are none of the author's. Assertions stay, which zig would take
    // out of what it optimizes.
    let flags = format!(
        "-target wasm32-wasi -mexec-model=reactor -Wl,-z,stack-size={STACK} -o {MODULE}\n\
         -UNDEBUG -Wall -Wextra -g0 -isystem .conche/sdk\n{}\n{}\n",
        library.flags, library.sources
    );
    let mut command = zig_tool::command(project)?;
    command
        .arg("cc")
        .arg(flags_file(project, &flags)?)
        .args(sources);
    if let Err(error) = tool::run(&mut command) {
        if error.to_string().contains(NO_PLUGIN) {
            bail!(
                "no `CONCHE_PLUGIN(…)` in any `.c` file in `{}`: it says which handlers there are",
                project.dir.display()
            );
        }
        return Err(error);
    }
    core::component(project)
}

/// What `zig` is told about the SDK's library.
pub(crate) struct Library {
    pub(crate) flags: String,
    /// One a line.
    pub(crate) sources: String,
}

/// The library, which lies in this directory of the project, with the bindings that it includes.
pub(crate) fn library(project: &Project, dir: &Path) -> Result<Library> {
    sdk::sync(&core::c_bindings(project)?, &project.dir.join(WIRE))?;
    let mut sources = Vec::new();
    collect(&project.dir, dir, &mut sources)?;
    sources.sort();
    let sources: Vec<_> = sources
        .iter()
        .map(|source| source.to_string_lossy())
        .collect();
    let kind = project.manifest.kind;
    let [queries, events] = [kind.handles_queries(), kind.handles_events()].map(u8::from);
    Ok(Library {
        // GNU's C has POSIX's clocks and random numbers.
        flags: format!(
            "-std=gnu23 -Os -isystem {WIRE} -DCONCHE_QUERIES={queries} -DCONCHE_EVENTS={events}"
        ),
        sources: sources.join("\n"),
    })
}

/// Writes them, and names the file as `zig` wants it.
pub(crate) fn flags_file(project: &Project, flags: &str) -> Result<String> {
    sdk::write(&project.dir.join(FLAGS), flags.as_bytes())?;
    Ok(format!("@{FLAGS}"))
}

/// Every `.c` of the project.
fn sources(project: &Project) -> Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    collect(&project.dir, Path::new(""), &mut sources)?;
    if sources.is_empty() {
        bail!(
            "no `.c` file in `{}`: the handlers are expected in `plugin.c`",
            project.dir.display()
        );
    }
    sources.sort();
    Ok(sources)
}

/// Not what is hidden, and no tests: those have a `main`.
fn collect(root: &Path, below: &Path, sources: &mut Vec<PathBuf>) -> Result<()> {
    let dir = root.join(below);
    let entries = fs::read_dir(&dir).with_context(|| format!("cannot read `{}`", dir.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read `{}`", dir.display()))?;
        let path = below.join(entry.file_name());
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') || name == "tests" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(root, &path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "c") {
            sources.push(path);
        }
    }
    Ok(())
}
