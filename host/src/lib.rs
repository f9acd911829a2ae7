//! Conche: a host for event handlers written as WebAssembly components.
//!
//! The map of the code is ARCHITECTURE.md at the root of the repository. Two features: `client`
//! is the wire alone (envelope, subjects), without wasmtime in its tree; `host`, the default, is
//! everything.

pub mod envelope;
pub mod subject;

#[cfg(feature = "host")]
pub mod admission;
#[cfg(feature = "host")]
pub mod config;
#[cfg(feature = "host")]
pub mod dispatch;
#[cfg(feature = "host")]
pub mod doctor;
#[cfg(feature = "host")]
pub mod embedded;
#[cfg(feature = "host")]
pub mod gateway;
#[cfg(feature = "host")]
pub mod health;
#[cfg(feature = "host")]
pub mod host;
#[cfg(feature = "host")]
mod http;
#[cfg(feature = "host")]
pub mod intake;
#[cfg(feature = "host")]
pub mod metrics;
#[cfg(feature = "host")]
pub mod nats;
#[cfg(feature = "host")]
pub mod outbound;
#[cfg(feature = "host")]
pub mod plugin;
#[cfg(feature = "host")]
pub mod policy;
#[cfg(feature = "host")]
pub mod registry;
#[cfg(feature = "host")]
pub mod reload;
#[cfg(feature = "host")]
pub mod sandbox;
#[cfg(feature = "host")]
pub mod settings;
#[cfg(feature = "host")]
pub mod settle;
#[cfg(feature = "host")]
pub mod shutdown;
#[cfg(feature = "host")]
pub mod watch;
