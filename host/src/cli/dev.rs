//! `conche dev`: the host on its embedded bus, with the HTTP gateway.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use conche::config::{Config, Mode};
use conche::host::Host;
use conche::sandbox::Sandbox;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::options::Common;
use super::{EXIT_FAILED, EXIT_NOT_DRAINED, log};

/// Run plugins from a directory without NATS, with an HTTP gateway; grants everything
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  conche dev plugins --listen 127.0.0.1:8080")]
pub(crate) struct Dev {
    /// Where the plugins are: *.wasm components
    dir: PathBuf,
    /// Address of the HTTP gateway; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Dev {
    /// Serves until SIGTERM or SIGINT; a second one ends at once.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut flags = self.common.flags();
        flags.plugins = Some(self.dir);
        flags.listen = self.listen;
        let config = Config::load(Mode::Dev, &flags)?;
        log::start(&config.log)?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let runtime = runtime(&config)?;
        let code = runtime.block_on(serve(config))?;
        // What did not end by the deadline is not waited for again.
        runtime.shutdown_background();
        Ok(code)
    }
}

/// The runtime that guests run on.
pub(super) fn runtime(config: &Config) -> anyhow::Result<Runtime> {
    let threads = config.calls.guest_threads.max(1) as usize;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("guest")
        .on_thread_start(Sandbox::prepare_thread)
        .enable_all()
        .build()?;
    Ok(runtime)
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let host = Host::start(config).await?;
    banner(&host);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    eprintln!("draining; a second signal ends at once");
    tokio::select! {
        drained = host.stop() => Ok(if drained {
            ExitCode::SUCCESS
        } else {
            eprintln!("conche: some calls were still running when the drain time was over");
            ExitCode::from(EXIT_NOT_DRAINED)
        }),
        _ = terminate.recv() => Ok(ExitCode::from(EXIT_FAILED)),
        _ = interrupt.recv() => Ok(ExitCode::from(EXIT_FAILED)),
    }
}

/// What a person wants to know at the start; its last line says that all is up.
fn banner(host: &Host) {
    println!("everything is granted to every plugin: this is for development");
    let registry = host.dispatcher().registry();
    if registry.plugins().next().is_none() {
        println!("no plugin serves yet: drop a .wasm component into the directory");
    }
    for plugin in registry.plugins() {
        println!("{} {}", plugin.name(), plugin.digest().short());
        let registrations = plugin.registrations();
        for (handler, op) in &registrations.queries {
            println!("  query {op} -> {handler}");
        }
        for (handler, ty) in &registrations.events {
            println!("  event {ty} -> {handler}");
        }
    }
    match host.gateway() {
        Some(address) => println!("ready gateway=http://{address}"),
        None => println!("ready"),
    }
}
