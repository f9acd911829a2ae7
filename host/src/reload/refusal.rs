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
    /// Its file.
    #[error("{0}")]
    Unreadable(String),
    /// Its bytes.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// Its policy file.
    #[error("{0}")]
    Policy(#[from] NoPolicy),
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
#[derive(Debug, Clone, Error)]
pub enum NoPolicy {
    /// The file.
    #[error("{0}")]
    Unreadable(String),
    /// What it says.
    #[error("its policy is wrong:\n{0}")]
    Mistakes(Mistakes),
}

impl Refusal {
    /// Whether it may be otherwise in a while, without a change of the plugin: the server's word,
    /// or that the machine was busy. What the version itself does, or the configuration denies, it
    /// will do, and deny, again.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Refusal::Denied(denied) => denied.may_pass(),
            Refusal::Register(RegisterError::TooSlow { .. }) => true,
            Refusal::Register(RegisterError::Failed(failure)) => {
                matches!(failure, Failure::NoRoom { .. })
            }
            Refusal::Load(LoadError::NotCompiled { .. }) | Refusal::Internal(_) => true,
            _ => false,
        }
    }

    /// A word for metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Refusal::Unreadable(_) | Refusal::Policy(NoPolicy::Unreadable(_)) => "unreadable",
            Refusal::Load(_) => "component",
            Refusal::Policy(NoPolicy::Mistakes(_)) => "policy",
            Refusal::Register(_) => "register",
            Refusal::Denied(_) => "denied",
            Refusal::Conflict(_) => "conflict",
            Refusal::Internal(_) => "internal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Denied, Failure, LoadError, Refusal, RegisterError};
    use std::time::Duration;

    fn check(refusal: impl Into<Refusal>, may_pass: bool) {
        let refusal = refusal.into();
        assert_eq!(refusal.may_pass(), may_pass, "{refusal}");
    }

    fn failed(failure: Failure) -> RegisterError {
        RegisterError::Failed(failure)
    }

    #[test]
    fn a_busy_machine_and_the_servers_word_may_pass() {
        let limit = Duration::from_secs(2);
        let reason = || "why".to_owned();
        check(RegisterError::TooSlow { limit }, true);
        check(failed(Failure::NoRoom { reason: reason() }), true);
        check(LoadError::NotCompiled { reason: reason() }, true);
        check(
            Denied::NotTaken {
                ty: "org.A".to_owned(),
                stream: "S".to_owned(),
            },
            true,
        );
    }

    #[test]
    fn what_the_version_does_and_the_configuration_denies_stays() {
        let reason = || "why".to_owned();
        check(failed(Failure::NotStarted { reason: reason() }), false);
        check(failed(Failure::Trapped { reason: reason() }), false);
        check(RegisterError::Refused(reason()), false);
        check(LoadError::Broken { reason: reason() }, false);
        check(Refusal::Unreadable(reason()), false);
        check(
            Denied::NoStream {
                ty: "org.A".to_owned(),
                stream: "S".to_owned(),
                subjects: "`org.B`".to_owned(),
            },
            false,
        );
    }
}
