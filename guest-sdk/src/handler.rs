//! What a handler function may look like: what it can take and what it can return.
//! Must not know how handlers are registered or exported.

use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::wire::Matched;
use crate::errors::{EventError, Fault};
use crate::message::{CloudEvent, Reply};

/// A whole query, for a handler that wants more than its data. Reads like the [`CloudEvent`] in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub envelope: CloudEvent,
    /// The name of the handler whose registration matched.
    pub handler: String,
}

/// A whole event, for a handler that wants more than its data. Reads like the [`CloudEvent`] in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub envelope: CloudEvent,
    /// The name of the handler whose registration matched.
    pub handler: String,
    /// The id that [`listeners::add`](crate::listeners::add) answered, if one of them matched.
    pub listener: Option<String>,
    /// The state given there.
    pub state: Option<String>,
}

/// The data, read as `T`, and the message it came in: its type (the op of a query), its source, its
/// transaction id. Reads like the [`CloudEvent`] in it, whose own `data` has been taken out.
///
/// ```
/// # use conche_guest::{Fault, With};
/// fn greet(ask: With<String>) -> Result<String, Fault> {
///     Ok(format!("Hello, {}! You asked {} of us.", ask.data, ask.envelope.type_))
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct With<T> {
    pub data: T,
    pub envelope: CloudEvent,
}

impl<T: DeserializeOwned> With<T> {
    fn of(mut envelope: CloudEvent) -> Result<Self, Fault> {
        let data = envelope.parse()?;
        envelope.data = None;
        Ok(Self { data, envelope })
    }
}

impl<T> Deref for With<T> {
    type Target = CloudEvent;

    fn deref(&self) -> &CloudEvent {
        &self.envelope
    }
}

impl Deref for Query {
    type Target = CloudEvent;

    fn deref(&self) -> &CloudEvent {
        &self.envelope
    }
}

impl Deref for Event {
    type Target = CloudEvent;

    fn deref(&self) -> &CloudEvent {
        &self.envelope
    }
}

/// What the argument of a query handler can be: [`Query`], any type that serde can read from the
/// query's JSON data, or that [`With`] the message it came in.
#[diagnostic::on_unimplemented(
    message = "a query handler cannot take `{Self}`",
    label = "takes `{Self}`, which cannot be read from JSON",
    note = "add `#[derive(serde::Deserialize)]` to `{Self}`, or take a whole `conche_guest::Query`"
)]
pub trait FromQuery: Sized {
    /// # Errors
    /// A fault 400 that says what is wrong with the data.
    fn from_query(query: Query) -> Result<Self, Fault>;
}

impl FromQuery for Query {
    fn from_query(query: Query) -> Result<Self, Fault> {
        Ok(query)
    }
}

impl<T: DeserializeOwned> FromQuery for With<T> {
    fn from_query(query: Query) -> Result<Self, Fault> {
        With::of(query.envelope)
    }
}

impl<T: DeserializeOwned> FromQuery for T {
    fn from_query(query: Query) -> Result<Self, Fault> {
        query.parse()
    }
}

/// What the argument of an event handler can be: [`Event`], any type that serde can read from the
/// event's JSON data, or that [`With`] the message it came in.
#[diagnostic::on_unimplemented(
    message = "an event handler cannot take `{Self}`",
    label = "takes `{Self}`, which cannot be read from JSON",
    note = "add `#[derive(serde::Deserialize)]` to `{Self}`, or take a whole `conche_guest::Event`"
)]
pub trait FromEvent: Sized {
    /// # Errors
    /// A fault 400 that says what is wrong with the data; the event is rejected with it.
    fn from_event(event: Event) -> Result<Self, Fault>;
}

impl FromEvent for Event {
    fn from_event(event: Event) -> Result<Self, Fault> {
        Ok(event)
    }
}

impl<T: DeserializeOwned> FromEvent for With<T> {
    fn from_event(event: Event) -> Result<Self, Fault> {
        With::of(event.envelope)
    }
}

impl<T: DeserializeOwned> FromEvent for T {
    fn from_event(event: Event) -> Result<Self, Fault> {
        event.parse()
    }
}

/// What a query handler answers when it may also stay silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Reply(Reply),
    /// No answer: the asker times out, as if nobody had heard.
    Silence,
}

/// What a query handler can return in its `Ok`: any type that serde can write as JSON, a [`Reply`],
/// or an [`Answer`].
#[diagnostic::on_unimplemented(
    message = "a query handler cannot answer `{Self}`",
    label = "answers `{Self}`, which cannot be written as JSON",
    note = "add `#[derive(serde::Serialize)]` to `{Self}`, or answer a `conche_guest::Reply` or \
            `conche_guest::Answer`"
)]
pub trait IntoAnswer {
    /// # Errors
    /// A fault 500 for what JSON cannot express.
    fn into_answer(self) -> Result<Answer, Fault>;
}

impl IntoAnswer for Answer {
    fn into_answer(self) -> Result<Answer, Fault> {
        Ok(self)
    }
}

impl IntoAnswer for Reply {
    fn into_answer(self) -> Result<Answer, Fault> {
        Ok(Answer::Reply(self))
    }
}

impl<T: Serialize> IntoAnswer for T {
    fn into_answer(self) -> Result<Answer, Fault> {
        Reply::json(&self).map(Answer::Reply)
    }
}

/// Called by what `plugin!` expands to.
#[doc(hidden)]
pub fn query<A, R, E>(
    handler: impl FnOnce(A) -> Result<R, E>,
    matched: Matched,
    envelope: CloudEvent,
) -> Result<Option<Reply>, Fault>
where
    A: FromQuery,
    R: IntoAnswer,
    E: Into<Fault>,
{
    let argument = A::from_query(Query {
        envelope,
        handler: matched.handler,
    })?;
    match handler(argument).map_err(Into::into)?.into_answer()? {
        Answer::Reply(reply) => Ok(Some(reply)),
        Answer::Silence => Ok(None),
    }
}

/// Called by what `plugin!` expands to. Data that cannot be read is rejected whatever the fault's
/// code: it would be the same next time.
#[doc(hidden)]
pub fn event<A, E>(
    handler: impl FnOnce(A) -> Result<(), E>,
    matched: Matched,
    envelope: CloudEvent,
) -> Result<(), EventError>
where
    A: FromEvent,
    E: Into<EventError>,
{
    let Matched {
        handler: name,
        listener,
        state,
    } = matched;
    let event = Event {
        envelope,
        handler: name,
        listener,
        state,
    };
    handler(A::from_event(event).map_err(EventError::Reject)?).map_err(Into::into)
}

#[cfg(test)]
mod tests;
