//! Sets up the log: on stderr, human on a terminal, JSON lines where asked for or where no person
//! reads along.

mod lines;

use std::fmt;
use std::io::{IsTerminal, Write as _, stderr};
use std::sync::OnceLock;

use anyhow::anyhow;
use conche::config::{Config, LogConfig, LogFormat};
use conche::nats::QUIET_CLIENT;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use super::options;
use super::output::{tame, tamed};
use lines::Lines;

/// Of a host; other commands write to stderr themselves.
static LINES: OnceLock<Lines> = OnceLock::new();

/// Starts the log of a host, once a process. `auto` is JSON when stderr is no terminal: a program
/// reads it.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    let is_json = match config.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !stderr().is_terminal(),
    };
    let lines = Lines::start()?;
    let lines = LINES.get_or_init(|| lines);
    start_as(config, is_json, || lines.clone())
}

/// Says something of ours, which may hold what others wrote.
pub(crate) fn say(text: &str) {
    print(&format!("conche: {}\n", tamed(text)));
}

/// Prints to stderr. Where nobody reads it any more that is no failure.
pub(crate) fn print(text: &str) {
    match LINES.get() {
        Some(lines) => lines.leave(text.as_bytes()),
        None => drop(stderr().write_all(text.as_bytes())),
    }
}

/// Waits until what was said and logged is written, if somebody reads it.
pub(crate) fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush();
    }
}

/// Starts logging for a command whose output a person reads: `auto` is human.
pub(crate) fn start_for_a_person(config: &LogConfig) -> anyhow::Result<()> {
    start_as(config, config.format == LogFormat::Json, stderr)
}

/// Starts logging for a command that a person waits for: human, and warnings only, unless told.
pub(crate) fn start_quietly(config: &Config) -> anyhow::Result<()> {
    let mut log = config.log.clone();
    if options::is_default(config, "log.level") {
        "warn".clone_into(&mut log.level);
    }
    start_for_a_person(&log)
}

/// A field as a person reads it. What is in it may come from a guest, a message or a file, and must
/// not pass for a line of ours: what follows the end of a line is indented, other control characters
/// are shown as escapes. JSON has escapes of its own.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = format!("{value:?}");
    match field.name() {
        "message" => tame(writer, &text),
        name => {
            write!(writer, "{name}=")?;
            tame(writer, &text)
        }
    }
}

fn start_as<W>(config: &LogConfig, is_json: bool, writer: W) -> anyhow::Result<()>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(format!("{QUIET_CLIENT},{}", config.level))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // It would panic where stderr is closed.
        .log_internal_errors(false)
        .with_ansi(stderr().is_terminal())
        .with_target(false);
    let started = if is_json {
        builder.json().flatten_event(true).try_init()
    } else {
        let fields = debug_fn(field).delimited(" ");
        builder.fmt_fields(fields).try_init()
    };
    started.map_err(|error| anyhow!("cannot start the log: {error}"))
}
