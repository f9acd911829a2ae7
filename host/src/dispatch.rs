//! Match, admit, call under a deadline, collect the outcome. Transports call it and send what it
//! returns; it must not know where a message came from.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::admission::{Admit, Lanes, Permit};
use crate::config::Config;
use crate::envelope::{CloudEvent, Fault, Message, headers, new_id, now};
use crate::outbound::{Outbound, SendError};
use crate::plugin::Plugin;
use crate::registry::{Registry, Route};
use crate::sandbox::{Call, Emitted, EventOutcome, Failure, QueryOutcome, Verdict};

/// Calls that may wait for one of the host's slots.
const WAITING_MAX: usize = 4096;

/// Hands calls to plugins. One a host.
#[derive(Debug)]
pub struct Dispatcher {
    registry: ArcSwap<Registry>,
    lanes: Lanes,
    outbound: Outbound,
    transaction_attribute: String,
    hop_limit: u32,
}

/// What became of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryAnswer {
    /// A reply.
    Reply(CloudEvent),
    /// The handler answered nothing, and so does the host.
    Silence,
    /// An error as an answer, the guest's or the host's.
    Fault {
        /// Its attributes.
        envelope: CloudEvent,
        /// The error.
        fault: Fault,
        /// Shed before it ran: safe to repeat.
        shed: bool,
    },
    /// Nobody serves the op.
    Unserved,
}

/// Facts that travel in headers beside an envelope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Travel {
    /// Queries between the first cause and this one.
    pub hops: u32,
    /// What the asker has left.
    pub timeout: Option<Duration>,
}

impl Travel {
    /// Reads them; what is not a number is as good as absent.
    pub fn of(message: &Message) -> Travel {
        let number = |name| message.headers.get(name)?.parse::<u32>().ok();
        Travel {
            hops: number(headers::CONCHE_HOPS).unwrap_or(0),
            timeout: number(headers::CONCHE_TIMEOUT_MS)
                .map(|ms| Duration::from_millis(u64::from(ms))),
        }
    }
}

impl Dispatcher {
    /// A dispatcher without plugins.
    pub fn new(config: &Config, outbound: Outbound) -> Dispatcher {
        Dispatcher {
            registry: ArcSwap::default(),
            lanes: Lanes::new(config.calls.slots, WAITING_MAX),
            outbound,
            transaction_attribute: config.compat.transaction_attribute.clone(),
            hop_limit: config.calls.hop_limit,
        }
    }

