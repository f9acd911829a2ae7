//! `conche doctor`, and what `conche run` says of it at the start.

use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};

use crate::conche::{DEADLINE, Killed, Place, Run, lines};
use crate::server::NatsServer;

/// A place with the greeter, and a server with these streams.
fn place(streams: &[Value]) -> (Place, NatsServer) {
    let place = Place::new();
    let plugins = place.dir.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let file = place.guest("greeter");
    std::fs::rename(place.dir.path().join(&file), plugins.join(&file)).unwrap();
    let server = NatsServer::start();
    for stream in streams {
        let name = stream["name"].as_str().unwrap();
        request(&server, &format!("$JS.API.STREAM.CREATE.{name}"), stream);
    }
    (place, server)
}

fn request(server: &NatsServer, subject: &str, body: &Value) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = runtime.block_on(async {
        let client = async_nats::connect(server.url()).await.unwrap();
        let body = body.to_string();
        client.request(subject.to_owned(), body.into()).await
    });
    let answer: Value = serde_json::from_slice(&answer.unwrap().payload).unwrap();
    assert!(answer.get("error").is_none(), "{answer}");
}

fn doctor(place: &Place, server: &NatsServer, arguments: &[&str]) -> Run {
    let all: Vec<_> = ["doctor"].iter().chain(arguments).copied().collect();
    place.run_with(&all, &[("NATS_URL", &server.url())])
}

fn sick() -> (Place, NatsServer) {
    let taking = json!({"name": "all", "subjects": ["cyverse.greeter.>", "a.b"]});
    let events = json!({"name": "conche-events", "subjects": ["org.cyverse.events.>"]});
    let (place, server) = place(&[taking, events]);
    let consumer = json!({"stream_name": "conche-events", "config": {
        "durable_name": "conche-gone", "ack_policy": "explicit"}});
    let create = "$JS.API.CONSUMER.CREATE.conche-events.conche-gone";
    request(&server, create, &consumer);
    request(&server, "org.cyverse.events.A", &json!({}));
    place.file("plugins/broken.wasm", "");
    (place, server)
}

#[test]
fn what_is_wrong_is_printed_with_the_line_that_mends_it() {
    let (place, server) = sick();
    let run = doctor(&place, &server, &["--type", "org.other.A"]);
    assert_eq!((run.code, &*run.stderr), (Some(1), ""));
    let plugins = place.dir.path().join("plugins");
    let shown = run.stdout.replace(&*plugins.to_string_lossy(), "PLUGINS");
    insta::assert_snapshot!(shown);
}

#[test]
fn a_program_gets_the_same_as_json() {
    let (place, server) = sick();
    let run = doctor(&place, &server, &["--json", "--type", "org.other.A"]);
    assert_eq!((run.code, &*run.stderr), (Some(1), ""));
    let plugins = place.dir.path().join("plugins");
    let shown = run.stdout.replace(&*plugins.to_string_lossy(), "PLUGINS");
    insta::assert_snapshot!(shown);
}

#[test]
fn where_nothing_is_wrong_it_says_so() {
    let (place, server) = place(&[]);
    let run = doctor(&place, &server, &[]);
    assert_eq!((run.code, &*run.stderr), (Some(0), ""));
    assert_eq!(run.stdout, "nothing found\n");
    let run = doctor(&place, &server, &["--json"]);
    let shown: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(shown, json!({"findings": [], "notes": []}));
}

#[test]
fn warnings_alone_are_no_failure() {
    let part = json!({"name": "log", "subjects": ["cyverse.log.>"]});
    let (place, server) = place(&[part]);
    let run = doctor(&place, &server, &[]);
    assert_eq!((run.code, &*run.stderr), (Some(0), ""));
    assert!(run.stdout.ends_with("\n0 errors, 1 warning\n"), "{run:?}");
}

#[test]
fn without_a_connection_it_says_why() {
    let (place, mut server) = place(&[]);
    server.down();
    let run = doctor(&place, &server, &[]);
    assert_eq!((run.code, &*run.stdout), (Some(4), ""));
    let reason = format!(
        "conche: cannot connect to {} in 1 attempt: IO error: Connection refused (os error 111)\n",
        server.url()
    );
    assert_eq!(run.stderr, reason);
    let config = place.file("conche.toml", "natz = 1\n");
    let run = doctor(&place, &server, &["--config", config]);
    assert_eq!(run.code, Some(3), "{run:?}");
}

