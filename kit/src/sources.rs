//! What a build reads, as far as can be told from outside: every file of a project but what
//! toolchains and package managers make. Only looks; who waits for changes asks again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::project::Project;

/// A project has fewer; what has more is a mistake (a directory of data), and is not followed.
const FILES_MAX: usize = 10_000;

/// Directories that are made from others. Those that begin with a dot are passed over too.
const MADE: [&str; 5] = [
    "node_modules",
    "target",
    "__pycache__",
    "zig-out",
    "zig-cache",
];

/// The files and when they were written. Equal means that nothing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The directories they lie in, to be watched.
    pub dirs: Vec<PathBuf>,
    files: BTreeMap<PathBuf, (Option<SystemTime>, u64)>,
}

impl Sources {
    /// Looks at all files of a project now.
    pub fn of(project: &Project) -> Sources {
        let mut sources = Sources {
            dirs: Vec::new(),
            files: BTreeMap::new(),
        };
        sources.add(&project.dir);
        sources
    }

    fn add(&mut self, dir: &Path) {
        // What cannot be read, a build will complain about.
        let Ok(entries) = fs::read_dir(dir) else {
            return;
        };
        self.dirs.push(dir.to_owned());
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            // Not followed: a link may lead in a circle.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if name.starts_with('.') || self.files.len() >= FILES_MAX {
                continue;
            }
            if metadata.is_dir() && !MADE.contains(&&*name) {
                self.add(&path);
            } else if metadata.is_file() && !is_made(&name) {
                let stamp = (metadata.modified().ok(), metadata.len());
                self.files.insert(path, stamp);
            }
        }
    }
}

/// What builds put beside the sources: the component, and lock files that they bring up to date.
fn is_made(name: &str) -> bool {
    [
        ".wasm",
        ".tmp",
        "~",
        "Cargo.lock",
        "package-lock.json",
        "go.sum",
    ]
    .iter()
    .any(|end| name.ends_with(end))
}
