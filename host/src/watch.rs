//! File changes in the plugins and policies directories, gathered into "look again". Must not
//! know what a plugin is.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

/// How long a directory must be quiet: longer than a copy of a component and an editor's dance of
/// writes and renames take between two steps.
const QUIET: Duration = Duration::from_millis(100);

/// A directory that is never quiet is looked at so often all the same.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(2);

/// File systems that report nothing (network mounts), and links whose target changes, are looked
/// at so often.
const RESCAN_EVERY: Duration = Duration::from_secs(5);

/// How often somebody asks after a directory that is gone.
const MISSING_EVERY: Duration = Duration::from_millis(500);

/// Watches directories until dropped.
#[derive(Debug)]
pub struct Watch {
    events: mpsc::Receiver<()>,
    /// When the first event came that nobody was told of yet.
    unquiet_since: Option<Instant>,
    watcher: Option<RecommendedWatcher>,
    directories: Vec<Directory>,
    /// Keeps the channel open when there is no watcher.
    _sender: mpsc::Sender<()>,
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// What lay under the path when it was watched: a watch stays with a directory that is moved
    /// away, and ends with one that is removed.
    watched: Option<FileId>,
    /// The watch may have ended.
    is_doubtful: bool,
    is_missing: bool,
    complained: bool,
}

/// Device and inode.
type FileId = (u64, u64);

impl Watch {
    /// Begins to watch. A directory that cannot be watched is looked at from time to time instead,
    /// one that comes later, or is replaced, is watched from then on.
    pub fn start(directories: &[&Path]) -> Watch {
        // One pending event says as much as many: somebody will look.
        let (sender, events) = mpsc::channel(1);
        let pending = sender.clone();
        let handler = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !is_change(event.kind)) {
                return;
            }
            let _full = pending.try_send(());
        };
        let watcher = notify::recommended_watcher(handler)
            .inspect_err(|error| warn!(%error, rescan_every = ?RESCAN_EVERY, "cannot watch files: looking at them from time to time instead"))
            .ok();
        let mut paths: Vec<_> = directories.iter().map(|path| path.to_path_buf()).collect();
        paths.dedup();
        let mut watch = Watch {
            events,
            unquiet_since: None,
            watcher,
            directories: paths.into_iter().map(Directory::new).collect(),
            _sender: sender,
        };
        for directory in &mut watch.directories {
            let there = std::fs::metadata(&directory.path).ok();
            directory.agree(there.as_ref(), watch.watcher.as_mut());
        }
        watch
    }

    /// Waits until something changed and is quiet again, or it is time for another look: `by` then
    /// at the latest. Cancel safe.
    pub async fn changed(&mut self, by: Option<std::time::Instant>) {
        let told = self.wait(by.map(Instant::from_std)).await;
        for directory in &mut self.directories {
            // Perhaps it was replaced: that ends a watch, and the new one may have the id of the old.
            directory.is_doubtful |= told;
        }
        for directory in &mut self.directories {
            let there = tokio::fs::metadata(&directory.path).await.ok();
            directory.agree(there.as_ref(), self.watcher.as_mut());
        }
    }

    /// Whether the watcher told of a change; if not, the time was up.
    async fn wait(&mut self, by: Option<Instant>) -> bool {
        if self.unquiet_since.is_none() {
            let is_missing = self.directories.iter().any(|it| it.is_missing);
            let patience = if is_missing {
                MISSING_EVERY
            } else {
                RESCAN_EVERY
            };
            let rescan = Instant::now() + patience;
            let by = by.map_or(rescan, |by| by.min(rescan));
            if timeout_at(by, self.events.recv()).await.is_ok() {
                self.unquiet_since = Some(Instant::now());
            }
        }
        let Some(since) = self.unquiet_since else {
            return false;
        };
        let latest = since + QUIET_WAIT_MAX;
        while Instant::now() < latest {
            let quiet = (Instant::now() + QUIET).min(latest);
            if timeout_at(quiet, self.events.recv()).await.is_err() {
                break;
            }
        }
        self.unquiet_since = None;
        true
    }
}

impl Directory {
    fn new(path: PathBuf) -> Directory {
        Directory {
            path,
            watched: None,
            is_doubtful: false,
            is_missing: false,
            complained: false,
        }
    }

    /// Watches what lies under the path now, unless it surely is what is watched already.
    fn agree(&mut self, there: Option<&Metadata>, watcher: Option<&mut RecommendedWatcher>) {
        let id = there.map(|metadata| (metadata.dev(), metadata.ino()));
        self.is_missing = id.is_none();
        let is_doubtful = std::mem::take(&mut self.is_doubtful);
        let Some(watcher) = watcher.filter(|_| is_doubtful || id != self.watched) else {
            return;
        };
        if self.watched.take().is_some() {
            // An error says that it is no longer watched, which is what we want.
            let _gone = watcher.unwatch(&self.path);
        }
        if id.is_none() {
            return;
        }
        match watcher.watch(&self.path, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched = id;
                self.complained = false;
            }
            Err(error) if !self.complained => {
                self.complained = true;
                warn!(
                    directory = %self.path.display(), %error, rescan_every = ?RESCAN_EVERY,
                    "cannot watch a directory: looking at it from time to time instead"
                );
            }
            Err(_) => {}
        }
    }
}

