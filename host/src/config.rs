//! The host's configuration: [`RawConfig`] as written in `conche.toml`, [`Config`] as resolved
//! from flags, environment, file and defaults, in this order of precedence.
//!
//! Environment and files come in as values or closures; only `load.rs` touches the real ones. It
//! must not know NATS, wasmtime or plugins, and it binds and connects nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::policy::{PluginName, PolicyRules};
use crate::settings::Secret;
use crate::subject::{SubjectPattern, check_literal};

mod checks;
pub mod defaults;
mod environment;
mod load;
mod raw;
mod resolve;

pub use environment::Flags;
#[cfg(feature = "host")]
pub(crate) use load::open_regular;
pub use load::{CONFIG_FILE, LoadError, lookups};
pub use raw::RawConfig;
pub use resolve::{Inputs, Machine};

/// Everything the host can be told, resolved and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which command it was resolved for.
    pub mode: Mode,
    /// What to call this host: connection name, and part of the source. The host name by default.
    pub client_id: String,
    pub nats: NatsConfig,
    pub events: EventsConfig,
    pub calls: CallsConfig,
    pub plugins: PluginsConfig,
    pub cache: CacheConfig,
    pub gateway: GatewayConfig,
    pub health: HealthConfig,
    pub shutdown: ShutdownConfig,
    pub log: LogConfig,
    pub compat: CompatConfig,
    /// What does not stop a start and yet deserves a line in the log.
    pub warnings: Vec<String>,
    /// With the placeholders still in: see [`Config::source_of`].
    pub(crate) source: String,
    pub(crate) explained: Vec<Explained>,
}

/// The commands whose defaults differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `conche run`: on NATS, grants as written.
    Run,
    /// `conche health`: as `conche run`, whose connections it does not make.
    Health,
    /// `conche dev`: embedded bus, gateway on loopback, everything granted.
    Dev,
    /// `conche call`: one call, no server, everything granted unless `--policy`.
    Call,
}

/// `[nats]`: connections and queries.
#[derive(Debug, Clone)]
pub struct NatsConfig {
    /// `nats://` or `tls://`; at least one. May hold credentials.
    pub urls: Vec<String>,
    pub queue_group: String,
    /// What query ops must match; what a default-query registration subscribes.
    pub namespace: Vec<SubjectPattern>,
    /// Attempts to connect again before the host gives up and exits, at the start those after the first;
    /// `None` is for ever, 0 is not once.
    pub max_reconnects: Option<u32>,
    /// Before the first attempt; doubled up to `reconnect_wait`.
    pub reconnect_first: Duration,
    /// The longest wait between two attempts.
    pub reconnect_wait: Duration,
    /// For an answer, when the asker names no time.
    pub request_timeout: Duration,
    pub auth: Auth,
    pub tls: Tls,
}

/// Who we are to the server: `[nats.auth]`, or what stands in the URLs. At most one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nobody.
    None,
    UserPassword {
        user: String,
        password: Secret,
    },
    Token(Secret),
    /// A seed, `SU…`.
    Nkey(Secret),
    /// A `.creds` file.
    Credentials(PathBuf),
}

/// `[nats.tls]`: PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Refuse a connection without TLS.
    pub required: bool,
    pub ca: Option<PathBuf>,
    /// With `key`, or neither.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// `[events]`: the stream, and how it is read and written.
#[derive(Debug, Clone)]
pub struct EventsConfig {
    pub stream: String,
    /// What the stream takes; no two overlap, none overlaps the namespace.
    pub subjects: Vec<SubjectPattern>,
    /// Consumers are called `<durable>-<plugin>`.
    pub durable: String,
    /// Whether a missing stream is created.
    pub create: bool,
    /// Of a stream that is created: 1, 3 or 5.
    pub replicas: u8,
    /// Of a stream that is created; `None` keeps events for ever.
    pub max_age: Option<Duration>,
    /// Of a stream that is created; `None` is as much as the server gives.
    pub max_bytes: Option<u64>,
    pub duplicate_window: Duration,
    pub ack_wait: Duration,
    /// For the stream's ack of a publish.
    pub publish_timeout: Duration,
}

/// `[calls]`: what all plugins share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallsConfig {
    /// Calls at the same time, host-wide.
    pub slots: u32,
    /// Threads that run guests.
    pub guest_threads: u32,
    /// Calls that cause calls; the next one is refused.
    pub hop_limit: u32,
    /// For a guest's request that names no time.
    pub request_timeout: Duration,
    /// The largest linear memory that a policy can give; the engine is built with it.
    pub max_memory_bytes: usize,
    /// The largest table that a policy can give; the engine is built with it.
    pub max_table_elements: usize,
}

