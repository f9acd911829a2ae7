//! `conche config`, and how every command reports mistakes in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

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
fn so_are_files_that_a_connection_would_miss() {
    let place = Place::new();
    place.file(
        "conche.toml",
        "[nats.auth]\ncreds = 'nope.creds'\n[nats.tls]\nca = 'nope.pem'\n",
    );
    let run = place.run(&["config"]);
    assert_eq!((run.code, &*run.stdout), (Some(3), ""));
    let dir = place.dir.path().canonicalize().unwrap();
    let why = |line: u8, key: &str, file: &str| {
        let file = dir.join(file);
        let file = file.display();
        format!(
            "conche: conche.toml:{line}: {key}: {file}: No such file or directory (os error 2)\n"
        )
    };
    let both = [
        why(2, "nats.auth.creds", "nope.creds"),
        why(4, "nats.tls.ca", "nope.pem"),
    ];
    assert_eq!(run.stderr, both.concat());
    for command in [&["run"][..], &["doctor"], &["request", "a", "{}"]] {
        let other = place.run(command);
        assert_eq!((other.code, &other.stderr), (Some(3), &run.stderr));
    }
    // A probe asks a host that is connected already, and may not be allowed to read them.
    let probe = place.run_with(&["health"], &[("CONCHE_HEALTH_LISTEN", "127.0.0.1:1")]);
    assert_eq!(probe.code, Some(1), "{probe:?}");
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let run = Place::new().run(&["config", "--config", "none.toml"]);
    assert_eq!(run.code, Some(3));
    let expected = "conche: can't read none.toml: No such file or directory (os error 2): --config or CONCHE_CONFIG names it\n";
    assert_eq!(run.stderr, expected);
}

/// What `docs/settings.md` says of each key, by section: its default. A section has a row of no key.
fn documented() -> BTreeMap<(String, String), String> {
    let (mut prefix, mut section) = ("", String::new());
    let mut rows = BTreeMap::new();
    for line in include_str!("../../../docs/settings.md").lines() {
        if line.starts_with("## A plugin's policy") {
            prefix = "plugins.default.";
        } else if let Some(heading) = line.strip_prefix("### `[") {
            section = prefix.to_owned() + heading.split(']').next().unwrap();
            rows.insert((section.clone(), String::new()), String::new());
        } else if let Some(row) = line.strip_prefix("| `") {
            let (key, rest) = row.split_once("` | ").unwrap();
            let default = rest.split(" | ").next().unwrap();
            rows.insert((section.clone(), key.to_owned()), default.to_owned());
        }
    }
    rows
}

#[test]
fn each_setting_is_documented_with_its_default() {
    let documented = documented();
    let sections: BTreeSet<&str> = documented.keys().map(|(it, _)| &**it).collect();
    let free = "plugins.default.config";
    let mut file = "none-such = 1\n".to_owned();
    for section in sections.iter().filter(|it| !it.is_empty() && **it != free) {
        write!(file, "[{section}]\nnone-such = 1\n").unwrap();
    }
    let place = Place::new();
    place.file("conche.toml", &file);
    let run = place.run(&["config"]);
    let mut known = BTreeSet::from([(free.to_owned(), String::new())]);
    for line in run.stderr.lines() {
        let (key, keys) = line.split_once(": unknown key: there are ").unwrap();
        let section = key.rsplit(": ").next().unwrap().strip_suffix("none-such");
        let section = section.unwrap().trim_end_matches('.');
        for key in keys.split(", ") {
            let whole = [section, key].join(".").trim_matches('.').to_owned();
            // A section stands for itself, in a row or under a heading.
            if sections.contains(&*whole) {
                known.insert((whole, String::new()));
            } else {
                known.insert((section.to_owned(), key.to_owned()));
            }
        }
    }
    let is_section = |(section, key): &(String, String)| {
        let whole = format!("{section}.{key}");
        key.is_empty() || whole == "plugins.default" || sections.contains(&*whole)
    };
    let rows: BTreeSet<_> = documented
        .keys()
        .filter(|it| !is_section(it))
        .cloned()
        .collect();
    let keys: BTreeSet<_> = known.iter().filter(|it| !is_section(it)).cloned().collect();
    let differs: Vec<_> = rows.symmetric_difference(&keys).collect();
    assert!(
        differs.is_empty(),
        "only in docs/settings.md, or not there: {differs:?}"
    );

    place.file("conche.toml", "");
    let shown = place.run(&["config", "--json"]).stdout;
    let shown: Vec<serde_json::Value> = serde_json::from_str(&shown).unwrap();
    let shown = shown
        .iter()
        .map(|it| [&it["key"], &it["value"]].map(|it| it.as_str().unwrap()));
    let mut compared = 0;
    for [key, value] in shown {
        let (section, last) = key.rsplit_once('.').unwrap_or(("", key));
        let default = &documented[&(section.to_owned(), last.to_owned())];
        // What depends on the machine is said in words.
        if default.starts_with('`') && default.ends_with('`') {
            assert_eq!(
                default.trim_matches('`'),
                value,
                "{key} in docs/settings.md"
            );
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
    for limit in conche::policy::limits::LIMITS {
        let default = &documented[&("plugins.default.limits".to_owned(), limit.key.to_owned())];
        let value = limit.unit.show(limit.default);
        assert!(
            default.contains(&value) || limit.default == u64::MAX,
            "{} in docs/settings.md",
            limit.key
        );
    }
}
