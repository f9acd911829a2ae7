//! The clients of a connection: how one is made, how often that is tried, and what is made of one that
//! ended by itself. Must not know what travels on it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use thiserror::Error;
use tokio::sync::{Notify, SetOnce};
use tokio_util::sync::CancellationToken;
use tracing::warn;

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

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
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
        /// A server is there, and the reason names the setting that it is for.
        is_there: bool,
    },
    /// It came up, and is of no use.
    #[error("connected to {urls}, but no round trip in {trips} attempt{}: {reason}", if *.trips == 1 { "" } else { "s" })]
    NoRoundTrip {
        /// The servers, without credentials.
        urls: String,
        /// How often it was tried.
        trips: u32,
        /// What the server said.
        reason: String,
    },
    /// It was up, and the attempts to get it back are used up.
    #[error(
        "lost the connection to {urls}, and tried as often as max_reconnects (NATS_MAX_RECONNECTS) allows"
    )]
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

/// Makes the clients of one connection, one after the other.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) config: NatsConfig,
    pub(super) client_id: String,
    pub(super) purpose: &'static str,
    pub(super) shutdown: Shutdown,
    pub(super) gave_up: Arc<SetOnce<ConnectError>>,
    /// To look at the connection now.
    pub(super) look: Arc<Notify>,
    pub(super) fences: Arc<Fences>,
}

/// A client, as long as it lives: through all reconnects, unless it ends by itself.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) client: Arc<Client>,
    /// It has ended by itself.
    pub(super) ended: CancellationToken,
    /// How often the connection had come up before.
    before: u64,
}

impl Life {
    /// Counts how often the connection came up, to the moment.
    pub(super) fn generation(&self) -> u64 {
        self.before + self.client.statistics().connects.load(Ordering::Relaxed)
    }
}

impl Connector {
    /// Connects, for as long as the configuration allows. `before` is 0, or the last generation of
    /// a client that has ended by itself: to replace it is to reconnect.
    pub(super) async fn connect(&self, before: u64) -> Result<Life, ConnectError> {
        let config = &self.config;
        let urls = shown(&config.urls);
        let mut attempt = u32::from(before > 0);
        let mut refusal = login::Refusal {
            reason: "the NATS client has ended by itself".to_owned(),
            is_there: true,
        };
        loop {
            if config.max_reconnects.is_some_and(|most| attempt > most) {
                return Err(ConnectError::GaveUp {
                    urls,
                    attempts: attempt,
                    reason: refusal.reason,
                    is_there: refusal.is_there,
                });
            }
            if attempt > 0 {
                let (purpose, wait) = (self.purpose, backoff(config, attempt));
                let reason = refusal.reason;
                warn!(purpose, urls, reason, attempt, again_in = ?wait, "no connection to NATS");
                tokio::select! {
                    () = self.shutdown.begun() => return Err(ConnectError::Ended { urls }),
                    () = tokio::time::sleep(wait) => {}
                }
            }
            let ended = CancellationToken::new();
            let told = Arc::new(Told::new(self, ended.clone()));
            let options = self.options(told.clone()).await?;
            let connected = tokio::select! {
                () = self.shutdown.begun() => return Err(ConnectError::Ended { urls }),
                connected = options.connect(config.urls.as_slice()) => connected,
            };
            match connected {
                Ok(client) => {
                    told.up.store(true, Ordering::Relaxed);
                    return Ok(Life {
                        client: Arc::new(client),
                        ended,
                        before,
                    });
                }
                Err(error) => refusal = login::refusal(config, &error),
            }
            attempt = attempt.saturating_add(1);
        }
    }

    async fn options(&self, told: Arc<Told>) -> Result<ConnectOptions, ConnectError> {
        let on_event = told.clone();
        let delays = self.config.clone();
        let gave_up = self.gave_up.clone();
        let name = format!("{} ({})", self.client_id, self.purpose);
        let options = login::options(&self.config, name).await?;
        Ok(options
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .client_capacity(CLIENT_CAPACITY)
            .event_callback(move |event| {
                on_event.hear(&event);
                std::future::ready(())
            })
            .reconnect_delay_callback(move |attempts| {
                // The first one of a connection that was never up is ours to wait for: see `connect`.
                let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
                let counts = told.up.load(Ordering::Relaxed);
                let most = delays.max_reconnects.filter(|_| counts);
                if most.is_some_and(|most| attempts > most) {
                    let urls = shown(&delays.urls);
                    // Or another connection was given up before.
                    let _ = gave_up.set(ConnectError::Lost { urls });
                }
                match attempts {
                    0 | 1 if counts => RECONNECT_PAUSE,
                    0 | 1 => Duration::ZERO,
                    more => backoff(&delays, more - 1),
                }
            }))
    }
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
