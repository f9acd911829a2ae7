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

#[cfg(test)]
mod tests {
    use super::super::{Attribute, CloudEvent, Message, Payload};

    const REQUIRED: [(&str, &str); 4] = [
        ("CE-SpecVersion", "1.0"),
        ("Ce-Id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "t"),
    ];

    fn decode(
        more: &[(&'static str, &'static str)],
        body: &'static [u8],
    ) -> Result<CloudEvent, String> {
        let headers = REQUIRED.iter().chain(more).copied().collect();
        let m = Message {
            headers,
            body: body.into(),
        };
        CloudEvent::decode(&m).map_err(|error| error.to_string())
    }

    #[test]
    fn headers_in_any_case_with_and_without_encoding() {
        let check = |value: &'static str, expected: &str| {
            let event = decode(&[("cE-MyExt", value)], b"").unwrap();
            assert_eq!(
                event.extension("myext"),
                Some(&Attribute::Text(expected.into()))
            );
        };
        check("a%20b", "a b");
        check("%C3%a4%25", "ä%");
        check("ä", "ä");
        check("100%", "100%");
        check("%zz%4", "%zz%4");
        check("\"a \\\"b\\\" %22\"", "a \"b\" \"");
        check("\"", "\"");
        check("", "");
        check("5", "5");
    }

    #[test]
    fn bodies_by_media_type() {
        let check = |content_type: Option<&'static str>, body, expected: Option<Payload>| {
            let headers = content_type.map(|value| ("content-type", value));
            let event = decode(headers.as_slice(), body).unwrap();
            assert_eq!(
                (event.data, event.datacontenttype.as_deref()),
                (expected, content_type)
            );
        };
        let json = |text: &str| Some(Payload::Json(text.into()));
        let text = |text: &str| Some(Payload::Text(text.into()));
        let binary = |bytes: &'static [u8]| Some(Payload::Binary(bytes.into()));
        check(
            Some("Application/JSON"),
            b" {\"b\":1, \"a\":2}\n",
            json("{\"b\":1, \"a\":2}"),
        );
        check(Some("application/json"), b"", None);
        check(None, b"null", json("null"));
        check(None, b"Hi!", binary(b"Hi!"));
        check(Some("text/plain"), "ä".as_bytes(), text("ä"));
        check(Some("text/plain"), b"\xff", binary(b"\xff"));
        check(Some("text/plain; charset=latin1"), b"a", binary(b"a"));
        check(Some("application/octet-stream"), b"1", binary(b"1"));
        check(Some("text/plain"), b"", None);
    }

    #[test]
    fn what_is_refused() {
        let check = |headers: &[(&'static str, &'static str)], body, expected: &str| {
            assert_eq!(decode(headers, body).unwrap_err(), expected);
        };
        check(&[("ce-id", "2")], b"", "attribute `id` is given twice");
        check(
            &[("ce-x", "1"), ("CE-X", "1")],
            b"",
            "attribute `x` is given twice",
        );
        check(&[("ce-subject", "")], b"", "attribute `subject` is empty");
        check(
            &[("ce-time", "noon")],
            b"",
            "attribute `time` is not an RFC 3339 time",
        );
        check(
            &[("ce-dataschema", "a")],
            b"",
            "attribute `dataschema` is not an absolute URI",
        );
        check(
            &[("Content-Type", "xyz")],
            b"",
            "attribute `datacontenttype` is not a media type",
        );
        check(
            &[("ce-a_b", "1")],
            b"",
            "attribute `a_b` has a name outside a-z and 0-9",
        );
        check(
            &[("ce-", "1")],
            b"",
            "attribute `` has a name outside a-z and 0-9",
        );
        let reserved =
            "attribute `data` is an extension with a name that the specification has taken";
        check(&[("ce-data", "1")], b"", reserved);
        check(
            &[("ce-x", "%ff")],
            b"",
            "attribute `x` is not UTF-8 once its percent-encoding is undone",
        );
        let character = "attribute `x` has the character U+0000, which no attribute may have";
        check(&[("ce-x", "%00")], b"", character);
        let not_json =
            "data is not JSON, as its media type says: expected value at line 1 column 1";
        check(&[("Content-Type", "application/json")], b"Hi!", not_json);

        let only = |headers: &[(&'static str, &'static str)]| {
            let m = Message {
                headers: headers.iter().copied().collect(),
                ..Message::default()
            };
            CloudEvent::decode(&m).unwrap_err().to_string()
        };
        assert_eq!(
            only(&[("ce-specversion", "0.3")]),
            "attribute `specversion` is not \"1.0\""
        );
        assert_eq!(
            only(&[("ce-specversion", "1.0")]),
            "attribute `id` is missing"
        );
        assert_eq!(only(&REQUIRED[..2]), "attribute `source` is missing");
        assert_eq!(only(&REQUIRED[..3]), "attribute `type` is missing");
    }

    #[test]
    fn the_media_type_header_decides() {
        let both = [
            ("ce-datacontenttype", "text/css"),
            ("content-type", "text/html"),
        ];
        assert_eq!(
            decode(&both, b"").unwrap().datacontenttype.as_deref(),
            Some("text/html")
        );
        let only = decode(&both[..1], b"").unwrap();
        assert_eq!(only.datacontenttype.as_deref(), Some("text/css"));
        // A structured message may repeat its attributes in headers.
        let structured = [("Content-Type", "Application/CloudEvents+JSON")];
        let body = br#"{"specversion":"1.0","id":"2","source":"/s","type":"t"}"#;
        assert_eq!(decode(&structured, body).unwrap().id, "2");
    }
}
