//! The processes of a benchmark: started, waited for until they say that they are ready, asked for
//! their use of CPU and memory, ended. None outlives the benchmark. Must not know what they do.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// From the start to the `ready` line, compiling plugins included.
const READY_DEADLINE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The line that a subject prints when it serves; the host adds to it.
pub(crate) const READY: &str = "ready";

/// A process that is measured. Killed when dropped: nothing it holds is needed again.
#[derive(Debug)]
pub(crate) struct Subject {
    name: &'static str,
    child: Child,
    /// From its start to its `ready` line.
    pub(crate) started_in: Duration,
}

/// A nats-server with JetStream, on a free port and in a directory of its own.
#[derive(Debug)]
pub(crate) struct NatsServer {
    child: Child,
    pub(crate) address: SocketAddr,
    _dir: TempDir,
}

impl Subject {
    /// Starts it and waits for its `ready` line. Its stderr is ours.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Subject> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let began = Instant::now();
        let mut child = spawn(command)?;
        let stdout = child.stdout.take().context("its stdout is piped")?;
        let ready = watch(stdout);
        let mut subject = Subject {
            name,
            child,
            started_in: Duration::ZERO,
        };
        match ready.recv_timeout(READY_DEADLINE) {
            Ok(at) => subject.started_in = at - began,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bail!("the {name} process was not ready within {READY_DEADLINE:?}")
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = subject.child.wait()?;
                bail!("the {name} process ended before it was ready ({status})")
            }
        }
        Ok(subject)
    }

    /// CPU time used so far, in user and system mode.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu(&self.child.id().to_string()).with_context(|| format!("the {} process", self.name))
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let process = self.child.id().to_string();
        resident(&process).with_context(|| format!("the {} process", self.name))
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl NatsServer {
    pub(crate) fn start(binary: &Path) -> Result<NatsServer> {
        let dir = tempfile::tempdir()?;
        let mut command = Command::new(binary);
        command
            .args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"])
            .arg(dir.path())
            .arg("--ports_file_dir")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = spawn(&mut command)?;
        let file = dir.path().join(format!("nats-server_{}.ports", child.id()));
        match wait_for_address(&mut child, &file) {
            Ok(address) => Ok(NatsServer {
                child,
                address,
                _dir: dir,
            }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// CPU time of this process so far.
pub(crate) fn own_cpu() -> Result<Duration> {
    cpu("self")
}

/// Resident memory of this process, in bytes.
pub(crate) fn own_resident() -> Result<u64> {
    resident("self")
}

fn resident(process: &str) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    resident_of(&status).with_context(|| format!("{path} has no VmRSS"))
}

fn cpu(process: &str) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    cpu_of(&stat).with_context(|| format!("{path} reads {stat:?}"))
}

fn spawn(command: &mut Command) -> Result<Child> {
    let program = command.get_program().to_owned();
    command
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

fn end(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Says when the `ready` line came. Reads on to the end: a full pipe would stop the process.
fn watch(stdout: ChildStdout) -> Receiver<Instant> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if line.starts_with(READY) {
                // Nobody waits for a second one.
                let _ = sender.send(Instant::now());
            }
        }
    });
    receiver
}

fn wait_for_address(child: &mut Child, file: &Path) -> Result<SocketAddr> {
    let deadline = Instant::now() + READY_DEADLINE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            bail!("nats-server ended at its start ({status})");
        }
        if let Some(address) = fs::read_to_string(file)
            .ok()
            .as_deref()
            .and_then(address_of)
        {
            return Ok(address);
        }
        thread::sleep(POLL_INTERVAL);
    }
    bail!(
        "nats-server wrote no {} within {READY_DEADLINE:?}",
        file.display()
    )
}

/// Of `{"nats":["nats://127.0.0.1:4222"],…}`; none while it is being written.
fn address_of(ports: &str) -> Option<SocketAddr> {
    let ports: serde_json::Value = serde_json::from_str(ports).ok()?;
    ports["nats"][0]
        .as_str()?
        .strip_prefix("nats://")?
        .parse()
        .ok()
}

/// `utime` and `stime` of `/proc/PID/stat` (proc(5)): the 12th and 13th word after the name,
/// which may itself hold blanks and parentheses.
fn cpu_of(stat: &str) -> Option<Duration> {
    let mut words = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || words.next()?.parse::<u64>().ok();
    let used = ticks()? + ticks()?;
    Some(Duration::from_secs(used) / u32::try_from(rustix::param::clock_ticks_per_second()).ok()?)
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{address_of, cpu_of, resident_of};

    #[test]
    fn proc_is_read_past_a_strange_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 3 0 5 6 7";
        assert_eq!(cpu_of(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu_of("7 (short) S 1"), None);
        let status = "Name:\tx\nVmPeak:\t 99 kB\nVmRSS:\t  2048 kB\n";
        assert_eq!(resident_of(status), Some(2048 * 1024));
        assert_eq!(resident_of("Name:\tx\n"), None);
    }

    #[test]
    fn a_half_written_ports_file_is_none() {
        let whole = r#"{"nats":["nats://127.0.0.1:4222"],"monitoring":[]}"#;
        assert_eq!(address_of(whole), "127.0.0.1:4222".parse().ok());
        assert_eq!(address_of(&whole[..20]), None);
    }
}
