//! What lies in the plugins and policies directories, in the order in which claims count: the
//! older file first, then the name. A file is read again only when it changed, and complained of
//! once. Must not know what a component is.

use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use super::directories::{self, Entry, NoDirectory};
use super::refusal::{NoPolicy, Refusal};
use crate::config::{PluginsConfig, open_regular};
use crate::policy::{PluginName, Policy, PolicyFile};
use crate::sandbox::{COMPONENT_BYTES_MAX, Digest};

/// The largest policy that is read, in bytes: a slip should not fill the memory.
const POLICY_BYTES_MAX: usize = 1 << 20;

/// A file that changed less long ago is read again: two writes may fall into one tick of the file
/// system's clock, and the second would go unseen.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Looks at the directories, and remembers what it saw.
#[derive(Debug, Default)]
pub(super) struct Files {
    digests: HashMap<PathBuf, (Stamp, Digest)>,
    /// Files that look like plugins and are none, and why.
    pub(super) passed_over: BTreeMap<PathBuf, String>,
    /// Directories that could not be read at the last look, and why.
    pub(super) unreadable: BTreeMap<PathBuf, String>,
}

/// One `.wasm` file, and the policy beside it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) name: PluginName,
    path: PathBuf,
    /// Of its bytes, or why there are none.
    pub(super) digest: Result<Digest, String>,
    /// References to the environment and files resolved.
    pub(super) policy: Result<Policy, NoPolicy>,
    /// There is no policy file, or nothing in it: the defaults decide.
    pub(super) policy_is_blank: bool,
    modified: SystemTime,
}

/// Changes whenever the bytes do, a replaced file included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Files {
    /// All plugins there are. `None`: a directory cannot be read, so nobody can say. Blocks, for
    /// as long as what policies refer to takes to be read.
    pub(super) fn look(&mut self, config: &PluginsConfig) -> Option<Vec<Found>> {
        self.tell_unreadable(directories::missing(config));
        if !self.unreadable.is_empty() {
            return None;
        }
        let entries = match directories::entries(&config.dir) {
            Ok(entries) => entries,
            Err(cause) => {
                let (holds, dir) = ("plugins", config.dir.clone());
                self.tell_unreadable(vec![NoDirectory { holds, dir, cause }]);
                return None;
            }
        };
        let mut passed_over = BTreeMap::new();
        let mut all = Vec::new();
        for Entry { path, name } in entries {
            match name {
                Err(reason) => drop(passed_over.insert(path, reason)),
                Ok(name) => all.extend(self.find(name, path, config)),
            }
        }
        for (file, reason) in &passed_over {
            if self.passed_over.get(file) != Some(reason) {
                warn!(file = %file.display(), reason, "passed over");
            }
        }
        self.passed_over = passed_over;
        self.digests
            .retain(|path, _| all.iter().any(|found| found.path == *path));
        all.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
        Some(all)
    }

    /// Each directory once, when it goes and when it is back.
    fn tell_unreadable(&mut self, missing: Vec<NoDirectory>) {
        let missing = missing.into_iter().map(|it| (it.dir, it.cause.to_string()));
        let missing: BTreeMap<_, _> = missing.collect();
        for (dir, error) in &missing {
            if self.unreadable.get(dir) != Some(error) {
                warn!(directory = %dir.display(), error, "cannot read a directory: what serves goes on");
            }
        }
        for dir in self
            .unreadable
            .keys()
            .filter(|dir| !missing.contains_key(*dir))
        {
            info!(directory = %dir.display(), "a directory can be read again");
        }
        self.unreadable = missing;
    }

    /// The plugin at a path; `None` if it was removed since the directory was listed.
    fn find(&mut self, name: PluginName, path: PathBuf, config: &PluginsConfig) -> Option<Found> {
        let metadata = metadata(&path).transpose()?;
        let modified = metadata.as_ref().ok().and_then(|it| it.modified().ok());
        let digest = metadata.and_then(|metadata| self.digest(&path, &metadata));
        let digest = digest.map_err(|reason| unreadable(&path, &reason));
        let policy_path = policy_path(config, &name);
        let text = read_policy(&policy_path);
        let is_blank = |text: &Option<String>| text.as_ref().is_none_or(|it| it.trim().is_empty());
        Some(Found {
            name,
            digest,
            policy_is_blank: text.as_ref().is_ok_and(is_blank),
            policy: resolved(&policy_path, text, config),
            modified: modified.unwrap_or(SystemTime::UNIX_EPOCH),
            path,
        })
    }

    fn digest(&mut self, path: &Path, metadata: &Metadata) -> Result<Digest, String> {
        let stamp = Stamp::of(metadata);
        match self.digests.get(path) {
            Some((known, digest)) if *known == stamp => return Ok(*digest),
            _ => {}
        }
        let began = SystemTime::now();
        let digest = Digest::of(&read(path, metadata, COMPONENT_BYTES_MAX)?);
        if stamp.is_settled(began) {
            self.digests.insert(path.to_owned(), (stamp, digest));
        }
        Ok(digest)
    }

    /// Reads a plugin's file again at the next look, changed or not.
    pub(super) fn forget(&mut self, found: &Found) {
        self.digests.remove(&found.path);
    }
}

