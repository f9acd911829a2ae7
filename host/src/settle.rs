//! How a delivery ends: outcome, attempt and policy in; acknowledge, retry or dead-letter out.
//! Pure.

use std::time::Duration;

use thiserror::Error;

use crate::outbound::SendError;
use crate::policy::Retry;
use crate::sandbox::{EventOutcome, Failure, Verdict};

/// Why an event is not handled, though no handler refused it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unhandled {
    /// Its handler ran and failed.
    #[error("{0}")]
    Failed(Failure),
    /// Its handler did not run: the host had no room for it.
    #[error("did not run: {reason}")]
    NotRun {
        /// What there was no room in.
        reason: String,
    },
    /// Its handler did all it was to do, and what it emitted could not be stored.
    #[error("its effects were not stored: {0}")]
    EffectsNotStored(SendError),
}

/// The end of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Handled: release its effects, then acknowledge.
    Ack,
    /// Not now.
    RetryAfter {
        /// How long to wait.
        delay: Duration,
        /// Why, for the log.
        reason: String,
    },
    /// Never again.
    DeadLetter {
        /// Why, for the operator.
        reason: String,
    },
}

/// Decides. `attempt` counts from 1; `chance` is between 0 and 1 and spreads the delays. What is
/// not the handler's fault never makes a dead letter, however long it lasts.
pub fn settle(
    outcome: &Result<EventOutcome, Unhandled>,
    attempt: u32,
    retry: &Retry,
    chance: f64,
) -> Settlement {
    let mut attempts_end = true;
    let (reason, after) = match outcome {
        Ok(EventOutcome {
            verdict: Verdict::Done,
            ..
        }) => return Settlement::Ack,
        Ok(EventOutcome {
            verdict: Verdict::Reject(fault),
            ..
        }) => {
            return Settlement::DeadLetter {
                reason: format!("rejected: {} ({})", fault.message, fault.code),
            };
        }
        Ok(EventOutcome {
            verdict: Verdict::Retry { message, after },
            ..
        }) => (format!("asked to be retried: {message}"), *after),
        Err(unhandled) => {
            attempts_end = matches!(unhandled, Unhandled::Failed(_));
            (unhandled.to_string(), None)
        }
    };
    if attempts_end && attempt >= retry.max_attempts {
        return Settlement::DeadLetter {
            reason: format!("attempt {attempt} of {}: {reason}", retry.max_attempts),
        };
    }
    let delay = after.unwrap_or_else(|| retry.delay(attempt, chance));
    Settlement::RetryAfter { delay, reason }
}

#[cfg(test)]
mod tests {
    use super::{Settlement, Unhandled, settle};
    use crate::outbound::SendError;
    use crate::policy::Retry;
    use crate::sandbox::{EventOutcome, Failure, Verdict};
    use std::time::Duration;

    fn retry() -> Retry {
        Retry {
            max_attempts: 3,
            first: Duration::from_secs(1),
            max: Duration::from_secs(60),
            factor: 2.0,
            jitter: 0.5,
        }
    }

    fn check(outcome: Result<Verdict, Unhandled>, attempt: u32, expected: &Settlement) {
        let outcome = outcome.map(|verdict| EventOutcome {
            verdict,
            effects: crate::sandbox::Effects::default(),
        });
        assert_eq!(&settle(&outcome, attempt, &retry(), 1.0), expected);
    }

    #[test]
    fn each_end_of_a_call_has_its_settlement() {
        check(Ok(Verdict::Done), 9, &Settlement::Ack);
        let later = Verdict::Retry {
            message: "not yet".into(),
            after: Some(Duration::from_millis(7)),
        };
        check(
            Ok(later.clone()),
            1,
            &Settlement::RetryAfter {
                delay: Duration::from_millis(7),
                reason: "asked to be retried: not yet".into(),
            },
        );
        check(
            Ok(later),
            3,
            &Settlement::DeadLetter {
                reason: "attempt 3 of 3: asked to be retried: not yet".into(),
            },
        );
        check(
            Err(Unhandled::Failed(Failure::StackOverflow)),
            2,
            &Settlement::RetryAfter {
                delay: Duration::from_secs(2),
                reason: "ran out of stack: it recurses too deeply".into(),
            },
        );
    }

    #[test]
    fn what_is_not_the_handlers_fault_uses_up_no_attempts() {
        let subject = "a.b".to_owned();
        let not_run = Unhandled::NotRun {
            reason: "pool full".into(),
        };
        for unhandled in [
            not_run,
            Unhandled::EffectsNotStored(SendError::TimedOut { subject }),
        ] {
            let reason = unhandled.to_string();
            let delay = Duration::from_secs(60);
            let expected = Settlement::RetryAfter { delay, reason };
            check(Err(unhandled), 99, &expected);
        }
    }

    #[test]
    fn backoff_grows_to_its_cap() {
        let seconds = |attempt, chance| retry().delay(attempt, chance).as_secs_f64();
        assert_eq!(seconds(1, 1.0), 1.0);
        assert_eq!(seconds(1, 0.0), 0.5);
        assert_eq!(seconds(4, 1.0), 8.0);
        assert_eq!(seconds(100, 1.0), 60.0);
        assert_eq!(seconds(u32::MAX, 1.0), 60.0);
    }
}
