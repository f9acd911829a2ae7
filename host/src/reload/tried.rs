//! What was tried for a plugin, and how that ended: whether, and when, the same is tried again.
//! Knows no file and no registry.

use std::time::{Duration, Instant};

use super::refusal::Refusal;
use crate::plugin::Plugin;
use crate::sandbox::{Compiled, Digest};

/// Before a version is tried again that was refused for something that may pass; twice as long
/// each time, for it may not.
const TRY_AGAIN: Duration = Duration::from_secs(15);

/// The longest such wait: somebody may sit before a stream that they mended.
const TRY_AGAIN_MAX: Duration = Duration::from_secs(60);

/// One version under one policy.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) version: Version,
    /// None: it serves.
    pub(super) refused: Option<Refused>,
}

/// What is the same as long as nobody changed a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// Of its bytes, or why there are none.
    pub(super) digest: Result<Digest, String>,
    /// That of its policy, or why there is none.
    pub(super) policy: Result<String, String>,
}

/// Why it does not serve.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: String,
    pub(super) again: Again,
    /// What its bytes became, if they are for another try: to compile them takes seconds.
    pub(super) compiled: Option<Compiled>,
}

/// When the same is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It would do, and be denied, the same.
    Never,
    /// What it was refused for may have passed by itself then, so long after it was tried.
    At { due: Instant, wait: Duration },
    /// When the plugin that has what it wants lets go.
    WhenFree,
}

impl Version {
    /// Whether this is what serves.
    pub(super) fn is_of(&self, plugin: &Plugin) -> bool {
        self.digest == Ok(plugin.digest()) && self.policy.as_ref() == Ok(&plugin.policy().digest)
    }
}

impl Tried {
    /// Whether the same is tried again at this moment.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        match self.again() {
            Again::At { due, .. } => due <= now,
            Again::Never | Again::WhenFree => false,
        }
    }

    pub(super) fn again(&self) -> Again {
        self.refused.as_ref().map_or(Again::Never, |it| it.again)
    }

    /// Why it does not serve.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.refused.as_ref().map(|it| it.reason.as_str())
    }

    /// What its bytes became.
    pub(super) fn compiled(&self) -> Option<&Compiled> {
        self.refused.as_ref()?.compiled.as_ref()
    }

    /// Another plugin let go of something: whether this one may have waited for it, and is due now.
    pub(super) fn may_be_free(&mut self, now: Instant) -> bool {
        match &mut self.refused {
            Some(refused) if refused.again == Again::WhenFree => {
                let wait = Duration::ZERO;
                refused.again = Again::At { due: now, wait };
                true
            }
            _ => false,
        }
    }
}

impl Again {
    /// After a refusal, and what the try before was to wait for.
    pub(super) fn after(refusal: &Refusal, before: Again, now: Instant) -> Again {
        let waited = match before {
            Again::At { wait, .. } => wait,
            Again::Never | Again::WhenFree => Duration::ZERO,
        };
        match refusal {
            Refusal::Conflict(_) => Again::WhenFree,
            refusal if refusal.may_pass() => {
                let wait = (waited * 2).clamp(TRY_AGAIN, TRY_AGAIN_MAX);
                Again::At {
                    due: now + wait,
                    wait,
                }
            }
            _ => Again::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Again, Refusal, Refused, TRY_AGAIN, TRY_AGAIN_MAX, Tried, Version};
    use crate::registry::Conflict;
    use std::time::{Duration, Instant};

    #[test]
    fn waits_double_while_it_may_pass() {
        let now = Instant::now();
        let refusal = Refusal::Internal("busy".to_owned());
        let mut again = Again::Never;
        let mut waits = Vec::new();
        for _ in 0..4 {
            again = Again::after(&refusal, again, now);
            let Again::At { due, wait } = again else {
                panic!("{again:?}");
            };
            assert_eq!(due, now + wait);
            waits.push(wait);
        }
        let expected = [TRY_AGAIN, TRY_AGAIN * 2, TRY_AGAIN_MAX, TRY_AGAIN_MAX];
        assert_eq!(waits, expected);
        let refusal = Refusal::Unreadable("no file".to_owned());
        assert_eq!(Again::after(&refusal, again, now), Again::Never);
    }

    #[test]
    fn a_loser_is_due_once_each_time_that_another_lets_go() {
        let now = Instant::now();
        let lost = Refusal::Conflict(Conflict::AnyQuery {
            holder: "a".parse().unwrap(),
        });
        let mut tried = Tried {
            version: Version {
                digest: Err(String::new()),
                policy: Err(String::new()),
            },
            refused: Some(Refused {
                reason: lost.to_string(),
                again: Again::after(&lost, Again::Never, now),
                compiled: None,
            }),
        };
        assert!(!tried.is_due(now + Duration::from_secs(3600)));
        assert!(tried.may_be_free(now) && tried.is_due(now));
        assert!(!tried.may_be_free(now));
    }
}