impl Found {
    /// The component's bytes.
    ///
    /// # Errors
    /// They cannot be read, or are no longer those of the digest: the next look sees to that.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Refusal> {
        let digest = self.digest.clone().map_err(Refusal::Unreadable)?;
        let bytes = read_component(&self.path).and_then(|bytes| {
            let is_same = Digest::of(&bytes) == digest;
            is_same
                .then_some(bytes)
                .ok_or_else(|| "changes while it is read".to_owned())
        });
        bytes.map_err(|reason| Refusal::Unreadable(unreadable(&self.path, &reason)))
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH);
        let changed = Duration::from_secs(u64::try_from(self.changed.0).unwrap_or(0));
        now.is_ok_and(|now| now >= changed + SETTLED_AFTER)
    }
}

/// The policy of a plugin, as a host has it. Blocks, for as long as what it refers to takes to be
/// read.
///
/// # Errors
/// [`NoPolicy`]
pub fn policy_of(name: &PluginName, config: &PluginsConfig) -> Result<Policy, NoPolicy> {
    let path = policy_path(config, name);
    resolved(&path, read_policy(&path), config)
}

/// Where the policy of a plugin lies, if there is one.
pub fn policy_path(config: &PluginsConfig, name: &PluginName) -> PathBuf {
    config.policies.join(format!("{name}.toml"))
}

/// The policy that a text is under the operator's rules.
fn resolved(
    path: &Path,
    text: Result<Option<String>, String>,
    config: &PluginsConfig,
) -> Result<Policy, NoPolicy> {
    let path = path.display().to_string();
    let text = text.map_err(|reason| {
        NoPolicy::Unreadable(format!("its policy {path} cannot be read: {reason}"))
    })?;
    let file = PolicyFile {
        path: &path,
        text: text.as_deref(),
    };
    let resolved = config.rules.resolve(file, crate::config::lookups());
    resolved.map_err(NoPolicy::Mistakes)
}

fn unreadable(path: &Path, reason: &str) -> String {
    format!("cannot read `{}`: {reason}", path.display())
}

/// What a path leads to; `None` if there is nothing at the path itself.
fn metadata(path: &Path) -> Result<Option<Metadata>, String> {
    match path.metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.symlink_metadata() {
            Ok(_) => Err("is a link to nothing".to_owned()),
            Err(_) => Ok(None),
        },
        Err(error) => Err(error.to_string()),
    }
}

/// A component's bytes, as they are read from the plugins directory.
///
/// # Errors
/// It is not there, is no regular file, or too large.
pub fn read_component(path: &Path) -> Result<Vec<u8>, String> {
    let Some(metadata) = metadata(path)? else {
        return Err("does not exist".to_owned());
    };
    read(path, &metadata, COMPONENT_BYTES_MAX)
}

/// A policy's text, as it is read from the policies directory; `None` if there is none.
///
/// # Errors
/// It is no regular file, too large, or no UTF-8.
pub fn read_policy(path: &Path) -> Result<Option<String>, String> {
    let Some(metadata) = metadata(path)? else {
        return Ok(None);
    };
    let bytes = read(path, &metadata, POLICY_BYTES_MAX)?;
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|_| "is no UTF-8 text".to_owned())
}

/// A regular file's bytes. Another may have taken its place since it was looked at.
fn read(path: &Path, metadata: &Metadata, max: usize) -> Result<Vec<u8>, String> {
    if !metadata.is_file() {
        return Err("is no regular file".to_owned());
    }
    let size = metadata.len();
    if size > max as u64 {
        return Err(format!("has {size} bytes, more than the {max} it may have"));
    }
    let file = open_regular(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // It may grow while it is read.
    let limited = file.take(max as u64 + 1).read_to_end(&mut bytes);
    limited.map_err(|error| error.to_string())?;
    if bytes.len() > max {
        return Err(format!("has more than the {max} bytes it may have"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
