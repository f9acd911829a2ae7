//! `conche config`: the resolved values, and where each came from.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use conche::config::{Config, Explained, Mode};

use super::options::Serving;
use super::{log, output};

/// The widest value that still shares its column with the others.
const VALUE_COLUMN_MAX: usize = 48;

/// Print the resolved configuration of a host on NATS, and where each value came from
#[derive(Debug, Args)]
#[command(after_help = "\
Flags win over the environment, the environment over the file, the file over
the defaults. All mistakes are reported at once, with exit code 3. Secrets are
never shown.

Example:
  NATS_URL=nats://127.0.0.1:4222 conche config --config conche.toml")]
pub(crate) struct ShowConfig {
    /// As a JSON array of {key, value, origin}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    serving: Serving,
}

impl ShowConfig {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(Mode::Run, &self.serving.flags())?;
        let all = config.explain();
        output::print(&if self.json {
            serde_json::to_string_pretty(all)? + "\n"
        } else {
            table(all)
        });
        for warning in &config.warnings {
            log::say(warning);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(all: &[Explained]) -> String {
    let width = |of: fn(&Explained) -> usize| all.iter().map(of).max().unwrap_or(0);
    let keys = width(|explained| explained.key.len());
    let values = width(|explained| explained.value.len()).min(VALUE_COLUMN_MAX);
    let mut table = String::new();
    for Explained { key, value, origin } in all {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{key:keys$}  {value:values$}  {origin}");
    }
    table
}
