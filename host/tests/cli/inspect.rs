//! `conche inspect`.

use serde_json::json;

use crate::conche::Place;

#[test]
fn a_plugin_is_shown_to_a_person() {
    let place = Place::new();
    let run = place.run(&["inspect", &place.guest("orders")]);
    assert_eq!((run.code, &*run.stderr), (Some(0), ""));
    // What differs from one compiler to the next is left out.
    let shown: String = run
        .stdout
        .lines()
        .filter(|line| !line.starts_with("  wasi:"))
        .map(|line| match line.split_once("  ") {
            Some(("digest", _)) => "digest    …\n".to_owned(),
            Some(("size", _)) => "size      …\n".to_owned(),
            Some(("compiled", _)) => "compiled  …\n".to_owned(),
            _ => format!("{line}\n"),
        })
        .collect();
    insta::assert_snapshot!(shown);
}

#[test]
fn a_plugin_is_shown_to_a_program() {
    let place = Place::new();
    let greeter = place.guest("greeter");
    let size = std::fs::metadata(place.dir.path().join(&greeter))
        .unwrap()
        .len();
    let run = place.run(&["inspect", &greeter, "--json"]);
    assert_eq!(run.code, Some(0));
    let mut shown: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let fields = shown.as_object_mut().unwrap();
    assert_eq!(fields.remove("digest").unwrap().as_str().unwrap().len(), 64);
    assert_eq!(fields.remove("size_bytes"), Some(json!(size)));
    assert!(fields.remove("compile_us").unwrap().as_u64().unwrap() > 0);
    let imports = fields.remove("imports").unwrap();
    let registers = json!("conche:handler/registration@0.1.0");
    assert!(
        imports.as_array().unwrap().contains(&registers),
        "{imports}"
    );
    let exports = fields.remove("exports").unwrap();
    let answers = json!("conche:handler/query-handler@0.1.0");
    assert!(exports.as_array().unwrap().contains(&answers), "{exports}");
    let expected = json!({
        "name": "greeter",
        "queries": [{"handler": "greet", "op": "cyverse.greeter.Greet"}],
        "events": [],
        "any_query": null,
        "any_event": null,
        "listeners": [],
        "reusable": true,
        "refusal": null,
        "cached": false,
    });
    assert_eq!(shown, expected);
}

#[test]
fn what_a_host_would_refuse_is_said_before_it_does() {
    let place = Place::new();
    let config = place.file("conche.toml", "nats.namespace = 'org.example.>'");
    let greeter = place.guest("greeter");
    let run = place.run(&["inspect", &greeter, "--config", config]);
    assert_eq!(run.code, Some(0));
    let note = "note      a host would refuse it: it registers query `cyverse.greeter.Greet` outside the namespace `org.example.>`";
    assert!(run.stdout.contains(note), "{run:?}");
}

#[test]
fn what_is_no_plugin_is_refused() {
    let place = Place::new();
    let run = place.run(&["inspect", &place.guest("no_lifecycle")]);
    assert_eq!(run.code, Some(5));
    let reason = "no exported instance named `conche:handler/lifecycle@0.1.0`";
    assert!(run.stderr.contains(reason), "{run:?}");
    assert_eq!(place.run(&["inspect", "none.wasm"]).code, Some(1));
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let place = Place::new();
    let mut command = place.command(&["inspect", &place.guest("greeter")]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
