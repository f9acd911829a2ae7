//! What the host keeps beside one instance: its budgets, and the call or the registration that is
//! under way. Re-armed for each call. Must not know the registry or where calls come from.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use super::clock::Cpu;
use super::failure::Raised;
use super::limits::MemoryLimiter;
use super::output::Output;
use super::registrations::Registrations;
use super::{Call, Emitted, Tenant};

/// The most random bytes that a guest may ask for at once.
const RANDOM_BYTES_MAX: u64 = 64 * 1024;

/// The data of a store.
pub(super) struct State {
    pub(super) tenant: Arc<Tenant>,
    pub(super) memory: MemoryLimiter,
    pub(super) cpu: Cpu,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    pub(super) phase: Phase,
    wasi: WasiCtx,
    table: ResourceTable,
}

/// What the instance is doing.
pub(super) enum Phase {
    Idle,
    Registering(Box<Registrations>),
    Calling(Box<Running>),
}

/// A call under way.
pub(super) struct Running {
    pub(super) facts: CallFacts,
    pub(super) emitted: Vec<Emitted>,
    pub(super) emitted_bytes: usize,
    /// Hashes of the drafts without a key, to tell equal ones apart.
    pub(super) drafts: Vec<[u8; 32]>,
    pub(super) requests: u32,
    pub(super) requested_bytes: usize,
    pub(super) log_lines: u32,
    pub(super) log_bytes: usize,
    pub(super) log_dropped: u64,
}

/// What capabilities need to know of the message that caused the call.
pub(super) struct CallFacts {
    pub(super) event_id: String,
    pub(super) event_source: String,
    pub(super) handler: Arc<str>,
    pub(super) transaction_id: Option<String>,
    pub(super) attempt: u32,
    pub(super) hops: u32,
    pub(super) deadline: Instant,
}

impl State {
    pub(super) fn new(tenant: Arc<Tenant>) -> State {
        let limits = &tenant.policy.limits;
        let stdout = Output::new(limits.output_bytes);
        let stderr = Output::new(limits.output_bytes);
        let wasi = WasiCtx::builder()
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .max_random_size(RANDOM_BYTES_MAX)
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        State {
            memory: MemoryLimiter::new(limits.memory_bytes, limits.table_elements),
            cpu: Cpu {
                used: Duration::ZERO,
                limit: limits.cpu,
                waited: false,
            },
            stdout,
            stderr,
            phase: Phase::Idle,
            wasi,
            table,
            tenant,
        }
    }

    /// Arms every budget for one call.
    pub(super) fn begin(&mut self, call: &Call<'_>) {
        self.cpu.used = Duration::ZERO;
        self.memory.denied = None;
        self.phase = Phase::Calling(Box::new(Running {
            facts: CallFacts {
                event_id: call.event.id.clone(),
                event_source: call.event.source.clone(),
                handler: call.handler.clone(),
                transaction_id: call.transaction_id.map(str::to_owned),
                attempt: call.attempt,
                hops: call.hops,
                deadline: call.deadline,
            },
            emitted: Vec::new(),
            emitted_bytes: 0,
            drafts: Vec::new(),
            requests: 0,
            requested_bytes: 0,
            log_lines: 0,
            log_bytes: 0,
            log_dropped: 0,
        }));
    }

    /// The call under way, or a trap that says that there is none.
    pub(super) fn running(&mut self, what: &str) -> wasmtime::Result<&mut Running> {
        match &mut self.phase {
            Phase::Calling(running) => Ok(running),
            _ => Err(misused(format!(
                "{what} works only while a handler runs, not in register"
            ))),
        }
    }

    /// The registration under way, or a trap that says that there is none.
    pub(super) fn registering(&mut self) -> wasmtime::Result<&mut Registrations> {
        match &mut self.phase {
            Phase::Registering(registrations) => Ok(registrations),
            _ => Err(misused(
                "called a registration function outside register: declare handlers there",
            )),
        }
    }
}

/// A trap with our own text.
pub(super) fn misused(what: impl Into<String>) -> wasmtime::Error {
    wasmtime::Error::new(Raised::Misused(what.into()))
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
