//! `conche.toml` as written: which keys there are and of which kind. No defaults, no checks of
//! one setting against another.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ErrorAnswers, LogFormat};
use crate::policy::{Ceiling, RawPolicy};
use crate::settings::{
    Document, Mistakes, Problem, Section, Written, bytes, parse_duration, whole,
};
use crate::subject::SubjectPattern;

/// A text, as somebody wrote it.
pub(super) type Text = Option<Written<String>>;
/// A number, perhaps of bytes.
pub(super) type Number = Option<Written<u64>>;
/// A duration.
pub(super) type Time = Option<Written<Duration>>;

/// What the largest memory can be, in bytes: one page at the least, and what the engine reserves for
/// one, which is all that 32 bits reach.
const MAX_MEMORY: RangeInclusive<u64> = 64 << 10..=4 << 30;

/// Everything that was said, by whomever; the environment and flags are put over the file.
#[derive(Debug, Clone, Default)]
pub struct RawConfig {
    pub(super) source: Text,
    pub(super) nats: RawNats,
    pub(super) events: RawEvents,
    pub(super) calls: RawCalls,
    pub(super) plugins: RawPlugins,
    pub(super) cache: RawCache,
    pub(super) gateway: RawGateway,
    /// `[health] listen`
    pub(super) health: Text,
    /// `[shutdown] drain`
    pub(super) drain: Time,
    pub(super) log: RawLog,
    pub(super) compat: RawCompat,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawNats {
    pub(super) urls: Option<Written<Vec<String>>>,
    pub(super) queue_group: Text,
    pub(super) namespace: Option<Written<Vec<SubjectPattern>>>,
    pub(super) client_id: Text,
    /// The inner `None` is for ever.
    pub(super) max_reconnects: Option<Written<Option<u32>>>,
    pub(super) reconnect_wait: Time,
    pub(super) request_timeout: Time,
    pub(super) auth: RawAuth,
    pub(super) tls: RawTls,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawAuth {
    pub(super) user: Text,
    pub(super) password: Text,
    pub(super) token: Text,
    pub(super) nkey: Text,
    pub(super) creds: Text,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawTls {
    pub(super) required: Option<Written<bool>>,
    pub(super) ca: Text,
    pub(super) cert: Text,
    pub(super) key: Text,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawEvents {
    pub(super) stream: Text,
    pub(super) subjects: Option<Written<Vec<SubjectPattern>>>,
    pub(super) durable: Text,
    pub(super) create: Option<Written<bool>>,
    pub(super) replicas: Number,
    /// The inner `None` is without limit; so below.
    pub(super) max_age: Option<Written<Option<Duration>>>,
    pub(super) max_bytes: Option<Written<Option<u64>>>,
    pub(super) duplicate_window: Time,
    pub(super) ack_wait: Time,
    pub(super) publish_timeout: Time,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawCalls {
    pub(super) slots: Number,
    pub(super) guest_threads: Number,
    pub(super) hop_limit: Number,
    pub(super) request_timeout: Time,
    pub(super) max_memory: Number,
    pub(super) max_table_elements: Number,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawPlugins {
    pub(super) dir: Text,
    pub(super) policies: Text,
    pub(super) default: RawPolicy,
    pub(super) ceiling: Ceiling,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawCache {
    pub(super) dir: Text,
    pub(super) max_bytes: Number,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawGateway {
    pub(super) listen: Text,
    pub(super) token: Text,
    pub(super) token_file: Text,
    pub(super) hosts: Option<Written<Vec<String>>>,
    pub(super) max_body: Number,
    pub(super) timeout: Time,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawLog {
    pub(super) format: Option<Written<LogFormat>>,
    pub(super) level: Text,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawCompat {
    pub(super) transaction_attribute: Text,
    pub(super) errors: Option<Written<ErrorAnswers>>,
    pub(super) event_subject: Option<Written<Vec<String>>>,
}

impl RawConfig {
    /// Reads the text of `conche.toml`; `file` is the path that origins will name. What can't
    /// be read is absent, and a mistake.
    ///
    /// # Errors
    /// The text is no TOML.
    pub fn parse(file: &str, text: &str) -> Result<(RawConfig, Mistakes), Mistakes> {
        let document = Document::parse(file, text)?;
        let raw = document.read(RawConfig::read);
        Ok((raw, document.into_mistakes()))
    }

    fn read(s: &mut Section<'_>) -> RawConfig {
        RawConfig {
            source: s.string("source"),
            nats: s.section("nats", RawNats::read),
            events: s.section("events", RawEvents::read),
            calls: s.section("calls", RawCalls::read),
            plugins: s.section("plugins", |s| RawPlugins {
                dir: s.string("dir"),
                policies: s.string("policies"),
                default: s.section("default", RawPolicy::read),
                ceiling: s.section("ceiling", Ceiling::read),
            }),
            cache: s.section("cache", |s| RawCache {
                dir: s.string("dir"),
                max_bytes: s.bytes("max_bytes"),
            }),
            gateway: s.section("gateway", RawGateway::read),
            health: s.section("health", |s| s.string("listen")),
            drain: s.section("shutdown", |s| s.duration("drain")),
            log: s.section("log", |s| RawLog {
                format: s.parsed("format", log_format),
                level: s.string("level"),
            }),
            compat: s.section("compat", |s| RawCompat {
                transaction_attribute: s.string("transaction_attribute"),
                errors: s.parsed("errors", |text| match text {
                    "faults" => Ok(ErrorAnswers::Faults),
                    "silent" => Ok(ErrorAnswers::Silent),
                    _ => Err(Problem::choice(text, &["faults", "silent"])),
                }),
                event_subject: s.strings("event_subject"),
            }),
        }
    }
}

impl RawNats {
    fn read(s: &mut Section<'_>) -> RawNats {
        RawNats {
            urls: s.strings("urls"),
            queue_group: s.string("queue_group"),
            namespace: s.subjects("namespace"),
            client_id: s.string("client_id"),
            max_reconnects: s.value("max_reconnects", |value| {
                let wanted = "number of attempts: write a whole number, or \"forever\"";
                let attempts = whole(value).ok().and_then(|n| u32::try_from(n).ok());
                match value.as_str() {
                    Some("forever") => Ok(None),
                    _ => attempts
                        .map(Some)
                        .ok_or_else(|| Problem::wanted(wanted, value)),
                }
            }),
            reconnect_wait: s.duration("reconnect_wait"),
            request_timeout: s.duration("request_timeout"),
            auth: s.section("auth", |s| RawAuth {
                user: s.string("user"),
                password: s.string("password"),
                token: s.string("token"),
                nkey: s.string("nkey"),
                creds: s.string("creds"),
            }),
            tls: s.section("tls", |s| RawTls {
                required: s.boolean("required"),
                ca: s.string("ca"),
                cert: s.string("cert"),
                key: s.string("key"),
            }),
        }
    }
}

impl RawEvents {
    fn read(s: &mut Section<'_>) -> RawEvents {
        RawEvents {
            stream: s.string("stream"),
            subjects: s.subjects("subjects"),
            durable: s.string("durable"),
            create: s.boolean("create"),
            replicas: s.whole("replicas", 1, 5),
            max_age: s.value("max_age", |value| match value.as_str() {
                Some("unlimited") => Ok(None),
                text => text.and_then(parse_duration).map(Some).ok_or_else(|| {
                    Problem::wanted("duration: write \"30d\", or \"unlimited\"", value)
                }),
            }),
            max_bytes: s.value("max_bytes", |value| match value.as_str() {
                Some("unlimited") => Ok(None),
                _ => match bytes(value)? {
                    // To a server that would be as much as there is room for.
                    0 => Err(Problem::Other(
                        "0B keeps nothing: write \"unlimited\"".to_owned(),
                    )),
                    most => Ok(Some(most)),
                },
            }),
            duplicate_window: s.duration("duplicate_window"),
            ack_wait: s.duration("ack_wait"),
            publish_timeout: s.duration("publish_timeout"),
        }
    }
}

impl RawCalls {
    fn read(s: &mut Section<'_>) -> RawCalls {
        RawCalls {
            slots: s.whole("slots", 1, 100_000),
            guest_threads: s.whole("guest_threads", 1, 1_024),
            hop_limit: s.whole("hop_limit", 1, 1_000),
            request_timeout: s.duration("request_timeout"),
            max_memory: s.bytes_within("max_memory", MAX_MEMORY),
            max_table_elements: s.whole("max_table_elements", 1, 10_000_000),
        }
    }
}

impl RawGateway {
    fn read(s: &mut Section<'_>) -> RawGateway {
        RawGateway {
            listen: s.string("listen"),
            token: s.string("token"),
            token_file: s.string("token_file"),
            hosts: s.strings("hosts"),
            max_body: s.bytes_within("max_body", 1..=u64::MAX),
            timeout: s.duration("timeout"),
        }
    }
}

/// A name of a log format.
pub(super) fn log_format(text: &str) -> Result<LogFormat, Problem> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err(Problem::choice(text, &["auto", "human", "json"])),
    }
}
