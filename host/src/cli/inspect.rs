//! `conche inspect`: what a component could ask for, and what it registers.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use conche::config::{Config, Flags, Mode};
use conche::plugin::Plugin;
use conche::sandbox::Code;

use super::{EXIT_REFUSED, serve, single};

/// Show imports (the upper bound of what it may ask), exports and registrations of a plugin
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  conche inspect plugins/greeter.wasm")]
pub(crate) struct Inspect {
    /// The component
    plugin: PathBuf,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(Mode::Call, &Flags::default())?;
        let runtime = serve::guests(&config)?;
        let loaded = runtime.block_on(single::load(&config, &self.plugin, None));
        match loaded {
            Ok(single) if self.json => {
                println!("{}", serde_json::to_string_pretty(&json(&single.plugin))?);
            }
            Ok(single) => print(&single.plugin),
            Err(error) => {
                eprintln!("conche: {error:#}");
                return Ok(ExitCode::from(EXIT_REFUSED));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(plugin: &Plugin) {
    let component = plugin.component();
    println!("plugin    {}", plugin.name());
    println!("digest    {}", plugin.digest());
    println!("size      {} bytes", component.size);
    let took = component.compile_time;
    match component.code {
        Code::Compiled => println!("compiled  in {took:?}"),
        Code::Cached => println!("loaded    in {took:?}, compiled before"),
    }
    println!("imports   (the most that it may ask for)");
    for name in &component.imports {
        println!("  {name}");
    }
    println!("exports");
    for name in &component.exports {
        println!("  {name}");
    }
    println!("registers");
    let registrations = plugin.registrations();
    for (handler, op) in &registrations.queries {
        println!("  query {op} -> {handler}");
    }
    for (handler, ty) in &registrations.events {
        println!("  event {ty} -> {handler}");
    }
    if let Some(handler) = &registrations.any_query {
        println!("  any query -> {handler}");
    }
    if let Some(handler) = &registrations.any_event {
        println!("  any event -> {handler}");
    }
    for handler in &registrations.listeners {
        println!("  listener {handler}");
    }
    let reusable = if registrations.reusable { "yes" } else { "no" };
    println!("reusable  {reusable}");
}

fn json(plugin: &Plugin) -> serde_json::Value {
    let component = plugin.component();
    let registrations = plugin.registrations();
    let pairs = |list: &[(std::sync::Arc<str>, String)], key: &str| {
        list.iter()
            .map(|(handler, subject)| serde_json::json!({"handler": **handler, key: subject}))
            .collect::<Vec<_>>()
    };
    let listeners = registrations.listeners.iter().map(|name| &**name);
    serde_json::json!({
        "name": plugin.name().as_str(),
        "digest": plugin.digest().to_string(),
        "size_bytes": component.size,
        "compile_us": u64::try_from(component.compile_time.as_micros()).unwrap_or(u64::MAX),
        "cached": component.code == Code::Cached,
        "imports": component.imports,
        "exports": component.exports,
        "queries": pairs(&registrations.queries, "op"),
        "events": pairs(&registrations.events, "type"),
        "any_query": registrations.any_query.as_deref(),
        "any_event": registrations.any_event.as_deref(),
        "listeners": listeners.collect::<Vec<_>>(),
        "reusable": registrations.reusable,
    })
}
