//! New projects, from templates that the binary carries: what all languages share, what all kinds
//! of one language share, and the handlers themselves.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use include_dir::{Dir, include_dir};

use crate::build;
use crate::language::Language;
use crate::manifest::{Kind, MANIFEST, check_name};
use crate::project::Project;
use crate::sdk::{self, Files};

/// `common/<kind>` for every language, `<language>/common` for every kind, `<language>/<kind>`.
static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// Makes a project in a directory that is not there yet, or is empty: a handler that works, its
/// tests, and the SDK unpacked.
pub fn create(dir: &Path, name: &str, language: Language, kind: Kind) -> Result<Project> {
    check_name(name)?;
    let shown = dir.display();
    if dir.is_file() || fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("`{shown}` is there already: choose another name, or another directory with --dir");
    }
    let files = files(name, language, kind)?;
    for (path, bytes) in &files {
        sdk::write(&dir.join(path), bytes)?;
    }
    let project = Project::open(dir).context("in the template")?;
    build::prepare(&project)?;
    Ok(project)
}

fn files(name: &str, language: Language, kind: Kind) -> Result<Files> {
    let mut templates = Files::new();
    for part in [
        format!("common/{}", kind.name()),
        format!("{language}/common"),
        format!("{language}/{}", kind.name()),
    ] {
        let dir = TEMPLATES
            .get_dir(&part)
            .with_context(|| format!("no template `{part}`"))?;
        sdk::add(&mut templates, "", dir);
    }
    let mut files = Files::new();
    for (path, bytes) in templates {
        let text = String::from_utf8(bytes.into_owned()).context("a template is text")?;
        let text = text
            .replace("{{name}}", name)
            .replace("{{crate}}", &crate_name(name))
            .replace("{{identifier}}", &name.replace('-', "_"))
            .replace("{{version}}", env!("CARGO_PKG_VERSION"));
        // A file of this name here would be about the templates themselves.
        let path = if path.ends_with("gitignore") {
            ".gitignore".into()
        } else {
            path
        };
        files.insert(path, text.into_bytes().into());
    }
    files.insert(
        MANIFEST.into(),
        manifest(name, language, kind).into_bytes().into(),
    );
    files.insert(
        format!("{name}.toml").into(),
        policy(kind).as_bytes().into(),
    );
    Ok(files)
}

/// Plugins may begin with a digit, crates may not.
fn crate_name(name: &str) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("plugin-{name}")
    } else {
        name.to_owned()
    }
}

fn manifest(name: &str, language: Language, kind: Kind) -> String {
    let mut text = format!(
        "name = \"{name}\"\nlanguage = \"{language}\"\nkind = \"{}\"\n",
        kind.name()
    );
    if language.imports_whole_world() {
        let uses = if kind.handles_events() {
            "\"emit\""
        } else {
            ""
        };
        text.push_str(&format!(
            "uses = [{uses}]  # of emit, request, exchange, listeners\n"
        ));
    }
    text
}

fn policy(kind: Kind) -> &'static str {
    if kind.handles_events() {
        "# What the plugin may send, and its limits and configuration where they differ from the host's defaults.\n\
         [grants]\nemit = [\"org.cyverse.events.Greeted\"]\n"
    } else {
        "# The plugin's limits and configuration, where they differ from the host's defaults. It sends nothing.\n\
         [limits]\ndeadline = \"2s\"\n"
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::tempdir;

    use super::create;
    use crate::{Kind, Language, Project};

    #[test]
    fn a_project_says_what_it_is_and_has_no_placeholders() {
        for language in Language::ALL {
            for kind in Kind::ALL {
                let dir = tempdir().unwrap();
                let project = create(dir.path(), "my-plugin", language, kind).unwrap();
                assert_eq!(
                    project.manifest,
                    Project::open(dir.path()).unwrap().manifest
                );
                assert_eq!(
                    (project.manifest.language, project.manifest.kind),
                    (language, kind)
                );
                assert!(project.policy().is_some(), "{language}");
                assert!(project.tests().is_dir(), "{language}");
                for entry in fs::read_dir(dir.path()).unwrap().flatten() {
                    let text = fs::read_to_string(entry.path()).unwrap_or_default();
                    assert!(
                        !text.contains("{{"),
                        "{language}: {}",
                        entry.path().display()
                    );
                }
            }
        }
    }

    #[test]
    fn a_crate_has_a_name_that_cargo_takes() {
        let named = |name: &str| {
            let dir = tempdir().unwrap();
            create(dir.path(), name, Language::Rust, Kind::Query).unwrap();
            fs::read_to_string(dir.path().join("Cargo.toml")).unwrap()
        };
        assert!(named("9a").contains("name = \"plugin-9a\""));
        assert!(named("a9").contains("name = \"a9\""));
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let dir = tempdir().unwrap();
        fs::write(dir.path().join("mine"), "").unwrap();
        for there in [dir.path().to_owned(), dir.path().join("mine")] {
            let error = create(&there, "a", Language::C, Kind::Query).unwrap_err();
            assert!(error.to_string().contains("is there already"), "{error}");
        }
        let error = create(&dir.path().join("b"), "B", Language::C, Kind::Query).unwrap_err();
        assert!(
            error.to_string().starts_with("`B` is no plugin name"),
            "{error}"
        );
        assert!(!dir.path().join("b").exists());
    }
}
