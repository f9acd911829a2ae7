//! The wire as a Rust API, for services and tools: ask, publish, listen, serve. The same on a server
//! and on the embedded bus, which is the double for people's own tests. Must not know plugins.
//!
//! A [`Client`] asks and publishes; an [`EventSource`] calls back for events, as they are published;
//! a [`Service`] answers queries and handles events in plain Rust, durably, until its handlers move
//! into a plugin.
//!
//! ```
//! use conche::client::{Client, ClientError, EventSource, Fault, Service};
//! use conche::embedded::Bus;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Ask { name: String }
//! #[derive(Serialize, Deserialize, Debug, PartialEq)]
//! struct User { id: u64 }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In a test. A service writes `Client::from_environment().await?`.
//! let client = Client::embedded(&Bus::default())?;
//!
//! let service = Service::new(&client, "users")?
//!     .query("cyverse.users.Get", |_call, ask: Ask| async move {
//!         match &*ask.name {
//!             "ada" => Ok(User { id: 1 }),
//!             other => Err(Fault::new(404, format!("nobody is called {other}"))),
//!         }
//!     })
//!     .start()
//!     .await?;
//!
//! let ada = client.request("cyverse.users.Get", &Ask { name: "ada".into() }).await?;
//! assert_eq!(ada.data::<User>()?, User { id: 1 });
//! let bob = client.request("cyverse.users.Get", &Ask { name: "bob".into() }).await;
//! assert!(matches!(bob, Err(ClientError::Remote(fault)) if fault.code == 404));
//!
//! let (heard, mut hearing) = tokio::sync::mpsc::channel(1);
//! let source = EventSource::of(&client);
//! source
//!     .once("org.cyverse.events.UserAdded", "", move |seen| {
//!         let heard = heard.clone();
//!         async move { drop(heard.send(seen.event.data_as::<User>()).await) }
//!     })
//!     .await?;
//! client.publish("org.cyverse.events.UserAdded", &User { id: 2 }).await?;
//! assert_eq!(hearing.recv().await.expect("it was published")?, User { id: 2 });
//!
//! service.stop().await;
//! client.disconnect().await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod error;
mod handlers;
mod listeners;
mod pulling;
mod queries;
mod serving;
mod stream;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::config::{Config, Flags, LoadError, Mode};
use crate::embedded::Bus;
use crate::envelope::{Attribute, CloudEvent, Message, Payload, headers, new_id, now};
use crate::nats::{ConnectError, Nats};
use crate::outbound::watch::Watch;
use crate::outbound::{Outbound, SendError, create_embedded_streams};
use crate::shutdown::Shutdown;
use crate::source::Source;
use crate::subject::check_literal;

pub use crate::envelope::Fault;
pub use crate::outbound::Stored;
pub use crate::outbound::watch::Seen;
pub use answer::Answer;
pub use error::ClientError;
pub use handlers::{Call, Reply};
pub use listeners::{EventSource, ListenerId};
pub use serving::{Service, Serving};

/// Asks and publishes. Clones share a connection.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
    request_timeout: Duration,
}

struct Inner {
    config: Config,
    /// The `source` of what it sends.
    source: String,
    transport: Source,
    outbound: Outbound,
    watch: Watch,
    tasks: Shutdown,
    /// All that was begun has ended: nothing goes out any more.
    over: AtomicBool,
}

impl Client {
    /// Connects as this process is configured: by the environment (`NATS_URL` and all that a host
    /// reads), over `conche.toml` in the working directory or where `CONCHE_CONFIG` says, over the
    /// defaults. Blocks while it reads the file.
    ///
    /// # Errors
    /// `Invalid` with all mistakes of the configuration at once; those of [`Client::connect`].
    pub async fn from_environment() -> Result<Client, ClientError> {
        let config = Config::load(Mode::Run, &Flags::default());
        let config = config.map_err(|error: LoadError| ClientError::Invalid(error.to_string()))?;
        Client::connect(config).await
    }

