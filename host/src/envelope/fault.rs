//! Faults: errors as answers, in binary mode.
//!
//! An old client reads only structured mode, so it fails at once at a fault; an error in a
//! structured envelope it would take for a success.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::encode::{self, EncodeError, write_string};
use super::headers::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE};
use super::payload::check_json;
use super::{CloudEvent, JSON_CONTENT_TYPE, Message, Payload};

/// The longest text that goes into the header `Nats-Service-Error`, in bytes; the body has it all.
pub const MAX_ERROR_HEADER_BYTES: usize = 512;

/// Room for the header that says that a call was shed.
const SHED_ROOM: usize = 32;

/// What is kept of a text that does not fit, in characters.
const TEXT_KEPT: usize = 200;

/// A handler's error as an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// As in HTTP: 4xx do not repeat, 5xx may be repeated.
    pub code: u16,
    /// For people.
    pub message: String,
    /// For programs. [`Payload::Text`] arrives as a JSON string.
    pub details: Option<Payload>,
}

impl Fault {
    /// A fault without details.
    pub fn new(code: u16, message: impl Into<String>) -> Fault {
        Fault {
            code,
            message: message.into(),
            details: None,
        }
    }

    /// The fault as a message in binary mode: body `{"code","message","details"}`, the event's
    /// attributes as `ce-` headers (its payload and media type are not used), and NATS's headers
    /// for errors, with the message made fit for a header. Binary details go as `details_base64`.
    ///
    /// # Errors
    /// An attribute breaks a rule, or details that should be JSON are not.
    pub fn to_message(&self, attributes: &CloudEvent) -> Result<Message, EncodeError> {
        encode::check(attributes)?;
        let mut headers = encode::headers(attributes, Some(JSON_CONTENT_TYPE));
        headers.append(NATS_SERVICE_ERROR, header_text(&self.message));
        headers.append(NATS_SERVICE_ERROR_CODE, self.code.to_string());
        Ok(Message {
            headers,
            body: self.body()?.into(),
        })
    }

    /// Like [`Fault::to_message`], in at most `max_payload` bytes: one that is larger, or whose details
    /// are no JSON, loses its details and most of its text. None if an attribute breaks a rule.
    pub fn to_message_within(
        &self,
        attributes: &CloudEvent,
        max_payload: usize,
    ) -> Option<Message> {
        let message = self.to_message(attributes).ok();
        message
            .filter(|message| message.wire_size() + SHED_ROOM <= max_payload)
            .or_else(|| self.shortened().to_message(attributes).ok())
    }

    fn shortened(&self) -> Fault {
        let text: String = self.message.chars().take(TEXT_KEPT).collect();
        Fault {
            code: self.code,
            message: format!("{text} (shortened: it was too large, or its details no JSON)"),
            details: None,
        }
    }

    /// The fault in an answer, or none if the answer is no error. Errors of NATS services that are
    /// not ours are understood too: code and message from the headers, the body as details. A code
    /// that is no number, or 0 (which says that nothing failed), counts as 500.
    pub fn from_message(m: &Message) -> Option<Fault> {
        let code = m.headers.get(NATS_SERVICE_ERROR_CODE);
        let text = m.headers.get(NATS_SERVICE_ERROR);
        if code.is_none() && text.is_none() {
            return None;
        }
        let body = serde_json::from_slice::<Body<'_>>(&m.body).ok();
        let mut fault = match body {
            Some(body) => Fault {
                code: body.code,
                details: body.details(),
                message: body.message,
            },
            None => Fault {
                code: code.and_then(|c| c.trim().parse().ok()).unwrap_or(500),
                message: text.unwrap_or_default().to_owned(),
                details: loose(m),
            },
        };
        if fault.code == 0 {
            fault.code = 500;
        }
        Some(fault)
    }

    fn body(&self) -> Result<Vec<u8>, EncodeError> {
        let mut out = format!("{{\"code\":{},\"message\":", self.code).into_bytes();
        write_string(&mut out, &self.message);
        match &self.details {
            None => {}
            Some(Payload::Json(text)) => {
                out.extend_from_slice(b",\"details\":");
                out.extend_from_slice(check_json(text)?.as_bytes());
            }
            Some(Payload::Text(text)) => {
                out.extend_from_slice(b",\"details\":");
                write_string(&mut out, text);
            }
            Some(Payload::Binary(bytes)) => {
                out.extend_from_slice(b",\"details_base64\":");
                write_string(&mut out, &STANDARD.encode(bytes));
            }
        }
        out.push(b'}');
        Ok(out)
    }
}

/// The body of our own faults.
#[derive(Deserialize)]
struct Body<'a> {
    code: u16,
    message: String,
    #[serde(borrow)]
    details: Option<&'a RawValue>,
    details_base64: Option<String>,
}

impl Body<'_> {
    fn details(&self) -> Option<Payload> {
        let json = self.details.and_then(|raw| check_json(raw.get()).ok());
        match (json, &self.details_base64) {
            (Some(json), _) => Some(Payload::Json(json.to_owned())),
            (None, Some(text)) => STANDARD
                .decode(text)
                .ok()
                .map(|b| Payload::Binary(b.into())),
            (None, None) => None,
        }
    }
}

/// The body of somebody else's error.
fn loose(m: &Message) -> Option<Payload> {
    match std::str::from_utf8(&m.body) {
        Ok("") => None,
        Ok(text) => Some(match check_json(text) {
            Ok(json) => Payload::Json(json.to_owned()),
            Err(_) => Payload::Text(text.to_owned()),
        }),
        Err(_) => Some(Payload::Binary(m.body.clone())),
    }
}

