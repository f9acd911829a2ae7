//! Room for queries that wait for a thread of the guests, all ops together: so many, and so many
//! bytes. What has none is answered "busy" where it was read: an overload costs time, and memory
//! within these limits. Must not know what a query is.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Queries.
const QUERIES_MAX: usize = 8192;

/// KiB of them, headers included.
const KIB_MAX: usize = 256 << 10;

/// The room there is. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Backlog {
    queries: Arc<Semaphore>,
    kib: Arc<Semaphore>,
}

/// Room for one query or some; given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    queries: OwnedSemaphorePermit,
    kib: OwnedSemaphorePermit,
}

/// What queries need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Need {
    queries: usize,
    kib: usize,
}

impl Need {
    /// Of one query with so many bytes.
    pub(super) fn of(bytes: usize) -> Need {
        Need {
            queries: 1,
            kib: bytes.div_ceil(1024),
        }
    }
}

impl std::iter::Sum for Need {
    fn sum<I: Iterator<Item = Need>>(all: I) -> Need {
        all.fold(Need::default(), |sum, one| Need {
            queries: sum.queries + one.queries,
            kib: sum.kib + one.kib,
        })
    }
}

impl Backlog {
    pub(super) fn new() -> Backlog {
        Backlog {
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            kib: Arc::new(Semaphore::new(KIB_MAX)),
        }
    }

    /// Takes room, if there is enough.
    pub(super) fn enter(&self, need: Need) -> Option<Room> {
        let take = |from: &Arc<Semaphore>, count: usize| {
            let count = u32::try_from(count).ok()?;
            from.clone().try_acquire_many_owned(count).ok()
        };
        Some(Room {
            queries: take(&self.queries, need.queries)?,
            kib: take(&self.kib, need.kib)?,
        })
    }
}

impl Room {
    /// Gives a part of it to one that goes on by itself.
    pub(super) fn split(&mut self, need: Need) -> Option<Room> {
        Some(Room {
            queries: self.queries.split(need.queries)?,
            kib: self.kib.split(need.kib)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Backlog, KIB_MAX, Need, QUERIES_MAX};

    #[test]
    fn so_many_queries_have_room() {
        let backlog = Backlog::new();
        let mut rooms: Vec<_> = (0..QUERIES_MAX)
            .map(|_| backlog.enter(Need::of(1)).unwrap())
            .collect();
        assert!(backlog.enter(Need::of(1)).is_none());
        rooms.pop();
        assert!(backlog.enter(Need::of(1)).is_some());
    }

    #[test]
    fn so_many_bytes_have_room() {
        let backlog = Backlog::new();
        let large = Need::of(KIB_MAX * 1024);
        let room = backlog.enter(large).unwrap();
        assert!(backlog.enter(Need::of(1)).is_none());
        assert!(backlog.enter(Need::of(0)).is_some(), "what has no body");
        drop(room);
        assert!(backlog.enter(Need::of(KIB_MAX * 1024 + 1)).is_none());
        assert!(backlog.enter(large).is_some(), "a refusal takes nothing");
    }

    #[test]
    fn a_part_is_room_by_itself() {
        let backlog = Backlog::new();
        let needs = [Need::of(KIB_MAX * 1024 - 2048), Need::of(2000)];
        let mut all = backlog.enter(needs.into_iter().sum()).unwrap();
        let part = all.split(needs[1]).unwrap();
        drop(all);
        assert!(backlog.enter(needs[0]).is_some(), "the rest is given back");
        assert!(backlog.enter(Need::of(KIB_MAX * 1024)).is_none());
        drop(part);
        assert!(backlog.enter(Need::of(KIB_MAX * 1024)).is_some());
    }
}
