//! `conche inspect`: what a component could ask for, and what it registers.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use conche::config::{Config, Mode};
use conche::policy::{PluginName, Policy};
use conche::sandbox::{Code, Compiled, Digest};

use super::options::Common;
use super::single::{self, Single};
use super::{log, output, serve};

/// Show imports (the upper bound of what it may ask), exports and registrations of a plugin
#[derive(Debug, Args)]
#[command(after_help = "\
Compiles the component and runs its register, with everything granted and no
configuration of its own. Exit code 5 if it is no plugin, or if register
failed: what is known is shown all the same.

Example:
  conche inspect plugins/greeter.wasm")]
pub(crate) struct Inspect {
    /// The component
    plugin: PathBuf,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

/// What the component says before it runs.
struct Component {
    name: PluginName,
    digest: Digest,
    size_bytes: usize,
    compile_us: u64,
    code: Code,
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Inspect {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(Mode::Call, &self.common.flags())?;
        log::start_for_a_person(&config.log)?;
        let opened = match single::open(&config, &self.plugin) {
            Ok(opened) => opened,
            Err(error) => return Ok(refused(&error)),
        };
        let component = Component::of(&opened.name, &opened.compiled);
        let runtime = serve::guests(&config)?;
        let loaded = runtime.block_on(opened.load(&config, Policy::allow_all()));
        let note = match &loaded {
            Ok(single) => {
                let denied = runtime.block_on(single.denied(&config)).err();
                denied.map(|denied| denied.to_string())
            }
            Err(error) => Some(format!("{error:#}")),
        };
        output::print(&if self.json {
            let shown = json(&component, loaded.as_ref().ok(), note.as_deref());
            serde_json::to_string_pretty(&shown)? + "\n"
        } else {
            output::shown(&text(&component, loaded.as_ref().ok(), note.as_deref()))
        });
        Ok(loaded.map_or_else(|error| refused(&error), |_| ExitCode::SUCCESS))
    }
}

impl Component {
    fn of(name: &PluginName, compiled: &Compiled) -> Component {
        Component {
            name: name.clone(),
            digest: compiled.digest,
            size_bytes: compiled.size,
            compile_us: u64::try_from(compiled.compile_time.as_micros()).unwrap_or(u64::MAX),
            code: compiled.code,
            imports: compiled.imports.clone(),
            exports: compiled.exports.clone(),
        }
    }
}

fn refused(error: &anyhow::Error) -> ExitCode {
    output::error(error);
    ExitCode::from(single::exit_code(error))
}

fn text(component: &Component, single: Option<&Single>, note: Option<&str>) -> String {
    let Component {
        name,
        digest,
        size_bytes,
        compile_us,
        ..
    } = component;
    let mut text = format!(
        "plugin    {name}\ndigest    {digest}\nsize      {size_bytes} bytes\n{} {} ms\n",
        match component.code {
            Code::Compiled => "compiled  in",
            Code::Cached => "loaded    compiled before, in",
        },
        compile_us.div_ceil(1000)
    );
    text.push_str("imports   (the most that it may ask for)\n");
    // Writing to a string cannot fail.
    for import in &component.imports {
        let _ = writeln!(text, "  {import}");
    }
    text.push_str("exports\n");
    for export in &component.exports {
        let _ = writeln!(text, "  {export}");
    }
    if let Some(Single { plugin, .. }) = single {
        let reusable = plugin.registrations().reusable;
        text.push_str("registers\n");
        text.push_str(&output::registrations(plugin));
        text.push_str(if reusable {
            "reusable  yes: an instance may serve many calls\n"
        } else {
            "reusable  no: each call gets a fresh instance\n"
        });
        if let Some(denied) = note {
            let _ = writeln!(text, "note      a host would refuse it: it {denied}");
        }
    }
    text
}

fn json(component: &Component, single: Option<&Single>, note: Option<&str>) -> serde_json::Value {
    let registrations = single.map(|single| single.plugin.registrations().clone());
    let registrations = registrations.unwrap_or_default();
    let pairs = |list: &[(Arc<str>, String)], key: &str| {
        list.iter()
            .map(|(handler, subject)| serde_json::json!({"handler": **handler, key: subject}))
            .collect::<Vec<_>>()
    };
    let listeners = registrations.listeners.iter().map(|name| &**name);
    serde_json::json!({
        "name": component.name.as_str(),
        "digest": component.digest.to_string(),
        "size_bytes": component.size_bytes,
        "compile_us": component.compile_us,
        "cached": component.code == Code::Cached,
        "imports": component.imports,
        "exports": component.exports,
        "queries": pairs(&registrations.queries, "op"),
        "events": pairs(&registrations.events, "type"),
        "any_query": registrations.any_query.as_deref(),
        "any_event": registrations.any_event.as_deref(),
        "listeners": listeners.collect::<Vec<_>>(),
        "reusable": registrations.reusable,
        "refusal": note,
    })
}
