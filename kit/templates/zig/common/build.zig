//! For editors and for `zig build test`, which runs the tests in plugin.zig. `conche build` makes the plugin.

const std = @import("std");

pub fn build(b: *std.Build) void {
    const conche = b.createModule(.{ .root_source_file = b.path(".conche/sdk/zig/conche.zig") });
    const plugin = b.createModule(.{
        .root_source_file = b.path("plugin.zig"),
        .target = b.graph.host,
        .imports = &.{.{ .name = "conche", .module = conche }},
    });
    const run = b.addRunArtifact(b.addTest(.{ .root_module = plugin }));
    b.step("test", "Run the tests in plugin.zig").dependOn(&run.step);
}
