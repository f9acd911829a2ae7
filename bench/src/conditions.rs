//! On what the numbers were taken: without it they say nothing. Reads only.

use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result};

use crate::{Effort, subjects};

/// Which versions Cargo chose is not known to the code; the lock file knows.
const LOCK: &str = include_str!("../../Cargo.lock");

/// A few lines, for people.
pub(crate) fn describe(effort: Effort) -> Result<String> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
    let cpus = read("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    let cores = thread::available_parallelism()?;
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let swap = match read("/proc/swaps")?.lines().count() {
        0 | 1 => "off",
        _ => "on",
    };
    let load = read("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let server = first_line(Command::new(subjects::nats_server()?).arg("--version"))?;
    let rustc = first_line(Command::new("rustc").arg("--version"))?;
    let host = first_line(Command::new(subjects::host_binary()?).arg("--version"))?;
    let profile = if cfg!(debug_assertions) {
        "debug profile: the numbers say nothing"
    } else {
        "release profile"
    };
    Ok(format!(
        "{model}, {cores} cores; Linux {}; swap {swap}; load {load} before\n\
         {host}, wasmtime {}, async-nats {}, tokio {}; {rustc}, {profile}; {server}\n\
         medians over {} rounds of {} s each, host and native in turns",
        kernel.trim(),
        locked("wasmtime"),
        locked("async-nats"),
        locked("tokio"),
        effort.rounds,
        effort.window.as_secs(),
    ))
}

fn locked(package: &str) -> &str {
    let name = format!("name = \"{package}\"\nversion = \"");
    let version = LOCK.split_once(&name).map(|(_, rest)| rest);
    version
        .and_then(|rest| rest.split('"').next())
        .unwrap_or("unknown")
}

fn first_line(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_lock_file_names_versions() {
        assert_eq!(super::locked("conche-bench"), env!("CARGO_PKG_VERSION"));
        assert_eq!(super::locked("no-such-package"), "unknown");
    }
}
