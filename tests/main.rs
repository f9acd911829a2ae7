//! Tests of the host through real guests, on a real server and on the embedded bus.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test as its own lines do"
)]

mod behaviour;
mod embedded;
mod nats;
mod sandbox;
mod directory;
mod embedded;
mod gateway;
mod gateway_limits;
mod http;
mod malformed;
mod reload;
mod support;
