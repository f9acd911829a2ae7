//! One connection: how it is opened, how often it is tried again, and whether a round trip has
//! gone through since it last came up. Must not know what travels on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::fence::Fences;
use super::login;
use super::told::Told;
use crate::config::NatsConfig;
use crate::shutdown::Shutdown;

/// Messages that one subscription holds until they are read. Its loop reads as long as its
/// answers leave, so this is room for a stall of the connection or the process, not for slow
/// handlers; what comes on top is dropped by the client, and said aloud.
const SUBSCRIPTION_CAPACITY: usize = 64 * 1024;

/// Commands on their way to the connection's task.
const CLIENT_CAPACITY: usize = 4096;

/// What a lost connection waits before it is tried again for the first time: its subscriptions are
/// made anew meanwhile, see [`Link::lost`].
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// How often a connection is looked at whose events may have been dropped: the client hands on
/// 128 of them and forgets the rest.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How soon at one that came up and may have gone again: well within [`RECONNECT_PAUSE`].
const LOOK_SOON: Duration = Duration::from_millis(5);

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// A file, a key or an option that can't be right, whatever the server says.
    #[error("{0}")]
    Options(String),
    /// The number of attempts that the configuration allows is used up.
    #[error("cannot connect to {urls} in {attempts} attempt{}: {reason}", if *.attempts == 1 { "" } else { "s" })]
    GaveUp {
        /// The servers, without credentials.
        urls: String,
        /// How often it was tried.
        attempts: u32,
        /// Of the last attempt.
        reason: String,
    },
    /// It came up, and is of no use.
    #[error("connected to {urls}, but no round trip in {trips} attempts: {reason}")]
    NoRoundTrip {
        /// The servers, without credentials.
        urls: String,
        /// How often it was tried.
        trips: u32,
        /// What the server said.
        reason: String,
    },
    /// It was lost again before the host was up, and the attempts are used up.
    #[error("lost the connection to {urls}, and tried as often as max_reconnects allows")]
    Lost {
        /// The servers, without credentials.
        urls: String,
    },
    /// The host was told to end before there was one.
    #[error("told to end before there was a connection to {urls}")]
    Ended {
        /// The servers, without credentials.
        urls: String,
    },
}

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

/// A connection that comes back by itself.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) client: Arc<Client>,
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
        gave_up: &CancellationToken,
        first_trips: Option<u32>,
    ) -> Result<Link, ConnectError> {
        let look = Arc::<Notify>::default();
        let fences = Arc::<Fences>::default();
        let told = Arc::new(Told {
            purpose,
            look: look.clone(),
            gave_up: gave_up.clone(),
            up: AtomicBool::new(false),
            fences: fences.clone(),
            shutdown: shutdown.clone(),
        });
        let urls = shown(&config.urls);
        let mut attempt: u32 = 0;
        let client = loop {
            let options = options(config, client_id, told.clone()).await?;
            let connected = tokio::select! {
                () = shutdown.begun() => return Err(ConnectError::Ended { urls }),
                connected = options.connect(config.urls.as_slice()) => connected,
            };
            let reason = match connected {
                Ok(client) => {
                    let client = Arc::new(client);
                    told.up.store(true, Ordering::Relaxed);
                    break client;
                }
                Err(error) => login::refusal(config, &error),
            };
            attempt = attempt.saturating_add(1);
            if config.max_reconnects.is_some_and(|most| attempt > most) {
                return Err(ConnectError::GaveUp {
                    urls,
                    attempts: attempt,
                    reason,
                });
            }
            let wait = backoff(config, attempt);
            warn!(purpose, urls, reason, attempt, again_in = ?wait, "no connection to NATS");
            tokio::select! {
                () = shutdown.begun() => return Err(ConnectError::Ended { urls }),
                () = tokio::time::sleep(wait) => {}
            }
        };
        let (sender, mut state) = watch::channel(LinkState {
            generation: 0,
            ready: false,
            lost: 0,
            failed: 0,
        });
        let link = Link {
            client,
            purpose,
            state: state.clone(),
            fences,
        };
        shutdown.spawn_until_end(supervise(link.clone(), look, sender));
        let is_useless = |state: &LinkState| first_trips.is_some_and(|most| state.failed >= most);
        tokio::select! {
            () = shutdown.begun() => return Err(ConnectError::Ended { urls }),
            () = gave_up.cancelled() => return Err(ConnectError::Lost { urls }),
            Ok(state) = state.wait_for(|state| state.ready || is_useless(state)) => {
                if !state.ready {
                    let (trips, reason) = (state.failed, link.fences.reason());
                    return Err(ConnectError::NoRoundTrip { urls, trips, reason });
                }
            }
        }
        Ok(link)
    }

    /// Counts how often the connection came up, to the moment.
    pub(crate) fn generation(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
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
    /// next one; what is let go of within [`RECONNECT_PAUSE`] it does not.
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

    /// A round trip: all that was sent before has reached the server.
    pub(crate) async fn fence(&self) -> bool {
        self.fences.round_trip(&self.client).await
    }
}

