//! A [`CloudEvent`] to the bytes and headers of a message, strictly to the specification.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::attribute::{self, Flaw, all_bytes, find_duplicate, shown};
use super::headers::{CE_SPECVERSION, CONTENT_TYPE, Headers};
use super::payload::{DataFlaw, check_json, check_json_bytes};
use super::{
    Attribute, CloudEvent, JSON_CONTENT_TYPE, Message, Payload, SPEC_VERSION,
    STRUCTURED_CONTENT_TYPE, media,
};

/// Why an event can't be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// An attribute breaks a rule.
    #[error("attribute `{}` {flaw}", .name.escape_debug())]
    Attribute {
        /// The attribute's name, shortened if it is very long.
        name: String,
        /// The rule that it breaks.
        flaw: Flaw,
    },
    /// The payload breaks a rule.
    #[error("data {0}")]
    Data(#[from] DataFlaw),
}

impl EncodeError {
    /// The attribute that is to blame, or `data`.
    pub fn attribute(&self) -> &str {
        match self {
            EncodeError::Attribute { name, .. } => name,
            EncodeError::Data(_) => "data",
        }
    }
}

/// What the bindings for headers encode: space, `"`, `%` and all outside U+0021 to U+007E.
const HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

const TEXT_CONTENT_TYPE: &str = "text/plain; charset=utf-8";
const BINARY_CONTENT_TYPE: &str = "application/octet-stream";

pub(super) fn structured(event: &CloudEvent) -> Result<Message, EncodeError> {
    check(event)?;
    let (datacontenttype, data) = payload(event)?;

    let mut out = Vec::with_capacity(capacity(event));
    out.extend_from_slice(b"{\"specversion\":\"1.0\"");
    member(&mut out, "id", &event.id);
    member(&mut out, "source", &event.source);
    member(&mut out, "type", &event.ty);
    optional(&mut out, "subject", event.subject.as_deref());
    optional(
        &mut out,
        "time",
        event.time.as_deref().map(capital_time).as_deref(),
    );
    optional(&mut out, "datacontenttype", datacontenttype);
    optional(&mut out, "dataschema", event.dataschema.as_deref());
    for extension in &event.extensions {
        match &extension.value {
            Attribute::Text(text) => member(&mut out, &extension.name, text),
            Attribute::Boolean(value) => raw(&mut out, &extension.name, &value.to_string()),
            Attribute::Integer(value) => raw(&mut out, &extension.name, &value.to_string()),
        }
    }
    match data {
        None => {}
        Some(Written::Json(json)) => raw(&mut out, "data", json),
        Some(Written::Text(text)) => member(&mut out, "data", text),
        // The alphabet of base64 needs no escapes.
        Some(Written::Binary(bytes)) => member(&mut out, "data_base64", &STANDARD.encode(bytes)),
    }
    out.push(b'}');

    let mut headers = Headers::new();
    headers.append(CONTENT_TYPE, STRUCTURED_CONTENT_TYPE);
    Ok(Message {
        headers,
        body: out.into(),
    })
}

pub(super) fn binary(event: &CloudEvent) -> Result<Message, EncodeError> {
    check(event)?;
    let (datacontenttype, data) = payload(event)?;
    let headers = headers(event, datacontenttype);
    let body = match data {
        None => Bytes::new(),
        Some(Written::Json(text) | Written::Text(text)) => Bytes::copy_from_slice(text.as_bytes()),
        Some(Written::Binary(bytes)) => bytes.clone(),
    };
    Ok(Message { headers, body })
}

/// The headers of binary mode, for attributes that passed [`check`].
pub(super) fn headers(event: &CloudEvent, datacontenttype: Option<&str>) -> Headers {
    let mut headers = Headers::new();
    headers.append(CE_SPECVERSION, SPEC_VERSION);
    headers.append("ce-id", percent(&event.id));
    headers.append("ce-source", percent(&event.source));
    headers.append("ce-type", percent(&event.ty));
    let optional = [
        ("ce-subject", &event.subject),
        ("ce-dataschema", &event.dataschema),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            headers.append(name, percent(value));
        }
    }
    if let Some(time) = &event.time {
        headers.append("ce-time", capital_time(time).into_owned());
    }
    for extension in &event.extensions {
        let value = match &extension.value {
            Attribute::Text(text) => percent(text),
            Attribute::Boolean(value) => value.to_string(),
            Attribute::Integer(value) => value.to_string(),
        };
        headers.append(format!("ce-{}", extension.name), value);
    }
    if let Some(datacontenttype) = datacontenttype {
        headers.append(CONTENT_TYPE, datacontenttype.to_owned());
    }
    headers
}

