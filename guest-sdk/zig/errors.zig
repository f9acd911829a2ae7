//! Errors are Zig's own; what one cannot carry (a code, a message, details) is remembered beside it
//! until the call ends, and told to the host if the handler returns that error.

const std = @import("std");

const c = @import("c.zig");
const arena = @import("memory.zig").arena;
const Payload = @import("message.zig").Payload;

const Allocator = std.mem.Allocator;

/// Why a message was not sent, or a request got no answer.
pub const SendError = error{
    /// The policy does not grant it; the message is the line to add.
    Refused,
    OverBudget,
    Invalid,
    /// Nobody serves this op.
    NoResponders,
    TimedOut,
    /// Shed before it ran: safe to repeat.
    Busy,
    /// The other side answered with an error.
    Remote,
    SendFailed,
    OutOfMemory,
};

/// Data that do not fit: a fault 400 that says where.
pub const DataError = error{ Fault, OutOfMemory };

/// An error as an answer; an event is rejected for a code below 500, else it comes again. Codes as in
/// HTTP: 4xx do not repeat, 5xx may be repeated.
pub fn fault(code: u16, comptime format: []const u8, args: anytype) DataError {
    return faultWith(code, null, format, args);
}

/// A fault with details, for programs.
pub fn faultWith(code: u16, details: ?Payload, comptime format: []const u8, args: anytype) DataError {
    return say(error.Fault, .{ .code = code, .details = details }, format, args);
}

/// The event goes to the dead letters.
pub fn reject(code: u16, comptime format: []const u8, args: anytype) error{ Reject, OutOfMemory } {
    return rejectWith(code, null, format, args);
}

pub fn rejectWith(code: u16, details: ?Payload, comptime format: []const u8, args: anytype) error{ Reject, OutOfMemory } {
    return say(error.Reject, .{ .code = code, .details = details }, format, args);
}

/// The event comes again; the host's backoff decides when.
pub fn retry(comptime format: []const u8, args: anytype) error{ Retry, OutOfMemory } {
    return say(error.Retry, .{ .code = 503 }, format, args);
}

/// The event comes again, not before this many milliseconds have passed.
pub fn retryAfter(ms: u32, comptime format: []const u8, args: anytype) error{ Retry, OutOfMemory } {
    return say(error.Retry, .{ .code = 503, .after_ms = ms }, format, args);
}

/// What is known of an error beside its name.
pub const Detail = struct {
    /// Of a fault, a reject, a remote error; else 0.
    code: u16,
    message: []const u8,
    details: ?Payload,
};

/// Of the error that one of this module's functions gave last under this name in this call. None if
/// there was none.
pub fn detail(err: anyerror) ?Detail {
    const known = remembered(err) orelse return null;
    return .{
        .code = known.code,
        .message = known.message.slice(),
        .details = .fromC(known.details),
    };
}

/// What went wrong, in words: for logs.
pub fn text(err: anyerror) []const u8 {
    return if (remembered(err)) |known| c.conche_error_text(known).slice() else @errorName(err);
}

/// The errors that are remembered, and what the library calls them.
const kinds = [_]struct { anyerror, c.Error.Kind }{
    .{ error.Fault, .fault },
    .{ error.Reject, .reject },
    .{ error.Retry, .retry },
    .{ error.Refused, .refused },
    .{ error.OverBudget, .over_budget },
    .{ error.Invalid, .invalid },
    .{ error.NoResponders, .no_responders },
    .{ error.TimedOut, .timed_out },
    .{ error.Busy, .busy },
    .{ error.Remote, .remote },
    .{ error.SendFailed, .other },
    .{ error.ConfigInvalid, .other },
};

var last: [kinds.len]?*const c.Error = @splat(null);

/// Their memory is that of the call before.
pub fn forget() void {
    last = @splat(null);
}

fn remembered(err: anyerror) ?*const c.Error {
    for (kinds, last) |kind, known| {
        if (kind[0] == err) return known;
    }
    return null;
}

fn remember(err: anyerror, known: *const c.Error) void {
    for (kinds, &last) |kind, *slot| {
        if (kind[0] == err) slot.* = known;
    }
}

const Facts = struct { code: u16 = 0, details: ?Payload = null, after_ms: ?u32 = null };

/// Makes an error of this module.
pub fn say(comptime err: anytype, facts: Facts, comptime format: []const u8, args: anytype) (@TypeOf(err) || Allocator.Error) {
    const kind = comptime for (kinds) |kind| {
        if (kind[0] == err) break kind[1];
    } else unreachable;
    const new = try arena.create(c.Error);
    new.* = .{
        .kind = kind,
        .code = facts.code,
        .message = .of(try arena.printSentinel(format, args, 0)),
        .details = Payload.toC(facts.details),
        .has_after = facts.after_ms != null,
        .after_ms = facts.after_ms orelse 0,
    };
    remember(err, new);
    return err;
}

/// An error that the library gave when something was to be sent.
pub fn fromC(known: *const c.Error) SendError {
    const err = switch (known.kind) {
        .refused => error.Refused,
        .over_budget => error.OverBudget,
        .invalid => error.Invalid,
        .no_responders => error.NoResponders,
        .timed_out => error.TimedOut,
        .busy => error.Busy,
        .remote => error.Remote,
        else => error.SendFailed,
    };
    remember(err, known);
    return err;
}

/// A value that JSON cannot say, and why.
pub fn invalid(why: c.Str) error{Invalid} {
    const known = unforeseen(.invalid, error.Invalid);
    known.message = why;
    remember(error.Invalid, known);
    return error.Invalid;
}

/// A fault that the library gave, of data that are no JSON.
pub fn faultFromC(known: *const c.Error) DataError {
    remember(error.Fault, known);
    return error.Fault;
}

/// What the host is told when a handler, or the plugin's own `register`, returns this error.
pub fn toC(err: anyerror) *const c.Error {
    return remembered(err) orelse unforeseen(.failure, err);
}

fn unforeseen(kind: c.Error.Kind, err: anyerror) *c.Error {
    const new = arena.create(c.Error) catch unreachable; // the library ends the call rather
    new.* = .{ .kind = kind, .code = 500, .message = .of(@errorName(err)) };
    return new;
}
