//! Conche: a host for event handlers written as WebAssembly components.
//!
//! The map of the code is ARCHITECTURE.md at the root of the repository. Two features: `client` is
//! what services and tools need ([`client`]: ask, publish, listen, serve), without wasmtime in its
//! tree; `host`, the default, is everything.

#![warn(clippy::print_stdout, clippy::print_stderr)]

// What README shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

pub mod envelope;
pub mod subject;

#[cfg(feature = "host")]
pub mod admission;
#[cfg(feature = "host")]
pub mod check;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
pub mod config;
#[cfg(feature = "client")]
mod dead_letters;
#[cfg(feature = "host")]
pub mod dispatch;
#[cfg(feature = "host")]
pub mod doctor;
#[cfg(feature = "client")]
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
pub mod listeners;
#[cfg(feature = "host")]
pub mod metrics;
#[cfg(feature = "client")]
pub mod nats;
#[cfg(feature = "client")]
pub mod outbound;
#[cfg(feature = "host")]
pub mod plugin;
#[cfg(feature = "client")]
pub mod policy;
#[cfg(feature = "host")]
pub mod registry;
#[cfg(feature = "host")]
pub mod reload;
#[cfg(feature = "host")]
pub mod sandbox;
#[cfg(feature = "client")]
pub mod settings;
#[cfg(feature = "host")]
pub mod settle;
#[cfg(feature = "client")]
pub mod shutdown;
#[cfg(feature = "client")]
pub mod source;
#[cfg(feature = "client")]
mod text;
#[cfg(feature = "kit")]
pub mod trial;
#[cfg(feature = "host")]
pub mod watch;
