//! Every template builds, with its language's own toolchain: what `conche new` makes works.

use std::fs;
use std::path::Path;

use conche_kit::{Kind, Language, Project, build, create};
use tempfile::tempdir;

/// Makes a project of each kind and builds it; `build` sees that it exports what its kind says.
fn check(language: Language) {
    let dir = tempdir().unwrap();
    let mut last = None;
    for kind in Kind::ALL {
        let own = dir.path().join(kind.name());
        let project = create(&own.join("my-plugin"), "my-plugin", language, kind).unwrap();
        if let (Language::Rust, Some(last)) = (language, &last) {
            hand_on_dependencies(last, &project.dir);
        }
        let built =
            build(&project, None).unwrap_or_else(|error| panic!("{language}, {kind:?}: {error:#}"));
        assert_eq!(built.file, project.component());
        assert!(built.bytes > 0);
        let emits = built
            .imports
            .iter()
            .any(|import| import.starts_with("conche:handler/emit@"));
        assert_eq!(
            emits,
            kind.handles_events(),
            "{kind:?}: {:?}",
            built.imports
        );
        let others =
            ["request", "exchange", "listeners"].map(|name| format!("conche:handler/{name}@0.1.0"));
        assert!(
            !built.imports.iter().any(|import| others.contains(import)),
            "{:?}",
            built.imports
        );
        last = Some(project.dir);
    }
}

/// What cargo built of the crates that every kind needs. The first kind begins with nothing; the SDK
/// and the plugin itself are built anew for each, since they lie elsewhere.
fn hand_on_dependencies(from: &Path, to: &Path) {
    let scratch = ".conche/build";
    fs::rename(from.join(scratch), to.join(scratch)).unwrap();
}

#[test]
fn rust() {
    check(Language::Rust);
}

#[test]
fn js() {
    check(Language::Js);
}

#[test]
fn ts() {
    check(Language::Ts);
}

#[test]
fn starlingmonkey() {
    let dir = tempdir().unwrap();
    let dir = dir.path().join("big");
    create(&dir, "big", Language::Js, Kind::Both).unwrap();
    let manifest = dir.join(conche_kit::MANIFEST);
    let text = std::fs::read_to_string(&manifest).unwrap();
    let text = format!("{text}\n[js]\nengine = \"starlingmonkey\"\n");
    std::fs::write(&manifest, text).unwrap();
    let built = build(&Project::open(&dir).unwrap(), None).unwrap();
    assert!(built.bytes > 8_000_000, "{built:?}");
}

#[test]
fn python() {
    check(Language::Python);
}
