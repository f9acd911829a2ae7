//! Where matches go, and how many bytes of events may be with those who take them. Must not know who
//! does.

use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Match;

/// KiB of events, headers included, that bounded receivers hold, all together: as queries that wait.
pub(super) const KIB_MAX: usize = 256 << 10;

/// Where matches go. Clones share a receiver, and its room.
#[derive(Debug, Clone)]
pub struct Matches {
    to: mpsc::Sender<Match>,
    /// None: as many bytes as the receiver takes.
    kib: Option<Arc<Semaphore>>,
}

/// What one event takes of the room: once, however many hold it, until the last has let go of it.
#[derive(Debug)]
pub(super) struct Room {
    kib: usize,
    held: OnceLock<OwnedSemaphorePermit>,
}

impl Matches {
    /// With room for 256 MiB of events.
    pub fn bounded(to: mpsc::Sender<Match>) -> Matches {
        Matches {
            to,
            kib: Some(Arc::new(Semaphore::new(KIB_MAX))),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.to.is_closed()
    }

    /// Hands a match over, if there is room for it.
    pub(super) fn try_send(&self, found: Match) -> Result<(), TrySendError<Match>> {
        if let Some(kib) = &self.kib
            && !found.seen.room.enter(kib)
        {
            return Err(TrySendError::Full(found));
        }
        self.to.try_send(found)
    }
}

impl From<mpsc::Sender<Match>> for Matches {
    fn from(to: mpsc::Sender<Match>) -> Matches {
        Matches { to, kib: None }
    }
}

impl Room {
    /// Of an event with so many bytes.
    pub(super) fn of(bytes: usize) -> Room {
        Room {
            kib: bytes.div_ceil(1024),
            held: OnceLock::new(),
        }
    }

    fn enter(&self, kib: &Arc<Semaphore>) -> bool {
        if self.held.get().is_some() {
            return true;
        }
        let permits = u32::try_from(self.kib).ok();
        let held = permits.and_then(|count| kib.clone().try_acquire_many_owned(count).ok());
        // One task hands out: nobody was faster.
        held.is_some_and(|held| self.held.set(held).is_ok())
    }
}
