//! The smallest world a plugin can be built for. Languages that import all of their world would
//! otherwise seem to ask for everything, and some cannot be built with a handler left out.

use std::fmt::Write as _;

use anyhow::Result;

use crate::manifest::Manifest;
use crate::project::Project;
use crate::sdk;

/// The contract, as the host has it.
pub(crate) const HANDLER: &str = include_str!("../wit/handler.wit");

/// The name of the world, in package `plugin:world`.
pub(crate) const WORLD: &str = "plugin";

/// Puts the world's files where the toolchains look: `plugin.wit`, and the contract as its
/// dependency under `deps`.
pub(crate) fn unpack(project: &Project) -> Result<()> {
    let wit = project.wit();
    sdk::write(&wit.join("plugin.wit"), text(&project.manifest).as_bytes())?;
    sdk::write(&wit.join("deps/handler/handler.wit"), HANDLER.as_bytes())
}

/// The world of this plugin.
pub(crate) fn text(manifest: &Manifest) -> String {
    let mut text = format!(
        "package plugin:%world;\n\nworld {WORLD} {{\n    include conche:handler/base@0.1.0;\n"
    );
    let mut line = |what: &str, interface: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {what} conche:handler/{interface}@0.1.0;");
    };
    for used in manifest.imports() {
        line("import", used.name());
    }
    if manifest.kind.handles_queries() {
        line("export", "query-handler");
    }
    if manifest.kind.handles_events() {
        line("export", "event-handler");
    }
    text.push_str("}\n");
    text
}
