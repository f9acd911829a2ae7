//! What a plugin should not do, one handler each; and one that behaves, to see that it still can.

const std = @import("std");
const conche = @import("conche");

fn throw() !void {
    return error.@"thrown on purpose";
}

fn loop() void {
    while (true) std.mem.doNotOptimizeAway({});
}

fn allocate() !void {
    while (true) @memset(try std.heap.c_allocator.alloc(u8, 1 << 20), 1);
}

fn fine() struct { ok: bool } {
    return .{ .ok = true };
}

pub const plugin: conche.Plugin = .{
    .handlers = &.{
        conche.query("throw", throw, &.{"cyverse.hostile.Throw"}),
        conche.query("loop", loop, &.{"cyverse.hostile.Loop"}),
        conche.query("allocate", allocate, &.{"cyverse.hostile.Allocate"}),
        conche.query("fine", fine, &.{"cyverse.hostile.Fine"}),
        conche.event("throw_event", throw, &.{"org.cyverse.events.hostile.Throw"}),
    },
};
