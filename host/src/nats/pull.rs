//! Pulling from a durable consumer: asks for no more than there is room for, keeps count of what
//! was asked and has not come, and begins anew after each reconnect. Must not know what happens to
//! a delivery.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, StatusCode, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::json;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use super::NatsError;
use super::delivery::Delivery;
use super::durable::Durable;
use super::link::Link;

/// How long the server keeps a pull. A loop that leaves waits so long at the most: what is on its
/// way then still comes, and nothing has to be delivered a second time.
const EXPIRES: Duration = Duration::from_secs(2);

/// On top of it, before a pull that said nothing more is given up.
const GRACE: Duration = Duration::from_secs(3);

/// Bytes that one pull may bring; more if a single message may be larger.
const PULL_BYTES: usize = 16 << 20;

/// What the server counts on top of a message: with less than this above the max payload, a pull
/// is refused for ever.
const OVERHEAD_BYTES: usize = 4 << 10;

/// Before the next pull after one that the server refused.
const REFUSED_WAIT: Duration = Duration::from_millis(500);

/// The reading end of a plugin's consumer. One loop uses it.
#[derive(Debug)]
pub(crate) struct Consumer {
    link: Link,
    /// Where pulls are asked for.
    next: String,
    durable: Arc<Durable>,
    inbox: Option<Inbox>,
    leaving: bool,
    /// Not before: the server refused the last one.
    wait_until: Option<Instant>,
    /// The generation whose connection is not ended by what was delivered before.
    searched: Option<u64>,
}

/// Where deliveries arrive; a new one after each reconnect, or what was asked before would come
/// on top of what is asked now.
#[derive(Debug)]
struct Inbox {
    client: Arc<Client>,
    subscriber: Subscriber,
    subject: String,
    generation: u64,
    /// Asked for and not come yet.
    asked: usize,
    /// When the last pull is over.
    until: Instant,
}

/// What a message on the inbox is.
enum Came {
    Delivery(Box<Delivery>),
    /// The end of a pull, or a sign of life.
    Status,
    /// The consumer is not there any more.
    Gone(String),
}

impl Consumer {
    pub(super) fn new(link: Link, durable: Arc<Durable>) -> Consumer {
        Consumer {
            link,
            next: format!(
                "$JS.API.CONSUMER.MSG.NEXT.{}.{}",
                durable.stream, durable.name
            ),
            durable,
            inbox: None,
            leaving: false,
            wait_until: None,
            searched: None,
        }
    }

    /// The deliveries that are there, as soon as there is one, of at most `room` that are asked
    /// for at any time; none when a pull has ended and `room` may be another. `None` once it has
    /// left. Cancel safe.
    ///
    /// # Errors
    /// The consumer is gone: open it anew.
    pub(crate) async fn pull(&mut self, room: usize) -> Result<Option<Vec<Delivery>>, NatsError> {
        loop {
            if self.leaving && !self.owes() {
                return Ok(None);
            }
            let unreadable = self.unreadable().await;
            if !unreadable.is_empty() {
                return Ok(Some(unreadable));
            }
            self.ask(room).await?;
            let Some(inbox) = &mut self.inbox else {
                return Ok(Some(Vec::new()));
            };
            let next = timeout_at(inbox.until + GRACE, inbox.subscriber.next());
            let message = tokio::select! {
                biased;
                message = next => message,
                () = self.link.newer_than(inbox.generation) => {
                    // What was asked over the old connection died with it.
                    self.inbox = None;
                    continue;
                }
            };
            let Ok(Some(message)) = message else {
                debug!(next = self.next, "a pull said nothing: beginning anew");
                self.inbox = None;
                continue;
            };
            match self.read(message) {
                Came::Delivery(first) => return Ok(Some(self.all_ready(*first))),
                Came::Status if !self.owes() => return Ok(Some(Vec::new())),
                Came::Status => {}
                Came::Gone(reason) => {
                    self.inbox = None;
                    self.durable.gone();
                    return Err(NatsError::Other(reason));
                }
            }
        }
    }

    /// Asks for nothing more; what was asked for still comes, then `None`.
    pub(crate) fn leave(&mut self) {
        self.leaving = true;
    }

    /// Whether something that was asked for has not come yet.
    pub(crate) fn owes(&self) -> bool {
        self.asked() > 0
    }

    fn asked(&self) -> usize {
        self.inbox.as_ref().map_or(0, |inbox| inbox.asked)
    }

