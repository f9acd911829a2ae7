//! NATS: the connections, and what the host does over them. Three connections, so that a flood of
//! queries delays neither acknowledgements nor what plugins send. Must not know plugins, what an
//! envelope says, or of policies more than where a durable starts: it carries a [`Message`] from
//! here to there.

mod api;
mod connect;
mod delivery;
mod denied;
mod durable;
mod durable_config;
mod facts;
mod fence;
mod growing;
mod link;
mod lock;
mod login;
mod message;
mod ordered;
mod peers;
mod pull;
mod raw;
mod stream_config;
mod streams;
mod subscription;
#[cfg(feature = "host")]
mod survey;
mod told;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::SetOnce;

use crate::config::{EventsConfig, NatsConfig};
use crate::envelope::Message;
use crate::shutdown::Shutdown;
use crate::subject::SubjectPattern;
use link::Link;

pub(crate) use async_nats::Subject;
pub use connect::ConnectError;
pub(crate) use delivery::{Delivery, Unreadable};
#[cfg(feature = "host")]
pub(crate) use denied::Act;
pub(crate) use durable::Durable;
pub(crate) use durable_config::DurableConfig;
pub(crate) use message::{Asked, ReplyTo, Stored};
pub(crate) use ordered::Tail;
pub(crate) use peers::Whose;
pub(crate) use pull::Consumer;
pub use stream_config::StreamFlaw;
#[cfg(feature = "host")]
pub(crate) use stream_config::{StreamConfig, flaws, narrow};
pub(crate) use subscription::Subscription;
#[cfg(feature = "host")]
pub(crate) use survey::{
    Clock, ConsumerSeen, Need, Neighbour, StreamsSeen, Survey, subject_within,
};

/// What the connections are called.
pub const CONNECTIONS: [&str; 3] = ["queries", "events", "sending"];

/// Quiets the client's own lines in the log, which repeat ours: `tracing` directives. All that its
/// connector says comes back as an error too.
pub const QUIET_CLIENT: &str = "async_nats=warn,async_nats::connector=off";

/// How often a client tries a first round trip, over a connection that is up: whoever waits for it is
/// told that it is of no use. A host waits until it is, and says meanwhile that it is not ready.
const FIRST_TRIPS: u32 = 2;

/// JetStream's header for a compare-and-set on a subject.
const EXPECTED_LAST: &str = "Nats-Expected-Last-Subject-Sequence";

/// The host's connections. Clones share them.
#[derive(Debug, Clone)]
pub struct Nats {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Query subscriptions and their answers.
    queries: Link,
    /// Pulls and acknowledgements.
    events: Link,
    /// What plugins and the gateway send: events and queries.
    sending: Link,
    publish_timeout: Duration,
    /// What our own stream takes.
    event_subjects: Vec<SubjectPattern>,
    /// The servers, without credentials.
    urls: String,
    gave_up: Arc<SetOnce<ConnectError>>,
}

/// Why NATS did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NatsError {
    /// Nobody subscribes to the subject, or, for an event, no stream takes it.
    #[error("nobody answers on `{subject}`")]
    NoResponders {
        /// Where it went.
        subject: String,
    },
    /// Nobody stores anything.
    #[error("JetStream is off: start nats-server with -js, or enable it for the account")]
    NoJetStream,
    /// Somebody may have got it; no answer came in time.
    #[error("no answer on `{subject}` within {waited:?}")]
    TimedOut {
        /// Where it went.
        subject: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Headers and body exceed the server's max payload.
    #[error("message has {size} bytes, more than the {max} that the server takes")]
    TooLarge {
        /// Headers and body, in bytes.
        size: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// More than the stream takes, in all or of headers.
    #[error("{text} ({code}): the stream that takes `{subject}` takes no message of {size} bytes")]
    TooLargeForStream {
        /// Where it went.
        subject: String,
        /// Headers and body, in bytes.
        size: usize,
        /// JetStream's error code.
        code: u64,
        /// JetStream's text.
        text: String,
    },
    /// JetStream refused; its own code and text.
    #[error("{text} ({code})")]
    Refused {
        /// JetStream's error code, such as 10071.
        code: u64,
        /// JetStream's text.
        text: String,
    },
    /// Another message is where this one should be stored.
    #[error(
        "another message is at `{subject}`, from a stream that was made anew: move it away, or purge it"
    )]
    Taken {
        /// Where it went.
        subject: String,
    },
    /// A stream takes the subject, and does not answer.
    #[error("stream `{stream}` takes `{subject}` and does not answer: it may be without a leader")]
    NoLeader {
        /// The stream.
        stream: String,
        /// Where it went.
        subject: String,
    },
    /// A header that NATS cannot carry.
    #[error("header `{name}` cannot be sent: {reason}")]
    Header {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Anything else; the text is the client's.
    #[error("{0}")]
    Other(String),
}

