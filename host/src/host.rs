//! The whole host: puts the parts together, and takes them apart in order. Holds no logic of its
//! own.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tracing::info;

use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::embedded::{Bus, BusConfig, Retention, StreamLimits};
use crate::gateway::{self, Gateway};
use crate::intake::Intake;
use crate::outbound::Outbound;
use crate::reload::Reload;
use crate::sandbox::{Sandbox, SandboxSettings};
use crate::shutdown::Shutdown;
use crate::watch::Watch;

/// Component instances for each slot: running ones, idle ones, those being tried.
const INSTANCES_PER_SLOT: u32 = 4;

/// A host that serves.
#[derive(Debug)]
pub struct Host {
    config: Arc<Config>,
    dispatcher: Arc<Dispatcher>,
    bus: Bus,
    gateway: Option<SocketAddr>,
    shutdown: Shutdown,
}

impl Host {
    /// Starts a host on the embedded bus: plugins loaded, subscriptions open, gateway bound.
    ///
    /// # Errors
    /// What keeps the host as a whole from starting. A plugin that cannot serve is none of it.
    pub async fn start(config: Config) -> anyhow::Result<Host> {
        let config = Arc::new(config);
        anyhow::ensure!(
            config.plugins.dir.is_dir(),
            "plugins directory `{}` does not exist or is no directory: create it, or name another",
            config.plugins.dir.display()
        );
        let bus = embedded_bus(&config)?;
        let outbound = Outbound::Embedded(bus.clone());
        let sandbox = Arc::new(sandbox(&config)?);
        let dispatcher = Arc::new(Dispatcher::new(&config, outbound.clone()));
        let shutdown = Shutdown::default();
        let mut reload = Reload::new(
            config.clone(),
            sandbox,
            dispatcher.clone(),
            outbound.clone(),
        );
        // Watch first, look then: a file dropped in between is seen.
        let mut watch = Watch::start(&[&config.plugins.dir, &config.plugins.policies]);
        reload.look().await;
        let mut intake = Intake::new(
            config.clone(),
            dispatcher.clone(),
            bus.clone(),
            shutdown.clone(),
        );
        let changes = reload.changes();
        intake.agree();
        shutdown.spawn(intake.follow(changes));
        let ended = shutdown.clone();
        shutdown.spawn(async move {
            loop {
                tokio::select! {
                    () = ended.begun() => return,
                    () = watch.changed() => reload.look().await,
                }
            }
        });
        let gateway = match config.gateway.listen {
            Some(address) => {
                let listener = TcpListener::bind(address)
                    .await
                    .with_context(|| format!("cannot listen on {address}"))?;
                let bound = listener.local_addr()?;
                let gateway = Gateway {
                    config: config.clone(),
                    dispatcher: dispatcher.clone(),
                    outbound,
                    bus: Some(bus.clone()),
                };
                shutdown.spawn(gateway::serve(gateway, listener, shutdown.clone()));
                Some(bound)
            }
            None => None,
        };
        Ok(Host {
            config,
            dispatcher,
            bus,
            gateway,
            shutdown,
        })
    }

    /// Where the gateway listens, if it does.
    pub fn gateway(&self) -> Option<SocketAddr> {
        self.gateway
    }

    /// Who serves what, now.
    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    /// The embedded bus.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Ends: no new messages, those in flight are finished. False: some were still busy when the
    /// drain time was over.
    pub async fn stop(self) -> bool {
        info!("draining");
        self.shutdown.drain(self.config.shutdown.drain).await
    }
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
    bus.create_stream(&events.stream, &events.subjects)?;
    let dead = format!("{}-dlq", events.stream);
    let subjects = [
        format!("conche.dlq.{}.>", events.stream).parse()?,
        format!("conche.redrive.{}.>", events.stream).parse()?,
    ];
    let limits = StreamLimits {
        retention: Retention::DiscardNew,
        ..StreamLimits::default()
    };
    bus.create_stream_with(&dead, &subjects, limits)?;
    Ok(bus)
}
