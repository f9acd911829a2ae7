//! C: one run of `zig cc`, which brings clang, a linker and wasi-libc. What did not change since the
//! last build it takes from its cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::{core, zig_tool};
use crate::project::Project;
use crate::{sdk, tool};

/// Linear memory begins with the stack, and the default of 16 MB would be most of it.
const STACK: &str = "-Wl,-z,stack-size=65536";

/// The generated bindings, as files of the SDK include them.
const WIRE: &str = ".conche/build/wire";

const MODULE: &str = ".conche/build/module.wasm";

/// The arguments that are ours, in a file: the line that a failed build shows is the author's.
const FLAGS: &str = ".conche/build/flags";

pub(crate) fn build(project: &Project) -> Result<Vec<u8>> {
    let sources = sources(project)?;
    let bindings = core::c_bindings(project)?;
    sdk::sync(&bindings, &project.dir.join(WIRE))?;
    sdk::write(&project.dir.join(FLAGS), flags(project)?.as_bytes())?;
    let mut command = zig_tool::command(project)?;
    command.arg("cc").arg(format!("@{FLAGS}")).args(sources);
    tool::run(&mut command)?;
    let module = project.dir.join(MODULE);
    let module =
        fs::read(&module).with_context(|| format!("cannot read `{}`", module.display()))?;
    core::encode(project, module)
}

fn flags(project: &Project) -> Result<String> {
    let kind = project.manifest.kind;
    let [queries, events] = [kind.handles_queries(), kind.handles_events()].map(u8::from);
    let mut sdk = Vec::new();
    collect(&project.dir, Path::new(".conche/sdk"), &mut sdk)?;
    sdk.sort();
    // System headers: their warnings are none of the author's. Assertions stay, which zig would take
    // out of what it optimizes.
    let mut flags = format!(
        "-target wasm32-wasi -mexec-model=reactor {STACK} -o {MODULE}\n\
         -std=c23 -Os -g0 -UNDEBUG -Wall -Wextra -isystem .conche/sdk -isystem {WIRE}\n\
         -DCONCHE_QUERIES={queries} -DCONCHE_EVENTS={events}\n"
    );
    for source in sdk {
        flags.push_str(&format!("{}\n", source.display()));
    }
    Ok(flags)
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