impl Nats {
    /// Connects, and waits until a round trip has gone over each connection: the one for queries on
    /// the first runtime, the others on the second.
    ///
    /// # Errors
    /// [`ConnectError`]. A server that is not there is tried again, for ever unless the
    /// configuration says how often.
    pub async fn connect(
        nats: &NatsConfig,
        events: &EventsConfig,
        client_id: &str,
        shutdown: &Shutdown,
        queries_on: &Handle,
        others_on: &Handle,
    ) -> Result<Nats, ConnectError> {
        let gave_up = Arc::<SetOnce<ConnectError>>::default();
        let open = |purpose| {
            let (nats, client_id) = (nats.clone(), client_id.to_owned());
            let (shutdown, gave_up) = (shutdown.clone(), gave_up.clone());
            async move { Link::open(&nats, &client_id, purpose, &shutdown, &gave_up, None).await }
        };
        let open_on = async |runtime: &Handle, purpose| {
            // A connection's tasks stay on the runtime that they begin on.
            let opened = shutdown.spawn_on(runtime, open(purpose)).await;
            opened.unwrap_or_else(|_| {
                Err(ConnectError::Ended {
                    urls: connect::shown(&nats.urls),
                })
            })
        };
        // One after the other: a server that is not there is said to be so once, not three times.
        let [queries, events_link, sending] = CONNECTIONS;
        let queries = open_on(queries_on, queries).await?;
        let events_link = open_on(others_on, events_link).await?;
        let sending = open_on(others_on, sending).await?;
        Ok(Nats {
            inner: Arc::new(Inner {
                queries,
                events: events_link,
                sending,
                publish_timeout: events.publish_timeout,
                event_subjects: events.subjects.clone(),
                urls: connect::shown(&nats.urls),
                gave_up,
            }),
        })
    }

    /// Connects once, for all purposes, on the runtime that it is called on: what a client needs.
    ///
    /// # Errors
    /// Those of [`Nats::connect`], and `NoRoundTrip` if the connection is up and of no use.
    pub async fn connect_shared(
        nats: &NatsConfig,
        events: &EventsConfig,
        client_id: &str,
        shutdown: &Shutdown,
    ) -> Result<Nats, ConnectError> {
        let gave_up = Arc::<SetOnce<ConnectError>>::default();
        let trips = Some(FIRST_TRIPS);
        let link = Link::open(nats, client_id, "client", shutdown, &gave_up, trips).await?;
        Ok(Nats {
            inner: Arc::new(Inner {
                queries: link.clone(),
                events: link.clone(),
                sending: link,
                publish_timeout: events.publish_timeout,
                event_subjects: events.subjects.clone(),
                urls: connect::shown(&nats.urls),
                gave_up,
            }),
        })
    }

    /// Ends the connections, after what was sent on them has reached the server.
    pub(crate) async fn close(&self) {
        self.fence().await;
        let inner = &self.inner;
        for link in [&inner.queries, &inner.events, &inner.sending] {
            // An error: it is closed already.
            let _ = link.client().drain().await;
        }
    }

    /// The largest message, in bytes, headers included.
    pub fn max_payload(&self) -> usize {
        self.inner.sending.client().max_payload()
    }

    /// Waits for as long as a connection's being ready is `was`. It is ready from a round trip
    /// after it came up until it is lost.
    pub async fn turned(&self, connection: &'static str, was: bool) {
        let inner = &self.inner;
        let mut links = [&inner.queries, &inner.events, &inner.sending].into_iter();
        match links.find(|link| link.purpose() == connection) {
            Some(link) => link.turned(was).await,
            None => std::future::pending().await,
        }
    }

