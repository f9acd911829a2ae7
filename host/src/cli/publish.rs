//! `conche publish`: one event into the stream.

use std::io::{IsTerminal as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use conche::client::{ClientError, Stored};
use conche::config::{Config, Mode};
use serde_json::json;

use super::json::{Data, data};
use super::online::Server;
use super::options::Online;
use super::{log, online, output};

/// Publish an event to the stream on NATS, and wait until the stream has it
#[derive(Debug, Args)]
#[command(after_help = "\
Prints where the event is stored: for a person on a terminal, else as a line
of JSON. Exit code 7 if the stream did not confirm in time; it may have the
event then. Without --log only warnings are logged.

Example:
  conche publish org.cyverse.events.UserAdded '{\"id\":2}' --nats-url nats://127.0.0.1:4222
  conche publish org.cyverse.events.UserAdded --tid tid-1 < user.json")]
pub(crate) struct Publish {
    /// Event type
    #[arg(value_name = "TYPE")]
    ty: String,
    /// The data: one JSON value; - or none reads it from stdin
    #[arg(value_parser = data)]
    json: Option<Data>,
    /// Transaction id that the event carries
    #[arg(long, value_name = "ID")]
    tid: Option<String>,
    /// How long to wait, also NATS_EVENTS_TIMEOUT [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = online::timeout)]
    timeout: Option<Duration>,
    #[command(flatten)]
    online: Online,
}

impl Publish {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        if online::is_pattern(&self.ty) {
            let ty = &self.ty;
            return Ok(output::usage(&anyhow::anyhow!(
                "`{ty}` is a pattern: name one type"
            )));
        }
        let mut config = Config::load(Mode::Run, &self.online.flags())?;
        let runtime = online::prepare(&config)?;
        let json = match Data::read(self.json) {
            Ok(json) => json,
            Err(error) => return Ok(output::usage(&error)),
        };
        if let Some(timeout) = self.timeout {
            config.events.publish_timeout = timeout;
        }
        let (server, namespace) = (Server::of(&config), config.nats.namespace.clone());
        let event = online::event(&config, self.ty, self.tid, json);
        let id = event.id.clone();
        let published = runtime.block_on(async {
            let client = online::connect(config).await?;
            let stored = client.publish_event(event).await;
            client.disconnect().await;
            stored
        });
        Ok(match published {
            Ok(stored) => {
                output::print(&shown(&stored, &id, stdout().is_terminal()));
                ExitCode::SUCCESS
            }
            Err(error) => {
                let is_query = matches!(&error, ClientError::NoStream { ty, .. }
                    if namespace.iter().any(|pattern| pattern.matches(ty)));
                let code = online::failed(error, server);
                if is_query {
                    log::say("it is where queries go: conche request asks it");
                }
                code
            }
        })
    }
}

fn shown(stored: &Stored, id: &str, to_a_person: bool) -> String {
    let Stored {
        stream, sequence, ..
    } = stored;
    if to_a_person {
        return format!("{id} is stored in {stream} at {sequence}\n");
    }
    json!({"id": id, "stream": stream, "sequence": sequence}).to_string() + "\n"
}

#[cfg(test)]
mod tests {
    use conche::client::Stored;

    use super::shown;

    #[test]
    fn a_person_and_a_program_are_told() {
        let stored = Stored {
            stream: "s".to_owned(),
            sequence: 7,
            duplicate: false,
        };
        assert_eq!(shown(&stored, "c-1", true), "c-1 is stored in s at 7\n");
        let line = "{\"id\":\"c-1\",\"sequence\":7,\"stream\":\"s\"}\n";
        assert_eq!(shown(&stored, "c-1", false), line);
    }
}
