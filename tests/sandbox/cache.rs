//! Compiled code is kept, found again, and never trusted further than it can be checked.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use conche::config::CacheConfig;
use conche::sandbox::{Code, LoadError, Sandbox};
use tempfile::TempDir;

use super::{cache_in, log, sandbox};
use crate::support::guest;

/// The smallest guest: what is compiled here is beside the point.
fn bytes() -> Vec<u8> {
    fs::read(guest("versioned_v1")).unwrap()
}

fn code(sandbox: &Sandbox) -> Code {
    sandbox.compile(&bytes()).unwrap().code
}

/// The files of a cache, by name.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn only_file(dir: &Path) -> PathBuf {
    let files = files(dir);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// A cache with the one component in it.
fn filled() -> (TempDir, CacheConfig, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache_in(dir.path().join("cache"));
    assert_eq!(code(&sandbox(Some(cache.clone()))), Code::Compiled);
    let file = only_file(&cache.dir);
    (dir, cache, file)
}

#[test]
fn the_next_sandbox_finds_what_was_compiled() {
    let (_dir, cache, file) = filled();
    let mode = fs::metadata(&cache.dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(code(&sandbox(Some(cache.clone()))), Code::Cached);
    assert_eq!(only_file(&cache.dir), file);
    assert_eq!(code(&sandbox(None)), Code::Compiled);
}

#[test]
fn a_damaged_file_is_compiled_again() {
    let (_dir, cache, file) = filled();
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() / 2], b""] {
        fs::write(&file, damaged).unwrap();
        let log = log::capture();
        assert_eq!(code(&sandbox(Some(cache.clone()))), Code::Compiled);
        assert!(
            log.text().contains("it is not what was written"),
            "{}",
            log.text()
        );
        assert_eq!(fs::read(&file).unwrap(), whole);
        assert_eq!(code(&sandbox(Some(cache.clone()))), Code::Cached);
    }
}

#[test]
fn whole_code_that_this_engine_cannot_have_made_is_compiled_again() {
    let (_dir, cache, file) = filled();
    // Whole, says its hash, and yet no code: the key alone is no proof.
    let name = file.file_name().unwrap().to_str().unwrap();
    let (key, _) = name.split_once('-').unwrap();
    let hash = conche::sandbox::Digest::of(b"no code");
    fs::write(cache.dir.join(format!("{key}-{hash}")), b"no code").unwrap();
    fs::remove_file(&file).unwrap();
    assert_eq!(code(&sandbox(Some(cache.clone()))), Code::Compiled);
    assert_eq!(only_file(&cache.dir), file);
}

#[test]
fn a_link_is_not_followed() {
    let (dir, cache, file) = filled();
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert_eq!(code(&sandbox(Some(cache.clone()))), Code::Compiled);
    assert!(fs::symlink_metadata(&file).unwrap().is_file());
}

#[test]
fn without_a_directory_it_compiles_and_says_so_once() {
    let dir = tempfile::tempdir().unwrap();
    let in_the_way = dir.path().join("file");
    fs::write(&in_the_way, "").unwrap();
    let log = log::capture();
    let sandbox = sandbox(Some(cache_in(in_the_way.join("cache"))));
    assert_eq!(code(&sandbox), Code::Compiled);
    assert_eq!(code(&sandbox), Code::Compiled);
    assert_eq!(log.text().matches("cannot keep compiled code").count(), 1);
    assert!(log.text().contains("file/cache"), "{}", log.text());
}

#[test]
fn a_directory_that_others_write_to_is_refused() {
    let (_dir, cache, file) = filled();
    for mode in [0o770, 0o707] {
        fs::set_permissions(&cache.dir, fs::Permissions::from_mode(mode)).unwrap();
        let log = log::capture();
        assert_eq!(code(&sandbox(Some(cache.clone()))), Code::Compiled);
        assert!(log.text().contains("others can write to"), "{}", log.text());
    }
    fs::set_permissions(&cache.dir, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(code(&sandbox(Some(cache.clone()))), Code::Cached);
    assert_eq!(only_file(&cache.dir), file);
}

#[test]
fn what_belongs_to_somebody_else_is_not_used() {
    let (_dir, cache, file) = filled();
    // Only root can give files away: for anybody else there is nothing to see here.
    if chown(&file, Some(4321), None).is_ok() {
        let log = log::capture();
        assert_eq!(code(&sandbox(Some(cache.clone()))), Code::Compiled);
        assert!(
            log.text().contains("it belongs to somebody else"),
            "{}",
            log.text()
        );
        chown(&cache.dir, Some(4321), None).unwrap();
        assert_eq!(code(&sandbox(Some(cache.clone()))), Code::Compiled);
        assert!(
            log.text().contains("belongs to user 4321"),
            "{}",
            log.text()
        );
    }
    chown(&cache.dir, Some(fs::metadata(&file).unwrap().uid()), None).unwrap();
    assert_eq!(code(&sandbox(Some(cache))), Code::Cached);
}

#[test]
fn a_directory_that_goes_away_is_a_warning() {
    let (_dir, cache, _file) = filled();
    let sandbox = sandbox(Some(cache.clone()));
    fs::remove_dir_all(&cache.dir).unwrap();
    let log = log::capture();
    assert_eq!(code(&sandbox), Code::Compiled);
    assert_eq!(code(&sandbox), Code::Compiled);
    assert_eq!(log.text().matches("cannot keep compiled code").count(), 1);
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let (_dir, mut cache, first) = filled();
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    let age = |file: &Path| {
        let file = fs::File::open(file).unwrap();
        file.set_modified(long_ago).unwrap();
    };
    let second = fs::read(guest("versioned_v2")).unwrap();
    sandbox(Some(cache.clone())).compile(&second).unwrap();
    let mut others = files(&cache.dir);
    others.retain(|file| *file != first);
    let unfinished = cache.dir.join(".new-0123456789abcdef");
    let foreign = cache.dir.join("notes.txt");
    fs::write(&unfinished, "half").unwrap();
    fs::write(&foreign, "not ours").unwrap();
    age(&unfinished);
    age(&foreign);
    age(&first);
    age(&others[0]);
    // Used: now the second is the older one.
    assert_eq!(code(&sandbox(Some(cache.clone()))), Code::Cached);
    let sizes: u64 = [&first, &others[0]]
        .map(|file| fs::metadata(file).unwrap().len())
        .iter()
        .sum();
    // Room for two of these, but not for a third.
    cache.max_bytes = sizes + sizes / 4;
    let third = fs::read(guest("greeter")).unwrap();
    sandbox(Some(cache.clone())).compile(&third).unwrap();
    assert!(first.exists());
    assert!(!others[0].exists());
    assert!(!unfinished.exists());
    assert!(foreign.exists());
}

#[test]
fn code_larger_than_the_cache_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut cache = cache_in(dir.path().join("cache"));
    cache.max_bytes = 10;
    assert_eq!(code(&sandbox(Some(cache.clone()))), Code::Compiled);
    assert_eq!(files(&cache.dir), [] as [PathBuf; 0]);
}

#[test]
fn machine_code_that_somebody_dropped_in_is_refused() {
    let (_dir, cache, file) = filled();
    let refused = sandbox(Some(cache)).compile(&fs::read(file).unwrap());
    assert!(
        matches!(refused, Err(LoadError::Precompiled)),
        "{refused:?}"
    );
}
