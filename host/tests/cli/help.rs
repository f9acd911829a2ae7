//! `--help` of every command there is.

use crate::conche::Place;

#[test]
fn every_command_explains_itself_with_an_example() {
    let place = Place::new();
    let top = place.run(&["--help"]);
    assert_eq!(top.code, Some(0));
    insta::assert_snapshot!("help", top.stdout);
    let listed = top.stdout.split("Commands:\n").nth(1).unwrap();
    let listed = listed.lines().take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| *name != "help") {
        let help = place.run(&[name, "--help"]);
        assert_eq!((help.code, &*help.stderr), (Some(0), ""));
        assert!(help.stdout.contains("\nExample:\n  "), "{name}: an example");
        insta::assert_snapshot!(format!("help_{name}"), help.stdout);
    }
}

#[test]
fn a_command_that_does_not_exist_is_a_matter_of_usage() {
    let run = Place::new().run(&["rnu"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("unrecognized subcommand 'rnu'"),
        "{run:?}"
    );
}

#[test]
fn a_name_that_no_plugin_has_is_a_matter_of_usage() {
    let run = Place::new().run(&["new", "Hello!", "--lang", "rust"]);
    assert_eq!((run.code, &*run.stdout), (Some(2), ""));
    let begin = "error: invalid value 'Hello!' for '<NAME>': ";
    assert!(run.stderr.starts_with(begin), "{run:?}");
}
