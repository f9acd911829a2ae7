//! The server itself: its version, JetStream, its clock. Pure.

use super::Finding;
use crate::nats::{Clock, StreamFlaw};

/// Clocks that are apart by more make retries, schedules and logs wrong.
const SKEW_MAX_MS: i64 = 2_000;

/// What a host cannot do without, and since when servers have it.
const NEEDED: (u64, u64) = (2, 10);

/// What servers below a version lack.
const FEATURES: [((u64, u64), &str); 3] = [
    (NEEDED, "consumers with several filters and metadata"),
    ((2, 11), "a time to live for each message, paused consumers"),
    (
        (2, 12),
        "scheduled messages, atomic batches, counters, prioritized pulls",
    ),
];

/// A server that is older than the one that hosts are made for.
pub(super) fn version(text: &str) -> Option<Finding> {
    let mut parts = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    let found: (u64, u64) = (parts.next()?, parts.next()?);
    let missing: Vec<_> = FEATURES
        .iter()
        .filter(|(since, _)| found < *since)
        .map(|((major, minor), what)| format!("{what} (since {major}.{minor})"))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let what = format!("nats-server {text} lacks {}", missing.join("; "));
    let mend = "run nats-server 2.12 or later".to_owned();
    Some(if found < NEEDED {
        Finding::error("version", what, mend)
    } else {
        Finding::warning("version", what, mend)
    })
}

/// Events cannot travel.
pub(super) fn jetstream_off() -> Finding {
    let text = StreamFlaw::Off.to_string();
    let (what, mend) = text.split_once(": ").unwrap_or((&text, ""));
    let what = format!("{what}: plugins that listen to events are refused");
    Finding::error("jetstream", what, mend.to_owned())
}

/// Clocks that are apart. What the way there and back took is not counted against them.
pub(super) fn skew(clock: &Clock) -> Option<Finding> {
    let ahead = (clock.server - clock.answered).num_milliseconds();
    let behind = (clock.asked - clock.server).num_milliseconds();
    let (apart, word) = if ahead > behind {
        (ahead, "ahead of")
    } else {
        (behind, "behind")
    };
    if apart <= SKEW_MAX_MS {
        return None;
    }
    let seconds = apart / 1000;
    let what = format!("the server's clock is {seconds} s {word} the one here");
    let mend = "keep both in time: timedatectl set-ntp true".to_owned();
    Some(Finding::warning("clock", what, mend))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn an_old_server_lacks_what_came_later() {
        let check = |text: &str, expected: Option<(Severity, &str)>| {
            let found = version(text);
            let found = found.as_ref().map(|it| (it.severity, it.what.as_str()));
            assert_eq!(found, expected, "{text}");
        };
        check("2.15.1", None);
        check("2.12.0-RC.1", None);
        check("3.0.0", None);
        let no_batches = "nats-server 2.11.9 lacks scheduled messages, atomic batches, counters, prioritized pulls (since 2.12)";
        check("2.11.9", Some((Severity::Warning, no_batches)));
        let no_filters = "nats-server 2.9.10 lacks consumers with several filters and metadata (since 2.10); a time to live for each message, paused consumers (since 2.11); scheduled messages, atomic batches, counters, prioritized pulls (since 2.12)";
        check("2.9.10", Some((Severity::Error, no_filters)));
    }

    #[test]
    fn a_clock_is_wrong_beyond_what_the_way_took() {
        let check = |asked_ms, server_ms, answered_ms, expected: Option<&str>| {
            let at = |ms| DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms);
            let clock = Clock {
                asked: at(asked_ms),
                server: at(server_ms),
                answered: at(answered_ms),
            };
            let found = skew(&clock).map(|finding| finding.what);
            assert_eq!(found.as_deref(), expected, "{clock:?}");
        };
        check(0, 5, 10, None);
        check(0, 2_000, 0, None);
        check(0, 4_900, 5_000, None);
        check(
            0,
            7_500,
            10,
            Some("the server's clock is 7 s ahead of the one here"),
        );
        check(
            9_000,
            0,
            9_010,
            Some("the server's clock is 9 s behind the one here"),
        );
    }
}
