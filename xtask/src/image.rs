//! Builds the container image: a static `conche`, and `deploy/Containerfile` around it. It must
//! not know what a host does; with `--test`, `trial` finds out whether this one does it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{shell, workspace::Workspace};

use self::binary::Profile;

mod binary;
mod container;
mod nats;
mod trial;

const USAGE: &str = "usage: cargo xtask image [--profile release|dev] [--tag TAG] [--test]";
/// As `deploy/Containerfile` has it.
const USER: &str = "65532:65532";

#[derive(Debug, PartialEq)]
struct Options {
    profile: Profile,
    tag: String,
    test: bool,
}

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let options = options(arguments)?;
    require("podman")?;
    let binary = binary::build(workspace, options.profile)?;
    let image = options.tag.as_str();
    let before = id(image)?;
    build(workspace, &binary, &options)?;
    remove_if_replaced(image, &before)?;
    let user = inspect(image, "{{.Config.User}}")?;
    ensure!(user == USER, "{image} runs as `{user}`, not as {USER}");
    let bytes: u64 = inspect(image, "{{.Size}}")?.parse()?;
    println!("{image}: {:.1} MB", bytes as f64 / 1e6);
    if options.test {
        trial::run(workspace, image)?;
    }
    Ok(())
}

fn options(arguments: &[String]) -> Result<Options> {
    let mut profile = Profile::Release;
    let mut tag = None;
    let mut test = false;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match (argument.as_str(), rest.as_slice()) {
            ("--test", _) => test = true,
            ("--profile", [name, ..]) => {
                profile = Profile::named(name).context(USAGE)?;
                rest.next();
            }
            ("--tag", [name, ..]) => {
                tag = Some(name.clone());
                rest.next();
            }
            _ => bail!(USAGE),
        }
    }
    Ok(Options {
        profile,
        tag: tag.unwrap_or_else(|| format!("localhost/conche:{}", profile.name())),
        test,
    })
}

/// From a directory that holds what the image does and nothing else.
fn build(workspace: &Workspace, binary: &Path, options: &Options) -> Result<()> {
    let context = workspace.target.join("image").join(options.profile.name());
    if context.exists() {
        fs::remove_dir_all(&context)?;
    }
    let cache = context.join("cache/conche");
    fs::create_dir_all(context.join("plugins"))?;
    fs::create_dir_all(&cache)?;
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o1777))?;
    fs::copy(binary, context.join("conche"))
        .with_context(|| format!("cannot copy {}", binary.display()))?;
    let mut command = Command::new("podman");
    // In one layer: no images of the steps are left behind.
    command.args(["build", "--pull=never", "--layers=false"]);
    // The OCI format has no HEALTHCHECK.
    command.args(["--format", "docker"]);
    command.arg("--label");
    command.arg(concat!(
        "org.opencontainers.image.version=",
        env!("CARGO_PKG_VERSION")
    ));
    command.args(["--tag", &options.tag, "--file"]);
    command.arg(workspace.root.join("deploy/Containerfile"));
    shell::run(command.arg(&context))
}

/// Empty if there is no such image.
fn id(image: &str) -> Result<String> {
    let mut command = Command::new("podman");
    command.args(["images", "--quiet", "--no-trunc", image]);
    Ok(shell::read(&mut command)?.trim().to_owned())
}

/// An image that lost its name to a newer one would only take room. One that is in use, or has
/// another name, stays.
fn remove_if_replaced(image: &str, before: &str) -> Result<()> {
    if !before.is_empty() && before != id(image)? {
        let mut command = Command::new("podman");
        // Whether it could be removed changes nothing.
        let _ = command.args(["rmi", before]).output()?;
    }
    Ok(())
}

fn inspect(image: &str, format: &str) -> Result<String> {
    let mut command = Command::new("podman");
    command.args(["image", "inspect", "--format", format, image]);
    Ok(shell::read(&mut command)?.trim().to_owned())
}

/// Finds a program as a shell does.
fn require(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file());
    let package = match program {
        "musl-gcc" => "musl-tools",
        "readelf" => "binutils",
        other => other,
    };
    found.with_context(|| format!("{program} is missing: apt-get install {package}"))
}

#[cfg(test)]
mod tests {
    use super::{Options, Profile, options};

    #[track_caller]
    fn check(line: &str, expected: Option<(Profile, &str, bool)>) {
        let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let expected = expected.map(|(profile, tag, test)| Options {
            profile,
            tag: tag.to_owned(),
            test,
        });
        assert_eq!(options(&arguments).ok(), expected, "{line}");
    }

    #[test]
    fn arguments_are_read() {
        let (release, dev) = (Profile::Release, Profile::Dev);
        check("", Some((release, "localhost/conche:release", false)));
        check(
            "--test --profile dev",
            Some((dev, "localhost/conche:dev", true)),
        );
        check(
            "--tag conche:1 --profile release",
            Some((release, "conche:1", false)),
        );
        check("--profile fast", None);
        check("--tag", None);
        check("now", None);
    }
}
