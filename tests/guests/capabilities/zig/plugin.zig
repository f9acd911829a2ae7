//! Every capability of the SDK once, as the cases in `../tests` want it.

const std = @import("std");
const conche = @import("conche");

const queries = "cyverse.capabilities.";
const events = "org.cyverse.events.capabilities.";
const timeout_ms = 200;

fn tell(data: ?conche.Payload) !void {
    _ = try conche.emit(.{ .type = events ++ "Told", .data = data });
}

// Whole messages.

fn echo(query: conche.Query) conche.Reply {
    return .{
        .type = "cyverse.capabilities.Echoed",
        .subject = query.subject,
        .datacontenttype = query.datacontenttype,
        .dataschema = query.dataschema,
        .extensions = query.extensions,
        .data = query.data,
    };
}

fn silence() ?conche.Reply {
    return null;
}

fn copy(event: conche.Event) !void {
    _ = try conche.emit(.{
        .type = events ++ "Copied",
        .subject = event.subject,
        .datacontenttype = event.datacontenttype,
        .dataschema = event.dataschema,
        .transaction_id = "tid-of-the-copy",
        .extensions = event.extensions,
        .data = event.data,
        .key = "copy",
    });
    _ = try conche.emit(.{ .type = events ++ "Bare" });
}

const Rest = struct { rest: []const u8 };

fn rest(query: conche.Query) Rest {
    return .{ .rest = query.type };
}

fn tellRest(event: conche.Event) !void {
    try tell(try .from(rest(event)));
}

// The host.

const Facts = struct {
    handler: []const u8,
    attempt: u32,
    idempotency_key: []const u8,
    hops: u32,
    in_time: bool,
};

fn facts(query: conche.Query) Facts {
    return .{
        .handler = query.handler,
        .attempt = conche.call.attempt(),
        .idempotency_key = conche.call.idempotencyKey(),
        .hops = conche.call.hops(),
        .in_time = conche.call.remainingMs() > 0,
    };
}

fn tellFacts(event: conche.Event) !void {
    try tell(try .from(facts(event)));
}

const Configuration = struct {
    keys: []const []const u8,
    colour: ?[]const u8,
    taste: ?[]const u8,
    limit: ?u32,
};

fn configuration() !Configuration {
    const is_limited = conche.config.get("limit") != null;
    return .{
        .keys = try conche.config.keys(),
        .colour = conche.config.get("colour"),
        .taste = conche.config.get("taste"),
        .limit = if (is_limited) try conche.config.parse(u32, "limit", 0) else null,
    };
}

fn lines() void {
    conche.log.trace("one", .{ .n = 1, .word = "Zoë" });
    conche.log.debug("two", .{ .n = 2 });
    conche.log.info("three", .{});
    conche.log.warn("four", .{});
    conche.log.err("five", .{});
    conche.log.critical("six", .{});
}

fn handlerAlone(query: conche.Query) struct { handler: []const u8 } {
    return .{ .handler = query.handler };
}

fn register() !void {
    if (conche.config.get("refuse")) |why| return conche.fault(400, "{s}", .{why});
    const op = conche.config.get("op") orelse return;
    conche.registration.onQuery(conche.config.get("handler") orelse "late", op);
}

// Sending.

fn askBySubject(event: conche.Event) !conche.Event {
    return conche.request(.{ .type = event.subject.?, .subject = "asked", .data = event.data }, .{ .timeout_ms = timeout_ms });
}

fn ask(query: conche.Query) !conche.Reply {
    const answer = try askBySubject(query);
    return .{
        .subject = answer.subject,
        .datacontenttype = answer.datacontenttype,
        .extensions = answer.extensions,
        .data = answer.data,
    };
}

fn tellAnswer(event: conche.Event) !void {
    const answer = try askBySubject(event);
    try tell(answer.data);
}

const Outcome = union(enum) { value: conche.Json, @"error": []const u8 };

fn askAll(arena: std.mem.Allocator) ![]const Outcome {
    const answers = try conche.requestAll(&.{
        .{ .type = "cyverse.users.Get", .data = try .from(.{ .id = 1 }) },
        .{ .type = "cyverse.users.Get", .data = try .from(.{ .id = 2 }) },
        .{ .type = "cyverse.secrets.Get" },
        .{ .type = "cyverse.users.Count" },
    }, .{ .timeout_ms = timeout_ms });
    const outcomes = try arena.alloc(Outcome, answers.len);
    for (outcomes, answers) |*outcome, answer| {
        outcome.* = if (answer.get()) |event|
            .{ .value = try event.parse(conche.Json) }
        else |err|
            .{ .@"error" = conche.errorText(err) };
    }
    return outcomes;
}

