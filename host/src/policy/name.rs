//! The name of a plugin: the stem of its file.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The longest name, in characters: it becomes a part of consumer names and subjects.
pub const MAX_NAME: usize = 64;

/// `[a-z0-9_-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PluginName(String);

/// Why a text names no plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No characters at all, or a path that ends in no file name.
    #[error("plugin name is empty: name the file <name>.wasm")]
    Empty,
    /// More than [`MAX_NAME`].
    #[error("plugin name `{name}` has {length} characters, at most {MAX_NAME} are taken")]
    TooLong {
        /// The name given.
        name: String,
        /// Its length in characters.
        length: usize,
    },
    /// It becomes part of NATS subjects, consumer names and metric labels.
    #[error(
        "plugin name `{name}` has the character {character:?}: only a-z, 0-9, `_` and `-` are taken{}",
        .better.as_ref().map(|name| format!(", such as `{name}`")).unwrap_or_default()
    )]
    Character {
        /// The name given.
        name: String,
        /// The first character that is not taken.
        character: char,
        /// A name close by that would do.
        better: Option<String>,
    },
}

impl PluginName {
    /// The name of the plugin in this file: `plugins/users.wasm` holds `users`.
    ///
    /// # Errors
    /// The stem is no plugin name.
    pub fn of_file(path: &Path) -> Result<PluginName, NameError> {
        path.file_stem()
            .map(|stem| stem.to_string_lossy())
            .unwrap_or_default()
            .parse()
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<PluginName, NameError> {
        let length = name.chars().count();
        if length == 0 {
            return Err(NameError::Empty);
        }
        if length > MAX_NAME {
            return Err(NameError::TooLong {
                name: name.to_owned(),
                length,
            });
        }
        if let Some(character) = name.chars().find(|c| !is_taken(*c)) {
            return Err(NameError::Character {
                name: name.to_owned(),
                character,
                better: better(name),
            });
        }
        Ok(PluginName(name.to_owned()))
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for PluginName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

fn is_taken(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '_' | '-')
}

fn better(name: &str) -> Option<String> {
    let name: String = name
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if is_taken(c) { c } else { '-' })
        .collect();
    let name = name.trim_matches('-').to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Result<(), &str>) {
        let found = name
            .parse::<PluginName>()
            .map(|_| ())
            .map_err(|e| e.to_string());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn names() {
        check("users", Ok(()));
        check("a-b_9", Ok(()));
        check(&"a".repeat(64), Ok(()));
        check("", Err("plugin name is empty: name the file <name>.wasm"));
        check(
            "Users.v2",
            Err(
                "plugin name `Users.v2` has the character 'U': only a-z, 0-9, `_` and `-` are taken, such as `users-v2`",
            ),
        );
        check(
            "é",
            Err("plugin name `é` has the character 'é': only a-z, 0-9, `_` and `-` are taken"),
        );
        let long = "a".repeat(65);
        check(
            &long,
            Err(&format!(
                "plugin name `{long}` has 65 characters, at most 64 are taken"
            )),
        );
    }

    #[test]
    fn name_is_the_file_stem() {
        let name = PluginName::of_file(Path::new("/plugins/users.wasm"));
        assert_eq!(name.map(|n| n.to_string()), Ok("users".to_owned()));
        assert_eq!(PluginName::of_file(Path::new("/")), Err(NameError::Empty));
    }
}
