//! What the languages have in common whose compilers stop at a core module (C, Go, Zig): bindings in
//! C to compile with, and the way from the module, made for WASI preview 1, to a component.

use std::fs;

use anyhow::{Context as _, Result};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

use crate::project::Project;
use crate::sdk::Files;
use crate::world::WORLD;

/// Types, imports and exports of the project's world in C: `wire.h` and `wire.c`.
pub(crate) fn c_bindings(project: &Project) -> Result<Files> {
    let (mut resolve, world) = world(project)?;
    let options = wit_bindgen_c::Opts {
        no_helpers: true,
        no_sig_flattening: true,
        no_object_file: true,
        rename_world: Some("wire".to_owned()),
        ..wit_bindgen_c::Opts::default()
    };
    let mut generated = wit_bindgen_core::Files::default();
    options
        .build()
        .generate(&mut resolve, world, &mut generated)?;
    let files = generated.iter();
    Ok(files
        .map(|(name, bytes)| (name.into(), bytes.to_vec().into()))
        .collect())
}

/// Where the compilers leave it, from the project's directory.
pub(crate) const MODULE: &str = ".conche/build/module.wasm";

/// Of the module that was built. It must export what the project's world exports; imports that it does
/// not call are dropped from the component.
pub(crate) fn component(project: &Project) -> Result<Vec<u8>> {
    let file = project.dir.join(MODULE);
    let mut module =
        fs::read(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let (resolve, world) = world(project)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .adapter(
            WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        )?
        .encode()
        .context("cannot make a component of the module")
}

fn world(project: &Project) -> Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(project.wit())?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    Ok((resolve, world))
}
