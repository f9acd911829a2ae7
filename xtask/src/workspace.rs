//! What `cargo metadata` says: where the workspace and its target directory are, which packages it
//! has, and which of them are guests. Reads only; builds nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

pub(crate) struct Package {
    pub(crate) name: String,
    /// The directory of its `Cargo.toml`.
    pub(crate) directory: PathBuf,
    /// The name of the `cdylib` it builds, which names its file.
    pub(crate) cdylib: Option<String>,
}

impl Workspace {
    pub(crate) fn find() -> Result<Workspace> {
        // Not the current directory: `cargo xtask` works from any directory of the workspace.
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let mut command = shell::cargo(["metadata", "--no-deps", "--format-version=1"]);
        command.arg("--manifest-path").arg(manifest);
        let metadata: Value = serde_json::from_str(&shell::read(&mut command)?)?;
        read(&metadata).context("`cargo metadata` lacks a field we need")
    }

    /// The guest crates under this directory of the repository, such as `plugins`.
    pub(crate) fn guests(&self, under: &str) -> Vec<&Package> {
        let parent = self.root.join(under);
        let is_under = |package: &&Package| package.directory.starts_with(&parent);
        self.packages
            .iter()
            .filter(is_under)
            .filter(|package| package.cdylib.is_some())
            .collect()
    }
}

impl Package {
    /// What a built guest is called: the name of its directory, or of the one that holds the same
    /// plugin in several languages.
    pub(crate) fn short_name(&self) -> &str {
        let mut directory = self.directory.as_path();
        if directory.ends_with("rust") {
            directory = directory.parent().unwrap_or(directory);
        }
        directory
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or(&self.name)
    }
}

fn read(metadata: &Value) -> Option<Workspace> {
    Some(Workspace {
        root: metadata["workspace_root"].as_str()?.into(),
        target: metadata["target_directory"].as_str()?.into(),
        packages: metadata["packages"]
            .as_array()?
            .iter()
            .map(package)
            .collect::<Option<_>>()?,
    })
}

fn package(package: &Value) -> Option<Package> {
    let cdylib = package["targets"].as_array()?.iter().find(|target| {
        target["kind"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind == "cdylib"))
    });
    Some(Package {
        name: package["name"].as_str()?.to_owned(),
        directory: Path::new(package["manifest_path"].as_str()?)
            .parent()?
            .to_owned(),
        cdylib: cdylib
            .and_then(|target| target["name"].as_str())
            .map(str::to_owned),
    })
}
