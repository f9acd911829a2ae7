//! `conche doctor`: what is wrong around a host, and the line that mends it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use conche::config::{Config, Flags, Mode, lookups};
use conche::doctor::{self, Examined, Finding, Severity, Wants};
use conche::host;
use conche::nats::ConnectError;
use conche::policy::{PluginName, PolicyFile};
use conche::sandbox::Sandbox;

use super::options::Common;
use super::{EXIT_CONNECTION, EXIT_FAILED, log, output, serve, single};

/// Find what is wrong around a host on NATS, and print the line that mends it
#[derive(Debug, Args)]
#[command(after_help = "\
Connects once, with the configuration of conche run, and looks at: the
server's version, JetStream and clock; streams that take queries, are
configured otherwise, or take no events of the types that plugins listen to;
consumers that nobody pulls from, or whose filters are dead or doubled;
services on the same subjects; what the server denies. Plugins in the
directory are loaded to know what they register. Nothing is changed: what has
to be tried is tried with empty messages that no stream stores; who subscribes
the subjects of events sees some, and so does who subscribes the whole
namespace where the server does not say so.

Exit codes: 0 nothing found, or warnings alone; 1 errors found;
3 configuration; 4 no connection

Example:
  NATS_URL=nats://127.0.0.1:4222 conche doctor --plugins plugins")]
pub(crate) struct Doctor {
    /// An event type that has to be taken by the stream, beside those of the plugins
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    /// Where the plugins are, also CONCHE_PLUGINS: *.wasm components [default: plugins]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// Where their policies are, also CONCHE_POLICIES: <name>.toml [default: beside the plugins]
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// NATS servers, also NATS_URL, with commas [default: nats://nats:4222]
    #[arg(long, value_name = "URLS")]
    nats_url: Option<String>,
    /// Where compiled code is kept [default: conche in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl Doctor {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let flags = Flags {
            plugins: self.plugins,
            policies: self.policies,
            nats_url: self.nats_url,
            cache_dir: self.cache_dir,
            ..self.common.flags()
        };
        let config = Config::load(Mode::Run, &flags)?;
        log::start_for_a_person(&config.log)?;
        let runtime = serve::guests(&config)?;
        let mut wants = Wants::default();
        for ty in &self.types {
            wants.add_type(ty);
        }
        let refused = runtime.block_on(load(&config, &mut wants))?;
        let examined = runtime.block_on(doctor::examine(&config, &wants));
        let mut examined = match examined {
            Ok(examined) => examined,
            Err(error) => return Ok(no_connection(error)),
        };
        examined.findings.extend(refused);
        examined.findings.sort_by_key(|finding| finding.severity);
        output::print(&if self.json {
            serde_json::to_string_pretty(&examined)? + "\n"
        } else {
            text(&examined)
        });
        let failed = count(&examined, Severity::Error) > 0;
        Ok(if failed {
            ExitCode::from(EXIT_FAILED)
        } else {
            ExitCode::SUCCESS
        })
    }
}

fn no_connection(error: ConnectError) -> ExitCode {
    output::error(&error.into());
    ExitCode::from(EXIT_CONNECTION)
}

/// What the plugins in the directory register; those that a host would refuse are findings.
async fn load(config: &Config, wants: &mut Wants) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let dir = &config.plugins.dir;
    let shown = dir.display();
    if !dir.is_dir() {
        let what = format!("plugins directory `{shown}` does not exist or is no directory");
        findings.push(refusal(
            what,
            "create it, or name another: --plugins".to_owned(),
        ));
        return Ok(findings);
    }
    let entries = std::fs::read_dir(dir).with_context(|| format!("cannot read `{shown}`"))?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| Ok(entry?.path())).collect();
    let paths = paths.map_err(|error: std::io::Error| error);
    let mut paths = paths.with_context(|| format!("cannot read `{shown}`"))?;
    paths.retain(|path| path.extension().is_some_and(|it| it == "wasm"));
    paths.sort();
    if paths.is_empty() {
        return Ok(findings);
    }
    let sandbox = Arc::new(host::sandbox(config)?);
    for path in paths {
        if let Err(error) = load_one(config, &sandbox, &path, wants).await {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let what = format!("a host would refuse {name}: {error:#}");
            findings.push(refusal(
                what.replace('\n', "; "),
                format!("conche inspect {} shows what it is", path.display()),
            ));
        }
    }
    Ok(findings)
}

async fn load_one(
    config: &Config,
    sandbox: &Arc<Sandbox>,
    path: &Path,
    wants: &mut Wants,
) -> anyhow::Result<()> {
    let opened = single::open_in(sandbox, path)?;
    let policy = policy(config, &opened.name)?;
    let loaded = opened.load(config, policy).await?;
    loaded.denied(config).await?;
    wants.add_plugin(&loaded.plugin);
    Ok(())
}

/// The plugin's policy, as a host has it.
fn policy(config: &Config, name: &PluginName) -> anyhow::Result<conche::policy::Policy> {
    let path = config.plugins.policies.join(format!("{name}.toml"));
    let shown = path.display().to_string();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read `{shown}`")),
    };
    let file = PolicyFile {
        path: &shown,
        text: text.as_deref(),
    };
    Ok(config.plugins.rules.resolve(file, lookups())?)
}

fn refusal(what: String, mend: String) -> Finding {
    Finding {
        severity: Severity::Error,
        check: "plugins",
        what,
        mend,
    }
}

fn text(examined: &Examined) -> String {
    let mut text = String::new();
    for finding in &examined.findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{severity:8} {}: {}", finding.check, finding.what);
        let _ = writeln!(text, "  mend   {}", finding.mend);
    }
    for note in &examined.notes {
        let _ = writeln!(text, "note     {note}");
    }
    let errors = count(examined, Severity::Error);
    let warnings = count(examined, Severity::Warning);
    let plural = |n: usize, word: &str| match n {
        1 => format!("1 {word}"),
        n => format!("{n} {word}s"),
    };
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&match (errors, warnings) {
        (0, 0) => "nothing found\n".to_owned(),
        _ => format!(
            "{}, {}\n",
            plural(errors, "error"),
            plural(warnings, "warning")
        ),
    });
    text
}

fn count(examined: &Examined, severity: Severity) -> usize {
    let of = examined.findings.iter();
    of.filter(|finding| finding.severity == severity).count()
}
