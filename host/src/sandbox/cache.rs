//! Compiled code on disk, so that a start takes milliseconds and not seconds. A file is
//! `<key>-<hash of the code>`: the key says what was compiled and by what, the hash that the file
//! is whole. Everything goes through one descriptor of a directory that is ours alone. A file that
//! is not what its name says is unlinked, and the component compiled again. Must not know plugins.

use std::fs::{DirBuilder, File};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, renameat, statat, unlinkat};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tracing::warn;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::Digest;
use crate::config::CacheConfig;

/// A file that is being written. A host that was killed leaves some behind.
const UNFINISHED: &str = ".new-";

/// No file takes longer to write: an unfinished one that is older is nobody's.
const UNFINISHED_MAX_AGE: Duration = Duration::from_secs(3600);

/// What group and others may not have: to write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Compiled code of one engine's components.
#[derive(Debug)]
pub(super) struct Cache {
    /// Open since its owner and mode were checked: a directory that is put in its place is not
    /// looked at.
    dir: OwnedFd,
    path: PathBuf,
    user: u32,
    max_bytes: u64,
    complained: AtomicBool,
}

/// What code was compiled from, and by what.
#[derive(Debug)]
pub(super) struct Key(Digest);

/// Why a directory is not used.
#[derive(Debug, Error)]
pub(super) enum CacheError {
    #[error("cannot use `{path}`: {source}")]
    NotThere { path: PathBuf, source: io::Error },
    #[error(
        "`{path}` belongs to user {owner} and the host runs as {user}: who writes there could run code in the host"
    )]
    NotOurs {
        path: PathBuf,
        owner: u32,
        user: u32,
    },
    #[error(
        "others can write to `{path}`, and so could run code in the host: remove it, or name a directory below it"
    )]
    OthersWrite { path: PathBuf },
}

/// A file of the cache.
struct Entry {
    name: String,
    size: u64,
    used: SystemTime,
}

impl Cache {
    /// Opens the directory, which is made if it is missing.
    pub(super) fn open(config: &CacheConfig) -> Result<Cache, CacheError> {
        let path = config.dir.clone();
        let not_there = |source| CacheError::NotThere {
            path: path.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(not_there)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&path, flags, Mode::empty());
        let dir = opened.map_err(|error| not_there(error.into()))?;
        let facts = fstat(&dir).map_err(|error| not_there(error.into()))?;
        let user = rustix::process::geteuid().as_raw();
        if facts.st_uid != user {
            let owner = facts.st_uid;
            return Err(CacheError::NotOurs { path, owner, user });
        }
        if facts.st_mode & WRITABLE_BY_OTHERS != 0 {
            return Err(CacheError::OthersWrite { path });
        }
        Ok(Cache {
            dir,
            path,
            user,
            max_bytes: config.max_bytes,
            complained: AtomicBool::new(false),
        })
    }

    /// The component, if its code is here and whole.
    pub(super) fn load(&self, engine: &Engine, key: &Key) -> Option<Component> {
        let prefix = format!("{}-", key.0);
        let names = self.names().ok()?.into_iter();
        let mut names = names.filter(|name| name.starts_with(&prefix));
        names.find_map(|name| {
            let reason = match self.load_file(engine, &name) {
                Ok(component) => return Some(component),
                Err(reason) => reason,
            };
            warn!(file = %self.path.join(&name).display(), reason, "cached code is of no use: compiling again");
            self.unlink(&name);
            None
        })
    }

