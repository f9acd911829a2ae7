//! What guests log and print, as lines of the host's log with plugin, digest and event id. What is
//! over budget is dropped and counted, never an error.

use std::fmt;

use tracing::{Level, event, info, warn};

use super::bindings::conche::handler::log::{Field, Level as GuestLevel};
use super::stage::GuestLine;
use super::state::State;

/// What a field has in a line beside its key and its value.
const FIELD_BYTES: usize = r#" ="""#.len();

/// A message with its fields, put together only if somebody reads it.
struct Line<'a> {
    message: &'a str,
    fields: &'a [Field],
}

/// One `log.log`.
pub(super) fn line(state: &mut State, level: GuestLevel, message: &str, fields: &[Field]) {
    let limits = &state.tenant.policy.limits;
    let sizes = fields
        .iter()
        .map(|f| f.key.len() + f.value.len() + FIELD_BYTES);
    let bytes = message.len() + sizes.sum::<usize>();
    let logged = &mut state.logged;
    if logged.lines >= limits.log_lines || logged.bytes + bytes > limits.log_bytes {
        logged.dropped += 1;
        return;
    }
    logged.lines += 1;
    logged.bytes += bytes;
    if let Some(stage) = &state.tenant.stage {
        let fields = fields.iter().map(|f| (f.key.clone(), f.value.clone()));
        stage.line(GuestLine {
            level: level_name(level),
            message: message.to_owned(),
            fields: fields.collect(),
        });
        return;
    }
    let line = Line { message, fields };
    // tracing wants levels and targets that are constants; it looks at fields only if they are
    // wanted.
    macro_rules! say {
        ($level:expr) => {
            event!(
                target: "guest",
                $level,
                plugin = state.tenant.name.as_str(),
                digest = state.tenant.digest.short(),
                event_id = &*state.place(),
                "{line}"
            )
        };
    }
    match level {
        GuestLevel::Trace => say!(Level::TRACE),
        GuestLevel::Debug => say!(Level::DEBUG),
        GuestLevel::Info => say!(Level::INFO),
        GuestLevel::Warn => say!(Level::WARN),
        GuestLevel::Error | GuestLevel::Critical => say!(Level::ERROR),
    }
}

/// Writes what the call printed to the log. Returns what went to stderr: a panic's text is there.
pub(super) fn flush_output(state: &mut State) -> String {
    let (stdout, stdout_dropped, stderr, stderr_dropped) = match &state.wasi {
        Some(wasi) => {
            let (stdout, stdout_dropped) = wasi.stdout.take();
            let (stderr, stderr_dropped) = wasi.stderr.take();
            (stdout, stdout_dropped, stderr, stderr_dropped)
        }
        None => Default::default(),
    };
    let lines_dropped = std::mem::take(&mut state.logged.dropped);
    let dropped = stdout_dropped + stderr_dropped + lines_dropped;
    if stdout.is_empty() && stderr.is_empty() && dropped == 0 {
        return stderr;
    }
    if let Some(stage) = &state.tenant.stage {
        let printed = |level, text: &str| GuestLine {
            level,
            message: text.trim_end().to_owned(),
            fields: Vec::new(),
        };
        for (stream, text) in [("stdout", &stdout), ("stderr", &stderr)] {
            if !text.is_empty() {
                stage.line(printed(stream, text));
            }
        }
        return stderr;
    }
    let plugin = state.tenant.name.as_str();
    let digest = state.tenant.digest.short();
    let event_id = &*state.place();
    if !stdout.is_empty() {
        let text = stdout.trim_end();
        info!(target: "guest", plugin, digest, event_id, stream = "stdout", "{text}");
    }
    if !stderr.is_empty() {
        let text = stderr.trim_end();
        warn!(target: "guest", plugin, digest, event_id, stream = "stderr", "{text}");
    }
    if dropped > 0 {
        warn!(
            target: "guest",
            plugin, digest, event_id, stdout_dropped, stderr_dropped, lines_dropped,
            "guest output over its budget was dropped: see log-lines, log-bytes and output-bytes in [limits]"
        );
    }
    stderr
}

fn level_name(level: GuestLevel) -> &'static str {
    match level {
        GuestLevel::Trace => "trace",
        GuestLevel::Debug => "debug",
        GuestLevel::Info => "info",
        GuestLevel::Warn => "warn",
        GuestLevel::Error => "error",
        GuestLevel::Critical => "critical",
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)?;
        for Field { key, value } in self.fields {
            write!(f, " {key}={value:?}")?;
        }
        Ok(())
    }
}
