//! `docs/testing.md`: what it shows runs, and what `conche test` reads is in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::conche::{Place, Run};
use crate::test::timeless;

/// What stands between two fences.
struct Block {
    /// After the first fence.
    info: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn guide() -> String {
    std::fs::read_to_string(root().join("docs/testing.md")).unwrap()
}

fn blocks() -> Vec<Block> {
    let guide = guide();
    let fenced = guide.split("```").skip(1).step_by(2);
    let block = |fenced: &str| {
        let (info, text) = fenced.split_once('\n').unwrap();
        Block {
            info: info.to_owned(),
            text: text.to_owned(),
        }
    };
    fenced.map(block).collect()
}

/// Runs cases on a plugin under the policy that lies beside its source.
fn run(plugin: &str, cases: &str) -> Run {
    let policy = match plugin {
        "probe" => root().join("host/tests/cli/cases/probe.toml"),
        plugin => root().join(format!("plugins/{plugin}/{plugin}.toml")),
    };
    let place = Place::new();
    std::fs::create_dir(place.dir.path().join("tests")).unwrap();
    place.file(&format!("tests/{plugin}.yaml"), cases);
    std::fs::copy(policy, place.dir.path().join(format!("{plugin}.toml"))).unwrap();
    place.run(&["test", "--component", &place.guest(plugin)])
}

#[test]
fn what_the_guide_shows_runs() {
    let blocks = blocks();
    let mut passed = 0;
    for block in &blocks {
        let words: Vec<_> = block.info.split(' ').collect();
        if let ["yaml", plugin] = words.as_slice() {
            let run = run(plugin, &block.text);
            assert_eq!(run.code, Some(0), "{}{}", block.text, run.stdout);
            passed += 1;
        }
    }
    assert!(passed > 5, "only {passed} examples were found");
}

#[test]
fn what_the_guide_shows_of_a_failure_is_what_is_printed() {
    let blocks = blocks();
    let mut after = blocks.iter();
    let fails = after
        .find(|block| block.info == "yaml orders fails")
        .unwrap();
    let shown = after.next().unwrap();
    let run = run("orders", &fails.text);
    assert_eq!(run.code, Some(1), "{run:?}");
    let printed = timeless(&run.stdout);
    assert!(printed.contains(&shown.text), "{printed}");
}

/// Every key that the parser asks for by name.
#[test]
fn the_guide_has_every_key() {
    let mut keys = BTreeSet::new();
    for file in ["case", "expected", "message"] {
        let source = root().join(format!("host/src/trial/{file}.rs"));
        let source = std::fs::read_to_string(source).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        let quoted = source.split('"').skip(1).step_by(2);
        let is_key = |word: &&str| {
            let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            !word.is_empty() && word.chars().all(letters)
        };
        keys.extend(quoted.filter(is_key).map(str::to_owned));
    }
    assert!(keys.len() > 40, "only {keys:?} were found");
    let guide = guide();
    let missing: Vec<_> = keys
        .iter()
        .filter(|key| !guide.contains(&format!("`{key}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