    /// Connects. A server that is not there is waited for, as often as `max_reconnects` says: for
    /// ever by default. Comes back by itself after a connection that was lost. Of the configuration,
    /// what a host alone needs has no meaning here.
    ///
    /// ```no_run
    /// # async fn connect() -> Result<(), conche::client::ClientError> {
    /// use conche::client::Client;
    /// use conche::config::Config;
    ///
    /// let mut config = Config::default();
    /// config.nats.urls = vec!["nats://127.0.0.1:4222".to_owned()];
    /// config.nats.max_reconnects = Some(6);
    /// config.client_id = "users-1".to_owned();
    /// let client = Client::connect(config).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Connect`, also if the server is there and lets this user get no answers.
    pub async fn connect(config: Config) -> Result<Client, ClientError> {
        let tasks = Shutdown::default();
        // Boxed: it is large, and callers hold it in futures of their own.
        let (nats, events) = (&config.nats, &config.events);
        let connected = Nats::connect_shared(nats, events, &config.client_id, &tasks);
        match Box::pin(connected).await {
            Ok(nats) => Ok(Client::on(Source::Nats(nats), config, tasks)),
            Err(error) => {
                // A connection that came up, and is of no use, would be kept.
                tasks.drain(config.shutdown.drain).await;
                Err(error.into())
            }
        }
    }

    /// A client on the embedded bus, by the default configuration: for tests. Creates the event
    /// stream if the bus has none.
    ///
    /// # Errors
    /// `Other`: the bus has another stream that takes the same subjects.
    pub fn embedded(bus: &Bus) -> Result<Client, ClientError> {
        Client::embedded_with(bus, Config::default())
    }

    /// A client on the embedded bus, by a configuration of one's own.
    ///
    /// # Errors
    /// Those of [`Client::embedded`].
    pub fn embedded_with(bus: &Bus, config: Config) -> Result<Client, ClientError> {
        create_embedded_streams(bus, &config.events)?;
        let source = Source::Embedded(bus.clone());
        Ok(Client::on(source, config, Shutdown::default()))
    }

    fn on(transport: Source, config: Config, tasks: Shutdown) -> Client {
        let outbound = match &transport {
            Source::Nats(nats) => Outbound::Nats(nats.clone()),
            Source::Embedded(bus) => Outbound::Embedded(bus.clone()),
        };
        let watch = Watch::new(
            outbound.clone(),
            config.events.stream.clone(),
            config.compat.transaction_attribute.clone(),
            &tasks,
            None,
        );
        Client {
            request_timeout: config.nats.request_timeout,
            inner: Arc::new(Inner {
                source: config.source_named("client"),
                config,
                transport,
                outbound,
                watch,
                tasks,
                over: AtomicBool::new(false),
            }),
        }
    }

    /// The same client, with another time-out of queries than `NATS_REQUEST_TIMEOUT` has (5 s by
    /// default).
    pub fn with_request_timeout(&self, timeout: Duration) -> Client {
        Client {
            inner: self.inner.clone(),
            request_timeout: timeout,
        }
    }

    /// What it was connected with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Asks: `data` is wrapped into an event of type `op`, sent to the subject `op`.
    ///
    /// # Errors
    /// `NoResponders` at once, `TimedOut`, `Busy` if it is safe to repeat, `Remote` for an error as
    /// an answer, `TooLarge`, `Invalid`.
    pub async fn request<T: Serialize + ?Sized>(
        &self,
        op: &str,
        data: &T,
    ) -> Result<Answer, ClientError> {
        self.request_event(self.draft(op, None, data)?).await
    }

    /// Asks, with the transaction id that the answer and what follows from it will carry.
    ///
    /// # Errors
    /// Those of [`Client::request`].
    pub async fn request_with_transaction_id<T: Serialize + ?Sized>(
        &self,
        op: &str,
        transaction_id: &str,
        data: &T,
    ) -> Result<Answer, ClientError> {
        let event = self.draft(op, Some(transaction_id), data)?;
        self.request_event(event).await
    }

    /// Asks with a whole event; its type is the op. An id, a source and a time that it lacks are
    /// put in.
    ///
    /// # Errors
    /// Those of [`Client::request`].
    pub async fn request_event(&self, event: CloudEvent) -> Result<Answer, ClientError> {
        let inner = &self.inner;
        let (event, mut message) = self.message(event)?;
        let op = &event.ty;
        check_literal(op).map_err(|error| ClientError::Invalid(format!("query op: {error}")))?;
        let timeout = self.request_timeout;
        message
            .headers
            .insert(headers::CONCHE_TIMEOUT_MS, timeout.as_millis().to_string());
        let answer = inner.outbound.request(op, message, timeout).await?;
        Answer::read(op, answer, &inner.config.compat.transaction_attribute)
    }

