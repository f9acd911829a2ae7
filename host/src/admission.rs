//! Who may enter: slots for calls, in lanes by hop. Pure but for the waiting.
//!
//! With N slots and H = min(4, N − 1) lanes, a call at hop *h* enters only while more than
//! max(0, H − h) slots are free, so that a call that waits for another waits only for deeper ones.
//! Held permits without lanes: 16 slots, chains of 3, 200 callers, and none of them succeeded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
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
    /// Who left the queues and is still in them, about: worth a look when they are full.
    left: AtomicU32,
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
pub struct Waiting {
    permit: oneshot::Receiver<Permit>,
    came: bool,
    shared: Arc<Shared>,
}

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
                left: AtomicU32::new(0),
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
        let mut enter_or_wait = || {
            shared.change(|room| {
                let entered = shared.entered(room, hop);
                enters = entered.is_some();
                entered.or_else(|| shared.queued(room))
            })
        };
        let has_place = enter_or_wait() || (shared.clear(&mut queues) && enter_or_wait());
        if enters {
            return Admit::Now(Permit::of(shared));
        }
        if !has_place {
            return Admit::Shed;
        }
        let (sender, receiver) = oneshot::channel();
        queues[hop.min(LANES_MAX - 1)].push_back(sender);
        Admit::Later(Waiting {
            permit: receiver,
            came: false,
            shared: shared.clone(),
        })
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
    pub async fn permit(mut self) -> Permit {
        let permit = (&mut self.permit).await;
        self.came = true;
        // The sender lives in the lanes until it has sent; they outlive no waiter's interest.
        permit.unwrap_or(Permit { shared: None })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.came {
            // Closed first: who finds the count finds it closed.
            self.permit.close();
            self.shared.left.fetch_add(1, Ordering::AcqRel);
        }
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

    /// Takes those out of the queues who do not wait any more. Whether there were any.
    fn clear(&self, queues: &mut Queues) -> bool {
        if self.left.swap(0, Ordering::AcqRel) == 0 {
            return false;
        }
        let count = |queues: &Queues| queues.iter().map(VecDeque::len).sum::<usize>();
        let before = count(queues);
        for queue in &mut *queues {
            queue.retain(|waiting| !waiting.is_closed());
        }
        let gone = u32::try_from(before - count(queues)).unwrap_or(u32::MAX);
        gone > 0
            && self.change(|room| {
                Some(Room {
                    waiting: room.waiting - gone,
                    ..room
                })
            })
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
mod tests;
