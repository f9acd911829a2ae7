//! The queries of a service: read always, run or shed, answered. Must not know events.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::completed;
use super::handlers::{Incoming, Reply};
use super::serving::Running;
use crate::config::ErrorAnswers;
use crate::envelope::{CloudEvent, Fault, Message, headers};
use crate::source::{Asked, Queries};
use crate::text;

/// Queries of one service that run at the same time; what comes on top is answered "busy".
const QUERIES_MAX: usize = 1024;

pub(super) fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(QUERIES_MAX))
}

impl Running {
    /// Serves a subscription until the end; what comes on the way out is served too.
    pub(super) async fn serve(self: Arc<Self>, mut queries: Queries) {
        let mut leaving = false;
        loop {
            let asked = tokio::select! {
                biased;
                () = self.tasks.begun(), if !leaving => {
                    leaving = true;
                    queries.leave().await;
                    continue;
                }
                asked = queries.next() => asked,
            };
            let Some(asked) = asked else { return };
            let room = self.room.clone().try_acquire_owned().ok();
            let running = self.clone();
            self.tasks.spawn(async move {
                running.answer(asked, room.is_some()).await;
                drop(room);
            });
        }
    }

    /// Answers one message, or stays silent where it is not for us: others share those subjects.
    async fn answer(&self, asked: Asked, has_room: bool) {
        let Asked {
            subject,
            message,
            reply,
        } = asked;
        let subject = &*subject;
        let events = &self.client.inner.config.events;
        let Some(reply) = reply.filter(|reply| reply.is_an_askers(events)) else {
            debug!(
                subject,
                "a query without an asker's reply subject: passed over"
            );
            return;
        };
        let mut event = match CloudEvent::decode(&message) {
            Ok(event) if event.ty == subject => event,
            Ok(event) => {
                warn!(
                    subject,
                    ty = event.ty,
                    "a query whose type is not its subject: not answered"
                );
                return;
            }
            Err(error) => {
                warn!(subject, %error, "a message that is no CloudEvent: not answered");
                return;
            }
        };
        event.trace_from_headers(&message.headers);
        let named = self.handlers.queries.get(&event.ty);
        let by_default = named.is_none();
        let Some(handler) = named.or(self.handlers.any_query.as_ref()) else {
            return;
        };
        let envelope = self.envelope(&event);
        let event_id = event.id.clone();
        let answer = if has_room {
            handler.run(self.incoming(event, 1)).await
        } else {
            Err(Fault::new(503, "busy: nothing ran, ask again"))
        };
        let written = answer.and_then(|answer| self.written(answer, &envelope));
        let message = match written {
            Ok(message) => message,
            Err(fault) => {
                debug!(
                    subject,
                    event_id = &*text::name(&event_id),
                    code = fault.code,
                    "a fault"
                );
                let silent = self.client.inner.config.compat.errors == ErrorAnswers::Silent;
                if silent || by_default {
                    return;
                }
                self.fault(&fault, &envelope, has_room)
            }
        };
        if let Some(message) = message
            && let Err(error) = reply.send(message).await
        {
            warn!(
                event_id = &*text::name(&event_id),
                error, "the answer did not reach its asker"
            );
        }
    }

    pub(super) fn incoming(&self, event: CloudEvent, attempt: u32) -> Incoming {
        let attribute = &self.client.inner.config.compat.transaction_attribute;
        Incoming {
            transaction_id: event.transaction_id(attribute).map(str::to_owned),
            event,
            attempt,
        }
    }

    /// The attributes of what answers a query.
    fn envelope(&self, query: &CloudEvent) -> CloudEvent {
        let attribute = &self.client.inner.config.compat.transaction_attribute;
        let mut envelope = CloudEvent {
            ty: query.ty.clone(),
            ..CloudEvent::default()
        };
        if let Some(id) = query.extension(attribute) {
            envelope.set_extension(attribute, id.clone());
        }
        completed(envelope, &self.source)
    }

    fn written(&self, reply: Reply, envelope: &CloudEvent) -> Result<Option<Message>, Fault> {
        let message = match reply {
            Reply::Silence => return Ok(None),
            Reply::Raw(body) => Message {
                body,
                ..Message::default()
            },
            Reply::Event(event) => {
                let mut event = *event;
                if event.ty.is_empty() {
                    event.ty.clone_from(&envelope.ty);
                }
                for extension in &envelope.extensions {
                    if event.extension(&extension.name).is_none() {
                        event.extensions.push(extension.clone());
                    }
                }
                let event = completed(event, &self.source);
                let written = event.to_structured();
                written
                    .map_err(|error| Fault::new(500, format!("the reply is invalid: {error}")))?
            }
        };
        let fits = self.client.inner.outbound.fits(&message, 0);
        fits.map_err(|error| Fault::new(500, format!("the reply cannot be sent: {error}")))?;
        Ok(Some(message))
    }

    fn fault(&self, fault: &Fault, envelope: &CloudEvent, has_run: bool) -> Option<Message> {
        let max_payload = self.client.inner.outbound.max_payload();
        let mut message = fault.to_message_within(envelope, max_payload)?;
        if !has_run {
            message.headers.insert(headers::CONCHE_SHED, "1");
        }
        Some(message)
    }
}
