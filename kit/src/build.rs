//! From a project to a component: which language builds how, and what every build has in common.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use wit_component::DecodedWasm;

use crate::Language;
use crate::project::Project;
use crate::{sdk, world};

mod c;
mod core;
mod go;
mod inputs;
mod js;
mod python;
mod rust;
mod zig;
mod zig_tool;

/// A component that was built.
#[derive(Debug, Clone)]
pub struct Built {
    pub file: PathBuf,
    pub bytes: u64,
    /// The interfaces it imports: an upper bound of what it may ask.
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// Builds a project with its language's own toolchain. `output` is the component's file; without
/// it, `<name>.wasm` in the project.
///
/// # Errors
/// A tool that is missing or too old, with the line that gets it; what the toolchain says; a
/// component that does not handle what its manifest says.
pub fn build(project: &Project, output: Option<&Path>) -> Result<Built> {
    let _alone = project.lock()?;
    prepare(project)?;
    let component = match project.manifest.language {
        Language::Rust => rust::build(project)?,
        Language::Js | Language::Ts => js::build(project)?,
        Language::Python => python::build(project)?,
        Language::C => c::build(project)?,
        Language::Go => go::build(project)?,
        Language::Zig => zig::build(project)?,
    };
    let built = describe(project, &component)?;
    let file = output.map_or_else(|| project.component(), Path::to_owned);
    place(&component, &file)?;
    Ok(Built { file, ..built })
}

/// Unpacks what builds and editors need and nobody writes: the SDK and the world.
pub(crate) fn prepare(project: &Project) -> Result<()> {
    world::unpack(project)?;
    sdk::unpack(project)
}

/// The lines that get the tools that this project's language needs and that are not there yet.
pub fn missing_tools(project: &Project) -> Vec<String> {
    match project.manifest.language {
        Language::Rust => rust::missing(project),
        Language::Python => python::missing(project),
        Language::Js | Language::Ts => js::missing(project),
        Language::C | Language::Zig => zig_tool::missing(project),
        Language::Go => go::missing(project),
    }
}

/// What is in it, checked against what the manifest says.
fn describe(project: &Project, component: &[u8]) -> Result<Built> {
    let decoded = wit_component::decode(component).context("the toolchain built no component")?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        bail!("the toolchain built no component");
    };
    let world = &resolve.worlds[world];
    let imports: Vec<_> = world
        .imports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect();
    let exports: Vec<_> = world
        .exports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect();
    let kind = project.manifest.kind;
    for (interface, expected) in [
        ("query-handler", kind.handles_queries()),
        ("event-handler", kind.handles_events()),
    ] {
        let prefix = format!("conche:handler/{interface}@");
        let exported = exports.iter().any(|export| export.starts_with(&prefix));
        if exported != expected {
            let does = if exported {
                "exports"
            } else {
                "does not export"
            };
            bail!(
                "the component {does} `{interface}`, and `{}` says another `kind`: change the one or the other",
                crate::MANIFEST
            );
        }
    }
    Ok(Built {
        file: PathBuf::new(),
        bytes: component.len() as u64,
        imports,
        exports,
    })
}

/// Copies a file as builds place them: whole or not at all, and only if the bytes differ.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read `{}`", from.display()))?;
    place(&bytes, to)
}

/// Writes a file: whole or not at all, and only if the bytes differ, since a host may be watching.
pub fn place(bytes: &[u8], file: &Path) -> Result<()> {
    if fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let temporary = file.with_added_extension(format!("{}.tmp", std::process::id()));
    let parent = file.parent().context("a file has a directory")?;
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(&temporary, bytes))
        .and_then(|()| fs::rename(&temporary, file))
        .with_context(|| format!("cannot write `{}`", file.display()))
}
