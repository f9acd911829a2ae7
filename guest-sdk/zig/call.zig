//! The call in progress.

const c = @import("c.zig");

/// 1 at the first delivery of an event, more when it comes again; always 1 for a query.
pub fn attempt() u32 {
    return c.conche_attempt();
}

/// Equal at every delivery of this event to this handler: for effects outside Conche.
pub fn idempotencyKey() []const u8 {
    return c.conche_idempotency_key().slice();
}

/// Wall-clock time left, waiting included.
pub fn remainingMs() u32 {
    return c.conche_remaining_ms();
}

/// How many requests lie between whoever began this and this call.
pub fn hops() u32 {
    return c.conche_hops();
}
