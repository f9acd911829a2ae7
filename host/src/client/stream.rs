//! What the event stream takes, and what is said to who wants more of it. Must not know what is
//! published, or who listens.

use super::{Client, ClientError};
use crate::outbound::SendError;
use crate::source::Source;
use crate::subject::SubjectPattern;

impl Client {
    /// Whether the event stream takes events of this type. Of others a listener hears nothing, unless
    /// the stream has them from other streams.
    ///
    /// # Errors
    /// `NoEventStream`; `Other` if the server does not say.
    pub async fn takes(&self, ty: &str) -> Result<bool, ClientError> {
        let heard = self.inner.config.heard_subjects(ty);
        let patterns = self.event_subjects().await?;
        let patterns = patterns.ok_or_else(|| self.no_event_stream())?;
        Ok(heard.iter().any(|subject| any_matches(&patterns, subject)))
    }

    /// Why no stream took an event.
    pub(super) async fn not_taken(&self, ty: String, subject: String) -> ClientError {
        let is_ours = any_matches(&self.inner.config.events.subjects, &subject);
        match is_ours && self.has_no_stream().await {
            true => self.no_event_stream(),
            false => ClientError::NoStream { ty, subject },
        }
    }

    /// Why the event stream cannot be read.
    pub(super) async fn not_readable(&self, error: SendError) -> ClientError {
        match self.has_no_stream().await {
            true => self.no_event_stream(),
            false => error.into(),
        }
    }

    /// False where the server does not say.
    async fn has_no_stream(&self) -> bool {
        matches!(self.event_subjects().await, Ok(None))
    }

    /// Those of the event stream; none where there is no such stream.
    async fn event_subjects(&self) -> Result<Option<Vec<SubjectPattern>>, ClientError> {
        let events = &self.inner.config.events;
        match &self.inner.transport {
            Source::Nats(nats) => Ok(nats.subjects_of(&events.stream).await?),
            // It was made with the client.
            Source::Embedded(_) => Ok(Some(events.subjects.clone())),
        }
    }

    fn no_event_stream(&self) -> ClientError {
        ClientError::NoEventStream {
            stream: self.inner.config.events.stream.clone(),
        }
    }
}

fn any_matches(patterns: &[SubjectPattern], subject: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(subject))
}
