//! Calls all that the SDK for Zig has, for the cases in `tests` to say what must come of it.

const std = @import("std");
const conche = @import("conche");

const Allocator = std.mem.Allocator;

/// A field of each kind that is read from JSON and written as JSON.
const Shapes = struct {
    text: []const u8,
    terminated: [:0]const u8 = "z",
    mutable: ?[]u8 = null,
    flag: bool = true,
    wide: i128 = -5,
    float: f64 = 1.5,
    narrow: f32 = 0.1,
    colour: enum { red, green } = .green,
    figure: union(enum) { circle: struct { radius: f64 }, square: u8, none } = .none,
    items: []const Item = &.{},
    pair: [2]i8 = .{ 1, 2 },
    code: [3]u8 = "abc".*,
    bits: packed struct(u8) { low: u3 = 1, high: i5 = -1 } = .{},
    empty: [0]Item = .{},
    tuple: struct { u8, []const u8 } = .{ 1, "x" },
    item: ?*const Item = null,
    raw: ?conche.Json = null,
    any: ?std.json.Value = null,
    map: ?std.json.ArrayHashMap(u32) = null,
};

const Item = struct { count: u8, note: ?[]const u8 };

fn shapes(given: Shapes) Shapes {
    return given;
}

fn raw(given: conche.Json) conche.Json {
    return given;
}

fn length(given: conche.Json) usize {
    return given.text.len;
}

/// A hundred of these are more than the stack.
const Wide = struct { pad: [700]u8 = @splat('-'), one: ?*const Wide = null, more: ?More = null };
const More = union(enum) { pair: struct { u8, []const Wide } };

/// How deep what was read is; as deep as that it is written.
fn depth(arena: Allocator, given: struct { open: []const u8, times: usize, shut: []const u8 }) !usize {
    var text: std.ArrayList(u8) = .empty;
    for (0..given.times) |_| try text.appendSlice(arena, given.open);
    try text.appendSlice(arena, "{}");
    for (0..given.times) |_| try text.appendSlice(arena, given.shut);
    const json: conche.Json = .{ .text = text.items };
    const read = try json.parse(*const Wide);
    _ = try conche.Payload.from(read);
    var levels: usize = 1;
    var at = read;
    while (at.one orelse if (at.more) |*more| &more.pair[1][0] else null) |within| : (at = within) levels += 1;
    return levels;
}

fn aligned(arena: Allocator) !usize {
    _ = try arena.create(u8);
    const room = try arena.alignedAlloc(u8, .@"64", 100);
    return @intFromPtr(room.ptr) % 64;
}

fn nothing() void {}

fn infinite() f64 {
    return std.math.inf(f64);
}

fn whole(arena: Allocator, query: conche.Query) !?conche.Reply {
    if (query.extension("quiet") != null) return null;
    const kind: []const u8 = if (query.data) |data| @tagName(data) else "no data";
    return .{
        .type = "cyverse.zig.Seen",
        .subject = try arena.print("{s} for {s}", .{ kind, query.handler }),
        .datacontenttype = "text/plain",
        .dataschema = "https://example.com/schema",
        .extensions = query.extensions,
        .data = .{ .text = query.source },
    };
}

fn both(item: Item, query: conche.Query) conche.Payload {
    return .{ .binary = query.type[0..item.count] };
}

const Way = enum {
    fault,
    details,
    reject,
    retry,
    retry_after,
    unknown,
    not_ours,
    overflow,
    out_of_bounds,
    panic,
    refused,
    nobody,
    remote,
    another_between,
    config,
};

fn fail(arena: Allocator, given: struct { way: Way }) !void {
    switch (given.way) {
        .fault => return conche.fault(409, "number {d}", .{7}),
        .details => return conche.faultWith(422, try .from(.{ 1, "a", null }), "see there", .{}),
        .reject => return conche.reject(400, "never", .{}),
        .retry => return conche.retry("later", .{}),
        .retry_after => return conche.retryAfter(1500, "later", .{}),
        .unknown => return error.Unforeseen,
        .not_ours => return error.Busy,
        .overflow => for (try arena.alloc(u8, 300), 0..) |*byte, index| {
            byte.* = @intCast(index);
        },
        .out_of_bounds => std.log.info("{d}", .{@tagName(given.way)[300]}),
        .panic => @panic("on purpose"),
        .refused => _ = try conche.emit(.{ .type = "org.cyverse.events.other" }),
        .nobody => _ = try conche.request(.{ .type = "cyverse.zig.Nobody" }, .{}),
        .remote => _ = try conche.request(.{ .type = "cyverse.zig.Other" }, .{ .timeout_ms = 500 }),
        .another_between => {
            const answer = conche.request(.{ .type = "cyverse.zig.Nobody" }, .{});
            _ = conche.emit(.{ .type = "org.cyverse.events.other" }) catch {};
            _ = try answer;
        },
        .config => _ = try conche.config.parse(u8, "colour", 1),
    }
}

