//! Flags that several commands have.

use std::path::PathBuf;

use clap::Args;
use conche::config::Flags;

/// Flags of every command that reads the configuration.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Configuration file [default: conche.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// auto (human on a terminal), human or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// What to log: a level, or TARGET=LEVEL pairs
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl Common {
    /// As the configuration takes them.
    pub(crate) fn flags(self) -> Flags {
        Flags {
            config: self.config,
            log_format: self.log_format,
            log: self.log,
            ..Flags::default()
        }
    }
}
