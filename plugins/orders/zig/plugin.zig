//! A small real case.
//!
//! The query `cyverse.orders.Create` takes `{"customer", "items": [{"sku", "quantity", "cents"}]}`,
//! answers the order's number and total, and emits `org.cyverse.events.OrderCreated`; an order that is
//! not acceptable is answered with a fault 422 that lists all that is wrong.
//!
//! The event `org.cyverse.events.PaymentFailed` asks to be retried until the third delivery, since such
//! a payment often settles by itself; then it emits `org.cyverse.events.OrderOnHold`.

const std = @import("std");
const conche = @import("conche");

const settle_attempts = 3;
const settle_wait_ms = 1000;
const max_quantity = 100;

const Order = struct { customer: []const u8, items: []const Item };
const Item = struct { sku: []const u8, quantity: u32, cents: u64 };
const Created = struct { order: []const u8, customer: []const u8, total_cents: u64 };

/// One thing that is wrong with an order, for programs: the details of the fault are all of them.
const Mistake = struct { field: []const u8, reason: []const u8 };

const PaymentFailed = struct {
    order: []const u8,
    reason: []const u8,
    /// The provider says that trying again is of no use.
    is_final: bool = false,
};

fn create(arena: std.mem.Allocator, order: Order) !Created {
    const cents = try check(arena, order);
    const created: Created = .{
        // The same query, asked again, is the same order: the number comes from the call.
        .order = try arena.print("o-{s}", .{conche.call.idempotencyKey()}),
        .customer = order.customer,
        .total_cents = cents,
    };
    _ = try conche.emit(.{
        .type = "org.cyverse.events.OrderCreated",
        .subject = created.order,
        .key = "created",
        .data = try .from(created),
    });
    conche.log.info("order created", .{ .order = created.order, .total_cents = cents });
    return created;
}

/// The total of an acceptable order. Finds every mistake at once, for who has to mend them.
fn check(arena: std.mem.Allocator, order: Order) !u64 {
    var mistakes: std.ArrayList(Mistake) = .empty;
    if (isBlank(order.customer)) {
        try mistakes.append(arena, .{ .field = "customer", .reason = "is empty" });
    }
    if (order.items.len == 0) {
        try mistakes.append(arena, .{ .field = "items", .reason = "is empty" });
    }
    for (order.items, 0..) |item, index| {
        if (isBlank(item.sku)) {
            const field = try arena.print("items[{d}].sku", .{index});
            try mistakes.append(arena, .{ .field = field, .reason = "is empty" });
        }
        if (item.quantity < 1 or item.quantity > max_quantity) {
            const field = try arena.print("items[{d}].quantity", .{index});
            const reason = try arena.print("is {d}, not within 1 and {d}", .{ item.quantity, max_quantity });
            try mistakes.append(arena, .{ .field = field, .reason = reason });
        }
    }
    const cents = total(order.items) catch |err| switch (err) {
        error.Overflow => uncounted: {
            try mistakes.append(arena, .{ .field = "items", .reason = "costs more than can be counted" });
            break :uncounted 0;
        },
    };
    if (mistakes.items.len > 0) {
        return conche.faultWith(422, try .from(mistakes.items), "the order is not acceptable", .{});
    }
    return cents;
}

fn isBlank(text: []const u8) bool {
    return std.mem.trim(u8, text, &std.ascii.whitespace).len == 0;
}

fn total(items: []const Item) error{Overflow}!u64 {
    var sum: u64 = 0;
    for (items) |item| {
        const cents = try std.math.mul(u64, item.cents, item.quantity);
        sum = try std.math.add(u64, sum, cents);
    }
    return sum;
}

fn paymentFailed(payment: PaymentFailed) !void {
    const attempts = try conche.config.parse(u32, "settle-attempts", settle_attempts);
    // While it may still settle, it shall come again.
    if (!payment.is_final and conche.call.attempt() < attempts) {
        return conche.retryAfter(settle_wait_ms, "payment of {s} not settled yet: {s}", .{ payment.order, payment.reason });
    }
    conche.log.warn("payment failed for good", .{ .order = payment.order });
    _ = try conche.emit(.{
        .type = "org.cyverse.events.OrderOnHold",
        .subject = payment.order,
        .key = "on-hold",
        .data = try .from(.{ .order = payment.order, .reason = payment.reason }),
    });
}

pub const plugin: conche.Plugin = .{
    .reusable = true,
    .handlers = &.{
        conche.query("create", create, &.{"cyverse.orders.Create"}),
        conche.event("payment_failed", paymentFailed, &.{"org.cyverse.events.PaymentFailed"}),
    },
};
