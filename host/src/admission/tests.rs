//! Slots, one after the other and by many threads at once.

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

#[tokio::test]
async fn who_left_the_queue_keeps_no_place_in_it() {
    let lanes = Lanes::new(1, 2);
    let Admit::Now(permit) = lanes.admit(0) else {
        panic!("the first comes in")
    };
    let waits = || match lanes.admit(0) {
        Admit::Later(waiting) => Some(waiting),
        Admit::Now(_) | Admit::Shed => None,
    };
    let (left, stays) = (waits().unwrap(), waits().unwrap());
    assert!(waits().is_none(), "two may wait");
    drop(left);
    let last = waits().expect("one has left");
    assert!(waits().is_none(), "two may wait");
    drop(permit);
    drop(stays.permit().await);
    last.permit().await;
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