    /// Resolves when a connection is lost for good, such as one that was tried as often as the
    /// configuration allows: why.
    pub async fn gave_up(&self) -> ConnectError {
        self.inner.gave_up.wait().await.clone()
    }

    /// What is to be said where [`Nats::fence`] had no success.
    pub(crate) fn no_round_trip(&self) -> ConnectError {
        ConnectError::NoRoundTrip {
            urls: self.inner.urls.clone(),
            trips: 1,
            reason: self.inner.queries.trouble(),
        }
    }

    /// Waits until what was sent on each connection has reached the server: subscriptions are open
    /// then. False: no round trip went through.
    pub async fn fence(&self) -> bool {
        let inner = &self.inner;
        // All of them, whatever the first says: what is on its way on one is not on another.
        let (queries, events, sending) = tokio::join!(
            inner.queries.fence(),
            inner.events.fence(),
            inner.sending.fence()
        );
        queries && events && sending
    }

    /// Asks, and waits for the first answer. Cancel safe: dropping it stops the waiting.
    pub(crate) async fn request(
        &self,
        subject: &str,
        message: Message,
        timeout: Duration,
    ) -> Result<Message, NatsError> {
        message::request(&self.inner.sending.client(), subject, message, timeout).await
    }

    /// Stores an event in the stream that takes its subject. What publishes it is a request: sent to a
    /// subject that no stream takes, it would ask whoever answers queries there.
    ///
    /// # Errors
    /// `NoResponders` if no stream takes it.
    pub(crate) async fn store_event(
        &self,
        subject: &str,
        message: Message,
    ) -> Result<Stored, NatsError> {
        let ours = &self.inner.event_subjects;
        if !ours.iter().any(|pattern| pattern.matches(subject)) {
            self.stream_of(subject).await?;
        }
        match self.store(subject, message).await {
            // Nobody answers where a stream has no leader, either.
            Err(NatsError::NoResponders { .. }) => Err(NatsError::NoLeader {
                stream: self.stream_of(subject).await?,
                subject: subject.to_owned(),
            }),
            stored => stored,
        }
    }

    async fn stream_of(&self, subject: &str) -> Result<String, NatsError> {
        let nobody = || NatsError::NoResponders {
            subject: subject.to_owned(),
        };
        let pattern = subject.parse().map_err(|_| nobody())?;
        let mut streams = self.streams_taking(&pattern).await?;
        streams.pop().ok_or_else(|| {
            // One without may have it from others of its cluster.
            if self.inner.sending.client().server_info().jetstream {
                nobody()
            } else {
                NatsError::NoJetStream
            }
        })
    }

    /// Stores a message in whichever stream takes its subject.
    async fn store(&self, subject: &str, message: Message) -> Result<Stored, NatsError> {
        let client = &self.inner.sending.client();
        match message::store(client, subject, message, self.inner.publish_timeout).await {
            // No stream takes it, or there is nobody to have streams.
            Err(NatsError::NoResponders { .. }) if !client.server_info().jetstream => {
                Err(NatsError::NoJetStream)
            }
            stored => stored,
        }
    }

    /// Stores a message unless it is at its subject already: one with the same value of the header
    /// `fact`.
    ///
    /// # Errors
    /// `Taken` if another message is there.
    pub(crate) async fn store_once(
        &self,
        stream: &str,
        subject: &str,
        mut message: Message,
        fact: &str,
    ) -> Result<(), NatsError> {
        let expected = message.headers.get(fact).map(str::to_owned);
        message.headers.insert(EXPECTED_LAST, "0");
        match self.store(subject, message).await {
            Ok(_) => return Ok(()),
            Err(NatsError::Refused {
                code: api::WRONG_LAST_SEQUENCE,
                ..
            }) => {}
            Err(error) => return Err(error),
        }
        let client = &self.inner.sending.client();
        if raw::header_of_last(client, stream, subject, fact).await? == expected {
            return Ok(());
        }
        Err(NatsError::Taken {
            subject: subject.to_owned(),
        })
    }
}
