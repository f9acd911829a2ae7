//! Two JSON values side by side, line by line. Pure.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Both(String),
    Expected(String),
    Seen(String),
}

/// What was expected and what was seen, each value a line.
pub(super) fn lines(expected: &Value, seen: &Value) -> Vec<Line> {
    let (expected, seen) = (pretty(expected), pretty(seen));
    let diff = TextDiff::from_lines(&expected, &seen);
    let lines = diff.iter_all_changes().map(|change| {
        let text = change.value().trim_end_matches('\n').to_owned();
        match change.tag() {
            ChangeTag::Equal => Line::Both(text),
            ChangeTag::Delete => Line::Expected(text),
            ChangeTag::Insert => Line::Seen(text),
        }
    });
    lines.collect()
}

/// Of nothing there is nothing to show.
fn pretty(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    // A value can always be written.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::{Line, lines};
    use serde_json::json;

    #[test]
    fn what_is_the_same_stands_once() {
        let lines = lines(&json!({"a": 1, "b": "x"}), &json!({"a": 1, "b": "y"}));
        let own = str::to_owned;
        assert_eq!(
            lines,
            [
                Line::Both(own("{")),
                Line::Both(own("  \"a\": 1,")),
                Line::Expected(own("  \"b\": \"x\"")),
                Line::Seen(own("  \"b\": \"y\"")),
                Line::Both(own("}")),
            ]
        );
    }
}
