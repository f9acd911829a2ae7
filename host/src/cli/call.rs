//! `conche call`: one query or event through one plugin, without any server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use conche::config::{Config, Mode};
use conche::envelope::{Attribute, CloudEvent, Payload, new_id, new_transaction_id, now};
use conche::plugin::Plugin;
use conche::registry::Registry;
use conche::sandbox::{Call as SandboxCall, Emitted, EventOutcome, Failure, QueryOutcome, Verdict};
use tokio::time::Instant;

use super::options::Common;
use super::{EXIT_REFUSED, log, serve, single};

/// Run one query or event through one plugin, with no server at all
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  conche call greeter.wasm cyverse.greeter.Greet '{\"name\":\"Ada\"}'"
)]
pub(crate) struct Call {
    /// The component
    plugin: PathBuf,
    /// Query op or event type
    #[arg(value_name = "TYPE")]
    ty: String,
    /// The data: one JSON value
    json: String,
    /// Policy to run under [default: everything is granted]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl Call {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(Mode::Call, &self.common.flags())?;
        log::start(&config.log)?;
        let json: Box<serde_json::value::RawValue> = serde_json::from_str(&self.json)
            .map_err(|error| anyhow::anyhow!("the data is no JSON value: {error}"))?;
        let mut event = CloudEvent {
            id: new_id(),
            source: "/conche/call".to_owned(),
            ty: self.ty,
            time: Some(now()),
            data: Some(Payload::Json(json.get().to_owned())),
            ..CloudEvent::default()
        };
        let transaction_id = new_transaction_id();
        event.set_extension(
            &config.compat.transaction_attribute,
            Attribute::Text(transaction_id.clone()),
        );
        let runtime = serve::guests(&config)?;
        runtime.block_on(async {
            let loaded = single::load(&config, &self.plugin, self.policy.as_deref()).await;
            match loaded {
                Ok(single) => Box::pin(run(&single.plugin, &event, &transaction_id)).await,
                Err(error) => {
                    eprintln!("conche: {error:#}");
                    Ok(ExitCode::from(EXIT_REFUSED))
                }
            }
        })
    }
}

async fn run(
    plugin: &Plugin,
    event: &CloudEvent,
    transaction_id: &str,
) -> anyhow::Result<ExitCode> {
    let registrations = plugin.registrations();
    let named = registrations
        .queries
        .iter()
        .find_map(|(handler, op)| (*op == event.ty).then_some(handler));
    let listener = Registry::event(plugin, &event.ty);
    let any_query = registrations
        .any_query
        .as_ref()
        .filter(|_| listener.is_none());
    let call = |handler| SandboxCall {
        handler,
        event,
        transaction_id: Some(transaction_id),
        attempt: 1,
        hops: 0,
        deadline: Instant::now() + plugin.policy().limits.deadline,
    };
    if let Some(handler) = named.or(any_query) {
        return show_query(plugin.query(&call(handler)).await);
    }
    let Some(handler) = listener else {
        anyhow::bail!(
            "plugin `{}` registers nothing for `{}`: conche inspect shows what it does",
            plugin.name(),
            event.ty
        );
    };
    Ok(show_event(plugin.event(&call(&handler)).await))
}

fn show_query(outcome: Result<QueryOutcome, Failure>) -> anyhow::Result<ExitCode> {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(failure) => return Ok(failed(&failure)),
    };
    show_effects(&outcome.emitted);
    match outcome.answer {
        Ok(Some(reply)) => {
            let message = reply.to_structured()?;
            println!("reply  {}", String::from_utf8_lossy(&message.body));
        }
        Ok(None) => println!("no reply"),
        Err(fault) => {
            println!("fault  {} {}", fault.code, fault.message);
            if let Some(Payload::Json(details)) = fault.details {
                println!("       {details}");
            }
            return Ok(ExitCode::from(EXIT_REFUSED));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show_event(outcome: Result<EventOutcome, Failure>) -> ExitCode {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(failure) => return failed(&failure),
    };
    show_effects(&outcome.emitted);
    match outcome.verdict {
        Verdict::Done => {
            println!("done");
            return ExitCode::SUCCESS;
        }
        Verdict::Retry { message, after } => match after {
            Some(after) => println!("retry  {message} (after {after:?})"),
            None => println!("retry  {message}"),
        },
        Verdict::Reject(fault) => println!("reject {} {}", fault.code, fault.message),
    }
    ExitCode::from(EXIT_REFUSED)
}

fn show_effects(emitted: &[Emitted]) {
    for Emitted { message, .. } in emitted {
        println!("emit   {}", String::from_utf8_lossy(&message.body));
    }
}

fn failed(failure: &Failure) -> ExitCode {
    println!("failed {failure}");
    ExitCode::from(EXIT_REFUSED)
}
