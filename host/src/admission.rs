//! Who may enter: slots for calls, in lanes by hop. Pure but for the waiting.
//!
//! With N slots and H = min(4, N − 1) lanes, a call at hop *h* enters only while more than
//! max(0, H − h) slots are free, so that a call that waits for another waits only for deeper ones.
//! Held permits without lanes: 16 slots, chains of 3, 200 callers, and none of them succeeded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The most lanes there are.
const LANES_MAX: usize = 4;

/// The slots of one host, or of one plugin.
#[derive(Debug, Clone)]
pub struct Lanes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    slots: usize,
    reserve: usize,
    waiting_max: usize,
    /// A [`Room`]. Nobody needs the queues' lock to change it but who begins to wait, and who gives
    /// a slot back while others wait.
    room: AtomicU64,
    queues: Mutex<Queues>,
}

/// By hop, the first come first.
type Queues = [VecDeque<oneshot::Sender<Permit>>; LANES_MAX];

/// In one word, so that whoever finds no slot free is counted among those who wait in one step.
#[derive(Debug, Clone, Copy)]
struct Room {
    free: u32,
    waiting: u32,
}

/// A slot; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    shared: Option<Arc<Shared>>,
}

/// What came of asking for a slot.
#[derive(Debug)]
pub enum Admit {
    /// Come in.
    Now(Permit),
    /// Wait for this.
    Later(Waiting),
    /// Answer "busy": too many wait, or waiting could go round in a circle.
    Shed,
}

/// A place in the queue; dropping it leaves the queue.
#[derive(Debug)]
pub struct Waiting(oneshot::Receiver<Permit>);

impl Lanes {
    /// `slots` calls at once, and so many that wait for a slot.
    pub fn new(slots: u32, waiting_max: usize) -> Lanes {
        let room = Room {
            free: slots.max(1),
            waiting: 0,
        };
        let slots = room.free as usize;
        Lanes {
            shared: Arc::new(Shared {
                slots,
                reserve: LANES_MAX.min(slots - 1),
                waiting_max,
                room: AtomicU64::new(room.into()),
                queues: Mutex::default(),
            }),
        }
    }

    /// Asks for a slot for a call at `hop`.
    pub fn admit(&self, hop: u32) -> Admit {
        let shared = &self.shared;
        let hop = hop as usize;
        if shared.change(|room| shared.entered(room, hop)) {
            return Admit::Now(Permit::of(shared));
        }
        if hop >= shared.reserve && hop > 0 {
            return Admit::Shed;
        }
        let mut queues = shared.lock();
        // What became free in the meantime is seen here, and what becomes free from here on finds
        // who waits. `enters` is set anew in each try: the last one counts.
        let mut enters = false;
        let changed = shared.change(|room| {
            let entered = shared.entered(room, hop);
            enters = entered.is_some();
            entered.or_else(|| shared.queued(room))
        });
        if enters {
            return Admit::Now(Permit::of(shared));
        }
        if !changed {
            return Admit::Shed;
        }
        let (sender, receiver) = oneshot::channel();
        queues[hop.min(LANES_MAX - 1)].push_back(sender);
        Admit::Later(Waiting(receiver))
    }

    /// All slots, those kept for deeper calls included.
    pub fn slots(&self) -> usize {
        self.shared.slots
    }

    /// The most first queries and events that can be in at once.
    pub fn most(&self) -> usize {
        self.shared.slots - self.shared.reserve
    }

    /// Slots that a first query or an event could take now.
    pub fn free(&self) -> usize {
        let free = self.shared.room().free as usize;
        free.saturating_sub(self.shared.reserve)
    }
}

impl Waiting {
    /// Waits. The caller bounds the wait: with the call's deadline.
    pub async fn permit(self) -> Permit {
        // The sender lives in the lanes until it has sent; they outlive no waiter's interest.
        self.0.await.unwrap_or(Permit { shared: None })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self) -> Room {
        self.room.load(Ordering::Acquire).into()
    }

    /// Changes the room in one step, unless `change` finds that it cannot be.
    fn change(&self, mut change: impl FnMut(Room) -> Option<Room>) -> bool {
        let change = |room: u64| change(room.into()).map(u64::from);
        let changed = self
            .room
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
        changed.is_ok()
    }

    /// The room once a call at `hop` is in, if it may come in.
    fn entered(&self, Room { free, waiting }: Room, hop: usize) -> Option<Room> {
        let may = free as usize > self.kept_back(hop);
        may.then(|| Room {
            free: free - 1,
            waiting,
        })
    }

    /// The room once one more waits, if one more may.
    fn queued(&self, Room { free, waiting }: Room) -> Option<Room> {
        let may = (waiting as usize) < self.waiting_max;
        may.then(|| Room {
            free,
            waiting: waiting + 1,
        })
    }

    fn kept_back(&self, hop: usize) -> usize {
        self.reserve.saturating_sub(hop)
    }

