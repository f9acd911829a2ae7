//! The Go program of `tests/interop/go`, which plays services that use the old package. Must not
//! know the host.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::DEADLINE;

/// One of them, by its environment.
pub(crate) struct OldService {
    environment: Vec<(&'static str, String)>,
}

/// One that answers queries, until it is dropped.
pub(crate) struct Serving {
    lines: Lines<BufReader<ChildStdout>>,
    /// Killed when dropped. Its stdin is held with it: it ends with that even if the tests crash.
    _child: Child,
}

impl OldService {
    /// With time-outs that only a failure comes to.
    pub(crate) fn on(url: &str) -> OldService {
        let seconds = DEADLINE.as_secs().to_string();
        OldService {
            environment: vec![
                ("NATS_URL", url.to_owned()),
                ("NATS_QUEUE_GROUP", "old-services".to_owned()),
                ("NATS_CLIENT_ID", "old-service-0".to_owned()),
                ("NATS_DURABLE_NAME", "old-service".to_owned()),
                ("NATS_REQUEST_TIMEOUT", seconds.clone()),
                ("NATS_EVENTS_TIMEOUT", seconds),
            ],
        }
    }

    /// With this setting instead of the one it had.
    pub(crate) fn set(mut self, name: &'static str, value: &str) -> OldService {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Runs a command to its end: what it printed, or what it complained of.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.command().args(arguments).output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }

    /// Answers queries from now on.
    pub(crate) async fn serve(&self) -> Serving {
        let mut command = self.command();
        command.arg("service").stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut serving = Serving {
            lines,
            _child: child,
        };
        serving.prints("ready").await;
        serving
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program());
        // Nothing of whoever runs the tests: it may have a NATS_URL of its own.
        command.env_clear().envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

impl Serving {
    /// Waits until it prints this line.
    pub(crate) async fn prints(&mut self, wanted: &str) {
        let printed = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line == wanted {
                    return true;
                }
            }
            false
        };
        let printed = tokio::time::timeout(DEADLINE, printed).await;
        assert_eq!(printed, Ok(true), "it never printed `{wanted}`");
    }
}

fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop/interop");
    let program = std::env::var_os("CONCHE_INTEROP").map_or(built, PathBuf::from);
    assert!(
        program.is_file(),
        "the Go program is not built: run cargo xtask test"
    );
    program
}
