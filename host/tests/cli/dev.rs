//! `conche dev`: its start, its log, its end.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};

use crate::conche::{DEADLINE, Killed, Place, Run, lines, log};

/// A host that is killed if the test does not end it.
pub(crate) struct Dev {
    child: Killed,
    /// All up to the line that says that it is ready.
    banner: String,
    gateway: String,
    stderr: Receiver<String>,
}

impl Dev {
    fn start(place: &Place, arguments: &[&str]) -> Dev {
        let mut command = place.command(&["dev", "plugins", "--listen", "127.0.0.1:0"]);
        command.args(arguments);
        Dev::spawn(command)
    }

    pub(crate) fn spawn(command: Command) -> Dev {
        let (mut dev, stderr) = Dev::spawn_unread(command);
        dev.stderr = lines(stderr);
        dev
    }

    /// One whose log nobody reads.
    fn spawn_unread(mut command: Command) -> (Dev, ChildStderr) {
        let spawned = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = Killed(spawned.unwrap());
        let stdout = child.0.stdout.take().unwrap();
        let stderr = child.0.stderr.take().unwrap();
        let stdout = lines(stdout);
        let mut dev = Dev {
            child,
            banner: String::new(),
            gateway: String::new(),
            stderr: channel().1,
        };
        while dev.gateway.is_empty() {
            let line = stdout.recv_timeout(DEADLINE).expect("no ready line");
            let address = line.strip_prefix("ready gateway=http://");
            dev.gateway = address.unwrap_or_default().to_owned();
            dev.banner.push_str(&(line + "\n"));
        }
        (dev, stderr)
    }

