//! The host as a child process: started, read until it is ready, stopped as an operator would. It
//! knows nothing of what is sent to it.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::gateway_of;
use crate::shell;

/// From the start to the `ready` line, compiling the plugins included.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// From SIGTERM to the end.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

pub(super) struct Host {
    child: Child,
    ready: Receiver<Result<SocketAddr>>,
}

impl Host {
    pub(super) fn start(binary: &Path, plugins: &Path) -> Result<Host> {
        let mut command = Command::new(binary);
        command
            .arg("dev")
            .arg(plugins)
            .args(["--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let stdout = child.stdout.take().context("its stdout is piped")?;
        Ok(Host {
            child,
            ready: echo(stdout),
        })
    }

    pub(super) fn wait_until_ready(&mut self) -> Result<SocketAddr> {
        match self.ready.recv_timeout(READY_DEADLINE) {
            Ok(gateway) => gateway,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bail!("the host was not ready within {READY_DEADLINE:?}")
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                bail!(
                    "the host ended before it was ready ({})",
                    self.child.wait()?
                )
            }
        }
    }

    /// Until somebody ends it: Ctrl-C reaches it too, since it is in our process group.
    pub(super) fn wait(&mut self) -> Result<()> {
        ended_well(self.child.wait()?)
    }

    pub(super) fn stop(&mut self) -> Result<()> {
        let id = self.child.id().to_string();
        shell::run(Command::new("kill").args(["-TERM", &id]))?;
        let deadline = Instant::now() + STOP_DEADLINE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return ended_well(status);
            }
            thread::sleep(POLL_INTERVAL);
        }
        bail!("the host did not end within {STOP_DEADLINE:?} of SIGTERM")
    }
}

/// Whatever goes wrong, no host is left behind.
impl Drop for Host {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Prints the host's lines as they come, to its end, and sends the address once it is known.
fn echo(stdout: ChildStdout) -> Receiver<Result<SocketAddr>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            println!("{line}");
            if let Some(gateway) = gateway_of(&line).transpose() {
                // Nobody waits any more once the demo has its answer.
                let _ = sender.send(gateway);
            }
        }
    });
    receiver
}

fn ended_well(status: ExitStatus) -> Result<()> {
    ensure!(status.success(), "the host ended with {status}");
    Ok(())
}
