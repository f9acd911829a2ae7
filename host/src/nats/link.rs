//! One connection: whether a round trip has gone through since it last came up, and another client
//! for one that ended by itself. Must not know what travels on it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_nats::Client;
use tokio::sync::{SetOnce, watch};
use tracing::{error, info};

use super::connect::{ConnectError, Connector, Life, shown};
use super::fence::Fences;
use crate::config::NatsConfig;
use crate::shutdown::Shutdown;

/// How often a connection is looked at whose events may have been dropped: the client hands on
/// 128 of them and forgets the rest.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How soon at one that came up and may have gone again: well within `RECONNECT_PAUSE`.
const LOOK_SOON: Duration = Duration::from_millis(5);

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkState {
    /// Counts how often it came up. What was asked of the server before is forgotten by it.
    pub(crate) generation: u64,
    /// A round trip went through since.
    pub(crate) ready: bool,
    /// The last generation that is over.
    lost: u64,
    /// Round trips that did not go through since it came up.
    failed: u32,
}

/// The clients of a connection, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Lives(Arc<RwLock<Arc<Life>>>);

impl Lives {
    pub(super) fn now(&self) -> Arc<Life> {
        let life = self.0.read().unwrap_or_else(PoisonError::into_inner);
        life.clone()
    }
}

/// A connection that comes back by itself.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    lives: Lives,
    purpose: &'static str,
    state: watch::Receiver<LinkState>,
    fences: Arc<Fences>,
}

impl Link {
    /// Connects, for as long as the configuration allows, and waits for a first round trip: for ever,
    /// unless `first_trips` says how often it is tried.
    pub(crate) async fn open(
        config: &NatsConfig,
        client_id: &str,
        purpose: &'static str,
        shutdown: &Shutdown,
        gave_up: &Arc<SetOnce<ConnectError>>,
        first_trips: Option<u32>,
    ) -> Result<Link, ConnectError> {
        let connector = Connector {
            config: config.clone(),
            client_id: client_id.to_owned(),
            purpose,
            shutdown: shutdown.clone(),
            gave_up: gave_up.clone(),
            look: Arc::default(),
            fences: Arc::default(),
        };
        let life = connector.connect(0).await?;
        let (sender, mut state) = watch::channel(LinkState {
            generation: 0,
            ready: false,
            lost: 0,
            failed: 0,
        });
        let link = Link {
            lives: Lives(Arc::new(RwLock::new(Arc::new(life)))),
            purpose,
            state: state.clone(),
            fences: connector.fences.clone(),
        };
        shutdown.spawn_until_end(supervise(link.clone(), connector, sender));
        let urls = shown(&config.urls);
        let is_useless = |state: &LinkState| first_trips.is_some_and(|most| state.failed >= most);
        tokio::select! {
            () = shutdown.begun() => return Err(ConnectError::Ended { urls }),
            reason = gave_up.wait() => return Err(reason.clone()),
            Ok(state) = state.wait_for(|state| state.ready || is_useless(state)) => {
                if !state.ready {
                    let (trips, reason) = (state.failed, link.fences.reason());
                    return Err(ConnectError::NoRoundTrip { urls, trips, reason });
                }
            }
        }
        Ok(link)
    }

    /// As it is now. What was asked of an earlier one is lost with it.
    pub(crate) fn client(&self) -> Arc<Client> {
        self.lives.now().client.clone()
    }

    /// For what outlives a client.
    pub(super) fn lives(&self) -> Lives {
        self.lives.clone()
    }

    fn life(&self) -> Arc<Life> {
        self.lives.now()
    }

    /// Counts how often the connection came up, to the moment.
    pub(crate) fn generation(&self) -> u64 {
        self.life().generation()
    }

    /// What it is for, in a word.
    pub(crate) fn purpose(&self) -> &'static str {
        self.purpose
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        self.until(|state| state.ready).await;
    }

    /// Waits until the connection has come up once more than `generation`, and is ready.
    pub(crate) async fn newer_than(&self, generation: u64) {
        self.until(|state| state.ready && state.generation > generation)
            .await;
    }

    /// The generation that is not over yet: what is asked of the server now is asked in it.
    pub(crate) fn current(&self) -> u64 {
        self.state.borrow().lost + 1
    }

    /// Waits until a generation is over. What the client holds on to now it asks for again in the
    /// next one; what is let go of within `RECONNECT_PAUSE` it does not.
    pub(crate) async fn lost(&self, generation: u64) {
        self.until(|state| state.lost >= generation).await;
    }

    /// Waits until it is ready, or no longer, whichever it was not.
    pub(crate) async fn turned(&self, was: bool) {
        self.until(|state| state.ready != was).await;
    }

    async fn until(&self, so: impl FnMut(&LinkState) -> bool) {
        // An error: the supervisor ended with the host, and nothing comes to be so any more.
        if self.state.clone().wait_for(so).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Why no round trip goes through, as far as the server said.
    pub(crate) fn trouble(&self) -> String {
        self.fences.reason()
    }

    /// A round trip: all that was sent before has reached the server.
    pub(crate) async fn fence(&self) -> bool {
        self.fences.round_trip(&self.client()).await
    }
}

/// Keeps the state true: after each time the connection came up, it is ready once a round trip
/// went through.
async fn supervise(link: Link, connector: Connector, state: watch::Sender<LinkState>) {
    let purpose = link.purpose;
    loop {
        let life = link.life();
        if life.ended.is_cancelled() {
            state.send_modify(|state| state.ready = false);
            match connector.connect(life.generation()).await {
                Ok(another) => {
                    let lives = &link.lives.0;
                    *lives.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(another);
                }
                Err(error) => {
                    error!(purpose, %error, "the connection is lost");
                    // Or another connection was given up before.
                    let _ = connector.gave_up.set(error);
                    return;
                }
            }
            continue;
        }
        let generation = life.generation();
        let up = life.client.connection_state() == async_nats::connection::State::Connected;
        let was = *state.borrow();
        let is_new = generation != was.generation;
        // One that just came up is counted a moment before the client says that it is.
        let over = if up || is_new {
            generation.saturating_sub(1)
        } else {
            generation
        };
        let known = LinkState {
            generation,
            ready: was.ready && up && !is_new,
            lost: was.lost.max(over),
            failed: if is_new { 0 } else { was.failed },
        };
        if known != was {
            state.send_replace(known);
        }
        if up && !known.ready {
            let ready = link.fences.round_trip(&life.client).await;
            // Only if it is still the same: what came up meanwhile needs a trip of its own.
            if generation == life.generation() && !life.ended.is_cancelled() {
                let failed = known.failed.saturating_add(u32::from(!ready));
                state.send_replace(LinkState {
                    ready,
                    failed,
                    ..known
                });
                if ready {
                    info!(purpose, generation, "connected to NATS");
                }
            }
            if ready {
                continue;
            }
        }
        // Woken by an event, or after a while in case one was dropped. One that is counted and not up
        // may have gone again already.
        let look_again = if is_new && !up { LOOK_SOON } else { LOOK_EVERY };
        let _ = tokio::time::timeout(look_again, connector.look.notified()).await;
    }
}