/// Keeps the state true: after each time the connection came up, it is ready once a round trip
/// went through.
async fn supervise(link: Link, look: Arc<Notify>, state: watch::Sender<LinkState>) {
    let Link {
        client,
        purpose,
        fences,
        ..
    } = link;
    let connects = client.statistics();
    loop {
        let generation = connects.connects.load(Ordering::Relaxed);
        let up = client.connection_state() == async_nats::connection::State::Connected;
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
            let ready = fences.round_trip(&client).await;
            // Only if it is still the same: what came up meanwhile needs a trip of its own.
            if generation == connects.connects.load(Ordering::Relaxed) {
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
        let _ = tokio::time::timeout(look_again, look.notified()).await;
    }
}

async fn options(
    config: &NatsConfig,
    client_id: &str,
    told: Arc<Told>,
) -> Result<ConnectOptions, ConnectError> {
    let on_event = told.clone();
    let delays = config.clone();
    let name = format!("{client_id} ({})", told.purpose);
    let options = login::options(config, name).await?;
    Ok(options
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .client_capacity(CLIENT_CAPACITY)
        .event_callback(move |event| {
            on_event.hear(&event);
            std::future::ready(())
        })
        .reconnect_delay_callback(move |attempts| {
            // The first one of a connection that was never up is ours to wait for: see `open`.
            let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
            let counts = told.up.load(Ordering::Relaxed);
            let most = delays.max_reconnects.filter(|_| counts);
            if most.is_some_and(|most| attempts > most) && !told.gave_up.is_cancelled() {
                error!(
                    purpose = told.purpose,
                    "the connection did not come back in as many attempts as max_reconnects (NATS_MAX_RECONNECTS) allows"
                );
                told.gave_up.cancel();
            }
            match attempts {
                0 | 1 if counts => RECONNECT_PAUSE,
                0 | 1 => Duration::ZERO,
                more => backoff(&delays, more - 1),
            }
        }))
}

/// The wait before attempt `attempt + 1`: doubled each time, up to the longest.
fn backoff(config: &NatsConfig, attempt: u32) -> Duration {
    let doubled = config
        .reconnect_first
        .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    doubled.min(config.reconnect_wait)
}

/// Server URLs without what stands before the `@`.
pub(super) fn shown(urls: &[String]) -> String {
    let without = |url: &String| match url.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}://{host}")
        }
        None => url.clone(),
    };
    urls.iter().map(without).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{backoff, shown};
    use crate::config::{Config, Flags, Inputs, Machine, Mode};
    use crate::settings::Lookups;

    #[test]
    fn waits_double_up_to_the_reconnect_wait() {
        let config = |seconds: &str| {
            let env = |name: &str| (name == "NATS_RECONNECT_WAIT").then(|| seconds.to_owned());
            let file = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
            let lookups = Lookups {
                env: &env,
                file: &file,
            };
            let inputs = Inputs {
                mode: Mode::Run,
                flags: &Flags::default(),
                file: None,
                lookups,
                machine: &Machine::this(),
            };
            Config::resolve(inputs).unwrap().nats
        };
        let check = |seconds: &str, attempt, expected_ms| {
            let wait = backoff(&config(seconds), attempt);
            assert_eq!(
                wait,
                Duration::from_millis(expected_ms),
                "{seconds} {attempt}"
            );
        };
        check("2", 1, 50);
        check("2", 2, 100);
        check("2", 6, 1600);
        check("2", 7, 2000);
        check("2", u32::MAX, 2000);
        check("-1", 9, 10_000);
    }

    #[test]
    fn urls_are_shown_without_credentials() {
        let check = |url: &str, expected: &str| assert_eq!(shown(&[url.to_owned()]), expected);
        check("nats://a:4222", "nats://a:4222");
        check("tls://user:p@ss@a:4222", "tls://a:4222");
    }
}
