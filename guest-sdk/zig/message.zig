//! Messages: what comes in, what is sent, what is answered.

const std = @import("std");

const c = @import("c.zig");
const errors = @import("errors.zig");
const json = @import("json.zig");
const arena = @import("memory.zig").arena;

pub const Payload = union(enum) {
    /// The exact text of one JSON value: digits and key order untouched.
    json: []const u8,
    /// Characters of any other media type.
    text: []const u8,
    binary: []const u8,

    /// Any value as JSON, by the rules of `std.json.Stringify`; a `conche.Json` leaves as it is.
    /// `error.Invalid` for what JSON cannot say, such as a number that is not finite.
    pub fn from(value: anytype) error{Invalid}!Payload {
        return .{ .json = try json.encode(value) };
    }

    pub fn fromC(payload: c.Payload) ?Payload {
        return switch (payload.kind) {
            .none, .no_json => null,
            .json => .{ .json = payload.bytes.slice() },
            .text => .{ .text = payload.bytes.slice() },
            .binary => .{ .binary = payload.bytes.slice() },
        };
    }

    pub fn toC(payload: ?Payload) c.Payload {
        return switch (payload orelse return .{}) {
            .json => |text| .{ .kind = .json, .bytes = .of(text) },
            .text => |text| .{ .kind = .text, .bytes = .of(text) },
            .binary => |bytes| .{ .kind = .binary, .bytes = .of(bytes) },
        };
    }
};

/// An extension attribute; a round trip changes neither value nor kind.
pub const Extension = struct {
    name: []const u8,
    value: Value,

    pub const Value = union(enum) { boolean: bool, integer: i32, string: []const u8 };

    fn fromC(extension: c.Extension) Extension {
        return .{
            .name = extension.name.slice(),
            .value = switch (extension.kind) {
                .boolean => .{ .boolean = extension.boolean },
                .integer => .{ .integer = extension.integer },
                .string => .{ .string = extension.string.slice() },
            },
        };
    }

    fn toC(extension: Extension) c.Extension {
        const name: c.Str = .of(extension.name);
        return switch (extension.value) {
            .boolean => |value| .{ .name = name, .kind = .boolean, .boolean = value },
            .integer => |value| .{ .name = name, .kind = .integer, .integer = value },
            .string => |value| .{ .name = name, .kind = .string, .string = .of(value) },
        };
    }

    fn allToC(extensions: []const Extension) std.mem.Allocator.Error![]const c.Extension {
        const list = try arena.alloc(c.Extension, extensions.len);
        for (list, extensions) |*to, extension| to.* = extension.toC();
        return list;
    }
};

/// A CloudEvent as it was received: an event, a query, or the answer to a request.
pub const Event = struct {
    id: []const u8,
    /// A URI reference: who made it.
    source: []const u8,
    /// The event's type or the query's op.
    type: []const u8,
    /// The RFC 3339 text as it came.
    time: ?[]const u8,
    subject: ?[]const u8,
    datacontenttype: ?[]const u8,
    dataschema: ?[]const u8,
    /// Ties this message, its answers and its follow-up events together.
    transaction_id: ?[]const u8,
    extensions: []const Extension,
    /// None also when it travels by reference (`dataref`).
    data: ?Payload,

    /// The name of the handler whose registration matched; empty in an answer.
    handler: []const u8,
    /// The id from `listeners.add`, if that is what matched, and the state that was given there.
    listener: ?[]const u8,
    state: ?[]const u8,

    /// Reads the data as JSON; no data reads as null. `error.Fault` if they are no JSON, or do not fit.
    pub fn parse(event: Event, comptime T: type) errors.DataError!T {
        var whole = std.mem.zeroes(c.Event);
        whole.data = Payload.toC(event.data);
        var made: T = undefined;
        try json.decodeData(T, &made, &whole);
        return made;
    }

    /// The value of one extension attribute.
    pub fn extension(event: Event, name: []const u8) ?Extension.Value {
        for (event.extensions) |one| {
            if (std.mem.eql(u8, one.name, name)) return one.value;
        }
        return null;
    }

    pub fn fromC(event: *const c.Event) std.mem.Allocator.Error!Event {
        const extensions = try arena.alloc(Extension, event.extension_count);
        for (extensions, event.extensions) |*to, one| to.* = .fromC(one);
        return .{
            .id = event.id.slice(),
            .source = event.source.slice(),
            .type = event.type.slice(),
            .time = event.time.optional(),
            .subject = event.subject.optional(),
            .datacontenttype = event.datacontenttype.optional(),
            .dataschema = event.dataschema.optional(),
            .transaction_id = event.transaction_id.optional(),
            .extensions = extensions,
            .data = .fromC(event.data),
            .handler = event.handler.slice(),
            .listener = event.listener.optional(),
            .state = event.state.optional(),
        };
    }
};

/// A message to send. The host adds id, source and time.
pub const Draft = struct {
    /// The event's type or the query's op.
    type: []const u8,
    subject: ?[]const u8 = null,
    datacontenttype: ?[]const u8 = null,
    dataschema: ?[]const u8 = null,
    /// None: that of the call in progress.
    transaction_id: ?[]const u8 = null,
    extensions: []const Extension = &.{},
    data: ?Payload = null,
    /// Names this message within the call: a retry sends the same key under the same id. None: the id
    /// comes from the message itself and from how many equal ones were sent before it.
    key: ?[]const u8 = null,

    pub fn toC(draft: Draft) std.mem.Allocator.Error!c.Draft {
        const extensions = try Extension.allToC(draft.extensions);
        return .{
            .type = .of(draft.type),
            .subject = .ofOptional(draft.subject),
            .datacontenttype = .ofOptional(draft.datacontenttype),
            .dataschema = .ofOptional(draft.dataschema),
            .transaction_id = .ofOptional(draft.transaction_id),
            .extensions = extensions.ptr,
            .extension_count = extensions.len,
            .data = Payload.toC(draft.data),
            .key = .ofOptional(draft.key),
        };
    }
};

/// The answer to a query.
pub const Reply = struct {
    /// None: the query's type.
    type: ?[]const u8 = null,
    subject: ?[]const u8 = null,
    datacontenttype: ?[]const u8 = null,
    dataschema: ?[]const u8 = null,
    extensions: []const Extension = &.{},
    data: ?Payload = null,

    pub fn toC(reply: Reply) std.mem.Allocator.Error!c.Reply {
        const extensions = try Extension.allToC(reply.extensions);
        return .{
            .type = .ofOptional(reply.type),
            .subject = .ofOptional(reply.subject),
            .datacontenttype = .ofOptional(reply.datacontenttype),
            .dataschema = .ofOptional(reply.dataschema),
            .extensions = extensions.ptr,
            .extension_count = extensions.len,
            .data = Payload.toC(reply.data),
            .silence = false,
        };
    }
};
