//! Write plugins for the Conche host: functions with typed JSON in and out, and one [`plugin!`]
//! that says what they hear.
//!
//! ```
//! use conche_guest::Fault;
//! #[derive(serde::Deserialize)]
//! struct Name { name: String }
//! #[derive(serde::Serialize)]
//! struct Greeting { greeting: String }
//!
//! fn greet(Name { name }: Name) -> Result<Greeting, Fault> {
//!     Ok(Greeting { greeting: format!("Hello, {name}!") })
//! }
//! conche_guest::plugin! { reusable, query "cyverse.greeter.Greet" => greet }
//! # fn main() {}
//! ```
//!
//! `Cargo.toml` needs `crate-type = ["cdylib"]` under `[lib]` and the dependencies `conche-guest`
//! and `serde` (with `derive`). Build it with `cargo build --release --target wasm32-wasip2`; put
//! the `.wasm` into the host's plugin directory. A file with the same stem, `greeter.toml`, is its
//! policy: what it may send, its limits, its `[config]`.
//!
//! # Handlers
//!
//! A **query handler** is `fn(T) -> Result<R, E>`. `T` is any type that serde reads from the query's
//! JSON data, [`With<T>`](With) for that and the op, source and transaction id, or [`Query`] for the
//! whole query; `R` is any type that serde writes as JSON, a
//! [`Reply`] to set more than data, or an [`Answer`] to perhaps stay silent; `E` is [`Fault`] or
//! turns into one. Data that does not fit `T` is answered with a fault 400 that carries serde's
//! message; the handler is not called.
//!
//! An **event handler** is `fn(T) -> Result<(), E>`, with [`Event`] for the whole event and
//! [`EventError`], which says whether the event shall come again; a [`Fault`] does too, by its code.
//! Data that does not fit `T` is rejected: it goes to the dead letters.
//!
//! A panic traps; its text reaches the host's log, never the asker.
//!
//! # What a handler can do
//!
//! [`emit`] an event if it succeeds, [`request`] an answer from another plugin or service,
//! [`exchange`] an event for the event that answers it, add [`listeners`], read its [`config`], ask
//! about the [`call`] in progress, [`log`] with [`info!`] and its like. `?` passes a [`SendError`]
//! on, as a fault or as a retry. What the policy does not grant answers [`SendError::Refused`] with
//! the line to add.
//!
//! # Tests
//!
//! Handlers are plain functions, and `cargo test` runs them natively: the module `testing` has a double
//! of the host that calls a handler with a query or an event, answers what it asks, and shows what
//! it answered, emitted and logged. It is no part of a wasm build.
//!
//! ```
//! use conche_guest::testing::{Host, Incoming, json};
//! # use conche_guest::{Draft, SendError, emit};
//!
//! fn paid(order: String) -> Result<(), SendError> {
//!     emit(Draft::new("org.cyverse.events.Shipped").json(&order)?)?;
//!     Ok(())
//! }
//!
//! let paid_event = Incoming::new("org.cyverse.events.Paid").json("o-17");
//! let outcome = Host::new().event(paid, paid_event);
//! assert_eq!(outcome.result, Ok(()));
//! assert_eq!(outcome.effects.emitted[0].parse(), Ok(json!("o-17")));
//! ```

// What `plugin!` expands to names this crate: here too, in its tests.
#[cfg(test)]
extern crate self as conche_guest;

mod bindings;
pub mod call;
pub mod config;
mod errors;
mod handler;
mod host;
pub mod listeners;
pub mod log;
mod message;
mod registration;
mod send;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

/// Says what the plugin hears and which functions handle it. Once in a crate.
///
/// ```
/// # use conche_guest::{Event, EventError, Fault, Query, Registration, Reply};
/// # fn create(_: u32) -> Result<u32, Fault> { Ok(1) }
/// # fn look_up(_: Query) -> Result<Reply, Fault> { Ok(Reply::empty()) }
/// # fn log_it(_: Event) -> Result<(), EventError> { Ok(()) }
/// # fn settle(_: u32) -> Result<(), EventError> { Ok(()) }
/// # fn check_config(_: &mut Registration) -> Result<(), String> { Ok(()) }
/// conche_guest::plugin! {
///     reusable,
///     query "cyverse.orders.Create" => create,
///     query ["cyverse.orders.Get", "cyverse.orders.List"] => look_up,
///     event ["org.cyverse.events.Paid", "org.cyverse.events.Refunded"] => settle as "payments",
///     any_event => log_it,
///     register => check_config,
/// }
/// # fn main() {}
/// ```
///
/// | item | means |
/// |---|---|
/// | `reusable` | one instance may serve many calls, one after the other: what a handler leaves in statics stays. Without it every call gets a fresh instance. |
/// | `query OPS => FUNCTION` | answers these query ops: one string, or several in brackets |
/// | `any_query => FUNCTION` | the default: every query of the host's namespace that nothing else takes |
/// | `event TYPES => FUNCTION` | hears these event types |
/// | `any_event => FUNCTION` | the default: every event that no other item of this plugin takes |
/// | `listener => FUNCTION` | may be named by `listeners::add` |
/// | `register => FUNCTION` | a `fn(&mut Registration) -> Result<(), E>` that runs when the plugin is loaded, after the items above: to check the configuration, to register what depends on it. An error refuses the plugin. |
///
/// A handler's name is that of its function, or the one after `as`. It stands in logs, and in the
/// ids of what the handler emits: keep it when the function is renamed.
///
/// In the plugin's own unit tests it also defines `PLUGIN`, the table as a `testing::Plugin`: a test
/// hands it a query or an event, and it finds the handler.
pub use conche_guest_macros::plugin;
pub use errors::{EventError, Fault, Retry, SendError};
pub use handler::{Answer, Event, FromEvent, FromQuery, IntoAnswer, Query, With};
pub use message::{Attribute, CloudEvent, Draft, Extension, Payload, Reply};
pub use registration::Registration;
pub use send::{emit, exchange, request, request_all};

/// What `plugin!` expands to. No part of the API: it changes with the macro, in the same release.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::event::exports::conche::handler::event_handler::Guest as EventHandler;
    pub use crate::bindings::lifecycle::exports::conche::handler::lifecycle::Guest as Lifecycle;
    pub use crate::bindings::query::exports::conche::handler::query_handler::Guest as QueryHandler;
    pub use crate::bindings::wire::Matched;
    pub use crate::bindings::{event, lifecycle, query};
    pub use crate::handler::{event as call_event, query as call_query};
}
