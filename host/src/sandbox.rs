//! The sandbox: the engine, the linker, and bytes made into a [`Compiled`] component whose
//! instances serve calls. The only place that knows wasmtime. It must not know NATS, the registry,
//! or files.

mod bindings;
mod capabilities;
mod clock;
mod convert;
mod effects;
mod failure;
mod guest_log;
mod instance;
mod limits;
mod output;
mod registrations;
mod requests;
mod state;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::envelope::{CloudEvent, Fault};
use crate::outbound::Outbound;
use crate::policy::{PluginName, Policy};
use bindings::exports::conche::handler::{event_handler, lifecycle, query_handler};
use clock::Ticker;
use state::State;

pub use effects::Emitted;
pub use failure::Failure;
pub(crate) use instance::Instance;
pub use registrations::Registrations;

/// The largest component that is compiled, in bytes. Python's are 19 MB, StarlingMonkey's 12.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;

/// Core instances that one component may have: Python with everything has more than 20.
const CORE_INSTANCES_PER_COMPONENT: u32 = 60;

/// Core instances for each component instance in the pool: a Rust guest has 3, an average of 6
/// leaves room for others.
const CORE_INSTANCES_PER_INSTANCE: u32 = 6;

/// The stack of a guest, in bytes, and of the fiber that it runs on.
const GUEST_STACK_BYTES: usize = 512 << 10;
const FIBER_STACK_BYTES: usize = 1 << 20;

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
}

/// Compiles components and runs them. One a process.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<State>,
    _ticker: Ticker,
}

/// A component that is compiled and linked.
pub struct Compiled {
    pre: InstancePre<State>,
    lifecycle: lifecycle::GuestIndices,
    query: Option<query_handler::GuestIndices>,
    event: Option<event_handler::GuestIndices>,
    /// Of the component's bytes.
    pub digest: Digest,
    /// Size of the component, in bytes.
    pub size: usize,
    /// How long compiling, or loading, took.
    pub compile_time: Duration,
    /// Names of what it imports, as in its WIT world.
    pub imports: Vec<String>,
    /// Names of what it exports.
    pub exports: Vec<String>,
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
    /// Extension attribute of the transaction id.
    pub transaction_attribute: String,
    /// Where its emits and requests go.
    pub outbound: Outbound,
    /// Queries may ask queries this deep.
    pub hop_limit: u32,
    /// Of a request that names no time-out.
    pub request_timeout: Duration,
}

/// One call of one handler.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Which registration matched.
    pub handler: &'a Arc<str>,
    /// The query or event.
    pub event: &'a CloudEvent,
    /// Its transaction id.
    pub transaction_id: Option<&'a str>,
    /// 1 at the first delivery.
    pub attempt: u32,
    /// Queries between the first cause and this one.
    pub hops: u32,
    /// When the call ends, waiting included.
    pub deadline: tokio::time::Instant,
}

/// What a query handler did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryOutcome {
    /// The reply, silence, or a fault.
    pub answer: Result<Option<CloudEvent>, Fault>,
    /// To be released before the reply; empty after a fault.
    pub emitted: Vec<Emitted>,
}

/// What an event handler did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOutcome {
    /// How it ended.
    pub verdict: Verdict,
    /// To be released before the source is acknowledged; empty unless `Done`.
    pub emitted: Vec<Emitted>,
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

/// Why bytes are no plugin.
#[derive(Debug, Error)]
pub enum LoadError {
    /// An empty or cut-off copy, perhaps still being written.
    #[error("is empty: was it still being written? write to another name and rename it")]
    Empty,
    /// Above [`COMPONENT_BYTES_MAX`].
    #[error("has {size} bytes, more than the {COMPONENT_BYTES_MAX} that a component may have")]
    TooLarge {
        /// Its size, in bytes.
        size: usize,
    },
    /// Machine code is never loaded from a plugins directory.
    #[error("is compiled machine code (.cwasm), which is never loaded: drop the .wasm component")]
    Precompiled,
    /// A module where a component is needed.
    #[error(
        "is a core module, not a component: build for wasm32-wasip2, or run wasm-tools component new"
    )]
    CoreModule,
    /// Neither.
    #[error("is no WebAssembly component: {reason}")]
    Broken {
        /// wasmtime's text.
        reason: String,
    },
    /// A component of another world.
    #[error("is a component of another world: {reason}")]
    WrongWorld {
        /// What is missing or unknown.
        reason: String,
    },
}

impl Sandbox {
    /// An engine with its pool and its ticker.
    ///
    /// # Errors
    /// What wasmtime refuses, such as an address space too small for the pool.
    pub fn new(settings: &SandboxSettings) -> wasmtime::Result<Sandbox> {
        let engine = Engine::new(&engine_config(settings))?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        bindings::Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
        let ticker = Ticker::start(&engine)
            .map_err(|error| wasmtime::format_err!("cannot start the epoch thread: {error}"))?;
        Ok(Sandbox {
            engine,
            linker,
            _ticker: ticker,
        })
    }

    /// Compiles a component and links it. Takes 0.05 s for a Rust guest and up to 10 s for
    /// Python: never on a thread that serves.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn compile(&self, bytes: &[u8]) -> Result<Compiled, LoadError> {
        let began = Instant::now();
        check_bytes(bytes)?;
        let component =
            Component::from_binary(&self.engine, bytes).map_err(|error| LoadError::Broken {
                reason: format!("{error:#}"),
            })?;
        let kind = component.component_type();
        let imports = kind.imports(&self.engine).map(|(name, _)| name.to_owned());
        let imports: Vec<_> = imports.collect();
        let exports = kind.exports(&self.engine).map(|(name, _)| name.to_owned());
        let exports: Vec<_> = exports.collect();
        let wrong = |error: wasmtime::Error| LoadError::WrongWorld {
            reason: format!("{error:#}"),
        };
        let pre = self.linker.instantiate_pre(&component).map_err(wrong)?;
        let lifecycle = lifecycle::GuestIndices::new(&pre).map_err(wrong)?;
        component.initialize_copy_on_write_image().map_err(wrong)?;
        Ok(Compiled {
            lifecycle,
            query: query_handler::GuestIndices::new(&pre).ok(),
            event: event_handler::GuestIndices::new(&pre).ok(),
            pre,
            digest: Digest::of(bytes),
            size: bytes.len(),
            compile_time: began.elapsed(),
            imports,
            exports,
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

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
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

fn engine_config(settings: &SandboxSettings) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    let core = settings
        .instances
        .saturating_mul(CORE_INSTANCES_PER_INSTANCE);
    pool.total_component_instances(settings.instances)
        .total_core_instances(core)
        .total_memories(core)
        .total_tables(core)
        .total_stacks(settings.instances)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_tables_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memory_size(settings.memory_bytes)
        .table_elements(settings.table_elements);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        // Many reloads: registering unwind tables with the system gets slower with each.
        .native_unwind_info(false);
    config
}

fn check_bytes(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(LoadError::TooLarge { size: bytes.len() });
    }
    if Engine::detect_precompiled(bytes).is_some() {
        return Err(LoadError::Precompiled);
    }
    // The preamble: magic, version, and layer (0 a module, 1 a component).
    if bytes.starts_with(b"\0asm\x01\0\0\0") {
        return Err(LoadError::CoreModule);
    }
    Ok(())
}
