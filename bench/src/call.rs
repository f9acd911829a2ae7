//! `call`: one query in this process, without NATS: through the host's dispatcher (lookup,
//! admission, budgets, call, reply envelope) against [`crate::bare`]. Once with a reused instance,
//! once with a fresh one for each call.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use conche::config::{Config, Flags, Mode};
use conche::dispatch::{QueryAnswer, Travel};
use conche::envelope::{CloudEvent, Message};
use conche::host::{Host, Runtimes};

use crate::bare::{Bare, BareInstance};
use crate::driver::Window;
use crate::process::own_cpu;
use crate::query::{GREETER_OP, question};
use crate::table::{Figures, Row, Who, markdown, show};
use crate::{Effort, subjects};

/// Before each window.
const WARM_UP: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instances {
    Reused,
    Fresh,
}

impl Instances {
    fn bench(self) -> &'static str {
        match self {
            Instances::Reused => "call-reused",
            Instances::Fresh => "call-fresh",
        }
    }

    fn policy(self) -> &'static str {
        match self {
            Instances::Reused => "[instances]\nmode = \"auto\"\n",
            Instances::Fresh => "[instances]\nmode = \"fresh\"\n",
        }
    }
}

/// Measures, prints the table, returns its rows.
pub(crate) fn run(effort: Effort) -> Result<Vec<Row>> {
    // As `conche` itself has it; the calls run on this thread.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    conche::sandbox::Sandbox::prepare_thread();
    let mut rows = Vec::new();
    for instances in [Instances::Reused, Instances::Fresh] {
        rows.extend(runtime.block_on(measure(instances, effort))?);
    }
    println!(
        "\ncall: the greeter in this process, one call at a time; native: bare wasmtime, same engine and pool\n"
    );
    print!("{}", table(&rows));
    Ok(rows)
}

async fn measure(instances: Instances, effort: Effort) -> Result<[Row; 2]> {
    let dir = tempfile::tempdir()?;
    let component = subjects::component("greeter")?;
    let host = start_host(dir.path(), &component, instances).await?;
    let dispatcher = host.dispatcher();
    let query = query()?;
    let registry = dispatcher.registry();
    let route = registry
        .query(GREETER_OP)
        .context("the greeter serves no query: the log above says why")?;
    let engine = route.plugin.component().engine();
    let bare = Bare::new(engine, &std::fs::read(&component)?);
    let bare = bare.map_err(|error| anyhow!("cannot prepare the bare call: {error:#}"))?;

    let mut through_host = async || {
        let came = Instant::now().into();
        let asked = dispatcher.query(&query, came, Travel::default(), || None);
        match asked.await {
            QueryAnswer::Reply { .. } => Ok(()),
            other => bail!("the host answered {other:?}"),
        }
    };
    let mut kept = instantiate(&bare).await?;
    let mut bare_call = async || {
        let mut fresh;
        let instance = match instances {
            Instances::Reused => &mut kept,
            Instances::Fresh => {
                fresh = instantiate(&bare).await?;
                &mut fresh
            }
        };
        instance.call(&route.handler, &query).await
    };
    let (mut native, mut hosted) = (Vec::new(), Vec::new());
    for round in 0..effort.rounds {
        if round % 2 == 0 {
            native.push(window(&mut bare_call, effort.window).await?);
            hosted.push(window(&mut through_host, effort.window).await?);
        } else {
            hosted.push(window(&mut through_host, effort.window).await?);
            native.push(window(&mut bare_call, effort.window).await?);
        }
    }
    host.stop().await;
    let row = |subject, rounds: &[Figures]| Row {
        bench: instances.bench(),
        subject,
        outstanding: 1,
        figures: Figures::median(rounds),
    };
    Ok([row(Who::Native, &native), row(Who::Host, &hosted)])
}

/// A host on its embedded bus with the greeter alone, asked past the bus.
async fn start_host(dir: &Path, component: &Path, instances: Instances) -> Result<Host> {
    let plugins = dir.join("plugins");
    std::fs::create_dir(&plugins)?;
    std::fs::copy(component, plugins.join("greeter.wasm"))?;
    std::fs::write(plugins.join("greeter.toml"), instances.policy())?;
    let config = dir.join("conche.toml");
    std::fs::write(&config, format!("[cache]\ndir = {:?}\n", dir.join("cache")))?;
    let flags = Flags {
        config: Some(config),
        plugins: Some(plugins),
        listen: Some("127.0.0.1:0".to_owned()),
        ..Flags::default()
    };
    Host::start(Config::load(Mode::Dev, &flags)?, &Runtimes::one()).await
}

pub(crate) async fn window(
    mut call: impl AsyncFnMut() -> Result<()>,
    length: Duration,
) -> Result<Figures> {
    let began = Instant::now();
    while began.elapsed() < WARM_UP {
        call().await?;
    }
    let mut latencies = Vec::new();
    let (began, cpu) = (Instant::now(), own_cpu()?);
    let mut last = began;
    while last - began < length {
        call().await?;
        let now = Instant::now();
        latencies.push(u64::try_from((now - last).as_nanos()).unwrap_or(u64::MAX));
        last = now;
    }
    let (took, cpu) = (began.elapsed(), own_cpu()?.saturating_sub(cpu));
    latencies.sort_unstable();
    Ok(Figures::of(&Window {
        took,
        cpu,
        latencies,
    }))
}

pub(crate) async fn instantiate(bare: &Bare) -> Result<BareInstance> {
    let instance = bare.instantiate().await;
    instance.map_err(|error| anyhow!("cannot make a bare instance: {error:#}"))
}

/// The greeter's query, as it is received.
pub(crate) fn query() -> Result<Arc<CloudEvent>> {
    let body = question(GREETER_OP)?.body.into();
    let message = Message {
        body,
        ..Message::default()
    };
    Ok(Arc::new(CloudEvent::decode(&message)?))
}

fn table(rows: &[Row]) -> String {
    let heading = [
        "instance",
        "bare p50 µs",
        "host p50 µs",
        "overhead µs",
        "bare calls/s",
        "host calls/s",
    ];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for pair in rows.chunks(2) {
        let [native, host] = pair else { continue };
        let (n, h) = (native.figures, host.figures);
        let overhead = h.p50_us.zip(n.p50_us).map(|(host, bare)| host - bare);
        lines.push(vec![
            native.bench.trim_start_matches("call-").to_owned(),
            show(n.p50_us),
            show(h.p50_us),
            show(overhead),
            show(Some(n.per_s)),
            show(Some(h.per_s)),
        ]);
    }
    markdown(&lines)
}
