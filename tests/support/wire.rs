//! What other services see: a bus or a server, through the same few verbs. Must not know the host.

use std::str::FromStr;
use std::time::Duration;

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use conche::embedded::Bus;
use conche::envelope::Message;
use conche::subject::SubjectPattern;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::DEADLINE;

pub(crate) enum Wire {
    Nats(async_nats::Client),
    Bus(Bus),
}

/// Hears what is sent to a subject, and answers nothing.
pub(crate) enum Ear {
    Nats(async_nats::Subscriber),
    Bus(conche::embedded::Subscription),
}

/// A message as a stream has it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) subject: String,
    pub(crate) message: Message,
}

impl Wire {
    pub(crate) async fn connect(url: &str) -> Wire {
        Wire::Nats(async_nats::connect(url).await.unwrap())
    }

    /// The client of a test that needs the server itself.
    pub(crate) fn nats(&self) -> &async_nats::Client {
        match self {
            Wire::Nats(client) => client,
            Wire::Bus(_) => panic!("this test runs on a server only"),
        }
    }

    /// Asks; an error is `nobody answers` or `no answer in time`.
    pub(crate) async fn request(
        &self,
        subject: &str,
        message: Message,
        timeout: Duration,
    ) -> Result<Message, String> {
        match self {
            Wire::Bus(bus) => {
                let answer = bus.request(subject, message, timeout).await;
                answer.map_err(|error| match error {
                    conche::embedded::BusError::NoResponders { .. } => "nobody answers".to_owned(),
                    conche::embedded::BusError::TimedOut { .. } => "no answer in time".to_owned(),
                    other => other.to_string(),
                })
            }
            Wire::Nats(client) => {
                let request = async_nats::Request::new()
                    .payload(message.body)
                    .headers(headers(&message.headers))
                    .timeout(Some(timeout));
                let answer = client.send_request(subject.to_owned(), request).await;
                let answer = answer.map_err(|error| match error.kind() {
                    async_nats::RequestErrorKind::NoResponders => "nobody answers".to_owned(),
                    async_nats::RequestErrorKind::TimedOut => "no answer in time".to_owned(),
                    _ => error.to_string(),
                })?;
                Ok(from_nats(answer.headers.as_ref(), answer.payload))
            }
        }
    }

    /// Hears what is sent to a subject from now on.
    pub(crate) async fn listen(&self, subject: &str) -> Ear {
        match self {
            Wire::Nats(client) => Ear::Nats(client.subscribe(subject.to_owned()).await.unwrap()),
            Wire::Bus(bus) => Ear::Bus(bus.subscribe(&subject.parse().unwrap(), "").unwrap()),
        }
    }

    /// Stores a message in whichever stream takes its subject.
    pub(crate) async fn publish(&self, subject: &str, message: Message) -> Result<(), String> {
        match self {
            Wire::Bus(bus) => {
                let stored = bus.publish(subject, message, None).await;
                stored.map(drop).map_err(|error| error.to_string())
            }
            Wire::Nats(_) => {
                let answer = self.request(subject, message, DEADLINE).await?;
                let answer: Value = serde_json::from_slice(&answer.body).unwrap();
                match answer.get("error") {
                    Some(error) => Err(error.to_string()),
                    None => Ok(()),
                }
            }
        }
    }

    /// The stream's messages on these subjects, as soon as there are so many.
    pub(crate) async fn wait_for(&self, stream: &str, pattern: &str, count: usize) -> Vec<Found> {
        let wanted = async {
            loop {
                let found = self.messages(stream, pattern).await;
                if found.len() >= count {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, wanted).await;
        waited.unwrap_or_else(|_| panic!("{stream} never had {count} messages on {pattern}"))
    }

    /// What the stream has now on these subjects.
    pub(crate) async fn messages(&self, stream: &str, pattern: &str) -> Vec<Found> {
        match self {
            Wire::Bus(bus) => {
                let pattern: SubjectPattern = pattern.parse().unwrap();
                let all = bus.messages(stream).into_iter();
                all.filter(|stored| pattern.matches(&stored.subject))
                    .map(|stored| Found {
                        subject: stored.subject,
                        message: stored.message,
                    })
                    .collect()
            }
            Wire::Nats(client) => {
                let context = async_nats::jetstream::new(client.clone());
                let Ok(stream) = context.get_stream(stream).await else {
                    return Vec::new();
                };
                let mut found = Vec::new();
                let mut sequence = 1;
                // The next message on the pattern from a sequence on, until there is none.
                while let Ok(next) = stream
                    .raw_message_builder()
                    .sequence(sequence)
                    .next_by_subject(pattern)
                    .send()
                    .await
                {
                    sequence = next.sequence + 1;
                    found.push(Found {
                        subject: next.subject.to_string(),
                        message: from_nats(Some(&next.headers), next.payload),
                    });
                }
                found
            }
        }
    }

    /// A request to JetStream's API.
    pub(crate) async fn api(&self, what: &str, body: Value) -> Value {
        let subject = format!("$JS.API.{what}");
        let answer = self.nats().request(subject, body.to_string().into()).await;
        answer.map_or(json!(null), |answer| {
            serde_json::from_slice(&answer.payload).unwrap()
        })
    }
}

impl Ear {
    /// The next message.
    pub(crate) async fn next(&mut self) -> Message {
        let heard = async {
            match self {
                Ear::Nats(subscriber) => {
                    let message = subscriber.next().await.unwrap();
                    from_nats(message.headers.as_ref(), message.payload)
                }
                Ear::Bus(subscription) => subscription.next().await.unwrap().message,
            }
        };
        let heard = tokio::time::timeout(DEADLINE, heard).await;
        heard.expect("nothing was sent")
    }
}

fn headers(headers: &conche::envelope::Headers) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        let name = HeaderName::from_str(name).unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn from_nats(headers: Option<&HeaderMap>, body: bytes::Bytes) -> Message {
    let mut message = Message {
        body,
        ..Message::default()
    };
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        let name: &str = name.as_ref();
        for value in values {
            let value = value.as_str().to_owned();
            message.headers.append(name.to_owned(), value);
        }
    }
    message
}
