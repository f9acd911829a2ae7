//! Instances that wait for their next call. Each plugin has a shelf; all shelves together leave
//! enough of the pool for calls that need a fresh instance and for versions that are tried out.
//! Must not know what makes an instance fit to be used again.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// All shelves of a sandbox.
#[derive(Debug)]
pub(super) struct Shelves<T> {
    most: usize,
    kept: AtomicUsize,
    shelves: Mutex<Vec<Weak<Shelf<T>>>>,
}

/// The idle instances of one plugin.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    all: Arc<Shelves<T>>,
    kept: Mutex<Vec<T>>,
}

impl<T> Shelves<T> {
    /// Room for so many instances on all shelves together.
    pub(super) fn new(most: usize) -> Arc<Shelves<T>> {
        Arc::new(Shelves {
            most,
            kept: AtomicUsize::new(0),
            shelves: Mutex::new(Vec::new()),
        })
    }

    /// One more, for a new version of a plugin.
    pub(super) fn add(self: &Arc<Self>) -> Arc<Shelf<T>> {
        let shelf = Arc::new(Shelf {
            all: self.clone(),
            kept: Mutex::new(Vec::new()),
        });
        let mut shelves = lock(&self.shelves);
        shelves.retain(|shelf| shelf.strong_count() > 0);
        shelves.push(Arc::downgrade(&shelf));
        shelf
    }

    /// Takes everything off the shelves. Whether there was anything.
    pub(super) fn clear(&self) -> bool {
        let shelves: Vec<_> = lock(&self.shelves)
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        let taken = shelves
            .iter()
            .map(|shelf| std::mem::take(&mut *lock(&shelf.kept)));
        let count = taken.map(|instances| instances.len()).sum();
        self.kept.fetch_sub(count, Relaxed);
        count > 0
    }

    /// Takes one off the fullest shelf: whoever had a burst of calls gives first.
    fn make_room(&self) {
        let shelves: Vec<_> = lock(&self.shelves)
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        let fullest = shelves.iter().max_by_key(|shelf| lock(&shelf.kept).len());
        let Some(shelf) = fullest else { return };
        let mut kept = lock(&shelf.kept);
        if !kept.is_empty() {
            // The one used longest ago.
            let instance = kept.remove(0);
            self.kept.fetch_sub(1, Relaxed);
            drop(kept);
            drop(instance);
        }
    }
}

impl<T> Shelf<T> {
    /// The instance that was put back last: its memory is the warmest.
    pub(crate) fn take(&self) -> Option<T> {
        let instance = lock(&self.kept).pop()?;
        self.all.kept.fetch_sub(1, Relaxed);
        Some(instance)
    }

    /// Keeps an instance, unless there are `most` already.
    pub(crate) fn put(&self, instance: T, most: usize) {
        let mut kept = lock(&self.kept);
        if kept.len() >= most {
            return;
        }
        kept.push(instance);
        drop(kept);
        if self.all.kept.fetch_add(1, Relaxed) >= self.all.most {
            self.all.make_room();
        }
    }
}

impl<T> Drop for Shelf<T> {
    fn drop(&mut self) {
        self.all.kept.fetch_sub(lock(&self.kept).len(), Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Shelves;

    #[test]
    fn the_last_one_put_back_is_used_first() {
        let shelf = Shelves::new(10).add();
        shelf.put(1, 2);
        shelf.put(2, 2);
        shelf.put(3, 2);
        assert_eq!(
            [shelf.take(), shelf.take(), shelf.take()],
            [Some(2), Some(1), None]
        );
    }

    #[test]
    fn the_fullest_shelf_makes_room() {
        let shelves = Shelves::new(3);
        let (full, other) = (shelves.add(), shelves.add());
        for number in 0..3 {
            full.put(number, 10);
        }
        other.put(10, 10);
        assert_eq!(other.take(), Some(10));
        assert_eq!(
            [full.take(), full.take(), full.take()],
            [Some(2), Some(1), None]
        );
    }

    #[test]
    fn what_is_gone_takes_no_room() {
        let shelves = Shelves::new(2);
        let (gone, stays) = (shelves.add(), shelves.add());
        gone.put(1, 10);
        gone.put(2, 10);
        drop(gone);
        stays.put(3, 10);
        stays.put(4, 10);
        assert!(shelves.clear());
        assert!(!shelves.clear());
        stays.put(5, 10);
        stays.put(6, 10);
        assert_eq!(
            [stays.take(), stays.take(), stays.take()],
            [Some(6), Some(5), None]
        );
    }
}
