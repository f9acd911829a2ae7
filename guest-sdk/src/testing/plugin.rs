//! A whole plugin, as its table says: which handler takes what. Must not know the macro.

use super::incoming::Incoming;
use super::outcome::{EventOutcome, QueryOutcome};
use super::registrations::Registrations;
use super::running::{self, Call};
use super::{Host, answer};
use crate::bindings::wire::Matched;
use crate::errors::{EventError, Fault};
use crate::message::{CloudEvent, Reply};

/// The plugin that [`plugin!`](crate::plugin) describes. In the plugin's own unit tests the macro
/// defines it as `PLUGIN`, beside the table:
///
/// ```text
/// let order = Incoming::new("cyverse.orders.Create").json(&json!({ "customer": "ada" }));
/// let outcome = PLUGIN.query(&mut Host::new(), order);
/// assert_eq!(outcome.fault().code, 400);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    register: fn() -> Result<(), String>,
    query: Option<HandleQuery>,
    event: Option<HandleEvent>,
}

type HandleQuery = fn(Matched, CloudEvent) -> Result<Option<Reply>, Fault>;
type HandleEvent = fn(Matched, CloudEvent) -> Result<(), EventError>;

impl Plugin {
    #[doc(hidden)]
    pub const fn new(
        register: fn() -> Result<(), String>,
        query: Option<HandleQuery>,
        event: Option<HandleEvent>,
    ) -> Self {
        Self {
            register,
            query,
            event,
        }
    }

    /// Registers the plugin: under this host's configuration, as each new version is.
    ///
    /// # Errors
    /// What a host refuses the plugin for: an error of its `register` function, or something
    /// registered twice.
    pub fn register(&self, host: &mut Host) -> Result<Registrations, String> {
        host.registered(self.register)
    }

    /// Registers the plugin, and runs the handler that takes the query.
    ///
    /// # Panics
    /// When the plugin is refused or no handler takes the query; with a handler's panic.
    #[track_caller]
    pub fn query(&self, host: &mut Host, query: impl Into<Incoming>) -> QueryOutcome {
        let query = query.into();
        let registrations = self.must_register(host);
        let found = registrations.query(&query.envelope.type_);
        let (Some(handler), Some(handle)) = (name(&query, found), self.query) else {
            panic!(
                "no handler takes the query `{}`; registered is {registrations:?}",
                query.envelope.type_
            );
        };
        let (mut call, matched) = call(host, query, &handler, registrations);
        // Queries are not delivered again.
        call.attempt = 1;
        let envelope = call.cause.clone();
        answer(running::call(host, call, || handle(matched, envelope)))
    }

    /// Registers the plugin, and runs the handler that takes the event, or the listener's that
    /// [`heard it`](Incoming::heard_by).
    ///
    /// # Panics
    /// When the plugin is refused or no handler takes the event; with a handler's panic.
    #[track_caller]
    pub fn event(&self, host: &mut Host, event: impl Into<Incoming>) -> EventOutcome {
        let event = event.into();
        let registrations = self.must_register(host);
        let found = registrations.event(&event.envelope.type_);
        let (Some(handler), Some(handle)) = (name(&event, found), self.event) else {
            panic!(
                "no handler takes the event `{}`; registered is {registrations:?}",
                event.envelope.type_
            );
        };
        let (call, matched) = call(host, event, &handler, registrations);
        let envelope = call.cause.clone();
        running::call(host, call, || handle(matched, envelope))
    }

    #[track_caller]
    fn must_register(&self, host: &mut Host) -> Registrations {
        match self.register(host) {
            Ok(registrations) => registrations,
            Err(reason) => panic!("a host would refuse the plugin: {reason}"),
        }
    }
}

/// The handler that the test names, or the one that is registered.
fn name(incoming: &Incoming, registered: Option<&str>) -> Option<String> {
    incoming.handler.clone().or(registered.map(str::to_owned))
}

fn call(
    host: &Host,
    incoming: Incoming,
    handler: &str,
    registrations: Registrations,
) -> (Call, Matched) {
    let mut call = host.call(incoming, handler);
    call.listener_handlers = Some(registrations.listeners);
    let matched = call.matched.clone();
    (call, matched)
}
