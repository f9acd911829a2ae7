//! Who wants which events: by transaction id and by type, so that an event is not compared with
//! everybody. Pure; must not know streams or tasks.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;

use super::{Interest, Key, Match, Matches, Seen};

/// All interests of one process.
#[derive(Debug, Default)]
pub(super) struct Interests {
    last: u64,
    entries: HashMap<Key, Wanted>,
    /// Those that name a transaction id.
    by_transaction: HashMap<String, BTreeSet<Key>>,
    /// The others, under each of their types.
    by_type: HashMap<String, BTreeSet<Key>>,
}

/// An interest, and where its matches go.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) interest: Interest,
    /// Only what was stored later than this.
    pub(super) after: u64,
    pub(super) once: bool,
    /// What its owner calls it.
    pub(super) tag: u64,
    pub(super) to: Matches,
}

impl Interests {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn add(&mut self, wanted: Wanted) -> Key {
        self.last += 1;
        let key = Key(self.last);
        match &wanted.interest.transaction_id {
            Some(id) => insert(&mut self.by_transaction, id, key),
            None => {
                let types = wanted.interest.types.iter();
                types.for_each(|ty| insert(&mut self.by_type, ty, key));
            }
        }
        self.entries.insert(key, wanted);
        key
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, key: Key) -> bool {
        let Some(Wanted { interest, .. }) = self.entries.remove(&key) else {
            return false;
        };
        match &interest.transaction_id {
            Some(id) => take(&mut self.by_transaction, id, key),
            None => {
                let types = interest.types.iter();
                types.for_each(|ty| take(&mut self.by_type, ty, key));
            }
        }
        true
    }

    /// Forgets those whose receivers are gone.
    pub(super) fn forget_closed(&mut self) {
        let closed = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.to.is_closed());
        let closed: Vec<Key> = closed.map(|(key, _)| *key).collect();
        for key in closed {
            self.remove(key);
        }
    }

    /// Whatever comes is new to all.
    pub(super) fn forget_sequences(&mut self) {
        for wanted in self.entries.values_mut() {
            wanted.after = 0;
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Interests {
            last: self.last,
            ..Interests::default()
        };
    }

    /// Hands an event to all who want it, in the order in which they came. A `once` interest is gone
    /// with it, as is one that nobody listens for any more. Answers how many receivers had no room.
    pub(super) fn hand_out(&mut self, seen: &Arc<Seen>, transaction_id: Option<&str>) -> u64 {
        let mut missed = 0;
        for key in self.wanting(&seen.event.ty, transaction_id) {
            let Some(wanted) = self.entries.get(&key) else {
                continue;
            };
            if seen.sequence <= wanted.after {
                continue;
            }
            let (once, tag, to) = (wanted.once, wanted.tag, wanted.to.clone());
            let seen = seen.clone();
            match to.try_send(Match { key, tag, seen }) {
                // Whoever gets it cannot ask for its interest before we let go of all of them.
                Ok(()) if once => drop(self.remove(key)),
                Ok(()) => {}
                // It has heard nothing yet, and so waits on.
                Err(TrySendError::Full(_)) => missed += 1,
                Err(TrySendError::Closed(_)) => drop(self.remove(key)),
            }
        }
        missed
    }

    fn wanting(&self, ty: &str, transaction_id: Option<&str>) -> Vec<Key> {
        let of_type = self.by_type.get(ty).into_iter().flatten();
        let of_transaction = transaction_id.and_then(|id| self.by_transaction.get(id));
        let of_transaction = of_transaction.into_iter().flatten().filter(|key| {
            let entry = self.entries.get(key);
            entry.is_some_and(|entry| entry.interest.has_type(ty))
        });
        // Each is in one of the two only.
        let mut keys: Vec<Key> = of_type.chain(of_transaction).copied().collect();
        keys.sort_unstable();
        keys
    }
}

fn insert(index: &mut HashMap<String, BTreeSet<Key>>, word: &str, key: Key) {
    match index.get_mut(word) {
        Some(keys) => drop(keys.insert(key)),
        None => drop(index.insert(word.to_owned(), BTreeSet::from([key]))),
    }
}

