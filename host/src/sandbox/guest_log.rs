//! What guests log and print, as lines of the host's log with plugin, digest and event id. What is
//! over budget is dropped and counted, never an error.

use tracing::{Level, event};

use super::bindings::conche::handler::log::{Field, Level as GuestLevel};
use super::state::{Phase, State};

/// One `log.log`.
pub(super) fn line(state: &mut State, level: GuestLevel, message: &str, fields: &[Field]) {
    let tenant = state.tenant.clone();
    let limits = &tenant.policy.limits;
    let bytes = message.len()
        + fields
            .iter()
            .map(|f| f.key.len() + f.value.len())
            .sum::<usize>();
    if let Phase::Calling(running) = &mut state.phase {
        if running.log_lines >= limits.log_lines || running.log_bytes + bytes > limits.log_bytes {
            running.log_dropped += 1;
            return;
        }
        running.log_lines += 1;
        running.log_bytes += bytes;
    }
    let plugin = tenant.name.as_str();
    let digest = tenant.digest.short();
    let event_id = state.place();
    let mut text = message.to_owned();
    for Field { key, value } in fields {
        text.push_str(&format!(" {key}={value:?}"));
    }
    match level {
        GuestLevel::Trace => {
            event!(target: "guest", Level::TRACE, plugin, digest, event_id, "{text}");
        }
        GuestLevel::Debug => {
            event!(target: "guest", Level::DEBUG, plugin, digest, event_id, "{text}");
        }
        GuestLevel::Info => {
            event!(target: "guest", Level::INFO, plugin, digest, event_id, "{text}");
        }
        GuestLevel::Warn => {
            event!(target: "guest", Level::WARN, plugin, digest, event_id, "{text}");
        }
        GuestLevel::Error | GuestLevel::Critical => {
            event!(target: "guest", Level::ERROR, plugin, digest, event_id, "{text}");
        }
    }
}

/// Writes what the call printed to the log. Returns what went to stderr: a panic's text is there.
pub(super) fn flush_output(state: &mut State) -> String {
    let plugin = state.tenant.name.as_str();
    let digest = state.tenant.digest.short();
    let event_id = state.place();
    let (stdout, stdout_dropped) = state.stdout.take();
    let (stderr, stderr_dropped) = state.stderr.take();
    if !stdout.is_empty() {
        tracing::info!(target: "guest", plugin, digest, event_id, stream = "stdout", "{}", stdout.trim_end());
    }
    if !stderr.is_empty() {
        tracing::warn!(target: "guest", plugin, digest, event_id, stream = "stderr", "{}", stderr.trim_end());
    }
    let lines_dropped = match &state.phase {
        Phase::Calling(running) => running.log_dropped,
        _ => 0,
    };
    if stdout_dropped + stderr_dropped + lines_dropped > 0 {
        tracing::warn!(
            target: "guest",
            plugin, digest, event_id, stdout_dropped, stderr_dropped, lines_dropped,
            "guest output over its budget was dropped: see log-lines, log-bytes and output-bytes in [limits]"
        );
    }
    stderr
}
