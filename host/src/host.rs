//! The whole host: puts the parts together, and takes them apart in order. Holds no logic of its
//! own.

mod probes;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::admission::Lanes;
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::doctor;
use crate::embedded::{Bus, BusConfig};
use crate::gateway::{self, Gateway};
use crate::intake::{Intake, dynamic};
use crate::listeners::Listeners;
use crate::metrics::Metrics;
use crate::nats::{ConnectError, Nats};
use crate::outbound::watch::Match;
use crate::outbound::{self, Outbound};
use crate::reload::{self, Reload, Report};
use crate::sandbox::{Sandbox, SandboxSettings};
use crate::shutdown::Shutdown;
use crate::source::Source;
use crate::watch::Watch;
use probes::Probes;

pub use crate::reload::NoDirectory;

/// Component instances for each slot: running ones, idle ones, those being tried.
const INSTANCES_PER_SLOT: u32 = 4;

/// Where a host runs, beside the runtime that it is started on, which runs its guests.
#[derive(Debug, Clone)]
pub struct Runtimes {
    /// Reads queries and runs those that are short: one thread, prepared for guests.
    pub queries: Handle,
    /// Acknowledgements, what is sent, the events that handlers wait for, probes: busy guests starve
    /// none of them.
    pub io: Handle,
}

/// A host that serves.
#[derive(Debug)]
pub struct Host {
    config: Arc<Config>,
    dispatcher: Arc<Dispatcher>,
    source: Source,
    gateway: Option<SocketAddr>,
    probes: Probes,
    report: watch::Receiver<Report>,
    shutdown: Shutdown,
}

impl Runtimes {
    /// All of it on the runtime that this is called on: for tools, and hosts without load.
    pub fn one() -> Runtimes {
        let this = Handle::current();
        Runtimes {
            queries: this.clone(),
            io: this,
        }
    }
}

impl Host {
    /// Starts a host: connected, plugins loaded, subscriptions open, gateway bound. Guests run on the
    /// runtime that it is called on.
    ///
    /// # Errors
    /// What keeps the host as a whole from starting. A plugin that cannot serve is none of it, nor
    /// is a server that is not there: it is tried again as often as the configuration says.
    pub async fn start(config: Config, runtimes: &Runtimes) -> anyhow::Result<Host> {
        Host::start_under(config, runtimes, Shutdown::default()).await
    }

    /// Starts a host that can be told to end before it has started: whoever drains `shutdown` then
    /// lets finish what has begun.
    ///
    /// # Errors
    /// Those of [`Host::start`].
    pub async fn start_under(
        config: Config,
        runtimes: &Runtimes,
        shutdown: Shutdown,
    ) -> anyhow::Result<Host> {
        let config = Arc::new(config);
        check_directories(&config)?;
        // What can be refused by the machine comes before anybody is served.
        let gateway = match config.gateway.listen {
            Some(address) => Some(listen(address, "--listen, or listen in [gateway]").await?),
            None => None,
        };
        let metrics = Arc::new(Metrics::new());
        let lanes = Dispatcher::lanes(&config);
        let probes = Probes::open(&config, lanes.clone(), metrics.clone(), &runtimes.io).await?;
        let sandbox = Arc::new(sandbox(&config)?);
        let source = source(&config, runtimes, &shutdown).await?;
        if let Source::Nats(nats) = &source {
            probes.follow(nats, &metrics, &shutdown);
        }
        let outbound = outbound_of(&source);
        streams::ensure(&outbound, &config, &shutdown).await;
        let events = stored_events(&config, &outbound, runtimes, &shutdown);
        let (dispatcher, matches) = dispatcher(&config, &outbound, lanes, metrics, events);
        let mut reload = Reload::new(
            config.clone(),
            sandbox,
            dispatcher.clone(),
            outbound.clone(),
        );
        // Watch first, look then: a file dropped in between is seen.
        let watch = Watch::start(&[&config.plugins.dir, &config.plugins.policies]);
        reload.look().await;
        let serving = serving(&source, &shutdown);
        let mut intake = Intake::new(
            config.clone(),
            dispatcher.clone(),
            source.clone(),
            serving.clone(),
            reload.changes(),
            &runtimes.queries,
        );
        intake.agree().await;
        if let Source::Nats(nats) = &source {
            settled(nats).await?;
            // Beside the start, so that it delays nobody.
            shutdown.spawn(glance(config.clone(), nats.clone(), shutdown.clone()));
        }
        let report = reload.report();
        serving.spawn(intake.follow());
        let changes = reload.changes();
        let heard = dynamic::Heard { matches, changes };
        serving.spawn(heard.serve(dispatcher.clone(), serving.clone()));
        shutdown.spawn(keep_looking(reload, watch, shutdown.clone()));
        let gateway = gateway.map(|(listener, address)| {
            let gateway = Gateway {
                config: config.clone(),
                dispatcher: dispatcher.clone(),
                outbound,
                bus: source.bus().cloned(),
                shutdown: serving.clone(),
            };
            serving.spawn(gateway::serve(gateway, listener));
            address
        });
        probes.readiness.started();
        Ok(Host {
            config,
            dispatcher,
            source,
            gateway,
            probes,
            report,
            shutdown,
        })
    }

    /// Where the gateway listens, if it does.
    pub fn gateway(&self) -> Option<SocketAddr> {
        self.gateway
    }

    /// Where probes and scrapes are answered, if they are.
    pub fn health(&self) -> Option<SocketAddr> {
        self.probes.address
    }

    /// Who serves what, now.
    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    /// What lies in the plugins directory: refused versions, files passed over, looks.
    pub fn report(&self) -> watch::Receiver<Report> {
        self.report.clone()
    }