fn take(index: &mut HashMap<String, BTreeSet<Key>>, word: &str, key: Key) {
    if let Some(keys) = index.get_mut(word) {
        keys.remove(&key);
        if keys.is_empty() {
            index.remove(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;

    use super::super::room::{KIB_MAX, Room};
    use super::{Interest, Interests, Match, Matches, Seen, Wanted};
    use crate::envelope::{CloudEvent, Headers};

    fn interest(types: &[&str], transaction_id: Option<&str>) -> Interest {
        Interest {
            types: types.iter().map(|ty| (*ty).to_owned()).collect(),
            transaction_id: transaction_id.map(str::to_owned),
            ..Interest::default()
        }
    }

    fn seen(ty: &str) -> Arc<Seen> {
        seen_of(ty, 1)
    }

    fn seen_of(ty: &str, bytes: usize) -> Arc<Seen> {
        Arc::new(Seen {
            sequence: 1,
            event: Arc::new(CloudEvent {
                ty: ty.to_owned(),
                ..CloudEvent::default()
            }),
            headers: Headers::new(),
            room: Room::of(bytes),
        })
    }

    fn wanted(interest: Interest, once: bool, to: &mpsc::Sender<Match>) -> Wanted {
        Wanted {
            interest,
            after: 0,
            once,
            tag: 0,
            to: to.clone().into(),
        }
    }

    fn drain(matches: &mut mpsc::Receiver<Match>) -> Vec<u64> {
        std::iter::from_fn(|| matches.try_recv().ok())
            .map(|found| found.key.0)
            .collect()
    }

    #[test]
    fn type_and_transaction_id_both_have_to_fit() {
        let (to, mut matches) = mpsc::channel(8);
        let mut interests = Interests::default();
        interests.add(wanted(interest(&["a", "b", "a"], None), false, &to));
        interests.add(wanted(interest(&[], Some("t")), false, &to));
        interests.add(wanted(interest(&["b", "c"], Some("t")), false, &to));
        let mut check = |ty: &str, id: Option<&str>, expected: &[u64]| {
            assert_eq!(interests.hand_out(&seen(ty), id), 0);
            assert_eq!(drain(&mut matches), expected, "{ty} {id:?}");
        };
        check("a", None, &[1]);
        check("a", Some("t"), &[1, 2]);
        check("b", Some("t"), &[1, 2, 3]);
        check("c", Some("t"), &[2, 3]);
        check("c", Some("u"), &[]);
        check("d", None, &[]);
    }

    #[test]
    fn what_was_stored_before_is_passed_over() {
        let (to, mut matches) = mpsc::channel(8);
        let mut interests = Interests::default();
        let after = |after| Wanted {
            after,
            ..wanted(interest(&["a"], None), true, &to)
        };
        interests.add(after(1));
        interests.add(after(0));
        interests.hand_out(&seen("a"), None);
        assert_eq!(drain(&mut matches), [2]);
        assert_eq!(interests.len(), 1);
    }

    #[test]
    fn any_type_may_be_bounded() {
        let (to, mut matches) = mpsc::channel(8);
        let mut interests = Interests::default();
        let bounded = Interest {
            within: vec!["a.*".parse().unwrap()],
            ..interest(&[], Some("t"))
        };
        interests.add(wanted(bounded, true, &to));
        interests.hand_out(&seen("b.c"), Some("t"));
        assert!(drain(&mut matches).is_empty());
        interests.hand_out(&seen("a.b"), Some("t"));
        assert_eq!(drain(&mut matches), [1]);
    }

    #[test]
    fn a_once_without_room_waits_on() {
        let (to, mut matches) = mpsc::channel(1);
        let mut interests = Interests::default();
        for _ in 0..2 {
            interests.add(wanted(interest(&["a"], None), true, &to));
        }
        assert_eq!(interests.hand_out(&seen("a"), None), 1);
        assert_eq!(drain(&mut matches), [1]);
        interests.hand_out(&seen("a"), None);
        assert_eq!(drain(&mut matches), [2]);
        assert!(interests.is_empty());
    }

    #[test]
    fn bytes_have_room_and_an_event_is_there_once_for_all() {
        let (to, mut matches) = mpsc::channel(8);
        let mut interests = Interests::default();
        let bounded = Matches::bounded(to.clone());
        for once in [true, false] {
            interests.add(Wanted {
                to: bounded.clone(),
                ..wanted(interest(&["a"], None), once, &to)
            });
        }
        interests.add(wanted(interest(&["a"], None), false, &to));
        let small = seen("a");
        assert_eq!(interests.hand_out(&small, None), 0);
        assert_eq!(drain(&mut matches), [1, 2, 3]);
        let large = || seen_of("a", KIB_MAX * 1024);
        assert_eq!(interests.hand_out(&large(), None), 1);
        assert_eq!(drain(&mut matches), [3], "one has no room for it");
        drop(small);
        assert_eq!(interests.hand_out(&large(), None), 0);
        assert_eq!(interests.hand_out(&seen("a"), None), 1);
        assert_eq!(drain(&mut matches), [2, 3, 3], "until it is let go of");
        assert_eq!(interests.hand_out(&seen("a"), None), 0);
    }

    #[test]
    fn once_is_once_and_nothing_is_left_behind() {
        let (to, mut matches) = mpsc::channel(8);
        let mut interests = Interests::default();
        let once = interests.add(wanted(interest(&["a"], None), true, &to));
        let kept = interests.add(wanted(interest(&["a"], Some("t")), false, &to));
        for _ in 0..2 {
            interests.hand_out(&seen("a"), Some("t"));
        }
        assert_eq!(drain(&mut matches), [1, 2, 2]);
        assert!(!interests.remove(once) && interests.remove(kept) && !interests.remove(kept));
        assert!(interests.is_empty());
        assert!(interests.by_type.is_empty() && interests.by_transaction.is_empty());
    }

    #[test]
    fn who_has_no_room_misses_and_who_is_gone_is_forgotten() {
        let (to, mut matches) = mpsc::channel(1);
        let mut interests = Interests::default();
        interests.add(wanted(interest(&["a"], None), false, &to));
        assert_eq!(interests.hand_out(&seen("a"), None), 0);
        assert_eq!(interests.hand_out(&seen("a"), None), 1);
        assert_eq!(drain(&mut matches), [1]);
        drop(matches);
        assert_eq!(interests.hand_out(&seen("a"), None), 0);
        assert_eq!(interests.len(), 0);
    }
}
