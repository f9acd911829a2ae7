//! `listeners`: changes of a plugin's dynamic listeners, checked and kept back as effects. Must not
//! know which there are, or what becomes of the changes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::bindings::conche::handler::listeners::Listener;
use super::bindings::conche::handler::types::SendError;
use super::exchange::waits_for;
use super::state::State;
use crate::envelope::new_listener_id;
use crate::outbound::watch::Interest;

/// The largest state of a listener, in bytes: it lies in the host's memory until the listener is
/// gone.
const STATE_BYTES_MAX: usize = 64 << 10;

/// The longest transaction id that a listener waits for, and the longest id of a listener, in bytes.
const ID_BYTES_MAX: usize = 1024;

/// Changes of one call.
const CHANGES_MAX: usize = 256;

/// A change that is made once the handler has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerChange {
    /// From then on it hears.
    Add(NewListener),
    /// It hears no more; without effect on one that is gone.
    Remove(String),
}

/// A listener that a handler wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewListener {
    /// `listener-` and an xid.
    pub id: String,
    /// Registered with `on-listener`.
    pub handler: Arc<str>,
    /// What it waits for.
    pub interest: Interest,
    /// Gone after its first match.
    pub once: bool,
    /// Handed back with each match.
    pub state: String,
    /// Gone after this time; none: after the policy's longest.
    pub expires: Duration,
}

/// `listeners.add`
pub(super) fn add(
    state: &mut State,
    listener: Listener,
) -> wasmtime::Result<Result<String, SendError>> {
    let tenant = state.tenant.clone();
    let grants = &tenant.policy.grants;
    let limits = &tenant.policy.limits;
    let running = state.running("listeners.add")?;
    let changes = &mut running.effects.listeners;
    if let Err(refusal) = may_change(changes) {
        return Ok(Err(refusal));
    }
    let by_type = !listener.types.is_empty();
    if let Err(refusal) = of_transaction(listener.transaction_id.as_deref(), by_type) {
        return Ok(Err(refusal));
    }
    let handlers = tenant.listener_handlers.get();
    let named = handlers.and_then(|names| names.iter().find(|name| ***name == *listener.handler));
    let Some(handler) = named.cloned() else {
        return Ok(Err(SendError::Invalid(format!(
            "no handler `{}` for listeners: register it with on-listener",
            listener.handler
        ))));
    };
    let granted = if by_type {
        waits_for(&listener.types, |ty| grants.allows_listen(ty))
    } else {
        grants
            .allows_listening()
            .map_err(|refusal| SendError::Refused(refusal.to_string()))
    };
    if let Err(refusal) = granted {
        return Ok(Err(refusal));
    }
    if listener.state.len() > STATE_BYTES_MAX {
        return Ok(Err(SendError::OverBudget(format!(
            "its state has {} bytes, more than {STATE_BYTES_MAX}: keep a key, and what belongs to it elsewhere",
            listener.state.len()
        ))));
    }
    let waiting = changes
        .iter()
        .filter(|c| matches!(c, ListenerChange::Add(_)));
    if tenant.listeners.load(Ordering::Relaxed) + waiting.count() >= limits.listeners as usize {
        return Ok(Err(SendError::OverBudget(format!(
            "{} listeners wait already: raise listeners in [limits], or let them expire",
            limits.listeners
        ))));
    }
    let longest = limits.listener_age;
    let expires = listener.expires_ms.map_or(longest, |ms| {
        longest.min(Duration::from_millis(u64::from(ms)))
    });
    let id = new_listener_id();
    changes.push(ListenerChange::Add(NewListener {
        id: id.clone(),
        handler,
        interest: Interest {
            types: listener.types,
            within: grants.listen.clone(),
            transaction_id: listener.transaction_id,
        },
        once: listener.once,
        state: listener.state,
        expires,
    }));
    Ok(Ok(id))
}

/// `listeners.remove`
pub(super) fn remove(state: &mut State, id: String) -> wasmtime::Result<Result<(), SendError>> {
    let changes = &mut state.running("listeners.remove")?.effects.listeners;
    if let Err(refusal) = may_change(changes) {
        return Ok(Err(refusal));
    }
    if id.len() > ID_BYTES_MAX {
        let bytes = id.len();
        return Ok(Err(SendError::Invalid(format!(
            "an id of {bytes} bytes: no listener has one of more than {ID_BYTES_MAX}"
        ))));
    }
    // Added by this very call: nothing is left to do.
    let before = changes.len();
    changes.retain(|change| !matches!(change, ListenerChange::Add(new) if new.id == id));
    if changes.len() == before {
        changes.push(ListenerChange::Remove(id));
    }
    Ok(Ok(()))
}

/// No transaction id is any; an empty one is a mistake, and would be any, too.
fn of_transaction(id: Option<&str>, by_type: bool) -> Result<(), SendError> {
    let flaw = match id {
        None if by_type => return Ok(()),
        None => "neither types nor a transaction id: a listener needs one of them".to_owned(),
        Some("") => {
            "an empty transaction id: leave it out to hear events of any transaction".to_owned()
        }
        Some(id) if id.len() > ID_BYTES_MAX => {
            let bytes = id.len();
            format!("its transaction id has {bytes} bytes, more than {ID_BYTES_MAX}")
        }
        Some(_) => return Ok(()),
    };
    Err(SendError::Invalid(flaw))
}

fn may_change(changes: &[ListenerChange]) -> Result<(), SendError> {
    if changes.len() < CHANGES_MAX {
        return Ok(());
    }
    Err(SendError::OverBudget(format!(
        "changed {CHANGES_MAX} listeners in this call, the most there may be"
    )))
}
