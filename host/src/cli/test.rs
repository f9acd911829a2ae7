//! `conche test`: the cases of a plugin, run against it without any server.

use std::io::{IsTerminal as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use conche::config::{Config, Mode};
use conche::policy::PluginName;
use conche::trial::{Candidate, Cases, Colour, Suite, Summary, junit, verdict_line};
use conche_kit::{MANIFEST, Project};

use super::building::{self, Builder};
use super::options::Common;
use super::{EXIT_FAILED, log, output, serve, single};

/// Run a plugin's test cases, with no server at all
#[derive(Debug, Args)]
#[command(after_help = "\
Builds the plugin in DIR, then runs each case of tests/*.yaml (.yml, .json)
against it: what comes in, who answers what the plugin asks, what must come of
it. It runs under its policy, as a host would have it: what is not granted is
refused. docs/testing.md describes the cases. With --component nothing is
built, and DIR may be any directory that has cases, or has a directory tests.

Exit code 0 if every case passed; 1 if one failed, as each does where a host
would refuse the plugin, or if there is none; 3 if the policy is wrong or not
there; 5 if the file is no plugin.

Example:
  conche test greeter
  conche test --component build/greeter.wasm plugins/greeter --junit greeter.xml")]
pub(crate) struct Test {
    /// The plugin's directory
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// A component that is built already
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Policy to run under [default: the project's, else NAME.toml in DIR, else a host's defaults]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Only cases that have this in their name
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write the results as JUnit's XML as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// What is tested, and where what belongs to it lies.
struct Place {
    component: PathBuf,
    policy: Option<PathBuf>,
    cases: PathBuf,
}

impl Test {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        // Whoever reads a report after a run that came to none must not take an old one for it.
        self.junit.as_deref().map_or(Ok(()), building::remove)?;
        let config = Config::load(Mode::Call, &self.common.clone().flags())?;
        log::start_quietly(&config)?;
        let Some(place) = self.place()? else {
            return Ok(ExitCode::from(EXIT_FAILED));
        };
        let suites = Cases::find(&place.cases)?;
        let candidate = match candidate(&config, &place) {
            Ok(candidate) => candidate,
            Err(error) => {
                output::error(&error);
                return Ok(ExitCode::from(single::exit_code(&error)));
            }
        };
        let colour = match stdout().is_terminal() {
            true => Colour::Shown,
            false => Colour::Plain,
        };
        let runtime = serve::guests(&config)?;
        let filter = self.filter.as_deref().unwrap_or("");
        let summary = runtime.block_on(run(&candidate, suites, filter, colour));
        if summary.suites.is_empty() {
            bail!("no case has `{filter}` in its name");
        }
        output::print(&summary.text(colour));
        if let Some(file) = &self.junit {
            let document = junit(candidate.name.as_str(), &summary);
            std::fs::write(file, document)
                .with_context(|| format!("cannot write `{}`", file.display()))?;
        }
        Ok(ExitCode::from(if summary.passed() {
            0
        } else {
            EXIT_FAILED
        }))
    }

    /// Builds the project, unless a component is given; none: it does not build, which is said.
    fn place(&self) -> anyhow::Result<Option<Place>> {
        let dir = &self.dir;
        let (project, component) = match &self.component {
            Some(component) => {
                let is_project = dir.join(MANIFEST).is_file();
                let project = is_project.then(|| Project::open(dir)).transpose()?;
                (project, component.clone())
            }
            None => match Builder::new(dir, None).build() {
                Ok((project, built)) => (Some(project), built.file),
                Err(_) => return Ok(None),
            },
        };
        let policy = match &project {
            Some(project) => project.policy(),
            None => Some(dir.join(format!("{}.toml", PluginName::of_file(&component)?)))
                .filter(|file| file.is_file()),
        };
        let cases = match &project {
            Some(project) => project.tests(),
            None => Some(dir.join("tests"))
                .filter(|tests| tests.is_dir())
                .unwrap_or_else(|| dir.clone()),
        };
        Ok(Some(Place {
            component,
            policy: self.policy.clone().or(policy),
            cases: from_here(cases),
        }))
    }
}

/// As a person would write it: what they click on, and read in every line.
fn from_here(path: PathBuf) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let shorter = path.strip_prefix(here).or_else(|_| path.strip_prefix("."));
    match shorter {
        Ok(shorter) if !shorter.as_os_str().is_empty() => shorter.to_owned(),
        _ => path,
    }
}

fn candidate(config: &Config, place: &Place) -> anyhow::Result<Candidate> {
    let opened = single::open(config, &place.component)?;
    let policy = match &place.policy {
        Some(file) => single::policy(config, Some(file))?,
        None => single::default_policy(config, &opened.name)?,
    };
    Ok(Candidate {
        name: opened.name,
        compiled: opened.compiled,
        policy,
        config: Arc::new(config.clone()),
        sandbox: opened.sandbox,
    })
}

async fn run(candidate: &Candidate, suites: Vec<Cases>, filter: &str, colour: Colour) -> Summary {
    let began = Instant::now();
    let mut summary = Summary::default();
    for Cases { file, cases } in suites {
        let before = cases.len();
        let chosen: Vec<_> = cases
            .into_iter()
            .filter(|case| case.name.contains(filter))
            .collect();
        summary.left_out += before - chosen.len();
        if chosen.is_empty() {
            continue;
        }
        output::print(&format!("{file}\n"));
        let mut verdicts = Vec::new();
        for case in chosen {
            let verdict = Box::pin(candidate.run(&case)).await;
            output::print(&verdict_line(&case.name, &verdict, colour));
            verdicts.push((case.name, verdict));
        }
        summary.suites.push(Suite { file, verdicts });
    }
    summary.took = began.elapsed();
    summary
}
