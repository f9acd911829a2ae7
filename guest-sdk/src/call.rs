//! Facts about the call in progress. Always granted.

use std::time::Duration;

use crate::host::call as host;

/// 1 at the first delivery of an event, more when it comes again; always 1 for a query.
pub fn attempt() -> u32 {
    host::attempt()
}

/// Equal at every delivery of this event to this handler: for effects outside Conche.
pub fn idempotency_key() -> String {
    host::idempotency_key()
}

/// Wall-clock time left for this call, waiting included.
pub fn remaining() -> Duration {
    Duration::from_millis(u64::from(host::remaining_ms()))
}

/// How many requests lie between whoever began this and this call.
pub fn hops() -> u32 {
    host::hops()
}
