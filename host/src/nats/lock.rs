//! The right to change a consumer: another consumer, which only one host can create. Who does not come
//! to delete it loses it after a while. Must not know what is changed.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use serde_json::{Value, json};

use super::durable::ConsumerInfo;
use super::facts::METADATA_KEY;
use super::{NatsError, api};
use crate::envelope::new_id;

/// How long a change may take at the most, its answers being that of the lock, what the lock is, what
/// the consumer is, and that of the change.
const LOCK_HELD: Duration = api::TIMEOUT.saturating_mul(4);

/// The right to change a consumer.
pub(super) struct Lock {
    client: Arc<Client>,
    /// Stream and name of the consumer that it is.
    of: String,
}

impl Lock {
    /// `None`: somebody else has it.
    pub(super) async fn take(
        client: Arc<Client>,
        stream: &str,
        durable: &str,
    ) -> Result<Option<Lock>, NatsError> {
        // No plugin is called so: their names have no capitals.
        let name = format!("{durable}-GROWS");
        let of = format!("{stream}.{name}");
        let holder = new_id();
        let config = json!({
            "name": name,
            "description": "held while a consumer is changed; deleted by itself",
            "deliver_policy": "new",
            "ack_policy": "none",
            "inactive_threshold": u64::try_from(LOCK_HELD.as_nanos()).unwrap_or(u64::MAX),
            "mem_storage": true,
            "num_replicas": 1,
            "metadata": { METADATA_KEY: holder },
        });
        let body = json!({"stream_name": stream, "config": config, "action": "create"});
        let made = api::ask(&client, &format!("CONSUMER.CREATE.{of}"), &body).await;
        let _: Value = match made {
            Err(NatsError::Refused {
                code: api::CONSUMER_EXISTS,
                ..
            }) => return Ok(None),
            made => made?,
        };
        // In a cluster two may have been told that they made it.
        let what = format!("CONSUMER.INFO.{of}");
        let info: ConsumerInfo = api::ask(&client, &what, &json!({})).await?;
        let ours = info
            .config
            .get("metadata")
            .and_then(|m| m.get(METADATA_KEY))
            == Some(&json!(holder));
        Ok(ours.then_some(Lock { client, of }))
    }

    pub(super) async fn give_back(self) {
        let what = format!("$JS.API.CONSUMER.DELETE.{}", self.of);
        // If this is lost, it ends by itself.
        let _ = self.client.publish(what, "".into()).await;
    }
}
