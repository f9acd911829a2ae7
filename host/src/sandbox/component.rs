//! Bytes made into a component: checked, compiled at low priority or taken from the cache, linked.
//! Must not know where the bytes came from or who will be called.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tracing::warn;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};

use super::bindings::exports::conche::handler::{event_handler, lifecycle, query_handler};
use super::cache::Key;
use super::shelves::{Shelf, Shelves};
use super::state::State;
use super::{Digest, Instance, Sandbox, weight};
use crate::text::{REASON_MAX, cut};

/// The largest component that is compiled, in bytes. Python's are 19 MB, StarlingMonkey's 12.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;

/// What wasmtime says of a component that has more than the pool's limits for one. There is no type
/// for it: a test holds this text to wasmtime's.
const OF_THE_POOL: &str = "pooling allocator";

/// How much nicer than the rest of the host the compiler is: it gets about a tenth of a processor
/// that serving wants whole, so that a swap under load comes late, but comes.
#[cfg(target_os = "linux")]
const COMPILER_NICENESS: i32 = 10;

/// A component that is compiled and linked. Clones share the code.
#[derive(Clone)]
pub struct Compiled {
    pub(super) pre: InstancePre<State>,
    pub(super) lifecycle: lifecycle::GuestIndices,
    pub(super) query: Option<query_handler::GuestIndices>,
    pub(super) event: Option<event_handler::GuestIndices>,
    pub(super) shelves: Arc<Shelves<Box<Instance>>>,
    /// Of the component's bytes.
    pub digest: Digest,
    /// Size of the component, in bytes.
    pub size: usize,
    /// Where its machine code came from.
    pub code: Code,
    /// How long compiling, or loading, took.
    pub compile_time: Duration,
    /// Names of what it imports, as in its WIT world; in alphabetical order, as the exports.
    pub imports: Vec<String>,
    /// Names of what it exports.
    pub exports: Vec<String>,
}

/// Whether a component that imports, or exports, all these has this interface of `wit/handler.wit`
/// among them, in whichever version.
pub(crate) fn has_interface(names: &[String], interface: &str) -> bool {
    let prefix = format!("conche:handler/{interface}@");
    names.iter().any(|name| name.starts_with(&prefix))
}

/// Where machine code came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The compiler, just now.
    Compiled,
    /// The cache.
    Cached,
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
    /// Any other file.
    #[error(
        "is no WebAssembly component: its first bytes are not `\\0asm`; build one for wasm32-wasip2"
    )]
    NoWasm,
    /// Cut off, or damaged.
    #[error("is no WebAssembly component: {reason}")]
    Broken {
        /// wasmtime's text.
        reason: String,
    },
    /// Of code that would take the compiler too long, or too much memory.
    #[error("is too much for the compiler: {reason}")]
    TooHeavy {
        /// Which function, its number and the limit.
        reason: String,
    },
    /// Of memories, tables or core instances.
    #[error("takes more of the host's pool than one component may: {reason}")]
    TooManyParts {
        /// wasmtime's text: what, how many, and the limit.
        reason: String,
    },
    /// The host's own failure.
    #[error("could not be compiled: {reason}")]
    NotCompiled {
        /// What went wrong.
        reason: String,
    },
    /// A component of another world.
    #[error("is a component of another world: {reason}")]
    WrongWorld {
        /// What is missing or unknown.
        reason: String,
    },
}

impl LoadError {
    /// Whether it is an interface of WASI that a host does not have.
    pub fn is_about_wasi(&self) -> bool {
        matches!(self, LoadError::WrongWorld { reason } if reason.contains("`wasi:"))
    }
}

