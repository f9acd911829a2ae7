//! `conche request`, `publish` and `listen`, against services that use the old Go package: the program
//! of `tests/interop/go` plays them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::conche::{DEADLINE, Killed, Run, lines};
use crate::online::Online;

const ADA: &str = r#"{"name":"Ada"}"#;
const HAPPENED: &str = "org.cyverse.events.Happened";

/// One that answers queries; it ends with its stdin, and so with the test.
fn old_service(online: &Online) -> Killed {
    let mut command = program(online);
    command.args(["service"]).stdin(Stdio::piped());
    let mut service = Killed(command.stdout(Stdio::piped()).spawn().unwrap());
    let said = lines(service.0.stdout.take().unwrap());
    assert_eq!(said.recv_timeout(DEADLINE).as_deref(), Ok("ready"));
    // Read on: it would be stopped by a pipe that nobody reads.
    std::thread::spawn(move || said.into_iter().for_each(drop));
    service
}

fn program(online: &Online) -> Command {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop/interop");
    let program = std::env::var_os("CONCHE_INTEROP").map_or(built, PathBuf::from);
    assert!(
        program.is_file(),
        "the Go program is not built: run cargo xtask test"
    );
    let mut command = Command::new(program);
    command.env_clear().envs([
        ("NATS_URL", &*online.server.url()),
        ("NATS_QUEUE_GROUP", "old-services"),
        ("NATS_CLIENT_ID", "old-service-0"),
        ("NATS_DURABLE_NAME", "old-service"),
        ("NATS_EVENTS_TIMEOUT", "30"),
    ]);
    command
}

#[test]
fn an_old_service_is_asked() {
    let online = Online::start();
    let _service = old_service(&online);
    let check = |op: &str, code: i32, stdout: &str| {
        let run = online.run(&["request", op, ADA, "--tid", "tid-1", "--timeout", "2s"]);
        assert_eq!((run.code, &*run.stdout), (Some(code), stdout), "{run:?}");
    };
    for op in ["cyverse.interop.Object", "cyverse.interop.Bytes"] {
        let got = format!(r#"{{"data":{ADA},"op":"{op}","transactionID":"tid-1"}}"#);
        check(op, 0, &format!("{got}\n"));
    }
    check("cyverse.interop.String", 0, "\"a \\\"string\\\"\"\n");
    // No event: its bytes as they came.
    check("cyverse.interop.Raw", 0, "no\0event\n");
    // It fails, and so says nothing; what nobody handles its wildcard swallows.
    check("cyverse.interop.Err", 7, "");
    check("cyverse.nobody.Get", 7, "");
    // Beside it, the host answers what it registered.
    check(
        "cyverse.greeter.Greet",
        0,
        "{\"greeting\":\"Hello, Ada!\"}\n",
    );
}

#[test]
fn doctor_names_an_old_service_on_the_whole_namespace() {
    let online = Online::start();
    let healthy = online.run(&["doctor"]);
    assert_eq!(
        (healthy.code, &*healthy.stdout),
        (Some(0), "nothing found\n")
    );
    let _service = old_service(&online);
    let found = online.run(&["doctor"]);
    assert!(found.stdout.contains("old-services"), "{found:?}");
    assert!(found.stdout.contains("cyverse.>"), "{found:?}");
}

#[test]
fn events_go_to_and_come_from_an_old_service() {
    let online = Online::start();
    let listening = online.listen(&[HAPPENED, "--once"]);
    let mut publish = program(&online);
    publish.args(["publish", "-tid", "tid-9", HAPPENED, ADA]);
    let published: Value = serde_json::from_str(&Run::of(&mut publish).stdout).unwrap();
    let heard = listening.next();
    assert_eq!(heard["id"], published["id"]);
    assert_eq!(heard["transactionid"], "tid-9");
    assert_eq!(heard["data"], json!({"name": "Ada"}));
    assert_eq!(listening.end(), Some(0));

    let ours = "org.cyverse.events.Ours";
    let run = online.run(&["publish", ours, ADA, "--tid", "tid-8"]);
    let stored: Value = serde_json::from_str(&run.stdout).unwrap();
    let mut consume = program(&online);
    consume.args(["consume", "-count", "1", "conche-events", ours]);
    let read: Value = serde_json::from_str(&Run::of(&mut consume).stdout).unwrap();
    assert_eq!(read["id"], stored["id"]);
    assert_eq!(read["transactionid"], "tid-8");
    assert_eq!(read["data"], json!({"name": "Ada"}));
}
