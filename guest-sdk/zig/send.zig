//! Sending; each needs a grant in the policy.

const std = @import("std");

const c = @import("c.zig");
const errors = @import("errors.zig");
const memory = @import("memory.zig");
const message = @import("message.zig");

const Draft = message.Draft;
const Event = message.Event;
const SendError = errors.SendError;

/// Kept back and released only if the handler succeeds. Answers the id that it will carry.
pub fn emit(event: Draft) SendError![]const u8 {
    const draft = try event.toC();
    var id: c.Str = .{};
    if (c.conche_emit(&draft, &id)) |err| return errors.fromC(err);
    return id.slice();
}

pub const Options = struct {
    /// Capped below what the call has left. None: the host's own.
    timeout_ms: ?u32 = null,

    fn timeout(options: Options) u32 {
        // The library's 0 is "none"; the host refuses what is too short.
        return if (options.timeout_ms) |ms| @max(ms, 1) else 0;
    }
};

/// Asks now and waits for the answer.
pub fn request(query: Draft, options: Options) SendError!Event {
    const draft = try query.toC();
    var answer: c.Event = undefined;
    if (c.conche_request(&draft, options.timeout(), &answer)) |err| return errors.fromC(err);
    return .fromC(&answer);
}

/// What came of one query of several.
pub const Answer = extern struct {
    from: c.Answer,

    /// The answer, or why there is none, as `request` has it.
    pub fn get(answer: *const Answer) SendError!Event {
        if (answer.from.@"error") |err| return errors.fromC(err);
        return .fromC(&answer.from.event);
    }
};

/// Asks several at once: the answers stand in the order of the queries. The time-out is that of the
/// whole.
pub fn requestAll(queries: []const Draft, options: Options) std.mem.Allocator.Error![]const Answer {
    const drafts = try memory.arena.alloc(c.Draft, queries.len);
    for (drafts, queries) |*draft, query| draft.* = try query.toC();
    const answers = try memory.arena.alloc(Answer, queries.len);
    c.conche_request_all(drafts.ptr, drafts.len, options.timeout(), @ptrCast(answers.ptr));
    return answers;
}

/// Publishes an event NOW (no later failure undoes it, a retry repeats its id), then waits for the
/// first event of one of these types with the same transaction id.
pub fn exchange(event: Draft, answer_types: []const [:0]const u8, options: Options) SendError!Event {
    const draft = try event.toC();
    const types = try memory.terminated(answer_types);
    var answer: c.Event = undefined;
    if (c.conche_exchange(&draft, types.ptr, options.timeout(), &answer)) |err| return errors.fromC(err);
    return .fromC(&answer);
}
