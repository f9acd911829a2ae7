//! What a plugin hears and which functions handle it: all found out while it is compiled, down to a
//! table that the C library reads.

const std = @import("std");

const c = @import("c.zig");
const errors = @import("errors.zig");
const json = @import("json.zig");
const message = @import("message.zig");
const arena = @import("memory.zig").arena;

const Event = message.Event;
const Payload = message.Payload;
const Reply = message.Reply;

/// A plugin's `pub const plugin`.
pub const Plugin = struct {
    /// One instance may serve many calls, one after the other: what a handler leaves in globals stays.
    /// Without it every call gets a fresh instance.
    reusable: bool = false,
    /// Runs when the plugin is loaded: to check the configuration, to register what depends on it. An
    /// error refuses the plugin.
    register: ?*const fn () anyerror!void = null,
    handlers: []const Handler,
};

/// A function and what it hears. It takes any of these, told apart by their types: an allocator (memory
/// of the call: nothing need be freed), the data, the message they came in (`Event`). The data are read
/// as JSON; what does not fit is a fault 400, and an event is rejected with it.
///
/// A query's handler returns what is written as JSON, or a `Payload`, a whole `Reply`, or a `?Reply`: null
/// is no answer, the asker times out. An event's handler returns nothing. Errors are described in
/// `errors.zig`; one that this module knows nothing of is a fault 500, or the event comes again: `the
/// handler failed: ` and its name.
///
/// The name of a handler stands in logs, and in the ids of what it emits: keep it when the function is
/// renamed.
pub const Handler = struct {
    name: [:0]const u8,
    hears: enum { queries, events },
    item: c.Item,
};

/// Answers these query ops.
pub fn query(comptime name: [:0]const u8, comptime function: anytype, comptime ops: []const [:0]const u8) Handler {
    return queries(.query, name, function, ops);
}

/// Answers every query of the host's namespace that nothing else takes.
pub fn anyQuery(comptime name: [:0]const u8, comptime function: anytype) Handler {
    return queries(.any_query, name, function, &.{});
}

/// Hears these event types.
pub fn event(comptime name: [:0]const u8, comptime function: anytype, comptime types: []const [:0]const u8) Handler {
    return events(.event, name, function, types);
}

/// Hears every event that no other handler of this plugin takes.
pub fn anyEvent(comptime name: [:0]const u8, comptime function: anytype) Handler {
    return events(.any_event, name, function, &.{});
}

/// May be named by `listeners.add`.
pub fn listener(comptime name: [:0]const u8, comptime function: anytype) Handler {
    return events(.listener, name, function, &.{});
}

fn queries(
    comptime hears: c.Item.Hears,
    comptime name: [:0]const u8,
    comptime function: anytype,
    comptime ops: []const [:0]const u8,
) Handler {
    return .{ .name = name, .hears = .queries, .item = .{
        .hears = hears,
        .name = name,
        .keys = keys(ops),
        .function = .{ .query = &Answers(function).handle },
    } };
}

fn events(
    comptime hears: c.Item.Hears,
    comptime name: [:0]const u8,
    comptime function: anytype,
    comptime types: []const [:0]const u8,
) Handler {
    return .{ .name = name, .hears = .events, .item = .{
        .hears = hears,
        .name = name,
        .keys = keys(types),
        .function = .{ .event = &Hears(function).handle },
    } };
}

fn keys(comptime texts: []const [:0]const u8) [*:null]const ?[*:0]const u8 {
    const list = comptime list: {
        var list: [texts.len:null]?[*:0]const u8 = undefined;
        for (&list, texts) |*to, text| to.* = text.ptr;
        break :list list;
    };
    return &list;
}

fn Answers(comptime function: anytype) type {
    return struct {
        fn handle(from: *const c.Event, reply: *c.Reply) callconv(.c) ?*const c.Error {
            errors.forget();
            reply.* = answer(from) catch |err| return errors.toC(err);
            return null;
        }

        fn answer(from: *const c.Event) !c.Reply {
            const result = try call(function, from);
            return switch (@TypeOf(result)) {
                Reply => result.toC(),
                ?Reply => if (result) |reply| reply.toC() else silence: {
                    var reply = try Reply.toC(.{});
                    reply.silence = true;
                    break :silence reply;
                },
                Payload => Reply.toC(.{ .data = result }),
                else => Reply.toC(.{ .data = try .from(result) }),
            };
        }
    };
}

fn Hears(comptime function: anytype) type {
    return struct {
        fn handle(from: *const c.Event) callconv(.c) ?*const c.Error {
            errors.forget();
            const result = call(function, from) catch |err| return errors.toC(err);
            if (@TypeOf(result) != void) @compileError("an event's handler returns nothing: nobody waits for an answer");
            return null;
        }
    };
}

/// Calls a handler with what its parameters ask for.
fn call(comptime function: anytype, from: *const c.Event) anyerror!Result(@TypeOf(function)) {
    var arguments: std.meta.ArgsTuple(@TypeOf(function)) = undefined;
    inline for (@typeInfo(@TypeOf(function)).@"fn".param_types, &arguments) |Parameter, *argument| {
        switch (Parameter.?) {
            std.mem.Allocator => argument.* = arena,
            Event => argument.* = try .fromC(from),
            else => try json.decodeData(Parameter.?, argument, from),
        }
    }
    return @call(.auto, function, arguments);
}

fn Result(comptime Function: type) type {
    const Returned = @typeInfo(Function).@"fn".return_type.?;
    return switch (@typeInfo(Returned)) {
        .error_union => |result| result.payload,
        else => Returned,
    };
}

/// The table, as the C library wants it. `kind` is what the manifest says that the plugin handles.
pub fn table(comptime plugin: Plugin, comptime kind: anytype) []const c.Item {
    comptime {
        @setEvalBranchQuota(1000 * (1 + plugin.handlers.len * plugin.handlers.len));
        var list: []const c.Item = &.{};
        if (plugin.reusable) list = list ++ .{c.Item{ .hears = .reusable }};
        for (plugin.handlers, 0..) |handler, index| {
            if (!switch (handler.hears) {
                .queries => kind.queries,
                .events => kind.events,
            }) @compileError("the plugin handles " ++ @tagName(handler.hears) ++ ", and `kind` in conche-plugin.toml does not say so");
            for (plugin.handlers[0..index]) |other| {
                if (areMistaken(handler, other)) @compileError("two handlers are named `" ++ handler.name ++ "`");
            }
            list = list ++ .{handler.item};
        }
        if (plugin.register) |register| {
            list = list ++ .{c.Item{ .hears = .register, .function = .{ .hook = &Registers(register).hook } }};
        }
        return list ++ .{c.Item{ .hears = .end }};
    }
}

/// The host calls a handler by its name: of two functions, the second would never run.
fn areMistaken(comptime one: Handler, comptime other: Handler) bool {
    if (one.hears != other.hears or !std.mem.eql(u8, one.name, other.name)) return false;
    return switch (one.hears) {
        .queries => one.item.function.query != other.item.function.query,
        .events => one.item.function.event != other.item.function.event,
    };
}

fn Registers(comptime register: *const fn () anyerror!void) type {
    return struct {
        fn hook() callconv(.c) ?*const c.Error {
            errors.forget();
            register() catch |err| return errors.toC(err);
            return null;
        }
    };
}
