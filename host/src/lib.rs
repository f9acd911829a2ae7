//! Conche: a host for event handlers written as WebAssembly components.

pub mod envelope;
pub mod nats;
pub mod subject;

#[cfg(feature = "host")]
pub mod config;
#[cfg(feature = "host")]
pub mod embedded;
#[cfg(feature = "host")]
pub mod policy;
#[cfg(feature = "host")]
pub mod settings;
