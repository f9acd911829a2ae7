//! JSON into plain Zig types, and out of them. As `std.json` does it, but strict where that guesses
//! (`"2"` is no number, `1.0` no integer), and with errors that name the place. What a type says of
//! itself with `jsonParse` or `jsonStringify` holds here too.

const std = @import("std");

const c = @import("c.zig");
const errors = @import("errors.zig");
const arena = @import("memory.zig").arena;

const DataError = errors.DataError;

/// JSON text of any value: read and written with the digits and the order it had. As the whole data of a
/// message it is the very text that came.
pub const Json = struct {
    text: []const u8,

    pub fn parse(json: Json, comptime T: type) DataError!T {
        var event = std.mem.zeroes(c.Event);
        event.data = .{ .kind = .json, .bytes = .of(json.text) };
        var made: T = undefined;
        try decodeData(T, &made, &event);
        return made;
    }
};

/// The data of a message; none reads as null.
pub fn decodeData(comptime T: type, into: *T, event: *const c.Event) DataError!void {
    var value: *const c.Value = undefined;
    if (c.conche_parse_data(event, &value)) |err| return errors.faultFromC(err);
    if (T == Json and event.data.kind == .json) {
        into.text = event.data.bytes.slice();
    } else {
        try decode(T, into, value, null);
    }
}

pub fn encode(value: anytype) error{Invalid}![]const u8 {
    const writer = c.conche_write();
    write(writer, null, value);
    const payload = c.conche_json_of(writer);
    if (payload.kind == .no_json) return errors.invalid(payload.bytes);
    return payload.bytes.slice();
}

/// Where a value lies, from the inside out.
const Place = struct {
    within: ?*const Place,
    step: union(enum) { field: []const u8, index: usize },

    pub fn format(place: Place, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        if (place.within) |within| try within.format(writer);
        switch (place.step) {
            .field => |name| try writer.print("{s}{s}", .{ if (place.within == null) "" else ".", name }),
            .index => |index| try writer.print("[{d}]", .{index}),
        }
    }
};

noinline fn misfit(place: ?*const Place, comptime format: []const u8, args: anytype) DataError {
    const where = place orelse return errors.fault(400, "invalid data: it " ++ format, args);
    return errors.fault(400, "invalid data: `{f}` " ++ format, .{where.*} ++ args);
}

fn kindName(value: *const c.Value) []const u8 {
    return switch (value.kind) {
        .null => "null",
        .bool => "a boolean",
        .number => "a number",
        .string => "a string",
        .array => "an array",
        .object => "an object",
    };
}

fn expect(value: *const c.Value, kind: @FieldType(c.Value, "kind"), what: []const u8, place: ?*const Place) DataError!void {
    if (value.kind != kind) return misfit(place, "is {s}, not {s}", .{ kindName(value), what });
}

fn expectItems(value: *const c.Value, count: usize, place: ?*const Place) DataError!void {
    try expect(value, .array, "an array", place);
    const found = c.conche_count(value);
    if (found != count) return misfit(place, "has {d} items, not {d}", .{ found, count });
}

/// Into its place, never by value, and apart from what needs much of the stack: the depth is the
/// sender's to choose, so a level must take as little for a large type as for a small one.
fn decode(comptime T: type, into: *T, value: *const c.Value, place: ?*const Place) DataError!void {
    if (T == Json) {
        into.text = textOf(value);
        return;
    }
    switch (@typeInfo(T)) {
        .bool => {
            try expect(value, .bool, "a boolean", place);
            into.* = value.text.slice()[0] == 't';
        },
        .int => try decodeInteger(T, into, value, place),
        .float => try decodeFloat(T, into, value, place),
        .optional => try decodeOptional(T, into, value, place),
        .@"enum", .@"struct", .@"union" => {
            if (std.meta.hasFn(T, "jsonParse")) return parseItself(T, into, value, place);
            switch (@typeInfo(T)) {
                .@"enum" => try decodeEnum(T, into, value, place),
                .@"struct" => |info| if (info.is_tuple)
                    try decodeTuple(T, into, value, place)
                else
                    try decodeStruct(T, into, value, place),
                else => try decodeUnion(T, into, value, place),
            }
        },
        .array => |array| {
            if (array.child == u8) return decodeBytes(into, value, place);
            try expectItems(value, array.len, place);
            try decodeItems(array.child, into, value, place);
        },
        .pointer => |pointer| switch (pointer.size) {
            .one => {
                const made = try arena.create(pointer.child);
                try decode(pointer.child, made, value, place);
                into.* = made;
            },
            .slice => try decodeSlice(T, into, value, place),
            else => @compileError("no JSON is read as `" ++ @typeName(T) ++ "`"),
        },
        else => @compileError("no JSON is read as `" ++ @typeName(T) ++ "`"),
    }
}

