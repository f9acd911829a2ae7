//! `${env:NAME}` and `${file:PATH}` inside a value; `$${` stands for `${`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where the values behind the names come from: closures, so that tests need neither an
/// environment nor files. Called once for each name that was found, and may block.
#[derive(Clone, Copy)]
pub struct Lookups<'a> {
    /// A variable of the environment.
    pub env: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// The text of a file.
    pub file: &'a (dyn Fn(&Path) -> io::Result<String> + Sync),
}

/// What a value refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `${env:NAME}`
    Env(String),
    /// `${file:PATH}`
    File(String),
}

/// Why a reference leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// A `${` without its `}`.
    #[error("`${{` without a `}}`: close it, or write `$${{` for the characters themselves")]
    Unclosed,
    /// Neither `env:` nor `file:`.
    #[error("`${{{inner}}}` is neither ${{env:NAME}} nor ${{file:PATH}}{}", hint(.inner))]
    Unknown {
        /// What stands between the braces.
        inner: String,
    },
    /// The reader has no right to it.
    #[error("{reference} is not allowed: add {:?} to {} in [plugins.ceiling] of {file}", .reference.name(), .reference.list())]
    NotAllowed {
        /// What was asked for.
        reference: Reference,
        /// The operator's file.
        file: String,
    },
    /// The variable is not set.
    #[error("{reference}: the variable is not set")]
    NotSet {
        /// What was asked for.
        reference: Reference,
    },
    /// The file can't be read.
    #[error("{reference}: {cause}")]
    NotRead {
        /// What was asked for.
        reference: Reference,
        /// As the operating system has it.
        cause: String,
    },
}

/// The text with all its references replaced. One line break at the end of a file is dropped:
/// nobody means it to be part of a password. A relative path begins at `base`: the directory of the
/// file that the text stands in.
///
/// `allowed` is asked first, for each reference: what is not allowed is never looked up.
///
/// # Errors
/// The first reference that leads nowhere.
pub fn expand(
    text: &str,
    base: &Path,
    lookups: Lookups<'_>,
    allowed: impl Fn(&Reference) -> Result<(), ExpandError>,
) -> Result<String, ExpandError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let (inner, after) = rest[at + 2..]
            .split_once('}')
            .ok_or(ExpandError::Unclosed)?;
        let reference = Reference::parse(inner, base)?;
        allowed(&reference)?;
        out.push_str(&reference.look_up(lookups)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

impl Reference {
    fn parse(inner: &str, base: &Path) -> Result<Reference, ExpandError> {
        match inner.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Reference::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Reference::File(beside(base, path))),
            _ => Err(ExpandError::Unknown {
                inner: inner.to_owned(),
            }),
        }
    }

    fn look_up(self, lookups: Lookups<'_>) -> Result<String, ExpandError> {
        match &self {
            Reference::Env(name) => {
                (lookups.env)(name).ok_or(ExpandError::NotSet { reference: self })
            }
            Reference::File(path) => match (lookups.file)(Path::new(path)) {
                Ok(text) => Ok(without_line_break(&text).to_owned()),
                Err(e) => Err(ExpandError::NotRead {
                    reference: self,
                    cause: e.to_string(),
                }),
            },
        }
    }

    /// The variable, or the path.
    pub fn name(&self) -> &str {
        match self {
            Reference::Env(name) | Reference::File(name) => name,
        }
    }

    fn list(&self) -> &'static str {
        match self {
            Reference::Env(_) => "env",
            Reference::File(_) => "files",
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Env(name) => write!(f, "${{env:{name}}}"),
            Reference::File(path) => write!(f, "${{file:{path}}}"),
        }
    }
}

impl fmt::Debug for Lookups<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookups")
    }
}

/// A path as it is looked up and allowed: a relative one begins at `base`. `..` stays, for it leads
/// elsewhere where there are links.
pub(crate) fn beside(base: &Path, path: &str) -> String {
    if Path::new(path).is_absolute() {
        return path.to_owned();
    }
    // Its components leave `.` out.
    let beside: PathBuf = base.join(path).components().collect();
    beside.to_string_lossy().into_owned()
}

fn hint(inner: &str) -> String {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !inner.is_empty() && inner.chars().all(name) {
        format!(", did you mean ${{env:{inner}}}?")
    } else {
        String::new()
    }
}

fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let env = |name: &str| (name == "DB").then(|| "s3cret".to_owned());
        let file = |path: &Path| match path.to_str() {
            Some("/run/key") => Ok("from file\r\n".to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        let allowed = |reference: &Reference| match reference.name() {
            "PATH" => Err(ExpandError::NotAllowed {
                reference: reference.clone(),
                file: "conche.toml".to_owned(),
            }),
            _ => Ok(()),
        };
        let found = expand(
            text,
            Path::new("/run"),
            Lookups {
                env: &env,
                file: &file,
            },
            allowed,
        );
        let found = found.map_err(|e| e.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn references() {
        check("plain $5 }", Ok("plain $5 }"));
        check(
            "pg://u:${env:DB}@h/${file:/run/key}!",
            Ok("pg://u:s3cret@h/from file!"),
        );
        check("$${env:DB} and ${env:DB}", Ok("${env:DB} and s3cret"));
        check("${file:key} ${file:./key}", Ok("from file from file"));
        check("${file:../no}", Err("${file:/run/../no}: entity not found"));
        check("${env:NO}", Err("${env:NO}: the variable is not set"));
        check("${file:/no}", Err("${file:/no}: entity not found"));
        check(
            "a ${env:DB",
            Err("`${` without a `}`: close it, or write `$${` for the characters themselves"),
        );
        check(
            "${DB}",
            Err("`${DB}` is neither ${env:NAME} nor ${file:PATH}, did you mean ${env:DB}?"),
        );
        check(
            "${env:}",
            Err("`${env:}` is neither ${env:NAME} nor ${file:PATH}"),
        );
        check(
            "${env:PATH}",
            Err(
                "${env:PATH} is not allowed: add \"PATH\" to env in [plugins.ceiling] of conche.toml",
            ),
        );
    }
}
