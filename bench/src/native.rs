//! The native subject: the greeter's work as somebody who knows async-nats would write it. It
//! uses `conche::envelope`, so that the wire is the same and only the sandbox makes a difference.
//! Runs in a process of its own. Must not know the driver.
//!
//! What an expert does here: one thread for connection and handler (tried: two threads cost more
//! in wake-ups than they bring while driver and server want the cores too), messages taken in
//! chunks, no task a message, headers built once, and mimalloc, as in the host.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use async_nats::{Client, HeaderMap};
use conche::envelope::{
    CloudEvent, DecodeError, Headers, Message, Payload, STRUCTURED_CONTENT_TYPE, headers, new_id,
    now,
};
use futures_util::StreamExt as _;

use crate::process::READY;

/// Where it listens: as long as the greeter's op, so that both cost the server the same.
pub(crate) const OP: &str = "cyverse.natives.Greet";
const QUEUE_GROUP: &str = "conche";
const SOURCE: &str = "/conche/bench/greeter";
const TRANSACTION_ATTRIBUTE: &str = "transactionid";
/// Messages handled before the connection's task runs again.
const CHUNK: usize = 256;

/// The types of `plugins/greeter`.
#[derive(serde::Deserialize)]
struct Ask {
    name: String,
}

#[derive(serde::Serialize)]
struct Greeting {
    greeting: String,
}

/// Serves until it is killed.
pub(crate) fn serve_queries(server: SocketAddr) -> Result<()> {
    runtime()?.block_on(async {
        let client = connect(server).await?;
        let queue = QUEUE_GROUP.to_owned();
        let subscription = client.queue_subscribe(OP, queue).await?;
        client.flush().await?;
        println!("{READY}");
        let mut reply_headers = HeaderMap::new();
        reply_headers.insert(headers::CONTENT_TYPE, STRUCTURED_CONTENT_TYPE);
        let mut chunks = subscription.ready_chunks(CHUNK);
        while let Some(chunk) = chunks.next().await {
            for message in chunk {
                let Some(reply) = message.reply.clone() else {
                    continue;
                };
                let body = greet(message)?.body;
                let headers = reply_headers.clone();
                client.publish_with_headers(reply, headers, body).await?;
            }
        }
        Ok(())
    })
}

/// One thread, as [`serve_queries`] and the event consumer want it.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}

pub(crate) async fn connect(server: SocketAddr) -> Result<Client> {
    let url = format!("nats://{server}");
    let connected = async_nats::connect(&url).await;
    connected.with_context(|| format!("cannot connect to {url}"))
}

/// As the host reads it.
pub(crate) fn decode(message: async_nats::Message) -> Result<CloudEvent, DecodeError> {
    let headers = match &message.headers {
        None => Headers::new(),
        Some(map) => map
            .iter()
            .flat_map(|(name, values)| {
                let values = values.iter();
                values.map(move |value| (name.to_string(), value.to_string()))
            })
            .collect(),
    };
    CloudEvent::decode(&Message {
        headers,
        body: message.payload,
    })
}

fn greet(message: async_nats::Message) -> Result<Message> {
    let query = decode(message)?;
    let Some(Payload::Json(json)) = &query.data else {
        anyhow::bail!("a query without JSON");
    };
    let Ask { name } = serde_json::from_str(json)?;
    let greeting = Greeting {
        greeting: format!("Hello, {name}!"),
    };
    let mut reply = CloudEvent {
        id: new_id(),
        source: SOURCE.to_owned(),
        time: Some(now()),
        data: Some(Payload::Json(serde_json::to_string(&greeting)?)),
        ..CloudEvent::default()
    };
    if let Some(id) = query.extension(TRANSACTION_ATTRIBUTE) {
        reply.set_extension(TRANSACTION_ATTRIBUTE, id.clone());
    }
    reply.ty = query.ty;
    Ok(reply.to_structured()?)
}