noinline fn decodeInteger(comptime T: type, into: *T, value: *const c.Value, place: ?*const Place) DataError!void {
    try expect(value, .number, "an integer", place);
    const digits = value.text.slice();
    into.* = std.fmt.parseInt(T, digits, 10) catch |err| return switch (err) {
        error.InvalidCharacter => misfit(place, "is {s}, not an integer", .{digits}),
        error.Overflow => misfit(place, "is {s}, not within {d} and {d}", .{
            digits, std.math.minInt(T), std.math.maxInt(T),
        }),
    };
}

noinline fn decodeFloat(comptime T: type, into: *T, value: *const c.Value, place: ?*const Place) DataError!void {
    try expect(value, .number, "a number", place);
    const digits = value.text.slice();
    into.* = std.fmt.parseFloat(T, digits) catch unreachable; // the reader saw that it is one
    if (std.math.isInf(into.*)) return misfit(place, "is {s}, which is too large", .{digits});
}

fn decodeOptional(comptime T: type, into: *T, value: *const c.Value, place: ?*const Place) DataError!void {
    const Some = @typeInfo(T).optional.child;
    if (value.kind == .null) {
        into.* = null;
    } else if (@typeInfo(Some) == .pointer) {
        var some: Some = undefined; // small, and an undefined one may be null
        try decode(Some, &some, value, place);
        into.* = some;
    } else {
        into.* = @as(Some, undefined);
        try decode(Some, &into.*.?, value, place);
    }
}

fn decodeEnum(comptime T: type, into: *T, value: *const c.Value, place: ?*const Place) DataError!void {
    try expect(value, .string, "a string", place);
    const name = value.text.slice();
    into.* = std.meta.stringToEnum(T, name) orelse {
        const names = comptime std.meta.fieldNames(T);
        return misfit(place, "is \"{s}\", not one of " ++ comptime list(names), .{name});
    };
}

fn list(comptime names: []const [:0]const u8) []const u8 {
    comptime var text: []const u8 = "";
    inline for (names, 0..) |name, index| text = text ++ (if (index == 0) "" else ", ") ++ name;
    return text;
}

/// A field that is absent has its default; an optional one without any is null.
fn decodeStruct(comptime T: type, into: *T, value: *const c.Value, place: ?*const Place) DataError!void {
    try expect(value, .object, "an object", place);
    const info = @typeInfo(T).@"struct";
    var own: Place = .{ .within = place, .step = undefined };
    inline for (info.field_names, info.field_types, info.field_attrs) |name, Field, attrs| {
        own.step = .{ .field = name };
        if (c.conche_member(value, name)) |member| {
            try decodeField(Field, &@field(into, name), member, &own);
        } else if (comptime attrs.defaultValue(Field)) |default| {
            @field(into, name) = default;
        } else if (@typeInfo(Field) == .optional) {
            @field(into, name) = null;
        } else {
            return misfit(&own, "is missing", .{});
        }
    }
}

/// A field of a packed struct has no place of its own to be read into.
fn decodeField(comptime T: type, into: anytype, value: *const c.Value, place: *const Place) DataError!void {
    if (@TypeOf(into) == *T) return decode(T, into, value, place);
    var made: T = undefined;
    try decode(T, &made, value, place);
    into.* = made;
}

