//! Files of all kinds in a directory of their own.

use super::{Files, Found, SETTLED_AFTER, Stamp, metadata, read, read_policy};
use crate::config::{Config, Flags, Inputs, Machine, Mode, PluginsConfig};
use crate::sandbox::{COMPONENT_BYTES_MAX, Digest};
use crate::settings::Lookups;
use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

fn config(dir: &Path, policies: Option<&Path>) -> PluginsConfig {
    let flags = Flags {
        plugins: Some(dir.to_owned()),
        policies: policies.map(Path::to_owned),
        ..Flags::default()
    };
    let lookups = Lookups {
        env: &|_| None,
        file: &|path| std::fs::read_to_string(path),
    };
    let machine = Machine::this();
    let inputs = Inputs {
        mode: Mode::Dev,
        flags: &flags,
        file: None,
        lookups,
        machine: &machine,
    };
    Config::resolve(inputs).unwrap().plugins
}

fn names(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.name.as_str()).collect()
}

#[test]
fn plugins_are_found_and_other_files_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    for file in [
        "users.wasm",
        "Users.wasm",
        "a.cwasm",
        "users.toml",
        "notes",
        ".#b.wasm",
    ] {
        std::fs::write(dir.path().join(file), file).unwrap();
    }
    std::fs::create_dir(dir.path().join("folder.wasm")).unwrap();
    let mut files = Files::default();
    let mut found = files.look(&config(dir.path(), None)).unwrap();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(names(&found), ["folder", "users"]);
    let folder = dir.path().join("folder.wasm");
    let expected = format!("cannot read `{}`: is no regular file", folder.display());
    assert_eq!(found[0].digest, Err(expected));
    assert_eq!(found[1].digest, Ok(Digest::of(b"users.wasm")));
    assert_eq!(found[1].bytes().unwrap(), b"users.wasm");
    let passed_over: Vec<_> = files
        .passed_over
        .iter()
        .map(|(p, why)| (p.file_name().unwrap().to_str().unwrap(), &**why))
        .collect();
    assert_eq!(
        passed_over,
        [
            (
                "Users.wasm",
                "plugin name `Users` has the character 'U': only a-z, 0-9, `_` and `-` are taken, such as `users`"
            ),
            (
                "a.cwasm",
                "is compiled machine code, which is never loaded: drop the .wasm component"
            ),
        ]
    );
}

#[test]
fn older_files_come_first_then_names() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    for (name, age) in [("a", 0), ("c", 5), ("b", 5)] {
        let file = File::create(dir.path().join(format!("{name}.wasm"))).unwrap();
        file.set_modified(now - std::time::Duration::from_secs(age))
            .unwrap();
    }
    let found = Files::default().look(&config(dir.path(), None)).unwrap();
    assert_eq!(names(&found), ["b", "c", "a"]);
}

#[test]
fn a_file_that_changed_is_seen_whatever_its_size_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wasm");
    let config = config(dir.path(), None);
    let mut files = Files::default();
    for text in ["one", "two", "six"] {
        std::fs::write(&path, text).unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
        let found = files.look(&config).unwrap();
        assert_eq!(found[0].digest, Ok(Digest::of(text.as_bytes())));
    }
}

#[test]
fn what_settled_is_not_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wasm");
    std::fs::write(&path, "a").unwrap();
    let stamp = Stamp::of(&path.metadata().unwrap());
    let changed =
        SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(stamp.changed.0.unsigned_abs());
    assert!(!stamp.is_settled(changed));
    assert!(stamp.is_settled(changed + SETTLED_AFTER));
    let mut files = Files::default();
    let other = Digest::of(b"remembered");
    files.digests.insert(path, (stamp, other));
    let found = files.look(&config(dir.path(), None)).unwrap();
    assert_eq!(found[0].digest, Ok(other));
    let refused = found[0].bytes().unwrap_err().to_string();
    assert!(
        refused.ends_with("a.wasm`: changes while it is read"),
        "{refused}"
    );
}

#[test]
fn huge_files_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wasm");
    let file = File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let found = Files::default().look(&config(dir.path(), None)).unwrap();
    let expected = format!(
        "cannot read `{}`: has {} bytes, more than the {COMPONENT_BYTES_MAX} it may have",
        path.display(),
        1_u64 << 40
    );
    assert_eq!(found[0].digest, Err(expected));
    // One that grew since it was measured.
    let metadata = metadata(&path).unwrap().unwrap();
    file.set_len(0).unwrap();
    let small = self::metadata(&path).unwrap().unwrap();
    file.set_len(11).unwrap();
    assert_eq!(
        read(&path, &small, 10),
        Err("has more than the 10 bytes it may have".to_owned())
    );
    assert!(read(&path, &metadata, 10).is_err());
}

#[test]
fn policies_that_cannot_be_read_are_no_missing_ones() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    assert_eq!(read_policy(&path), Ok(None));
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    assert_eq!(read_policy(&path), Err("is a link to nothing".to_owned()));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"\xff").unwrap();
    assert_eq!(read_policy(&path), Err("is no UTF-8 text".to_owned()));
}

#[test]
fn a_directory_that_cannot_be_read_says_nothing_of_its_plugins() {
    let dir = tempfile::tempdir().unwrap();
    // As root no permission keeps us out; a file in its place does.
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut files = Files::default();
    assert!(files.look(&config(&file, None)).is_none());
    let no_directory = (file.clone(), "Not a directory (os error 20)".to_owned());
    assert_eq!(files.unreadable, [no_directory.clone()].into());
    assert!(files.look(&config(dir.path(), None)).is_some());
    assert!(files.unreadable.is_empty());
    // Nor does one without the policies that are theirs.
    let none = dir.path().join("none");
    for policies in [&none, &file] {
        assert!(files.look(&config(dir.path(), Some(policies))).is_none());
        assert!(files.unreadable.contains_key(policies));
    }
    // Both have gone, and one is back.
    let gone = (
        none.clone(),
        "No such file or directory (os error 2)".to_owned(),
    );
    assert!(files.look(&config(&none, Some(&file))).is_none());
    assert_eq!(files.unreadable, [no_directory.clone(), gone].into());
    assert!(files.look(&config(dir.path(), Some(&file))).is_none());
    assert_eq!(files.unreadable, [no_directory].into());
}

/// Opened to be read, it would be waited for until somebody writes to it.
#[test]
fn a_pipe_that_takes_a_files_place_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (file, pipe) = (dir.path().join("a.wasm"), dir.path().join("b.wasm"));
    std::fs::write(&file, "x").unwrap();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let looked_at = file.metadata().unwrap();
    let (ended, read_it) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(read(&pipe, &looked_at, 8)));
    let read = read_it.recv_timeout(std::time::Duration::from_secs(30));
    assert_eq!(read.unwrap(), Err("is no regular file".to_owned()));
}
