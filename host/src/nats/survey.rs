//! What can be seen of a server by a client that asks: streams, consumers, services, clocks, and
//! what it is denied. Asks only, and changes nothing. Must not know which of it is wrong.

mod permissions;
mod services;

use std::sync::{Arc, Mutex, PoisonError};

use async_nats::{Client, Event};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::stream_config::StreamConfig;
use super::{ConnectError, Link, Nats, NatsError, api, connect, login, streams};
use crate::config::NatsConfig;

pub(crate) use permissions::Need;
pub(crate) use services::{Neighbour, subject_within};

/// Pages of a list that are read: 256 streams or consumers each.
const PAGES_MAX: usize = 64;

/// A connection that looks around.
#[derive(Debug)]
pub(crate) struct Survey {
    client: Client,
    /// What the server said it denies, as it said it.
    denied: Arc<Mutex<Vec<String>>>,
}

impl Nats {
    /// The server's version, such as `2.12.1`.
    pub(crate) fn version(&self) -> String {
        self.inner.sending.client().server_info().version
    }

    /// The clock of the server that has a stream; `None` of one that does not tell.
    pub(crate) async fn clock(&self, stream: &str) -> Result<Option<Clock>, NatsError> {
        Clock::of(&self.inner.sending, stream).await
    }
}

/// The streams of an account, and the server's clock against ours.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamsSeen {
    pub(crate) streams: Vec<StreamConfig>,
    pub(crate) clock: Option<Clock>,
    /// What the server takes in a message, in bytes.
    pub(crate) max_payload: usize,
}

/// When the server says it answered, between when it was asked and when the answer was here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) asked: DateTime<Utc>,
    pub(crate) server: DateTime<Utc>,
    pub(crate) answered: DateTime<Utc>,
}

/// A consumer, as far as it can be wrong for us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConsumerSeen {
    pub(crate) name: String,
    pub(crate) filters: Vec<String>,
    /// The server sends by itself: nobody needs to pull.
    pub(crate) is_push: bool,
    /// Pulls that wait for messages.
    pub(crate) pulls: u64,
    /// Messages that were not delivered yet.
    pub(crate) pending: u64,
    /// Deliveries so far.
    pub(crate) delivered: u64,
}

impl Survey {
    /// Connects, once.
    ///
    /// # Errors
    /// `Options`, or `GaveUp` with who was refused.
    pub(crate) async fn connect(
        config: &NatsConfig,
        client_id: &str,
    ) -> Result<Survey, ConnectError> {
        let denied = Arc::new(Mutex::new(Vec::new()));
        let told = denied.clone();
        let options = login::options(config, format!("{client_id} (doctor)")).await?;
        let options = options.event_callback(move |event| {
            if let Event::ServerError(error) = event {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                told.push(error.to_string());
            }
            std::future::ready(())
        });
        let connected = Box::pin(options.connect(config.urls.as_slice())).await;
        let client = connected.map_err(|error| {
            let refusal = login::refusal(config, &error);
            ConnectError::GaveUp {
                urls: connect::shown(&config.urls),
                attempts: 1,
                reason: refusal.reason,
                is_there: refusal.is_there,
            }
        })?;
        Ok(Survey { client, denied })
    }

    /// The server's version, such as `2.12.1`.
    pub(crate) fn version(&self) -> String {
        self.client.server_info().version
    }

    /// All streams of the account; `None` where JetStream is off.
    pub(crate) async fn streams(&self) -> Result<Option<StreamsSeen>, NatsError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            streams: Option<Vec<One>>,
            #[serde(default)]
            total: usize,
            #[serde(default)]
            ts: Option<String>,
        }
        #[derive(Deserialize)]
        struct One {
            config: StreamConfig,
        }
        let mut seen = StreamsSeen {
            max_payload: self.client.max_payload(),
            ..StreamsSeen::default()
        };
        for _ in 0..PAGES_MAX {
            let asked = Utc::now();
            let page: Page = match self.page("STREAM.LIST", seen.streams.len()).await {
                Ok(page) => page,
                Err(error) if streams::is_off(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            seen.clock = Clock::read(asked, page.ts.as_deref());
            let before = seen.streams.len();
            let found = page.streams.into_iter().flatten();
            seen.streams.extend(found.map(|one| one.config));
            if seen.streams.len() >= page.total || seen.streams.len() == before {
                break;
            }
        }
        Ok(Some(seen))
    }

    /// All consumers of a stream; none where there is no such stream.
    pub(crate) async fn consumers(&self, stream: &str) -> Result<Vec<ConsumerSeen>, NatsError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            consumers: Option<Vec<ConsumerInfo>>,
            #[serde(default)]
            total: usize,
        }
        let what = format!("CONSUMER.LIST.{stream}");
        let mut all: Vec<ConsumerSeen> = Vec::new();
        for _ in 0..PAGES_MAX {
            let page: Page = match self.page(&what, all.len()).await {
                Ok(page) => page,
                Err(NatsError::Refused {
                    code: api::STREAM_NOT_FOUND,
                    ..
                }) => break,
                Err(error) => return Err(error),
            };
            let before = all.len();
            let found = page.consumers.into_iter().flatten();
            all.extend(found.map(ConsumerInfo::seen));
            if all.len() >= page.total || all.len() == before {
                break;
            }
        }
        Ok(all)
    }

    async fn page<T: DeserializeOwned>(&self, what: &str, offset: usize) -> Result<T, NatsError> {
        api::ask(&self.client, what, &json!({"offset": offset})).await
    }
}

impl Clock {
    fn read(asked: DateTime<Utc>, server: Option<&str>) -> Option<Clock> {
        let answered = Utc::now();
        let server = DateTime::parse_from_rfc3339(server?).ok()?;
        Some(Clock {
            asked,
            server: server.to_utc(),
            answered,
        })
    }

    /// Of a stream's server, over a connection of the host.
    pub(super) async fn of(link: &Link, stream: &str) -> Result<Option<Clock>, NatsError> {
        #[derive(Deserialize)]
        struct Info {
            #[serde(default)]
            ts: Option<String>,
        }
        let asked = Utc::now();
        let what = format!("STREAM.INFO.{stream}");
        let info: Info = api::ask(&link.client(), &what, &json!({})).await?;
        Ok(Clock::read(asked, info.ts.as_deref()))
    }
}

#[derive(Debug, Deserialize)]
struct ConsumerInfo {
    name: String,
    config: ConsumerConfig,
    #[serde(default)]
    num_waiting: u64,
    #[serde(default)]
    num_pending: u64,
    #[serde(default)]
    delivered: Value,
}

#[derive(Debug, Deserialize)]
struct ConsumerConfig {
    #[serde(default)]
    filter_subject: Option<String>,
    #[serde(default)]
    filter_subjects: Option<Vec<String>>,
    #[serde(default)]
    deliver_subject: Option<String>,
}

impl ConsumerInfo {
    fn seen(self) -> ConsumerSeen {
        let config = self.config;
        let one = config.filter_subject.into_iter();
        let filters = one.chain(config.filter_subjects.into_iter().flatten());
        ConsumerSeen {
            name: self.name,
            filters: filters.filter(|filter| !filter.is_empty()).collect(),
            is_push: config.deliver_subject.is_some(),
            pulls: self.num_waiting,
            pending: self.num_pending,
            delivered: self.delivered["consumer_seq"].as_u64().unwrap_or(0),
        }
    }
}
