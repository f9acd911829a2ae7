//! What commands print, and how errors look: the same everywhere. What others wrote is tamed here.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{IsTerminal as _, Write as _, stdout};
use std::process::ExitCode;

use conche::envelope::Payload;
use conche::plugin::Plugin;

use super::{EXIT_USAGE, log};

/// Prints to stdout. A reader that left (`conche inspect x.wasm | head`) is no failure of ours.
pub(crate) fn print(text: &str) {
    print_bytes(text.as_bytes());
}

/// Prints bytes as they are.
pub(crate) fn print_bytes(bytes: &[u8]) {
    let _reader_left = stdout().write_all(bytes);
    let _reader_left = stdout().flush();
}

/// Prints what a peer wrote: as it came, or, where a person reads it, as [`shown`].
pub(crate) fn print_as_it_came(bytes: &[u8]) {
    if stdout().is_terminal() {
        print(&shown(&String::from_utf8_lossy(bytes)));
    } else {
        print_bytes(bytes);
    }
}

/// What guests and peers wrote, to be one entry among others: it must not pass for a line of ours. What
/// follows the end of a line is indented, and what a terminal would act on is shown as escapes.
pub(crate) fn tamed(text: &str) -> String {
    let mut tamed = String::with_capacity(text.len());
    // Writing to a string cannot fail.
    let _ = tame(&mut tamed, text);
    tamed
}

/// As [`tamed`], into a writer.
pub(crate) fn tame(writer: &mut dyn fmt::Write, text: &str) -> fmt::Result {
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            writer.write_str("\n    ")?;
        }
        for character in line.chars() {
            if acts_on_a_terminal(character) {
                write!(writer, "{}", character.escape_default())?;
            } else {
                writer.write_char(character)?;
            }
        }
    }
    Ok(())
}

/// What guests and peers wrote, where it stands alone: its lines stay as they are.
pub(crate) fn shown(text: &str) -> String {
    let mut lines = text.lines().map(tamed);
    let first = lines.next().unwrap_or_default();
    let mut shown = lines.fold(first, |shown, line| shown + "\n" + &line);
    if text.ends_with('\n') {
        shown.push('\n');
    }
    shown
}

/// Control characters, and those that turn the direction of what follows: then text reads as another.
fn acts_on_a_terminal(character: char) -> bool {
    let turns = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    turns || (character.is_control() && character != '\t')
}

/// Prints an error in what was given to the command.
pub(crate) fn usage(error: &anyhow::Error) -> ExitCode {
    self::error(error);
    ExitCode::from(EXIT_USAGE)
}

/// Prints an error with its causes, each line said to be ours. An error that repeats its cause in
/// its own text does not print it twice.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    for line in text.lines() {
        log::say(line);
    }
}

/// Data as a person reads it.
pub(crate) fn payload(data: &Payload) -> Cow<'_, str> {
    match data {
        Payload::Json(text) | Payload::Text(text) => text.into(),
        Payload::Binary(bytes) => format!("{} bytes", bytes.len()).into(),
    }
}

/// What a plugin registers, a line each.
pub(crate) fn registrations(plugin: &Plugin) -> String {
    let registrations = plugin.registrations();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |what: &str, subject: &str, handler: &str| {
        let (subject, handler) = (tamed(subject), tamed(handler));
        let _ = writeln!(text, "  {what} {subject} -> {handler}");
    };
    for (handler, op) in &registrations.queries {
        line("query", op, handler);
    }
    for (handler, ty) in &registrations.events {
        line("event", ty, handler);
    }
    if let Some(handler) = &registrations.any_query {
        line("query", "(any other)", handler);
    }
    if let Some(handler) = &registrations.any_event {
        line("event", "(any other)", handler);
    }
    for handler in &registrations.listeners {
        let _ = writeln!(text, "  listener {}", tamed(handler));
    }
    if text.is_empty() {
        text.push_str("  nothing\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{shown, tamed};

    #[test]
    fn no_text_forges_a_line_or_acts_on_a_terminal() {
        let check = |text: &str, expected: &str| assert_eq!(tamed(text), expected);
        check("plain \u{e4} text", "plain \u{e4} text");
        check(
            "a\n2026-01-01 INFO b\r\nc",
            "a\n    2026-01-01 INFO b\n    c",
        );
        check("\u{1b}[2Jgone\rnew\ttab", "\\u{1b}[2Jgone\\rnew\ttab");
        check("\u{202e}drawkcab\u{2069}", "\\u{202e}drawkcab\\u{2069}");
        assert_eq!(shown("{\n  \u{9b}2J}\n"), "{\n  \\u{9b}2J}\n");
        assert_eq!(shown("one\ntwo"), "one\ntwo");
    }
}
