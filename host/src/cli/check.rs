//! `conche check`: whether a plugin will run under a policy, and the least policy it needs.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use conche::check::{Candidate, Checked, Runtime, Severity, runtime};
use conche::config::{Config, Mode};
use conche::policy::PluginName;
use conche::reload;
use conche::sandbox::LoadError;

use super::options::Common;
use super::{EXIT_REFUSED, log, output, serve, single};

/// Check whether a plugin runs under its policy, and print the least policy it needs
#[derive(Debug, Args)]
#[command(after_help = "\
Loads the plugin as a host would and calls each handler once, with the data
{}: whatever it answers is fine, and nothing it sends goes anywhere. What it
registers and imports is held against the grants, what it uses against the
limits. Findings go to stderr, the least policy to stdout, to be saved beside
the one there is: the shell empties a file that it writes to before it is
read. What a handler sends cannot be known without its data: those lines are
comments to fill in.

Exit code 0 if all is well, warnings included; 5 if a host would refuse the
plugin, or a call fails at a limit; 3 if the policy has mistakes or is not there.

Example:
  conche check greeter.wasm > least.toml
  conche check greeter.wasm --policy greeter.toml --json")]
pub(crate) struct Check {
    /// The component
    plugin: PathBuf,
    /// Its policy [default: NAME.toml beside the plugin, else a host's defaults]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Everything as one JSON object, on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

impl Check {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(Mode::Call, &self.common.clone().flags())?;
        log::start_quietly(&config)?;
        match self.check(&config) {
            Ok(checked) => self.show(&checked),
            Err(error) => {
                output::error(&error);
                Ok(ExitCode::from(single::exit_code(&error)))
            }
        }
    }

    fn check(&self, config: &Config) -> anyhow::Result<Checked> {
        let bytes = reload::read_component(&self.plugin);
        let runtime = bytes.ok().and_then(|bytes| runtime(&bytes));
        let opened = match single::open(config, &self.plugin) {
            Ok(opened) => opened,
            Err(error) => match error.downcast_ref::<LoadError>() {
                Some(flaw) => {
                    let name = PluginName::of_file(&self.plugin)?;
                    return Ok(Checked::refused(&name, runtime, flaw));
                }
                None => return Err(error),
            },
        };
        let default = single::default_policy(config, &opened.name)?;
        let policy = match self.policy_file() {
            Some(file) => single::policy(config, Some(&file))?,
            None => default.clone(),
        };
        let candidate = Candidate {
            name: opened.name,
            compiled: opened.compiled,
            runtime,
            policy,
            default,
            config: Arc::new(config.clone()),
            sandbox: opened.sandbox,
        };
        serve::guests(config)?.block_on(candidate.check())
    }

    /// The one that is named, or lies beside the plugin.
    fn policy_file(&self) -> Option<PathBuf> {
        let beside = || Some(self.plugin.with_extension("toml")).filter(|file| file.is_file());
        self.policy.clone().or_else(beside)
    }

    fn show(&self, checked: &Checked) -> anyhow::Result<ExitCode> {
        if self.json {
            output::print(&(serde_json::to_string_pretty(checked)? + "\n"));
        } else {
            log::print(&output::shown(&text(checked)));
            if let Some(policy) = &checked.policy {
                if stdout().is_terminal() && stderr().is_terminal() {
                    log::print("\n");
                }
                output::print(policy);
            }
        }
        Ok(match checked.count(Severity::Error) {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::from(EXIT_REFUSED),
        })
    }
}

fn text(checked: &Checked) -> String {
    let mut text = format!("plugin            {}\n", checked.plugin);
    // Writing to a string cannot fail.
    if let Some(Runtime { name, by }) = &checked.runtime {
        let _ = writeln!(text, "runtime           {name} ({by})");
    }
    for amount in &checked.used {
        let (used, given) = &amount.text;
        let _ = writeln!(text, "{:<18}{used:>10} of {given}", amount.limit);
    }
    if !checked.findings.is_empty() {
        text.push('\n');
    }
    for finding in &checked.findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let _ = writeln!(text, "{severity:8} {}: {}", finding.check, finding.what);
        if let Some(mend) = &finding.mend {
            let _ = writeln!(text, "  mend   {mend}");
        }
    }
    let _ = writeln!(text, "\n{}", verdict(checked));
    text
}

fn verdict(checked: &Checked) -> String {
    let plural = |n: usize, word: &str| match n {
        1 => format!("1 {word}"),
        n => format!("{n} {word}s"),
    };
    let (errors, warnings) = (
        checked.count(Severity::Error),
        checked.count(Severity::Warning),
    );
    match (errors, warnings) {
        _ if checked.used.is_empty() => "it does not start".to_owned(),
        (0, 0) => "it runs under this policy".to_owned(),
        (0, _) => format!("it runs under this policy: {}", plural(warnings, "warning")),
        _ => format!(
            "this policy will not do: {}, {}",
            plural(errors, "error"),
            plural(warnings, "warning")
        ),
    }
}
