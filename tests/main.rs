//! Tests of the host through real guests, on the embedded bus.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test as its own lines do"
)]

mod embedded;
mod support;
