//! Since when each plugin's policy says what it says. A component that is cut off is none; a policy
//! that is cut off, empty or away for a moment is one, and says something else: such a moment must
//! not take the place of what serves. Knows no file and no clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::policy::PluginName;

/// A policy takes the place of another when it has been the same for so long: whoever writes it is
/// done then.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// A policy that is empty or gone, which seldom is meant, when it has been so for so long: what
/// makes a new one may have truncated the file first, and take its time.
const BLANK_AFTER: Duration = Duration::from_secs(10);

/// Other policies than those that serve, and when each was seen first.
#[derive(Debug, Default)]
pub(super) struct Settling(BTreeMap<PluginName, Seen>);

#[derive(Debug)]
struct Seen {
    /// Its digest.
    policy: String,
    since: Instant,
}

impl Settling {
    /// A look found a policy that is not the one that serves: when it may be taken, if it is still
    /// the same then.
    pub(super) fn due(
        &mut self,
        name: &PluginName,
        policy: &str,
        is_blank: bool,
        now: Instant,
    ) -> Instant {
        let known = self.0.get(name).filter(|seen| seen.policy == policy);
        let since = known.map_or(now, |seen| seen.since);
        let policy = policy.to_owned();
        self.0.insert(name.clone(), Seen { policy, since });
        since + if is_blank { BLANK_AFTER } else { SETTLED_AFTER }
    }

    /// A look found the policy that serves, or none that could: what was seen before is over.
    pub(super) fn forget(&mut self, name: &PluginName) {
        self.0.remove(name);
    }

    /// Only plugins that are still there count.
    pub(super) fn retain(&mut self, is_here: impl Fn(&PluginName) -> bool) {
        self.0.retain(|name, _| is_here(name));
    }
}

#[cfg(test)]
mod tests {
    use super::{BLANK_AFTER, SETTLED_AFTER, Settling};
    use std::time::{Duration, Instant};

    #[test]
    fn a_policy_has_to_stay_the_same() {
        let name = "a".parse().unwrap();
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut settling = Settling::default();
        assert_eq!(
            settling.due(&name, "half", false, at(0)),
            start + SETTLED_AFTER
        );
        assert_eq!(
            settling.due(&name, "half", false, at(1500)),
            start + SETTLED_AFTER
        );
        // The other half came: from then on.
        let whole = at(1900) + SETTLED_AFTER;
        assert_eq!(settling.due(&name, "whole", false, at(1900)), whole);
        assert_eq!(settling.due(&name, "whole", false, at(9000)), whole);
        // What serves was seen between: it was changed since.
        settling.forget(&name);
        assert_eq!(
            settling.due(&name, "whole", false, at(9500)),
            at(9500) + SETTLED_AFTER
        );
    }

    #[test]
    fn an_empty_one_has_to_stay_longer() {
        let name = "a".parse().unwrap();
        let now = Instant::now();
        assert!(BLANK_AFTER > SETTLED_AFTER);
        assert_eq!(
            Settling::default().due(&name, "none", true, now),
            now + BLANK_AFTER
        );
    }
}