fn decodeTuple(comptime T: type, into: *T, value: *const c.Value, place: ?*const Place) DataError!void {
    const types = @typeInfo(T).@"struct".field_types;
    try expectItems(value, types.len, place);
    var own: Place = .{ .within = place, .step = undefined };
    var next = value.first;
    inline for (types, 0..) |Item, index| {
        own.step = .{ .index = index };
        try decode(Item, &into[index], next.?, &own);
        next = next.?.next;
    }
}

/// An object with one field: its name is the tag.
fn decodeUnion(comptime T: type, into: *T, value: *const c.Value, place: ?*const Place) DataError!void {
    const info = @typeInfo(T).@"union";
    if (info.tag_type == null) @compileError("no JSON is read as `" ++ @typeName(T) ++ "`: it has no tag");
    try expect(value, .object, "an object", place);
    const names = comptime list(info.field_names);
    const member = value.first orelse return misfit(place, "is empty, and has one of " ++ names, .{});
    if (member.next != null) return misfit(place, "has more than one of " ++ names, .{});
    var own: Place = .{ .within = place, .step = undefined };
    inline for (info.field_names, info.field_types) |name, Field| {
        if (std.mem.eql(u8, name, member.key.slice())) {
            own.step = .{ .field = name };
            into.* = @unionInit(T, name, if (Field == void) {} else undefined);
            return if (Field != void) decode(Field, &@field(into, name), member, &own);
        }
    }
    return misfit(place, "has `{s}`, not one of " ++ names, .{member.key.slice()});
}

fn decodeBytes(into: []u8, value: *const c.Value, place: ?*const Place) DataError!void {
    try expect(value, .string, "a string", place);
    const text = value.text.slice();
    if (text.len != into.len) return misfit(place, "has {d} bytes, not {d}", .{ text.len, into.len });
    @memcpy(into, text);
}

fn decodeSlice(comptime T: type, into: *T, value: *const c.Value, place: ?*const Place) DataError!void {
    const pointer = @typeInfo(T).pointer;
    if (pointer.child == u8) {
        try expect(value, .string, "a string", place);
        const text = value.text.slice();
        into.* = if (!pointer.attrs.@"const")
            try arena.dupe(u8, text)
        else if (pointer.sentinel_ptr == null)
            text
        else
            text.ptr[0..text.len :0];
        return;
    }
    try expect(value, .array, "an array", place);
    const items = try arena.alloc(pointer.child, c.conche_count(value));
    try decodeItems(pointer.child, items, value, place);
    into.* = items;
}

fn decodeItems(comptime T: type, items: []T, array: *const c.Value, place: ?*const Place) DataError!void {
    var own: Place = .{ .within = place, .step = undefined };
    var next = array.first;
    for (items, 0..) |*item, index| {
        own.step = .{ .index = index };
        try decode(T, item, next.?, &own);
        next = next.?.next;
    }
}

noinline fn parseItself(comptime T: type, into: *T, value: *const c.Value, place: ?*const Place) DataError!void {
    const options: std.json.ParseOptions = .{
        .ignore_unknown_fields = true,
        .duplicate_field_behavior = .use_last,
    };
    into.* = std.json.parseFromSliceLeaky(T, arena, textOf(value), options) catch |err| return switch (err) {
        error.OutOfMemory => error.OutOfMemory,
        else => misfit(place, "does not fit: {s}", .{@errorName(err)}),
    };
}

fn textOf(value: *const c.Value) []const u8 {
    const writer = c.conche_write();
    c.conche_put_value(writer, null, value);
    return c.conche_json_of(writer).bytes.slice();
}

fn write(writer: *c.Writer, key: ?[*:0]const u8, value: anytype) void {
    switch (@typeInfo(@TypeOf(value))) {
        .comptime_int => writeInteger(writer, key, @as(std.math.IntFittingRange(value, value), value)),
        .comptime_float => c.conche_put_double(writer, key, value),
        .enum_literal => c.conche_put_string(writer, key, .of(@tagName(value))),
        .null => c.conche_put_null(writer, key),
        else => writeAt(writer, key, &value),
    }
}

