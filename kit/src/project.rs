//! A plugin's source directory: its manifest, and where things lie in it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{self, Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::manifest::{MANIFEST, Manifest};

/// A directory with a `conche-plugin.toml`.
#[derive(Debug, Clone)]
pub struct Project {
    /// Absolute: toolchains run in it.
    pub dir: PathBuf,
    pub manifest: Manifest,
}

impl Project {
    /// Reads the manifest in this directory.
    pub fn open(dir: &Path) -> Result<Project> {
        let file = dir.join(MANIFEST);
        let shown = file.display();
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "no `{shown}`: name the directory of a plugin, or make one with `conche new NAME --lang LANGUAGE`"
            ),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{shown}`")),
        };
        let manifest = Manifest::parse(&text).with_context(|| format!("in `{shown}`"))?;
        let dir = path::absolute(dir).with_context(|| format!("cannot find `{shown}`"))?;
        Ok(Project { dir, manifest })
    }

    /// Where a build puts the component unless told otherwise.
    pub fn component(&self) -> PathBuf {
        self.dir.join(format!("{}.wasm", self.manifest.name))
    }

    /// The policy it is tested under: the one it names, else `<name>.toml` if it is there.
    pub fn policy(&self) -> Option<PathBuf> {
        if let Some(named) = &self.manifest.policy {
            return Some(self.dir.join(named));
        }
        let own = self.dir.join(format!("{}.toml", self.manifest.name));
        own.is_file().then_some(own)
    }

    /// Where `conche test` finds the cases.
    pub fn tests(&self) -> PathBuf {
        self.dir.join(&self.manifest.tests)
    }

    /// One build at a time: they share `.conche`. Waits for the others; held until dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        let file = self.hidden().join("lock");
        fs::create_dir_all(self.hidden())
            .and_then(|()| File::create(&file))
            .and_then(|opened| opened.lock().map(|()| opened))
            .with_context(|| format!("cannot lock `{}`", file.display()))
    }

    /// What is made of the project and need not be looked at.
    pub(crate) fn hidden(&self) -> PathBuf {
        self.dir.join(".conche")
    }

    /// The SDK of its language, unpacked.
    pub(crate) fn sdk(&self) -> PathBuf {
        self.hidden().join("sdk")
    }

    /// The world it is built for: `handler.wit` and `plugin.wit`.
    pub(crate) fn wit(&self) -> PathBuf {
        self.hidden().join("wit")
    }

    /// What a build leaves between its steps.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.hidden().join("build")
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use tempfile::tempdir;

    use super::{MANIFEST, Project};

    #[test]
    fn builds_wait_for_each_other() {
        let dir = tempdir().unwrap();
        let manifest = "name = 'a'\nlanguage = 'ts'\nkind = 'query'\n";
        fs::write(dir.path().join(MANIFEST), manifest).unwrap();
        let project = Project::open(dir.path()).unwrap();
        let held = project.lock().unwrap();
        let other = File::open(dir.path().join(".conche/lock")).unwrap();
        assert!(other.try_lock().is_err());
        drop(held);
        assert!(other.try_lock().is_ok());
    }
}
