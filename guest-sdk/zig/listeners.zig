//! Listeners that come and go while the plugin runs. Changes are done if the handler succeeds, before
//! its emits are released.

const c = @import("c.zig");
const errors = @import("errors.zig");
const memory = @import("memory.zig");

const SendError = errors.SendError;

pub const Listener = struct {
    /// The name of a `conche.listener`.
    handler: [:0]const u8,
    /// None: any type, by transaction id.
    types: []const [:0]const u8 = &.{},
    /// Only events with this one.
    transaction_id: ?[]const u8 = null,
    /// Gone after its first match.
    once: bool = false,
    /// Handed back in the event's `state`.
    state: []const u8 = "",
    /// None: the policy's longest.
    expires_ms: ?u32 = null,
};

/// Answers the id to remove it by.
pub fn add(listener: Listener) SendError![]const u8 {
    const types = try memory.terminated(listener.types);
    const to: c.Listener = .{
        .handler = listener.handler,
        .types = types.ptr,
        .transaction_id = .ofOptional(listener.transaction_id),
        .once = listener.once,
        .state = .of(listener.state),
        .expires_ms = if (listener.expires_ms) |ms| @max(ms, 1) else 0,
    };
    var id: c.Str = .{};
    if (c.conche_add_listener(&to, &id)) |err| return errors.fromC(err);
    return id.slice();
}

pub fn remove(id: []const u8) SendError!void {
    if (c.conche_remove_listener(.of(id))) |err| return errors.fromC(err);
}
