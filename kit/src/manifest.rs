//! `conche-plugin.toml`: what a project says of its plugin. Pure.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::Language;

/// The file's name, in the project's directory.
pub const MANIFEST: &str = "conche-plugin.toml";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// Of the plugin, and so of its file: `<name>.wasm`.
    pub name: String,
    pub language: Language,
    pub kind: Kind,
    /// What it calls of the host beside what every plugin may: only where the toolchain imports all
    /// that the world has.
    #[serde(default)]
    pub uses: Vec<Use>,
    /// JavaScript and TypeScript only.
    #[serde(default)]
    pub js: Js,
    /// Where `conche test` finds the cases, from the project's directory.
    #[serde(default = "default_tests")]
    pub tests: PathBuf,
    /// The policy it is tested under. None: `<name>.toml` beside the manifest, if it is there.
    pub policy: Option<PathBuf>,
}

/// What only JavaScript and TypeScript plugins say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Js {
    #[serde(default)]
    pub engine: Engine,
}

/// What runs the JavaScript in a component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Small, quick to start.
    #[default]
    Quickjs,
    /// Firefox's, with nearly all of the web's globals: ten times the size, a hundred milliseconds
    /// of processor time to load.
    Starlingmonkey,
}

/// What a plugin handles: which of the handler interfaces it exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Query,
    Event,
    Both,
}

/// An interface that a plugin may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    Emit,
    Request,
    Exchange,
    Listeners,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Query, Kind::Event, Kind::Both];

    /// As `--kind` and manifests have it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Query => "query",
            Kind::Event => "event",
            Kind::Both => "both",
        }
    }

    pub fn handles_queries(self) -> bool {
        self != Kind::Event
    }

    pub fn handles_events(self) -> bool {
        self != Kind::Query
    }
}

impl Engine {
    /// As manifests have it.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Quickjs => "quickjs",
            Engine::Starlingmonkey => "starlingmonkey",
        }
    }
}

impl Use {
    pub const ALL: [Use; 4] = [Use::Emit, Use::Request, Use::Exchange, Use::Listeners];

    /// The interface's name in `conche:handler`.
    pub fn name(self) -> &'static str {
        match self {
            Use::Emit => "emit",
            Use::Request => "request",
            Use::Exchange => "exchange",
            Use::Listeners => "listeners",
        }
    }
}

impl Manifest {
    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Manifest> {
        let manifest: Manifest = toml::from_str(text)?;
        check_name(&manifest.name)?;
        let language = manifest.language;
        if !manifest.uses.is_empty() && !language.imports_whole_world() {
            bail!(
                "`uses` says nothing for {language}: its linker drops what the plugin does not call; delete the line"
            );
        }
        if manifest.js != Js::default() && !matches!(language, Language::Js | Language::Ts) {
            bail!("[js] says nothing for {language}: delete it");
        }
        Ok(manifest)
    }

    /// What the plugin's world imports beside the base.
    pub(crate) fn imports(&self) -> &[Use] {
        if self.language.imports_whole_world() {
            &self.uses
        } else {
            &Use::ALL
        }
    }
}

/// As the host wants it of a plugin's file.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let is_legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if !(1..=64).contains(&name.len()) || !name.bytes().all(is_legal) {
        bail!("`{name}` is no plugin name: 1 to 64 of a-z, 0-9, `_` and `-`");
    }
    Ok(())
}

fn default_tests() -> PathBuf {
    PathBuf::from("tests")
}

#[cfg(test)]
mod tests {
    use super::{Engine, Kind, Manifest, Use};
    use crate::Language;

    #[test]
    fn a_manifest_says_little() {
        let text = "name = 'a-1'\nlanguage = 'ts'\nkind = 'both'\nuses = ['emit', 'listeners']\n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.language, Language::Ts);
        assert_eq!(manifest.kind, Kind::Both);
        assert_eq!(manifest.imports(), [Use::Emit, Use::Listeners]);
        assert_eq!(manifest.js.engine, Engine::Quickjs);
        assert_eq!(manifest.tests.to_str(), Some("tests"));
        assert_eq!(manifest.policy, None);
    }

    /// What is written after a name, and what the error must tell of it.
    fn refused(rest: &str, reason: &str) {
        let text = format!("name = 'a'\n{rest}");
        let error = Manifest::parse(&text).unwrap_err().to_string();
        assert!(error.contains(reason), "{rest}: {error}");
    }

    #[test]
    fn a_mistake_is_named() {
        refused("kind = 'query'", "missing field `language`");
        refused("language = 'rust'", "missing field `kind`");
        refused(
            "language = 'rust'\nkind = 'all'",
            "expected one of `query`, `event`, `both`",
        );
        refused("language = 'perl'\nkind = 'both'", "unknown variant `perl`");
        refused(
            "language = 'js'\nkind = 'both'\nuse = []",
            "unknown field `use`",
        );
        refused(
            "language = 'js'\nkind = 'both'\nuses = ['log']",
            "unknown variant `log`",
        );
        let uses = "language = 'zig'\nkind = 'both'\nuses = ['emit']";
        refused(uses, "`uses` says nothing for zig: its linker drops");
        let engine = "language = 'go'\nkind = 'both'\n[js]\nengine = 'starlingmonkey'";
        refused(engine, "[js] says nothing for go: delete it");
        let error = Manifest::parse("name = 'A b'\nlanguage = 'c'\nkind = 'query'").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`A b` is no plugin name: 1 to 64 of a-z, 0-9, `_` and `-`"
        );
    }
}
