//! File changes in the plugins and policies directories, debounced into "look again". Must not
//! know what a plugin is.

use std::path::Path;
use std::time::Duration;

use notify::RecursiveMode;
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::mpsc;
use tracing::warn;

/// How long a directory must be quiet: longer than a copy of a component and an editor's dance of
/// writes and renames take between two steps.
const QUIET: Duration = Duration::from_millis(100);

/// File systems that report nothing (network mounts) are looked at so often.
const RESCAN_EVERY: Duration = Duration::from_secs(5);

/// Watches directories until dropped.
#[derive(Debug)]
pub struct Watch {
    changes: mpsc::Receiver<()>,
    _debouncer: Option<Debouncer<notify::RecommendedWatcher, RecommendedCache>>,
}

impl Watch {
    /// Begins to watch. A directory that cannot be watched is looked at from time to time instead.
    pub fn start(directories: &[&Path]) -> Watch {
        // One pending "look again" says as much as many.
        let (sender, changes) = mpsc::channel(1);
        let handler = move |events: DebounceEventResult| {
            if let Err(errors) = events {
                warn!(
                    ?errors,
                    "watching the plugins directory failed for a moment"
                );
            }
            // A full channel: a look is pending already.
            let _ = sender.try_send(());
        };
        let debouncer = new_debouncer(QUIET, None, handler).and_then(|mut debouncer| {
            for directory in directories {
                debouncer.watch(directory, RecursiveMode::NonRecursive)?;
            }
            Ok(debouncer)
        });
        let debouncer = debouncer
            .inspect_err(|error| {
                warn!(%error, rescan_every = ?RESCAN_EVERY, "cannot watch the plugins directory: looking at it from time to time instead");
            })
            .ok();
        Watch {
            changes,
            _debouncer: debouncer,
        }
    }

    /// Waits until something changed, or it is time for another look.
    pub async fn changed(&mut self) {
        match tokio::time::timeout(RESCAN_EVERY, self.changes.recv()).await {
            Ok(Some(())) | Err(_) => {}
            Ok(None) => tokio::time::sleep(RESCAN_EVERY).await,
        }
    }
}
