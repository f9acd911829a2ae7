//! The event stream and its dead-letter stream: created where they are missing, looked at and never
//! changed where they exist; and which streams take a subject.

use async_nats::Client;
use serde::Deserialize;
use serde_json::json;
use tracing::info;

use super::stream_config::{StreamConfig, StreamFlaw, Wanted};
use super::{Nats, NatsError, api};
use crate::config::EventsConfig;
use crate::subject::SubjectPattern;

/// A stream as it is.
#[derive(Debug, Deserialize)]
pub(super) struct StreamInfo {
    /// Tells it from one made anew, whose sequences begin again.
    pub(super) created: String,
    pub(super) config: StreamConfig,
    pub(super) state: StreamState,
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamState {
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
}

impl Nats {
    /// Sees to it that the event stream and the dead-letter stream are there and fit.
    pub(crate) async fn ensure_streams(&self, events: &EventsConfig) -> Result<(), StreamFlaw> {
        let [event_stream, dead_letters] = Wanted::both(events);
        self.ensure(&event_stream).await?;
        self.ensure(&dead_letters).await
    }

    /// The streams that take some subject of a pattern; none where JetStream is off.
    pub(crate) async fn streams_taking(
        &self,
        pattern: &SubjectPattern,
    ) -> Result<Vec<String>, NatsError> {
        #[derive(Deserialize)]
        struct Names {
            #[serde(default)]
            streams: Option<Vec<String>>,
        }
        let client = &self.inner.sending.client();
        let body = json!({"subject": pattern.as_str()});
        match api::ask::<Names>(client, "STREAM.NAMES", &body).await {
            Ok(names) => Ok(names.streams.unwrap_or_default()),
            Err(error) if is_off(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The largest message that a stream takes, in bytes, headers included.
    pub(crate) async fn largest_in(&self, stream: &str) -> Result<usize, NatsError> {
        let found = info(&self.inner.sending.client(), stream).await?;
        let max = self.max_payload();
        Ok(found.config.narrower_than(max).unwrap_or(max))
    }

    /// Those of the two streams that take less than the server; what cannot be looked at is passed over.
    #[cfg(feature = "host")]
    pub(crate) async fn narrow_streams(&self, events: &EventsConfig) -> Vec<StreamFlaw> {
        let mut found = Vec::new();
        for wanted in Wanted::both(events) {
            let info = info(&self.inner.sending.client(), &wanted.name).await;
            found.extend(info.ok().map(|info| info.config));
        }
        super::stream_config::narrow(events, &found, self.max_payload())
    }

    /// What a stream takes; `None` where there is no such stream.
    pub(crate) async fn subjects_of(
        &self,
        stream: &str,
    ) -> Result<Option<Vec<SubjectPattern>>, NatsError> {
        match info(&self.inner.sending.client(), stream).await {
            Ok(info) => Ok(Some(info.config.patterns().collect())),
            Err(NatsError::Refused {
                code: api::STREAM_NOT_FOUND,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn ensure(&self, wanted: &Wanted<'_>) -> Result<(), StreamFlaw> {
        let client = &self.inner.sending.client();
        let stream = wanted.name.clone();
        match info(client, &stream).await {
            Ok(info) => return wanted.check(&info.config),
            Err(error) if is_off(&error) => return Err(StreamFlaw::Off),
            Err(NatsError::Refused {
                code: api::STREAM_NOT_FOUND,
                ..
            }) => {}
            Err(error) => {
                return Err(StreamFlaw::Unknown {
                    stream,
                    reason: error.to_string(),
                });
            }
        }
        if !wanted.events.create {
            return Err(wanted.missing());
        }
        let what = format!("STREAM.CREATE.{stream}");
        match api::ask::<StreamInfo>(client, &what, &wanted.to_create()).await {
            Ok(_) => {
                info!(stream, subjects = ?wanted.subjects, "stream created");
                Ok(())
            }
            // Another replica was first: its configuration is this one's, or it is checked next time.
            Err(NatsError::Refused {
                code: api::STREAM_EXISTS,
                ..
            }) => Ok(()),
            Err(error) => Err(StreamFlaw::NotCreated {
                stream,
                reason: error.to_string(),
            }),
        }
    }
}

/// A stream as it is now.
///
/// # Errors
/// `NoJetStream` where nobody answers.
pub(super) async fn info(client: &Client, stream: &str) -> Result<StreamInfo, NatsError> {
    let info = api::ask(client, &format!("STREAM.INFO.{stream}"), &json!({})).await;
    info.map_err(|error| match error {
        NatsError::NoResponders { .. } => NatsError::NoJetStream,
        other => other,
    })
}

/// JetStream is off for the server, or for the account (10039, 10076).
pub(super) fn is_off(error: &NatsError) -> bool {
    matches!(
        error,
        NatsError::NoJetStream
            | NatsError::NoResponders { .. }
            | NatsError::Refused {
                code: 10039 | 10076,
                ..
            }
    )
}
