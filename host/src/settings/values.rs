//! Values that a person writes: durations with a unit, sizes in bytes.

use std::fmt;
use std::time::Duration;

/// Bytes, shown with the largest unit that divides them: `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const TIME_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

const BYTE_UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// `"250ms"`, `"1.5s"`, `"2m"`, `"12h"`, `"30d"`. `None` is anything else, a bare number included:
/// nobody remembers which unit it would have.
pub fn parse_duration(text: &str) -> Option<Duration> {
    scaled(text, &TIME_UNITS).map(Duration::from_millis)
}

/// `"64MiB"`, `"1.5GiB"`, `"512B"`, `"512"`. `None` is anything else.
pub fn parse_bytes(text: &str) -> Option<u64> {
    if let Ok(bytes) = text.trim().parse() {
        return Some(bytes);
    }
    scaled(text, &BYTE_UNITS)
}

/// As [`parse_duration`] reads it: the largest unit that needs no fraction.
pub fn format_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    shown(ms, TIME_UNITS.iter().rev(), "s")
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.0, BYTE_UNITS[..5].iter().rev(), "B"))
    }
}

fn shown<'a>(
    amount: u64,
    mut units: impl Iterator<Item = &'a (&'a str, u64)>,
    zero: &str,
) -> String {
    match units.find(|(_, size)| amount > 0 && amount.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{}{unit}", amount / size),
        None => format!("{amount}{zero}"),
    }
}

/// Decimal digits, perhaps a fraction, then a unit; exact, or `None`.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits_end);
    let size = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let power = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let amount = whole.parse::<u64>().ok()?;
    let part = fraction.parse::<u64>().ok()?;
    let total = (u128::from(amount) * power + u128::from(part)) * u128::from(size);
    total
        .is_multiple_of(power)
        .then(|| u64::try_from(total / power).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_duration(text: &str, expected: Option<u64>) {
        assert_eq!(
            parse_duration(text),
            expected.map(Duration::from_millis),
            "{text}"
        );
    }

    #[test]
    fn durations() {
        check_duration("250ms", Some(250));
        check_duration("1.5s", Some(1_500));
        check_duration(" 2 m ", Some(120_000));
        check_duration("30d", Some(30 * 86_400_000));
        check_duration("0s", Some(0));
        for bad in [
            "",
            "5",
            "s",
            "5 parsecs",
            "-5s",
            "1.2.3s",
            ".5s",
            "1.s",
            "0.0001s",
        ] {
            check_duration(bad, None);
        }
        check_duration("999999999999999999d", None);
    }

    fn check_bytes(text: &str, expected: Option<u64>) {
        assert_eq!(parse_bytes(text), expected, "{text}");
    }

    #[test]
    fn bytes() {
        check_bytes("512", Some(512));
        check_bytes("64MiB", Some(64 << 20));
        check_bytes("1.5 GiB", Some(3 << 29));
        check_bytes("2MB", Some(2_000_000));
        for bad in ["", "-1", "64mib", "64M", "1.5", "0.3B", "99999999999TiB"] {
            check_bytes(bad, None);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_reads_back(amount in 0_u64..1 << 50) {
            proptest::prop_assert_eq!(parse_bytes(&ByteSize(amount).to_string()), Some(amount));
            let duration = Duration::from_millis(amount);
            proptest::prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }
    }
}
