//! `conche publish` and `listen`, of events that no stream takes, or without a stream.

use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::conche::{DEADLINE, Place};
use crate::online::{GREET, Online, Running};
use crate::server::NatsServer;

const ADDED: &str = "org.cyverse.events.UserAdded";
const ELSEWHERE: &str = "org.elsewhere.X";

#[test]
fn without_a_stream_it_says_who_makes_one() {
    let (place, server) = (Place::new(), NatsServer::start());
    let url = server.url();
    for arguments in [
        &["publish", ADDED, "{}"][..],
        &["publish", "not a type", "{}"],
        &["listen", ADDED],
        &["listen", "--tid", "tid-1"],
    ] {
        let run = place.run_with(arguments, &[("NATS_URL", &url)]);
        assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{arguments:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(run.stderr, @"conche: there is no stream `conche-events`: a host makes it when it starts");
        }
    }
}

#[test]
fn what_no_stream_takes_cannot_be_published() {
    let online = Online::start();
    let check = |ty: &str| {
        let run = online.run(&["publish", ty, "{}"]);
        assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{run:?}");
        run.stderr
    };
    insta::assert_snapshot!(check(ELSEWHERE), @"conche: no stream takes `org.elsewhere.X`: see [events] in conche.toml");
    insta::assert_snapshot!(check(GREET), @r"
    conche: no stream takes `cyverse.greeter.Greet`: see [events] in conche.toml
    conche: it is where queries go: conche request asks it
    ");
    // What is not written there is named beside what is.
    let config = "[events]\nsubjects = [\"org.elsewhere.>\"]\n";
    online.place.file("conche.toml", config);
    insta::assert_snapshot!(check("not a type"), @"conche: no stream takes `org.elsewhere._other`, where events of type `not a type` go: see [events] in conche.toml");
}

#[test]
fn who_listens_to_what_cannot_come_is_told() {
    let online = Online::start();
    let arguments = ["listen", ADDED, ELSEWHERE, GREET];
    let listening = Running::start(&online.place, &online.server, &arguments);
    let mut said = String::new();
    while !said.contains("listening") {
        said += &(listening.stderr.recv_timeout(DEADLINE).unwrap() + "\n");
    }
    insta::assert_snapshot!(said, @r"
    conche: stream `conche-events` does not take `org.elsewhere.X`: see [events] in conche.toml
    conche: stream `conche-events` does not take `cyverse.greeter.Greet`: it is where queries go
    conche: listening
    ");
    kill_process(Pid::from_child(&listening.child.0), Signal::TERM).unwrap();
    assert_eq!(listening.end(), Some(0));
}

/// For a host as for who listens: what was tried, and where.
#[test]
fn who_gives_up_a_server_says_which() {
    let mut online = Online::start();
    online.place.file(
        "conche.toml",
        "[nats]\nmax_reconnects = 1\nreconnect_wait = \"1s\"\n",
    );
    let listening = online.listen(&[ADDED]);
    online.server.down();
    let until = Instant::now() + DEADLINE;
    let said = loop {
        let left = until.saturating_duration_since(Instant::now());
        let line = listening.stderr.recv_timeout(left).expect("it never ended");
        if line.starts_with("conche: ") {
            break line;
        }
    };
    let url = online.server.url();
    let expected = format!(
        "conche: lost the connection to {url}, and tried as often as max_reconnects (NATS_MAX_RECONNECTS) allows"
    );
    assert_eq!(said, expected);
    assert_eq!(listening.end(), Some(4));
}
