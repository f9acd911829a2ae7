//! Builds the plugins that are not written in Rust, as their authors do: with `conche build`. The
//! examples go to `target/plugins/<language>`, those that only tests run to `target/guests`. What
//! nothing has changed of is not built again.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};

use crate::{guest_table, guests, shell, toolchains, workspace::Workspace};

/// What every component is made from, beside its own directory.
const SHARED: [&str; 3] = ["kit/src", "wit", "xtask/toolchains"];

/// The directories of `tests/guests` that hold one guest in several languages, and what its
/// components are called: `<name>_<language>.wasm`.
const GUESTS: [(&str, &str); 2] = [
    ("capabilities", "capabilities"),
    ("hostile_langs", "hostile"),
];

/// Where Zig is written.
const ZIG_SOURCES: [&str; 6] = [
    "guest-sdk/zig",
    "kit/templates/zig",
    "plugins",
    "tests/guests/capabilities",
    "tests/guests/hostile_langs",
    "tests/guests/zig_sdk",
];

/// One plugin in one language.
pub(crate) struct Project {
    pub(crate) language: String,
    pub(crate) directory: PathBuf,
    /// Where its component goes.
    pub(crate) component: PathBuf,
    policy: Option<PathBuf>,
}

/// Builds every guest there is, or those in Rust alone; or measures them.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            guests::build(workspace)?;
            build(workspace, &debug_conche(workspace)?)
        }
        ["rust"] => guests::build(workspace).map(drop),
        ["--table"] => guest_table::write(workspace),
        _ => bail!("usage: cargo xtask guests [rust | --table]"),
    }
}

/// `zig fmt`. The other languages bring no formatter of their own.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut zig = Command::new(toolchains::zig(workspace)?);
    zig.args(["fmt", "--check"]).args(ZIG_SOURCES);
    shell::run(zig.current_dir(&workspace.root))
}

/// The binary that the tests run too.
pub(crate) fn debug_conche(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = shell::cargo(["build", "--workspace", "--bin", "conche"]);
    shell::run(command.current_dir(&workspace.root))?;
    Ok(workspace.target.join("debug/conche"))
}

/// Builds whatever is out of date. `conche` is a built binary.
pub(crate) fn build(workspace: &Workspace, conche: &Path) -> Result<()> {
    let stale: Vec<_> = projects(workspace)?
        .into_iter()
        .filter(|project| project.is_stale(workspace))
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    let path = toolchains::path(workspace)?;
    for project in stale {
        project.build(conche, &path)?;
    }
    Ok(())
}

/// Every plugin in a language of its own, in the order of their paths.
pub(crate) fn projects(workspace: &Workspace) -> Result<Vec<Project>> {
    let mut found = Vec::new();
    for plugin in directories(&workspace.root.join("plugins"))? {
        for directory in directories(&plugin)? {
            let language = name(&directory);
            // Those in Rust are packages of the workspace: cargo builds them all at once.
            if directory.join("conche-plugin.toml").is_file() && language != "rust" {
                let built = workspace.target.join("plugins").join(&language);
                let policy = plugin.join(format!("{}.toml", name(&plugin)));
                found.push(Project {
                    component: built.join(format!("{}.wasm", name(&plugin))),
                    policy: policy.is_file().then_some(policy),
                    language,
                    directory,
                });
            }
        }
    }
    for (guest, built) in GUESTS {
        let guest = workspace.root.join("tests/guests").join(guest);
        for directory in directories(&guest)? {
            if directory.join("conche-plugin.toml").is_file() {
                let language = name(&directory);
                let file = format!("{built}_{language}.wasm");
                found.push(Project {
                    component: workspace.target.join("guests").join(file),
                    policy: None,
                    language,
                    directory,
                });
            }
        }
    }
    Ok(found)
}

impl Project {
    fn build(&self, conche: &Path, path: &OsStr) -> Result<()> {
        let mut command = Command::new(conche);
        command
            .arg("build")
            .arg(&self.directory)
            .arg("--output")
            .arg(&self.component);
        shell::run(command.env("PATH", path))?;
        if let Some(policy) = &self.policy {
            let file = policy.file_name().context("a policy is a file")?;
            guests::copy_if_changed(policy, &self.component.with_file_name(file))?;
        }
        // A component that came out as it was keeps its time.
        Ok(fs::write(self.stamp(), "")?)
    }

    fn is_stale(&self, workspace: &Workspace) -> bool {
        let Ok(built) = fs::metadata(self.stamp()).and_then(|stamp| stamp.modified()) else {
            return true;
        };
        let sdk = match &*self.language {
            "ts" => "js", // the same one
            "zig" => "c", // stands on that of C
            language => language,
        };
        let sdk = workspace.root.join("guest-sdk").join(sdk);
        let own_sdk = workspace.root.join("guest-sdk").join(&self.language);
        let shared = SHARED.map(|directory| workspace.root.join(directory));
        let inputs = shared.iter().chain([&self.directory, &sdk, &own_sdk]);
        !self.component.is_file()
            || inputs
                .filter_map(|directory| newest(directory))
                .any(|time| time > built)
    }

    fn stamp(&self) -> PathBuf {
        self.component.with_added_extension("built")
    }
}

/// When the newest file below it was written, but for what builds leave there.
fn newest(directory: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(directory).ok()?;
    let times = entries.flatten().filter_map(|entry| {
        let path = entry.path();
        let is_made = name(&path).starts_with('.') || name(&path) == "__pycache__";
        if is_made {
            None
        } else if path.is_dir() {
            newest(&path)
        } else {
            entry.metadata().ok()?.modified().ok()
        }
    });
    times.max()
}

/// The directories right below one, sorted.
fn directories(parent: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(parent).with_context(|| format!("cannot read {}", parent.display()))?;
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    Ok(found)
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
