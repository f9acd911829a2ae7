//! `conche call`: one query or event through one plugin, without any server.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use conche::config::{Config, Mode};
use conche::envelope::{Attribute, CloudEvent, Payload, new_id, new_transaction_id, now};
use conche::outbound::Outbound;
use conche::plugin::Plugin;
use conche::sandbox::{
    Call as SandboxCall, Effects, EventOutcome, Failure, ListenerChange, QueryOutcome, Verdict,
};

use super::json::{Data, data};
use super::options::Common;
use super::single::{self, Single};
use super::{EXIT_REFUSED, log, output, serve};

/// Run one query or event through one plugin, with no server at all
#[derive(Debug, Args)]
#[command(after_help = "\
Prints what the handler emitted and answered to stdout, a line each; its log
goes to stderr. Nothing is sent anywhere, and nobody answers what it asks.
Exit code 5 if the plugin is refused or handles nothing of this type, or if
the handler failed, answered a fault or what no host could send, rejected the
event, or asked for a retry.

Example:
  conche call greeter.wasm cyverse.greeter.Greet '{\"name\":\"Ada\"}'
  conche call auditor.wasm org.cyverse.events.OrderCreated '{}' --policy auditor.toml")]
pub(crate) struct Call {
    /// The component
    plugin: PathBuf,
    /// Query op or event type
    #[arg(value_name = "TYPE")]
    ty: String,
    /// The data: one JSON value; - or none reads it from stdin
    #[arg(value_parser = data)]
    json: Option<Data>,
    /// Policy to run under, as a host would [default: everything is granted]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Which handler a type goes to.
enum Route {
    Query(Arc<str>),
    Event(Arc<str>),
}

impl Call {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(Mode::Call, &self.common.flags())?;
        log::start_for_a_person(&config.log)?;
        let json = match Data::read(self.json) {
            Ok(json) => json,
            Err(error) => return Ok(output::usage(&error)),
        };
        let mut event = CloudEvent {
            id: new_id(),
            source: "/conche/call".to_owned(),
            ty: self.ty,
            time: Some(now()),
            data: Some(Payload::Json(json.0)),
            ..CloudEvent::default()
        };
        event.set_extension(
            &config.compat.transaction_attribute,
            Attribute::Text(new_transaction_id()),
        );
        let runtime = serve::guests(&config)?;
        runtime.block_on(async {
            let loaded = async {
                let policy = single::policy(&config, self.policy.as_deref())?;
                let single = single::open(&config, &self.plugin)?;
                let single = single.load(&config, policy).await?;
                if self.policy.is_some() {
                    let denied = single.denied(&config).await;
                    denied.with_context(|| single::quoted(&self.plugin))?;
                }
                anyhow::Ok(single)
            };
            match loaded.await {
                Ok(single) => Box::pin(run(&single, &Arc::new(event))).await,
                Err(error) => {
                    output::error(&error);
                    Ok(ExitCode::from(single::exit_code(&error)))
                }
            }
        })
    }
}

async fn run(single: &Single, event: &Arc<CloudEvent>) -> anyhow::Result<ExitCode> {
    let Single {
        plugin, outbound, ..
    } = single;
    let Some(route) = route(plugin, &event.ty) else {
        output::error(&anyhow::anyhow!(
            "plugin `{}` registers nothing for `{}`; it registers\n{}",
            plugin.name(),
            event.ty,
            output::registrations(plugin).trim_end()
        ));
        return Ok(ExitCode::from(EXIT_REFUSED));
    };
    let (Route::Query(handler) | Route::Event(handler)) = &route;
    let call = SandboxCall::first(handler, event, plugin.policy().limits.deadline);
    let mut shown = String::new();
    let is_done = match route {
        Route::Query(_) => show_query(&mut shown, plugin.query(&call).await, outbound),
        Route::Event(_) => show_event(&mut shown, plugin.event(&call).await),
    };
    output::print(&shown);
    Ok(if is_done {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_REFUSED)
    })
}

