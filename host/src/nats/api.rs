//! JetStream's API: one request, and its answer or its error. Must not know what is asked.

use std::time::Duration;

use async_nats::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::NatsError;
use super::message::request;
use crate::envelope::Message;

/// For an answer of the API. A cluster that elects a leader takes a few seconds.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// JetStream's error codes that we act on.
pub(super) const STREAM_NOT_FOUND: u64 = 10059;
pub(super) const CONSUMER_NOT_FOUND: u64 = 10014;
pub(super) const CONSUMER_EXISTS: u64 = 10148;
pub(super) const STREAM_EXISTS: u64 = 10058;
pub(super) const WRONG_LAST_SEQUENCE: u64 = 10071;
/// Headers and body are more than the stream's max_msg_size.
pub(super) const MESSAGE_TOO_LARGE: u64 = 10054;
/// The headers are more than 64 KiB, which no stream takes.
pub(super) const HEADERS_TOO_LARGE: u64 = 10097;

/// An answer of JetStream, to a request or to a publish.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Failed { error: ApiError },
    Done(T),
}

#[derive(Debug, Deserialize)]
struct ApiError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// Asks `$JS.API.<what>`.
///
/// # Errors
/// `NoResponders` where JetStream is off, `Refused` with its code, `TimedOut`.
pub(super) async fn ask<T: DeserializeOwned>(
    client: &Client,
    what: &str,
    body: &Value,
) -> Result<T, NatsError> {
    let subject = format!("$JS.API.{what}");
    let message = Message {
        body: body.to_string().into(),
        ..Message::default()
    };
    let answer = request(client, &subject, message, TIMEOUT).await?;
    read(&subject, &answer.body)
}

/// Reads an answer.
///
/// # Errors
/// `Refused` with JetStream's code, `Other` if somebody else answered.
pub(super) fn read<T: DeserializeOwned>(subject: &str, body: &[u8]) -> Result<T, NatsError> {
    match serde_json::from_slice(body) {
        Ok(Answer::Done(answer)) => Ok(answer),
        Ok(Answer::Failed { error }) => Err(NatsError::Refused {
            code: error.err_code,
            text: error.description,
        }),
        Err(_) => Err(NatsError::Other(format!(
            "`{subject}` was answered by something that is not JetStream"
        ))),
    }
}
