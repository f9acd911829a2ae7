//! Sets up the log: on stderr, human on a terminal, JSON lines where asked for.

use std::io::{IsTerminal, stderr};

use anyhow::anyhow;
use conche::config::{LogConfig, LogFormat};
use conche::nats::QUIET_CLIENT;
use tracing_subscriber::EnvFilter;

/// Starts logging. Once a process.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{QUIET_CLIENT},{}", config.level))
        .map_err(|error| anyhow!("log level `{}` is no filter: {error}", config.level))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false);
    let started = match config.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Human | LogFormat::Auto => builder.try_init(),
    };
    started.map_err(|error| anyhow!("cannot start the log: {error}"))
}
