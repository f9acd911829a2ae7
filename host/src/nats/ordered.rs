//! Reading a stream from a sequence on, in order: an ephemeral push consumer in the server's memory,
//! without acknowledgements, that is made anew from the last sequence seen whenever something is
//! missing. Must not know what a message says.
//!
//! The client's own ordered consumer is not used: before a first message it is made anew from the
//! beginning of the stream, so that a quiet stream is replayed whole after each reconnect.

use std::time::Duration;

use async_nats::{HeaderMap, StatusCode, Subscriber};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{debug, warn};

use super::delivery::ack_subject;
use super::link::Link;
use super::message::headers_from;
use super::{Nats, NatsError, api, raw, streams};
use crate::envelope::Message;

/// How often the server gives a sign of life when there is nothing to deliver.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Without any sign of life the consumer is taken for lost.
const SILENCE: Duration = Duration::from_secs(7);

/// How long the server keeps a consumer whose host is gone.
const INACTIVE: Duration = Duration::from_secs(30);

/// For the server's word that a consumer is deleted.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Between two tries to make it anew: the first and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(10);

/// What the server says it delivered last, in a sign of life.
const LAST_CONSUMER: &str = "Nats-Last-Consumer";

/// Our word takes less than one of them: after so many it does not arrive.
const STALLED_MAX: u32 = 3;

/// In a sign of life of a consumer that waits for our word: where the word goes.
const STALLED: &str = "Nats-Consumer-Stalled";

/// A reader with its own place in a stream.
#[derive(Debug)]
pub(crate) struct Tail {
    link: Link,
    stream: String,
    /// Tells the stream from one made anew, whose sequences begin at 1 again.
    created: String,
    /// The sequence that comes next.
    next: u64,
    /// Up to this one messages are got one by one: the last of them would end the connection.
    one_by_one: u64,
    consumer: Option<Consumer>,
    /// Before the next try.
    wait: Duration,
    not_before: Option<Instant>,
}

/// One life of the consumer.
#[derive(Debug)]
struct Consumer {
    name: String,
    subscriber: Subscriber,
    generation: u64,
    /// Counts what came of it.
    received: u64,
    /// Signs of life in a row that asked for our word.
    stalled: u32,
    heard: Instant,
}

/// What a message on the consumer's subject is.
enum Came {
    Message(u64, Message),
    Status,
    /// Something is missing: for this reason the consumer is made anew.
    Broken(String),
}

impl Nats {
    /// All that a stream has from a sequence on, or stores from now on. The server has the consumer
    /// when this returns.
    pub(crate) async fn tail(&self, stream: &str, from: Option<u64>) -> Result<Tail, NatsError> {
        let link = self.inner.events.clone();
        let info = streams::info(&link.client(), stream).await?;
        let mut tail = Tail {
            link,
            stream: stream.to_owned(),
            created: info.created,
            next: from.unwrap_or(info.state.last_seq + 1),
            one_by_one: 0,
            consumer: None,
            wait: RETRY_FIRST,
            not_before: None,
        };
        tail.consumer = tail.create(info.state.last_seq).await?;
        Ok(tail)
    }

    /// The sequence of what a stream stored last; 0 if that is nothing.
    pub(crate) async fn last_sequence(&self, stream: &str) -> Result<u64, NatsError> {
        let info = streams::info(&self.inner.events.client(), stream).await?;
        Ok(info.state.last_seq)
    }
}

