//! Answers the query `cyverse.{{name}}.Greet`: `{"name": …}` in, `{"greeting": …}` out.

const std = @import("std");
const conche = @import("conche");

const Ask = struct { name: []const u8 };
const Greeting = struct { greeting: []const u8 };

fn greet(arena: std.mem.Allocator, ask: Ask) !Greeting {
    return .{ .greeting = try arena.print("Hello, {s}!", .{ask.name}) };
}

pub const plugin: conche.Plugin = .{
    .reusable = true,
    .handlers = &.{conche.query("greet", greet, &.{"cyverse.{{name}}.Greet"})},
};
