//! The policy's `[config]`. It does not change while a version runs.

const std = @import("std");

const c = @import("c.zig");
const errors = @import("errors.zig");
const arena = @import("memory.zig").arena;

pub fn get(key: [:0]const u8) ?[:0]const u8 {
    const value = c.conche_config(key);
    return if (value.ptr) |ptr| ptr[0..value.len :0] else null; // what the library hands out ends in a NUL
}

pub fn keys() std.mem.Allocator.Error![]const []const u8 {
    var list: [*]const c.Str = undefined;
    const made = try arena.alloc([]const u8, c.conche_config_keys(&list));
    for (made, list) |*key, from| key.* = from.slice();
    return made;
}

/// The value as a number, a boolean or the name of an enum's field; `default` without the key.
pub fn parse(comptime T: type, key: [:0]const u8, default: T) error{ ConfigInvalid, OutOfMemory }!T {
    const value = get(key) orelse return default;
    const read: ?T = switch (@typeInfo(T)) {
        .int => std.fmt.parseInt(T, value, 10) catch null,
        .float => std.fmt.parseFloat(T, value) catch null,
        .bool => if (std.mem.eql(u8, value, "true")) true else if (std.mem.eql(u8, value, "false")) false else null,
        .@"enum" => std.meta.stringToEnum(T, value),
        else => @compileError("`" ++ @typeName(T) ++ "` is not read from a configuration"),
    };
    return read orelse errors.say(error.ConfigInvalid, .{}, "`{s}` in [config]: \"{s}\" is no {s}", .{
        key, value, @typeName(T),
    });
}
