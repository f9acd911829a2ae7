//! What a test hands to a handler: a query or an event, and which registration it matches.

use serde::Serialize;

use super::outcome::AddedListener;
use crate::message::{Attribute, CloudEvent, Extension, Payload};

/// The time on every envelope that is made here: a test sees the same one in each run.
pub(super) const TIME: &str = "2026-01-01T00:00:00Z";

/// A query or an event on its way to a handler. Each is made with the same id, so that handing it
/// over again is a redelivery; [`Incoming::id`] makes it another one.
///
/// ```
/// use conche_guest::testing::{Incoming, json};
///
/// let paid = Incoming::new("org.cyverse.events.Paid")
///     .transaction_id("tid-1")
///     .json(&json!({ "order": "o-17" }));
/// assert_eq!(paid.envelope.transaction_id.as_deref(), Some("tid-1"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "nothing happens until a host runs a handler with it"]
pub struct Incoming {
    /// Every attribute that the builder does not name can be set here.
    pub envelope: CloudEvent,
    pub(super) handler: Option<String>,
    /// Id and state.
    pub(super) listener: Option<(String, String)>,
}

impl Incoming {
    /// `type_` is the query's op or the event's type.
    pub fn new(type_: impl Into<String>) -> Self {
        Self::from(CloudEvent {
            id: "cloudevent-1".to_owned(),
            source: "/test".to_owned(),
            type_: type_.into(),
            time: Some(TIME.to_owned()),
            subject: None,
            datacontenttype: None,
            dataschema: None,
            transaction_id: None,
            extensions: Vec::new(),
            data: None,
        })
    }

    /// Sets the data to a value written as JSON.
    ///
    /// # Panics
    /// For what JSON cannot express.
    #[track_caller]
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        match Payload::json(value) {
            Ok(data) => self.data(data, "application/json"),
            Err(error) => panic!("this value cannot be written as JSON: {error}"),
        }
    }

    /// Sets the data and its media type.
    pub fn data(mut self, data: Payload, datacontenttype: impl Into<String>) -> Self {
        self.envelope.data = Some(data);
        self.envelope.datacontenttype = Some(datacontenttype.into());
        self
    }

    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.envelope.id = id.into();
        self
    }

    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.envelope.source = source.into();
        self
    }

    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.envelope.subject = Some(subject.into());
        self
    }

    pub fn transaction_id(mut self, id: impl Into<String>) -> Self {
        self.envelope.transaction_id = Some(id.into());
        self
    }

    pub fn extension(mut self, name: impl Into<String>, value: impl Into<Attribute>) -> Self {
        self.envelope.extensions.push(Extension {
            name: name.into(),
            value: value.into(),
        });
        self
    }

    /// The name under which the handler is registered, where it is not that of its function.
    pub fn handler(mut self, name: impl Into<String>) -> Self {
        self.handler = Some(name.into());
        self
    }

    /// Comes because a listener heard it: with its handler's name, its id and its state.
    pub fn heard_by(mut self, added: &AddedListener) -> Self {
        self.handler = Some(added.listener.handler().to_owned());
        self.listener = Some((added.id.clone(), added.listener.kept_state().to_owned()));
        self
    }
}

/// What one handler emitted can be handed to another.
impl From<CloudEvent> for Incoming {
    fn from(envelope: CloudEvent) -> Self {
        Self {
            envelope,
            handler: None,
            listener: None,
        }
    }
}
