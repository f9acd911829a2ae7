//! Runs the binary in a directory of its own, with nothing of our environment.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The longest that anything may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A place to run in.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
}

/// A process that ends with the test, however that ends.
pub(crate) struct Killed(pub(crate) Child);

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Writes a file; answers its name, as an argument.
    pub(crate) fn file<'a>(&self, name: &'a str, text: &str) -> &'a str {
        std::fs::write(self.dir.path().join(name), text).unwrap();
        name
    }

    /// Copies a guest here, under its own name with `.wasm`.
    pub(crate) fn guest(&self, name: &str) -> String {
        let file = format!("{name}.wasm");
        std::fs::copy(guest(name), self.dir.path().join(&file)).unwrap();
        file
    }

    /// As [`Place::guest`], an example plugin in another language than Rust.
    pub(crate) fn guest_in(&self, language: &str, name: &str) -> String {
        let rust = guest(name);
        let all = rust.parent().unwrap().parent().unwrap();
        let file = format!("{name}.wasm");
        std::fs::copy(all.join(language).join(&file), self.dir.path().join(&file)).unwrap();
        file
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conche"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            // Help is wrapped at the width of the terminal.
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        let mut command = self.command(arguments);
        Run::of(command.envs(variables.iter().copied()))
    }
}

impl Killed {
    /// Its exit code, and the rest of its log. It has to end by itself, and its log with it.
    pub(crate) fn end(mut self, stderr: &Receiver<String>) -> (Option<i32>, String) {
        let until = Instant::now() + DEADLINE;
        let mut rest = String::new();
        loop {
            match stderr.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => rest.push_str(&(line + "\n")),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it did not end: {rest}"),
            }
        }
        (self.code(until), rest)
    }

    fn code(&mut self, until: Instant) -> Option<i32> {
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "it did not end");
            thread::yield_now();
        }
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

impl Run {
    /// Of a command that has to end by itself.
    pub(crate) fn of(command: &mut Command) -> Run {
        Run::with_input(command.stdin(Stdio::null()), "")
    }

    /// With this on its stdin, if it is a pipe.
    pub(crate) fn with_input(command: &mut Command, input: &str) -> Run {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Killed(command.spawn().unwrap());
        let stdout = text(child.0.stdout.take().unwrap());
        let stderr = text(child.0.stderr.take().unwrap());
        if let Some(mut stdin) = child.0.stdin.take() {
            stdin.write_all(input.as_bytes()).unwrap();
        }
        let until = Instant::now() + DEADLINE;
        let read = |from: Receiver<String>| {
            let left = until.saturating_duration_since(Instant::now());
            from.recv_timeout(left)
                .expect("it did not end, or said what is no text")
        };
        let (stdout, stderr) = (read(stdout), read(stderr));
        Run {
            code: child.code(until),
            stdout,
            stderr,
        }
    }

    /// The JSON after this word at the beginning of a line.
    pub(crate) fn json_of(&self, what: &str) -> serde_json::Value {
        let mut lines = self.stdout.lines();
        let line = lines.find_map(|line| line.strip_prefix(what));
        let line = line.unwrap_or_else(|| panic!("no {what} in {self:?}"));
        serde_json::from_str(line).unwrap()
    }

    /// Lines of the log, each of which must be JSON.
    pub(crate) fn log(&self) -> Vec<serde_json::Value> {
        log(&self.stderr)
    }
}

pub(crate) fn log(stderr: &str) -> Vec<serde_json::Value> {
    let line = |line| {
        let parsed = serde_json::from_str(line);
        parsed.unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    stderr.lines().map(line).collect()
}

/// What comes on a pipe, a line each.
pub(crate) fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// All that comes, once nothing more does.
fn text(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut text = String::new();
        if from.read_to_string(&mut text).is_ok() {
            let _nobody_waits = sender.send(text);
        }
    });
    receiver
}

/// A built component: of `cargo xtask test`, or of `cargo xtask guests` before.
fn guest(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let folder = |variable: &str, name: &str| {
        std::env::var_os(variable).map_or_else(|| target.join(name), PathBuf::from)
    };
    let folders = [
        folder("CONCHE_PLUGINS_BUILT", "plugins/rust"),
        folder("CONCHE_GUESTS", "guests"),
    ];
    let files = folders.map(|folder| folder.join(format!("{name}.wasm")));
    let found = files.into_iter().find(|file| file.exists());
    found.unwrap_or_else(|| panic!("{name}.wasm is not built: run cargo xtask guests"))
}
