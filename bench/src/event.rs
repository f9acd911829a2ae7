//! `event`: a stream full of events, drained by the host with the `sink` guest and by
//! [`crate::native_events`] in turns. Each drain has a fresh process and a durable consumer that
//! starts at the first event; what is measured lies between two looks at the consumer, well after
//! its start.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::stream::{self, Stream};

use crate::Effort;
use crate::driver::{Asker, Question, envelope};
use crate::native::{connect, runtime};
use crate::process::{NatsServer, Subject};
use crate::subjects::{self, HostSetup};
use crate::table::{Figures, Row, Who, compare};

const STREAM: &str = "conche-events";
const SUBJECTS: &str = "org.cyverse.events.>";
const TYPE: &str = "org.cyverse.events.bench.Sunk";
const NATIVE_DURABLE: &str = "native-sink";
/// `<durable>-<plugin>`.
const HOST_DURABLE: &str = "conche-sink";
/// Deliveries at once that are not acknowledged yet.
const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];
/// A host keeps back this many of its slots for calls that calls cause.
const RESERVE: usize = 4;
/// Stored for each second of a window: more than anybody has drained here in one.
const EVENTS_PER_S: usize = 250_000;
const PUBLISHED_AT_ONCE: usize = 256;
/// From the first event on, before the window.
const WARM_UP: Duration = Duration::from_millis(500);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
const FIRST_EVENT_DEADLINE: Duration = Duration::from_secs(30);
const DATA: &str = r#"{"number":12345,"text":"a few words, as an event has them"}"#;

/// Measures, prints the table, returns its rows.
pub(crate) fn run(effort: Effort) -> Result<Vec<Row>> {
    let server = NatsServer::start(&subjects::nats_server()?)?;
    let runtime = runtime()?;
    let stream = runtime.block_on(create_stream(&server))?;
    let size = fill(&server, effort.window + WARM_UP)?;
    let setup = HostSetup::new(&server)?;

    let mut rows = Vec::new();
    for in_flight in effort.lines(&IN_FLIGHT) {
        let mut rounds = [Vec::new(), Vec::new()];
        for round in 0..effort.rounds {
            for turn in [0, 1] {
                let side = (turn + round) % 2;
                let (durable, subject) = match side {
                    0 => (NATIVE_DURABLE, native(&server, in_flight)?),
                    _ => (HOST_DURABLE, host(&setup, in_flight)?),
                };
                let drained = drain(&stream, durable, &subject, effort.window);
                rounds[side].push(runtime.block_on(drained)?);
                drop(subject);
                runtime.block_on(stream.delete_consumer(durable))?;
            }
        }
        for (subject, figures) in [Who::Native, Who::Host].into_iter().zip(&rounds) {
            rows.push(Row {
                bench: "event",
                subject,
                outstanding: in_flight,
                figures: Figures::median(figures),
            });
        }
    }
    println!(
        "\nevent: draining stored events of {size} bytes, file storage, each acknowledged and the ack confirmed;\n\
         outstanding: deliveries in flight at the most\n"
    );
    print!("{}", compare(&rows));
    Ok(rows)
}

fn native(server: &NatsServer, in_flight: usize) -> Result<Subject> {
    let in_flight = in_flight.to_string();
    #[rustfmt::skip]
    let arguments = [
        "events", "--stream", STREAM, "--durable", NATIVE_DURABLE, "--filter", TYPE,
        "--in-flight", &in_flight,
    ];
    subjects::native(server.address, &arguments)
}

fn host(setup: &HostSetup, in_flight: usize) -> Result<Subject> {
    // One slot has no reserve.
    let slots = match in_flight {
        1 => 1,
        more => more + RESERVE,
    };
    setup.plugin("sink", Some("[events]\nstart = \"all\"\n"))?;
    setup.start_with(&format!("[calls]\nslots = {slots}\n"))
}

async fn create_stream(server: &NatsServer) -> Result<Stream> {
    let client = connect(server.address).await?;
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![SUBJECTS.to_owned()],
        ..stream::Config::default()
    };
    let jetstream = async_nats::jetstream::new(client);
    Ok(jetstream.create_stream(config).await?)
}

/// Stores enough events for a drain of this length; returns the size of one.
fn fill(server: &NatsServer, length: Duration) -> Result<usize> {
    let body = envelope(TYPE, DATA).to_structured()?.body.to_vec();
    let size = body.len();
    let publish = Question {
        subject: TYPE.to_owned(),
        body,
        is_answer: |ack| ack.starts_with(br#"{"stream":"#),
    };
    let events = (length.as_secs_f64() * EVENTS_PER_S as f64) as usize;
    Asker::open(server.address, publish, PUBLISHED_AT_ONCE)?.ask_times(events)?;
    Ok(size)
}

/// What the consumer has done by now.
struct Look {
    at: Instant,
    cpu: Duration,
    acked: u64,
}

async fn drain(
    stream: &Stream,
    durable: &str,
    subject: &Subject,
    window: Duration,
) -> Result<Figures> {
    let found = stream.get_consumer(durable).await;
    let mut consumer: Consumer<pull::Config> =
        found.map_err(|error| anyhow!("the subject made no consumer `{durable}`: {error}"))?;
    let deadline = Instant::now() + FIRST_EVENT_DEADLINE;
    while look(&mut consumer, subject).await?.acked == 0 {
        ensure!(
            Instant::now() < deadline,
            "`{durable}` acknowledged nothing within {FIRST_EVENT_DEADLINE:?}"
        );
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    tokio::time::sleep(WARM_UP).await;
    let first = look(&mut consumer, subject).await?;
    tokio::time::sleep(window).await;
    let last = look(&mut consumer, subject).await?;
    ensure!(
        consumer.cached_info().num_pending > 0,
        "`{durable}` drained the stream before the window was over: raise EVENTS_PER_S in bench/src/event.rs"
    );
    Ok(Figures::of_count(
        last.acked - first.acked,
        last.at - first.at,
        last.cpu.saturating_sub(first.cpu),
    ))
}

async fn look(consumer: &mut Consumer<pull::Config>, subject: &Subject) -> Result<Look> {
    let info = consumer.info().await?;
    ensure!(
        info.num_redelivered == 0,
        "{} events were delivered again",
        info.num_redelivered
    );
    let acked = info.delivered.consumer_sequence - info.num_ack_pending as u64;
    Ok(Look {
        at: Instant::now(),
        cpu: subject.cpu()?,
        acked,
    })
}
