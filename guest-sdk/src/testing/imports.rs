//! The doubles of the imported functions, with the signatures that wit-bindgen gives them. They
//! follow the host, save that everything is granted and no budget ends.

use super::outcome::{AddedListener, ListenerChange, LogLine};
use super::{ids, running};

pub(crate) mod call {
    use super::{ids, running};

    pub(crate) fn attempt() -> u32 {
        running::calling("call::attempt", |_, call| call.attempt)
    }

    pub(crate) fn idempotency_key() -> String {
        running::calling("call::idempotency_key", |_, call| {
            ids::idempotency_key(call)
        })
    }

    pub(crate) fn remaining_ms() -> u32 {
        running::calling("call::remaining", |host, _| {
            crate::errors::milliseconds(host.remaining)
        })
    }

    pub(crate) fn hops() -> u32 {
        running::calling("call::hops", |host, _| host.hops)
    }
}

pub(crate) mod config {
    use super::running;

    pub(crate) fn get(key: &str) -> Option<String> {
        running::host("config::get", |host| host.config.get(key).cloned())
    }

    pub(crate) fn keys() -> Vec<String> {
        running::host("config::keys", |host| host.config.keys().cloned().collect())
    }
}

pub(crate) mod log {
    use super::{LogLine, running};
    pub(crate) use crate::bindings::imports::conche::handler::log::{Field, Level};

    /// Also to stderr, where a test that fails shows it.
    pub(crate) fn log(level: Level, message: &str, fields: &[Field]) {
        let level = match level {
            Level::Trace => crate::log::Level::Trace,
            Level::Debug => crate::log::Level::Debug,
            Level::Info => crate::log::Level::Info,
            Level::Warn => crate::log::Level::Warn,
            Level::Error => crate::log::Level::Error,
            Level::Critical => crate::log::Level::Critical,
        };
        let fields: Vec<(String, String)> = fields
            .iter()
            .map(|field| (field.key.clone(), field.value.clone()))
            .collect();
        let shown: String = fields.iter().map(|(k, v)| format!(" {k}={v:?}")).collect();
        eprintln!("{level:?}: {message}{shown}");
        let message = message.to_owned();
        running::log(LogLine {
            level,
            message,
            fields,
        });
    }
}

pub(crate) mod registration {
    use super::running;

    pub(crate) fn on_query(handler: &str, op: &str) {
        running::registering("Registration::query", |all| all.on_query(handler, op));
    }

    pub(crate) fn on_any_query(handler: &str) {
        running::registering("Registration::any_query", |all| all.on_any_query(handler));
    }

    pub(crate) fn on_event(handler: &str, types: &[String]) {
        running::registering("Registration::event", |all| all.on_event(handler, types));
    }

    pub(crate) fn on_any_event(handler: &str) {
        running::registering("Registration::any_event", |all| all.on_any_event(handler));
    }

    pub(crate) fn on_listener(handler: &str) {
        running::registering("Registration::listener", |all| all.on_listener(handler));
    }

    pub(crate) fn reusable() {
        running::registering("Registration::reusable", |all| all.reusable = true);
    }
}

pub(crate) use super::sending::{emit, exchange, request};

pub(crate) mod listeners {
    use std::time::Duration;

    use super::{AddedListener, ListenerChange, running};
    pub(crate) use crate::bindings::imports::conche::handler::listeners::Listener;
    use crate::errors::SendError;
    use crate::listeners::Listener as Wanted;

    pub(crate) fn add(listener: &Listener) -> Result<String, SendError> {
        running::calling("listeners::add", |host, call| {
            let flaw = match listener.transaction_id.as_deref() {
                None if listener.types.is_empty() => {
                    "neither types nor a transaction id: a listener needs one of them"
                }
                Some("") => {
                    "an empty transaction id: leave it out to hear events of any transaction"
                }
                _ => "",
            };
            if !flaw.is_empty() {
                return Err(SendError::Invalid(flaw.to_owned()));
            }
            let known = call.listener_handlers.as_ref();
            if known.is_some_and(|known| !known.contains(&listener.handler)) {
                return Err(SendError::Invalid(format!(
                    "no handler `{}` for listeners: register it with on-listener",
                    listener.handler
                )));
            }
            listener
                .types
                .iter()
                .try_for_each(|type_| host.fails(type_))?;
            host.listeners += 1;
            let id = format!("listener-{}", host.listeners);
            let added = AddedListener {
                id: id.clone(),
                listener: wanted(listener),
            };
            call.effects.listeners.push(ListenerChange::Add(added));
            Ok(id)
        })
    }

    pub(crate) fn remove(id: &str) -> Result<(), SendError> {
        running::calling("listeners::remove", |_, call| {
            let changes = &mut call.effects.listeners;
            let before = changes.len();
            // Added by this very call: nothing is left to do.
            changes.retain(|change| !matches!(change, ListenerChange::Add(new) if new.id == id));
            if changes.len() == before {
                changes.push(ListenerChange::Remove(id.to_owned()));
            }
            Ok(())
        })
    }

    /// As the handler built it.
    fn wanted(listener: &Listener) -> Wanted {
        let mut wanted = Wanted::new(&listener.handler)
            .types(listener.types.clone())
            .state(&listener.state);
        if let Some(id) = &listener.transaction_id {
            wanted = wanted.transaction_id(id);
        }
        if let Some(ms) = listener.expires_ms {
            wanted = wanted.expires(Duration::from_millis(u64::from(ms)));
        }
        if listener.once { wanted.once() } else { wanted }
    }
}
