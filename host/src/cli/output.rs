//! What commands print, and how errors look: the same everywhere.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{Write as _, stdout};
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
        let _ = writeln!(text, "  listener {handler}");
    }
    if text.is_empty() {
        text.push_str("  nothing\n");
    }
    text
}