    /// The registry as it is now.
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.load_full()
    }

    /// Swaps the registry. Only `reload` calls this.
    pub(crate) fn replace_registry(&self, registry: Registry) {
        self.registry.store(Arc::new(registry));
    }

    /// Answers a query: runs its handler, releases its effects, and returns the reply.
    pub async fn query(&self, event: &CloudEvent, travel: Travel) -> QueryAnswer {
        let registry = self.registry.load();
        let Some(Route { plugin, handler }) = registry.query(&event.ty).cloned() else {
            return QueryAnswer::Unserved;
        };
        drop(registry);
        let limit = plugin.policy().limits.deadline;
        let limit = travel.timeout.map_or(limit, |left| left.min(limit));
        let deadline = Instant::now() + limit;
        if travel.hops > self.hop_limit {
            return self.fault(
                event,
                508,
                "the hop limit is reached: do handlers ask in a circle?",
            );
        }
        let Some(_permits) = self.admit(&plugin, travel.hops, deadline).await else {
            return self.shed(event);
        };
        let call = Call {
            handler: &handler,
            event,
            transaction_id: event.transaction_id(&self.transaction_attribute),
            attempt: 1,
            hops: travel.hops,
            deadline,
        };
        match plugin.query(&call).await {
            Ok(outcome) => self.answer(event, &plugin, outcome).await,
            Err(failure) => {
                report(&plugin, event, &failure);
                let (code, text) = match failure {
                    Failure::DeadlineExceeded { .. } => (504, "the handler took too long"),
                    _ => (500, "the handler failed"),
                };
                self.fault(event, code, text)
            }
        }
    }

    /// Runs the event handler of one plugin and releases its effects. A failure to release them
    /// comes back as a retry: nothing is acknowledged that was not stored.
    pub async fn event(
        &self,
        plugin: &Plugin,
        handler: &Arc<str>,
        event: &CloudEvent,
        attempt: u32,
        travel: Travel,
    ) -> Result<EventOutcome, Failure> {
        let deadline = Instant::now() + plugin.policy().limits.deadline;
        let Some(_permits) = self.admit(plugin, travel.hops, deadline).await else {
            return Ok(retry("the host is busy"));
        };
        let call = Call {
            handler,
            event,
            transaction_id: event.transaction_id(&self.transaction_attribute),
            attempt,
            hops: travel.hops,
            deadline: Instant::now() + plugin.policy().limits.deadline,
        };
        let outcome = match plugin.event(&call).await {
            Ok(outcome) => outcome,
            Err(failure) => {
                report(plugin, event, &failure);
                return Err(failure);
            }
        };
        match self.release(&outcome.emitted).await {
            Ok(()) => Ok(outcome),
            Err(error) => Ok(retry(&format!("its effects were not stored: {error}"))),
        }
    }

    /// Publishes effects, in order, and waits until each is stored. The one place that does.
    ///
    /// # Errors
    /// The first that was not stored; those before it are, and keep their ids in a next run.
    pub async fn release(&self, emitted: &[Emitted]) -> Result<(), SendError> {
        for Emitted { id, ty, message } in emitted {
            let mut message = message.clone();
            message.headers.insert(headers::NATS_MSG_ID, id.clone());
            self.outbound.publish_event(ty, message).await?;
        }
        Ok(())
    }

    /// The host's slot and the plugin's, or none when it is to be shed.
    async fn admit(
        &self,
        plugin: &Plugin,
        hops: u32,
        deadline: Instant,
    ) -> Option<(Permit, Permit)> {
        let own = enter(plugin.lanes(), hops, deadline).await?;
        let host = enter(&self.lanes, hops, deadline).await?;
        Some((own, host))
    }

    async fn answer(
        &self,
        event: &CloudEvent,
        plugin: &Plugin,
        outcome: QueryOutcome,
    ) -> QueryAnswer {
        if let Err(error) = self.release(&outcome.emitted).await {
            warn!(plugin = %plugin.name(), digest = plugin.digest().short(), event_id = event.id, %error, "effects of a query were not stored");
            return self.fault(event, 503, "the answer's effects could not be stored");
        }
        match outcome.answer {
            Ok(Some(reply)) => QueryAnswer::Reply(reply),
            Ok(None) => QueryAnswer::Silence,
            Err(fault) => QueryAnswer::Fault {
                envelope: self.fault_envelope(event),
                fault,
                shed: false,
            },
        }
    }

    fn fault(&self, event: &CloudEvent, code: u16, message: &str) -> QueryAnswer {
        QueryAnswer::Fault {
            envelope: self.fault_envelope(event),
            fault: Fault {
                code,
                message: message.to_owned(),
                details: None,
            },
            shed: false,
        }
    }

    fn shed(&self, event: &CloudEvent) -> QueryAnswer {
        QueryAnswer::Fault {
            envelope: self.fault_envelope(event),
            fault: Fault {
                code: 503,
                message: "busy: nothing ran, ask again".to_owned(),
                details: None,
            },
            shed: true,
        }
    }

    fn fault_envelope(&self, event: &CloudEvent) -> CloudEvent {
        let attribute = &self.transaction_attribute;
        let mut envelope = CloudEvent {
            id: new_id(),
            source: "/conche".to_owned(),
            ty: event.ty.clone(),
            time: Some(now()),
            ..CloudEvent::default()
        };
        if let Some(id) = event.extension(attribute) {
            envelope.set_extension(attribute, id.clone());
        }
        envelope
    }
}

impl QueryAnswer {
    /// The message that answers the asker; none for silence. A reply that cannot be written, or
    /// is larger than `max_payload`, becomes a fault.
    pub fn into_message(self, max_payload: usize) -> Option<Message> {
        let (envelope, fault, shed) = match self {
            QueryAnswer::Unserved | QueryAnswer::Silence => return None,
            QueryAnswer::Reply(reply) => match reply.to_structured() {
                Ok(message) if message.body.len() <= max_payload => return Some(message),
                Ok(message) => {
                    let size = message.body.len();
                    let text = format!("the reply has {size} bytes, more than the server takes");
                    (bare(reply), own_fault(text), false)
                }
                Err(error) => (
                    bare(reply),
                    own_fault(format!("the reply is invalid: {error}")),
                    false,
                ),
            },
            QueryAnswer::Fault {
                envelope,
                fault,
                shed,
            } => (envelope, fault, shed),
        };
        let mut message = fault.to_message(&envelope).ok()?;
        if shed {
            message.headers.insert(headers::CONCHE_SHED, "1");
        }
        Some(message)
    }
}

/// The attributes that the host itself wrote.
fn bare(reply: CloudEvent) -> CloudEvent {
    CloudEvent {
        subject: None,
        datacontenttype: None,
        dataschema: None,
        extensions: Vec::new(),
        data: None,
        ..reply
    }
}

fn own_fault(message: String) -> Fault {
    Fault {
        code: 500,
        message,
        details: None,
    }
}

fn retry(message: &str) -> EventOutcome {
    EventOutcome {
        verdict: Verdict::Retry {
            message: message.to_owned(),
            after: None,
        },
        emitted: Vec::new(),
    }
}

async fn enter(lanes: &Lanes, hops: u32, deadline: Instant) -> Option<Permit> {
    match lanes.admit(hops) {
        Admit::Now(permit) => Some(permit),
        Admit::Later(waiting) => timeout_at(deadline, waiting.permit()).await.ok(),
        Admit::Shed => None,
    }
}

fn report(plugin: &Plugin, event: &CloudEvent, failure: &Failure) {
    warn!(
        plugin = %plugin.name(),
        digest = plugin.digest().short(),
        event_id = event.id,
        kind = failure.kind(),
        %failure,
        "a handler failed"
    );
}
