//! Answers the query `cyverse.{{name}}.Greet`: `{"name": …}` in, `{"greeting": …}` out. Hears
//! `org.cyverse.events.GreetingRequested`, says `org.cyverse.events.Greeted`.

const std = @import("std");
const conche = @import("conche");

const Ask = struct { name: []const u8 };
const Greeting = struct { greeting: []const u8 };

fn greet(arena: std.mem.Allocator, ask: Ask) !Greeting {
    return .{ .greeting = try arena.print("Hello, {s}!", .{ask.name}) };
}

fn say(arena: std.mem.Allocator, ask: Ask) !void {
    const greeting = try greet(arena, ask);
    _ = try conche.emit(.{ .type = "org.cyverse.events.Greeted", .data = try .from(greeting) });
}

pub const plugin: conche.Plugin = .{
    .reusable = true,
    .handlers = &.{
        conche.query("greet", greet, &.{"cyverse.{{name}}.Greet"}),
        conche.event("say", say, &.{"org.cyverse.events.GreetingRequested"}),
    },
};
