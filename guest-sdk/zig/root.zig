//! The root of a build: the author's `plugin.zig`, made into what the host calls.

const std = @import("std");

const conche = @import("conche");
const kind = @import("kind");
const author = @import("plugin");

pub const panic = std.debug.FullPanic(panicked);

pub const std_options: std.Options = .{
    .logFn = conche.log.standard,
    .log_level = .debug, // the host says what is too much
};

comptime {
    if (!@hasDecl(author, "plugin")) @compileError("plugin.zig has no `pub const plugin: conche.Plugin`");
    @export(conche.table(author.plugin, kind).ptr, .{ .name = "conche_items" });
}

/// The host takes what was said last on stderr for the reason why the call ended.
fn panicked(why: []const u8, _: ?usize) noreturn {
    var result: extern struct { tag: u8, err: [2]u32 } = undefined;
    const written_at_once = 4096;
    write(getStderr(), why.ptr, @min(why.len, written_at_once), &result);
    @trap();
}

const getStderr = @extern(*const fn () callconv(.c) i32, .{
    .name = "get-stderr",
    .library_name = "wasi:cli/stderr@0.2.0",
});

const write = @extern(*const fn (stream: i32, [*]const u8, len: usize, result: *anyopaque) callconv(.c) void, .{
    .name = "[method]output-stream.blocking-write-and-flush",
    .library_name = "wasi:io/streams@0.2.0",
});