/// Findings about plugins, with PLACE for where they lie.
fn of_plugins(place: &Place, server: &NatsServer, arguments: &[&str]) -> Vec<[String; 3]> {
    let arguments: Vec<_> = ["--json"].iter().chain(arguments).copied().collect();
    let run = doctor(place, server, &arguments);
    let shown: Value = serde_json::from_str(&run.stdout).unwrap();
    let findings = shown["findings"].as_array().unwrap().iter();
    let of_plugins = findings.filter(|finding| finding["check"] == "plugins");
    let dir = place.dir.path().to_string_lossy();
    let text = |finding: &Value, key: &str| {
        let text = finding[key].as_str().unwrap();
        text.replace(&*dir, "PLACE")
    };
    let three = |finding: &Value| ["severity", "what", "mend"].map(|key| text(finding, key));
    of_plugins.map(three).collect()
}

#[test]
fn a_plugin_that_is_refused_comes_with_what_mends_it() {
    let (place, server) = place(&[]);
    place.file("plugins/greeter.toml", "[grants]\nquery = []\n");
    let found = of_plugins(&place, &server, &[]);
    let what = "a host would refuse greeter.wasm: registers `cyverse.greeter.Greet`: not granted";
    let mend = "add \"cyverse.greeter.Greet\" to query in [grants] of PLACE/plugins/greeter.toml";
    assert_eq!(found, [["error", what, mend]]);
    place.file("plugins/greeter.toml", "grants.query = 5\n");
    let found = of_plugins(&place, &server, &[]);
    assert_eq!(found[0][2], "edit PLACE/plugins/greeter.toml");
}

/// Whoever opened it would wait for ever.
#[test]
fn a_policy_that_is_no_file_is_refused_as_a_host_does() {
    let (place, server) = place(&[]);
    let pipe = place.dir.path().join("plugins/greeter.toml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let found = of_plugins(&place, &server, &[]);
    let what = "a host would refuse greeter.wasm: its policy PLACE/plugins/greeter.toml cannot be \
                read: is no regular file";
    assert_eq!(found, [["error", what, "edit PLACE/plugins/greeter.toml"]]);
}

#[test]
fn it_looks_at_the_files_that_a_host_would_look_at() {
    let (place, server) = place(&[]);
    place.file("plugins/.part.wasm", "");
    place.file("plugins/Users.wasm", "");
    let found = of_plugins(&place, &server, &[]);
    let what = "a host passes over Users.wasm: plugin name `Users` has the character 'U': only a-z, \
                0-9, `_` and `-` are taken, such as `users`";
    let mend = "rename or remove PLACE/plugins/Users.wasm";
    assert_eq!(found, [["warning", what, mend]]);
}

#[test]
fn a_directory_that_a_host_would_not_start_with_is_an_error() {
    let (place, server) = place(&[]);
    let found = of_plugins(&place, &server, &["--policies", "none"]);
    let what = "policies directory `PLACE/none` does not exist";
    let mend = "create it, or name another: --policies";
    assert_eq!(found, [["error", what, mend]]);
    let link = place.dir.path().join("link");
    std::os::unix::fs::symlink("link", link).unwrap();
    let found = of_plugins(&place, &server, &["--plugins", "link"]);
    let what = "plugins directory `PLACE/link` cannot be read: ";
    assert!(found[0][1].starts_with(what), "{found:?}");
    assert_eq!(found[0][2], "name another: --plugins");
}

#[test]
fn a_host_says_at_its_start_what_is_seen_at_once() {
    let part = json!({"name": "log", "subjects": ["cyverse.log.>"]});
    let (place, server) = place(&[part]);
    let mut command = place.command(&["run", "--health-listen", "off", "--log-format", "json"]);
    let spawned = command
        .env("NATS_URL", server.url())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut host = Killed(spawned.unwrap());
    let log = lines(host.0.stderr.take().unwrap());
    let until = Instant::now() + DEADLINE;
    let line = loop {
        let left = until.saturating_duration_since(Instant::now());
        let line = log.recv_timeout(left).expect("nothing was found");
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["message"] == "found at the start" {
            break line;
        }
    };
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["check"], "overlap");
    assert_eq!(line["mend"], "conche doctor prints the command");
    let what = "stream `log` takes subjects of the query namespace cyverse.>: askers there get its acknowledgement as their answer";
    assert_eq!(line["what"], what);
}
