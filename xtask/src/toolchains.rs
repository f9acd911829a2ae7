//! The toolchains that plugins in other languages than Rust are built with: pinned, each installed
//! once under `target/tools`, from package registries only. Only Node, Python and (if it is new
//! enough) Go are the machine's own. It must not know what is built with them.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{go, shell, wheel::Wheel, workspace::Workspace};

const ZIG: Wheel = Wheel {
    package: "ziglang",
    version: "0.17.1",
    sha256: "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",
    program: "zig",
    variable: None,
};

const COMPONENTIZE_PY: (&str, &str) = (
    "componentize-py==0.25.1",
    "8623cd8cab8453cb0cd8bf03f3c7103420d06f2f3d360186a280a70a1ca5e89f",
);

/// Of Node 20.19, what the npm packages ask for.
const LEAST_NODE: u32 = 20;

/// A `PATH` on which every toolchain comes first. Installs what is missing.
pub(crate) fn path(workspace: &Workspace) -> Result<OsString> {
    let mut directories = vec![
        parent(&zig(workspace)?)?,
        javascript(workspace)?,
        python(workspace)?,
    ];
    let go = go::toolchain(workspace)?;
    if go.components().count() > 1 {
        directories.push(parent(&go)?); // else it is on the PATH already
    }
    let inherited = env::var_os("PATH").unwrap_or_default();
    directories.extend(env::split_paths(&inherited));
    Ok(env::join_paths(directories)?)
}

/// What builds a language's components, as people call it.
pub(crate) fn label(workspace: &Workspace, language: &str) -> Result<String> {
    Ok(match language {
        "rust" => {
            let said = shell::read(Command::new("rustc").arg("--version"))?;
            said.split(' ').take(2).collect::<Vec<_>>().join(" ")
        }
        "js" | "ts" => {
            let text = fs::read(workspace.root.join("xtask/toolchains/package.json"))?;
            let package: Value = serde_json::from_slice(&text)?;
            let version = package["devDependencies"]["componentize-qjs"].as_str();
            format!(
                "componentize-qjs {}",
                version.context("no componentize-qjs")?
            )
        }
        "python" => COMPONENTIZE_PY.0.replace("==", " "),
        "go" => go::version(&go::toolchain(workspace)?)?,
        "c" => format!("zig cc {}", ZIG.version),
        _ => format!("{language} {}", ZIG.version),
    })
}

pub(crate) fn zig(workspace: &Workspace) -> Result<PathBuf> {
    ZIG.path(workspace)
}

/// What `package.json` beside its lock file names, as npm installs it.
fn javascript(workspace: &Workspace) -> Result<PathBuf> {
    let pinned = workspace.root.join("xtask/toolchains");
    let installed = workspace.target.join("tools/javascript");
    let programs = installed.join("node_modules/.bin");
    let lock = fs::read(pinned.join("package-lock.json"))?;
    let done = installed.join("installed.json");
    if fs::read(&done).is_ok_and(|installed| installed == lock) {
        return Ok(programs);
    }
    match node_version() {
        Some(major) if major >= LEAST_NODE => {}
        Some(major) => bail!(
            "node is version {major}, and JavaScript plugins need {LEAST_NODE} or newer: install it, with npm"
        ),
        None => bail!(
            "no node on the PATH, and JavaScript plugins need {LEAST_NODE} or newer: install it, with npm"
        ),
    }
    clear(&installed)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(pinned.join(file), installed.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--silent", "--no-audit", "--no-fund"]);
    shell::run(npm.current_dir(&installed))?;
    fs::write(done, lock)?;
    Ok(programs)
}

fn node_version() -> Option<u32> {
    let output = Command::new("node")
        .arg("--version")
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    said.trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// A virtual environment: the program is a script that needs its modules beside it.
fn python(workspace: &Workspace) -> Result<PathBuf> {
    let (requirement, sha256) = COMPONENTIZE_PY;
    let installed = workspace.target.join("tools/python");
    let wanted = format!("{requirement} --hash=sha256:{sha256}\n");
    let done = installed.join("installed.txt");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(installed.join("bin"));
    }
    clear(&installed)?;
    let mut venv = Command::new("python3");
    shell::run(venv.args(["-m", "venv", "--clear"]).arg(&installed)).context(
        "Python plugins need python3 with venv; on Debian: apt-get install python3-venv",
    )?;
    let requirements = installed.join("requirements.txt");
    fs::write(&requirements, &wanted)?;
    let mut pip = Command::new(installed.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
    ]);
    pip.args(["--no-deps", "--only-binary=:all:", "-r"])
        .arg(&requirements);
    shell::run(&mut pip)?;
    fs::write(done, wanted)?;
    Ok(installed.join("bin"))
}

/// An empty directory: half an installation is not built upon.
fn clear(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    Ok(fs::create_dir_all(directory)?)
}

fn parent(program: &Path) -> Result<PathBuf> {
    let parent = program.parent().context("a program lies in a directory")?;
    Ok(parent.to_owned())
}
