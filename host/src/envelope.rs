//! The envelope: our [`CloudEvent`], and its way to and from the bytes and headers of a message.
//!
//! Pure: it must not know NATS, HTTP, async, plugins, or where a message came from.
//!
//! Decoding is tolerant where the specification leaves room (see [`CloudEvent::decode`]), and
//! every document that it refuses is refused with a [`DecodeError`] that names the attribute.
//! Encoding is strict. Payload bytes are never parsed into numbers and maps and written again: a
//! 23-digit integer, the order of keys and white space inside `data` survive.

mod attribute;
mod binary;
mod encode;
mod fault;
pub mod headers;
mod ids;
mod media;
mod payload;
mod structured;
mod trace;

#[cfg(test)]
mod encode_tests;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde::de::DeserializeOwned;

pub use attribute::{Flaw, JsonType};
pub use encode::EncodeError;
pub use fault::{Fault, MAX_ERROR_HEADER_BYTES};
pub use headers::Headers;
pub use ids::{id_from_hash, new_id, new_listener_id, new_transaction_id, now, transaction_id_of};
pub use media::is_json as is_json_media_type;
pub use payload::DataFlaw;
pub use structured::DecodeError;

/// How deep arrays and objects in a JSON payload may be nested: the limit of Go's decoder, which
/// sits in the services we talk to. Nothing here recurses; it protects who parses the payload.
pub const MAX_NESTING: usize = 10_000;

/// The one version of the specification there is.
pub const SPEC_VERSION: &str = "1.0";

/// `Content-Type` of a message in structured mode.
pub const STRUCTURED_CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// `datacontenttype` written for a JSON payload that has none.
pub const JSON_CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// A CloudEvent, version 1.0: our message, whatever carries it.
///
/// The fields are public and may hold anything while an event is being made; encoding checks
/// every rule, and what [`CloudEvent::decode`] returns keeps them all.
///
/// ```
/// use conche::envelope::{CloudEvent, Message, Payload, new_id, now};
///
/// let event = CloudEvent {
///     id: new_id(),
///     source: "/conche/docs".into(),
///     ty: "org.cyverse.users.Get".into(),
///     time: Some(now()),
///     data: Some(Payload::Json(r#"{"id":12345678901234567890123}"#.into())),
///     ..CloudEvent::default()
/// };
/// let message: Message = event.to_structured()?;
/// let back = CloudEvent::decode(&message)?;
/// assert_eq!(back.data, event.data); // digits untouched
/// assert_eq!(back.datacontenttype.as_deref(), Some("application/json; charset=utf-8"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloudEvent {
    /// Unique for its source. Never empty.
    pub id: String,
    /// A URI reference (RFC 3986) to who made the event. Never empty.
    pub source: String,
    /// The attribute `type`: query op or event type, in reverse-DNS form. Never empty.
    pub ty: String,
    /// When it happened: the RFC 3339 text as it came.
    pub time: Option<String>,
    /// What the event is about, within its source. Not empty.
    pub subject: Option<String>,
    /// The media type of `data`. None: JSON.
    pub datacontenttype: Option<String>,
    /// An absolute URI of the payload's schema. A fragment is allowed: JSON schemas have them.
    pub dataschema: Option<String>,
    /// The other attributes, in the order they came.
    pub extensions: Vec<Extension>,
    /// The payload. None: there is none, which differs from `Json("null")`.
    pub data: Option<Payload>,
}

/// An attribute that the specification does not define.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Of `a-z` and `0-9`, not empty, and not the name of an attribute the specification has.
    pub name: String,
    /// The value; a JSON `null` is no extension.
    pub value: Attribute,
}

/// The JSON types that an extension can have. In binary mode, where types are lost, all are text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// `true` or `false`.
    Boolean(bool),
    /// CloudEvents integers have 32 bits.
    Integer(i32),
    /// Any text without control characters and Unicode's noncharacters.
    Text(String),
}

/// What an event carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The exact text of one JSON value, without white space around it.
    Json(String),
    /// Characters of any other media type.
    Text(String),
    /// Bytes of any other media type.
    Binary(Bytes),
}

/// What a transport carries, without its subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// In the order they came, looked up in any case.
    pub headers: Headers,
    /// The payload in NATS's sense: an envelope in structured mode, its data in binary mode.
    pub body: Bytes,
}

