//! Lines in the host's log, which adds the plugin, its digest and the event's id. Budgeted: what is
//! over the budget is dropped and counted.
//!
//!     conche.log.info("order created", .{ .order = id, .total_cents = total });

const std = @import("std");

const c = @import("c.zig");
const arena = @import("memory.zig").arena;

pub fn trace(message: [:0]const u8, fields: anytype) void {
    write(.trace, message, fields);
}

pub fn debug(message: [:0]const u8, fields: anytype) void {
    write(.debug, message, fields);
}

pub fn info(message: [:0]const u8, fields: anytype) void {
    write(.info, message, fields);
}

pub fn warn(message: [:0]const u8, fields: anytype) void {
    write(.warn, message, fields);
}

pub fn err(message: [:0]const u8, fields: anytype) void {
    write(.@"error", message, fields);
}

pub fn critical(message: [:0]const u8, fields: anytype) void {
    write(.critical, message, fields);
}

fn write(level: c.Level, message: [:0]const u8, fields: anytype) void {
    const names = comptime std.meta.fieldNames(@TypeOf(fields));
    var list: [names.len + 1]c.Field = undefined;
    inline for (names, list[0..names.len]) |name, *field| {
        field.* = .{ .key = name, .value = .of(shown(@field(fields, name))) };
    }
    list[names.len] = .{}; // ends them
    c.conche_log_fields(level, message, &list);
}

fn shown(value: anytype) []const u8 {
    const text = switch (@typeInfo(@TypeOf(value))) {
        .pointer => |pointer| switch (pointer.size) {
            .slice => if (pointer.child == u8) return value else arena.print("{any}", .{value}),
            .one => switch (@typeInfo(pointer.child)) {
                .array => |array| return shown(@as([]const array.child, value)),
                else => return shown(value.*),
            },
            else => return std.mem.span(value),
        },
        .optional => return if (value) |some| shown(some) else "null",
        .@"enum", .enum_literal => return @tagName(value),
        .error_set => return @errorName(value),
        else => arena.print("{any}", .{value}),
    };
    return text catch unreachable; // the library ends the call rather
}

/// What `std.log` is told comes here too.
pub fn standard(
    comptime level: std.log.Level,
    comptime scope: @EnumLiteral(),
    comptime format: []const u8,
    args: anytype,
) void {
    const message = arena.printSentinel(format, args, 0) catch unreachable;
    const own: c.Level = switch (level) {
        .err => .@"error",
        .warn => .warn,
        .info => .info,
        .debug => .debug,
    };
    if (scope == .default) write(own, message, .{}) else write(own, message, .{ .scope = scope });
}
