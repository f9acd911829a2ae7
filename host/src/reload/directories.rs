//! The plugins and the policies directory: what lies in the first as a host sees it, and why one of
//! them cannot be read. Must not know what is in a file, or what was there before.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::PluginsConfig;
use crate::policy::PluginName;

/// A directory that is not there, or cannot be read: a mistake of the configuration at the start.
#[derive(Debug, Error)]
#[error("{}: {}", self.what(), self.mend())]
pub struct NoDirectory {
    /// What should lie in it.
    pub holds: &'static str,
    /// As it was configured.
    pub dir: PathBuf,
    /// As the operating system has it.
    pub cause: io::Error,
}

/// A file that is a plugin, or looks like one.
#[derive(Debug)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// The plugin that it is, or why it is passed over.
    pub name: Result<PluginName, String>,
}

impl NoDirectory {
    /// What is wrong.
    pub fn what(&self) -> String {
        let (directory, cause) = (
            format!("{} directory `{}`", self.holds, self.dir.display()),
            &self.cause,
        );
        match cause.kind() {
            io::ErrorKind::NotFound => format!("{directory} does not exist"),
            io::ErrorKind::NotADirectory => format!("{directory} is no directory"),
            _ => format!("{directory} cannot be read: {cause}"),
        }
    }

    /// What to do about it.
    pub fn mend(&self) -> &'static str {
        match self.cause.kind() {
            io::ErrorKind::NotFound => "create it, or name another",
            io::ErrorKind::PermissionDenied => {
                "let this user read and enter it, and enter those above it, or name another"
            }
            _ => "name another",
        }
    }
}

/// Which of the two cannot be read: that no policy is there while all of them are away does not mean
/// that nobody wrote one.
pub fn missing(config: &PluginsConfig) -> Vec<NoDirectory> {
    let (dir, policies) = (&config.dir, &config.policies);
    let plugins = entered(dir).and_then(|()| std::fs::read_dir(dir).map(drop));
    let mut both = vec![("plugins", dir, plugins)];
    if policies != dir {
        // Its files are known by their names.
        both.push(("policies", policies, entered(policies)));
    }
    let missing = both.into_iter().filter_map(|(holds, dir, looked)| {
        let dir = dir.clone();
        looked.err().map(|cause| NoDirectory { holds, dir, cause })
    });
    missing.collect()
}

/// What a host looks at in a plugins directory, in no order.
///
/// # Errors
/// It cannot be read.
pub fn entries(dir: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if let Some(name) = plugin_name(&path) {
            entries.push(Entry { path, name });
        }
    }
    Ok(entries)
}

/// Whether files in it can be reached.
fn entered(dir: &Path) -> io::Result<()> {
    dir.join(".").metadata().map(drop)
}

/// The plugin that a path names, or why it names none; `None` for files of other kinds.
fn plugin_name(path: &Path) -> Option<Result<PluginName, String>> {
    // Editors and copying tools begin their temporary files with a dot.
    if path.file_name()?.as_encoded_bytes().starts_with(b".") {
        return None;
    }
    match path.extension()?.to_str()? {
        "wasm" => Some(PluginName::of_file(path).map_err(|error| error.to_string())),
        "cwasm" => Some(Err(
            "is compiled machine code, which is never loaded: drop the .wasm component".to_owned(),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::NoDirectory;
    use std::io::{Error, ErrorKind};

    #[track_caller]
    fn check(cause: impl Into<Error>, expected: &str) {
        let missing = NoDirectory {
            holds: "plugins",
            dir: "/p".into(),
            cause: cause.into(),
        };
        assert_eq!(missing.to_string(), expected);
    }

    #[test]
    fn what_is_wrong_is_said_as_it_is() {
        check(
            ErrorKind::NotFound,
            "plugins directory `/p` does not exist: create it, or name another",
        );
        check(
            ErrorKind::NotADirectory,
            "plugins directory `/p` is no directory: name another",
        );
        check(
            ErrorKind::PermissionDenied,
            "plugins directory `/p` cannot be read: permission denied: let this user read and \
             enter it, and enter those above it, or name another",
        );
        check(
            Error::other("broken"),
            "plugins directory `/p` cannot be read: broken: name another",
        );
    }
}
