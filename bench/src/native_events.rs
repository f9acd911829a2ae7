//! The native event subject: a durable pull consumer with a loop of its own, as the host has one.
//! It asks for what is free, and waits for the server's word on each ack; `async-nats`'s own
//! `double_ack` makes a subscription for each and is slower. Runs in a process of its own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::{Client, Message};
use conche::envelope::Payload;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::native::{connect, decode, runtime};
use crate::process::READY;

/// How long one pull waits for messages.
const PULL_EXPIRES: Duration = Duration::from_secs(2);
const ACK_WAIT: Duration = Duration::from_secs(60);

/// The type of `tests/guests/sink`.
#[derive(serde::Deserialize)]
struct Sunk {
    number: u64,
    text: String,
}

/// What is consumed, and how much of it at once.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Consuming {
    #[arg(long)]
    stream: String,
    #[arg(long)]
    durable: String,
    #[arg(long)]
    filter: String,
    /// Deliveries that are not acknowledged yet, at the most
    #[arg(long)]
    in_flight: usize,
}

/// Consumes until it is killed.
pub(crate) fn serve_events(server: SocketAddr, consuming: &Consuming) -> Result<()> {
    runtime()?.block_on(async {
        let client = connect(server).await?;
        create_consumer(&client, consuming).await?;
        println!("{READY}");
        consume(&client, consuming).await
    })
}

async fn create_consumer(client: &Client, consuming: &Consuming) -> Result<()> {
    let config = pull::Config {
        durable_name: Some(consuming.durable.clone()),
        filter_subject: consuming.filter.clone(),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: -1,
        ..pull::Config::default()
    };
    let jetstream = jetstream::new(client.clone());
    let stream = jetstream.get_stream_no_info(&consuming.stream).await?;
    stream.create_consumer(config).await?;
    Ok(())
}

async fn consume(client: &Client, consuming: &Consuming) -> Result<()> {
    let Consuming {
        stream, durable, ..
    } = consuming;
    let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}");
    let inbox = client.new_inbox();
    let mut deliveries = client.subscribe(inbox.clone()).await?;
    let mut acks = FuturesUnordered::new();
    // Asked for and not yet delivered.
    let mut due = 0;
    loop {
        let free = consuming.in_flight - due - acks.len();
        // A pull for each free place would be a message more for each event.
        if free > consuming.in_flight / 2 {
            let expires = PULL_EXPIRES.as_nanos();
            let pull = format!(r#"{{"batch":{free},"expires":{expires}}}"#);
            let reply = inbox.clone();
            client
                .publish_with_reply(next.clone(), reply, pull.into())
                .await?;
            due += free;
        }
        tokio::select! {
            delivery = deliveries.next() => {
                let delivery = delivery.context("the subscription ended")?;
                match &delivery.status {
                    Some(_) => due -= unfilled(&delivery)?,
                    None => {
                        due -= 1;
                        let reply = delivery.reply.clone().context("a delivery without a reply")?;
                        sink(delivery)?;
                        acks.push(client.request(reply, "+ACK".into()));
                    }
                }
            }
            Some(acked) = acks.next() => drop(acked.context("an ack was not acknowledged")?),
        }
    }
}

/// How many of a pull's messages will not come, as the server says when it gives it up.
fn unfilled(status: &Message) -> Result<usize> {
    let headers = status.headers.as_ref();
    let pending = headers.and_then(|headers| headers.get("Nats-Pending-Messages"));
    match pending.and_then(|value| value.as_str().parse().ok()) {
        Some(pending) => Ok(pending),
        None => bail!(
            "the server ended a pull with {:?} {:?}",
            status.status,
            status.description
        ),
    }
}

fn sink(delivery: Message) -> Result<()> {
    let event = decode(delivery)?;
    let Some(Payload::Json(json)) = &event.data else {
        bail!("an event without JSON");
    };
    let Sunk { number, text } = serde_json::from_str(json)?;
    std::hint::black_box((number, text));
    Ok(())
}