/// Every rule for attributes.
pub(super) fn check(event: &CloudEvent) -> Result<(), EncodeError> {
    type Check = fn(&str) -> Result<(), Flaw>;
    let core: [(&str, Option<&str>, Check); 7] = [
        ("id", Some(&event.id), attribute::check_present),
        ("source", Some(&event.source), attribute::check_source),
        ("type", Some(&event.ty), attribute::check_present),
        (
            "subject",
            event.subject.as_deref(),
            attribute::check_present,
        ),
        ("time", event.time.as_deref(), attribute::check_time),
        (
            "datacontenttype",
            event.datacontenttype.as_deref(),
            attribute::check_datacontenttype,
        ),
        (
            "dataschema",
            event.dataschema.as_deref(),
            attribute::check_dataschema,
        ),
    ];
    for (name, value, check) in core {
        value
            .map_or(Ok(()), check)
            .map_err(|flaw| blame(name, flaw))?;
    }
    for extension in &event.extensions {
        attribute::check_name(&extension.name).map_err(|flaw| blame(&extension.name, flaw))?;
        if attribute::is_reserved_name(&extension.name) {
            return Err(blame(&extension.name, Flaw::Reserved));
        }
        if let Attribute::Text(text) = &extension.value {
            attribute::check_text(text).map_err(|flaw| blame(&extension.name, flaw))?;
        }
    }
    match find_duplicate(event.extensions.iter().map(|e| e.name.as_str())) {
        Some(name) => Err(blame(name, Flaw::Duplicate)),
        None => Ok(()),
    }
}

fn blame(name: &str, flaw: Flaw) -> EncodeError {
    EncodeError::Attribute {
        name: shown(name),
        flaw,
    }
}

/// The payload as it is written.
enum Written<'a> {
    Json(&'a str),
    Text(&'a str),
    Binary(&'a Bytes),
}

/// The payload, checked against its media type, and the media type to write.
fn payload(event: &CloudEvent) -> Result<(Option<&str>, Option<Written<'_>>), EncodeError> {
    let given = event.datacontenttype.as_deref();
    let is_json = media::is_json(given);
    Ok(match &event.data {
        None => (given, None),
        Some(Payload::Json(text)) => {
            let json = check_json(text)?;
            // Under another media type `data` is a string: the text that has this media type.
            let written = if is_json {
                Written::Json(json)
            } else {
                Written::Text(json)
            };
            (given.or(Some(JSON_CONTENT_TYPE)), Some(written))
        }
        Some(Payload::Text(_)) if is_json && given.is_some() => {
            return Err(DataFlaw::TextUnderJson.into());
        }
        Some(Payload::Text(text)) => (given.or(Some(TEXT_CONTENT_TYPE)), Some(Written::Text(text))),
        Some(Payload::Binary(bytes)) if is_json && given.is_some() => {
            (given, Some(Written::Json(check_json_bytes(bytes)?)))
        }
        Some(Payload::Binary(bytes)) => (
            given.or(Some(BINARY_CONTENT_TYPE)),
            Some(Written::Binary(bytes)),
        ),
    })
}

/// About the size of the document, so that the buffer grows once at most.
fn capacity(event: &CloudEvent) -> usize {
    const MEMBERS: usize = 256;
    const EXTENSION: usize = 48;
    let data = match &event.data {
        None => 0,
        Some(Payload::Json(text) | Payload::Text(text)) => text.len(),
        Some(Payload::Binary(bytes)) => bytes.len().div_ceil(3) * 4,
    };
    MEMBERS + event.source.len() + event.extensions.len() * EXTENSION + data
}

fn optional(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        member(out, name, value);
    }
}

/// A string member. Names are `a-z`, `0-9` and `_`: they need no escapes.
fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    raw(out, name, "");
    write_string(out, value);
}

/// A member whose value is JSON already.
fn raw(out: &mut Vec<u8>, name: &str, json: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(json.as_bytes());
}

/// A JSON string, quotes and escapes included.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    if all_bytes(text, |b| b >= b' ' && b != b'"' && b != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    serde_json::to_writer(out, text).expect("a string is JSON, and a vector takes every write");
}

fn percent(text: &str) -> String {
    utf8_percent_encode(text, HEADER).to_string()
}

/// RFC 3339 allows `t` and `z`; Go's parser does not.
fn capital_time(time: &str) -> Cow<'_, str> {
    if all_bytes(time, |b| !b.is_ascii_lowercase()) {
        Cow::Borrowed(time)
    } else {
        Cow::Owned(time.to_ascii_uppercase())
    }
}