    /// Publishes: `data` is wrapped into an event of this type. Resolves when the stream has it.
    ///
    /// # Errors
    /// `NoStream`, `NoEventStream`, `TooLarge`, `Invalid`; `TimedOut`: the stream may have it, and sending
    /// the same event again ([`Client::publish_event`]) within two minutes is safe.
    pub async fn publish<T: Serialize + ?Sized>(
        &self,
        ty: &str,
        data: &T,
    ) -> Result<Stored, ClientError> {
        self.publish_event(self.draft(ty, None, data)?).await
    }

    /// Publishes with the transaction id of what caused it.
    ///
    /// # Errors
    /// Those of [`Client::publish`].
    pub async fn publish_with_transaction_id<T: Serialize + ?Sized>(
        &self,
        ty: &str,
        transaction_id: &str,
        data: &T,
    ) -> Result<Stored, ClientError> {
        let event = self.draft(ty, Some(transaction_id), data)?;
        self.publish_event(event).await
    }

    /// Publishes a whole event. An id, a source and a time that it lacks are put in. The same id
    /// from the same source is stored once within the stream's window.
    ///
    /// # Errors
    /// Those of [`Client::publish`].
    pub async fn publish_event(&self, event: CloudEvent) -> Result<Stored, ClientError> {
        let inner = &self.inner;
        let (event, mut message) = self.message(event)?;
        let Some(subject) = inner.config.event_subject(&event.ty) else {
            return Err(ClientError::no_stream(event.ty));
        };
        message
            .headers
            .insert(headers::NATS_MSG_ID, event.message_id());
        match inner.outbound.publish_event(&subject, message).await {
            Err(SendError::NoStream { subject }) => Err(self.not_taken(event.ty, subject).await),
            stored => Ok(stored?),
        }
    }

    /// Resolves when the connection is lost for good, such as after as many attempts to get it back as
    /// the configuration allows: why.
    pub async fn gave_up(&self) -> ConnectError {
        match &self.inner.transport {
            Source::Nats(nats) => nats.gave_up().await,
            Source::Embedded(_) => std::future::pending().await,
        }
    }

    /// Ends: services and listeners finish what they have begun, for which they may ask and publish,
    /// and what was sent has reached the server. False: some were still busy when the drain time was
    /// over (`[shutdown] drain`, 25 s).
    pub async fn disconnect(&self) -> bool {
        let inner = &self.inner;
        let was_over = inner.tasks.has_begun();
        let drained = inner.tasks.drain(inner.config.shutdown.drain).await;
        inner.over.store(true, Ordering::Relaxed);
        if let Source::Nats(nats) = &inner.transport
            && !was_over
        {
            nats.close().await;
        }
        drained
    }

    /// An event of this type with JSON data, to be completed when it is sent.
    fn draft<T: Serialize + ?Sized>(
        &self,
        ty: &str,
        transaction_id: Option<&str>,
        data: &T,
    ) -> Result<CloudEvent, ClientError> {
        let json = serde_json::to_string(data)
            .map_err(|error| ClientError::Invalid(format!("the data is no JSON: {error}")))?;
        let mut event = CloudEvent {
            ty: ty.to_owned(),
            data: Some(Payload::Json(json)),
            ..CloudEvent::default()
        };
        if let Some(id) = transaction_id.filter(|id| !id.is_empty()) {
            let attribute = &self.inner.config.compat.transaction_attribute;
            event.set_extension(attribute, Attribute::Text(id.to_owned()));
        }
        Ok(event)
    }

    fn message(&self, event: CloudEvent) -> Result<(CloudEvent, Message), ClientError> {
        // Not from the beginning of the end: what finishes then asks and publishes, too.
        if self.inner.over.load(Ordering::Relaxed) {
            return Err(ClientError::Disconnected);
        }
        let event = completed(event, &self.inner.source);
        let mut message = event.to_structured()?;
        event.trace_to_headers(&mut message.headers);
        Ok((event, message))
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("client_id", &self.config.client_id)
            .finish_non_exhaustive()
    }
}

/// With an id, a source and a time.
fn completed(mut event: CloudEvent, source: &str) -> CloudEvent {
    if event.id.is_empty() {
        event.id = new_id();
    }
    if event.source.is_empty() {
        source.clone_into(&mut event.source);
    }
    event.time.get_or_insert_with(now);
    event
}