impl Tail {
    /// The sequence before the next one.
    pub(crate) fn position(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// The next message and its sequence, as soon as there is one, through reconnects and a
    /// server's restart. Cancel safe.
    pub(crate) async fn next(&mut self) -> (u64, Message) {
        loop {
            if self.next <= self.one_by_one {
                if let Some(read) = self.get().await {
                    return read;
                }
                continue;
            }
            let Some(consumer) = &mut self.consumer else {
                self.again().await;
                continue;
            };
            let next = timeout_at(consumer.heard + SILENCE, consumer.subscriber.next());
            let came = tokio::select! {
                // What came over a connection that is gone since is read first.
                biased;
                message = next => message,
                () = self.link.newer_than(consumer.generation) => {
                    self.broken("the connection came up anew");
                    continue;
                }
            };
            let read = match came {
                Ok(Some(message)) => consumer.read(&self.link, message).await,
                Ok(None) => Came::Broken("its subscription ended".to_owned()),
                Err(_) => Came::Broken("no sign of life".to_owned()),
            };
            match read {
                Came::Message(sequence, message) => {
                    self.next = sequence + 1;
                    return (sequence, message);
                }
                Came::Status => {}
                Came::Broken(reason) => self.broken(&reason),
            }
        }
    }

    /// Takes the consumer off the server. One that is only dropped goes by itself after a while.
    pub(crate) async fn close(mut self) {
        let Some(consumer) = self.consumer.take() else {
            return;
        };
        let what = format!("CONSUMER.DELETE.{}.{}", self.stream, consumer.name);
        let client = &self.link.client();
        let body = json!({});
        let deleted = timeout(CLOSE_TIMEOUT, api::ask::<Value>(client, &what, &body)).await;
        if !matches!(deleted, Ok(Ok(_))) {
            debug!(
                stream = self.stream,
                "cannot delete a consumer: it goes by itself"
            );
        }
    }

    fn broken(&mut self, reason: &str) {
        debug!(
            stream = self.stream,
            next = self.next,
            reason,
            "reading on with a new consumer"
        );
        self.consumer = None;
    }

    /// Tries once to make it anew, not too soon after the last try.
    async fn again(&mut self) {
        if let Some(until) = self.not_before {
            sleep_until(until).await;
        }
        // Counted before the try, so that one which is cut short counts too.
        self.not_before = Some(Instant::now() + self.wait);
        let (wait, longer) = (self.wait, (self.wait * 2).min(RETRY_LONGEST));
        self.wait = longer;
        // Nothing can be asked of a server that is not there.
        self.link.ready().await;
        match self.remake().await {
            Ok(consumer) => {
                self.consumer = consumer;
                self.wait = RETRY_FIRST;
                self.not_before = None;
            }
            Err(error) => {
                self.not_before = Some(Instant::now() + wait);
                warn!(%error, stream = self.stream, again_in = ?wait, "cannot read on in the stream");
            }
        }
    }

    /// The message at the next sequence, if one is there and can be read.
    async fn get(&mut self) -> Option<(u64, Message)> {
        let sequence = self.next;
        let got = match raw::at(&self.link.client(), &self.stream, sequence).await {
            Ok(got) => got,
            Err(error) => {
                self.one_by_one = 0;
                self.broken(&error.to_string());
                return None;
            }
        };
        self.next += 1;
        match got?.read() {
            Ok(message) => Some((sequence, message)),
            Err(reason) => {
                warn!(
                    stream = self.stream,
                    sequence,
                    reason,
                    "headers that cannot be read: listeners and exchanges do not hear this event"
                );
                None
            }
        }
    }

    async fn remake(&mut self) -> Result<Option<Consumer>, NatsError> {
        let info = streams::info(&self.link.client(), &self.stream).await?;
        if info.created != self.created {
            warn!(
                stream = self.stream,
                "the stream was made anew: reading it from its beginning"
            );
            self.created = info.created;
            self.next = info.state.first_seq.max(1);
        }
        // A crash of a machine can take the end of a stream with it.
        self.next = self.next.min(info.state.last_seq + 1);
        self.create(info.state.last_seq).await
    }

    /// A consumer from the next message on; none as long as there is one among the next that would
    /// end the connection.
    async fn create(&mut self, last: u64) -> Result<Option<Consumer>, NatsError> {
        let ahead = self.next..=last;
        let unreadable = raw::unreadable(&self.link.client(), &self.stream, ahead).await;
        if let Some((last, _)) = unreadable.last() {
            self.one_by_one = last.sequence;
            return Ok(None);
        }
        let client = &self.link.client();
        let generation = self.link.generation();
        let inbox = client.new_inbox();
        let subscriber = client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| NatsError::Other(error.to_string()))?;
        let name = format!("conche-watch-{}", xid::new());
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let config = json!({
            "name": name,
            "description": "reads along for listeners; deleted by itself",
            "deliver_subject": inbox,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.next,
            "ack_policy": "none",
            "max_deliver": 1,
            "replay_policy": "instant",
            "flow_control": true,
            "idle_heartbeat": nanos(HEARTBEAT),
            "inactive_threshold": nanos(INACTIVE),
            "mem_storage": true,
            "num_replicas": 1,
        });
        let what = format!("CONSUMER.CREATE.{}.{name}", self.stream);
        let body = json!({"stream_name": self.stream, "config": config, "action": "create"});
        api::ask::<Value>(client, &what, &body).await?;
        Ok(Some(Consumer {
            name,
            subscriber,
            generation,
            received: 0,
            stalled: 0,
            heard: Instant::now(),
        }))
    }
}

impl Consumer {
    async fn read(&mut self, link: &Link, message: async_nats::Message) -> Came {
        self.heard = Instant::now();
        match message.status {
            None => self.take(message),
            Some(StatusCode::IDLE_HEARTBEAT) => {
                // The server waits for our word before it sends more than we may have room for.
                let headers = message.headers.as_ref();
                let stalled = headers.and_then(|headers| header(headers, STALLED));
                self.stalled = stalled.map_or(0, |_| self.stalled + 1);
                if let (STALLED_MAX.., Some(subject)) = (self.stalled, stalled) {
                    warn!(
                        subject,
                        "the server does not hear that it may go on: allow to publish to $JS.FC.>"
                    );
                    return Came::Broken("the server does not hear that it may go on".to_owned());
                }
                let word = message.reply.map(|reply| reply.to_string());
                if let Some(subject) = word.or(stalled.map(str::to_owned)) {
                    // If it is lost, the next sign of life asks for it again.
                    drop(link.client().publish(subject, "".into()).await);
                }
                let last =
                    headers.and_then(|headers| header(headers, LAST_CONSUMER)?.parse::<u64>().ok());
                match last {
                    Some(last) if last != self.received => {
                        Came::Broken(format!("{last} were delivered, and {} came", self.received))
                    }
                    _ => Came::Status,
                }
            }
            Some(status) => {
                let description = message.description.unwrap_or_default();
                Came::Broken(format!("{status} {description}"))
            }
        }
    }

    fn take(&mut self, message: async_nats::Message) -> Came {
        let reply = message.reply.unwrap_or_else(|| "".into());
        let Some(ack) = ack_subject(&reply) else {
            warn!(subject = %message.subject, "a message that is no delivery");
            return Came::Status;
        };
        if ack.consumer_sequence != self.received + 1 {
            return Came::Broken(format!(
                "number {} came after {}",
                ack.consumer_sequence, self.received
            ));
        }
        self.received += 1;
        let sequence = ack.sequence;
        let message = Message {
            headers: headers_from(message.headers.as_ref()),
            body: message.payload,
        };
        Came::Message(sequence, message)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(async_nats::HeaderValue::as_str)
}
