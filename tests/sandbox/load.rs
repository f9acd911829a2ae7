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

/// An unsigned number, as WebAssembly writes it.
fn leb(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], &*leb(content.len()), content].concat()
}

/// So many times the same, and how often.
fn times(count: usize, one: &[u8]) -> Vec<u8> {
    [leb(count), one.repeat(count)].concat()
}

/// A component of one core module with these sections, so many times instantiated.
fn component(sections: &[Vec<u8>], instances: usize) -> Vec<u8> {
    let module = [b"\0asm\x01\0\0\0", &*sections.concat()].concat();
    let module = section(1, &module);
    let instances = section(2, &times(instances, b"\0\0\0"));
    [b"\0asm\x0d\0\x01\0", &*module, &*instances].concat()
}

#[test]
fn a_component_takes_no_more_of_the_pool_than_one_may() {
    let refused = |sections: &[Vec<u8>], instances: usize, expected: &str| {
        let text = format!(
            "takes more of the host's pool than one component may: The component transitively contains {expected} in the pooling allocator"
        );
        check(&component(sections, instances), &text);
    };
    let memory = section(5, b"\x01\0\x01");
    let table = section(4, b"\x01\x70\0\x01");
    let most = "which exceeds the configured maximum of";
    let memories = |n: usize| format!("{n} Wasm linear memories, {most} 4");
    refused(std::slice::from_ref(&memory), 5, &memories(5));
    refused(&[table], 9, &format!("9 tables, {most} 8"));
    refused(&[], 61, &format!("61 core module instances, {most} 60"));
    let other = "is a component of another world: ";
    check(&component(&[memory], 4), other);
}

#[test]
fn what_is_too_much_for_the_compiler_is_not_compiled() {
    let heavy = "is too much for the compiler: ";
    // One function without parameters, of so many locals and this code.
    let functions = |count: usize, locals: usize, code: &[u8]| {
        let body = [b"\x01", &*leb(locals), b"\x7f", code, b"\x0b"].concat();
        let body = [&*leb(body.len()), &*body].concat();
        let sections = [
            section(1, b"\x01\x60\0\0"),
            section(3, &times(count, b"\0")),
            section(10, &times(count, &body)),
        ];
        component(&sections, 0)
    };
    let blocks = b"\x02\x40\x0b".repeat(2_000);
    check(
        &functions(1, 3_000, &blocks),
        &format!("{heavy}function 0 of core module 0 has a weight"),
    );
    check(
        &functions(1, 1, &[1; 1 << 20]),
        &format!("{heavy}function 0 of core module 0 has 1048580 bytes, more than the 1048576"),
    );
    check(
        &functions(100_001, 1, b""),
        &format!("{heavy}it has more than the 100000 functions"),
    );
    let few = functions(1, 3, &blocks);
    check(&few, "is a component of another world: ");
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
