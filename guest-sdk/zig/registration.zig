//! Registrations that a `Plugin` cannot know: only inside its `register`. The handler must stand among
//! its handlers, if need be without ops: `conche.query("answer", answer, &.{})`.

const std = @import("std");

const c = @import("c.zig");
const memory = @import("memory.zig");

pub fn onQuery(handler: [:0]const u8, op: [:0]const u8) void {
    c.conche_on_query(handler, op);
}

pub fn onAnyQuery(handler: [:0]const u8) void {
    c.conche_on_any_query(handler);
}

pub fn onEvent(handler: [:0]const u8, types: []const [:0]const u8) std.mem.Allocator.Error!void {
    c.conche_on_event(handler, try memory.terminated(types));
}

pub fn onAnyEvent(handler: [:0]const u8) void {
    c.conche_on_any_event(handler);
}

pub fn onListener(handler: [:0]const u8) void {
    c.conche_on_listener(handler);
}

pub fn reusable() void {
    c.conche_reusable();
}
