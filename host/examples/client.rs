//! A client in ten lines: asks the greeter of `conche run`, and publishes what it said.
//!
//! `NATS_URL=nats://127.0.0.1:4222 cargo run -p conche --no-default-features --features client --example client`

use conche::client::{Client, ClientError};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), ClientError> {
    let client = Client::from_environment().await?;
    let ask = json!({"name": "Ada"});
    let answer = client.request("cyverse.greeter.Greet", &ask).await?;
    let greeting: Value = answer.data()?;
    println!("{greeting}");
    client
        .publish("org.cyverse.events.Greeted", &greeting)
        .await?;
    client.disconnect().await;
    Ok(())
}
