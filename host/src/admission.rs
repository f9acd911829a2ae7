//! Who may enter: slots for calls, in lanes by hop. Pure but for the waiting.
//!
//! With N slots and H = min(4, N − 1) lanes, a call at hop *h* enters only while more than
//! max(0, H − h) slots are free, so that a call that waits for another waits only for deeper ones.
//! Held permits without lanes: 16 slots, chains of 3, 200 callers, and none of them succeeded.

use std::collections::VecDeque;
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
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: usize,
    /// By hop, the first come first.
    queues: [VecDeque<oneshot::Sender<Permit>>; LANES_MAX],
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
        let slots = slots.max(1) as usize;
        Lanes {
            shared: Arc::new(Shared {
                slots,
                reserve: LANES_MAX.min(slots - 1),
                waiting_max,
                state: Mutex::new(State {
                    free: slots,
                    waiting: 0,
                    queues: Default::default(),
                }),
            }),
        }
    }

    /// Asks for a slot for a call at `hop`.
    pub fn admit(&self, hop: u32) -> Admit {
        let mut state = self.shared.lock();
        let hop = hop as usize;
        if state.free > self.shared.kept_back(hop) {
            state.free -= 1;
            return Admit::Now(Permit {
                shared: Some(self.shared.clone()),
            });
        }
        if hop >= self.shared.reserve && hop > 0 || state.waiting >= self.shared.waiting_max {
            return Admit::Shed;
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting += 1;
        state.queues[hop.min(LANES_MAX - 1)].push_back(sender);
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
        let free = self.shared.lock().free;
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
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept_back(&self, hop: usize) -> usize {
        self.reserve.saturating_sub(hop)
    }

    /// Takes back a slot and hands it to the deepest call that may have it.
    fn give_back(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            state.free += 1;
            let free = state.free;
            let next = (0..LANES_MAX)
                .rev()
                .filter(|hop| free > self.kept_back(*hop))
                .find_map(|hop| state.queues[hop].pop_front());
            let Some(next) = next else { return };
            state.waiting -= 1;
            state.free -= 1;
            drop(state);
            let permit = Permit {
                shared: Some(self.clone()),
            };
            match next.send(permit) {
                Ok(()) => return,
                // It left the queue: take the slot back once more, without recursion.
                Err(mut permit) => permit.shared = None,
            }
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
    use super::{Admit, Lanes};

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

    #[test]
    fn too_many_waiters_are_shed() {
        let lanes = Lanes::new(1, 1);
        let _held = lanes.admit(0);
        let _waits = lanes.admit(0);
        assert!(matches!(lanes.admit(0), Admit::Shed));
    }
}
