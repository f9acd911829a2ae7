//! The sandbox: the engine, the linker, and bytes made into a [`Compiled`] component whose
//! instances serve calls. The only place that knows wasmtime. It must not know NATS, the registry,
//! or files, save its cache.

mod bindings;
mod cache;
mod capabilities;
mod clock;
mod component;
mod convert;
mod effects;
mod engine;
mod exchange;
mod failure;
mod guest_log;
mod instance;
mod limits;
mod listening;
mod output;
mod registrations;
mod requests;
mod shelves;
mod stage;
mod state;
mod weight;

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tracing::warn;
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::config::{CacheConfig, Config};
use crate::envelope::{CloudEvent, Fault};
use crate::outbound::Outbound;
use crate::outbound::watch::Watch;
use crate::policy::{PluginName, Policy};
use crate::shutdown::Shutdown;
use cache::Cache;
use clock::Ticker;
use shelves::Shelves;
use state::State;

pub(crate) use component::has_interface;
pub use component::{COMPONENT_BYTES_MAX, Code, Compiled, LoadError};
pub use effects::{Effects, Emitted};
pub use failure::Failure;
pub(crate) use instance::Instance;
pub use listening::{ListenerChange, NewListener};
pub use registrations::Registrations;
pub(crate) use shelves::Shelf;
pub use stage::{GuestLine, Seen, Stage, Usage};

/// SHA-256 of a component's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// The bounds of a whole sandbox; policies stay below them.
#[derive(Debug, Clone)]
pub struct SandboxSettings {
    /// Component instances that may exist at once.
    pub instances: u32,
    /// The largest linear memory of any guest, in bytes.
    pub memory_bytes: usize,
    /// The largest table of any guest.
    pub table_elements: usize,
    /// Where compiled code is kept; without, each start compiles.
    pub cache: Option<CacheConfig>,
}

/// Compiles components and runs them. One a process.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<State>,
    cache: Option<Cache>,
    shelves: Arc<Shelves<Box<Instance>>>,
    _ticker: Ticker,
}

/// The plugin version that an instance belongs to, as far as its capabilities need it.
#[derive(Debug)]
pub struct Tenant {
    /// The plugin.
    pub name: PluginName,
    /// Its version.
    pub digest: Digest,
    /// What it may do.
    pub policy: Policy,
    /// `source` of what it sends.
    pub source: String,
    /// Subjects, attributes and limits that all plugins share.
    pub config: Arc<Config>,
    /// Where its requests and exchanges go.
    pub outbound: Outbound,
    /// Where its exchanges wait for their answers.
    pub watch: Watch,
    /// How many listeners the plugin has, all versions together.
    pub listeners: Arc<AtomicUsize>,
    /// Handlers that a listener may name: known once `register` has run.
    pub listener_handlers: OnceLock<Vec<Arc<str>>>,
    /// Where it is watched instead of serving.
    pub stage: Option<Arc<Stage>>,
}

/// One call of one handler.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Which registration matched.
    pub handler: &'a Arc<str>,
    /// The query or event. Shared: the ids of what a guest sends are made of its own.
    pub event: &'a Arc<CloudEvent>,
    /// 1 at the first delivery.
    pub attempt: u32,
    /// Calls between the first cause and this one.
    pub hops: u32,
    /// Where the event is stored, if it is: stream and sequence.
    pub stored_at: Option<(&'a str, u64)>,
    /// When it began to run: just now, after all waiting. The guest's CPU time counts from here.
    pub began: Instant,
    /// When it ends, waiting included.
    pub deadline: Instant,
    /// The listener that matched, if it was one.
    pub listener: Option<Heard<'a>>,
}

/// A dynamic listener, as its handler sees it.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// The id that `listeners.add` answered.
    pub id: &'a str,
    /// The state given there.
    pub state: &'a str,
}

/// What a query handler did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryOutcome {
    /// The reply, silence, or a fault. Boxed: it passes through many hands.
    pub answer: Result<Option<Box<CloudEvent>>, Fault>,
    /// To be released before the reply; none after a fault.
    pub effects: Effects,
}

/// What an event handler did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOutcome {
    /// How it ended.
    pub verdict: Verdict,
    /// To be released before the source is acknowledged; none unless `Done`.
    pub effects: Effects,
}

/// How an event handler ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Handled.
    Done,
    /// Again later; none: the host's backoff decides.
    Retry {
        /// Why.
        message: String,
        /// After how long.
        after: Option<Duration>,
    },
    /// Never again.
    Reject(Fault),
}

impl<'a> Call<'a> {
    /// A first call that begins now, of a message that is stored nowhere and that no listener
    /// waited for.
    pub fn first(handler: &'a Arc<str>, event: &'a Arc<CloudEvent>, limit: Duration) -> Call<'a> {
        let began = Instant::now();
        Call {
            handler,
            event,
            attempt: 1,
            hops: 0,
            stored_at: None,
            began,
            deadline: began + limit,
            listener: None,
        }
    }
}

impl Tenant {
    /// A plugin by itself, on an outbound of its own.
    pub fn alone(
        name: PluginName,
        digest: Digest,
        policy: Policy,
        config: Arc<Config>,
        outbound: Outbound,
    ) -> Tenant {
        Tenant {
            source: config.source_of(&name),
            name,
            digest,
            policy,
            watch: Watch::new(
                outbound.clone(),
                config.events.stream.clone(),
                config.compat.transaction_attribute.clone(),
                &Shutdown::default(),
                None,
            ),
            config,
            outbound,
            listeners: Arc::default(),
            listener_handlers: OnceLock::new(),
            stage: None,
        }
    }
}

impl Sandbox {
    /// An engine with its pool and its ticker. A cache that cannot be used is a line in the log.
    ///
    /// # Errors
    /// What wasmtime refuses, such as an address space too small for the pool.
    pub fn new(settings: &SandboxSettings) -> wasmtime::Result<Sandbox> {
        let engine = engine::start(settings)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        bindings::Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
        let ticker = Ticker::start(&engine)
            .map_err(|error| wasmtime::format_err!("cannot start the epoch thread: {error}"))?;
        let cache = settings.cache.as_ref().and_then(|config| {
            Cache::open(config)
                .inspect_err(|error| warn!(%error, "cannot keep compiled code: plugins compile at each start (dir in [cache] says where)"))
                .ok()
        });
        Ok(Sandbox {
            engine,
            linker,
            cache,
            // The other half is for calls that run and versions that are tried out.
            shelves: Shelves::new(settings.instances as usize / 2),
            _ticker: ticker,
        })
    }

    /// To be called on each thread that runs guests, before it does.
    pub fn prepare_thread() {
        Engine::tls_eager_initialize();
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

impl Digest {
    /// Hashes a component.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The first 12 hexadecimal digits, for people and logs.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
