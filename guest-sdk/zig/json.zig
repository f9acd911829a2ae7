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
        return decodeData(T, &event);
    }
};

/// The data of a message; none reads as null.
pub fn decodeData(comptime T: type, event: *const c.Event) DataError!T {
    var value: *const c.Value = undefined;
    if (c.conche_parse_data(event, &value)) |err| return errors.faultFromC(err);
    if (T == Json and event.data.kind == .json) return .{ .text = event.data.bytes.slice() };
    return decode(T, value, null);
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

fn misfit(place: ?*const Place, comptime format: []const u8, args: anytype) DataError {
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

fn decode(comptime T: type, value: *const c.Value, place: ?*const Place) DataError!T {
    if (T == Json) return .{ .text = try textOf(value) };
    switch (@typeInfo(T)) {
        .bool => {
            try expect(value, .bool, "a boolean", place);
            return value.text.slice()[0] == 't';
        },
        .int => return decodeInteger(T, value, place),
        .float => return decodeFloat(T, value, place),
        .optional => |optional| {
            if (value.kind == .null) return null;
            return try decode(optional.child, value, place);
        },
        .@"enum", .@"struct", .@"union" => {
            if (std.meta.hasFn(T, "jsonParse")) return parseItself(T, value, place);
            return switch (@typeInfo(T)) {
                .@"enum" => decodeEnum(T, value, place),
                .@"struct" => |info| if (info.is_tuple) decodeTuple(T, value, place) else decodeStruct(T, value, place),
                else => decodeUnion(T, value, place),
            };
        },
        .array => |array| {
            var items: T = undefined;
            if (array.child == u8) {
                try expect(value, .string, "a string", place);
                const text = value.text.slice();
                if (text.len != array.len) return misfit(place, "has {d} bytes, not {d}", .{ text.len, array.len });
                @memcpy(&items, text);
                return items;
            }
            try expectItems(value, array.len, place);
            try decodeItems(array.child, &items, value, place);
            return items;
        },
        .pointer => |pointer| switch (pointer.size) {
            .one => {
                const made = try arena.create(pointer.child);
                made.* = try decode(pointer.child, value, place);
                return made;
            },
            .slice => return decodeSlice(T, value, place),
            else => @compileError("no JSON is read as `" ++ @typeName(T) ++ "`"),
        },
        else => @compileError("no JSON is read as `" ++ @typeName(T) ++ "`"),
    }
}

fn decodeInteger(comptime T: type, value: *const c.Value, place: ?*const Place) DataError!T {
    try expect(value, .number, "an integer", place);
    const digits = value.text.slice();
    return std.fmt.parseInt(T, digits, 10) catch |err| switch (err) {
        error.InvalidCharacter => misfit(place, "is {s}, not an integer", .{digits}),
        error.Overflow => misfit(place, "is {s}, not within {d} and {d}", .{
            digits, std.math.minInt(T), std.math.maxInt(T),
        }),
    };
}

fn decodeFloat(comptime T: type, value: *const c.Value, place: ?*const Place) DataError!T {
    try expect(value, .number, "a number", place);
    const digits = value.text.slice();
    const number = std.fmt.parseFloat(T, digits) catch unreachable; // the reader saw that it is one
    if (std.math.isInf(number)) return misfit(place, "is {s}, which is too large", .{digits});
    return number;
}

fn decodeEnum(comptime T: type, value: *const c.Value, place: ?*const Place) DataError!T {
    try expect(value, .string, "a string", place);
    const name = value.text.slice();
    return std.meta.stringToEnum(T, name) orelse {
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
fn decodeStruct(comptime T: type, value: *const c.Value, place: ?*const Place) DataError!T {
    try expect(value, .object, "an object", place);
    const info = @typeInfo(T).@"struct";
    var made: T = undefined;
    inline for (info.field_names, info.field_types, info.field_attrs) |name, Field, attrs| {
        const own: Place = .{ .within = place, .step = .{ .field = name } };
        @field(made, name) = if (c.conche_member(value, name)) |member|
            try decode(Field, member, &own)
        else if (comptime attrs.defaultValue(Field)) |default|
            default
        else if (@typeInfo(Field) == .optional)
            null
        else
            return misfit(&own, "is missing", .{});
    }
    return made;
}

fn decodeTuple(comptime T: type, value: *const c.Value, place: ?*const Place) DataError!T {
    const types = @typeInfo(T).@"struct".field_types;
    try expectItems(value, types.len, place);
    var made: T = undefined;
    var next = value.first;
    inline for (types, 0..) |Item, index| {
        const own: Place = .{ .within = place, .step = .{ .index = index } };
        made[index] = try decode(Item, next.?, &own);
        next = next.?.next;
    }
    return made;
}

/// An object with one field: its name is the tag.
fn decodeUnion(comptime T: type, value: *const c.Value, place: ?*const Place) DataError!T {
    const info = @typeInfo(T).@"union";
    if (info.tag_type == null) @compileError("no JSON is read as `" ++ @typeName(T) ++ "`: it has no tag");
    try expect(value, .object, "an object", place);
    const names = comptime list(info.field_names);
    const member = value.first orelse return misfit(place, "is empty, and has one of " ++ names, .{});
    if (member.next != null) return misfit(place, "has more than one of " ++ names, .{});
    inline for (info.field_names, info.field_types) |name, Field| {
        if (std.mem.eql(u8, name, member.key.slice())) {
            const own: Place = .{ .within = place, .step = .{ .field = name } };
            if (Field == void) return @unionInit(T, name, {});
            return @unionInit(T, name, try decode(Field, member, &own));
        }
    }
    return misfit(place, "has `{s}`, not one of " ++ names, .{member.key.slice()});
}

fn decodeSlice(comptime T: type, value: *const c.Value, place: ?*const Place) DataError!T {
    const pointer = @typeInfo(T).pointer;
    if (pointer.child == u8) {
        try expect(value, .string, "a string", place);
        if (!pointer.attrs.@"const") return arena.dupe(u8, value.text.slice());
        const text = value.text.slice();
        return if (pointer.sentinel_ptr == null) text else text.ptr[0..text.len :0];
    }
    try expect(value, .array, "an array", place);
    const items = try arena.alloc(pointer.child, c.conche_count(value));
    try decodeItems(pointer.child, items, value, place);
    return items;
}

fn decodeItems(comptime T: type, items: []T, array: *const c.Value, place: ?*const Place) DataError!void {
    var next = array.first;
    for (items, 0..) |*item, index| {
        const own: Place = .{ .within = place, .step = .{ .index = index } };
        item.* = try decode(T, next.?, &own);
        next = next.?.next;
    }
}

fn parseItself(comptime T: type, value: *const c.Value, place: ?*const Place) DataError!T {
    const options: std.json.ParseOptions = .{ .ignore_unknown_fields = true };
    return std.json.parseFromSliceLeaky(T, arena, try textOf(value), options) catch |err| switch (err) {
        error.OutOfMemory => error.OutOfMemory,
        else => misfit(place, "does not fit: {s}", .{@errorName(err)}),
    };
}

fn textOf(value: *const c.Value) DataError![]const u8 {
    const writer = c.conche_write();
    c.conche_put_value(writer, null, value);
    return c.conche_json_of(writer).bytes.slice();
}

fn write(writer: *c.Writer, key: ?[*:0]const u8, value: anytype) void {
    const T = @TypeOf(value);
    if (T == Json) return c.conche_put_raw(writer, key, .of(value.text));
    switch (@typeInfo(T)) {
        .bool => c.conche_put_bool(writer, key, value),
        .int => writeInteger(writer, key, value),
        .comptime_int => writeInteger(writer, key, @as(std.math.IntFittingRange(value, value), value)),
        .float, .comptime_float => c.conche_put_double(writer, key, @floatCast(value)),
        .null, .void => c.conche_put_null(writer, key),
        .optional => if (value) |some| write(writer, key, some) else c.conche_put_null(writer, key),
        .enum_literal => c.conche_put_string(writer, key, .of(@tagName(value))),
        .@"enum", .@"struct", .@"union" => {
            if (std.meta.hasFn(T, "jsonStringify")) return writeItself(writer, key, value);
            switch (@typeInfo(T)) {
                .@"enum" => c.conche_put_string(writer, key, .of(@tagName(value))),
                .@"struct" => writeStruct(writer, key, value),
                else => writeUnion(writer, key, value),
            }
        },
        .array => writeSlice(writer, key, &value),
        .pointer => |pointer| switch (pointer.size) {
            .one => switch (@typeInfo(pointer.child)) {
                .array => |array| writeSlice(writer, key, @as([]const array.child, value)),
                else => write(writer, key, value.*),
            },
            .slice => writeSlice(writer, key, value),
            else => @compileError("`" ++ @typeName(T) ++ "` has no JSON"),
        },
        else => @compileError("`" ++ @typeName(T) ++ "` has no JSON"),
    }
}

fn writeInteger(writer: *c.Writer, key: ?[*:0]const u8, value: anytype) void {
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

fn writeSlice(writer: *c.Writer, key: ?[*:0]const u8, items: anytype) void {
    if (std.meta.Elem(@TypeOf(items)) == u8) return c.conche_put_string(writer, key, .of(items));
    c.conche_put_array(writer, key);
    for (items) |item| write(writer, null, item);
    c.conche_end(writer);
}

fn writeStruct(writer: *c.Writer, key: ?[*:0]const u8, value: anytype) void {
    const info = @typeInfo(@TypeOf(value)).@"struct";
    if (info.is_tuple) c.conche_put_array(writer, key) else c.conche_put_object(writer, key);
    inline for (info.field_names) |name| {
        write(writer, if (info.is_tuple) null else name, @field(value, name));
    }
    c.conche_end(writer);
}

fn writeUnion(writer: *c.Writer, key: ?[*:0]const u8, value: anytype) void {
    c.conche_put_object(writer, key);
    switch (value) {
        inline else => |payload, tag| write(writer, @tagName(tag), payload),
    }
    c.conche_end(writer);
}

fn writeItself(writer: *c.Writer, key: ?[*:0]const u8, value: anytype) void {
    const text = std.json.Stringify.valueAlloc(arena, value, .{}) catch unreachable; // ends the call rather
    c.conche_put_raw(writer, key, .of(text));
}
