//! How a delivery ends: outcome, attempt and policy in; acknowledge, retry or dead-letter out.
//! Pure.

use std::time::Duration;

use thiserror::Error;

use crate::outbound::SendError;
use crate::policy::Retry;
use crate::sandbox::{EventOutcome, Failure, Verdict};
use crate::text::{REASON_MAX, cut};

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
    /// Its handler did all it was to do, and what it emitted was not stored.
    #[error("its effects were not stored: {0}")]
    EffectsNotStored(SendError),
}

/// The end of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Handled, and its effects are stored.
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

/// The longest that a handler may put its event off: streams forget what is older than they keep.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

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
            let text = cut(&fault.message, REASON_MAX);
            return Settlement::DeadLetter {
                reason: format!("rejected: {text} ({})", fault.code),
            };
        }
        Ok(EventOutcome {
            verdict: Verdict::Retry { message, after },
            ..
        }) => {
            let text = cut(message, REASON_MAX);
            let after = after.map(|after| after.min(RETRY_AFTER_MAX));
            (format!("asked to be retried: {text}"), after)
        }
        Err(unhandled) => {
            attempts_end = match unhandled {
                Unhandled::Failed(_) => true,
                Unhandled::NotRun { .. } => false,
                // What fits nowhere is the handler's fault, and no outage.
                Unhandled::EffectsNotStored(error) => !error.may_pass(),
            };
            let text = unhandled.to_string();
            (cut(&text, REASON_MAX).into_owned(), None)
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
    use super::{REASON_MAX, RETRY_AFTER_MAX, Settlement, Unhandled, settle};
    use crate::envelope::Fault;
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
    fn what_fits_nowhere_is_the_handlers_fault() {
        let subject = "a.b".to_owned();
        for error in [
            SendError::NoStream { subject },
            SendError::TooLarge { size: 2, max: 1 },
            SendError::TooLargeForStream("message size exceeds maximum allowed".into()),
            SendError::Invalid("header `a b` cannot be sent".into()),
        ] {
            let reason = format!("attempt 3 of 3: its effects were not stored: {error}");
            let expected = Settlement::DeadLetter { reason };
            check(Err(Unhandled::EffectsNotStored(error)), 3, &expected);
        }
    }

    #[test]
    fn a_guest_may_not_say_too_much_or_wait_too_long() {
        let message = "x".repeat(2_000_000);
        let short = format!("{}… (2000000 bytes)", "x".repeat(REASON_MAX));
        let later = Verdict::Retry {
            message: message.clone(),
            after: Some(Duration::MAX),
        };
        let expected = Settlement::RetryAfter {
            delay: RETRY_AFTER_MAX,
            reason: format!("asked to be retried: {short}"),
        };
        check(Ok(later), 1, &expected);
        let fault = Fault {
            code: 400,
            message,
            details: None,
        };
        let reason = format!("rejected: {short} (400)");
        check(
            Ok(Verdict::Reject(fault)),
            1,
            &Settlement::DeadLetter { reason },
        );
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
