//! `conche config`: the resolved values, and where each came from.

use std::process::ExitCode;

use clap::Args;
use conche::config::{Config, Explained, Mode};

use super::options::Common;

/// The widest value that still shares its column with the others.
const VALUE_COLUMN_MAX: usize = 48;

/// Print the resolved configuration, and where each value came from
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  NATS_URL=nats://127.0.0.1:4222 conche config")]
pub(crate) struct ShowConfig {
    /// An array of {key, value, origin}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

impl ShowConfig {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(Mode::Run, &self.common.flags())?;
        let all = config.explain();
        if self.json {
            println!("{}", serde_json::to_string_pretty(all)?);
            return Ok(ExitCode::SUCCESS);
        }
        let width = |of: fn(&Explained) -> usize| all.iter().map(of).max().unwrap_or(0);
        let keys = width(|explained| explained.key.len());
        let values = width(|explained| explained.value.len()).min(VALUE_COLUMN_MAX);
        for Explained { key, value, origin } in all {
            println!("{key:keys$}  {value:values$}  {origin}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
