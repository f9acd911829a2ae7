//! Structured mode: a JSON document to a [`CloudEvent`].
//!
//! One pass finds the members as slices of the document; the rules are judged on those. Nothing
//! recurses, so no document can overflow the stack.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::attribute::{self, Flaw, JsonType, all_bytes, find_duplicate, shown};
use super::payload::{DataFlaw, check_json_bytes, check_nesting};
use super::{Attribute, CloudEvent, Extension, Payload, SPEC_VERSION, media};

/// Why a message is no CloudEvent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body has bytes that are not UTF-8.
    #[error("body is not UTF-8, from byte {valid_up_to} on")]
    NotUtf8 {
        /// How many bytes are.
        valid_up_to: usize,
    },
    /// The body is no JSON document.
    #[error("body is not JSON: {reason}")]
    NotJson {
        /// What the parser found, with line and column.
        reason: String,
    },
    /// The body is a JSON document other than an object; a batch, for example.
    #[error("body is a JSON value, but not an object")]
    NotObject,
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

impl DecodeError {
    /// The attribute that is to blame, if one is; `data` if the payload is.
    pub fn attribute(&self) -> Option<&str> {
        match self {
            DecodeError::Attribute { name, .. } => Some(name),
            DecodeError::Data(_) => Some("data"),
            _ => None,
        }
    }

    pub(super) fn flaw(name: &str, flaw: Flaw) -> DecodeError {
        DecodeError::Attribute {
            name: shown(name),
            flaw,
        }
    }
}

pub(super) fn decode(body: &[u8]) -> Result<CloudEvent, DecodeError> {
    let text = std::str::from_utf8(body).map_err(|error| DecodeError::NotUtf8 {
        valid_up_to: error.valid_up_to(),
    })?;
    let members = parse(text)?;
    members.check_names()?;

    let core = |member: Core, check: fn(&str) -> Result<(), Flaw>| members.text(member, check);
    let required = |member: Core, check: fn(&str) -> Result<(), Flaw>| {
        core(member, check)?.ok_or_else(|| DecodeError::flaw(member.name(), Flaw::Missing))
    };
    required(Core::SpecVersion, check_specversion)?;
    let mut event = CloudEvent {
        id: required(Core::Id, attribute::check_present)?,
        source: required(Core::Source, attribute::check_source)?,
        ty: required(Core::Type, attribute::check_present)?,
        time: core(Core::Time, attribute::check_time)?,
        subject: core(Core::Subject, attribute::check_present)?,
        datacontenttype: core(Core::DataContentType, attribute::check_datacontenttype)?,
        dataschema: core(Core::DataSchema, attribute::check_dataschema)?,
        extensions: members.extensions()?,
        data: None,
    };
    event.data = members.data(event.datacontenttype.as_deref())?;
    Ok(event)
}

pub(super) fn check_specversion(text: &str) -> Result<(), Flaw> {
    match text {
        SPEC_VERSION => Ok(()),
        "" => Err(Flaw::Empty),
        _ => Err(Flaw::SpecVersion),
    }
}

/// The members that the specification names.
#[derive(Debug, Clone, Copy)]
enum Core {
    SpecVersion,
    Id,
    Source,
    Type,
    Subject,
    Time,
    DataContentType,
    DataSchema,
    Data,
    DataBase64,
}

impl Core {
    const ALL: [Core; 10] = [
        Core::SpecVersion,
        Core::Id,
        Core::Source,
        Core::Type,
        Core::Subject,
        Core::Time,
        Core::DataContentType,
        Core::DataSchema,
        Core::Data,
        Core::DataBase64,
    ];

    fn name(self) -> &'static str {
        match self {
            Core::SpecVersion => "specversion",
            Core::Id => "id",
            Core::Source => "source",
            Core::Type => "type",
            Core::Subject => "subject",
            Core::Time => "time",
            Core::DataContentType => "datacontenttype",
            Core::DataSchema => "dataschema",
            Core::Data => "data",
            Core::DataBase64 => "data_base64",
        }
    }

    fn of(name: &str) -> Option<Core> {
        Core::ALL.into_iter().find(|core| core.name() == name)
    }
}

/// The document's members as they stand in it, not judged yet.
#[derive(Debug, Default)]
struct Members<'a> {
    core: [Option<&'a RawValue>; Core::ALL.len()],
    others: Vec<(Cow<'a, str>, &'a RawValue)>,
    twice: Option<Core>,
}

fn parse(text: &str) -> Result<Members<'_>, DecodeError> {
    match serde_json::from_str(text) {
        Ok(members) => Ok(members),
        Err(_)
            if serde_json::from_str::<&RawValue>(text)
                .is_ok_and(|v| json_type(v) != Some(JsonType::Object)) =>
        {
            Err(DecodeError::NotObject)
        }
        Err(error) => Err(DecodeError::NotJson {
            reason: error.to_string(),
        }),
    }
}

impl<'a> Members<'a> {
    fn check_names(&self) -> Result<(), DecodeError> {
        if let Some(core) = self.twice {
            return Err(DecodeError::flaw(core.name(), Flaw::Duplicate));
        }
        for (name, _) in &self.others {
            attribute::check_name(name).map_err(|flaw| DecodeError::flaw(name, flaw))?;
        }
        match find_duplicate(self.others.iter().map(|(name, _)| name.as_ref())) {
            Some(name) => Err(DecodeError::flaw(name, Flaw::Duplicate)),
            None => Ok(()),
        }
    }

