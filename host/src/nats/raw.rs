//! Messages of a stream, got one by one with their headers as they stand: the way round the client,
//! which ends itself (nats.rs#1612) or its connection at headers that it cannot read, and is sent
//! them again by each consumer that has not got past them. Must not know what becomes of them.

use std::str::FromStr as _;
use std::time::Duration;

use async_nats::{Client, HeaderName, HeaderValue, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::debug;

use super::{NatsError, api};
use crate::envelope::{Headers, Message};
use crate::subject::SubjectPattern;

/// Messages that one search looks at, and for how long: whoever waits for it wants to read on.
pub(super) const SEARCH_MAX: u64 = 1024;
const SEARCH_TIME: Duration = Duration::from_secs(2);

/// Of them, how many are asked for at once.
const SEARCH_AT_ONCE: usize = 16;

/// JetStream has no message there: it was deleted, or is not stored yet.
const NO_MESSAGE: u64 = 10037;

/// A message as the stream has it.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) subject: String,
    pub(super) sequence: u64,
    pub(super) stored_at: DateTime<Utc>,
    /// As NATS writes them; empty if there are none.
    pub(super) headers: Bytes,
    pub(super) body: Bytes,
}

#[derive(Debug, Deserialize)]
struct Got {
    message: Stored,
}

#[derive(Debug, Deserialize)]
struct Stored {
    subject: String,
    seq: u64,
    time: String,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
}

/// The message at a sequence, if there is one.
pub(super) async fn at(
    client: &Client,
    stream: &str,
    sequence: u64,
) -> Result<Option<Raw>, NatsError> {
    get(client, stream, &json!({"seq": sequence})).await
}

/// The sequence of the first message, from one on, that any of these filters lets pass.
pub(super) async fn first_on(
    client: &Client,
    stream: &str,
    from: u64,
    filters: &[SubjectPattern],
) -> Result<Option<u64>, NatsError> {
    let search = async {
        let mut first: Option<u64> = None;
        for filter in filters {
            let which = json!({"seq": from, "next_by_subj": filter.as_str()});
            let next = get(client, stream, &which).await?;
            first = first.into_iter().chain(next.map(|raw| raw.sequence)).min();
        }
        Ok(first)
    };
    timeout(SEARCH_TIME, search).await.unwrap_or_else(|_| {
        Err(NatsError::Other(format!(
            "no answer within {SEARCH_TIME:?}"
        )))
    })
}

/// A header of the last message on a subject.
pub(super) async fn header_of_last(
    client: &Client,
    stream: &str,
    subject: &str,
    header: &str,
) -> Result<Option<String>, NatsError> {
    let Some(last) = get(client, stream, &json!({"last_by_subj": subject})).await? else {
        return Ok(None);
    };
    let headers = String::from_utf8_lossy(&last.headers);
    let mut lines = headers.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| name.eq_ignore_ascii_case(header));
    Ok(found.map(|(_, value)| value.trim().to_owned()))
}