/// From where it lies, for the reason that `decode` has.
fn writeAt(writer: *c.Writer, key: ?[*:0]const u8, at: anytype) void {
    const T = @typeInfo(@TypeOf(at)).pointer.child;
    if (T == Json) return c.conche_put_raw(writer, key, .of(at.text));
    switch (@typeInfo(T)) {
        .bool => c.conche_put_bool(writer, key, at.*),
        .int => writeInteger(writer, key, at.*),
        .float => writeFloat(writer, key, at.*),
        .void => c.conche_put_null(writer, key),
        .optional => if (at.*) |*some| writeAt(writer, key, some) else c.conche_put_null(writer, key),
        .@"enum", .@"struct", .@"union" => {
            if (std.meta.hasFn(T, "jsonStringify")) return writeItself(writer, key, at);
            switch (@typeInfo(T)) {
                .@"enum" => c.conche_put_string(writer, key, .of(@tagName(at.*))),
                .@"struct" => writeStruct(writer, key, at),
                else => writeUnion(writer, key, at),
            }
        },
        .array => |array| writeSlice(writer, key, @as([]const array.child, at)),
        .pointer => |pointer| switch (pointer.size) {
            .one => writeAt(writer, key, at.*),
            .slice => writeSlice(writer, key, at.*),
            else => @compileError("`" ++ @typeName(T) ++ "` has no JSON"),
        },
        else => @compileError("`" ++ @typeName(T) ++ "` has no JSON"),
    }
}

noinline fn writeInteger(writer: *c.Writer, key: ?[*:0]const u8, value: anytype) void {
    const int = @typeInfo(@TypeOf(value)).int;
    if (int.bits > 64) {
        const digits = arena.print("{d}", .{value}) catch unreachable; // ends the call rather
        c.conche_put_raw(writer, key, .of(digits));
    } else if (int.signedness == .signed) {
        c.conche_put_i64(writer, key, value);
    } else {
        c.conche_put_u64(writer, key, value);
    }
}

/// The fewest digits that read as the same number of the same width.
noinline fn writeFloat(writer: *c.Writer, key: ?[*:0]const u8, value: anytype) void {
    if (@bitSizeOf(@TypeOf(value)) < 64 and std.math.isFinite(value)) {
        const digits = arena.print("{d}", .{value}) catch unreachable; // ends the call rather
        c.conche_put_raw(writer, key, .of(digits));
    } else {
        c.conche_put_double(writer, key, @floatCast(value));
    }
}

fn writeSlice(writer: *c.Writer, key: ?[*:0]const u8, items: anytype) void {
    if (std.meta.Elem(@TypeOf(items)) == u8) return c.conche_put_string(writer, key, .of(items));
    c.conche_put_array(writer, key);
    for (items) |*item| writeAt(writer, null, item);
    c.conche_end(writer);
}

fn writeStruct(writer: *c.Writer, key: ?[*:0]const u8, at: anytype) void {
    const info = @typeInfo(@typeInfo(@TypeOf(at)).pointer.child).@"struct";
    if (info.is_tuple) c.conche_put_array(writer, key) else c.conche_put_object(writer, key);
    inline for (info.field_names, info.field_attrs) |name, attrs| {
        const own = if (info.is_tuple) null else name;
        if (attrs.@"comptime") write(writer, own, @field(at, name)) else writeAt(writer, own, &@field(at, name));
    }
    c.conche_end(writer);
}

fn writeUnion(writer: *c.Writer, key: ?[*:0]const u8, at: anytype) void {
    c.conche_put_object(writer, key);
    switch (at.*) {
        inline else => |*payload, tag| writeAt(writer, @tagName(tag), payload),
    }
    c.conche_end(writer);
}

noinline fn writeItself(writer: *c.Writer, key: ?[*:0]const u8, at: anytype) void {
    const text = std.json.Stringify.valueAlloc(arena, at, .{}) catch unreachable; // ends the call rather
    c.conche_put_raw(writer, key, .of(text));
}
