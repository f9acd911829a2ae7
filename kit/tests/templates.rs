//! Every template builds, with its language's own toolchain: what `conche new` makes works.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test as its own lines do"
)]

use std::fs;
use std::path::{Path, PathBuf};

use conche_kit::{Kind, Language, Project, build, create};
use tempfile::tempdir;

/// Makes a project of each kind and builds it; `build` sees that it exports what its kind says.
fn check(language: Language) {
    let dir = tempdir().unwrap();
    let mut last: Option<PathBuf> = None;
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
fn toolchain_rust() {
    check(Language::Rust);
}

#[test]
fn toolchain_js() {
    check(Language::Js);
}

#[test]
fn toolchain_ts() {
    check(Language::Ts);
}

#[test]
fn toolchain_starlingmonkey() {
    let dir = tempdir().unwrap();
    let dir = dir.path().join("big");
    create(&dir, "big", Language::Js, Kind::Both).unwrap();
    let manifest = dir.join(conche_kit::MANIFEST);
    let text = fs::read_to_string(&manifest).unwrap();
    let text = format!("{text}\n[js]\nengine = \"starlingmonkey\"\n");
    fs::write(&manifest, text).unwrap();
    let built = build(&Project::open(&dir).unwrap(), None).unwrap();
    assert!(built.bytes > 8_000_000, "{built:?}");
}

#[test]
fn toolchain_python() {
    check(Language::Python);
}

#[test]
fn toolchain_c() {
    check(Language::C);
}

#[test]
fn toolchain_zig() {
    check(Language::Zig);
}

#[test]
fn toolchain_go() {
    check(Language::Go);
}
