//! Probes and metrics over HTTP, on a listener of their own: `/healthz` (alive), `/readyz` (may be
//! sent traffic, else why not) and `/metrics`. It must not know plugins, or what makes a host
//! ready: whoever does tells a [`Readiness`].

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;

use crate::admission::Lanes;
use crate::http;
use crate::metrics::{self, Metrics};
use crate::shutdown::Shutdown;

/// Whoever can reach the port may ask, without a token: few connections, small heads, one request
/// each.
const LIMITS: http::Limits = http::Limits {
    name: "health",
    connections: 64,
    head_wait: Duration::from_secs(5),
    write_wait: Duration::from_secs(5),
    headers: 64,
    head_bytes: 16 << 10,
    keep_alive: false,
    lifetime: Some(Duration::from_secs(10)),
    last_bytes: Duration::from_secs(1),
};

/// What the probes report.
#[derive(Debug)]
pub struct Health {
    /// Rendered for each scrape.
    pub metrics: Arc<Metrics>,
    /// Asked by each readiness probe.
    pub readiness: Readiness,
    /// The host's slots.
    pub lanes: Lanes,
}

/// Whether the host may be sent traffic: a few named conditions. Clones share them; the host sets
/// them, probes read them. A new one is not ready, because nothing has started.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Conditions>>);

#[derive(Debug, Default)]
struct Conditions {
    started: bool,
    disconnected: BTreeSet<&'static str>,
    stopping: bool,
}

impl Readiness {
    /// The plugins are loaded, the subscriptions open.
    pub fn started(&self) {
        self.conditions().started = true;
    }

    /// A NATS connection made its round trip, or has yet to make it. One that the host needs is
    /// named false before the first attempt.
    pub fn connection(&self, name: &'static str, ready: bool) {
        let disconnected = &mut self.conditions().disconnected;
        if ready {
            disconnected.remove(name);
        } else {
            disconnected.insert(name);
        }
    }

    /// The host drains, and is never ready again.
    pub fn stopping(&self) {
        self.conditions().stopping = true;
    }

    /// What keeps the host from being ready, one a line; none when it is.
    pub fn reasons(&self) -> Vec<String> {
        let conditions = self.conditions();
        let mut reasons = Vec::new();
        if conditions.stopping {
            reasons.push("the host is stopping".to_owned());
        }
        if !conditions.started {
            reasons.push("the host is starting".to_owned());
        }
        for name in &conditions.disconnected {
            reasons.push(format!("NATS connection `{name}` is not ready"));
        }
        reasons
    }

    fn conditions(&self) -> MutexGuard<'_, Conditions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until the shutdown begins, then finishes what it answers. The shutdown is not the one
/// that drains the calls but one that begins after it: while the host drains, its probes must
/// still say that it is alive and not ready.
pub async fn serve(health: Health, listener: TcpListener, shutdown: Shutdown) {
    let router = Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(Arc::new(health));
    http::serve(listener, router, shutdown, LIMITS).await;
}

/// A body that no proxy may keep.
type Answer = (StatusCode, [(HeaderName, &'static str); 2], String);

/// It answers, so it lives: a host that waits for NATS must not be killed for it.
async fn alive() -> Answer {
    answer(StatusCode::OK, "text/plain", "ok\n".to_owned())
}

async fn ready(State(health): State<Arc<Health>>) -> Answer {
    let reasons = health.readiness.reasons();
    let (status, body) = if reasons.is_empty() {
        (StatusCode::OK, json!({"ready": true}))
    } else {
        let body = json!({"ready": false, "reasons": reasons});
        (StatusCode::SERVICE_UNAVAILABLE, body)
    };
    answer(status, "application/json", body.to_string())
}

async fn scrape(State(health): State<Arc<Health>>) -> Answer {
    health.metrics.slots_free(health.lanes.free());
    answer(
        StatusCode::OK,
        metrics::CONTENT_TYPE,
        health.metrics.render(),
    )
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let headers = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")];
    (status, headers, body)
}

#[cfg(test)]
mod tests;
