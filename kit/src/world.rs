//! The smallest world a plugin can be built for. Languages that import all of their world would
//! otherwise seem to ask for everything, and some cannot be built with a handler left out.

use std::fmt::Write as _;

use anyhow::Result;

use crate::Language;
use crate::manifest::Manifest;
use crate::project::Project;
use crate::sdk;

/// The contract, as the host has it.
pub(crate) const HANDLER: &str = include_str!("../wit/handler.wit");

/// Of WASI, what a JavaScript plugin draws its random numbers from: QuickJS repeats its own.
const RANDOM: &str = "package wasi:random@0.2.0;

interface random {
    get-random-bytes: func(len: u64) -> list<u8>;
}
";

/// Of WASI, what a panic in Zig is told by: the host makes it the failure's message. The adapter's way to
/// stderr would ask for files and clocks as well.
const IO: &str = "package wasi:io@0.2.0;

interface error {
    resource error;
}

interface streams {
    use error.{error};
    variant stream-error { last-operation-failed(error), closed }
    resource output-stream {
        blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
    }
}
";

const CLI: &str = "package wasi:cli@0.2.0;

interface stderr {
    use wasi:io/streams@0.2.0.{output-stream};
    get-stderr: func() -> output-stream;
}
";

/// The name of the world, in package `plugin:world`.
pub(crate) const WORLD: &str = "plugin";

/// Puts the world's files where the toolchains look: `plugin.wit`, and the contract as its
/// dependency under `deps`.
pub(crate) fn unpack(project: &Project) -> Result<()> {
    let wit = project.wit();
    sdk::write(&wit.join("plugin.wit"), text(&project.manifest).as_bytes())?;
    if draws_of_wasi(&project.manifest) {
        sdk::write(&wit.join("deps/random/random.wit"), RANDOM.as_bytes())?;
    }
    if panics_aloud(&project.manifest) {
        sdk::write(&wit.join("deps/io/io.wit"), IO.as_bytes())?;
        sdk::write(&wit.join("deps/cli/cli.wit"), CLI.as_bytes())?;
    }
    sdk::write(&wit.join("deps/handler/handler.wit"), HANDLER.as_bytes())
}

/// The world of this plugin.
pub(crate) fn text(manifest: &Manifest) -> String {
    let mut text = format!(
        "package plugin:%world;\n\nworld {WORLD} {{\n    include conche:handler/base@0.1.0;\n"
    );
    for used in manifest.imports() {
        line(&mut text, "import", used.name());
    }
    if draws_of_wasi(manifest) {
        text.push_str("    import wasi:random/random@0.2.0;\n");
    }
    if panics_aloud(manifest) {
        text.push_str("    import wasi:cli/stderr@0.2.0;\n");
    }
    if manifest.kind.handles_queries() {
        line(&mut text, "export", "query-handler");
    }
    if manifest.kind.handles_events() {
        line(&mut text, "export", "event-handler");
    }
    text.push_str("}\n");
    text
}

fn line(text: &mut String, what: &str, interface: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "    {what} conche:handler/{interface}@0.1.0;");
}

fn draws_of_wasi(manifest: &Manifest) -> bool {
    matches!(manifest.language, Language::Js | Language::Ts)
}

fn panics_aloud(manifest: &Manifest) -> bool {
    manifest.language == Language::Zig
}
