//! Whether anything that a build reads has changed since the last one: for toolchains that would do
//! all of it again, slowly. By name, size and time, as `make` does; must not know what is read.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

/// A number that is another one as soon as a file below these paths is changed, added or removed.
/// Hidden directories, byte code and components are not looked at: nobody writes those.
pub(crate) fn stamp(roots: &[PathBuf]) -> io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    for root in roots {
        root.hash(&mut hasher);
        add(root, &mut hasher)?;
    }
    Ok(hasher.finish())
}

fn add(path: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() {
        (path, metadata.len(), metadata.modified()?).hash(hasher);
        return Ok(());
    }
    let entries: io::Result<Vec<_>> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
    let mut entries = entries?;
    entries.sort();
    entries
        .iter()
        .filter(|entry| is_written(entry))
        .try_for_each(|entry| add(entry, hasher))
}

fn is_written(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::to_string_lossy);
    let hidden = name.is_none_or(|name| name.starts_with('.') || name == "__pycache__");
    let component = path
        .extension()
        .is_some_and(|extension| extension == "wasm");
    // A link that leads nowhere has nothing to read.
    !hidden && !component && path.exists()
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    #[test]
    fn changes_with_what_people_write() {
        let dir = tempdir().unwrap();
        let root = dir.path().to_owned();
        let write = |name: &str, text: &str| {
            let file = root.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let now = || stamp(std::slice::from_ref(&root)).unwrap();
        write("a.py", "1");
        let first = now();
        for unread in [".venv/x", "__pycache__/a.pyc", "a.wasm"] {
            write(unread, "1");
            assert_eq!(now(), first, "{unread}");
        }
        write("below/b.py", "1");
        let second = now();
        assert_ne!(second, first);
        write("a.py", "22");
        assert_ne!(now(), second);
        fs::remove_file(root.join("a.py")).unwrap();
        fs::remove_file(root.join("below/b.py")).unwrap();
        assert_ne!(now(), first);
    }
}
