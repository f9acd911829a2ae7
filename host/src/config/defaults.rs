//! Every default of `conche.toml`, with its unit and the reason for it. The limits of one plugin
//! have theirs in `policy/limits.rs`.

use std::time::Duration;

/// The old package's default server.
pub const NATS_URL: &str = "nats://nats:4222";
/// Queue group and durable name: the old package had none, so any will do that says who it is.
pub const QUEUE_GROUP: &str = "conche";
/// The old package's wildcard subject.
pub const NAMESPACE: &str = "cyverse.>";
/// Before the first attempt to connect again; it doubles up to [`RECONNECT_WAIT`].
pub const RECONNECT_FIRST: Duration = Duration::from_millis(50);
/// The longest wait between two attempts to connect.
pub const RECONNECT_WAIT: Duration = Duration::from_secs(10);
/// What `NATS_MAX_RECONNECTS=-1` means. Unset, the host tries for ever: one that serves many
/// plugins must not give up after a minute.
pub const OLD_MAX_RECONNECTS: u32 = 6;
/// How long an asker waits for an answer when it names no time itself.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The event stream.
pub const STREAM: &str = "conche-events";
/// What the event stream takes.
pub const EVENT_SUBJECTS: &str = "org.cyverse.events.>";
/// The first part of every consumer's name: `<durable>-<plugin>`.
pub const DURABLE: &str = "conche";
/// Copies of a stream that the host creates. 1 is all that a single server can hold.
pub const REPLICAS: u8 = 1;
/// How long a stream that the host creates keeps an event: a month of standing still, and yet a
/// forgotten stream does not fill the disk.
pub const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long the server waits for an ack before it delivers again, as the old package.
pub const ACK_WAIT: Duration = Duration::from_secs(60);
/// How long the stream knows a message id again; the server's own default.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// How long a publish waits for its ack, as the old package.
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Calls at the same time, per processor: calls mostly wait.
pub const SLOTS_PER_CPU: u32 = 4;
/// Calls at the same time at the least, so that lanes by hop have room.
pub const SLOTS_LEAST: u32 = 16;
/// How often a call may cause a call before it counts as a cycle.
pub const HOP_LIMIT: u32 = 16;
/// The largest linear memory that any policy can give. It is reserved address space a slot, and
/// a `memory.copy` over it can't be interrupted.
pub const MAX_MEMORY: u64 = 256 << 20;
/// The largest table that any policy can give; StarlingMonkey (JavaScript) needs 40,000.
pub const MAX_TABLE_ELEMENTS: u64 = 40_000;

/// The directory that is watched for plugins, from where the host was started.
pub const PLUGINS: &str = "plugins";
/// Compiled code kept on disk: some 50 large guests.
pub const CACHE_MAX_BYTES: u64 = 1 << 30;

/// Where `conche dev` opens the gateway; `conche run` opens none unless told.
pub const DEV_GATEWAY: &str = "127.0.0.1:8080";
/// The largest HTTP body: what nats-server takes out of the box.
pub const GATEWAY_MAX_BODY: u64 = 1 << 20;
/// How long an HTTP request may take in all. Above the deadline of a handler, so that its fault
/// arrives.
pub const GATEWAY_TIMEOUT: Duration = Duration::from_secs(10);
/// Where `conche run` answers probes; a pod sets `0.0.0.0:8081`.
pub const HEALTH: &str = "127.0.0.1:8081";
/// How long calls in flight may still take after SIGTERM; Kubernetes kills after 30 s, so the
/// host is gone a little before.
pub const DRAIN: Duration = Duration::from_secs(25);
/// What is logged.
pub const LOG_LEVEL: &str = "info";

/// The extension attribute that carries the transaction id.
pub const TRANSACTION_ATTRIBUTE: &str = "transactionid";
/// The `source` of what plugins send.
pub const SOURCE: &str = "/conche/{client_id}/{plugin}";
