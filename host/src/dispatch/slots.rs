//! Waiting for a slot: until a deadline, or for as long as it takes.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::admission::{Admit, Lanes, Permit};

/// How long an event waits before it asks again for a slot that too many wait for.
const SHED_WAIT: Duration = Duration::from_millis(20);

pub(super) async fn enter(lanes: &Lanes, hops: u32, deadline: Instant) -> Option<Permit> {
    match lanes.admit(hops) {
        Admit::Now(permit) => Some(permit),
        // Boxed: most calls do not wait, and each would be larger by what only waiting needs.
        Admit::Later(waiting) => Box::pin(timeout_at(deadline, waiting.permit())).await.ok(),
        Admit::Shed => None,
    }
}

/// Waits for a slot for as long as it takes.
pub(super) async fn wait_for(lanes: &Lanes, hops: u32) -> Permit {
    loop {
        match lanes.admit(hops) {
            Admit::Now(permit) => return permit,
            Admit::Later(waiting) => return waiting.permit().await,
            Admit::Shed => tokio::time::sleep(SHED_WAIT).await,
        }
    }
}
