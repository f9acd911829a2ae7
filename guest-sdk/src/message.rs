//! The messages a plugin sees and sends: events as they came, drafts and replies as they go out.
//! Pure data and builders; must not know the host's functions.
//!
//! Field names and order of variants follow `types` in `wit/handler.wit`: the bindings lift and
//! lower these very structs.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors::{Fault, SendError};

/// A CloudEvent as it was received: a query, an event, or the answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudEvent {
    pub id: String,
    /// A URI reference: who made it.
    pub source: String,
    /// The query's op or the event's type.
    pub type_: String,
    /// The RFC 3339 text as it came.
    pub time: Option<String>,
    pub subject: Option<String>,
    pub datacontenttype: Option<String>,
    pub dataschema: Option<String>,
    /// Ties this message, its answers and its follow-up events together.
    pub transaction_id: Option<String>,
    /// In the order they came.
    pub extensions: Vec<Extension>,
    /// Absent when there is none, or when it travels by reference (`dataref`).
    pub data: Option<Payload>,
}

impl CloudEvent {
    /// The value of one extension attribute.
    pub fn extension(&self, name: &str) -> Option<&Attribute> {
        self.extensions
            .iter()
            .find(|extension| extension.name == name)
            .map(|found| &found.value)
    }

    /// Reads `data` as JSON. No data reads as `null`, so that `()` and `Option<T>` accept it.
    ///
    /// # Errors
    /// A fault 400 with serde's message when the data has another shape or is not JSON.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let Some(data) = &self.data else {
            return serde_json::from_str("null")
                .map_err(|error| Fault::bad_request(format!("no data: {error}")));
        };
        data.parse()
    }
}

/// An extension attribute of a CloudEvent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    pub name: String,
    pub value: Attribute,
}

/// What an extension attribute can hold; a round trip changes neither value nor kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    Boolean(bool),
    Integer(i32),
    Text(String),
}

impl From<bool> for Attribute {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i32> for Attribute {
    fn from(value: i32) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Attribute {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Attribute {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// The data of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The exact text of one JSON value: digits and key order untouched.
    Json(String),
    /// Characters of any other media type.
    Text(String),
    Binary(Vec<u8>),
}

impl Payload {
    /// Writes a value as JSON.
    ///
    /// # Errors
    /// What JSON cannot express, such as a map whose keys are no strings.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self::Json)
    }

    /// Reads the JSON in this payload.
    ///
    /// # Errors
    /// A fault 400 with serde's message when the data has another shape or is not JSON.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        match self {
            Self::Json(text) => serde_json::from_str(text)
                .map_err(|error| Fault::bad_request(format!("invalid data: {error}"))),
            Self::Text(_) => Err(Fault::bad_request("the data is text, not JSON")),
            Self::Binary(_) => Err(Fault::bad_request("the data is binary, not JSON")),
        }
    }
}

/// A message to send, by `emit`, `request` or `exchange`. The host adds id, source and time.
///
/// ```
/// # use conche_guest::{Draft, SendError};
/// # fn draft() -> Result<Draft, SendError> {
/// Draft::new("org.cyverse.events.OrderCreated").subject("o-17").json(&["a", "b"])
/// # }
/// # assert_eq!(draft().unwrap().subject.as_deref(), Some("o-17"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a draft does nothing until it is sent"]
pub struct Draft {
    /// The event's type or the query's op.
    pub type_: String,
    pub subject: Option<String>,
    pub datacontenttype: Option<String>,
    pub dataschema: Option<String>,
    /// None: that of the call in progress.
    pub transaction_id: Option<String>,
    pub extensions: Vec<Extension>,
    pub data: Option<Payload>,
    /// Names this message within the call; see [`Draft::key`].
    pub key: Option<String>,
}

impl Draft {
    pub fn new(type_: impl Into<String>) -> Self {
        Self {
            type_: type_.into(),
            subject: None,
            datacontenttype: None,
            dataschema: None,
            transaction_id: None,
            extensions: Vec::new(),
            data: None,
            key: None,
        }
    }

    /// Sets the data to a value written as JSON.
    ///
    /// # Errors
    /// [`SendError::Invalid`] for what JSON cannot express.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Result<Self, SendError> {
        let data = Payload::json(value).map_err(|error| SendError::Invalid(error.to_string()))?;
        self.data = Some(data);
        Ok(self)
    }

    /// Sets the data and its media type.
    pub fn data(mut self, data: Payload, datacontenttype: impl Into<String>) -> Self {
        self.data = Some(data);
        self.datacontenttype = Some(datacontenttype.into());
        self
    }

    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    pub fn extension(mut self, name: impl Into<String>, value: impl Into<Attribute>) -> Self {
        self.extensions.push(Extension {
            name: name.into(),
            value: value.into(),
        });
        self
    }

    pub fn transaction_id(mut self, id: impl Into<String>) -> Self {
        self.transaction_id = Some(id.into());
        self
    }

    /// Names this message within the call: when the call is tried again, the message with the same
    /// key goes out under the same id, whatever it then holds. Without a key the id comes from the
    /// message itself and from how many equal ones were sent before it.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// The answer to a query. A handler that needs no more than data returns its own type instead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// None: the query's type.
    pub type_: Option<String>,
    pub subject: Option<String>,
    pub datacontenttype: Option<String>,
    pub dataschema: Option<String>,
    pub extensions: Vec<Extension>,
    pub data: Option<Payload>,
}

impl Reply {
    /// An answer without data.
    pub fn empty() -> Self {
        Self::default()
    }

    /// An answer that holds a value as JSON.
    ///
    /// # Errors
    /// A fault 500 for what JSON cannot express.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Fault> {
        let data = Payload::json(value)
            .map_err(|error| Fault::internal(format!("the answer is no JSON: {error}")))?;
        Ok(Self {
            data: Some(data),
            ..Self::default()
        })
    }
}