fn exchange(query: conche.Query) !struct { type: []const u8, answer: conche.Json } {
    const asked: conche.Draft = .{ .type = events ++ "Asked", .data = query.data };
    const answer = try conche.exchange(asked, &.{ events ++ "No", events ++ "Yes" }, .{ .timeout_ms = timeout_ms });
    return .{ .type = answer.type, .answer = try answer.parse(conche.Json) };
}

const Emit = struct { type: []const u8, times: u32 };

fn emit(arena: std.mem.Allocator, wanted: Emit) !struct { ids: []const []const u8 } {
    const ids = try arena.alloc([]const u8, wanted.times);
    for (ids) |*id| id.* = try conche.emit(.{ .type = wanted.type });
    return .{ .ids = ids };
}

fn emitOnEvent(arena: std.mem.Allocator, wanted: Emit) !void {
    _ = try emit(arena, wanted);
}

// Listeners.

const Listen = struct { handler: [:0]const u8, by_transaction: bool = false };

fn listen(wanted: Listen) !struct { id: []const u8 } {
    if (!wanted.by_transaction) {
        return .{ .id = try conche.listeners.add(.{ .handler = wanted.handler, .types = &.{events ++ "Yes"} }) };
    }
    const id = try conche.listeners.add(.{
        .handler = wanted.handler,
        .types = &.{ events ++ "Yes", events ++ "No" },
        .transaction_id = "tid-of-another",
        .once = true,
        .state = "where it stopped: Zoë",
        .expires_ms = 5000,
    });
    try conche.listeners.remove("listener-old");
    return .{ .id = id };
}

fn listenOnEvent(wanted: Listen) !void {
    _ = try listen(wanted);
}

fn heard(event: conche.Event, data: conche.Json) !void {
    try tell(try .from(.{
        .handler = event.handler,
        .listener = event.listener,
        .state = event.state,
        .data = data,
    }));
}

// Errors.

const How = enum { fault, reject, retry, @"retry-after" };

fn fail(wanted: struct { how: How, code: u16 }) !void {
    return switch (wanted.how) {
        .fault => conche.faultWith(wanted.code, try .from(.{.{ .field = "name" }}), "not acceptable", .{}),
        .reject => conche.reject(wanted.code, "will never work", .{}),
        .retry => conche.retry("not there yet", .{}),
        .@"retry-after" => conche.retryAfter(1500, "not there yet", .{}),
    };
}

pub const plugin: conche.Plugin = .{
    .reusable = true,
    .register = register,
    .handlers = &.{
        conche.query("echo", echo, &.{queries ++ "Echo"}),
        conche.query("silence", silence, &.{queries ++ "Silence"}),
        conche.query("facts", facts, &.{queries ++ "Facts"}),
        conche.query("configuration", configuration, &.{queries ++ "Config"}),
        conche.query("lines", lines, &.{queries ++ "Log"}),
        conche.query("ask", ask, &.{queries ++ "Ask"}),
        conche.query("ask_all", askAll, &.{queries ++ "AskAll"}),
        conche.query("exchange", exchange, &.{queries ++ "Exchange"}),
        conche.query("emit", emit, &.{queries ++ "Emit"}),
        conche.query("listen", listen, &.{queries ++ "Listen"}),
        conche.query("fail", fail, &.{queries ++ "Fail"}),
        conche.query("late", handlerAlone, &.{}),
        conche.anyQuery("rest", rest),
        conche.event("copy", copy, &.{events ++ "Copy"}),
        conche.event("tell_facts", tellFacts, &.{events ++ "Facts"}),
        conche.event("tell_answer", tellAnswer, &.{events ++ "Ask"}),
        conche.event("emit_on_event", emitOnEvent, &.{events ++ "Emit"}),
        conche.event("listen_on_event", listenOnEvent, &.{events ++ "Listen"}),
        conche.event("fail_on_event", fail, &.{events ++ "Fail"}),
        conche.anyEvent("tell_rest", tellRest),
        conche.listener("heard", heard),
    },
};
