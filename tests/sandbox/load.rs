//! Bytes that are no plugin, each with its reason; and who compiles those that are.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use conche::sandbox::COMPONENT_BYTES_MAX;

use super::{SANDBOX, sandbox};
use crate::support::{DEADLINE, guest};

fn check(bytes: &[u8], expected: &str) {
    let error = SANDBOX.compile(bytes).unwrap_err().to_string();
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn what_is_no_plugin_is_refused_with_its_reason() {
    let whole = fs::read(guest("versioned_v1")).unwrap();
    check(b"", "is empty: was it still being written?");
    check(b"#!/bin/sh", "is no WebAssembly component: ");
    check(&whole[..whole.len() / 2], "is no WebAssembly component: ");
    check(b"\0asm\x01\0\0\0", "is a core module, not a component");
    check(&vec![0; COMPONENT_BYTES_MAX + 1], "has 67108865 bytes");
    let other = fs::read(guest("wrong_world")).unwrap();
    check(&other, "is a component of another world: ");
    let silent = fs::read(guest("no_lifecycle")).unwrap();
    check(&silent, "is a component of another world: ");
}

/// The nice value in a `stat` file of procfs: the 19th field, the second being a name in brackets.
fn nice(stat: &str) -> i32 {
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').nth(16).unwrap().parse().unwrap()
}

/// The nice values of threads that compile at this moment.
fn compilers() -> Vec<i32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let compilers = stats.filter(|stat| stat.contains("(compile)"));
    compilers.map(|stat| nice(&stat)).collect()
}

#[test]
fn compiling_is_nicer_than_its_caller() {
    let own = || nice(&fs::read_to_string("/proc/thread-self/stat").unwrap());
    let wanted = (own() + 10).min(19);
    let bytes = fs::read(guest("versioned_v1")).unwrap();
    let seen = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let before = own();
            let uncached = sandbox(None);
            while !seen.load(Ordering::Relaxed) {
                uncached.compile(&bytes).unwrap();
            }
            assert_eq!(own(), before);
        });
        let began = Instant::now();
        while !compilers().contains(&wanted) && began.elapsed() < DEADLINE {
            std::thread::yield_now();
        }
        seen.store(true, Ordering::Relaxed);
        assert!(began.elapsed() < DEADLINE, "no thread compiles at {wanted}");
    });
}
