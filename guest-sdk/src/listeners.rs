//! Listeners that a handler adds while it runs. Changes are effects: done if the handler succeeds,
//! before its emits are released. Needs `listen` in the policy's `[grants]`; a listener for any type of
//! a transaction hears what is granted there, and nothing else.
//!
//! A match calls the named handler on any instance of the plugin: hence a name and a state, no
//! closure. It comes at most once and to this host only; an error it returns is logged. Listeners
//! end with the host, with their time, and with the version of the plugin, unless its policy says
//! `on-swap = "carry"` in `[listeners]`.

use std::time::Duration;

use crate::errors::{SendError, milliseconds};
use crate::host::listeners as host;

/// What to listen for, and what to call.
///
/// ```no_run
/// use conche_guest::listeners::{self, Listener};
/// # fn handler(tid: String) -> Result<(), conche_guest::SendError> {
/// let listener = Listener::new("paid").types(["org.cyverse.events.Paid"]).transaction_id(tid).once();
/// let id = listeners::add(listener)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a listener hears nothing until it is added"]
pub struct Listener {
    handler: String,
    types: Vec<String>,
    transaction_id: Option<String>,
    once: bool,
    state: String,
    expires: Option<Duration>,
}

impl Listener {
    /// `handler` is the name of a `listener` item in `plugin!`.
    pub fn new(handler: impl Into<String>) -> Self {
        Self {
            handler: handler.into(),
            types: Vec::new(),
            transaction_id: None,
            once: false,
            state: String::new(),
            expires: None,
        }
    }

    /// Only events of these types. Without them a transaction id is needed.
    pub fn types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types.extend(types.into_iter().map(Into::into));
        self
    }

    /// Only events with this transaction id.
    pub fn transaction_id(mut self, id: impl Into<String>) -> Self {
        self.transaction_id = Some(id.into());
        self
    }

    /// Gone after its first match.
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Opaque to the host, handed back in [`Event::state`](crate::Event::state).
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = state.into();
        self
    }

    /// Gone after this time; without it, after the policy's longest.
    pub fn expires(mut self, after: Duration) -> Self {
        self.expires = Some(after);
        self
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn handler(&self) -> &str {
        &self.handler
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn kept_state(&self) -> &str {
        &self.state
    }
}

/// Adds a listener; answers the id to remove it by.
///
/// # Errors
/// Not granted, over budget (`listeners` in `[limits]`), or invalid (a handler that is not registered
/// as a `listener`, neither types nor transaction id).
pub fn add(listener: Listener) -> Result<String, SendError> {
    let Listener {
        handler,
        types,
        transaction_id,
        once,
        state,
        expires,
    } = listener;
    let expires_ms = expires.map(milliseconds);
    host::add(&host::Listener {
        handler,
        types,
        transaction_id,
        once,
        state,
        expires_ms,
    })
}

/// Removes a listener of this plugin. One that is gone already, or another plugin's, is left alone.
///
/// # Errors
/// Over budget: too many changes in one call.
pub fn remove(id: &str) -> Result<(), SendError> {
    host::remove(id)
}
