//! One container, run as an operator should: nothing writable but what is mounted, no
//! capabilities. Whatever goes wrong, it is not left behind.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::shell;

/// From the start until `conche health` says ready, compiling the plugins included.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// Above what `podman stop` gives it before it kills.
const STOP_DEADLINE: Duration = Duration::from_secs(40);
const STOP_SECONDS: &str = "30";
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(super) struct Container {
    name: String,
    /// `podman run`, attached: it ends as the container does, with its exit code.
    attached: Child,
    /// Ends with the container, and gives the warnings that it wrote.
    log: Option<JoinHandle<Vec<String>>>,
}

impl Container {
    /// Starts the image with a directory of plugins, in the network of this machine. What it
    /// writes goes to our stderr.
    pub(super) fn start(
        image: &str,
        plugins: &Path,
        environment: &[(&str, String)],
    ) -> Result<Container> {
        let name = format!("conche-image-test-{}", std::process::id());
        let mut command = podman(&["run", "--rm", "--pull=never", "--name", &name]);
        command.args(["--read-only", "--cap-drop=all"]);
        command.args(["--security-opt", "no-new-privileges"]);
        command.args(["--network=host", "--memory=512m"]);
        // podman runs health checks by systemd, which not every machine has.
        command.arg("--no-healthcheck");
        command.arg("--mount");
        command.arg("type=tmpfs,destination=/var/cache/conche,tmpfs-mode=1777,tmpfs-size=256m");
        command.arg("--volume");
        command.arg(format!("{}:/plugins:ro,z", plugins.display()));
        for (variable, value) in environment {
            command.arg("--env").arg(format!("{variable}={value}"));
        }
        command.arg(image);
        command.stdin(Stdio::null()).stdout(std::io::stderr());
        let attached = command.stderr(Stdio::piped()).spawn();
        let mut attached = attached.context("cannot start podman")?;
        let log = attached.stderr.take().map(follow);
        Ok(Container {
            name,
            attached,
            log,
        })
    }

    /// Until `conche health` in the container says ready.
    pub(super) fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_DEADLINE;
        loop {
            let mut health = podman(&["exec", &self.name, "/conche", "health"]);
            let asked = health.stdin(Stdio::null()).output()?;
            if asked.status.success() {
                return Ok(());
            }
            if let Some(status) = self.attached.try_wait()? {
                bail!("it ended before it was ready ({status})");
            }
            if Instant::now() > deadline {
                let said = String::from_utf8_lossy(&asked.stderr);
                bail!("not ready within {READY_DEADLINE:?}: {}", said.trim());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// SIGTERM; it has to end by itself, and well, and to have found nothing to warn of: a
    /// directory that it cannot write is no more than a warning.
    pub(super) fn stop(&mut self) -> Result<()> {
        shell::read(&mut podman(&["stop", "--time", STOP_SECONDS, &self.name]))?;
        let status = self.ended()?;
        ensure!(status.success(), "after SIGTERM it ended with {status}");
        let warnings = self.log.take().map(JoinHandle::join);
        match warnings {
            Some(Ok(warnings)) if warnings.is_empty() => Ok(()),
            Some(Ok(warnings)) => bail!("it warned: {}", warnings.join("\n")),
            _ => bail!("its log was not read"),
        }
    }

    fn ended(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + STOP_DEADLINE;
        while Instant::now() < deadline {
            if let Some(status) = self.attached.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL_INTERVAL);
        }
        bail!("it did not end within {STOP_DEADLINE:?} of SIGTERM")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Ok(None) = self.attached.try_wait() {
            let mut remove = podman(&["rm", "--force", "--ignore", "--volumes", &self.name]);
            let _ = remove.stdout(Stdio::null()).status();
            let _ = self.attached.kill();
            let _ = self.attached.wait();
        }
    }
}

/// Prints the log as it comes.
fn follow(log: ChildStderr) -> JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let mut warnings = Vec::new();
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            eprintln!("{line}");
            if line.contains("WARN") || line.contains("ERROR") {
                warnings.push(line);
            }
        }
        warnings
    })
}

fn podman(arguments: &[&str]) -> Command {
    let mut command = Command::new("podman");
    command.args(arguments);
    command
}
