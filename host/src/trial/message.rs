//! What a case says of a message that comes in, from outside or as an answer: attributes and at most
//! one payload. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

use super::compare::is_placeholder;
use super::fields::{Fields, kind};
use crate::envelope::{Attribute, CloudEvent, Payload};

/// The keys of a payload: one of them, or none.
pub(super) const PAYLOADS: [&str; 4] = ["data", "json", "text", "base64"];

/// A message as it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    /// Without id, source and type where they are not written.
    pub(super) event: CloudEvent,
    pub(super) transaction_id: Option<String>,
}

impl Written {
    /// Reads attributes and payload. The type is the caller's to read.
    pub(super) fn read(fields: &mut Fields<'_>) -> Written {
        let mut event = CloudEvent {
            id: fields.text("id").unwrap_or_default(),
            source: fields.text("source").unwrap_or_default(),
            subject: fields.text("subject"),
            time: fields.text("time"),
            datacontenttype: fields.text("datacontenttype"),
            dataschema: fields.text("dataschema"),
            ..CloudEvent::default()
        };
        for (name, value) in fields.map("extensions") {
            match attribute(&value) {
                Some(value) => event.set_extension(&name, value),
                None => fields.wrong(
                    "extensions",
                    &format!("has `{name}`, which is neither text, true, false nor a whole number of 32 bits"),
                ),
            }
        }
        event.data = payload(fields);
        if event.datacontenttype.is_none() {
            // As encoding would write it, and a guest would see it.
            event.datacontenttype = match event.data {
                Some(Payload::Text(_)) => Some("text/plain; charset=utf-8".to_owned()),
                Some(Payload::Binary(_)) => Some("application/octet-stream".to_owned()),
                Some(Payload::Json(_)) | None => None,
            };
        }
        Written {
            event,
            transaction_id: fields.text("transaction-id"),
        }
    }

    /// The event: with what it does not say itself, and its transaction id under the attribute that
    /// the configuration names.
    pub(super) fn complete(
        &self,
        ty: &str,
        id: &str,
        source: &str,
        attribute: &str,
        transaction_id: Option<&str>,
    ) -> CloudEvent {
        let mut event = self.event.clone();
        ty.clone_into(&mut event.ty);
        let or = |written: &mut String, otherwise: &str| {
            if written.is_empty() {
                otherwise.clone_into(written);
            }
        };
        or(&mut event.id, id);
        or(&mut event.source, source);
        if let Some(id) = self.transaction_id.as_deref().or(transaction_id) {
            event.set_extension(attribute, Attribute::Text(id.to_owned()));
        }
        event
    }
}

/// The one payload that is written, if there is one.
pub(super) fn payload(fields: &mut Fields<'_>) -> Option<Payload> {
    one_payload(fields);
    let data = fields
        .value("data")
        .map(|value| Payload::Json(value.to_string()));
    let json = fields.text("json").and_then(|text| {
        let compact = compact(&text);
        if compact.is_none() {
            fields.wrong("json", "is not the text of one JSON value");
        }
        compact.map(|_| Payload::Json(text.trim().to_owned()))
    });
    let text = fields.text("text").map(Payload::Text);
    let bytes = fields.text("base64").and_then(|text| {
        let bytes = STANDARD.decode(&text);
        if bytes.is_err() {
            fields.wrong("base64", "is not base64 with padding");
        }
        bytes.ok().map(|bytes| Payload::Binary(bytes.into()))
    });
    data.or(json).or(text).or(bytes)
}

/// Notes if there is more than one payload.
pub(super) fn one_payload(fields: &mut Fields<'_>) {
    let present = fields.present(&PAYLOADS);
    if present.len() > 1 {
        let what = "stand side by side: a message has one payload, so keep one of them".to_owned();
        fields.wrong("", &format!("has {}, which {what}", present.join(" and ")));
    }
}

/// Makes the text that is expected under `json` what it is compared as. A placeholder stays; `null` is
/// the value, not none.
pub(super) fn compact_expected(fields: &mut Fields<'_>, json: &mut Value) {
    if json.is_null() {
        *json = "null".into();
    }
    let Value::String(text) = json else { return };
    if is_placeholder(text) {
        return;
    }
    match compact(text) {
        Some(compact) => *text = compact,
        None => fields.wrong("json", "is not the text of one JSON value"),
    }
}

/// The text of one JSON value without white space between its parts, digits and order untouched.
pub(super) fn compact(text: &str) -> Option<String> {
    serde_json::from_str::<&RawValue>(text).ok()?;
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(text.len()), false, false);
    for character in text.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_string = character == '"';
        }
        out.push(character);
    }
    Some(out)
}

fn attribute(value: &Value) -> Option<Attribute> {
    match value {
        Value::Bool(value) => Some(Attribute::Boolean(*value)),
        Value::Number(number) => {
            let number = number.as_i64().and_then(|n| i32::try_from(n).ok());
            number.map(Attribute::Integer)
        }
        Value::String(text) => Some(Attribute::Text(text.clone())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A value in text: that of a log field or of a key in `[config]`, where YAML's numbers and booleans
/// mean their letters.
pub(super) fn letters(fields: &mut Fields<'_>, key: &'static str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, value) in fields.map(key) {
        match value {
            Value::String(text) => all.push((name, text)),
            Value::Bool(_) | Value::Number(_) => all.push((name, value.to_string())),
            other => {
                let what = format!("has `{name}`, which is {}, not text", kind(&other));
                fields.wrong(key, &what);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn json_is_compact_without_its_white_space_and_nothing_else() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(compact(text).as_deref(), expected, "{text}");
        };
        check(
            "{ \"b\" : [1.50, 12345678901234567890123],\n \"a\": \" \\\" \\\\\" }",
            Some(r#"{"b":[1.50,12345678901234567890123],"a":" \" \\"}"#),
        );
        check("{", None);
        check("1 2", None);
    }
}
