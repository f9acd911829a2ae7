//! Zig: one run of `zig build-exe`, over the SDK's library in C, its module, and the author's.

use std::path::Path;

use anyhow::{Result, bail};

use super::{c, core, zig_tool};
use crate::project::Project;
use crate::{sdk, tool};

/// What the manifest says, for the SDK to hold the handlers to it.
const KIND: &str = ".conche/build/kind.zig";

const PLUGIN: &str = "plugin.zig";

pub(crate) fn build(project: &Project) -> Result<Vec<u8>> {
    if !project.dir.join(PLUGIN).is_file() {
        bail!(
            "no `{PLUGIN}` in `{}`: the handlers are expected there",
            project.dir.display()
        );
    }
    let kind = project.manifest.kind;
    let [queries, events] = [kind.handles_queries(), kind.handles_events()];
    let said = format!("pub const queries = {queries};\npub const events = {events};\n");
    sdk::write(&project.dir.join(KIND), said.as_bytes())?;
    let mut command = zig_tool::command(project)?;
    let flags = c::flags_file(project, &flags(project)?)?;
    tool::run(command.arg("build-exe").arg(flags))?;
    core::component(project)
}

/// Only the author's module is checked as it runs: a slip shall end the call, not spoil its answer. The
/// rest shall be small.
fn flags(project: &Project) -> Result<String> {
    let c::Library { flags, sources } = c::library(project, Path::new(".conche/sdk/c"))?;
    Ok(format!(
        "-target wasm32-wasi -mexec-model=reactor --stack {} -femit-bin={} -lc -fstrip -fsingle-threaded\n\
         -O small -cflags {flags} --\n{sources}\n\
         --dep conche --dep kind --dep plugin -Mroot=.conche/sdk/zig/root.zig\n\
         -O small -Mconche=.conche/sdk/zig/conche.zig\n\
         -O small -Mkind={KIND}\n\
         -O safe --dep conche -Mplugin={PLUGIN}\n",
        c::STACK,
        core::MODULE,
    ))
}