    /// An attribute of the specification; all are strings.
    fn text(
        &self,
        core: Core,
        check: fn(&str) -> Result<(), Flaw>,
    ) -> Result<Option<String>, DecodeError> {
        let Some(raw) = self.core[core as usize] else {
            return Ok(None);
        };
        let checked = match json_type(raw) {
            None => Ok(None),
            Some(JsonType::String) => string(raw)
                .and_then(|text| check(&text).map(|()| text))
                .map(|text| Some(text.into_owned())),
            Some(other) => Err(Flaw::NotString(other)),
        };
        checked.map_err(|flaw| DecodeError::flaw(core.name(), flaw))
    }

    fn extensions(&self) -> Result<Vec<Extension>, DecodeError> {
        let mut extensions = Vec::with_capacity(self.others.len());
        for (name, raw) in &self.others {
            let value = extension(raw).map_err(|flaw| DecodeError::flaw(name, flaw))?;
            if let Some(value) = value {
                extensions.push(Extension {
                    name: name.as_ref().to_owned(),
                    value,
                });
            }
        }
        Ok(extensions)
    }

    fn data(&self, datacontenttype: Option<&str>) -> Result<Option<Payload>, DecodeError> {
        let data = self.core[Core::Data as usize];
        let base64 = self.core[Core::DataBase64 as usize].filter(|raw| json_type(raw).is_some());
        match (data, base64) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(DataFlaw::Twice.into()),
            (Some(raw), None) => plain_data(raw, media::is_json(datacontenttype)),
            (None, Some(raw)) => base64_data(raw, media::is_json(datacontenttype)),
        }
    }
}

/// Under a JSON media type any value is the payload, `null` included; elsewhere a string stands
/// for its characters, and other values are tolerated as what they are.
fn plain_data(raw: &RawValue, is_json: bool) -> Result<Option<Payload>, DecodeError> {
    match json_type(raw) {
        None if !is_json => Ok(None),
        Some(JsonType::String) if !is_json => {
            let text = string(raw).map_err(|flaw| DecodeError::flaw("data", flaw))?;
            Ok(Some(Payload::Text(text.into_owned())))
        }
        _ => {
            check_nesting(raw.get())?;
            Ok(Some(Payload::Json(raw.get().to_owned())))
        }
    }
}

/// sdk-go writes every Go byte slice as base64, JSON or not: under a JSON media type it is the
/// JSON itself, no bytes are no payload, and what is not JSON stays bytes.
fn base64_data(raw: &RawValue, is_json: bool) -> Result<Option<Payload>, DecodeError> {
    if let Some(other) = json_type(raw).filter(|t| *t != JsonType::String) {
        return Err(DataFlaw::NotString(other).into());
    }
    let text = string(raw).map_err(|flaw| DecodeError::flaw("data_base64", flaw))?;
    let bytes = STANDARD
        .decode(text.as_bytes())
        .map_err(|error| DataFlaw::NotBase64 {
            reason: error.to_string(),
        })?;
    if !is_json {
        return Ok(Some(Payload::Binary(bytes.into())));
    }
    match check_json_bytes(&bytes) {
        _ if bytes.is_empty() => Ok(None),
        Ok(json) => Ok(Some(Payload::Json(json.to_owned()))),
        Err(DataFlaw::TooDeep) => Err(DataFlaw::TooDeep.into()),
        Err(_) => Ok(Some(Payload::Binary(bytes.into()))),
    }
}

/// The characters of a JSON string.
fn string(raw: &RawValue) -> Result<Cow<'_, str>, Flaw> {
    let quoted = raw.get();
    match quoted.get(1..quoted.len() - 1) {
        Some(plain) if all_bytes(plain, |b| b != b'\\') => Ok(Cow::Borrowed(plain)),
        _ => serde_json::from_str::<String>(quoted)
            .map(Cow::Owned)
            .map_err(|_| Flaw::Escape),
    }
}

/// An extension's value; `null` is none.
fn extension(raw: &RawValue) -> Result<Option<Attribute>, Flaw> {
    match json_type(raw) {
        None => Ok(None),
        Some(JsonType::Boolean) => Ok(Some(Attribute::Boolean(raw.get() == "true"))),
        Some(JsonType::Number) => {
            if raw.get().contains(['.', 'e', 'E']) {
                return Err(Flaw::NotInteger);
            }
            raw.get()
                .parse()
                .map(|n| Some(Attribute::Integer(n)))
                .map_err(|_| Flaw::IntegerRange)
        }
        Some(JsonType::String) => {
            let text = string(raw)?;
            attribute::check_text(&text)?;
            Ok(Some(Attribute::Text(text.into_owned())))
        }
        Some(other) => Err(Flaw::NotScalar(other)),
    }
}

/// The type of a JSON value, by its first character; `null` has none.
fn json_type(raw: &RawValue) -> Option<JsonType> {
    match raw.get().as_bytes().first() {
        Some(b'"') => Some(JsonType::String),
        Some(b'{') => Some(JsonType::Object),
        Some(b'[') => Some(JsonType::Array),
        Some(b't' | b'f') => Some(JsonType::Boolean),
        Some(b'n') | None => None,
        Some(_) => Some(JsonType::Number),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        while let Some(Name(name)) = map.next_key()? {
            let value: &'de RawValue = map.next_value()?;
            match Core::of(&name) {
                Some(core) if members.core[core as usize].is_some() => members.twice = Some(core),
                Some(core) => members.core[core as usize] = Some(value),
                None => members.others.push((name, value)),
            }
        }
        Ok(members)
    }
}

/// A member's name: a slice of the document unless it has escapes. (serde's own `Cow` copies.)
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}
