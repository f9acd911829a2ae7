//! `conche build`: from a plugin's project to its component.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use conche_kit::Project;

use super::EXIT_FAILED;
use super::building::{self, Builder};

/// Build a plugin's project with its language's own toolchain
#[derive(Debug, Args)]
#[command(after_help = "\
DIR has a conche-plugin.toml, as `conche new` makes it. A tool that is missing
is named, with the line that gets it. Prints the size, and what the component
imports of the host: the most that it may ask for.

Example:
  conche build hello --watch")]
pub(crate) struct Build {
    /// The project
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Where the component goes [default: <name>.wasm in the project]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Build again whenever a source changes
    #[arg(long)]
    watch: bool,
}

impl Build {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        if self.watch {
            // What is no project at all is not waited for.
            Project::open(&self.dir)?;
        }
        let mut builder = Builder::new(&self.dir, self.output.as_deref());
        let built = builder.build();
        if self.watch {
            building::follow(vec![builder], |_, _| {})?;
        }
        Ok(match built {
            Ok(_) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(EXIT_FAILED),
        })
    }
}
