//! Our [`Message`] to and from the client's; asking, storing, answering. Must not know who asks.

use std::pin::pin;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_nats::{
    Client, HeaderMap, HeaderName, HeaderValue, PublishErrorKind, RequestErrorKind, Subject,
};
use serde::Deserialize;

use super::{NatsError, api};
use crate::envelope::headers::CONTENT_TYPE;
use crate::envelope::{Headers, Message, STRUCTURED_CONTENT_TYPE};

/// A query as a subscriber gets it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) subject: Subject,
    pub(crate) message: Message,
    /// `None` when nobody waits for an answer.
    pub(crate) reply: Option<ReplyTo>,
}

/// The way back to one asker. Dropping it is silence.
#[derive(Debug)]
pub(crate) struct ReplyTo {
    client: Arc<Client>,
    subject: Subject,
}

/// A stream's word that it has a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Stored {
    pub(crate) stream: String,
    #[serde(rename = "seq")]
    pub(crate) sequence: u64,
    #[serde(default)]
    pub(crate) duplicate: bool,
}

impl Asked {
    pub(super) fn new(client: &Arc<Client>, message: async_nats::Message) -> Asked {
        let reply = message.reply.map(|subject| ReplyTo {
            client: client.clone(),
            subject,
        });
        Asked {
            subject: message.subject,
            message: Message {
                headers: headers_from(message.headers.as_ref()),
                body: message.payload,
            },
            reply,
        }
    }
}

impl ReplyTo {
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// Answers. Whether the asker is still there nobody can know.
    pub(crate) async fn send(self, message: Message) -> Result<(), NatsError> {
        let ReplyTo { client, subject } = self;
        let size = message.wire_size();
        let Message { headers, body } = message;
        // Pinned here: to move them would cost more than they do.
        let sent = if headers.is_empty() {
            pin!(client.publish(subject, body)).await
        } else {
            let headers = headers_to(&headers)?;
            pin!(client.publish_with_headers(subject, headers, body)).await
        };
        sent.map_err(|error| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => too_large(&client, size),
            _ => NatsError::Other(error.to_string()),
        })
    }
}

pub(super) async fn request(
    client: &Client,
    subject: &str,
    message: Message,
    timeout: Duration,
) -> Result<Message, NatsError> {
    let size = message.wire_size();
    let mut request = async_nats::Request::new()
        .payload(message.body)
        .timeout(Some(timeout));
    if !message.headers.is_empty() {
        request = request.headers(headers_to(&message.headers)?);
    }
    let asked = client.send_request(Subject::from(subject), request);
    // The client's own time begins when it has handed the request over, which waits while it is
    // not connected.
    let answer = tokio::time::timeout(timeout, asked)
        .await
        .map_err(|_| NatsError::TimedOut {
            subject: subject.to_owned(),
            waited: timeout,
        })?
        .map_err(|error| {
            let subject = subject.to_owned();
            match error.kind() {
                RequestErrorKind::NoResponders => NatsError::NoResponders { subject },
                RequestErrorKind::TimedOut => NatsError::TimedOut {
                    subject,
                    waited: timeout,
                },
                RequestErrorKind::MaxPayloadExceeded => too_large(client, size),
                _ => NatsError::Other(error.to_string()),
            }
        })?;
    Ok(Message {
        headers: headers_from(answer.headers.as_ref()),
        body: answer.payload,
    })
}

/// Publishes and reads the stream's answer.
pub(super) async fn store(
    client: &Client,
    subject: &str,
    message: Message,
    timeout: Duration,
) -> Result<Stored, NatsError> {
    let size = message.wire_size();
    let answer = request(client, subject, message, timeout).await?;
    api::read(subject, &answer.body).map_err(|error| match error {
        NatsError::Refused {
            code: code @ (api::MESSAGE_TOO_LARGE | api::HEADERS_TOO_LARGE),
            text,
        } => NatsError::TooLargeForStream {
            subject: subject.to_owned(),
            size,
            code,
            text,
        },
        other => other,
    })
}

pub(super) fn headers_from(map: Option<&HeaderMap>) -> Headers {
    let Some(map) = map else {
        return Headers::new();
    };
    let mut headers = Headers::new();
    for (name, values) in map.iter() {
        let name: &str = name.as_ref();
        for value in values {
            headers.append(name.to_owned(), value.as_str().to_owned());
        }
    }
    headers
}

/// The headers of almost every reply: made once.
static STRUCTURED: LazyLock<HeaderMap> = LazyLock::new(|| {
    let mut map = HeaderMap::new();
    map.insert(CONTENT_TYPE, STRUCTURED_CONTENT_TYPE);
    map
});

/// The client's own conversions panic at a bad name.
pub(super) fn headers_to(headers: &Headers) -> Result<HeaderMap, NatsError> {
    if headers.iter().eq([(CONTENT_TYPE, STRUCTURED_CONTENT_TYPE)]) {
        return Ok(STRUCTURED.clone());
    }
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        let refused = |reason: &dyn std::fmt::Display| NatsError::Header {
            name: name.to_owned(),
            reason: reason.to_string(),
        };
        if name.is_empty() {
            return Err(refused(&"it has no name"));
        }
        let key = HeaderName::from_str(name).map_err(|error| refused(&error))?;
        let value = HeaderValue::from_str(value).map_err(|error| refused(&error))?;
        map.append(key, value);
    }
    Ok(map)
}

fn too_large(client: &Client, size: usize) -> NatsError {
    NatsError::TooLarge {
        size,
        max: client.max_payload(),
    }
}

#[cfg(test)]
mod tests {
    use super::{headers_from, headers_to};
    use crate::envelope::Headers;

    #[test]
    fn headers_there_and_back() {
        let sent: Headers = [("Ce-Id", "1"), ("X", "a"), ("X", "b")]
            .into_iter()
            .collect();
        let back = headers_from(Some(&headers_to(&sent).unwrap()));
        assert_eq!(back.get("ce-id"), Some("1"));
        let values = |headers: &Headers| {
            let of_x = headers.iter().filter(|(name, _)| *name == "X");
            of_x.map(|(_, value)| value.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(values(&back), ["a", "b"]);
    }

    #[test]
    fn what_nats_cannot_carry_is_refused() {
        for (name, value) in [("a b", "1"), ("", "1"), ("a", "1\r\nb: 2")] {
            let headers: Headers = [(name, value)].into_iter().collect();
            assert!(headers_to(&headers).is_err(), "{name:?} {value:?}");
        }
    }
}
