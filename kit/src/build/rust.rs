//! Rust: cargo, for `wasm32-wasip2`. The linker makes the component, with only the imports that
//! are called.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use serde_json::Value;

use crate::project::Project;
use crate::tool::{self, Tool};

const TARGET: &str = "wasm32-wasip2";

const CARGO: Tool = Tool {
    program: "cargo",
    beside: &[],
    version: &["--version"],
    least: &[1, 95],
    get: "curl https://sh.rustup.rs -sSf | sh",
};

pub(crate) fn build(project: &Project) -> Result<Vec<u8>> {
    let cargo = CARGO.find(project)?;
    has_target(project)?;
    // Its own scratch: what the author's `cargo test` builds natively stays valid.
    let target = project.scratch();
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--target", TARGET]);
    command.arg("--message-format=json-render-diagnostics");
    command
        .arg("--target-dir")
        .arg(&target)
        .current_dir(&project.dir);
    let messages = tool::run(&mut command)?;
    let file = artifact(&messages)
        .context("cargo built no `.wasm`: `crate-type = [\"cdylib\"]` is needed under [lib]")?;
    fs::read(&file).with_context(|| format!("cannot read `{file}`"))
}

/// The last `.wasm` that cargo says it made: dependencies come before the crate itself.
fn artifact(messages: &str) -> Option<String> {
    let mut files = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let files = message["filenames"].as_array()?;
        let mut names = files.iter().filter_map(Value::as_str);
        names
            .find(|name| name.ends_with(".wasm"))
            .map(str::to_owned)
    });
    files.next_back()
}

/// The lines that get what is missing.
pub(crate) fn missing(project: &Project) -> Vec<String> {
    let mut lines = Vec::new();
    if CARGO.find(project).is_err() {
        lines.push(CARGO.get.to_owned());
    }
    if has_target(project).is_err() {
        lines.push(format!("rustup target add {TARGET}"));
    }
    lines
}

/// Looks in the sysroot, so that a toolchain without rustup works if it has the target.
fn has_target(project: &Project) -> Result<()> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(&project.dir)
        .output();
    let sysroot = output
        .context("cannot start `rustc`; get it: https://rustup.rs")?
        .stdout;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot).trim());
    if !sysroot.join("lib/rustlib").join(TARGET).is_dir() {
        bail!(
            "building `{}` needs the target {TARGET}; get it: rustup target add {TARGET}",
            project.manifest.name
        );
    }
    Ok(())
}
