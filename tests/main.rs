//! Tests of the host through real guests, on a real server and on the embedded bus.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test as its own lines do"
)]

mod auth;
mod bad_input;
mod behaviour;
mod consumers;
mod directory;
mod doctor;
mod embedded;
mod gateway;
mod gateway_limits;
mod health;
mod http;
mod malformed;
mod nats;
mod reload;
mod sandbox;
mod support;
mod variables;
