//! Between HTTP and the envelope: the CloudEvents HTTP binding.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;

use super::LIMITS;
use crate::envelope::{CloudEvent, Fault, Message, headers};
use crate::outbound::Stored;

/// How a request came, and so how its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Structured,
    Binary,
}

/// The request as a message, with the headers that mean something. One in neither mode, in batch
/// mode, or in another format than JSON is refused.
pub(super) fn message(http: &HeaderMap, body: Bytes) -> Result<(Message, Mode), Box<Response>> {
    let header = |name| http.get(name).and_then(|value| value.to_str().ok());
    let encoding = header(CONTENT_ENCODING.as_str()).unwrap_or("identity");
    if !encoding.trim().eq_ignore_ascii_case("identity") {
        return Err(refused(&format!(
            "content-encoding `{encoding}` is not taken: send the body as it is"
        )));
    }
    let mode = mode(
        header(CONTENT_TYPE.as_str()).unwrap_or_default(),
        http.contains_key(headers::CE_SPECVERSION),
    )?;
    let mut message = Message {
        body,
        ..Message::default()
    };
    for (name, value) in http.iter().filter(|(name, _)| means_something(name)) {
        // The binding percent-encodes what is not ASCII; those who forget write UTF-8.
        let Ok(value) = std::str::from_utf8(value.as_bytes()) else {
            let text = format!("header `{name}` is no UTF-8: percent-encode it");
            return Err(Box::new(problem(StatusCode::BAD_REQUEST, &text)));
        };
        message
            .headers
            .append(name.as_str().to_owned(), value.to_owned());
    }
    Ok((message, mode))
}

/// Structured if the content type says so, whatever `ce-` headers there are.
fn mode(content_type: &str, has_specversion: bool) -> Result<Mode, Box<Response>> {
    let essence = content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/cloudevents" | "application/cloudevents+json" => Ok(Mode::Structured),
        batch if batch.starts_with("application/cloudevents-batch") => {
            Err(refused("batches are not taken: post one event at a time"))
        }
        other if other.starts_with("application/cloudevents") => Err(refused(&format!(
            "content-type `{other}` is not taken: send application/cloudevents+json"
        ))),
        _ if has_specversion => Ok(Mode::Binary),
        _ => Err(refused(
            "no CloudEvent: send content-type application/cloudevents+json, or ce- headers",
        )),
    }
}

fn means_something(name: &HeaderName) -> bool {
    const OTHERS: [&str; 5] = [
        headers::CONTENT_TYPE,
        headers::TRACEPARENT,
        headers::TRACESTATE,
        headers::CONCHE_HOPS,
        headers::CONCHE_TIMEOUT_MS,
    ];
    let is = |other: &&str| other.eq_ignore_ascii_case(name.as_str());
    name.as_str().starts_with("ce-") || OTHERS.iter().any(is)
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

/// A fault as on the wire, its code as the status where HTTP has such a code for errors.
pub(super) fn fault(fault: &Fault, envelope: &CloudEvent, shed: bool) -> Response {
    let status = StatusCode::from_u16(fault.code)
        .ok()
        .filter(|status| status.is_client_error() || status.is_server_error())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let Ok(mut message) = fault.to_message(envelope) else {
        return problem(status, &fault.message);
    };
    message.headers.remove(headers::NATS_SERVICE_ERROR);
    message.headers.remove(headers::NATS_SERVICE_ERROR_CODE);
    if shed {
        message.headers.insert(headers::CONCHE_SHED, "1");
    }
    http(status, message)
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

/// JSON lines. A line end within JSON can only be white space between two tokens.
pub(super) fn lines<'a>(documents: impl Iterator<Item = &'a [u8]>) -> Response {
    let mut lines = Vec::new();
    for document in documents {
        let in_line = |byte: &u8| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        };
        lines.extend(document.iter().map(in_line));
        lines.push(b'\n');
    }
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

/// A message as a response. One with more headers than the gateway takes itself is not sent: the
/// extensions of a reply are the guest's to choose, and some 25,000 of them would be a panic here.
fn http(status: StatusCode, message: Message) -> Response {
    let (count, bytes) = (message.headers.len(), message.headers.wire_size());
    if count > LIMITS.headers || bytes > LIMITS.head_bytes {
        let text = format!(
            "the answer has {count} headers in {bytes} bytes, more than the {} in {} that go over \
             HTTP: ask in structured mode",
            LIMITS.headers, LIMITS.head_bytes
        );
        return problem(StatusCode::BAD_GATEWAY, &text);
    }
    let mut response = Response::new(Body::from(message.body));
    *response.status_mut() = status;
    for (name, value) in message.headers.iter() {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value);
        if let (Ok(name), Ok(value)) = (name, value) {
            // Within the limit above it is never full.
            let _is_there = response.headers_mut().try_append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::{LIMITS, Mode, reply};
    use crate::envelope::{Attribute, CloudEvent, Extension};

    #[test]
    fn whatever_a_guest_answers_is_a_response() {
        let check = |extensions: usize, mode: Mode, expected: StatusCode| {
            let mut event = CloudEvent {
                id: "1".to_owned(),
                source: "/s".to_owned(),
                ty: "org.e.A".to_owned(),
                ..CloudEvent::default()
            };
            event.extensions = (0..extensions)
                .map(|n| Extension {
                    name: format!("x{n}"),
                    value: Attribute::Text("1".to_owned()),
                })
                .collect();
            let response = reply(&event, mode);
            assert_eq!(response.status(), expected, "{extensions} {mode:?}");
        };
        // Beside `ce-specversion`, `ce-id`, `ce-source` and `ce-type`.
        let most = LIMITS.headers - 4;
        check(most, Mode::Binary, StatusCode::OK);
        check(most + 1, Mode::Binary, StatusCode::BAD_GATEWAY);
        check(26_000, Mode::Binary, StatusCode::BAD_GATEWAY);
        check(26_000, Mode::Structured, StatusCode::OK);
    }
}
