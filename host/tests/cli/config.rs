//! `conche config`, and how every command reports mistakes in it.

use crate::conche::Place;

const FILE: &str = "[nats]\nurls = ['nats://a:4222']\nqueue_group = 'workers'\n";

#[test]
fn each_value_is_shown_with_its_origin() {
    let place = Place::new();
    place.file("conche.toml", FILE);
    let arguments = [
        "config",
        "--plugins",
        "/srv/plugins",
        "--listen",
        "127.0.0.1:80",
    ];
    let variables = [
        ("NATS_URL", "nats://user:secret@b:4222"),
        ("CONCHE_GATEWAY_TOKEN", "s3cret"),
    ];
    let run = place.run_with(&arguments, &variables);
    assert_eq!((run.code, &*run.stderr), (Some(0), ""));
    assert!(
        !run.stdout.contains("s3cret") && !run.stdout.contains("secret@"),
        "{run:?}"
    );
    let line = |key: &str| {
        let mut lines = run
            .stdout
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.find(|words| words[0] == key).unwrap()[1..].join(" ")
    };
    assert_eq!(line("nats.urls"), "nats://…@b:4222 NATS_URL");
    assert_eq!(line("nats.queue_group"), "workers conche.toml:3");
    assert_eq!(line("plugins.dir"), "/srv/plugins --plugins");
    assert_eq!(line("gateway.listen"), "127.0.0.1:80 --listen");
    assert_eq!(line("gateway.token"), "(secret) CONCHE_GATEWAY_TOKEN");
    assert_eq!(line("calls.hop_limit"), "16 default");
}

#[test]
fn a_program_gets_the_same_as_json() {
    let place = Place::new();
    place.file("conche.toml", FILE);
    let human = place.run(&["config"]).stdout;
    let run = place.run(&["config", "--json"]);
    let shown: Vec<serde_json::Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(shown.len(), human.lines().count());
    let group = shown
        .iter()
        .find(|it| it["key"] == "nats.queue_group")
        .unwrap();
    assert_eq!(group["value"], "workers");
    assert_eq!(group["origin"], "conche.toml:3");
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let place = Place::new();
    let text = "[nats]\nurlz = 'x'\n[calls]\nslots = 0\n[plugins.ceiling.limits]\ncpu = 'soon'\n[log]\nlevel = 'conche=loud'\n";
    place.file("conche.toml", text);
    let variables = [("NATS_URL", "http://b"), ("NATS_MAX_RECONNECTS", "many")];
    let run = place.run_with(&["config", "--log-format", "yaml"], &variables);
    assert_eq!((run.code, &*run.stdout), (Some(3), ""));
    insta::assert_snapshot!(run.stderr);
    // The same before anything starts.
    let dev = place.run_with(&["dev", "plugins", "--log-format", "yaml"], &variables);
    assert_eq!((dev.code, dev.stderr), (Some(3), run.stderr));
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let run = Place::new().run(&["config", "--config", "none.toml"]);
    assert_eq!(run.code, Some(3));
    let expected = "conche: can't read none.toml: No such file or directory (os error 2): --config or CONCHE_CONFIG names it\n";
    assert_eq!(run.stderr, expected);
}