/// Our own looks open files and directories: if that counted, each look would cause the next.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{QUIET, QUIET_WAIT_MAX, RESCAN_EVERY, Watch, is_change};
    use notify::EventKind;
    use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind};
    use std::time::Duration;
    use tokio::time::{Instant, timeout};

    const DEADLINE: Duration = Duration::from_secs(30);

    #[test]
    fn reading_is_no_change() {
        let check = |kind, expected| assert_eq!(is_change(kind), expected, "{kind:?}");
        check(EventKind::Access(AccessKind::Open(AccessMode::Any)), false);
        check(
            EventKind::Access(AccessKind::Close(AccessMode::Read)),
            false,
        );
        check(
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            true,
        );
        check(EventKind::Create(CreateKind::File), true);
        check(EventKind::Modify(ModifyKind::Any), true);
        check(EventKind::Remove(RemoveKind::File), true);
        // A queue that ran over: anything may have changed.
        check(EventKind::Other, true);
    }

    /// Until the watcher, and not the clock, tells of a change.
    async fn heard(watch: &mut Watch) {
        let wait = async { while !watch.wait(None).await {} };
        timeout(DEADLINE, wait).await.unwrap();
    }

    #[tokio::test]
    async fn a_new_file_is_heard_of() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::start(&[dir.path(), dir.path()]);
        std::fs::write(dir.path().join("a"), "a").unwrap();
        heard(&mut watch).await;
    }

    #[tokio::test]
    async fn a_directory_that_was_away_is_watched_again() {
        let base = tempfile::tempdir().unwrap();
        let (dir, aside) = (base.path().join("plugins"), base.path().join("aside"));
        std::fs::create_dir(&dir).unwrap();
        let mut watch = Watch::start(&[&dir]);
        let replace: [fn(&std::path::Path, &std::path::Path); 2] = [
            |dir, _| std::fs::remove_dir_all(dir).unwrap(),
            |dir, aside| std::fs::rename(dir, aside).unwrap(),
        ];
        for take_away in replace {
            take_away(&dir, &aside);
            let missed = async {
                while !watch.directories[0].is_missing {
                    watch.changed(None).await;
                }
            };
            timeout(DEADLINE, missed).await.unwrap();
            std::fs::create_dir(&dir).unwrap();
            let back = async {
                while watch.directories[0].watched.is_none() {
                    watch.changed(None).await;
                }
            };
            timeout(DEADLINE, back).await.unwrap();
            std::fs::write(dir.join("a"), "a").unwrap();
            heard(&mut watch).await;
        }
    }

    #[tokio::test]
    async fn a_directory_that_is_replaced_in_one_go_is_watched_again() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("plugins");
        std::fs::create_dir(&dir).unwrap();
        let mut watch = Watch::start(&[&dir]);
        // Often the new one has the inode of the old.
        for _ in 0..3 {
            std::fs::remove_dir_all(&dir).unwrap();
            std::fs::create_dir(&dir).unwrap();
            let told = watch.changed(None);
            timeout(DEADLINE, told).await.unwrap();
            // To watch anew is no change: looks would follow each other without end.
            let soon = Instant::now() + QUIET * 3;
            assert!(!watch.wait(Some(soon)).await);
            std::fs::write(dir.join("a"), "a").unwrap();
            heard(&mut watch).await;
        }
    }

    #[tokio::test]
    async fn one_directory_that_is_missing_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::start(&[&dir.path().join("none"), dir.path()]);
        std::fs::write(dir.path().join("a"), "a").unwrap();
        heard(&mut watch).await;
    }

    #[tokio::test(start_paused = true)]
    async fn steps_with_short_pauses_are_one_change() {
        let mut watch = Watch::start(&[]);
        let sender = watch._sender.clone();
        tokio::spawn(async move {
            let mut steps = tokio::time::interval(QUIET / 2);
            for _ in 0..5 {
                steps.tick().await;
                sender.send(()).await.unwrap();
            }
        });
        let began = Instant::now();
        assert!(watch.wait(None).await);
        assert!(began.elapsed() >= QUIET * 3, "{:?}", began.elapsed());
        assert!(!watch.wait(None).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_is_never_quiet_is_looked_at() {
        let mut watch = Watch::start(&[]);
        let sender = watch._sender.clone();
        tokio::spawn(async move {
            let mut steps = tokio::time::interval(QUIET / 2);
            loop {
                steps.tick().await;
                let _full = sender.try_send(());
            }
        });
        let began = Instant::now();
        assert!(watch.wait(None).await);
        assert!(began.elapsed() <= QUIET_WAIT_MAX + QUIET);
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_is_missing_is_asked_after_more_often() {
        let mut watch = Watch::start(&["/none".as_ref()]);
        let began = Instant::now();
        assert!(!watch.wait(None).await);
        assert!(began.elapsed() < RESCAN_EVERY);
    }
}
