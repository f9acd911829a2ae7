//! What the command line says, and which command it is. One file a command.

#[cfg(feature = "kit")]
mod build;
#[cfg(feature = "kit")]
mod building;
mod call;
mod check;
mod config;
mod dev;
mod doctor;
mod health;
mod inspect;
mod json;
mod listen;
mod log;
#[cfg(feature = "kit")]
mod new;
mod online;
mod options;
mod output;
mod publish;
mod request;
mod run;
mod serve;
mod single;
#[cfg(feature = "kit")]
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use conche::host::NoDirectory;

/// Exit codes; that of usage is clap's too.
pub(crate) const EXIT_FAILED: u8 = 1;
pub(crate) const EXIT_USAGE: u8 = 2;
pub(crate) const EXIT_CONFIGURATION: u8 = 3;
pub(crate) const EXIT_CONNECTION: u8 = 4;
pub(crate) const EXIT_REFUSED: u8 = 5;
pub(crate) const EXIT_NOT_DRAINED: u8 = 6;
pub(crate) const EXIT_UNANSWERED: u8 = 7;

/// A host for event handlers written as WebAssembly components.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "\
Exit codes: 0 success, 1 failure, 2 usage, 3 configuration, 4 no connection,
5 plugin refused or call not done, 6 drain time over, 7 no answer

Example:
  conche dev plugins"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "kit")]
    New(new::New),
    #[cfg(feature = "kit")]
    Build(build::Build),
    #[cfg(feature = "kit")]
    Test(test::Test),
    Run(run::Run),
    Dev(dev::Dev),
    Call(call::Call),
    Inspect(inspect::Inspect),
    Check(check::Check),
    Request(request::Request),
    Publish(publish::Publish),
    Listen(listen::Listen),
    Config(config::ShowConfig),
    Health(health::Health),
    Doctor(doctor::Doctor),
}

impl Cli {
    /// Runs the command; an error is printed once, here.
    pub(crate) fn run(self) -> ExitCode {
        let result = match self.command {
            #[cfg(feature = "kit")]
            Command::New(command) => command.run(),
            #[cfg(feature = "kit")]
            Command::Build(command) => command.run(),
            #[cfg(feature = "kit")]
            Command::Test(command) => command.run(),
            Command::Run(command) => command.run(),
            Command::Dev(command) => command.run(),
            Command::Call(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Request(command) => command.run(),
            Command::Publish(command) => command.run(),
            Command::Listen(command) => command.run(),
            Command::Config(command) => command.run(),
            Command::Health(command) => command.run(),
            Command::Doctor(command) => command.run(),
        };
        let code = result.unwrap_or_else(|error| {
            output::error(&error);
            let configuration =
                error.is::<conche::config::LoadError>() || error.is::<NoDirectory>();
            ExitCode::from(if configuration {
                EXIT_CONFIGURATION
            } else {
                EXIT_FAILED
            })
        });
        log::flush();
        code
    }
}
