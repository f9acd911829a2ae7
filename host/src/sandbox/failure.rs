//! The ways a guest call can fail, each with a message that a plugin author can act on. Must not
//! know who called or what happens next: that is settlement's.

use std::time::Duration;

use thiserror::Error;
use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use super::limits::Denied;

/// What wasmtime says of a host call that carries too much. It has a type, but a private one: a
/// test with a guest that does it holds this text to wasmtime's, word for word.
const FUEL_SPENT: &str = "too much data is being copied between the host and the guest: \
    fuel allocated for hostcalls has been exhausted";

/// As [`FUEL_SPENT`], of a guest with too many handles; this error has no type at all.
const HANDLES_SPENT: &str = "cannot allocate another handle: store handle limit exceeded";

/// Why a call brought no outcome. The instance it ran on is gone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The guest printed a panic or an uncaught error to stderr and trapped.
    #[error("panicked: {text}")]
    Panicked {
        /// The last of what the guest wrote to stderr.
        text: String,
    },
    /// WebAssembly's own reasons: an unreachable instruction, an access out of bounds, a division
    /// by zero.
    #[error("trapped: {reason}")]
    Trapped {
        /// wasmtime's text.
        reason: String,
    },
    /// Wall time, waiting included.
    #[error("{}", deadline_exceeded(*limit, *of))]
    DeadlineExceeded {
        /// What was left when the call began.
        limit: Duration,
        /// What the policy allows, waiting for a slot included.
        of: Duration,
    },
    /// Time spent in guest code.
    #[error("used more than {limit:?} of cpu: raise cpu in [limits], or do less")]
    CpuExceeded {
        /// What the policy allows.
        limit: Duration,
    },
    /// Memory or tables.
    #[error("wanted more than {limit} {what}: raise {key} in [limits], or hold less")]
    OutOfMemory {
        /// What it wanted more of.
        what: &'static str,
        /// The policy's key.
        key: &'static str,
        /// The most there may be.
        limit: usize,
    },
    /// Handles of WASI's resources, or of the guest's own.
    #[error("held more than {limit} handles: raise handles in [limits], or drop what is done with")]
    OutOfHandles {
        /// The most there may be.
        limit: usize,
    },
    /// The guest recursed too deeply.
    #[error("ran out of stack: it recurses too deeply")]
    StackOverflow,
    /// A value handed to the host was larger than what one call may carry.
    #[error("handed over more than {limit} bytes in one call: send less at once")]
    TooMuchAtOnce {
        /// Bytes that one host call may carry.
        limit: usize,
    },
    /// The guest called WASI's `exit`.
    #[error("called exit: a handler returns instead")]
    Exited,
    /// A registration function outside `register`, or another call in the wrong place.
    #[error("{what}")]
    Misused {
        /// What the guest did, and when it may.
        what: String,
    },
    /// The pool had no room for another instance. Nothing ran.
    #[error(
        "found no room for another instance: {reason}: lower slots in [calls], or concurrency in [limits]"
    )]
    NoRoom {
        /// wasmtime's text.
        reason: String,
    },
    /// The component failed before its handler could be called.
    #[error("could not be instantiated: {reason}")]
    NotStarted {
        /// wasmtime's text.
        reason: String,
    },
}

/// What the host itself raises inside a guest call; found again when the call has failed.
#[derive(Debug, Error)]
pub(super) enum Raised {
    #[error("cpu time is spent")]
    Cpu(Duration),
    #[error("{0}")]
    Misused(String),
}

/// Most compilers keep a second stack in memory, and its end is none that the engine knows.
const OVERRUN: &str = "a stack that runs over its end does this, too: does it recurse deeply?";

/// Nobody does less because others came first: then it is the slots that are too few.
fn deadline_exceeded(limit: Duration, of: Duration) -> String {
    if limit >= of.mul_f64(0.9) {
        return format!(
            "took longer than its deadline of {of:?}: raise deadline in [limits], or do less"
        );
    }
    format!(
        "took longer than the {limit:?} that were left of its deadline of {of:?}: it waited for a slot or a thread (raise concurrency in [limits], slots or guest_threads in [calls]), or its asker waits no longer"
    )
}

impl Failure {
    /// Every [`Failure::kind`].
    pub const KINDS: [&str; 12] = [
        "panicked",
        "trapped",
        "deadline",
        "cpu",
        "out-of-memory",
        "out-of-handles",
        "stack-overflow",
        "too-much-at-once",
        "exited",
        "misused",
        "no-room",
        "not-started",
    ];