async fn get(client: &Client, stream: &str, which: &Value) -> Result<Option<Raw>, NatsError> {
    let what = format!("STREAM.MSG.GET.{stream}");
    let Stored {
        subject,
        seq,
        time,
        hdrs,
        data,
    } = match api::ask::<Got>(client, &what, which).await {
        Ok(got) => got.message,
        Err(NatsError::Refused {
            code: NO_MESSAGE, ..
        }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let wrong = |error: &dyn std::fmt::Display| {
        NatsError::Other(format!("`{what}` answered something else: {error}"))
    };
    let bytes = |text: String| {
        let bytes = STANDARD.decode(text).map(Bytes::from);
        bytes.map_err(|error| wrong(&error))
    };
    let time = DateTime::parse_from_rfc3339(&time).map_err(|error| wrong(&error))?;
    Ok(Some(Raw {
        subject,
        sequence: seq,
        stored_at: time.to_utc(),
        headers: bytes(hdrs)?,
        body: bytes(data)?,
    }))
}

/// Those among these messages that the client cannot read, each with the reason; as many as were
/// found when something failed, or the time was over.
pub(super) async fn unreadable(
    client: &Client,
    stream: &str,
    sequences: impl Iterator<Item = u64>,
) -> Vec<(Raw, String)> {
    let mut found = Vec::new();
    let search = async {
        let asked = sequences.take(usize::try_from(SEARCH_MAX).unwrap_or(usize::MAX));
        let mut got = stream::iter(asked.map(|sequence| at(client, stream, sequence)))
            .buffered(SEARCH_AT_ONCE);
        while let Some(raw) = got.next().await {
            if let Some(raw) = raw?
                && let Err(reason) = headers(&raw.headers)
            {
                found.push((raw, reason));
            }
        }
        Ok::<(), NatsError>(())
    };
    match timeout(SEARCH_TIME, search).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(stream, %error, "cannot look for headers that cannot be read"),
        Err(_) => debug!(stream, "no time to look at all headers"),
    }
    found
}

impl Raw {
    /// As the client reads it; the text says why it cannot.
    pub(super) fn read(self) -> Result<Message, String> {
        Ok(Message {
            headers: headers(&self.headers)?,
            body: self.body,
        })
    }
}

/// Reads headers as the client's parser of `HMSG` does (async-nats 0.51), and says at what it fails.
fn headers(block: &[u8]) -> Result<Headers, String> {
    let mut headers = Headers::new();
    if block.is_empty() {
        return Ok(headers);
    }
    let text = std::str::from_utf8(block).map_err(|_| "they are not UTF-8")?;
    let mut lines = text.lines().peekable();
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("NATS/1.0"))
        .ok_or("they do not begin with `NATS/1.0`")?;
    let code = status.trim().split(' ').next().unwrap_or_default();
    if !code.is_empty() && StatusCode::from_str(code).is_err() {
        return Err(format!("`{}` is no status", code.escape_debug()));
    }
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(format!("`{}` has no colon", line.escape_debug()));
        };
        if HeaderName::from_str(name).is_err() {
            return Err(format!("`{}` is no name", name.escape_debug()));
        }
        let mut value = value.to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        if HeaderValue::from_str(value.trim()).is_err() {
            return Err(format!("the value of `{name}` has a carriage return"));
        }
        headers.append(name.to_owned(), value.trim().to_owned());
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::headers;

    #[test]
    fn what_the_client_cannot_read() {
        let check = |block: &[u8], wanted: Option<&str>| {
            let shown = String::from_utf8_lossy(block).into_owned();
            assert_eq!(headers(block).err().as_deref(), wanted, "{shown:?}");
        };
        for readable in [
            "",
            "NATS/1.0\r\n\r\n",
            "NATS/1.0 503\r\n\r\n",
            "NATS/1.0 100 Idle Heartbeat\r\nA: b\r\n\r\n",
            "NATS/1.0\r\nA: b\r\n c\r\n\td: e\r\n\r\n",
            "NATS/1.0\r\n: b\r\nA:\r\nB: \u{fc}\r\r\n\r\n",
        ] {
            check(readable.as_bytes(), None);
        }
        check(b"NATS/1.0\r\nA: \xfc\r\n\r\n", Some("they are not UTF-8"));
        for (block, reason) in [
            ("HTTP/1.1\r\n\r\n", "they do not begin with `NATS/1.0`"),
            ("NATS/1.0 x\r\n\r\n", "`x` is no status"),
            ("NATS/1.0\r\nA\tb\r\n\r\n", r"`A\tb` has no colon"),
            ("NATS/1.0\r\n \r\nA: b\r\n\r\n", "` ` has no colon"),
            ("NATS/1.0\r\nA b: c\r\n\r\n", "`A b` is no name"),
            (
                "NATS/1.0\r\nA: b\rc\r\n\r\n",
                "the value of `A` has a carriage return",
            ),
            (
                "NATS/1.0\r\nA: b\r\n c\rd\r\n\r\n",
                "the value of `A` has a carriage return",
            ),
        ] {
            check(block.as_bytes(), Some(reason));
        }
    }

    #[test]
    fn what_it_can_read() {
        let block = "NATS/1.0 100 Idle\r\nA:  b \r\n c\r\n\td\r\nE:\r\na: f\r\n\r\n";
        let read = headers(block.as_bytes()).unwrap();
        let read: Vec<_> = read.iter().collect();
        assert_eq!(read, [("A", "b  c\td"), ("E", ""), ("a", "f")]);
    }
}
