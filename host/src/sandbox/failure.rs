//! The ways a guest call can fail, each with a message that a plugin author can act on. Must not
//! know who called or what happens next: that is settlement's.

use std::time::Duration;

use thiserror::Error;
use wasmtime::Trap;

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
    #[error("took longer than its deadline of {limit:?}: raise deadline in [limits], or do less")]
    DeadlineExceeded {
        /// What the policy, or the asker's own deadline, allows.
        limit: Duration,
    },
    /// Time spent in guest code.
    #[error("used more than {limit:?} of cpu: raise cpu in [limits], or do less")]
    CpuExceeded {
        /// What the policy allows.
        limit: Duration,
    },
    /// Memory or tables.
    #[error("wanted more than {limit} of {what}: raise {key} in [limits], or hold less")]
    OutOfMemory {
        /// What it wanted more of.
        what: &'static str,
        /// The policy's key.
        key: &'static str,
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
    /// The host had no room for another instance, or could not make one.
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
    #[error("{what} is spent")]
    Memory {
        what: &'static str,
        key: &'static str,
        limit: usize,
    },
    #[error("{0}")]
    Misused(String),
}

impl Failure {
    /// A short name for metrics and headers: never made of what a guest says.
    pub fn kind(&self) -> &'static str {
        match self {
            Failure::Panicked { .. } => "panicked",
            Failure::Trapped { .. } => "trapped",
            Failure::DeadlineExceeded { .. } => "deadline",
            Failure::CpuExceeded { .. } => "cpu",
            Failure::OutOfMemory { .. } => "out-of-memory",
            Failure::StackOverflow => "stack-overflow",
            Failure::TooMuchAtOnce { .. } => "too-much-at-once",
            Failure::Exited => "exited",
            Failure::Misused { .. } => "misused",
            Failure::NotStarted { .. } => "not-started",
        }
    }

    /// Reads wasmtime's error, with what the guest had written to stderr and the memory limit it
    /// had run into before it gave up.
    pub(super) fn read(
        error: &wasmtime::Error,
        stderr: &str,
        denied: Option<&Raised>,
        fuel: usize,
    ) -> Failure {
        let raised = error.downcast_ref::<Raised>();
        if let Some(Raised::Cpu(limit)) = raised {
            return Failure::CpuExceeded { limit: *limit };
        }
        // A guest whose allocation was refused traps or panics on its own: say the cause.
        if let Some(Raised::Memory { what, key, limit }) = denied.or(raised) {
            return Failure::OutOfMemory {
                what,
                key,
                limit: *limit,
            };
        }
        if let Some(Raised::Misused(what)) = raised {
            return Failure::Misused { what: what.clone() };
        }
        if error.downcast_ref::<wasmtime_wasi::I32Exit>().is_some() {
            return Failure::Exited;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => return Failure::StackOverflow,
            Some(_) | None if !stderr.trim().is_empty() => {
                return Failure::Panicked {
                    text: stderr.trim().to_owned(),
                };
            }
            _ => {}
        }
        let text = format!("{:#}", error.root_cause());
        if text.contains("fuel") {
            return Failure::TooMuchAtOnce { limit: fuel };
        }
        Failure::Trapped { reason: text }
    }
}
