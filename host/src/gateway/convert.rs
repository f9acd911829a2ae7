//! Between HTTP and the envelope: the CloudEvents HTTP binding.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use sha2::{Digest as _, Sha256};

use crate::envelope::{CloudEvent, Fault, Message, Payload};
use crate::outbound::Stored;

/// How a request came, and so how its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Structured,
    Binary,
}

/// The request as a message. One in neither mode, or in batch mode, is refused.
pub(super) fn message(http: &HeaderMap, body: Bytes) -> Result<(Message, Mode), Box<Response>> {
    let content_type = http
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let mode = if content_type.starts_with("application/cloudevents-batch") {
        return Err(refused("batches are not taken: post one event at a time"));
    } else if content_type.starts_with("application/cloudevents") {
        Mode::Structured
    } else if http.contains_key("ce-specversion") {
        Mode::Binary
    } else {
        return Err(refused(
            "no CloudEvent: send content-type application/cloudevents+json, or ce- headers",
        ));
    };
    let mut message = Message {
        body,
        ..Message::default()
    };
    for (name, value) in http {
        if let Ok(value) = value.to_str() {
            message
                .headers
                .append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok((message, mode))
}

/// A reply, in the mode of its query.
pub(super) fn reply(event: &CloudEvent, mode: Mode) -> Response {
    let written = match mode {
        Mode::Structured => event.to_structured(),
        Mode::Binary => event.to_binary(),
    };
    match written {
        Ok(message) => http(StatusCode::OK, message),
        Err(error) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("the reply is invalid: {error}"),
        ),
    }
}

/// A fault: its code as the status where HTTP has such a code for errors.
pub(super) fn fault(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.code)
        .ok()
        .filter(|status| status.is_client_error() || status.is_server_error())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let details = match &fault.details {
        Some(Payload::Json(json)) => serde_json::from_str::<Box<serde_json::value::RawValue>>(json)
            .map_or_else(
                |_| serde_json::json!(json).to_string(),
                |raw| raw.get().to_owned(),
            ),
        Some(Payload::Text(text)) => serde_json::json!(text).to_string(),
        Some(Payload::Binary(_)) | None => "null".to_owned(),
    };
    let body = format!(
        r#"{{"code":{},"message":{},"details":{details}}}"#,
        fault.code,
        serde_json::json!(fault.message),
    );
    json(status, body)
}

/// An error of the gateway's own, in the form of a fault.
pub(super) fn problem(status: StatusCode, message: &str) -> Response {
    let body = serde_json::json!({"code": status.as_u16(), "message": message});
    json(status, body.to_string())
}

/// Where an event was stored.
pub(super) fn stored(stored: &Stored) -> Response {
    let body = serde_json::json!({
        "stream": stored.stream,
        "sequence": stored.sequence,
        "duplicate": stored.duplicate,
    });
    json(StatusCode::ACCEPTED, body.to_string())
}

/// JSON lines.
pub(super) fn lines(lines: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(lines));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A status alone.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// `Nats-Msg-Id`: a hash of source and id, because ids are unique only for their source.
pub(super) fn message_id(event: &CloudEvent) -> String {
    let mut hash = Sha256::new();
    hash.update((event.source.len() as u64).to_le_bytes());
    hash.update(&event.source);
    hash.update(&event.id);
    let digest = hash.finalize();
    digest[..16].iter().map(|b| format!("{b:02x}")).collect()
}

fn refused(text: &str) -> Box<Response> {
    Box::new(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
}

fn json(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body + "\n"));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn http(status: StatusCode, message: Message) -> Response {
    let mut response = Response::new(Body::from(message.body));
    *response.status_mut() = status;
    for (name, value) in message.headers.iter() {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value);
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
