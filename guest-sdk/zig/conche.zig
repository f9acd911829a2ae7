//! Write plugins for the Conche host in Zig: functions that take JSON or a whole CloudEvent, and one
//! `plugin` that says what they hear.
//!
//!     const std = @import("std");
//!     const conche = @import("conche");
//!
//!     const Ask = struct { name: []const u8 };
//!     const Greeting = struct { greeting: []const u8 };
//!
//!     fn greet(arena: std.mem.Allocator, ask: Ask) !Greeting {
//!         return .{ .greeting = try arena.print("Hello, {s}!", .{ask.name}) };
//!     }
//!
//!     pub const plugin: conche.Plugin = .{
//!         .reusable = true,
//!         .handlers = &.{conche.query("greet", greet, &.{"cyverse.greeter.Greet"})},
//!     };
//!
//! All that these functions hand out lies in memory of the call, which is gone when the next call begins.

const errors = @import("errors.zig");
const json = @import("json.zig");
const message = @import("message.zig");
const own = @import("plugin.zig");
const send = @import("send.zig");

pub const Plugin = own.Plugin;
pub const Handler = own.Handler;
pub const query = own.query;
pub const anyQuery = own.anyQuery;
pub const event = own.event;
pub const anyEvent = own.anyEvent;
pub const listener = own.listener;

pub const Event = message.Event;
/// A query is an event that waits for an answer.
pub const Query = Event;
pub const Reply = message.Reply;
pub const Draft = message.Draft;
pub const Payload = message.Payload;
pub const Extension = message.Extension;
pub const Json = json.Json;

pub const fault = errors.fault;
pub const faultWith = errors.faultWith;
pub const reject = errors.reject;
pub const rejectWith = errors.rejectWith;
pub const retry = errors.retry;
pub const retryAfter = errors.retryAfter;
pub const detail = errors.detail;
pub const errorText = errors.text;
pub const Detail = errors.Detail;
pub const DataError = errors.DataError;
pub const SendError = errors.SendError;

pub const emit = send.emit;
pub const request = send.request;
pub const requestAll = send.requestAll;
pub const exchange = send.exchange;
pub const Answer = send.Answer;
pub const listeners = @import("listeners.zig");

pub const call = @import("call.zig");
pub const config = @import("config.zig");
pub const log = @import("log.zig");
pub const registration = @import("registration.zig");

/// For the root of a build alone.
pub const table = own.table;