impl Message {
    /// Bytes on the wire: the body, and the block of headers if there are any, as NATS writes and
    /// counts them.
    pub fn wire_size(&self) -> usize {
        self.headers.wire_size() + self.body.len()
    }
}

impl CloudEvent {
    /// Reads an event: in binary mode if there is a `ce-specversion` header, structured otherwise.
    /// Old services send no `Content-Type`, so a structured message needs none; one that says
    /// `application/cloudevents…` is structured whatever `ce-` headers it repeats.
    ///
    /// Tolerated: header names in any case; attributes that are `null` (they are absent); `data`
    /// or `data_base64`, the latter being JSON if `datacontenttype` says so (or says nothing) and
    /// the bytes agree; any `*/json` and `*/*+json`; a JSON value that is no string under another
    /// media type (it stays [`Payload::Json`]); percent signs in headers that encode nothing.
    /// `data: null` is the payload `null` under a JSON media type, and no payload elsewhere; base64
    /// under a JSON media type that is no JSON stays [`Payload::Binary`] (encoding refuses that).
    ///
    /// Not tolerated, because the specification forbids it and nobody sends it: capital letters
    /// in attribute names (headers apart), empty required attributes, members given twice.
    ///
    /// # Errors
    /// [`DecodeError`]: the body is no JSON object, an attribute breaks a rule, the payload is not
    /// what it says. The size of a message is not limited here; its transport does that.
    pub fn decode(m: &Message) -> Result<CloudEvent, DecodeError> {
        match m.headers.get(headers::CE_SPECVERSION) {
            Some(version) if !binary::says_structured(&m.headers) => binary::decode(m, version),
            _ => structured::decode(&m.body),
        }
    }

    /// Writes the event as a JSON document, with the header `Content-Type` and no other.
    ///
    /// JSON goes under `data`, as does text; other bytes go under `data_base64`. A missing
    /// `datacontenttype` is written out, since JSON is what its absence means to others: that of
    /// JSON, `text/plain; charset=utf-8` or `application/octet-stream`. Bytes under a JSON media
    /// type are JSON and go under `data`. A lower-case `t` or `z` in `time` is written in capitals.
    ///
    /// # Errors
    /// [`EncodeError`]: an attribute breaks a rule of the specification, or the payload is not
    /// what its media type says.
    pub fn to_structured(&self) -> Result<Message, EncodeError> {
        encode::structured(self)
    }

    /// Writes the event in binary mode: attributes as `ce-` headers, percent-encoded, the media
    /// type as `Content-Type`, the payload's bytes as the body.
    ///
    /// Booleans and integers arrive as text: headers have no types. An empty payload arrives as
    /// none.
    ///
    /// # Errors
    /// Those of [`CloudEvent::to_structured`].
    pub fn to_binary(&self) -> Result<Message, EncodeError> {
        encode::binary(self)
    }

    /// The extension of this exact name, if the event has it.
    pub fn extension(&self, name: &str) -> Option<&Attribute> {
        self.extensions
            .iter()
            .find(|e| e.name == name)
            .map(|e| &e.value)
    }

    /// Sets an extension in its place, or adds it at the end. Whether the name is legal is checked
    /// when the event is encoded.
    pub fn set_extension(&mut self, name: &str, value: Attribute) {
        match self.extensions.iter_mut().find(|e| e.name == name) {
            Some(extension) => extension.value = value,
            None => self.extensions.push(Extension {
                name: name.to_owned(),
                value,
            }),
        }
    }

    /// What tells this event from all others, for JetStream's duplicate window: a hash of source and
    /// id, because ids are unique only for their source.
    pub fn message_id(&self) -> String {
        ids::message_id(&self.source, &self.id)
    }

    /// Reads the data as JSON; none at all reads as `null`.
    ///
    /// # Errors
    /// It is no JSON, or not what `T` wants.
    pub fn data_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match &self.data {
            None => serde_json::from_str("null"),
            Some(Payload::Json(text) | Payload::Text(text)) => serde_json::from_str(text),
            Some(Payload::Binary(bytes)) => serde_json::from_slice(bytes),
        }
    }

    /// The transaction id, in the extension that the configuration names for it. Empty text and
    /// values that are no text are no transaction id.
    pub fn transaction_id(&self, attribute: &str) -> Option<&str> {
        match self.extension(attribute) {
            Some(Attribute::Text(id)) if !id.is_empty() => Some(id),
            _ => None,
        }
    }
}
