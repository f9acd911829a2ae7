//! `conche-bench`: the host against native Rust that does the same work. Reads its arguments, runs
//! the benchmarks in turn and writes what they found; each benchmark is a module. `cargo xtask
//! bench` builds everything and starts it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

mod bare;
mod call;
mod conditions;
mod driver;
mod event;
mod guests;
mod host;
mod native;
mod native_events;
mod process;
mod query;
mod subjects;
mod table;
mod wire;

/// The host's allocator, for the native subjects as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure the host against native Rust that does the same work
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    /// What to measure; everything, unless named
    bench: Option<Bench>,
    /// Also write all rows to this file, as a JSON array
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Windows for each line of a table; the medians are shown
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Length of a window
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Of the tables of queries and events, only the line with so many at once
    #[arg(long, value_name = "NUMBER")]
    outstanding: Option<usize>,
    #[command(subcommand)]
    other: Option<Other>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// One query, over NATS, in processes of their own
    Query,
    /// Draining stored events from JetStream
    Event,
    /// One query in this process, against bare wasmtime
    Call,
    /// The host by itself: its start, its memory, its latency beside a guest that spins
    Host,
}

/// What this program does for others: its own parent process, and `cargo xtask guests --table`
#[derive(Debug, Subcommand)]
enum Other {
    /// Be a native subject
    #[command(subcommand, hide = true)]
    Native(NativeSubject),
    /// Measure one component that answers the greeter's query; prints a JSON object
    #[command(hide = true)]
    Guest { component: PathBuf },
}

#[derive(Debug, Subcommand)]
enum NativeSubject {
    Queries {
        #[arg(long)]
        server: SocketAddr,
    },
    Events {
        #[arg(long)]
        server: SocketAddr,
        #[command(flatten)]
        consuming: native_events::Consuming,
    },
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    rounds: usize,
    window: Duration,
    outstanding: Option<usize>,
}

impl Effort {
    /// What of a table is measured.
    fn lines(self, all: &[usize]) -> Vec<usize> {
        self.outstanding.map_or(all.to_vec(), |only| vec![only])
    }
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conche-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let effort = Effort {
        rounds: cli.rounds as usize,
        window: Duration::from_secs(cli.seconds),
        outstanding: cli.outstanding,
    };
    match cli.other {
        None => {}
        Some(Other::Native(NativeSubject::Queries { server })) => {
            return native::serve_queries(server);
        }
        Some(Other::Native(NativeSubject::Events { server, consuming })) => {
            return native_events::serve_events(server, &consuming);
        }
        Some(Other::Guest { component }) => return guests::run(&component),
    }
    let wanted = match cli.bench {
        Some(one) => vec![one],
        None => Bench::value_variants().to_vec(),
    };
    let mut rows = Vec::new();
    println!("{}", conditions::describe(effort)?);
    for bench in wanted {
        rows.extend(match bench {
            Bench::Query => query::run(effort)?,
            Bench::Event => event::run(effort)?,
            Bench::Call => call::run(effort)?,
            Bench::Host => host::run(effort)?,
        });
    }
    if let Some(path) = cli.json {
        table::write_json(&path, &rows)?;
    }
    Ok(())
}
