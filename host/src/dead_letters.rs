//! Dead letters: an event that will not be handled is stored with the facts, once, before it ends
//! at its source. Must not know why it is one, or what would have handled it.

use crate::config::EventsConfig;
use crate::envelope::{Headers, Message, now};
use crate::outbound::{Outbound, SendError};
use crate::source::Delivery;

/// The longest reason that goes into a header, in characters.
const REASON_MAX: usize = 512;

/// When the event was stored: tells it from one of a stream that was made anew, whose sequences
/// begin at 1 again.
const STORED_AT: &str = "Conche-Dlq-Stored-At";

/// For the header that makes a store a compare-and-set.
const STORE_ONCE_ROOM: usize = 64;

/// Of headers that a server acts on.
const NATS_PREFIX: &str = "Nats-";

/// Kept free in each chunk for its own headers, or a quarter where a stream takes little.
const CHUNK_HEADER_ROOM: usize = 4 << 10;

/// Who did not handle it: a plugin at a version, or a service.
#[derive(Debug, Clone)]
pub(crate) struct Addressee<'a> {
    /// Its name, as in its durable's.
    pub(crate) name: &'a str,
    /// Its version, if it has one.
    pub(crate) digest: Option<String>,
}

/// Where one delivery's dead letter goes.
pub(crate) fn subject(events: &EventsConfig, name: &str, delivery: &Delivery) -> String {
    let (durable, sequence) = (&events.durable, delivery.sequence());
    events.dead_letter_subject(&format!("{durable}-{name}.{sequence}"))
}

/// Stores the delivery byte for byte, with the facts in headers. What the server or the stream does
/// not take with them, or has headers that cannot be read or sent, is stored in chunks, at
/// `<subject>.<n>` from 1 on, before the letter itself, which then has no body: chunk after chunk,
/// the first `Conche-Dlq-Header-Bytes` are the headers as NATS writes them, the rest is the body.
/// Done again, it stores nothing twice.
///
/// # Errors
/// The first that was not stored.
pub(crate) async fn store(
    outbound: &Outbound,
    events: &EventsConfig,
    addressee: &Addressee<'_>,
    delivery: &Delivery,
    reason: &str,
) -> Result<(), SendError> {
    let subject = subject(events, addressee.name, delivery);
    let stream = events.dead_letter_stream();
    let facts = facts(addressee, delivery, reason);
    if let Some(letter) = whole_letter(delivery, &facts)
        && outbound.fits(&letter, STORE_ONCE_ROOM).is_ok()
    {
        let stored = outbound.store_once(&stream, &subject, letter, STORED_AT);
        match stored.await {
            Err(SendError::TooLargeForStream(_)) => {}
            stored => return stored,
        }
    }
    store_in_chunks(outbound, &stream, &subject, delivery, facts).await
}