    fn signal(&self) {
        self.send(Signal::TERM);
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).unwrap();
    }

    /// Begins a request; its response comes from the stream.
    pub(crate) fn post(&self, path: &str, event: &serde_json::Value) -> TcpStream {
        let body = event.to_string();
        let mut stream = TcpStream::connect(&self.gateway).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/cloudevents+json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        stream
    }

    /// Waits for a line of the log.
    pub(crate) fn logs(&self, text: &str) -> String {
        loop {
            let line = self.stderr.recv_timeout(DEADLINE).expect("no such line");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Its exit code, and the rest of its log.
    pub(crate) fn end(self) -> (Option<i32>, String) {
        self.child.end(&self.stderr)
    }
}

pub(crate) fn response(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn place(guests: &[&str]) -> Place {
    let place = Place::new();
    let plugins = place.dir.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    for guest in guests {
        let file = place.guest(guest);
        std::fs::rename(place.dir.path().join(&file), plugins.join(&file)).unwrap();
    }
    place
}

pub(crate) fn query(ty: &str, data: &serde_json::Value) -> serde_json::Value {
    serde_json::json!({"specversion": "1.0", "id": "q-1", "source": "/t", "type": ty, "data": data})
}

#[test]
fn the_start_says_what_serves_and_what_does_not_and_why() {
    let place = place(&["greeter", "auditor"]);
    place.file("plugins/broken.wasm", "");
    place.file("plugins/Upper.wasm", "");
    place.file("plugins/auditor.toml", "[limits]\nemits = 2\n");
    place.file(
        "plugins/greeter.toml",
        "[limit]\n\n[config]\na = '${env:NONE}'\n",
    );
    let dev = Dev::start(&place, &[]);
    let plugins = place.dir.path().join("plugins");
    let digests = dev
        .banner
        .lines()
        .filter_map(|line| line.strip_prefix("auditor "));
    let digest = digests.collect::<String>();
    let shown = dev.banner.replace(&digest, "DIGEST");
    let shown = shown.replace(&*plugins.to_string_lossy(), "PLUGINS");
    insta::assert_snapshot!(shown.replace(&dev.gateway, "GATEWAY"));
}

#[test]
fn a_start_without_plugins_says_what_to_do() {
    let place = place(&[]);
    let dev = Dev::start(&place, &[]);
    assert!(
        dev.banner.contains("no plugin serves yet\n"),
        "{}",
        dev.banner
    );
    assert!(!dev.banner.contains("--build"), "{}", dev.banner);

    place.file("plugins/conche-plugin.toml", "");
    let dev = Dev::start(&place, &[]);
    let hint = "there is a project: `conche dev ";
    assert!(dev.banner.contains(hint), "{}", dev.banner);
}

/// Root may read everything: as another user, with a binary that this one can reach.
#[test]
fn a_directory_that_may_not_be_read_ends_it_at_the_start() {
    let place = Place::new();
    let here = |name: &str| place.dir.path().join(name);
    let allow = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    // By a process of its own: what is open to be written in one that forks may not be run.
    let copied = Command::new("cp")
        .args([env!("CARGO_BIN_EXE_conche").as_ref(), &*here("conche")])
        .status();
    assert!(copied.unwrap().success());
    std::fs::create_dir_all(here("closed/plugins")).unwrap();
    allow(place.dir.path(), 0o755);
    allow(&here("closed"), 0);
    for dir in ["closed", "closed/plugins"] {
        let mut command = Command::new(here("conche"));
        command
            .args(["dev", dir, "--listen", "127.0.0.1:0"])
            .current_dir(place.dir.path())
            .env_clear();
        if place.dir.path().metadata().unwrap().uid() == 0 {
            command.uid(65534);
        }
        let run = Run::of(&mut command);
        assert_eq!((run.code, &*run.stdout), (Some(3), ""), "{run:?}");
        let reason = format!(
            "/{dir}` cannot be read: Permission denied (os error 13): let this user read and \
             enter it, and enter those above it, or name another\n"
        );
        assert!(run.stderr.ends_with(&reason), "{run:?}");
    }
    allow(&here("closed"), 0o755);
}

#[test]
fn what_keeps_it_from_starting_is_one_line() {
    let place = place(&[]);
    let run = place.run(&["dev", "none", "--listen", "127.0.0.1:0", "--log", "error"]);
    assert_eq!((run.code, &*run.stdout), (Some(3), ""));
    let reason = "/none` does not exist: create it, or name another\n";
    assert!(
        run.stderr.starts_with("conche: plugins directory `"),
        "{run:?}"
    );
    assert!(run.stderr.ends_with(reason), "{run:?}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = place.run(&["dev", "plugins", "--listen", &address, "--log", "error"]);
    assert_eq!((run.code, &*run.stdout), (Some(1), ""));
    let reason = format!(
        "conche: cannot listen on {address} (another one: --listen, or listen in [gateway]): Address already in use (os error 98)\n"
    );
    assert_eq!(run.stderr, reason);

    let check = |run: &Run, others: &str| {
        assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{run:?}");
        let reason = format!(
            "conche: cannot listen on {address} (another one: {others}): Address already in use (os error 98)\n"
        );
        assert_eq!(run.stderr, reason);
    };
    let run = place.run(&["run", "--health-listen", &address, "--log", "error"]);
    check(
        &run,
        "--health-listen, CONCHE_HEALTH_LISTEN, or listen in [health]",
    );
    // Which has no such flag.
    let run = place.run_with(
        &[
            "dev",
            "plugins",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "error",
        ],
        &[("CONCHE_HEALTH_LISTEN", &address)],
    );
    check(&run, "CONCHE_HEALTH_LISTEN, or listen in [health]");
}

#[test]
fn each_line_of_the_log_about_a_call_says_whose_it_is() {
    let place = place(&["hostile"]);
    let dev = Dev::start(&place, &["--log-format", "json"]);
    let panic = query("cyverse.hostile.Panic", &serde_json::json!({}));
    let answer = response(dev.post("/query", &panic));
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(
        !answer.contains("on purpose"),
        "a panic's text is for the log: {answer}"
    );
    dev.signal();
    let (code, rest) = dev.end();
    assert_eq!(code, Some(0));
    let (json, plain): (Vec<&str>, Vec<&str>) =
        rest.lines().partition(|line| line.starts_with('{'));
    assert_eq!(plain, ["conche: draining; a second signal ends at once"]);
    let log = log(&json.join("\n"));
    let about: Vec<_> = log
        .iter()
        .filter(|line| line["event_id"] == "q-1")
        .collect();
    let failed = about
        .iter()
        .find(|line| line["message"] == "a handler failed")
        .unwrap();
    assert_eq!(
        (&failed["level"], &failed["kind"]),
        (&"WARN".into(), &"panicked".into())
    );
    let text = failed["failure"].as_str().unwrap();
    assert!(text.contains("hostile on purpose"), "{text}");
    assert!(
        about.len() > 1,
        "what the guest wrote to stderr is there too: {log:?}"
    );
    for line in about {
        assert_eq!(line["plugin"], "hostile", "{line}");
        assert_eq!(line["digest"].as_str().unwrap().len(), 12, "{line}");
    }
}

#[test]
fn a_dead_letter_is_told_once() {
    let place = place(&["orders"]);
    let dev = Dev::start(&place, &["--log-format", "json"]);
    let misfit = query("org.cyverse.events.PaymentFailed", &serde_json::json!(1));
    let stored = response(dev.post("/event", &misfit));
    assert!(stored.starts_with("HTTP/1.1 20"), "{stored}");
    let mut told = String::new();
    while !told.contains("an event was dead-lettered") {
        told += &(dev.stderr.recv_timeout(DEADLINE).unwrap() + "\n");
    }
    dev.signal();
    let (code, rest) = dev.end();
    assert_eq!(code, Some(0));
    told += &rest;
    let why = told.lines().filter(|line| line.contains("\"reason\":"));
    assert_eq!(why.count(), 1, "{told}");
}

/// A query that has logged `began` and sleeps.
fn slow(dev: &Dev) -> TcpStream {
    let steps =
        serde_json::json!({"steps": [{"log": {"message": "began"}}, {"sleep": {"ms": 1500}}]});
    let stream = dev.post("/query", &query("cyverse.probe.Do", &steps));
    // Nobody said how: it is no terminal that reads along.
    log(&dev.logs("began"));
    stream
}

#[test]
fn a_signal_lets_calls_finish_and_a_second_one_does_not() {
    let place = place(&["probe"]);
    let dev = Dev::start(&place, &[]);
    let stream = slow(&dev);
    dev.signal();
    assert!(
        response(stream).contains("slept_ms"),
        "the answer still came"
    );
    assert_eq!(dev.end().0, Some(0));

    let dev = Dev::start(&place, &[]);
    let stream = slow(&dev);
    dev.signal();
    dev.logs("a second signal ends at once");
    dev.signal();
    assert_eq!(dev.end().0, Some(1));
    drop(stream);
}

/// Logs more than a pipe holds, call by call, each of which is answered.
fn log_much(dev: &Dev) {
    let message = "x".repeat(4000);
    let steps = serde_json::json!({"steps": [{"log": {"message": message}}]});
    for _ in 0..40 {
        let answer = response(dev.post("/query", &query("cyverse.probe.Do", &steps)));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[test]
fn who_reads_the_log_may_leave() {
    let place = place(&["probe"]);
    let mut dev = Dev::start(&place, &[]);
    let stream = slow(&dev);
    // With the next line, whoever reads closes the pipe.
    dev.stderr = channel().1;
    log_much(&dev);
    dev.signal();
    assert!(response(stream).contains("slept_ms"));
    assert_eq!(dev.end().0, Some(0));
}

#[test]
fn who_reads_the_log_may_stand_still() {
    let place = place(&["probe"]);
    let (dev, stderr) =
        Dev::spawn_unread(place.command(&["dev", "plugins", "--listen", "127.0.0.1:0"]));
    log_much(&dev);
    dev.signal();
    assert_eq!(dev.end().0, Some(0));
    drop(stderr);
}
