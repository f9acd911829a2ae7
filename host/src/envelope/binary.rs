//! Binary mode: `ce-` headers and a body to a [`CloudEvent`].

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::attribute::{self, Flaw, find_duplicate};
use super::headers::{CONTENT_TYPE, Headers};
use super::payload::{DataFlaw, check_json_bytes};
use super::structured::{DecodeError, check_specversion};
use super::{Attribute, CloudEvent, Extension, Message, Payload, media};

/// Whether the headers say that the body is a whole envelope: then `ce-` headers only repeat it.
pub(super) fn says_structured(headers: &Headers) -> bool {
    const PREFIX: &str = "application/cloudevents";
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.trim_start().get(..PREFIX.len()))
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

pub(super) fn decode(m: &Message, specversion: &str) -> Result<CloudEvent, DecodeError> {
    check_specversion(specversion.trim()).map_err(|flaw| DecodeError::flaw("specversion", flaw))?;
    let mut found = attributes(&m.headers)?;

    type Check = fn(&str) -> Result<(), Flaw>;
    let mut core = |name: &str, check: Check| take(&mut found, name, check);
    let mut required = |name: &str, check: Check| {
        core(name, check)?.ok_or_else(|| DecodeError::flaw(name, Flaw::Missing))
    };
    let id = required("id", attribute::check_present)?;
    let source = required("source", attribute::check_source)?;
    let ty = required("type", attribute::check_present)?;
    let time = core("time", attribute::check_time)?;
    let subject = core("subject", attribute::check_present)?;
    let dataschema = core("dataschema", attribute::check_dataschema)?;
    let datacontenttype = core("datacontenttype", attribute::check_datacontenttype)?;
    let extensions = extensions(found)?;
    let data = data(m, datacontenttype.as_deref())?;
    Ok(CloudEvent {
        id,
        source,
        ty,
        time,
        subject,
        datacontenttype,
        dataschema,
        extensions,
        data,
    })
}

/// All attributes but `specversion`, decoded; the media type under its attribute's name.
fn attributes(headers: &Headers) -> Result<Vec<(String, Cow<'_, str>)>, DecodeError> {
    let mut found = Vec::new();
    let content_type = headers.get(CONTENT_TYPE);
    if let Some(value) = content_type {
        found.push(("datacontenttype".to_owned(), Cow::Borrowed(value.trim())));
    }
    for (header, value) in headers.iter() {
        let Some((prefix, name)) = header.split_at_checked(3) else {
            continue;
        };
        if !prefix.eq_ignore_ascii_case("ce-") {
            continue;
        }
        let name = name.to_ascii_lowercase();
        // Not as the binding wants it, but some send both.
        let repeats = name == "datacontenttype" && content_type.is_some();
        if name != "specversion" && !repeats {
            let value = undo(value).map_err(|flaw| DecodeError::flaw(&name, flaw))?;
            found.push((name, value));
        }
    }
    match find_duplicate(found.iter().map(|(name, _)| name.as_str())) {
        Some(name) => Err(DecodeError::flaw(name, Flaw::Duplicate)),
        None => Ok(found),
    }
}

fn take(
    found: &mut Vec<(String, Cow<'_, str>)>,
    name: &str,
    check: fn(&str) -> Result<(), Flaw>,
) -> Result<Option<String>, DecodeError> {
    let Some(at) = found.iter().position(|(n, _)| n == name) else {
        return Ok(None);
    };
    let (_, value) = found.remove(at);
    check(&value).map_err(|flaw| DecodeError::flaw(name, flaw))?;
    Ok(Some(value.into_owned()))
}

/// A header's value: quotes around it undone (the HTTP binding wants that), then percent-encoding.
/// A `%` that encodes nothing stays: sdk-go's NATS binding does not encode.
fn undo(value: &str) -> Result<Cow<'_, str>, Flaw> {
    let value = value.trim();
    let inside = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let value = match inside {
        Some(inside) if inside.contains('\\') => Cow::Owned(unescape(inside)),
        Some(inside) => Cow::Borrowed(inside),
        None => Cow::Borrowed(value),
    };
    if !value.contains('%') {
        return Ok(value);
    }
    let decoded = percent_decode_str(&value)
        .decode_utf8()
        .map_err(|_| Flaw::NotUtf8)?;
    Ok(Cow::Owned(decoded.into_owned()))
}

fn unescape(quoted: &str) -> String {
    let mut chars = quoted.chars();
    let mut text = String::with_capacity(quoted.len());
    while let Some(c) = chars.next() {
        text.push(if c == '\\' {
            chars.next().unwrap_or(c)
        } else {
            c
        });
    }
    text
}

fn extensions(found: Vec<(String, Cow<'_, str>)>) -> Result<Vec<Extension>, DecodeError> {
    let mut extensions = Vec::with_capacity(found.len());
    for (name, value) in found {
        let checked = match name.as_str() {
            "data" => Err(Flaw::Reserved),
            _ => attribute::check_name(&name).and_then(|()| attribute::check_text(&value)),
        };
        checked.map_err(|flaw| DecodeError::flaw(&name, flaw))?;
        extensions.push(Extension {
            name,
            value: Attribute::Text(value.into_owned()),
        });
    }
    Ok(extensions)
}

/// The body, by its media type. What says JSON must be JSON; what says nothing may be.
fn data(m: &Message, datacontenttype: Option<&str>) -> Result<Option<Payload>, DecodeError> {
    if m.body.is_empty() {
        return Ok(None);
    }
    let payload = match datacontenttype {
        Some(text) if media::is_json(Some(text)) => {
            Payload::Json(check_json_bytes(&m.body)?.to_owned())
        }
        None => match check_json_bytes(&m.body) {
            Ok(json) => Payload::Json(json.to_owned()),
            Err(DataFlaw::TooDeep) => return Err(DataFlaw::TooDeep.into()),
            Err(_) => Payload::Binary(m.body.clone()),
        },
        Some(text) => match std::str::from_utf8(&m.body) {
            Ok(body) if media::is_text(text) => Payload::Text(body.to_owned()),
            _ => Payload::Binary(m.body.clone()),
        },
    };
    Ok(Some(payload))
}
