//! The C library that this module stands on, as far as it is called from here: `conche.h`, by hand.
//! Whoever changes a struct there changes it here. The library lends what it hands out until the next
//! call begins.

/// No text and an empty one differ: `ptr` tells.
pub const Str = extern struct {
    ptr: ?[*]const u8 = null,
    len: usize = 0,

    pub fn of(text: []const u8) Str {
        return .{ .ptr = text.ptr, .len = text.len };
    }

    pub fn ofOptional(text: ?[]const u8) Str {
        return if (text) |some| of(some) else .{};
    }

    pub fn slice(text: Str) []const u8 {
        return text.optional() orelse "";
    }

    pub fn optional(text: Str) ?[]const u8 {
        return if (text.ptr) |ptr| ptr[0..text.len] else null;
    }
};

pub const Payload = extern struct {
    kind: enum(c_int) { none, json, text, binary, no_json } = .none,
    bytes: Str = .{},
};

pub const Extension = extern struct {
    name: Str,
    kind: enum(c_int) { boolean, integer, string },
    boolean: bool = false,
    integer: i32 = 0,
    string: Str = .{},
};

pub const Event = extern struct {
    id: Str,
    source: Str,
    type: Str,
    time: Str,
    subject: Str,
    datacontenttype: Str,
    dataschema: Str,
    transaction_id: Str,
    extensions: [*]const Extension,
    extension_count: usize,
    data: Payload,
    handler: Str,
    listener: Str,
    state: Str,
};

pub const Draft = extern struct {
    type: Str,
    subject: Str,
    datacontenttype: Str,
    dataschema: Str,
    transaction_id: Str,
    extensions: [*]const Extension,
    extension_count: usize,
    data: Payload,
    key: Str,
};

pub const Reply = extern struct {
    type: Str,
    subject: Str,
    datacontenttype: Str,
    dataschema: Str,
    extensions: [*]const Extension,
    extension_count: usize,
    data: Payload,
    silence: bool,
};

pub const Error = extern struct {
    kind: Kind,
    code: u16 = 0,
    /// Followed by a NUL.
    message: Str,
    details: Payload = .{},
    has_after: bool = false,
    after_ms: u32 = 0,

    pub const Kind = enum(c_int) {
        fault,
        reject,
        retry,
        failure,
        refused,
        over_budget,
        invalid,
        no_responders,
        timed_out,
        busy,
        remote,
        other,
    };
};

pub const Answer = extern struct {
    @"error": ?*const Error,
    event: Event,
};

pub const Listener = extern struct {
    handler: [*:0]const u8,
    types: ?[*:null]const ?[*:0]const u8,
    transaction_id: Str,
    once: bool,
    state: Str,
    expires_ms: u32,
};

pub const Level = enum(c_int) { trace, debug, info, warn, @"error", critical };

pub const Field = extern struct {
    key: ?[*:0]const u8 = null,
    value: Str = .{},
};

/// One thing that a plugin hears, or says of itself.
pub const Item = extern struct {
    hears: Hears,
    name: ?[*:0]const u8 = null,
    keys: ?[*:null]const ?[*:0]const u8 = null,
    /// Here each function takes the whole message.
    whole: bool = true,
    function: Function = .{ .hook = null },

    pub const Hears = enum(c_int) {
        end,
        reusable,
        register,
        query,
        any_query,
        event,
        any_event,
        listener,
    };

    pub const Function = extern union {
        query: ?*const fn (*const Event, *Reply) callconv(.c) ?*const Error,
        event: ?*const fn (*const Event) callconv(.c) ?*const Error,
        hook: ?*const fn () callconv(.c) ?*const Error,
    };
};

/// JSON that was read. Children follow one another by `next`; all text is followed by a NUL.
pub const Value = extern struct {
    kind: enum(c_int) { null, bool, number, string, array, object },
    key: Str,
    text: Str,
    first: ?*const Value,
    next: ?*const Value,
};

pub const Writer = opaque {};

pub extern fn conche_alloc(size: usize) [*]align(@alignOf(c_longdouble)) u8;

pub extern fn conche_parse_data(event: *const Event, value: **const Value) ?*const Error;
pub extern fn conche_count(value: *const Value) usize;
pub extern fn conche_member(object: *const Value, key: [*:0]const u8) ?*const Value;

pub extern fn conche_write() *Writer;
pub extern fn conche_put_string(*Writer, key: ?[*:0]const u8, Str) void;
pub extern fn conche_put_bool(*Writer, key: ?[*:0]const u8, bool) void;
pub extern fn conche_put_i64(*Writer, key: ?[*:0]const u8, i64) void;
pub extern fn conche_put_u64(*Writer, key: ?[*:0]const u8, u64) void;
pub extern fn conche_put_double(*Writer, key: ?[*:0]const u8, f64) void;
pub extern fn conche_put_null(*Writer, key: ?[*:0]const u8) void;
pub extern fn conche_put_raw(*Writer, key: ?[*:0]const u8, json: Str) void;
pub extern fn conche_put_value(*Writer, key: ?[*:0]const u8, *const Value) void;
pub extern fn conche_put_object(*Writer, key: ?[*:0]const u8) void;
pub extern fn conche_put_array(*Writer, key: ?[*:0]const u8) void;
pub extern fn conche_end(*Writer) void;
pub extern fn conche_json_of(*Writer) Payload;

pub extern fn conche_error_text(*const Error) Str;

pub extern fn conche_emit(*const Draft, id: *Str) ?*const Error;
pub extern fn conche_request(*const Draft, timeout_ms: u32, answer: *Event) ?*const Error;
pub extern fn conche_request_all([*]const Draft, count: usize, timeout_ms: u32, answers: [*]Answer) void;
pub extern fn conche_exchange(*const Draft, answer_types: [*:null]const ?[*:0]const u8, timeout_ms: u32, answer: *Event) ?*const Error;
pub extern fn conche_add_listener(*const Listener, id: *Str) ?*const Error;
pub extern fn conche_remove_listener(id: Str) ?*const Error;

pub extern fn conche_config(key: [*:0]const u8) Str;
pub extern fn conche_config_keys(keys: *[*]const Str) usize;
pub extern fn conche_log_fields(Level, message: [*:0]const u8, fields: [*]const Field) void;
pub extern fn conche_attempt() u32;
pub extern fn conche_idempotency_key() Str;
pub extern fn conche_remaining_ms() u32;
pub extern fn conche_hops() u32;

pub extern fn conche_on_query(handler: [*:0]const u8, op: [*:0]const u8) void;
pub extern fn conche_on_any_query(handler: [*:0]const u8) void;
pub extern fn conche_on_event(handler: [*:0]const u8, types: [*:null]const ?[*:0]const u8) void;
pub extern fn conche_on_any_event(handler: [*:0]const u8) void;
pub extern fn conche_on_listener(handler: [*:0]const u8) void;
pub extern fn conche_reusable() void;
