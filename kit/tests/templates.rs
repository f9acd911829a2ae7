//! Every template builds, with its language's own toolchain: what `conche new` makes works.

use conche_kit::{Kind, Language, build, create};
use tempfile::tempdir;

/// Makes a project of each kind and builds it; `build` sees that it exports what its kind says.
fn check(language: Language) {
    for kind in [Kind::Query, Kind::Event, Kind::Both] {
        let dir = tempdir().unwrap();
        let project = create(&dir.path().join("my-plugin"), "my-plugin", language, kind).unwrap();
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
    }
}

#[test]
fn rust() {
    check(Language::Rust);
}

#[test]
fn c() {
    check(Language::C);
}