    /// A short name for metrics and headers: never made of what a guest says.
    pub fn kind(&self) -> &'static str {
        match self {
            Failure::Panicked { .. } => "panicked",
            Failure::Trapped { .. } => "trapped",
            Failure::DeadlineExceeded { .. } => "deadline",
            Failure::CpuExceeded { .. } => "cpu",
            Failure::OutOfMemory { .. } => "out-of-memory",
            Failure::OutOfHandles { .. } => "out-of-handles",
            Failure::StackOverflow => "stack-overflow",
            Failure::TooMuchAtOnce { .. } => "too-much-at-once",
            Failure::Exited => "exited",
            Failure::Misused { .. } => "misused",
            Failure::NoRoom { .. } => "no-room",
            Failure::NotStarted { .. } => "not-started",
        }
    }

    /// Reads wasmtime's error, with what the guest had written to stderr, the memory limit it had
    /// run into before it gave up, and the limits that wasmtime itself enforces.
    pub(super) fn read(
        error: &wasmtime::Error,
        stderr: &str,
        denied: Option<Denied>,
        fuel: usize,
        handles: usize,
    ) -> Failure {
        match error.downcast_ref::<Raised>() {
            Some(Raised::Cpu(limit)) => return Failure::CpuExceeded { limit: *limit },
            Some(Raised::Misused(what)) => return Failure::Misused { what: what.clone() },
            None => {}
        }
        let stderr = stderr.trim();
        let panicked = (!stderr.is_empty()).then(|| Failure::Panicked {
            text: stderr.to_owned(),
        });
        if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
            // Go prints a panic and then exits.
            let panicked = panicked.filter(|_| *status != 0);
            return panicked.unwrap_or(Failure::Exited);
        }
        let trap = error.downcast_ref::<Trap>();
        if let Some(Trap::StackOverflow) = trap {
            return Failure::StackOverflow;
        }
        // A guest whose allocation was refused traps or panics on its own: say the cause.
        if let Some(Denied { what, key, limit }) = denied {
            return Failure::OutOfMemory { what, key, limit };
        }
        if let Some(trap) = trap {
            let reason = match trap {
                Trap::MemoryOutOfBounds => format!("{trap}: {OVERRUN}"),
                trap => trap.to_string(),
            };
            return panicked.unwrap_or(Failure::Trapped { reason });
        }
        let reason = format!("{:#}", error.root_cause());
        if error.is::<PoolConcurrencyLimitError>() {
            return Failure::NoRoom { reason };
        }
        if reason == FUEL_SPENT {
            return Failure::TooMuchAtOnce { limit: fuel };
        }
        let table_full = error.downcast_ref::<ResourceTableError>();
        if matches!(table_full, Some(ResourceTableError::Full)) || reason == HANDLES_SPENT {
            return Failure::OutOfHandles { limit: handles };
        }
        Failure::Trapped { reason }
    }
}

#[cfg(test)]
mod tests {
    use super::{Denied, Failure, I32Exit, Raised, Trap};
    use std::time::Duration;

    fn check(error: impl Into<wasmtime::Error>, stderr: &str, denied: bool, expected: &str) {
        let denied = denied.then_some(Denied {
            what: "bytes of memory",
            key: "memory",
            limit: 64,
        });
        // As it comes out of a guest: with a backtrace around it.
        let error = error
            .into()
            .context("error while executing at wasm backtrace: 0: main");
        let failure = Failure::read(&error, stderr, denied, 1000, 10);
        assert_eq!(failure.to_string(), expected);
    }

    fn raised(raised: Raised) -> wasmtime::Error {
        wasmtime::Error::new(raised)
    }

    #[test]
    fn the_cause_is_what_is_said() {
        let out_of_memory =
            "wanted more than 64 bytes of memory: raise memory in [limits], or hold less";
        let unreachable = || Trap::UnreachableCodeReached;
        check(unreachable(), "boom\n", false, "panicked: boom");
        check(unreachable(), "boom\n", true, out_of_memory);
        check(
            unreachable(),
            " ",
            false,
            "trapped: wasm trap: wasm `unreachable` instruction executed",
        );
        check(
            Trap::StackOverflow,
            "boom",
            true,
            "ran out of stack: it recurses too deeply",
        );
        let cpu = Raised::Cpu(Duration::from_secs(1));
        check(
            raised(cpu),
            "boom",
            true,
            "used more than 1s of cpu: raise cpu in [limits], or do less",
        );
        check(
            raised(Raised::Misused("not here".into())),
            "boom",
            true,
            "not here",
        );
    }

    #[test]
    fn who_exits_has_panicked_only_if_it_says_so() {
        let exited = "called exit: a handler returns instead";
        let exit = |status| wasmtime::Error::new(I32Exit(status));
        check(exit(2), "panic: boom", false, "panicked: panic: boom");
        check(exit(2), "", false, exited);
        check(exit(0), "bye", false, exited);
    }

    #[test]
    fn what_a_guest_prints_does_not_hide_what_the_host_refused() {
        let error = wasmtime::format_err!("unknown handle index 7");
        check(
            error,
            "some lines before",
            false,
            "trapped: unknown handle index 7",
        );
    }
}
