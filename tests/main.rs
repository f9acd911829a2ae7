//! Tests of the host through real guests, on a real server and on the embedded bus.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test as its own lines do"
)]

mod astray;
mod auth;
mod bad_input;
mod behaviour;
mod client;
mod consumers;
mod directory;
mod doctor;
mod documents;
mod dynamic;
mod embedded;
mod gateway;
mod gateway_limits;
mod golden;
mod health;
mod http;
mod interop;
mod languages;
mod listeners;
mod malformed;
mod nats;
mod reload;
mod replicas;
mod sandbox;
mod service;
mod service_events;
mod size_limits;
mod streams;
mod support;
mod threads;
mod unreadable;
mod variables;
mod watch;
