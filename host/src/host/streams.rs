//! The streams of events and dead letters: looked at before a plugin needs them, and whenever the
//! server may be another one. Must not know what is in them.

use std::sync::Arc;

use tracing::warn;

use crate::config::Config;
use crate::nats::CONNECTIONS;
use crate::outbound::Outbound;
use crate::shutdown::Shutdown;

/// Makes what is missing and says what is wrong, now and each time the connection came back: a server
/// that lost its store has no streams.
pub(super) async fn ensure(outbound: &Outbound, config: &Arc<Config>, shutdown: &Shutdown) {
    check(outbound, config).await;
    let Outbound::Nats(nats) = outbound else {
        return;
    };
    let (nats, outbound, config) = (nats.clone(), outbound.clone(), config.clone());
    shutdown.spawn_until_end(async move {
        let [_, _, sending] = CONNECTIONS;
        loop {
            nats.turned(sending, true).await;
            nats.turned(sending, false).await;
            check(&outbound, &config).await;
        }
    });
}

async fn check(outbound: &Outbound, config: &Config) {
    if let Err(flaw) = outbound.ensure_streams(&config.events).await {
        warn!(%flaw, "events cannot travel: plugins that listen to them are refused until they can");
    }
}
