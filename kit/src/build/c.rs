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

pub(crate) fn build(project: &Project) -> Result<Vec<u8>> {
    let sources = sources(project)?;
    let bindings = core::c_bindings(project)?;
    sdk::sync(&bindings, &project.dir.join(WIRE))?;
    let mut command = zig_tool::command(project)?;
    command.args(["cc", "-target", "wasm32-wasi", "-mexec-model=reactor"]);
    command.args(["-std=c23", "-Os", "-g0", "-Wall", "-Wextra", STACK]);
    // System headers: their warnings are none of the author's.
    command.args(["-isystem", ".conche/sdk", "-isystem", WIRE]);
    let kind = project.manifest.kind;
    for (name, has) in [
        ("QUERIES", kind.handles_queries()),
        ("EVENTS", kind.handles_events()),
    ] {
        command.arg(format!("-DCONCHE_{name}={}", u8::from(has)));
    }
    command.args(sources).args(["-o", MODULE]);
    tool::run(&mut command)?;
    let module = project.dir.join(MODULE);
    let module =
        fs::read(&module).with_context(|| format!("cannot read `{}`", module.display()))?;
    core::encode(project, module)
}

/// Every `.c` of the project, and those of the SDK.
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
    collect(&project.dir, Path::new(".conche/sdk"), &mut sources)?;
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