    /// The embedded bus, if the host runs on it.
    pub fn bus(&self) -> Option<&Bus> {
        self.source.bus()
    }

    /// What it was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Resolves when the host has lost its server for good, such as after as many attempts to come
    /// back as it may make: why.
    pub async fn gave_up(&self) -> ConnectError {
        match &self.source {
            Source::Nats(nats) => nats.gave_up().await,
            Source::Embedded(_) => std::future::pending().await,
        }
    }

    /// Ends: no new messages, those in flight are finished. False: some were still busy when the
    /// drain time was over.
    pub async fn stop(self) -> bool {
        info!("draining");
        self.probes.readiness.stopping();
        let drained = self.shutdown.drain(self.config.shutdown.drain).await;
        if !drained && let Source::Nats(nats) = &self.source {
            // Some calls did end.
            nats.fence().await;
        }
        // They answer until the end: a host that drains is alive.
        self.probes.end().await;
        drained
    }
}

/// What serves: once it has ended, its last answers leave this process, for which a round trip is
/// waited. Whoever ends a host before it is ready waits for that, too.
fn serving(source: &Source, shutdown: &Shutdown) -> Shutdown {
    let source = source.clone();
    shutdown.part_before(async move {
        if let Source::Nats(nats) = &source {
            nats.fence().await;
        }
    })
}

/// Says what is wrong around the host, as far as it is seen at once; `conche doctor` sees the rest.
async fn glance(config: Arc<Config>, nats: Nats, shutdown: Shutdown) {
    let findings = tokio::select! {
        () = shutdown.begun() => return,
        findings = doctor::glance(&config, &nats) => findings,
    };
    for doctor::Finding {
        check, what, mend, ..
    } in findings
    {
        warn!(check, what, mend, "found at the start");
    }
}

fn check_directories(config: &Config) -> Result<(), NoDirectory> {
    let first = reload::missing(&config.plugins).into_iter().next();
    first.map_or(Ok(()), Err)
}

/// Connects, or makes a bus.
async fn source(
    config: &Config,
    runtimes: &Runtimes,
    shutdown: &Shutdown,
) -> anyhow::Result<Source> {
    if config.mode.is_embedded() {
        return Ok(Source::Embedded(embedded_bus(config)?));
    }
    let connected = Nats::connect(
        &config.nats,
        &config.events,
        &config.client_id,
        shutdown,
        &runtimes.queries,
        &runtimes.io,
    );
    Ok(Source::Nats(connected.await?))
}

fn outbound_of(source: &Source) -> Outbound {
    match source {
        Source::Nats(nats) => Outbound::Nats(nats.clone()),
        Source::Embedded(bus) => Outbound::Embedded(bus.clone()),
    }
}

/// What handlers wait for. Read beside the queries, whichever call is the first to wait.
fn stored_events(
    config: &Config,
    outbound: &Outbound,
    runtimes: &Runtimes,
    shutdown: &Shutdown,
) -> outbound::watch::Watch {
    outbound::watch::Watch::new(
        outbound.clone(),
        config.events.stream.clone(),
        config.compat.transaction_attribute.clone(),
        shutdown,
        Some(runtimes.io.clone()),
    )
}

/// Without plugins and listeners yet; what listeners will hear comes out of the receiver.
fn dispatcher(
    config: &Arc<Config>,
    outbound: &Outbound,
    lanes: Lanes,
    metrics: Arc<Metrics>,
    events: outbound::watch::Watch,
) -> (Arc<Dispatcher>, mpsc::Receiver<Match>) {
    let (listeners, matches) = Listeners::new(events);
    let (config, outbound) = (config.clone(), outbound.clone());
    let dispatcher = Dispatcher::new(config, outbound, Arc::new(listeners), lanes, metrics);
    (Arc::new(dispatcher), matches)
}

/// Waits until the server has all subscriptions: a query that is sent after it finds us.
async fn settled(nats: &Nats) -> Result<(), ConnectError> {
    loop {
        tokio::select! {
            error = nats.gave_up() => return Err(error),
            has_them = nats.fence() => if has_them { return Ok(()) },
        }
        warn!("no round trip to the server: waiting until it has the subscriptions");
    }
}

async fn keep_looking(mut reload: Reload, mut watch: Watch, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            () = watch.changed(reload.look_again()) => {}
        }
        // Cut short by the end: what is being compiled then is not waited for.
        tokio::select! {
            () = shutdown.begun() => return,
            () = reload.look() => {}
        }
    }
}

/// `setting` says where another address is set.
async fn listen(address: SocketAddr, setting: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (another one: {setting})"))?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// The engine with its pool, as large as the configuration needs it.
///
/// # Errors
/// What wasmtime refuses.
pub fn sandbox(config: &Config) -> anyhow::Result<Sandbox> {
    let settings = SandboxSettings {
        instances: config.calls.slots.saturating_mul(INSTANCES_PER_SLOT),
        memory_bytes: config.calls.max_memory_bytes,
        table_elements: config.calls.max_table_elements,
        cache: Some(config.cache.clone()),
    };
    Sandbox::new(&settings).map_err(|error| anyhow::anyhow!("cannot start wasmtime: {error:#}"))
}

/// A bus with the event stream and its dead-letter stream.
///
/// # Errors
/// Subjects that overlap.
pub fn embedded_bus(config: &Config) -> anyhow::Result<Bus> {
    let events = &config.events;
    let bus = Bus::new(BusConfig {
        ack_wait: events.ack_wait,
        duplicate_window: events.duplicate_window,
        ..BusConfig::default()
    });
    outbound::create_embedded_streams(&bus, events)?;
    Ok(bus)
}
