//! What `run` and `dev` share: the runtimes, the banner, the end. And of these what other commands need,
//! too: the runtime that guests run on, and signals.

use std::process::ExitCode;

use conche::config::Config;
use conche::host::{Host, Runtimes};
use conche::nats::ConnectError;
use conche::sandbox::Sandbox;
use conche::shutdown::Shutdown;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::online::{self, Server};
use super::{EXIT_CONNECTION, EXIT_FAILED, EXIT_NOT_DRAINED, log, output};

/// The runtime that guests run on.
pub(super) fn guests(config: &Config) -> anyhow::Result<Runtime> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(config.calls.guest_threads.max(1) as usize)
        .thread_name("guest")
        .on_thread_start(Sandbox::prepare_thread)
        .enable_all()
        .build()?;
    Ok(runtime)
}

/// A runtime of one thread, until the process ends. With tokio's scheduler for many threads, and one
/// of them, a connection wrote fewer answers at once: the server did half as much work again for
/// each.
fn one_thread(name: &str) -> anyhow::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            Sandbox::prepare_thread();
            runtime.block_on(std::future::pending::<()>());
        })?;
    Ok(handle)
}

/// Serves until SIGTERM or SIGINT; a second one ends at once.
pub(super) fn serve(
    config: Config,
    banner: impl FnOnce(&Host) -> String + Send + 'static,
) -> anyhow::Result<ExitCode> {
    log::start(&config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let guests = guests(&config)?;
    // One thread each: what reads the queries writes their answers, and what passes bytes on is
    // never waiting for it.
    let runtimes = Runtimes {
        queries: one_thread("queries")?,
        io: one_thread("io")?,
    };
    let code = guests.block_on(async {
        // On a worker thread: the thread that blocks here would be one more that polls guests.
        let served = guests.spawn(async move { run(config, &runtimes, banner).await });
        served.await?
    });
    // What did not end by the deadline is not waited for again.
    guests.shutdown_background();
    code
}

async fn run(
    config: Config,
    runtimes: &Runtimes,
    banner: impl FnOnce(&Host) -> String,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let shutdown = Shutdown::default();
    let (drain, server) = (config.shutdown.drain, Server::of(&config));
    let host = tokio::select! {
        started = Host::start_under(config, runtimes, shutdown.clone()) => match started {
            Ok(host) => host,
            Err(error) => match error.downcast::<ConnectError>() {
                Ok(error) => return Ok(online::failed(error.into(), server)),
                Err(error) => return Err(error),
            }
        },
        () = signals.next() => {
            log::say("ended before it was ready");
            // Some of it may serve already.
            let drained = tokio::select! {
                drained = shutdown.drain(drain) => drained,
                () = signals.next() => return Ok(ExitCode::from(EXIT_FAILED)),
            };
            return Ok(ExitCode::from(if drained { 0 } else { EXIT_NOT_DRAINED }));
        }
    };
    // On a thread that may wait for its reader, and after what was logged before.
    let banner = banner(&host);
    tokio::task::spawn_blocking(move || {
        log::flush();
        output::print(&banner);
    });
    let lost = tokio::select! {
        () = signals.next() => None,
        error = host.gave_up() => Some(error),
    };
    match &lost {
        Some(error) => log::say(&error.to_string()),
        None => log::say("draining; a second signal ends at once"),
    }
    let drained = tokio::select! {
        drained = host.stop() => drained,
        () = signals.next() => return Ok(ExitCode::from(EXIT_FAILED)),
    };
    Ok(match (lost, drained) {
        (Some(_), _) => ExitCode::from(EXIT_CONNECTION),
        (None, true) => ExitCode::SUCCESS,
        (None, false) => {
            log::say("some calls were still running when the drain time was over");
            ExitCode::from(EXIT_NOT_DRAINED)
        }
    })
}

/// SIGTERM and SIGINT.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Who serves what, what was refused and why.
pub(super) fn plugins(host: &Host) -> String {
    let registry = host.dispatcher().registry();
    let report = host.report().borrow().clone();
    let dir = &host.config().plugins.dir;
    let mut text = String::new();
    for plugin in registry.plugins() {
        text.push_str(&format!("{} {}\n", plugin.name(), plugin.digest().short()));
        text.push_str(&output::registrations(plugin));
    }
    if registry.plugins().next().is_none() {
        text.push_str("no plugin serves yet\n");
    }
    for (name, reason) in report.refused() {
        text.push_str(&format!("{name} is refused\n{}", indented(reason)));
    }
    for (file, reason) in &report.passed_over {
        let file = file.strip_prefix(dir).unwrap_or(file).display();
        let file = output::tamed(&file.to_string());
        text.push_str(&format!("{file} is passed over\n{}", indented(reason)));
    }
    text
}

/// Where components are looked for.
pub(super) fn watched(host: &Host) -> String {
    let dir = host.config().plugins.dir.display();
    format!("watching {dir}: drop or change a .wasm component there\n")
}

fn indented(reason: &str) -> String {
    let lines = reason.lines().map(output::tamed);
    lines.map(|line| format!("  {line}\n")).collect()
}
