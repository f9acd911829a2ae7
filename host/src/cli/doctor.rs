//! `conche doctor`: what is wrong around a host, and the line that mends it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use conche::config::{Config, Flags, Mode};
use conche::doctor::{self, Examined, Finding, Severity, Wants};
use conche::host;
use conche::nats::ConnectError;
use conche::plugin::RegisterError;
use conche::policy::PluginName;
use conche::reload::{self, Denied, Entry, NoPolicy};
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

/// What the plugins in the directory register; those that a host would refuse are findings, as is
/// what it would pass over, or not start with.
async fn load(config: &Config, wants: &mut Wants) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for missing in reload::missing(&config.plugins) {
        let mend = format!("{}: --{}", missing.mend(), missing.holds);
        findings.push(refusal(missing.what(), mend));
    }
    // What cannot be read is among them.
    let mut entries = reload::entries(&config.plugins.dir).unwrap_or_default();
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    if entries.is_empty() {
        return Ok(findings);
    }
    let sandbox = Arc::new(host::sandbox(config)?);
    for Entry { path, name } in entries {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let name = match name {
            Ok(name) => name,
            Err(reason) => {
                let what = format!("a host passes over {file}: {reason}");
                let mend = format!("rename or remove {}", path.display());
                findings.push(Finding {
                    severity: Severity::Warning,
                    ..refusal(what, mend)
                });
                continue;
            }
        };
        if let Err(error) = load_one(config, &sandbox, (&name, &path), wants).await {
            let mend = mend(&error, &path, &reload::policy_path(&config.plugins, &name));
            let text = format!("{error:#}");
            // The line that mends it may end the text.
            let text = text.strip_suffix(&mend).unwrap_or(&text);
            let text = text.trim_end_matches(": ").replace('\n', "; ");
            let what = format!("a host would refuse {file}: {text}");
            findings.push(refusal(what, mend));
        }
    }
    Ok(findings)
}

async fn load_one(
    config: &Config,
    sandbox: &Arc<Sandbox>,
    (name, path): (&PluginName, &Path),
    wants: &mut Wants,
) -> anyhow::Result<()> {
    let opened = single::open_in(sandbox, path)?;
    let policy = reload::policy_of(name, &config.plugins)?;
    let loaded = opened.load(config, policy).await?;
    loaded.denied(config).await?;
    wants.add_plugin(&loaded.plugin);
    Ok(())
}

/// What to do about a plugin that a host would refuse.
fn mend(error: &anyhow::Error, path: &Path, policy: &Path) -> String {
    let (path, shown) = (path.display(), policy.display());
    if let Some(line) = error.downcast_ref::<Denied>().and_then(Denied::mend) {
        line
    } else if error.is::<NoPolicy>() {
        format!("edit {shown}")
    } else if error.is::<Denied>() || error.is::<RegisterError>() {
        match policy.is_file() {
            true => format!("conche check {path} --policy {shown} says what it needs"),
            false => format!("conche check {path} says what it needs"),
        }
    } else {
        format!("put a component that this user may read at {path}, or remove it")
    }
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
