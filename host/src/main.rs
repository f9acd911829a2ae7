//! The `conche` binary: arguments, logging, exit codes. Must not know NATS, wasmtime or plugins.

// Printing panics where a reader has left; `cli::output` and `cli::log` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cli;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::Cli::parse().run()
}
