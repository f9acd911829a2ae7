//! The listener of probes and scrapes, and who tells it how the host stands. Must not know what
//! makes a connection ready.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::listen;
use crate::admission::Lanes;
use crate::config::{Config, Mode};
use crate::health::{self, Health, Readiness};
use crate::metrics::Metrics;
use crate::nats::{self, Nats};
use crate::shutdown::Shutdown;

/// For the last probe's answer.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// The listener of probes and scrapes, and what it is told.
#[derive(Debug)]
pub(super) struct Probes {
    pub(super) readiness: Readiness,
    pub(super) address: Option<SocketAddr>,
    /// Begins when all else has ended.
    ended: Shutdown,
}

impl Probes {
    /// Listens before anything else happens: a host that waits for its server is alive.
    pub(super) async fn open(
        config: &Config,
        lanes: Lanes,
        metrics: Arc<Metrics>,
        io: &Handle,
    ) -> anyhow::Result<Probes> {
        let readiness = Readiness::default();
        if !config.mode.is_embedded() {
            for connection in nats::CONNECTIONS {
                readiness.connection(connection, false);
                // An alert on 0 has to see the host that never came up.
                metrics.nats_connected(connection, false);
            }
        }
        let mut probes = Probes {
            readiness: readiness.clone(),
            address: None,
            ended: Shutdown::default(),
        };
        if let Some(address) = config.health.listen {
            let setting = match config.mode {
                Mode::Run => "--health-listen, CONCHE_HEALTH_LISTEN, or listen in [health]",
                _ => "CONCHE_HEALTH_LISTEN, or listen in [health]",
            };
            let (listener, bound) = listen(address, setting).await?;
            let health = Health {
                metrics,
                readiness,
                lanes,
            };
            probes.address = Some(bound);
            // On the runtime of the connections, so that busy guests starve no probe.
            let serve = health::serve(health, listener, probes.ended.clone());
            probes.ended.spawn_on(io, serve);
        }
        Ok(probes)
    }

    /// Tells readiness and metrics how each connection stands.
    pub(super) fn follow(&self, nats: &Nats, metrics: &Arc<Metrics>, shutdown: &Shutdown) {
        for connection in nats::CONNECTIONS {
            let (nats, metrics) = (nats.clone(), metrics.clone());
            let readiness = self.readiness.clone();
            shutdown.spawn_until_end(async move {
                let mut ready = false;
                loop {
                    nats.turned(connection, ready).await;
                    ready = !ready;
                    readiness.connection(connection, ready);
                    metrics.nats_connected(connection, ready);
                }
            });
        }
    }

    /// Ends, when all else has: a host that drains is alive, and says so.
    pub(super) async fn end(&self) {
        self.ended.drain(LAST_ANSWER).await;
    }
}