fn ask(arena: Allocator) ![]const []const u8 {
    var said: std.ArrayList([]const u8) = .empty;
    const answers = try conche.requestAll(&.{
        .{ .type = "cyverse.zig.Count", .data = try .from(.{ .of = "a" }) },
        .{ .type = "cyverse.zig.Other" },
        .{ .type = "cyverse.zig.Nobody" },
    }, .{ .timeout_ms = 1000 });
    for (answers) |answer| {
        if (answer.get()) |event| {
            const data = try event.parse(struct { count: u64 });
            try said.append(arena, try arena.print("{s}: {d}", .{ event.type, data.count }));
        } else |err| {
            const code = conche.detail(err).?.code;
            try said.append(arena, try arena.print("{t} {d}: {s}", .{ err, code, conche.errorText(err) }));
        }
    }
    return said.items;
}

fn exchange() !conche.Payload {
    const draft: conche.Draft = .{ .type = "org.cyverse.events.zig.Asked", .data = try .from(std.math.maxInt(u64)) };
    const answer = try conche.exchange(draft, &.{"org.cyverse.events.zig.Answered"}, .{ .timeout_ms = 500 });
    return answer.data.?;
}

fn listen() !void {
    const id = try conche.listeners.add(.{
        .handler = "heard",
        .types = &.{"org.cyverse.events.zig.Answered"},
        .once = true,
        .state = "where it stopped",
        .expires_ms = 5000,
    });
    try conche.listeners.remove("listener-old");
    conche.log.info("listens", .{ .id = id });
}

fn heard(event: conche.Event) !void {
    _ = try conche.emit(.{
        .type = "org.cyverse.events.zig.Heard",
        .subject = event.subject,
        .transaction_id = "tid-other",
        .extensions = &.{.{ .name = "flag", .value = .{ .boolean = true } }},
        .data = try .from(.{ .listener = event.listener, .state = event.state }),
        .key = "heard",
    });
}

fn facts() !struct { attempt: u32, key: []const u8, has_time: bool, hops: u32, keys: []const []const u8 } {
    return .{
        .attempt = conche.call.attempt(),
        .key = conche.call.idempotencyKey(),
        .has_time = conche.call.remainingMs() > 0,
        .hops = conche.call.hops(),
        .keys = try conche.config.keys(),
    };
}

fn log() void {
    const numbers: []const u32 = &.{ 700, 800 };
    conche.log.trace("one", .{ .text = "a", .number = 1, .float = 1.5, .flag = true });
    conche.log.debug("two", .{ .none = @as(?u8, null), .tag = .lit, .failed = error.Unforeseen });
    conche.log.err("three", .{ .list = [_]u8{ 1, 2 }, .numbers = numbers, .pointer = &numbers[1] });
    conche.log.critical("four", .{});
    std.log.warn("five and {d}", .{6});
    std.log.scoped(.mine).debug("seven", .{});
}

fn register() !void {
    if (conche.config.get("refuse")) |why| return conche.fault(400, "{s}", .{why});
    if (try conche.config.parse(bool, "later", false)) {
        conche.registration.onQuery("nothing", "cyverse.zig.Later");
        try conche.registration.onEvent("later", &.{ "org.cyverse.events.zig.A", "org.cyverse.events.zig.B" });
    }
}

pub const plugin: conche.Plugin = .{
    .register = register,
    .handlers = &.{
        conche.query("shapes", shapes, &.{"cyverse.zig.Shapes"}),
        conche.query("raw", raw, &.{"cyverse.zig.Raw"}),
        conche.query("length", length, &.{"cyverse.zig.Length"}),
        conche.query("depth", depth, &.{"cyverse.zig.Depth"}),
        conche.query("aligned", aligned, &.{"cyverse.zig.Aligned"}),
        conche.query("nothing", nothing, &.{"cyverse.zig.Nothing"}),
        conche.query("infinite", infinite, &.{"cyverse.zig.Infinite"}),
        conche.query("whole", whole, &.{"cyverse.zig.Whole"}),
        conche.query("both", both, &.{"cyverse.zig.Both"}),
        conche.query("fail", fail, &.{"cyverse.zig.Fail"}),
        conche.query("ask", ask, &.{"cyverse.zig.Ask"}),
        conche.query("exchange", exchange, &.{"cyverse.zig.Exchange"}),
        conche.query("listen", listen, &.{"cyverse.zig.Listen"}),
        conche.query("facts", facts, &.{"cyverse.zig.Facts"}),
        conche.query("log", log, &.{ "cyverse.zig.Log", "cyverse.zig.LogToo" }),
        conche.anyQuery("any_query", whole),
        conche.event("fail_event", fail, &.{"org.cyverse.events.zig.Fail"}),
        conche.event("later", nothing, &.{}),
        conche.anyEvent("any_event", heard),
        conche.listener("heard", heard),
    },
};