/// As a host matches: what is registered by name, then the defaults. No subject tells a query from
/// an event here, so the default for queries goes first.
fn route(plugin: &Plugin, ty: &str) -> Option<Route> {
    let registrations = plugin.registrations();
    let query = |handler: &Arc<str>| Route::Query(handler.clone());
    let event = |handler: &Arc<str>| Route::Event(handler.clone());
    let named = registrations.named_query(ty).map(query);
    named
        .or_else(|| registrations.named_event(ty).map(event))
        .or_else(|| registrations.query_handler(ty).map(query))
        .or_else(|| registrations.event_handler(ty).map(event))
}

/// Shows what a query came to; whether it was answered.
fn show_query(
    shown: &mut String,
    outcome: Result<QueryOutcome, Failure>,
    outbound: &Outbound,
) -> bool {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(failure) => return show_failure(shown, &failure),
    };
    show_effects(shown, &outcome.effects);
    match outcome.answer {
        Ok(Some(reply)) => match outbound.written(&reply) {
            Ok(message) => show_json(shown, "reply", &message.body),
            Err(flaw) => {
                let text = format!("a host could not send the reply: {flaw}");
                show(shown, "failed", &text);
                return false;
            }
        },
        Ok(None) => show(shown, "silence", "the handler answers nothing"),
        Err(fault) => {
            show(shown, "fault", &format!("{} {}", fault.code, fault.message));
            match &fault.details {
                Some(Payload::Json(json)) => show_json(shown, "details", json.as_bytes()),
                Some(details) => show(shown, "details", &output::payload(details)),
                None => {}
            }
            return false;
        }
    }
    true
}

/// Shows what an event came to; whether it was handled.
fn show_event(shown: &mut String, outcome: Result<EventOutcome, Failure>) -> bool {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(failure) => return show_failure(shown, &failure),
    };
    show_effects(shown, &outcome.effects);
    match outcome.verdict {
        Verdict::Done => {
            show(shown, "done", "a host acknowledges the event");
            return true;
        }
        Verdict::Retry {
            message,
            after: Some(after),
        } => show(shown, "retry", &format!("after {after:?}: {message}")),
        Verdict::Retry {
            message,
            after: None,
        } => show(shown, "retry", &message),
        Verdict::Reject(fault) => {
            show(
                shown,
                "reject",
                &format!("{} {}", fault.code, fault.message),
            );
        }
    }
    false
}

fn show_effects(shown: &mut String, effects: &Effects) {
    for change in &effects.listeners {
        match change {
            ListenerChange::Add(new) => {
                let types = new.interest.types.join(" ");
                let tid = new.interest.transaction_id.as_deref().unwrap_or("");
                let once = if new.once { "once" } else { "" };
                let words = [&*new.id, &*new.handler, &types, tid, once];
                let words: Vec<_> = words.into_iter().filter(|w| !w.is_empty()).collect();
                show(shown, "listen", &words.join(" "));
            }
            ListenerChange::Remove(id) => show(shown, "unlisten", id),
        }
    }
    for emitted in &effects.emitted {
        show_json(shown, "emit", &emitted.message.body);
    }
}

fn show_failure(shown: &mut String, failure: &Failure) -> bool {
    show(shown, "failed", &failure.to_string());
    false
}

/// A line for a program: JSON stays as it is where no person reads it, and no word of ours can begin a
/// line in it.
fn show_json(shown: &mut String, what: &str, json: &[u8]) {
    let json = String::from_utf8_lossy(json);
    if stdout().is_terminal() {
        return show(shown, what, &json);
    }
    let _ = writeln!(shown, "{what:<8} {json}");
}

/// The text is a guest's.
fn show(shown: &mut String, what: &str, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(shown, "{what:<8} {}", output::tamed(text));
}