impl Sandbox {
    /// Makes bytes a component that is ready for instances. From the cache it takes some
    /// milliseconds; else it compiles, 0.05 s for a Rust guest and up to 10 s for Python, and the
    /// caller waits for it: never call it on a thread that serves.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn compile(&self, bytes: &[u8]) -> Result<Compiled, LoadError> {
        let began = Instant::now();
        check_bytes(bytes)?;
        let digest = Digest::of(bytes);
        let key = Key::new(&digest, &self.engine);
        let cached = self
            .cache
            .as_ref()
            .and_then(|cache| cache.load(&self.engine, &key));
        let (component, code) = match cached {
            Some(component) => (component, Code::Cached),
            None => (self.compile_anew(bytes, &key)?, Code::Compiled),
        };
        let kind = component.component_type();
        let imports = kind.imports(&self.engine).map(|(name, _)| name.to_owned());
        let mut imports: Vec<_> = imports.collect();
        let exports = kind.exports(&self.engine).map(|(name, _)| name.to_owned());
        let mut exports: Vec<_> = exports.collect();
        // Their order is the linker's, and another in the next build of the same source.
        imports.sort_unstable();
        exports.sort_unstable();
        let wrong = |error: wasmtime::Error| LoadError::WrongWorld {
            reason: in_short(&error),
        };
        let pre = self.linker.instantiate_pre(&component).map_err(wrong)?;
        let lifecycle = lifecycle::GuestIndices::new(&pre).map_err(wrong)?;
        component.initialize_copy_on_write_image().map_err(wrong)?;
        Ok(Compiled {
            lifecycle,
            query: query_handler::GuestIndices::new(&pre).ok(),
            event: event_handler::GuestIndices::new(&pre).ok(),
            pre,
            shelves: self.shelves.clone(),
            digest,
            size: bytes.len(),
            code,
            compile_time: began.elapsed(),
            imports,
            exports,
        })
    }

    fn compile_anew(&self, bytes: &[u8], key: &Key) -> Result<Component, LoadError> {
        weight::check(bytes).map_err(|heavy| LoadError::TooHeavy {
            reason: heavy.to_string(),
        })?;
        let component = compile_apart(&self.engine, bytes)?;
        if let Some(cache) = &self.cache {
            match component.serialize() {
                Ok(code) => cache.store(key, &code),
                Err(error) => warn!(%error, "compiled code cannot be written out"),
            }
        }
        Ok(component)
    }
}

impl Compiled {
    /// What it runs on, pool included: `bench` makes its bare calls there.
    pub fn engine(&self) -> &Engine {
        self.pre.engine()
    }

    /// A place for its idle instances.
    pub(crate) fn shelf(&self) -> Arc<Shelf<Box<Instance>>> {
        self.shelves.add()
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// Compiles on a thread of its own: its low priority would stick to a thread of a pool.
fn compile_apart(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    let failed = |reason: String| LoadError::NotCompiled { reason };
    std::thread::scope(|scope| {
        let compiler = std::thread::Builder::new()
            .name("compile".into())
            .spawn_scoped(scope, || {
                be_nice();
                Component::from_binary(engine, bytes)
            })
            .map_err(|error| failed(format!("no thread to do it on: {error}")))?;
        match compiler.join() {
            Ok(Ok(component)) => Ok(component),
            Ok(Err(error)) => {
                let reason = in_short(&error);
                Err(if reason.contains(OF_THE_POOL) {
                    LoadError::TooManyParts { reason }
                } else {
                    LoadError::Broken { reason }
                })
            }
            Err(_) => Err(failed("the compiler panicked".into())),
        }
    })
}

/// wasmtime's text in one line: its parser's lists have lines, and names are the component's.
fn in_short(error: &wasmtime::Error) -> String {
    let text = format!("{error:#}");
    let words: Vec<_> = text.split_whitespace().collect();
    cut(&words.join(" "), REASON_MAX).into_owned()
}

/// Lowers the priority of this thread for good. Other systems than Linux have one for the whole
/// process only: there it stays as it is.
fn be_nice() {
    #[cfg(target_os = "linux")]
    // A system that refuses compiles at the usual priority.
    let _ = rustix::process::nice(COMPILER_NICENESS);
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
    if !bytes.starts_with(b"\0asm") {
        return Err(LoadError::NoWasm);
    }
    // The preamble: magic, version, and layer (0 a module, 1 a component).
    if bytes.starts_with(b"\0asm\x01\0\0\0") {
        return Err(LoadError::CoreModule);
    }
    Ok(())
}
