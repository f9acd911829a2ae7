//! What the host keeps beside one instance: its budgets, and the call or the registration that is
//! under way. Re-armed for each call. Must not know the registry or where calls come from.

use std::sync::Arc;

use tokio::time::Instant;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use super::clock::CpuClock;
use super::failure::Raised;
use super::limits::MemoryLimiter;
use super::output::Output;
use super::registrations::Registering;
use super::stage::StoppedClock;
use super::{Call, Effects, Tenant};
use crate::envelope::CloudEvent;
use crate::policy::Grant;

/// The most random bytes that a guest may ask for at once.
const RANDOM_BYTES_MAX: u64 = 64 * 1024;

/// Entries of the table behind WASI's handles: two for each that the policy allows (a pollable and
/// what it waits for), so that the handles are what a guest runs out of.
const ENTRIES_PER_HANDLE: usize = 2;

/// The data of a store.
pub(super) struct State {
    pub(super) tenant: Arc<Tenant>,
    pub(super) memory: MemoryLimiter,
    pub(super) clock: CpuClock,
    pub(super) phase: Phase,
    pub(super) logged: Logged,
    /// Made when the guest first asks: a call that only computes does without.
    pub(super) wasi: Option<Box<Wasi>>,
    table: ResourceTable,
}

/// WASI without files, environment, arguments or sockets.
pub(super) struct Wasi {
    context: WasiCtx,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
}

/// What went to the log since the call, or the registration, began.
#[derive(Default)]
pub(super) struct Logged {
    pub(super) lines: u32,
    pub(super) bytes: usize,
    pub(super) dropped: u64,
}

/// What the instance is doing.
pub(super) enum Phase {
    Idle,
    Registering(Box<Registering>),
    Calling(Box<Running>),
}

/// A call under way.
pub(super) struct Running {
    pub(super) facts: CallFacts,
    pub(super) effects: Effects,
    pub(super) emitted_bytes: usize,
    /// Hashes of the drafts without a key, to tell equal ones apart.
    pub(super) drafts: Vec<[u8; 32]>,
    /// Ids of the messages with a key.
    pub(super) keyed: Vec<String>,
    pub(super) requests: u32,
    pub(super) requested_bytes: usize,
}

/// What capabilities need to know of the message that caused the call.
pub(super) struct CallFacts {
    pub(super) event: Arc<CloudEvent>,
    pub(super) handler: Arc<str>,
    pub(super) attempt: u32,
    pub(super) hops: u32,
    /// Where the event is stored, if it is: stream and sequence.
    pub(super) stored_at: Option<(String, u64)>,
    pub(super) deadline: Instant,
    /// The id of the listener that matched.
    pub(super) listener: Option<String>,
}

impl State {
    pub(super) fn new(tenant: Arc<Tenant>, clock: CpuClock) -> State {
        let limits = &tenant.policy.limits;
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles.saturating_mul(ENTRIES_PER_HANDLE));
        State {
            memory: MemoryLimiter::new(limits.memory_bytes, limits.table_elements),
            clock,
            phase: Phase::Idle,
            logged: Logged::default(),
            wasi: None,
            table,
            tenant,
        }
    }

    /// Arms every budget for what comes next.
    pub(super) fn begin(&mut self, phase: Phase) {
        self.clock.reset();
        self.memory.denied = None;
        self.logged = Logged::default();
        self.phase = phase;
    }
}

impl Phase {
    /// A call that has used nothing yet.
    pub(super) fn calling(call: &Call<'_>) -> Phase {
        Phase::Calling(Box::new(Running {
            facts: CallFacts {
                event: call.event.clone(),
                handler: call.handler.clone(),
                attempt: call.attempt,
                hops: call.hops,
                stored_at: call.stored_at.map(|(stream, seq)| (stream.to_owned(), seq)),
                deadline: call.deadline,
                listener: call.listener.map(|heard| heard.id.to_owned()),
            },
            effects: Effects::default(),
            emitted_bytes: 0,
            drafts: Vec::new(),
            keyed: Vec::new(),
            requests: 0,
            requested_bytes: 0,
        }))
    }
}

impl CallFacts {
    /// The transaction that the call belongs to.
    pub(super) fn transaction_id(&self, tenant: &Tenant) -> Option<&str> {
        let attribute = &tenant.config.compat.transaction_attribute;
        self.event.transaction_id(attribute)
    }

    /// Stream and sequence.
    pub(super) fn stored_at(&self) -> Option<(&str, u64)> {
        let (stream, sequence) = self.stored_at.as_ref()?;
        Some((stream, *sequence))
    }
}

impl State {
    /// What the guest wants to send or to hear, for whoever watches it.
    pub(super) fn asks(&self, grant: Grant, subject: &str) {
        if let Some(stage) = &self.tenant.stage {
            stage.asked(grant, subject);
        }
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
    pub(super) fn registering(&mut self) -> wasmtime::Result<&mut Registering> {
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

impl Wasi {
    fn new(output_bytes: usize, clock: Option<StoppedClock>) -> Wasi {
        let stdout = Output::new(output_bytes);
        let stderr = Output::new(output_bytes);
        let mut context = WasiCtx::builder();
        context
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .max_random_size(RANDOM_BYTES_MAX)
            .allow_tcp(false)
            .allow_udp(false);
        if let Some(clock) = clock {
            context.wall_clock(clock);
        }
        Wasi {
            context: context.build(),
            stdout,
            stderr,
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let output_bytes = self.tenant.policy.limits.output_bytes;
        let wasi = self.wasi.get_or_insert_with(|| {
            let stage = self.tenant.stage.as_ref();
            let clock = stage.and_then(|stage| stage.clock());
            Box::new(Wasi::new(output_bytes, clock))
        });
        WasiCtxView {
            ctx: &mut wasi.context,
            table: &mut self.table,
        }
    }
}