/// The letter with the event in it; none if its headers cannot be read or sent.
fn whole_letter(delivery: &Delivery, facts: &[(&'static str, String)]) -> Option<Message> {
    let mut letter = delivery.message().clone();
    set_aside(&mut letter.headers);
    for (name, value) in facts {
        letter.headers.insert(*name, value.clone());
    }
    // A server lets one without a name pass, and nobody can send it as a header again.
    let named = letter.headers.iter().all(|(name, _)| !name.is_empty());
    (named && delivery.unreadable().is_none()).then_some(letter)
}

async fn store_in_chunks(
    outbound: &Outbound,
    stream: &str,
    subject: &str,
    delivery: &Delivery,
    facts: Vec<(&'static str, String)>,
) -> Result<(), SendError> {
    let largest = outbound.largest_in(stream).await?;
    let head = header_block(delivery);
    let mut whole = head.clone();
    whole.extend_from_slice(&delivery.message().body);
    let whole = bytes::Bytes::from(whole);
    let size = (largest - CHUNK_HEADER_ROOM.min(largest / 4)).max(1);
    let mut letter = Message::default();
    for (name, value) in facts {
        letter.headers.insert(name, value);
    }
    let chunks = whole.len().div_ceil(size);
    letter
        .headers
        .insert("Conche-Dlq-Chunks", chunks.to_string());
    letter
        .headers
        .insert("Conche-Dlq-Header-Bytes", head.len().to_string());
    if letter.wire_size() + STORE_ONCE_ROOM > largest {
        // Nor would the chunks be of use.
        return Err(SendError::TooLargeForStream(format!(
            "stream `{stream}` takes {largest} bytes in a message: too few for any dead letter"
        )));
    }
    for chunk in 0..chunks {
        let (begin, end) = (chunk * size, whole.len().min((chunk + 1) * size));
        let mut message = Message {
            body: whole.slice(begin..end),
            ..Message::default()
        };
        let stored_at = delivery.stored_at().to_rfc3339();
        message.headers.insert(STORED_AT, stored_at);
        let at = format!("{subject}.{}", chunk + 1);
        outbound.store_once(stream, &at, message, STORED_AT).await?;
    }
    outbound
        .store_once(stream, subject, letter, STORED_AT)
        .await
}

/// What NATS reads in headers was for the event's own stream. Here an id would make the letter a
/// duplicate of another plugin's, and an expected sequence would keep it out for ever.
fn set_aside(headers: &mut Headers) {
    let is_theirs = |name: &str| {
        let prefix = name.get(..NATS_PREFIX.len());
        prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(NATS_PREFIX))
    };
    *headers = headers
        .iter()
        .map(|(name, value)| {
            let name = if is_theirs(name) {
                format!("Conche-Dlq-{name}")
            } else {
                name.to_owned()
            };
            (name, value.to_owned())
        })
        .collect();
}

fn facts(
    addressee: &Addressee<'_>,
    delivery: &Delivery,
    reason: &str,
) -> Vec<(&'static str, String)> {
    let printable = |c: char| match c {
        ' '..='~' => c,
        c if c.is_control() => ' ',
        _ => '?',
    };
    let mut facts = vec![
        ("Conche-Dlq-Plugin", addressee.name.to_owned()),
        (
            "Conche-Dlq-Reason",
            reason.chars().map(printable).take(REASON_MAX).collect(),
        ),
        ("Conche-Dlq-Attempts", delivery.attempt().to_string()),
        ("Conche-Dlq-Subject", delivery.subject().to_owned()),
        ("Conche-Dlq-Stream", delivery.stream().to_owned()),
        ("Conche-Dlq-Sequence", delivery.sequence().to_string()),
        (STORED_AT, delivery.stored_at().to_rfc3339()),
        ("Conche-Dlq-Time", now()),
    ];
    if let Some(digest) = &addressee.digest {
        facts.push(("Conche-Dlq-Digest", digest.clone()));
    }
    facts
}

/// As NATS writes it; nothing if there are no headers.
fn header_block(delivery: &Delivery) -> Vec<u8> {
    if let Some(unreadable) = delivery.unreadable() {
        return unreadable.headers.to_vec();
    }
    let message = delivery.message();
    if message.headers.is_empty() {
        return Vec::new();
    }
    let mut block = String::from("NATS/1.0\r\n");
    for (name, value) in message.headers.iter() {
        block.push_str(&format!("{name}: {value}\r\n"));
    }
    block.push_str("\r\n");
    block.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::set_aside;
    use crate::envelope::Headers;

    #[test]
    fn what_nats_reads_is_set_aside() {
        let mut headers: Headers = [
            ("Nats-Msg-Id", "1"),
            ("nats-expected-last-sequence", "41"),
            ("ce-id", "2"),
            ("Nats-Msg-Id", "3"),
        ]
        .into_iter()
        .collect();
        set_aside(&mut headers);
        let expected = [
            ("Conche-Dlq-Nats-Msg-Id", "1"),
            ("Conche-Dlq-nats-expected-last-sequence", "41"),
            ("ce-id", "2"),
            ("Conche-Dlq-Nats-Msg-Id", "3"),
        ];
        assert_eq!(headers.iter().collect::<Vec<_>>(), expected);
    }
}
