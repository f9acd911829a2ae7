//! `host`: the host by itself. From its start to `ready` with three cached plugins, its memory when
//! idle, and the greeter's latency beside a guest that spins.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use conche::envelope::new_id;

use crate::Effort;
use crate::driver::{Window, envelope};
use crate::process::NatsServer;
use crate::query::{GREETER_OP, measure, question};
use crate::subjects::{self, HostSetup};
use crate::table::{Figures, Row, Who, markdown, median, show};
use crate::wire::Connection;

const PLUGINS: [&str; 3] = ["greeter", "auditor", "orders"];
/// Starts that count; one before them fills the cache of compiled code.
const STARTS: usize = 10;
/// From `ready` to the look at its memory, and to the end of the first start.
const IDLE: Duration = Duration::from_secs(2);
const SPIN_OP: &str = "cyverse.hostile.Loop";
/// Longer than all rounds together, so that it spins to the end.
const SPIN_POLICY: &str = "[limits]\ncpu = \"1h\"\ndeadline = \"1h\"\n";
const ALONE: &str = "greeter-alone";
const BESIDE_SPINNER: &str = "greeter-beside-spinner";
const OUTSTANDING: [usize; 2] = [1, 16];

/// Measures, prints what it found, returns the rows.
pub(crate) fn run(effort: Effort) -> Result<Vec<Row>> {
    let server = NatsServer::start(&subjects::nats_server()?)?;
    let (start, resident) = starts(&server)?;
    println!(
        "\nhost: from start to ready {} ms (median of {STARTS}, slowest {} ms) with {} cached plugins; \
         idle it holds {:.1} MB",
        show(start.figures.p50_us.map(|us| us / 1e3)),
        show(start.figures.p99_us.map(|us| us / 1e3)),
        PLUGINS.len(),
        resident as f64 / 1e6,
    );
    let mut rows = vec![start];
    for bench in [ALONE, BESIDE_SPINNER] {
        rows.extend(greeter(&server, bench, effort)?);
    }
    println!("\ngreeter calls, alone and beside one call that spins:\n");
    print!("{}", table(&rows[1..]));
    Ok(rows)
}

/// The times of all starts, and the resident memory of the last one, in bytes.
fn starts(server: &NatsServer) -> Result<(Row, u64)> {
    let setup = HostSetup::new(server)?;
    for plugin in PLUGINS {
        setup.plugin(plugin, None)?;
    }
    let first = setup.start()?;
    thread::sleep(IDLE);
    drop(first);
    let (mut times, mut cpus, mut resident) = (Vec::new(), Vec::new(), 0);
    for start in 1..=STARTS {
        let host = setup.start()?;
        times.push(host.started_in);
        cpus.push(host.cpu()?.as_secs_f64());
        if start == STARTS {
            thread::sleep(IDLE);
            resident = host.resident()?;
        }
    }
    times.sort_unstable();
    let cpu = Duration::from_secs_f64(median(cpus.into_iter()).unwrap_or_default());
    let window = Window {
        took: times.iter().sum(),
        cpu: cpu * u32::try_from(STARTS)?,
        latencies: times.iter().map(|time| time.as_nanos() as u64).collect(),
    };
    let row = Row {
        bench: "start",
        subject: Who::Host,
        outstanding: 1,
        figures: Figures::of(&window),
    };
    Ok((row, resident))
}

/// The greeter's latency on a host of its own.
fn greeter(server: &NatsServer, bench: &'static str, effort: Effort) -> Result<Vec<Row>> {
    let setup = HostSetup::new(server)?;
    setup.plugin("greeter", None)?;
    let mut spinner = None;
    if bench == BESIDE_SPINNER {
        setup.plugin("hostile", Some(SPIN_POLICY))?;
    }
    let host = setup.start()?;
    if bench == BESIDE_SPINNER {
        spinner = Some(spin(server)?);
    }
    let question = question(GREETER_OP)?;
    let mut rows = Vec::new();
    for outstanding in OUTSTANDING {
        let mut rounds = Vec::new();
        for _ in 0..effort.rounds {
            let window = measure(server, &host, &question, outstanding, effort.window)?;
            rounds.push(Figures::of(&window));
        }
        rows.push(Row {
            bench,
            subject: Who::Host,
            outstanding,
            figures: Figures::median(&rounds),
        });
    }
    if let Some(mut spinner) = spinner {
        ensure!(
            spinner.fence()? == 0,
            "the spinning call ended before the measurement did"
        );
    }
    Ok(rows)
}

/// Makes one call that spins; the connection would get its answer.
fn spin(server: &NatsServer) -> Result<Connection> {
    let mut connection = Connection::open(server.address)?;
    let body = envelope(SPIN_OP, "{}").to_structured()?.body;
    let inbox = format!("_INBOX.{}", new_id());
    connection.outgoing.subscribe(&inbox);
    connection
        .outgoing
        .publish(SPIN_OP, format_args!("{inbox}"), &body);
    connection.fence()?;
    Ok(connection)
}

fn table(rows: &[Row]) -> String {
    let heading = ["", "outstanding", "calls/s", "p50 µs", "p99 µs", "CPU µs"];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for row in rows {
        let f = row.figures;
        lines.push(vec![
            row.bench.to_owned(),
            row.outstanding.to_string(),
            show(Some(f.per_s)),
            show(f.p50_us),
            show(f.p99_us),
            show(Some(f.cpu_us)),
        ]);
    }
    markdown(&lines)
}
