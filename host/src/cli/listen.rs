//! `conche listen`: events as they are stored.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use conche::client::{Client, ClientError, EventSource, Seen};
use conche::config::{Config, Mode};
use conche::envelope::{Attribute, CloudEvent};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::online::Server;
use super::options::Online;
use super::serve::Signals;
use super::{log, online, output};

/// How long the end waits for a line that is being printed.
const LAST_LINE: Duration = Duration::from_millis(500);

/// Print events of the stream on NATS as they are published
#[derive(Debug, Args)]
#[command(after_help = "\
Prints each event that is stored from now on: for a person on a terminal, else
as a JSON document a line. Says \"listening\" on stderr when it does, and
waits for a server that is not there, but for no stream: a host makes it.
SIGTERM, Ctrl-C and a reader that leaves end it. Nothing is acknowledged or
taken from others. Without --log only warnings are logged.

Example:
  conche listen org.cyverse.events.UserAdded org.cyverse.events.UserRemoved
  conche listen --tid tid-c0usj6qljdkc1t9civvg --once | jq .data")]
pub(crate) struct Listen {
    /// Event types; none: all, of the transaction that --tid names
    #[arg(value_name = "TYPE")]
    types: Vec<String>,
    /// Only events with this transaction id
    #[arg(long, value_name = "ID")]
    tid: Option<String>,
    /// End after the first
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    online: Online,
}

impl Listen {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(ty) = self.types.iter().find(|ty| online::is_pattern(ty)) {
            return Ok(output::usage(&anyhow::anyhow!(
                "`{ty}` is a pattern: name each type, or a transaction id with --tid"
            )));
        }
        if self.types.is_empty() && self.tid.is_none() {
            let text = "listen to what? name event types, or a transaction id with --tid";
            return Ok(output::usage(&anyhow::anyhow!(text)));
        }
        let config = Config::load(Mode::Run, &self.online.flags())?;
        let runtime = online::prepare(&config)?;
        let server = Server::of(&config);
        let listened = runtime.block_on(async {
            let mut signals = Signals::new()?;
            anyhow::Ok(Box::pin(self.listen(config, &mut signals)).await)
        })?;
        // A line that nobody reads is not waited for.
        runtime.shutdown_background();
        Ok(match listened {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => online::failed(error, server),
        })
    }

    /// Until it is told to end, has printed the one event that was wanted, or its reader left.
    async fn listen(&self, config: Config, signals: &mut Signals) -> Result<(), ClientError> {
        let attribute = config.compat.transaction_attribute.clone();
        let client = tokio::select! {
            () = signals.next() => return Ok(()),
            connected = Client::connect(config) => connected?,
        };
        let listened = self.print(&client, &attribute, signals).await;
        client.disconnect().await;
        listened
    }

    async fn print(
        &self,
        client: &Client,
        transaction_attribute: &str,
        signals: &mut Signals,
    ) -> Result<(), ClientError> {
        let (to, mut events) = mpsc::channel(1);
        let callback = move |seen: Arc<Seen>| {
            let to = to.clone();
            async move { drop(to.send(seen).await) }
        };
        let types: Vec<&str> = self.types.iter().map(String::as_str).collect();
        let transaction_id = self.tid.as_deref().unwrap_or_default();
        let source = EventSource::of(client);
        source
            .add_listener_multi(&types, transaction_id, callback)
            .await?;
        for ty in &self.types {
            // One that does not say is no reason to say something.
            if let Ok(false) = client.takes(ty).await {
                log::say(&astray(client.config(), ty));
            }
        }
        log::say("listening");
        let to_a_person = stdout().is_terminal();
        loop {
            let seen = tokio::select! {
                biased;
                () = signals.next() => return Ok(()),
                seen = events.recv() => seen,
                error = client.gave_up() => return Err(error.into()),
            };
            let seen = seen.ok_or(ClientError::Disconnected)?;
            let text = if to_a_person {
                person(&seen.event, transaction_attribute)
            } else {
                line(&seen.event)?
            };
            let mut printing = pin!(print(text));
            let printed = tokio::select! {
                biased;
                printed = printing.as_mut() => printed,
                () = signals.next() => {
                    // A reader that is only slow gets whole lines.
                    let _in_time = timeout(LAST_LINE, printing).await;
                    false
                }
            };
            if !printed || self.once {
                return Ok(());
            }
        }
    }
}

/// Of a type that the stream does not take.
fn astray(config: &Config, ty: &str) -> String {
    let mut namespace = config.nats.namespace.iter();
    let why = match namespace.any(|pattern| pattern.matches(ty)) {
        true => "it is where queries go",
        false => "see [events] in conche.toml",
    };
    let stream = &config.events.stream;
    format!("stream `{stream}` does not take `{ty}`: {why}")
}

/// Prints, on a thread that may wait for its reader: this one hears signals and keeps the connection.
/// False: the reader has left.
async fn print(text: String) -> bool {
    let printing = tokio::task::spawn_blocking(move || {
        let mut out = stdout();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    });
    matches!(printing.await, Ok(Ok(())))
}

/// For a program: one line. Raw line breaks are white space wherever they are in JSON.
fn line(event: &CloudEvent) -> Result<String, ClientError> {
    let body = event.to_structured()?.body;
    let text = String::from_utf8_lossy(&body);
    Ok(text.replace(['\n', '\r'], " ") + "\n")
}

/// For a person: when, what, of which transaction, from whom; then the data.
fn person(event: &CloudEvent, transaction_attribute: &str) -> String {
    let mut text = String::new();
    if let Some(time) = &event.time {
        let _ = write!(text, "{time}  ");
    }
    text.push_str(&event.ty);
    if let Some(Attribute::Text(id)) = event.extension(transaction_attribute) {
        let _ = write!(text, "  {id}");
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  from {}", event.source);
    let data = event.data.as_ref().map(output::payload).unwrap_or_default();
    for line in data.lines() {
        let _ = writeln!(text, "  {line}");
    }
    output::shown(&text)
}

#[cfg(test)]
mod tests {
    use conche::envelope::{Attribute, CloudEvent, Payload};

    use super::{line, person};

    fn event(data: Payload) -> CloudEvent {
        let mut event = CloudEvent {
            id: "1".to_owned(),
            source: "/s".to_owned(),
            ty: "org.e.A".to_owned(),
            time: Some("2026-01-02T03:04:05Z".to_owned()),
            data: Some(data),
            ..CloudEvent::default()
        };
        event.set_extension("transactionid", Attribute::Text("tid-1".to_owned()));
        event
    }

    #[test]
    fn a_person_reads_when_what_and_from_whom() {
        let check = |data: Payload, expected: &str| {
            let shown = person(&event(data), "transactionid");
            let head = "2026-01-02T03:04:05Z  org.e.A  tid-1  from /s\n";
            assert_eq!(shown, format!("{head}{expected}"));
        };
        check(
            Payload::Json("{\"a\":\n 1}".to_owned()),
            "  {\"a\":\n   1}\n",
        );
        check(Payload::Text("\u{1b}[2Jx".to_owned()), "  \\u{1b}[2Jx\n");
        check(Payload::Binary(vec![0, 1].into()), "  2 bytes\n");
    }

    #[test]
    fn a_program_reads_one_line_with_every_digit() {
        let data = "{\"a\":\r\n12345678901234567890123,\"b\":\"x\\ny\"}".to_owned();
        let shown = line(&event(Payload::Json(data))).unwrap();
        assert_eq!(shown.lines().count(), 1);
        assert!(shown.contains("12345678901234567890123") && shown.ends_with("\"x\\ny\"}}\n"));
    }
}
