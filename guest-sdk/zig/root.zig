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

fn panicked(why: []const u8, _: ?usize) noreturn {
    conche.log.critical("panicked", .{ .why = why });
    @trap();
}