    fn load_file(&self, engine: &Engine, name: &str) -> Result<Component, String> {
        let code = self.read(name).map_err(|error| error.to_string())?;
        if !name.ends_with(&Digest::of(&code).to_string()) {
            return Err("it is not what was written".into());
        }
        // SAFETY: `deserialize` trusts its bytes to be what `Component::serialize` gave to an
        // engine that compiles as this one does. They are: the hash in the name is that of these
        // bytes, which are in our own memory, where no truncation or write to the file can reach
        // them (as it could a mapped file, between this check and the last page fault, with
        // SIGBUS or foreign code). The name was given by `store`: `read` takes our user's files
        // only, and only our user can create or rename them in the directory, which `open` made
        // sure of, on the descriptor used here. And the key in the name is the hash of all that
        // code depends on, wasmtime's exact version included.
        #[expect(
            unsafe_code,
            reason = "our own compiled code, checked to be what was written"
        )]
        let loaded = unsafe { Component::deserialize(engine, &code) };
        loaded.map_err(|error| format!("{error:#}"))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.dir, name, flags, Mode::empty())?);
        let facts = file.metadata()?;
        // From a time when the directory was open to others.
        if facts.uid() != self.user {
            return Err(io::Error::other("it belongs to somebody else"));
        }
        if facts.len() > self.max_bytes {
            return Err(io::Error::other("it is larger than the whole cache may be"));
        }
        let mut code = Vec::with_capacity(usize::try_from(facts.len()).unwrap_or_default());
        file.read_to_end(&mut code)?;
        // Its time says when it was last used. That it can't be set makes it go a little early.
        let _ = file.set_modified(SystemTime::now());
        Ok(code)
    }

    /// Keeps code for the next time. What goes wrong is said once: the cache is a help only.
    pub(super) fn store(&self, key: &Key, code: &[u8]) {
        if code.len() as u64 > self.max_bytes {
            return;
        }
        let name = format!("{}-{}", key.0, Digest::of(code));
        let kept = self.write(&name, code).and_then(|()| self.make_room(&name));
        if let Err(error) = kept
            && !self.complained.swap(true, Ordering::Relaxed)
        {
            warn!(directory = %self.path.display(), %error, "cannot keep compiled code: plugins compile at each start (dir in [cache] says where)");
        }
    }

    /// Whole or not at all, and on the disk before its name is.
    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let unfinished = format!("{UNFINISHED}{:016x}", fastrand::u64(..));
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file = File::from(openat(&self.dir, &unfinished, flags, mode)?);
        let written = file
            .write_all(code)
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(renameat(&self.dir, &unfinished, &self.dir, name)?));
        if written.is_err() {
            self.unlink(&unfinished);
        }
        written?;
        Ok(rustix::fs::fsync(&self.dir)?)
    }

    /// Unlinks what was used longest ago until the rest fits. Who has a file open keeps it.
    fn make_room(&self, newest: &str) -> io::Result<()> {
        let mut entries = Vec::new();
        for name in self.names()? {
            // Gone since: another host makes room, too.
            let Ok(facts) = statat(&self.dir, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let seconds = u64::try_from(facts.st_mtime).unwrap_or_default();
            let nanoseconds = u32::try_from(facts.st_mtime_nsec).unwrap_or_default();
            entries.push(Entry {
                name,
                size: u64::try_from(facts.st_size).unwrap_or_default(),
                used: SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds),
            });
        }
        let aged = |entry: &Entry| {
            entry
                .used
                .elapsed()
                .is_ok_and(|age| age > UNFINISHED_MAX_AGE)
        };
        let (unfinished, mut entries): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| entry.name.starts_with(UNFINISHED));
        for entry in unfinished.iter().filter(|entry| aged(entry)) {
            self.unlink(&entry.name);
        }
        let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
        entries.sort_by_key(|entry| entry.used);
        for entry in entries.iter().filter(|entry| entry.name != newest) {
            if total <= self.max_bytes {
                break;
            }
            self.unlink(&entry.name);
            total -= entry.size;
        }
        Ok(())
    }

    /// Names of our own files, unfinished ones included; what else lies there is left alone.
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.dir)? {
            let entry = entry?;
            let is_file = matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown);
            match entry.file_name().to_str() {
                Ok(name) if is_file && (is_entry(name) || name.starts_with(UNFINISHED)) => {
                    names.push(name.to_owned());
                }
                _ => {}
            }
        }
        Ok(names)
    }

    fn unlink(&self, name: &str) {
        // Gone already, or not to be had away: the next start tries again.
        let _ = unlinkat(&self.dir, name, AtFlags::empty());
    }
}

impl Key {
    /// The same component for an engine that compiles in the same way.
    pub(super) fn new(component: &Digest, engine: &Engine) -> Key {
        let mut hasher = Sha256Hasher(Sha256::new());
        component.hash(&mut hasher);
        // Target, settings, features, and wasmtime's exact version.
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Key(Digest(hasher.0.finalize().into()))
    }
}

/// All that is hashed, where [`Hasher`]'s 64 bits would let two keys meet.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest[..8]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// `<key>-<hash>`, both SHA-256.
fn is_entry(name: &str) -> bool {
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    name.split_once('-')
        .is_some_and(|(key, hash)| is_hash(key) && is_hash(hash))
}