/// `[plugins]`: where they are and what they may.
#[derive(Debug, Clone)]
pub struct PluginsConfig {
    /// Watched for `<name>.wasm`.
    pub dir: PathBuf,
    /// Watched for `<name>.toml`; `dir` unless set.
    pub policies: PathBuf,
    /// Default and ceiling; makes each plugin's policy.
    pub rules: PolicyRules,
}

/// `[cache]`: compiled code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// Never inside a watched directory.
    pub dir: PathBuf,
    pub max_bytes: u64,
}

/// `[gateway]`: HTTP in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// `None`: no gateway.
    pub listen: Option<SocketAddr>,
    /// Always there when `listen` is no loopback address.
    pub token: Option<Secret>,
    /// `Host` headers taken beside the address itself and `localhost`.
    pub hosts: Vec<String>,
    pub max_body_bytes: usize,
    pub timeout: Duration,
}

/// `[health]`: probes and metrics, on a listener of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// `None`: no listener.
    pub listen: Option<SocketAddr>,
}

/// `[shutdown]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// For calls in flight, from the first signal.
    pub drain: Duration,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    pub format: LogFormat,
    /// A `tracing` filter: `info`, `info,conche::sandbox=debug`.
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, else JSON.
    Auto,
    Human,
    Json,
}

/// `[compat]`: where old services may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompatConfig {
    /// The extension attribute of the transaction id.
    pub transaction_attribute: String,
    pub errors: ErrorAnswers,
    pub event_subject: EventSubject,
}

/// What an asker gets when a query fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorAnswers {
    /// A fault, in binary mode.
    Faults,
    /// Nothing, as old services do.
    Silent,
}

/// Which subject an event is published to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventSubject {
    /// Its type.
    Type,
    /// Whatever the type: listened to on all of these, published to the first. At least one, all
    /// different; the stream takes them.
    Fixed(Vec<String>),
}

/// One resolved value, for `conche config`. Secrets are redacted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explained {
    pub key: String,
    pub value: String,
    /// A flag, an environment variable, `file:line` or `default`.
    pub origin: String,
}

impl Config {
    /// The `source` of what this plugin sends.
    pub fn source_of(&self, plugin: &PluginName) -> String {
        self.source_named(plugin.as_str())
    }

    /// The `source` of what somebody sends who is no plugin, and is called so in its place.
    pub fn source_named(&self, name: &str) -> String {
        self.source
            .replace("{client_id}", &self.client_id)
            .replace("{plugin}", name)
    }

    /// The subject that events of a type are published to: the type itself, the one for what is
    /// no legal subject, or the first of those for all. `None`: the stream has no place for it.
    pub fn event_subject(&self, ty: &str) -> Option<String> {
        match &self.compat.event_subject {
            EventSubject::Fixed(subjects) => subjects.first().cloned(),
            EventSubject::Type if check_literal(ty).is_ok() => Some(ty.to_owned()),
            EventSubject::Type => self.events.other_subject(),
        }
    }

    /// The subjects that events of a type are listened to on; none: the stream has no place for it.
    pub fn heard_subjects(&self, ty: &str) -> Vec<String> {
        match &self.compat.event_subject {
            EventSubject::Fixed(subjects) => subjects.clone(),
            EventSubject::Type => self.event_subject(ty).into_iter().collect(),
        }
    }

    /// Every value and where it comes from, in the order of the file.
    pub fn explain(&self) -> &[Explained] {
        &self.explained
    }
}

impl Mode {
    /// Whether messages come over the in-process bus.
    pub fn is_embedded(self) -> bool {
        matches!(self, Mode::Dev | Mode::Call)
    }
}

impl EventsConfig {
    /// Whether the stream takes a subject.
    pub fn takes(&self, subject: &str) -> bool {
        self.subjects.iter().any(|pattern| pattern.matches(subject))
    }

    /// Where an event goes whose type is no legal subject: `<prefix>._other`, the prefix being
    /// that of the first subject that ends in `.>`. `None`: the stream has no such place.
    pub fn other_subject(&self) -> Option<String> {
        let prefix = self
            .subjects
            .iter()
            .find_map(|s| s.as_str().strip_suffix(".>"))?;
        (!prefix.split('.').any(|token| token == "*")).then(|| format!("{prefix}._other"))
    }

    /// The stream of events that were not handled.
    pub fn dead_letter_stream(&self) -> String {
        format!("{}-dlq", self.stream)
    }

    /// A subject of that stream: that of one dead letter, or of many.
    pub fn dead_letter_subject(&self, which: &str) -> String {
        format!("conche.dlq.{}.{which}", self.stream)
    }

    /// All that it takes: dead letters, and those that are to be handled again.
    pub fn dead_letter_subjects(&self) -> [String; 2] {
        let again = format!("conche.redrive.{}.>", self.stream);
        [self.dead_letter_subject(">"), again]
    }
}

#[cfg(test)]
mod tests;
