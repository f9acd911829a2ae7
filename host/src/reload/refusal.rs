//! Why a version does not serve, and whether that may pass by itself. Must not know what is tried
//! again, or when.

use thiserror::Error;

use super::checks::Denied;
use crate::plugin::RegisterError;
use crate::registry::Conflict;
use crate::sandbox::{Failure, LoadError};
use crate::settings::Mistakes;

/// Why a version does not serve.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The file or its policy.
    #[error("{0}")]
    Unreadable(String),
    /// Its bytes.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// Its policy file.
    #[error("its policy is wrong:\n{0}")]
    Policy(Mistakes),
    /// What its `register` said or did.
    #[error("{0}")]
    Register(#[from] RegisterError),
    /// What it registered.
    #[error("{0}")]
    Denied(#[from] Denied),
    /// Another plugin was first.
    #[error("{0}")]
    Conflict(#[from] Conflict),
    /// The host's own failure.
    #[error("{0}")]
    Internal(String),
}

/// Why a plugin has no policy.
#[derive(Debug, Clone)]
pub(super) enum NoPolicy {
    /// The file.
    Unreadable(String),
    /// What it says.
    Mistakes(Mistakes),
}

impl Refusal {
    /// Whether it may be otherwise in a while, without a change of the plugin: the server's word,
    /// or that the machine was busy.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Refusal::Denied(denied) => denied.may_pass(),
            Refusal::Register(RegisterError::Failed(failure)) => matches!(
                failure,
                Failure::DeadlineExceeded { .. } | Failure::NotStarted { .. }
            ),
            Refusal::Internal(_) => true,
            _ => false,
        }
    }

    /// A word for metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Refusal::Unreadable(_) => "unreadable",
            Refusal::Load(_) => "component",
            Refusal::Policy(_) => "policy",
            Refusal::Register(_) => "register",
            Refusal::Denied(_) => "denied",
            Refusal::Conflict(_) => "conflict",
            Refusal::Internal(_) => "internal",
        }
    }
}

impl From<NoPolicy> for Refusal {
    fn from(none: NoPolicy) -> Refusal {
        match none {
            NoPolicy::Unreadable(reason) => Refusal::Unreadable(reason),
            NoPolicy::Mistakes(mistakes) => Refusal::Policy(mistakes),
        }
    }
}
