//! Memory of the call: what the host hands in, what a handler makes of it, and what is handed back.

const std = @import("std");

const c = @import("c.zig");

/// Frees nothing: all of it goes when the next call begins. What shall live longer is allocated with
/// another allocator, such as `std.heap.c_allocator`.
pub const arena: std.mem.Allocator = .{
    .ptr = undefined,
    .vtable = &.{
        .alloc = alloc,
        .resize = std.mem.Allocator.noResize,
        .remap = std.mem.Allocator.noRemap,
        .free = std.mem.Allocator.noFree,
    },
};

/// Where the plugin's memory ends, the library ends the call.
fn alloc(_: *anyopaque, len: usize, alignment: std.mem.Alignment, _: usize) ?[*]u8 {
    const given = @alignOf(c_longdouble); // whatever is asked for
    const wanted = @max(alignment.toByteUnits(), given);
    return std.mem.alignPointer(c.conche_alloc(len +| (wanted - given)), wanted);
}

/// As C has lists of strings: a null ends them.
pub fn terminated(texts: []const [:0]const u8) std.mem.Allocator.Error![:null]const ?[*:0]const u8 {
    const list = try arena.allocSentinel(?[*:0]const u8, texts.len, null);
    for (list, texts) |*to, text| to.* = text.ptr;
    return list;
}
