//! What came of a call: the handler's answer, its effects, and what it asked of others meanwhile.

use serde::de::DeserializeOwned;

use crate::errors::{EventError, Fault};
use crate::handler::Answer;
use crate::listeners::Listener;
use crate::log::Level;
use crate::message::{CloudEvent, Payload};

/// What came of a query: [`Outcome::reply`] reads its answer, [`Outcome::fault`] its fault.
pub type QueryOutcome = Outcome<Answer, Fault>;

/// What came of an event: `Ok(())` acknowledges it, the error says what becomes of it.
pub type EventOutcome = Outcome<(), EventError>;

/// What came of one call of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<T, E> {
    /// What the host gets back, after the argument was read and the result written.
    pub result: Result<T, E>,
    /// What the host would do now: empty unless the handler succeeded.
    pub effects: Effects,
    /// What the handler asked for before it failed. No host does any of it.
    pub discarded: Effects,
    /// What it asked with `request` and `request_all`, in order. Sent whatever became of the call.
    pub requests: Vec<CloudEvent>,
    /// What it published with `exchange`, in order. No failure takes it back.
    pub exchanges: Vec<CloudEvent>,
    /// What it logged.
    pub log: Vec<LogLine>,
}

/// What happens only if the handler succeeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// What was emitted, as others will hear it.
    pub emitted: Vec<CloudEvent>,
    /// Changes of listeners; a host makes them before it publishes what was emitted.
    pub listeners: Vec<ListenerChange>,
}

/// A change of the plugin's dynamic listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerChange {
    Add(AddedListener),
    /// The id of the one to remove.
    Remove(String),
}

/// A listener as the handler added it. [`Incoming::heard_by`](super::Incoming::heard_by) has it
/// hear something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedListener {
    /// What `listeners::add` answered.
    pub id: String,
    pub listener: Listener,
}

/// One line in the host's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub level: Level,
    pub message: String,
    /// In the order they were given.
    pub fields: Vec<(String, String)>,
}

impl Outcome<Answer, Fault> {
    /// The JSON that was answered.
    ///
    /// # Panics
    /// When the answer is a fault, silence, or no such JSON: with what it is.
    #[track_caller]
    pub fn reply<T: DeserializeOwned>(&self) -> T {
        let data = match &self.result {
            Ok(Answer::Reply(reply)) => reply.data.as_ref(),
            Ok(Answer::Silence) => panic!("the handler answered nothing"),
            Err(fault) => panic!("the handler answered a fault: {fault}"),
        };
        let null = Payload::Json("null".to_owned());
        match data.unwrap_or(&null).parse() {
            Ok(value) => value,
            Err(fault) => panic!("the handler answered something else: {}", fault.message),
        }
    }

    /// The fault that was answered.
    ///
    /// # Panics
    /// When it is none: with what was answered.
    #[track_caller]
    pub fn fault(&self) -> &Fault {
        match &self.result {
            Ok(answer) => panic!("the handler did not fail, it answered {answer:?}"),
            Err(fault) => fault,
        }
    }
}
