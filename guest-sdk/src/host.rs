//! The one seam between this crate and the host: on wasm the imported functions, elsewhere their
//! doubles. Must not know what either does; both have the same signatures.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::imports::conche::handler::{
    call, config, emit, exchange, listeners, log, registration, request,
};
#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::imports::{
    call, config, emit, exchange, listeners, log, registration, request,
};
