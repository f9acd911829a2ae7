//! Keeps a trail: hears every `org.cyverse.events.GreetingRequested` and
//! `org.cyverse.events.OrderCreated`, emits one `org.cyverse.events.AuditRecorded` for each.

const conche = @import("conche");

/// Takes the whole event, since the attributes matter here and the data does not.
fn record(cause: conche.Event) !void {
    const id = try conche.emit(.{
        .type = "org.cyverse.events.AuditRecorded",
        // One record an event: with the key, a retry sends the same one again and it is stored once.
        .key = "record",
        .data = try .from(.{
            .id = cause.id,
            .type = cause.type,
            .source = cause.source,
            .subject = cause.subject,
            .time = cause.time,
        }),
    });
    conche.log.info("recorded", .{ .record = id });
}

pub const plugin: conche.Plugin = .{
    .reusable = true,
    .handlers = &.{
        conche.event("record", record, &.{ "org.cyverse.events.GreetingRequested", "org.cyverse.events.OrderCreated" }),
    },
};
