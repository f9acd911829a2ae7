//! How long the queries of one loop take, and where the next ones therefore run. Pure.

use std::time::Duration;

/// What may be expected to run on the thread that reads queries, one after the other: it delays
/// those of all ops. Waking another thread is not worth it for less.
const HERE: Duration = Duration::from_millis(1);

/// What the queries of one loop took lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// One of them.
    each: Duration,
}

impl Pace {
    /// Whether so many queries can be expected to be short all together.
    pub(super) fn is_short(&self, count: usize) -> bool {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.each.saturating_mul(count) <= HERE
    }

    /// Some queries took so long each. Up at once, and down by half of the difference: a handler that
    /// is slow now and then is a slow one.
    pub(super) fn took(&mut self, each: Duration) {
        self.each = if each > self.each {
            each
        } else {
            (self.each + each) / 2
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(each_us: &[u64]) -> Pace {
        let mut pace = Pace::default();
        for us in each_us {
            pace.took(Duration::from_micros(*us));
        }
        pace
    }

    #[test]
    fn who_never_ran_is_expected_to_be_short() {
        assert!(Pace::default().is_short(usize::MAX));
    }

    #[test]
    fn many_short_queries_are_long_together() {
        let pace = pace(&[10]);
        assert!(pace.is_short(1) && pace.is_short(100));
        assert!(!pace.is_short(101));
    }

    #[test]
    fn a_long_query_is_remembered_for_a_while() {
        assert!(!pace(&[4_000]).is_short(1));
        assert!(!pace(&[4_000, 0]).is_short(1));
        assert!(pace(&[4_000, 0, 0]).is_short(1));
        assert!(!pace(&[4_000, 0, 0]).is_short(2));
    }
}