    /// Looked for each time the connection came up, before anything is asked for: what ended the last
    /// one would come again.
    async fn unreadable(&mut self) -> Vec<Delivery> {
        if self.leaving || self.searched == Some(self.link.generation()) {
            return Vec::new();
        }
        self.link.ready().await;
        let generation = self.link.generation();
        let found = self.durable.unreadable().await;
        self.searched = Some(generation);
        found
    }

    /// Tops up what is asked for, in steps of half the room: a pull an event would double the
    /// messages.
    async fn ask(&mut self, room: usize) -> Result<(), NatsError> {
        let generation = self.link.generation();
        if self
            .inbox
            .as_ref()
            .is_some_and(|inbox| inbox.generation != generation)
        {
            // What came of it now would be thrown away with it once the connection is ready.
            self.inbox = None;
        }
        let asked = self.asked();
        if self.leaving || room <= asked || (asked > 0 && (room - asked) * 2 < room) {
            return Ok(());
        }
        if let Some(until) = self.wait_until {
            // Forgotten only when it is over: the waiting may be cut short.
            tokio::time::sleep_until(until).await;
            self.wait_until = None;
        }
        if self.inbox.is_none() {
            self.inbox = Some(self.open().await?);
        }
        let Some(inbox) = &mut self.inbox else {
            return Ok(());
        };
        let max_payload = inbox.client.max_payload();
        let batch = room - asked;
        let body = json!({
            "batch": batch,
            "expires": u64::try_from(EXPIRES.as_nanos()).unwrap_or(u64::MAX),
            "max_bytes": PULL_BYTES.max(max_payload + OVERHEAD_BYTES),
        });
        inbox
            .client
            .publish_with_reply(
                self.next.clone(),
                inbox.subject.clone(),
                body.to_string().into(),
            )
            .await
            .map_err(|error| NatsError::Other(error.to_string()))?;
        inbox.asked += batch;
        inbox.until = Instant::now() + EXPIRES;
        Ok(())
    }

    async fn open(&self) -> Result<Inbox, NatsError> {
        // Only a connection that is up: an inbox opened while it is down gets the old number.
        self.link.ready().await;
        let generation = self.link.generation();
        let client = self.link.client();
        let subject = client.new_inbox();
        let subscriber = client
            .subscribe(subject.clone())
            .await
            .map_err(|error| NatsError::Other(error.to_string()))?;
        Ok(Inbox {
            client,
            subscriber,
            subject,
            generation,
            asked: 0,
            until: Instant::now() + EXPIRES,
        })
    }

    fn all_ready(&mut self, first: Delivery) -> Vec<Delivery> {
        let mut ready = vec![first];
        while let Some(inbox) = &mut self.inbox
            && let Some(Some(message)) = inbox.subscriber.next().now_or_never()
        {
            if let Came::Delivery(delivery) = self.read(message) {
                ready.push(*delivery);
            }
        }
        ready
    }

    fn read(&mut self, message: async_nats::Message) -> Came {
        let Some(inbox) = &mut self.inbox else {
            return Came::Status;
        };
        let Some(status) = message.status else {
            inbox.asked = inbox.asked.saturating_sub(1);
            return match Delivery::read(self.link.lives(), message) {
                Ok(delivery) => Came::Delivery(Box::new(delivery)),
                Err(reason) => {
                    warn!(next = self.next, reason, "a message that is no delivery");
                    Came::Status
                }
            };
        };
        let description = message.description.unwrap_or_default();
        if status == StatusCode::IDLE_HEARTBEAT {
            return Came::Status;
        }
        let pending = message.headers.as_ref().and_then(|headers| {
            let pending = headers.get("Nats-Pending-Messages")?;
            pending.as_str().parse::<usize>().ok()
        });
        // A pull that ended says how much of it did not come.
        inbox.asked = pending.map_or(0, |pending| inbox.asked.saturating_sub(pending));
        if status == StatusCode::NO_RESPONDERS || description.contains("Consumer Deleted") {
            return Came::Gone(format!("its consumer is gone: {status} {description}"));
        }
        // A pull that is over because it was full is none that was refused.
        let full = ["Batch Completed", "Exceeds MaxBytes"];
        if status.as_u16() == 409 && !full.iter().any(|text| description.contains(text)) {
            warn!(next = self.next, description, "a pull was refused");
            self.wait_until = Some(Instant::now() + REFUSED_WAIT);
        }
        Came::Status
    }
}
