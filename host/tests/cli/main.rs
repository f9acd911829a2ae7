//! The binary as a person meets it: help, output, errors, exit codes, the log, the start and the
//! end. Needs the guests, and a nats-server: cargo xtask test.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test as its own lines do"
)]

mod astray;
mod building;
mod call;
mod check;
mod conche;
mod config;
mod dev;
mod doctor;
mod guide;
mod health;
mod help;
mod inspect;
mod old;
mod online;
#[expect(
    dead_code,
    reason = "shared with the tests of the host, which use more of it"
)]
#[path = "../../../tests/support/server.rs"]
mod server;
mod test;
