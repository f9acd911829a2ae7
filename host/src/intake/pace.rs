//! How long the queries of one loop take, where the next ones therefore run, and how many at once. Pure.

use std::time::Duration;

/// What may be expected to run on the thread that reads queries, one after the other: it delays
/// those of all ops. Waking another thread is not worth it for less.
const HERE: Duration = Duration::from_millis(1);

/// For fewer queries than these, a write of their own is not worth it.
const PART_MIN: usize = 16;

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

    /// How many of those that were read run before what they answered is written: one half, and then
    /// the other, while the server passes the first answers on (5–15% of the throughput of 64
    /// outstanding queries). Where as many were read as can be, `most`, and all of them are short, more
    /// wait and the server has work enough: a second write would cost 5% of the throughput of 256.
    pub(super) fn part(&self, read: usize, most: usize) -> usize {
        if read == most && self.is_short(read) {
            read
        } else {
            read.div_ceil(2).max(PART_MIN)
        }
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
    fn what_is_read_runs_in_halves_unless_more_waits() {
        let part = |each_us, read| pace(&[each_us]).part(read, 128);
        assert_eq!([part(4, 1), part(4, 16), part(4, 17)], [16, 16, 16]);
        assert_eq!([part(4, 64), part(4, 127), part(4, 128)], [32, 64, 128]);
        // One half of them is short, all are not.
        assert_eq!(part(10, 128), 64);
    }

    #[test]
    fn a_long_query_is_remembered_for_a_while() {
        assert!(!pace(&[4_000]).is_short(1));
        assert!(!pace(&[4_000, 0]).is_short(1));
        assert!(pace(&[4_000, 0, 0]).is_short(1));
        assert!(!pace(&[4_000, 0, 0]).is_short(2));
    }
}