    /// Takes back a slot and hands it to the deepest call that may have it.
    fn give_back(self: &Arc<Self>) {
        if self.change(|room| (room.waiting == 0).then(|| room.with_one_more())) {
            return;
        }
        // While this is locked nobody begins to wait, and while somebody waits nobody else makes a slot
        // free: whoever may not have this one now may not have it at the end of a turn either.
        let mut queues = self.lock();
        loop {
            let free = self.room().with_one_more().free as usize;
            let next = (0..LANES_MAX)
                .rev()
                .filter(|hop| free > self.kept_back(*hop))
                .find_map(|hop| queues[hop].pop_front());
            let Some(next) = next else {
                self.change(|room| Some(room.with_one_more()));
                return;
            };
            self.change(|room| {
                Some(Room {
                    waiting: room.waiting - 1,
                    ..room
                })
            });
            match next.send(Permit::of(self)) {
                Ok(()) => return,
                // It left the queue: hand the slot to another, without recursion.
                Err(mut permit) => permit.shared = None,
            }
        }
    }
}

impl Room {
    fn with_one_more(self) -> Room {
        Room {
            free: self.free + 1,
            ..self
        }
    }
}

impl From<u64> for Room {
    fn from(word: u64) -> Room {
        let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
        Room {
            free: u32::from_le_bytes([a, b, c, d]),
            waiting: u32::from_le_bytes([e, f, g, h]),
        }
    }
}

impl From<Room> for u64 {
    fn from(room: Room) -> u64 {
        u64::from(room.free) | u64::from(room.waiting) << 32
    }
}

impl Permit {
    fn of(shared: &Arc<Shared>) -> Permit {
        Permit {
            shared: Some(shared.clone()),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio::time::timeout;

    use super::{Admit, Lanes};

    const PATIENCE: Duration = Duration::from_secs(10);

    fn check(slots: u32, taken: &[u32], hop: u32, expected: &str) {
        let lanes = Lanes::new(slots, 8);
        let held: Vec<_> = taken.iter().map(|hop| lanes.admit(*hop)).collect();
        assert!(held.iter().all(|admit| matches!(admit, Admit::Now(_))));
        let got = match lanes.admit(hop) {
            Admit::Now(_) => "now",
            Admit::Later(_) => "later",
            Admit::Shed => "shed",
        };
        assert_eq!(got, expected, "{slots} slots, {taken:?} taken, hop {hop}");
    }

    #[test]
    fn lanes_keep_slots_for_deeper_calls() {
        check(1, &[], 0, "now");
        check(1, &[0], 0, "later");
        check(1, &[0], 1, "shed");
        check(5, &[], 0, "now");
        check(5, &[0], 0, "later");
        check(5, &[0], 1, "now");
        check(5, &[0, 1, 2, 3], 4, "now");
        check(5, &[0, 1, 2, 3, 4], 4, "shed");
    }

    #[tokio::test]
    async fn a_slot_given_back_goes_to_who_waits() {
        let lanes = Lanes::new(1, 8);
        let Admit::Now(permit) = lanes.admit(0) else {
            panic!("the first comes in")
        };
        let Admit::Later(left) = lanes.admit(0) else {
            panic!("the second waits")
        };
        let Admit::Later(stays) = lanes.admit(0) else {
            panic!("the third waits")
        };
        drop(left);
        drop(permit);
        let permit = stays.permit().await;
        assert!(matches!(lanes.admit(0), Admit::Later(_)));
        drop(permit);
        assert!(matches!(lanes.admit(0), Admit::Now(_)));
    }

    /// Threads come at the same moment, wait and go, again and again: none is let in too many, and
    /// none is left waiting for a slot that is free.
    #[test]
    fn no_slot_is_given_twice_and_none_is_lost() {
        const SLOTS: u32 = 2;
        const ROUNDS: usize = 5_000;
        const HOPS: [u32; 3] = [0, 0, 1];
        let lanes = Lanes::new(SLOTS, 8);
        let inside = AtomicU32::new(0);
        let failed = AtomicBool::new(false);
        let together = Barrier::new(HOPS.len());
        let call = async |hop| {
            let permit = match lanes.admit(hop) {
                Admit::Now(permit) => permit,
                Admit::Later(waiting) => timeout(PATIENCE, waiting.permit()).await.ok()?,
                Admit::Shed => return Some(()),
            };
            let others = inside.fetch_add(1, Ordering::SeqCst);
            inside.fetch_sub(1, Ordering::SeqCst);
            drop(permit);
            (others < SLOTS).then_some(())
        };
        std::thread::scope(|scope| {
            for hop in HOPS {
                let (call, failed, together) = (&call, &failed, &together);
                scope.spawn(move || {
                    let runtime = Builder::new_current_thread().enable_time().build();
                    let runtime = runtime.unwrap();
                    for _ in 0..ROUNDS {
                        together.wait();
                        if failed.load(Ordering::SeqCst) {
                            return;
                        }
                        if runtime.block_on(call(hop)).is_none() {
                            failed.store(true, Ordering::SeqCst);
                        }
                        // Nobody looks whether it failed before all have tried.
                        together.wait();
                    }
                });
            }
        });
        assert!(
            !failed.into_inner(),
            "left waiting, or too many were inside"
        );
        assert_eq!(lanes.free(), lanes.most());
    }

    #[test]
    fn too_many_waiters_are_shed() {
        let lanes = Lanes::new(1, 1);
        let _held = lanes.admit(0);
        let _waits = lanes.admit(0);
        assert!(matches!(lanes.admit(0), Admit::Shed));
    }
}
