//! The SDKs, carried in the binary, so that the one a plugin is built with is always that of the
//! `conche` that builds it. Unpacked into `.conche/sdk` of a project.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use include_dir::{Dir, include_dir};
use toml::{Table, Value};

use crate::Language;
use crate::project::Project;

/// Path and content, below one directory.
pub(crate) type Files = BTreeMap<PathBuf, Cow<'static, [u8]>>;

static RUST_SOURCE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/guest-sdk/src");
static JS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/guest-sdk/js");
static C: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/guest-sdk/c");
static GO: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/guest-sdk/go");
static ZIG: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/guest-sdk/zig");
static RUST_MACROS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/guest-sdk/macros/src");
static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/guest-sdk/python/conche");

/// Unpacks the SDK of the project's language.
pub(crate) fn unpack(project: &Project) -> Result<()> {
    let files = match project.manifest.language {
        Language::Rust => rust()?,
        Language::Js | Language::Ts => js(),
        Language::Python => python(),
        Language::C => plain(&C),
        Language::Go => go(),
        Language::Zig => zig(),
    };
    sync(&files, &project.sdk())
}

/// The crate and its macros, in a workspace as in this repository: its members inherit from it.
fn rust() -> Result<Files> {
    let mut files = Files::new();
    add(&mut files, "guest-sdk/src", &RUST_SOURCE);
    add(&mut files, "guest-sdk/macros/src", &RUST_MACROS);
    let mut text =
        |path: &str, text: String| files.insert(path.into(), Cow::Owned(text.into_bytes()));
    text(
        "guest-sdk/Cargo.toml",
        include_str!("../guest-sdk/Cargo.toml").to_owned(),
    );
    text(
        "guest-sdk/macros/Cargo.toml",
        include_str!("../guest-sdk/macros/Cargo.toml").to_owned(),
    );
    text(
        "guest-sdk/README.md",
        include_str!("../guest-sdk/README.md").to_owned(),
    );
    text(
        "guest-sdk/wit/handler.wit",
        crate::world::HANDLER.to_owned(),
    );
    let mut root: Table = toml::from_str(include_str!("../Cargo.workspace.toml"))?;
    let workspace = root.get_mut("workspace").and_then(Value::as_table_mut);
    let members = ["guest-sdk", "guest-sdk/macros"].map(|member| Value::String(member.to_owned()));
    workspace
        .context("a workspace")?
        .insert("members".to_owned(), Value::Array(members.into()));
    root.remove("profile");
    text("Cargo.toml", toml::to_string(&root)?);
    Ok(files)
}

/// The package, without its own tests.
fn js() -> Files {
    let mut files = Files::new();
    add(&mut files, "", &JS);
    files.retain(|path, _| !path.starts_with("test"));
    files
}

/// The package alone: neither its tests nor what is needed to publish it.
fn python() -> Files {
    let mut files = Files::new();
    add(&mut files, "conche", &PYTHON);
    files
}

/// A module over the library in C.
fn zig() -> Files {
    let mut files = Files::new();
    add(&mut files, "c", &C);
    add(&mut files, "zig", &ZIG);
    files
}

/// The module, without its own tests.
fn go() -> Files {
    let mut files = plain(&GO);
    files.retain(|path, _| !path.to_string_lossy().ends_with("_test.go"));
    files
}

/// An SDK that is its sources.
fn plain(dir: &'static Dir<'static>) -> Files {
    let mut files = Files::new();
    add(&mut files, "", dir);
    files
}

/// All of a directory of this repository but what toolchains leave in it.
pub(crate) fn add(files: &mut Files, under: &str, dir: &'static Dir<'static>) {
    let root = dir.path();
    let mut dirs = vec![dir];
    while let Some(dir) = dirs.pop() {
        for file in dir.files() {
            let path = file.path().strip_prefix(root).unwrap_or(file.path());
            files.insert(Path::new(under).join(path), Cow::Borrowed(file.contents()));
        }
        dirs.extend(dir.dirs().filter(|dir| !is_leftover(dir.path())));
    }
}

/// Makes a directory hold exactly these files. What is there already keeps its time, so that
/// toolchains do not build it anew; what is there and not among them goes.
pub(crate) fn sync(files: &Files, to: &Path) -> Result<()> {
    for (path, bytes) in files {
        write(&to.join(path), bytes)?;
    }
    remove_others(files, to, Path::new(""))
}

/// Writes a file, unless it says the same already.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let parent = file.parent().context("a file has a directory")?;
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(file, bytes))
        .with_context(|| format!("cannot write `{}`", file.display()))
}

fn remove_others(files: &Files, root: &Path, below: &Path) -> Result<()> {
    let dir = root.join(below);
    let shown = dir.display();
    for entry in fs::read_dir(&dir).with_context(|| format!("cannot read `{shown}`"))? {
        let entry = entry.with_context(|| format!("cannot read `{shown}`"))?;
        let path = below.join(entry.file_name());
        if is_leftover(&path) {
            continue; // what toolchains leave there is theirs
        }
        if entry.file_type()?.is_dir() {
            remove_others(files, root, &path)?;
        } else if !files.contains_key(&path) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// What toolchains leave beside sources.
fn is_leftover(path: &Path) -> bool {
    let names = [
        "__pycache__",
        "node_modules",
        "target",
        "Cargo.lock",
        ".zig-cache",
    ];
    names.iter().any(|name| path.ends_with(name))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::tempdir;

    use super::{Files, sync};

    #[test]
    fn a_directory_is_made_to_hold_these_files() {
        let dir = tempdir().unwrap();
        let files = |list: &[(&'static str, &'static str)]| -> Files {
            let pairs = list.iter();
            let pairs = pairs.map(|(path, text)| ((*path).into(), text.as_bytes().into()));
            pairs.collect()
        };
        let of_old = files(&[("a/kept", "1"), ("a/gone", "2"), ("changed", "3")]);
        sync(&of_old, dir.path()).unwrap();
        let module = dir.path().join("node_modules/m.js");
        fs::create_dir(module.parent().unwrap()).unwrap();
        fs::write(&module, "a toolchain's").unwrap();
        let kept = dir.path().join("a/kept");
        let written = fs::metadata(&kept).unwrap().modified().unwrap();

        sync(
            &files(&[("a/kept", "1"), ("changed", "4"), ("b/new", "5")]),
            dir.path(),
        )
        .unwrap();

        let read = |path: &str| fs::read_to_string(dir.path().join(path)).ok();
        assert_eq!(read("a/gone"), None);
        assert_eq!(read("changed").as_deref(), Some("4"));
        assert_eq!(read("b/new").as_deref(), Some("5"));
        assert!(module.is_file());
        // Or toolchains would build it anew.
        assert_eq!(fs::metadata(&kept).unwrap().modified().unwrap(), written);
    }
}
