//! `conche request`, `publish` and `listen`, against a host on a real server, and what that one logs.

use std::process::{ChildStdout, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::conche::{DEADLINE, Killed, Place, Run, lines};
use crate::server::NatsServer;

pub(crate) const GREET: &str = "cyverse.greeter.Greet";
const REQUESTED: &str = "org.cyverse.events.GreetingRequested";
const RECORDED: &str = "org.cyverse.events.AuditRecorded";
const ADA: &str = r#"{"name":"Ada"}"#;

/// Three of the events that fill a pipe of 64 KiB; a fourth does not fit.
const NEARLY_FULL: u64 = 48 << 10;

/// A server, and a host on it with the greeter and the auditor.
pub(crate) struct Online {
    pub(crate) place: Place,
    pub(crate) server: NatsServer,
    host: Running,
}

/// A command that runs; killed if the test does not end it.
pub(crate) struct Running {
    pub(crate) child: Killed,
    stdout: Receiver<String>,
    pub(crate) stderr: Receiver<String>,
}

impl Running {
    pub(crate) fn start(place: &Place, server: &NatsServer, arguments: &[&str]) -> Running {
        let mut command = place.command(arguments);
        let spawned = command
            .env("NATS_URL", server.url())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = Killed(spawned.unwrap());
        Running {
            stdout: lines(child.0.stdout.take().unwrap()),
            stderr: lines(child.0.stderr.take().unwrap()),
            child,
        }
    }

    /// Waits for a line.
    fn says(from: &Receiver<String>, text: &str) -> String {
        loop {
            let line = from.recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|_| panic!("never said {text}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn next(&self) -> Value {
        let line = self.stdout.recv_timeout(DEADLINE).expect("no event came");
        serde_json::from_str(&line).unwrap()
    }

    pub(crate) fn end(self) -> Option<i32> {
        self.child.end(&self.stderr).0
    }
}

impl Online {
    pub(crate) fn start() -> Online {
        let grants = format!("[grants]\nemit = [\"{RECORDED}\"]\n");
        Online::with(&["greeter", "auditor", "orders"], &[("auditor", &grants)])
    }

    fn with(guests: &[&str], policies: &[(&str, &str)]) -> Online {
        let (place, server) = (Place::new(), NatsServer::start());
        let plugins = place.dir.path().join("plugins");
        std::fs::create_dir(&plugins).unwrap();
        for name in guests {
            let file = place.guest(name);
            std::fs::rename(place.dir.path().join(&file), plugins.join(&file)).unwrap();
        }
        for (name, policy) in policies {
            place.file(&format!("plugins/{name}.toml"), policy);
        }
        let host = Running::start(&place, &server, &["run", "--health-listen", "off"]);
        Running::says(&host.stdout, "ready");
        Online {
            place,
            server,
            host,
        }
    }

    /// Listens, with a standard output that nobody reads; and what it says beside.
    fn listen_unread(&self) -> (Killed, Receiver<String>) {
        let mut command = self.place.command(&["listen", REQUESTED]);
        let spawned = command
            .env("NATS_URL", self.server.url())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut listening = Killed(spawned.unwrap());
        let stderr = lines(listening.0.stderr.take().unwrap());
        Running::says(&stderr, "conche: listening");
        (listening, stderr)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let url = self.server.url();
        self.place.run_with(arguments, &[("NATS_URL", &url)])
    }

    /// With this on its stdin.
    fn run_on(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = self.place.command(arguments);
        command.env("NATS_URL", self.server.url());
        Run::with_input(command.stdin(Stdio::piped()), input)
    }

    pub(crate) fn listen(&self, arguments: &[&str]) -> Running {
        let arguments: Vec<&str> = ["listen"].iter().chain(arguments).copied().collect();
        let listening = Running::start(&self.place, &self.server, &arguments);
        Running::says(&listening.stderr, "conche: listening");
        listening
    }
}

#[test]
fn a_host_tells_of_events_that_nobody_hears_and_that_can_go_round() {
    let online = Online::start();
    let log = &online.host.stderr;
    let unheard = Running::says(log, "no plugin of this host hears");
    let what = format!("\"plugin\":\"auditor\",\"emits\":\"{RECORDED}\"");
    assert!(unheard.contains(&what), "{unheard}");

    // One emits what the other handles, and the other what the one does.
    let created = "org.cyverse.events.OrderCreated";
    let failed = "org.cyverse.events.PaymentFailed";
    let grants = |emit| format!("[grants]\nemit = [\"{emit}\"]\n");
    online.place.file("plugins/orders.toml", &grants(created));
    online.place.file("plugins/auditor.toml", &grants(failed));
    let round = Running::says(log, "its events can come back to it");
    let (orders, auditor) = (
        format!("orders -[{created}]-> auditor"),
        format!("auditor -[{failed}]-> orders"),
    );
    assert!(
        round.contains(&orders) && round.contains(&auditor),
        "{round}"
    );
    // Before the swap, and not after.
    Running::says(log, "plugin serves");
}

#[test]
fn what_an_exchange_waits_for_is_heard() {
    let emits = format!("[grants]\nemit = [\"{RECORDED}\", \"org.cyverse.events.Unheard\"]\n");
    let waits = format!("[grants]\nexchange = [\"{RECORDED}\", \"org.cyverse.events.Ask\"]\n");
    let policies = [("auditor", &*emits), ("probe", &*waits)];
    let online = Online::with(&["auditor", "probe"], &policies);
    // They are told in order, and this is the second of the auditor's.
    let unheard = Running::says(&online.host.stderr, "no plugin of this host hears");
    assert!(unheard.contains("org.cyverse.events.Unheard"), "{unheard}");
}

#[test]
fn a_request_prints_the_data_of_its_answer() {
    let online = Online::start();
    let greeting = "{\"greeting\":\"Hello, Ada!\"}\n";
    let check = |run: Run| {
        let said = (run.code, &*run.stdout, &*run.stderr);
        assert_eq!(said, (Some(0), greeting, ""));
    };
    check(online.run(&["request", GREET, ADA]));
    check(online.run_on(&["request", GREET], ADA));
    check(online.run_on(&["request", GREET, "-"], &format!(" {ADA}\n")));
    let url = online.server.url();
    let arguments = ["request", GREET, ADA, "--nats-url", &url];
    check(online.place.run(&arguments));

    let whole = online.run(&["request", GREET, ADA, "--tid", "tid-1", "--event"]);
    let event: Value = serde_json::from_str(&whole.stdout).unwrap();
    assert_eq!(event["transactionid"], "tid-1");
    assert_eq!(event["data"], json!({"greeting": "Hello, Ada!"}));
}

#[test]
fn what_brings_no_answer_says_why_and_has_its_code() {
    let online = Online::start();
    let nobody = online.run(&["request", "cyverse.nobody.Get", "{}"]);
    assert_eq!((nobody.code, &*nobody.stdout), (Some(7), ""));
    insta::assert_snapshot!(nobody.stderr, @"conche: nobody answers on `cyverse.nobody.Get`: is its service up, and is that its name?");

    let order = r#"{"customer":"","items":[]}"#;
    let fault = online.run(&["request", "cyverse.orders.Create", order]);
    assert_eq!((fault.code, &*fault.stdout), (Some(5), ""));
    insta::assert_snapshot!(fault.stderr, @r#"
    conche: answered with an error: the order is not acceptable (422)
    conche: details: [{"field":"customer","reason":"is empty"},{"field":"items","reason":"is empty"}]
    "#);

    let wrong = online.run(&["request", "cyverse.*.Get", "{}"]);
    assert_eq!((wrong.code, &*wrong.stdout), (Some(2), ""));
    insta::assert_snapshot!(wrong.stderr, @"conche: query op: subject `cyverse.*.Get` has the wildcard `*`, a literal subject is needed");

    let empty = online.run_on(&["request", GREET], "");
    assert_eq!((empty.code, &*empty.stdout), (Some(2), ""));
    insta::assert_snapshot!(empty.stderr, @"conche: stdin has no JSON value: EOF while parsing a value at line 1 column 0");
}

#[test]
fn an_answer_in_time_or_none() {
    let online = Online::start();
    // It is stopped, and so has the query and does not answer.
    let host = Pid::from_child(&online.host.child.0);
    kill_process(host, Signal::STOP).unwrap();
    let late = online.run(&["request", GREET, ADA, "--timeout", "100ms"]);
    kill_process(host, Signal::CONT).unwrap();
    assert_eq!((late.code, &*late.stdout), (Some(7), ""));
    insta::assert_snapshot!(late.stderr, @r"
    conche: no answer on `cyverse.greeter.Greet` in time
    conche: --timeout waits longer
    ");
}

#[test]
fn what_is_published_is_heard_with_what_follows_from_it() {
    let online = Online::start();
    let listening = online.listen(&["--tid", "tid-7"]);
    let once = online.listen(&[RECORDED, "--once"]);
    let published = online.run_on(&["publish", REQUESTED, "--tid", "tid-7"], ADA);
    assert_eq!((published.code, &*published.stderr), (Some(0), ""));
    let stored: Value = serde_json::from_str(&published.stdout).unwrap();
    assert_eq!(
        (&stored["stream"], &stored["sequence"]),
        (&json!("conche-events"), &json!(1))
    );
    let first = listening.next();
    assert_eq!(
        (&first["type"], &first["id"]),
        (&json!(REQUESTED), &stored["id"])
    );
    assert_eq!(first["data"], json!({"name": "Ada"}));
    let second = listening.next();
    assert_eq!(
        (&second["type"], &second["transactionid"]),
        (&json!(RECORDED), &json!("tid-7"))
    );
    assert_eq!(once.next()["id"], second["id"]);
    assert_eq!(once.end(), Some(0));
    kill_process(Pid::from_child(&listening.child.0), Signal::TERM).unwrap();
    assert_eq!(listening.end(), Some(0));
}

#[test]
fn a_listener_ends_when_its_reader_leaves() {
    let online = Online::start();
    let (mut listening, stderr) = online.listen_unread();
    drop(listening.0.stdout.take());
    assert_eq!(online.run(&["publish", REQUESTED, ADA]).code, Some(0));
    assert_eq!(listening.end(&stderr), (Some(0), String::new()));
}

#[test]
fn a_listener_ends_on_a_signal_while_its_reader_stands_still() {
    // More than a pipe holds.
    const EVENTS: usize = 12;
    let text = json!({"name": "x".repeat(16 << 10)}).to_string();
    let online = Online::start();
    let (listening, stderr) = online.listen_unread();
    let other = online.listen(&[REQUESTED]);
    for _ in 0..EVENTS {
        let published = online.run_on(&["publish", REQUESTED], &text);
        assert_eq!((published.code, &*published.stderr), (Some(0), ""));
        other.next();
    }
    until_full(listening.0.stdout.as_ref().unwrap());
    kill_process(Pid::from_child(&listening.0), Signal::TERM).unwrap();
    assert_eq!(listening.end(&stderr), (Some(0), String::new()));
}

/// The hint is for who meant another server; this one is there.
#[test]
fn a_server_that_refuses_is_no_reason_to_name_another() {
    let server = NatsServer::configured("authorization { user: \"bob\", password: \"right\" }");
    let url = format!("nats://bob:wrong@{}", server.address());
    let run = Place::new().run(&["request", "cyverse.a.Get", "{}", "--nats-url", &url]);
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(
        run.stderr.contains("the server refuses user `bob`"),
        "{run:?}"
    );
    assert!(!run.stderr.contains("--nats-url"), "{run:?}");
}

fn until_full(pipe: &ChildStdout) {
    let until = Instant::now() + DEADLINE;
    while rustix::io::ioctl_fionread(pipe).unwrap() < NEARLY_FULL {
        assert!(Instant::now() < until, "it was never full");
        std::thread::yield_now();
    }
}

#[test]
fn without_a_server_or_a_type_it_says_what_to_do() {
    let place = Place::new();
    let url = "nats://127.0.0.1:1";
    for command in ["request", "publish"] {
        let run = place.run(&[command, "cyverse.a.Get", "{}", "--nats-url", url]);
        assert_eq!((run.code, &*run.stdout), (Some(4), ""));
        insta::allow_duplicates! {
            // Nothing of how to name a server: it was.
            insta::assert_snapshot!(run.stderr, @"conche: cannot connect to nats://127.0.0.1:1 in 1 attempt: IO error: Connection refused (os error 111)");
        }
    }
    let listen = place.run_with(
        &["listen", "org.cyverse.events.A", "--nats-url", url],
        &[("NATS_MAX_RECONNECTS", "0")],
    );
    assert_eq!(listen.code, Some(4), "{listen:?}");
    let nothing = place.run(&["listen"]);
    assert_eq!(nothing.code, Some(2));
    insta::assert_snapshot!(nothing.stderr, @"conche: listen to what? name event types, or a transaction id with --tid");
    let pattern = place.run(&["listen", "org.cyverse.events.>"]);
    assert_eq!(pattern.code, Some(2));
    insta::assert_snapshot!(pattern.stderr, @"conche: `org.cyverse.events.>` is a pattern: name each type, or a transaction id with --tid");
    let pattern = place.run(&["publish", "org.cyverse.events.*", "{}"]);
    assert_eq!(pattern.code, Some(2));
    insta::assert_snapshot!(pattern.stderr, @"conche: `org.cyverse.events.*` is a pattern: name one type");
    let never = place.run(&["request", "a", "{}", "--timeout", "0s"]);
    assert_eq!(never.code, Some(2));
    insta::assert_snapshot!(never.stderr, @r"
    error: invalid value '0s' for '--timeout <TIME>': write a time such as 5s or 250ms

    For more information, try '--help'.
    ");
    let wrong = place.run_with(&["request", "a", "{}"], &[("NATS_URL", "http://x")]);
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
}
