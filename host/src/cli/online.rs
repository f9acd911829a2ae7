//! What the commands share that ask, publish and listen on a server: the connection, the event, and
//! what an error means to a shell.

use std::process::ExitCode;
use std::time::Duration;

use conche::client::{Client, ClientError};
use conche::config::Config;
use conche::envelope::{Attribute, CloudEvent, Payload, new_id, now};
use conche::nats::ConnectError;
use conche::settings::parse_duration;
use tokio::runtime::{Builder, Runtime};

use super::json::Json;
use super::options;
use super::{EXIT_CONNECTION, EXIT_FAILED, EXIT_REFUSED, EXIT_UNANSWERED, EXIT_USAGE, log, output};

/// How often a server that is not there is tried again by who waits for an answer, unless the
/// configuration says.
const RECONNECTS: u32 = 0;

/// Who said which server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Named,
    Default,
}

impl Server {
    pub(super) fn of(config: &Config) -> Server {
        match options::is_default(config, "nats.urls") {
            true => Server::Default,
            false => Server::Named,
        }
    }
}

/// Starts the log, and makes a runtime that is large enough for one connection.
pub(super) fn prepare(config: &Config) -> anyhow::Result<Runtime> {
    log::start_quietly(config)?;
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Connects; a server that is not there is said to be so at once.
pub(super) async fn connect(mut config: Config) -> Result<Client, ClientError> {
    config.nats.max_reconnects.get_or_insert(RECONNECTS);
    Box::pin(Client::connect(config)).await
}

/// An event of this type, as the configuration has it.
pub(super) fn event(
    config: &Config,
    ty: String,
    transaction_id: Option<String>,
    json: Json,
) -> CloudEvent {
    let mut event = CloudEvent {
        id: new_id(),
        source: config.source_named("cli"),
        ty,
        time: Some(now()),
        data: Some(Payload::Json(json.0)),
        ..CloudEvent::default()
    };
    if let Some(id) = transaction_id.filter(|id| !id.is_empty()) {
        event.set_extension(&config.compat.transaction_attribute, Attribute::Text(id));
    }
    event
}

/// Reads a time-out.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_duration(text).filter(|timeout| !timeout.is_zero());
    timeout.ok_or_else(|| "write a time such as 5s or 250ms".to_owned())
}

/// Whether a type has wildcards, as those of subjects and of nobody's events.
pub(super) fn is_pattern(ty: &str) -> bool {
    ty.split('.').any(|token| token == "*" || token == ">")
}

/// Says what went wrong; the code that a shell gets tells the kinds apart.
pub(super) fn failed(error: ClientError, server: Server) -> ExitCode {
    let code = match &error {
        ClientError::Connect(_) | ClientError::Disconnected => EXIT_CONNECTION,
        ClientError::NoResponders { .. }
        | ClientError::TimedOut { .. }
        | ClientError::Busy { .. } => EXIT_UNANSWERED,
        ClientError::Remote(_) => EXIT_REFUSED,
        ClientError::Invalid(_) => EXIT_USAGE,
        _ => EXIT_FAILED,
    };
    let hint = hint(&error, server);
    output::error(&error.into());
    if let Some(hint) = hint {
        log::say(&hint);
    }
    ExitCode::from(code)
}

/// What to do about it, where the error itself does not say.
fn hint(error: &ClientError, server: Server) -> Option<String> {
    match error {
        // Not of a server that is there and refuses, nor to who named it.
        ClientError::Connect(ConnectError::GaveUp {
            is_there: false, ..
        }) if server == Server::Default => {
            Some("name the server with --nats-url or NATS_URL".to_owned())
        }
        ClientError::TimedOut { .. } => Some("--timeout waits longer".to_owned()),
        ClientError::Remote(fault) => {
            let details = fault.details.as_ref();
            details.map(|details| format!("details: {}", output::payload(details)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use conche::nats::ConnectError;

    use super::{Server, hint};

    #[test]
    fn who_named_no_server_is_told_how() {
        let check = |server, is_there, expected: Option<&str>| {
            let error = ConnectError::GaveUp {
                urls: "nats://nats:4222".to_owned(),
                attempts: 1,
                reason: String::new(),
                is_there,
            };
            assert_eq!(hint(&error.into(), server).as_deref(), expected);
        };
        let how = Some("name the server with --nats-url or NATS_URL");
        check(Server::Default, false, how);
        check(Server::Default, true, None);
        check(Server::Named, false, None);
        let wrong = ConnectError::Options("ca in [nats.tls]".to_owned());
        assert_eq!(hint(&wrong.into(), Server::Default), None);
    }
}
