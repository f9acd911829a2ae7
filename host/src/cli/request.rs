//! `conche request`: one query to whoever answers it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use conche::client::{Answer, Client, ClientError};
use conche::config::{Config, Mode};
use conche::envelope::CloudEvent;

use super::json::{Data, data};
use super::online::Server;
use super::options::Online;
use super::{log, online, output};

/// Ask a query on NATS, and print the data of its answer
#[derive(Debug, Args)]
#[command(after_help = "\
The data of the answer goes to stdout as it came, an error to stderr. Exit
code 5 for an answer that is an error, 7 if nobody answers, not in time, or is
too busy. Without --log only warnings are logged.

Example:
  conche request cyverse.greeter.Greet '{\"name\":\"Ada\"}' --nats-url nats://127.0.0.1:4222
  jq -n '{name: \"Ada\"}' | conche request cyverse.greeter.Greet")]
pub(crate) struct Request {
    /// Query op, which is the subject too
    op: String,
    /// The data: one JSON value; - or none reads it from stdin
    #[arg(value_parser = data)]
    json: Option<Data>,
    /// Transaction id that the query carries
    #[arg(long, value_name = "ID")]
    tid: Option<String>,
    /// How long to wait, also NATS_REQUEST_TIMEOUT [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = online::timeout)]
    timeout: Option<Duration>,
    /// Print the whole event of the answer rather than its data
    #[arg(long)]
    event: bool,
    #[command(flatten)]
    online: Online,
}

impl Request {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(Mode::Run, &self.online.flags())?;
        let runtime = online::prepare(&config)?;
        let json = match Data::read(self.json) {
            Ok(json) => json,
            Err(error) => return Ok(output::usage(&error)),
        };
        let timeout = self.timeout.unwrap_or(config.nats.request_timeout);
        let server = Server::of(&config);
        let query = online::event(&config, self.op, self.tid, json);
        let answered = runtime.block_on(async {
            let client = online::connect(config).await?;
            ask(client.with_request_timeout(timeout), query).await
        });
        Ok(match answered {
            Ok(answer) => show(&answer, self.event, server),
            Err(error) => online::failed(error, server),
        })
    }
}

async fn ask(client: Client, query: CloudEvent) -> Result<Answer, ClientError> {
    let answered = client.request_event(query).await;
    client.disconnect().await;
    answered
}

fn show(answer: &Answer, whole: bool, server: Server) -> ExitCode {
    let mut bytes = match answer.event() {
        Some(event) if whole => match event.to_structured() {
            Ok(message) => message.body.to_vec(),
            Err(error) => return online::failed(error.into(), server),
        },
        Some(_) => answer.bytes().to_vec(),
        None => {
            log::say("the answer is no CloudEvent: printed as it came");
            answer.bytes().to_vec()
        }
    };
    bytes.push(b'\n');
    output::print_as_it_came(&bytes);
    ExitCode::SUCCESS
}
