//! Tests of the host through real guests, on the embedded bus.

mod embedded;
mod support;