/// A message as a header can carry it: printable ASCII, not empty (an empty error is none), short.
fn header_text(message: &str) -> String {
    let printable = |c: char| match c {
        ' '..='~' => c,
        c if c.is_control() || c.is_whitespace() => ' ',
        _ => '?',
    };
    let text: String = message
        .chars()
        .map(printable)
        .take(MAX_ERROR_HEADER_BYTES)
        .collect();
    match text.trim() {
        "" => "error".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Attribute, CloudEvent, Message, Payload};
    use super::{Fault, MAX_ERROR_HEADER_BYTES};

    fn reply() -> CloudEvent {
        let (id, source, ty) = ("1".into(), "/s".into(), "org.x".into());
        let mut event = CloudEvent {
            id,
            source,
            ty,
            ..CloudEvent::default()
        };
        event.set_extension("transactionid", Attribute::Text("tid-1".into()));
        event
    }

    fn fault(message: &str, details: Option<Payload>) -> Fault {
        Fault {
            code: 422,
            message: message.into(),
            details,
        }
    }

    #[test]
    fn bytes_of_a_fault() {
        let details = Payload::Json(" {\"b\":12345678901234567890123,\"a\":1} ".into());
        let m = fault("no \"name\"\nin ä", Some(details))
            .to_message(&reply())
            .unwrap();
        let body = concat!(
            r#"{"code":422,"message":"no \"name\"\nin ä","#,
            r#""details":{"b":12345678901234567890123,"a":1}}"#
        );
        assert_eq!(std::str::from_utf8(&m.body), Ok(body));
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "/s"),
            ("ce-type", "org.x"),
            ("ce-transactionid", "tid-1"),
            ("Content-Type", "application/json; charset=utf-8"),
            ("Nats-Service-Error", "no \"name\" in ?"),
            ("Nats-Service-Error-Code", "422"),
        ];
        assert_eq!(m.headers.iter().collect::<Vec<_>>(), headers);
        // It is an event in binary mode too, and no structured one.
        let event = CloudEvent::decode(&m).unwrap();
        assert_eq!(
            (event.ty.as_str(), event.transaction_id("transactionid")),
            ("org.x", Some("tid-1"))
        );
        assert!(
            CloudEvent::decode(&Message {
                body: m.body,
                ..Message::default()
            })
            .is_err()
        );
    }

    #[test]
    fn there_and_back() {
        let check = |sent: Option<Payload>, back: Option<Payload>| {
            let m = fault("m", sent).to_message(&reply()).unwrap();
            assert_eq!(Fault::from_message(&m), Some(fault("m", back)));
        };
        let json = |text: &str| Some(Payload::Json(text.into()));
        check(None, None);
        check(json("[1.50]"), json("[1.50]"));
        check(Some(Payload::Text("a\"".into())), json(r#""a\"""#));
        check(
            Some(Payload::Binary(vec![0, 255].into())),
            Some(Payload::Binary(vec![0, 255].into())),
        );
        let broken = fault("m", json("{")).to_message(&reply());
        assert!(
            broken
                .unwrap_err()
                .to_string()
                .starts_with("data is not JSON")
        );
        assert!(fault("m", None).to_message(&CloudEvent::default()).is_err());
    }

    #[test]
    fn headers_stay_headers() {
        let check = |message: &str, expected: &str| {
            let m = fault(message, None).to_message(&reply()).unwrap();
            assert_eq!(m.headers.get("nats-service-error"), Some(expected));
            assert_eq!(Fault::from_message(&m).unwrap().message, message);
        };
        check("a\r\nX-Evil: 1", "a  X-Evil: 1");
        check("", "error");
        check("\u{2028}\0 ", "error");
        check(&"ä".repeat(2_000), &"?".repeat(MAX_ERROR_HEADER_BYTES));
    }

    #[test]
    fn errors_of_others() {
        let check = |headers: &[(&'static str, &'static str)], body: &'static [u8], expected| {
            let m = Message {
                headers: headers.iter().copied().collect(),
                body: body.into(),
            };
            assert_eq!(Fault::from_message(&m), expected);
        };
        let fault = |code, message: &str, details| {
            Some(Fault {
                code,
                message: message.into(),
                details,
            })
        };
        check(&[], br#"{"code":1,"message":"m"}"#, None);
        let named = [
            ("nats-service-error", "gone"),
            ("nats-service-error-code", "410"),
        ];
        check(&named, b"", fault(410, "gone", None));
        check(
            &named,
            b"{}",
            fault(410, "gone", Some(Payload::Json("{}".into()))),
        );
        check(
            &named,
            b"Hi!",
            fault(410, "gone", Some(Payload::Text("Hi!".into()))),
        );
        let bytes = Some(Payload::Binary(vec![255].into()));
        check(&named, b"\xff", fault(410, "gone", bytes));
        check(
            &[("Nats-Service-Error-Code", "x")],
            b"",
            fault(500, "", None),
        );
        check(&[("Nats-Service-Error", "x")], b"", fault(500, "x", None));
        // Guests in JavaScript cannot have a fault of code 0; another number is the other side's own.
        let zero = [
            ("Nats-Service-Error", "x"),
            ("Nats-Service-Error-Code", "0"),
        ];
        check(&zero, b"", fault(500, "x", None));
        check(&zero, br#"{"code":0,"message":"m"}"#, fault(500, "m", None));
        let own = [("Nats-Service-Error-Code", "10047")];
        check(&own, b"", fault(10047, "", None));
    }
}
