//! Who else is there: what others subscribe, services that say what they serve, and whoever takes
//! subjects that nobody can have meant. Must not know what of it is in our way.

use std::time::Duration;

use async_nats::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::json;

use super::Survey;
use crate::envelope::{Message, new_id};
use crate::nats::denied::Act;
use crate::nats::{NatsError, message};

/// Every server lists the connections of whoever asks, with what they subscribe.
const CONNECTIONS: &str = "$SYS.REQ.ACCOUNT.PING.CONNZ";

/// Every service that was built as NATS has it answers with its endpoints.
const SERVICES: &str = "$SRV.INFO";

/// For the answer to a probe, which somebody took who will not answer; and for a first answer
/// where several come.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// After the last answer, before no more are expected.
const QUIET: Duration = Duration::from_millis(300);

/// Answers that are read.
const ANSWERS_MAX: usize = 1000;

/// Connections a page, and pages that are read.
const CONNECTIONS_A_PAGE: usize = 256;
const PAGES_MAX: usize = 64;

/// A subscription of somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Neighbour {
    /// What its connection or service is called, or where it is.
    pub(crate) who: String,
    pub(crate) subject: String,
    /// `None`: a copy of every message.
    pub(crate) queue_group: Option<String>,
}

impl Survey {
    /// What connections of this account subscribe; `None` where the server does not say.
    pub(crate) async fn subscriptions(&self) -> Result<Option<Vec<Neighbour>>, NatsError> {
        let mut all = Vec::new();
        for page in 0..PAGES_MAX {
            let body = json!({
                "subscriptions": true,
                "subscriptions_detail": true,
                "offset": page * CONNECTIONS_A_PAGE,
                "limit": CONNECTIONS_A_PAGE,
            });
            let answers = self.gather(CONNECTIONS, body.to_string().into()).await?;
            let read = |answer: &Bytes| serde_json::from_slice::<Connections>(answer).ok();
            let answers: Vec<_> = answers.iter().filter_map(read).collect();
            if answers.is_empty() {
                // Of a page after the first there is nothing more to know.
                return Ok((page > 0).then_some(all));
            }
            let is_full = |it: &Connections| it.data.connections.len() >= CONNECTIONS_A_PAGE;
            let more = answers.iter().any(is_full);
            let found = answers.into_iter().flat_map(|it| it.data.connections);
            all.extend(found.flat_map(Connection::neighbours));
            if !more {
                break;
            }
        }
        Ok(Some(all))
    }

    /// The endpoints of all services that say what they are.
    pub(crate) async fn services(&self) -> Result<Vec<Neighbour>, NatsError> {
        let answers = self.gather(SERVICES, Bytes::new()).await?;
        let read = |answer: &Bytes| serde_json::from_slice::<Service>(answer).ok();
        let services = answers.iter().filter_map(read);
        Ok(services.flat_map(Service::neighbours).collect())
    }

    /// Whether somebody takes a message on a subject that nobody can have meant: an asker there
    /// does not hear at once that it asks in vain.
    pub(crate) async fn is_taken(&self, subject: &str) -> Result<bool, NatsError> {
        // Empty: what takes it can make nothing of it.
        let nothing = Message::default();
        match message::request(&self.client, subject, nothing, PROBE_TIMEOUT).await {
            Err(NatsError::TimedOut { .. }) if self.was_denied(Act::Publish, subject) => Err(
                NatsError::Other("the server denies to publish there".to_owned()),
            ),
            Ok(_) | Err(NatsError::TimedOut { .. }) => Ok(true),
            Err(NatsError::NoResponders { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All answers to one request.
    async fn gather(&self, subject: &'static str, body: Bytes) -> Result<Vec<Bytes>, NatsError> {
        let other = |error: &dyn std::fmt::Display| NatsError::Other(error.to_string());
        let inbox = self.client.new_inbox();
        let subscribed = self.client.subscribe(inbox.clone()).await;
        let mut answers = subscribed.map_err(|error| other(&error))?;
        let asked = self.client.publish_with_reply(subject, inbox, body).await;
        asked.map_err(|error| other(&error))?;
        let mut wait = PROBE_TIMEOUT;
        let mut all = Vec::new();
        while all.len() < ANSWERS_MAX
            && let Ok(Some(answer)) = tokio::time::timeout(wait, answers.next()).await
            && answer.status != Some(StatusCode::NO_RESPONDERS)
        {
            all.push(answer.payload);
            wait = QUIET;
        }
        Ok(all)
    }
}

/// A literal subject that a pattern matches and that nobody else has.
pub(crate) fn subject_within(pattern: &str) -> String {
    let own = format!("conche-doctor-{}", new_id());
    let tokens = pattern.split('.').map(|token| match token {
        "*" | ">" => own.as_str(),
        token => token,
    });
    tokens.collect::<Vec<_>>().join(".")
}

#[derive(Debug, Deserialize)]
struct Connections {
    data: ConnectionsPage,
}

#[derive(Debug, Deserialize)]
struct ConnectionsPage {
    connections: Vec<Connection>,
}

#[derive(Debug, Deserialize)]
struct Connection {
    #[serde(default)]
    name: String,
    #[serde(default)]
    ip: String,
    #[serde(default)]
    subscriptions_list_detail: Vec<Subscription>,
}

#[derive(Debug, Deserialize)]
struct Subscription {
    subject: String,
    #[serde(default, rename = "qgroup")]
    queue_group: Option<String>,
}

impl Connection {
    fn neighbours(self) -> impl Iterator<Item = Neighbour> {
        let who = if self.name.is_empty() {
            format!("a client at {}", self.ip)
        } else {
            format!("client `{}`", self.name)
        };
        let subscriptions = self.subscriptions_list_detail.into_iter();
        subscriptions.map(move |subscription| Neighbour {
            who: who.clone(),
            subject: subscription.subject,
            queue_group: subscription.queue_group.filter(|group| !group.is_empty()),
        })
    }
}

#[derive(Debug, Deserialize)]
struct Service {
    name: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    subject: String,
    #[serde(default)]
    queue_group: Option<String>,
}

impl Service {
    fn neighbours(self) -> impl Iterator<Item = Neighbour> {
        let who = format!("service `{}`", self.name);
        self.endpoints.into_iter().map(move |endpoint| Neighbour {
            who: who.clone(),
            subject: endpoint.subject,
            queue_group: endpoint.queue_group.filter(|group| !group.is_empty()),
        })
    }
}
