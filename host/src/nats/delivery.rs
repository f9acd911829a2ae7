//! One delivery of one event, and how it is settled.

use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::NatsError;
use super::link::Lives;
use super::message::{headers_from, request};
use super::raw::Raw;
use crate::envelope::Message;
use crate::text::cut;

/// For the server's word that an acknowledgement counts.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest reason that the server is told, in bytes: more than its max payload ends nothing.
const TERM_REASON_MAX: usize = 1024;

/// A message that was pulled and waits to be settled. One that is dropped unsettled comes again
/// after the ack wait.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) stream: String,
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    pub(crate) message: Message,
    /// 1 at first.
    pub(crate) attempt: u32,
    pub(crate) stored_at: DateTime<Utc>,
    /// The message is without its headers then.
    pub(crate) unreadable: Option<Unreadable>,
    /// Settled over whichever is there by then.
    lives: Lives,
    reply: Subject,
}

/// Headers that the client cannot read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) reason: String,
    /// As NATS writes them.
    pub(crate) headers: Bytes,
}

/// What an acknowledgement's subject says of its message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AckSubject<'a> {
    stream: &'a str,
    attempt: u32,
    pub(super) sequence: u64,
    /// Counts what this consumer delivered.
    pub(super) consumer_sequence: u64,
    nanos: i64,
}

impl Delivery {
    /// Reads a message of a pull; the text says why it is none.
    pub(super) fn read(lives: Lives, message: async_nats::Message) -> Result<Delivery, String> {
        let reply = message.reply.ok_or("it has no reply subject")?;
        let ack = ack_subject(&reply).ok_or_else(|| format!("`{reply}` acknowledges nothing"))?;
        Ok(Delivery {
            stream: ack.stream.to_owned(),
            sequence: ack.sequence,
            attempt: ack.attempt,
            stored_at: DateTime::from_timestamp_nanos(ack.nanos),
            subject: message.subject.to_string(),
            message: Message {
                headers: headers_from(message.headers.as_ref()),
                body: message.payload,
            },
            unreadable: None,
            lives,
            reply,
        })
    }

    /// One that was delivered to the consumer, and that the client could not read. How often, only
    /// the lost delivery said.
    pub(super) fn unreadable(
        lives: Lives,
        stream: &str,
        consumer: &str,
        raw: Raw,
        reason: String,
    ) -> Delivery {
        let nanos = raw.stored_at.timestamp_nanos_opt().unwrap_or_default();
        let sequence = raw.sequence;
        // The server goes by the stream's sequence alone where each message is acknowledged by itself.
        let reply = format!("$JS.ACK.{stream}.{consumer}.1.{sequence}.1.{nanos}.0");
        Delivery {
            stream: stream.to_owned(),
            sequence,
            subject: raw.subject,
            message: Message {
                body: raw.body,
                ..Message::default()
            },
            attempt: 1,
            stored_at: raw.stored_at,
            unreadable: Some(Unreadable {
                reason,
                headers: raw.headers,
            }),
            lives,
            reply: reply.into(),
        }
    }

    /// Done: it never comes again once the server has said so.
    pub(crate) async fn ack(&self) -> Result<(), NatsError> {
        self.settle("+ACK".into()).await
    }

    /// It never comes again, for this reason.
    pub(crate) async fn term(&self, reason: &str) -> Result<(), NatsError> {
        let one_line: String = cut(reason, TERM_REASON_MAX)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        self.settle(format!("+TERM {one_line}")).await
    }

    /// It comes again after `delay`. If this is lost, it does after the ack wait, and so does what
    /// would only end the connection again.
    pub(crate) async fn nak(&self, delay: Duration) -> Result<(), NatsError> {
        if self.unreadable.is_some() {
            return Ok(());
        }
        let nanos = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
        self.tell(format!(r#"-NAK {{"delay":{nanos}}}"#)).await
    }

    /// Still at work: the ack wait begins anew.
    pub(crate) async fn in_progress(&self) -> Result<(), NatsError> {
        self.tell("+WPI".to_owned()).await
    }

    async fn settle(&self, word: String) -> Result<(), NatsError> {
        let message = Message {
            body: word.into(),
            ..Message::default()
        };
        let client = &self.lives.now().client;
        request(client, &self.reply, message, SETTLE_TIMEOUT)
            .await
            .map(drop)
    }

    async fn tell(&self, word: String) -> Result<(), NatsError> {
        let client = &self.lives.now().client;
        let told = client.publish(self.reply.clone(), word.into()).await;
        told.map_err(|error| NatsError::Other(error.to_string()))
    }
}

/// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or with
/// domain and account before the stream, and with tokens to come after `pending`.
pub(super) fn ack_subject(reply: &str) -> Option<AckSubject<'_>> {
    let tokens: Vec<&str> = reply.split('.').collect();
    if tokens.first() != Some(&"$JS") || tokens.get(1) != Some(&"ACK") {
        return None;
    }
    let from = match tokens.len() {
        9 => 2,
        11.. => 4,
        _ => return None,
    };
    Some(AckSubject {
        stream: tokens[from],
        attempt: tokens[from + 2].parse().ok()?,
        sequence: tokens[from + 3].parse().ok()?,
        consumer_sequence: tokens[from + 4].parse().ok()?,
        nanos: tokens[from + 5].parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{AckSubject, ack_subject};

    #[test]
    fn both_forms_are_read() {
        let expected = AckSubject {
            stream: "S",
            attempt: 3,
            sequence: 7,
            consumer_sequence: 5,
            nanos: 1_700_000_000_000_000_000,
        };
        let check = |reply: &str, expected: Option<&AckSubject<'_>>| {
            assert_eq!(ack_subject(reply).as_ref(), expected, "{reply}");
        };
        check("$JS.ACK.S.c.3.7.5.1700000000000000000.0", Some(&expected));
        check(
            "$JS.ACK.hub.acc.S.c.3.7.5.1700000000000000000.0",
            Some(&expected),
        );
        check(
            "$JS.ACK.hub.acc.S.c.3.7.5.1700000000000000000.0.rand",
            Some(&expected),
        );
        check("$JS.ACK.S.c.x.7.5.1700000000000000000.0", None);
        check("_INBOX.a", None);
    }
}
