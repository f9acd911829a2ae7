//! Match, admit, call under a deadline, collect the outcome. Transports call it and send what it
//! returns; it must not know where a message came from.

mod answer;
mod effects;
mod listening;
mod slots;

use std::pin::pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tracing::warn;

use crate::admission::{Lanes, Permit};
use crate::config::Config;
use crate::envelope::{CloudEvent, Fault, new_id, now};
use crate::listeners::Listeners;
use crate::metrics::{Metrics, QueryEnd, ShedBy};
use crate::outbound::{Outbound, SendError};
use crate::plugin::Plugin;
use crate::registry::{Registry, Route};
use crate::sandbox::{Call, Effects, EventOutcome, Failure, Heard, QueryOutcome, Verdict};
use crate::settle::Unhandled;
use crate::text;
use slots::{enter, wait_for};

/// Calls that may wait for one of the host's slots.
const WAITING_MAX: usize = 4096;

pub use answer::QueryAnswer;
pub use effects::{Cause, Travel};

/// Hands calls to plugins. One a host.
#[derive(Debug)]
pub struct Dispatcher {
    registry: ArcSwap<Registry>,
    lanes: Lanes,
    outbound: Outbound,
    listeners: Arc<Listeners>,
    config: Arc<Config>,
    metrics: Arc<Metrics>,
}

impl Dispatcher {
    /// A dispatcher without plugins.
    pub fn new(
        config: Arc<Config>,
        outbound: Outbound,
        listeners: Arc<Listeners>,
        lanes: Lanes,
        metrics: Arc<Metrics>,
    ) -> Dispatcher {
        Dispatcher {
            registry: ArcSwap::default(),
            lanes,
            outbound,
            listeners,
            config,
            metrics,
        }
    }

    /// The slots of a host, for [`Dispatcher::new`] and whoever shows how many are free.
    pub fn lanes(config: &Config) -> Lanes {
        Lanes::new(config.calls.slots, WAITING_MAX)
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where effects and dead letters go.
    pub fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// Who waits for which event.
    pub fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// The largest message, in bytes, headers included.
    pub fn max_payload(&self) -> usize {
        self.outbound.max_payload()
    }

    /// Calls that first queries and events may be in at once.
    pub fn slots(&self) -> usize {
        self.lanes.most()
    }

    /// How many of them are free.
    pub fn free_slots(&self) -> usize {
        self.lanes.free()
    }

    /// The registry as it is now.
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.load_full()
    }

    /// Swaps the registry. Only `reload` calls this.
    pub(crate) fn replace_registry(&self, registry: Registry) {
        self.registry.store(Arc::new(registry));
    }

    /// Answers a query that was read at `came`: runs its handler, releases its effects, and returns
    /// the reply. Where nobody serves it any more, who did `last` does.
    pub async fn query(
        &self,
        event: &Arc<CloudEvent>,
        came: Instant,
        travel: Travel,
        last: impl FnOnce() -> Option<Arc<Route>>,
    ) -> QueryAnswer {
        let route = self.registry.load().query(&event.ty).cloned();
        let Some(route) = route.or_else(last) else {
            self.metrics.query_unserved();
            return QueryAnswer::Unserved;
        };
        // Pinned here, and within: to move them would cost more than they do.
        let answer = pin!(self.query_of(event, came, travel, &route)).await;
        if let Some(end) = answer.end() {
            route.counters.count(end);
        }
        answer
    }

    /// Answers a query "busy" without a look at who has room: the intake has none.
    pub fn shed_query(&self, event: &CloudEvent, last: Option<&Arc<Route>>) -> QueryAnswer {
        let registry = self.registry.load();
        let Some(route) = registry.query(&event.ty).or(last) else {
            self.metrics.query_unserved();
            return QueryAnswer::Unserved;
        };
        self.metrics.shed(ShedBy::Intake);
        route.counters.count(QueryEnd::Shed);
        self.shed(event, route)
    }

    async fn query_of(
        &self,
        event: &Arc<CloudEvent>,
        came: Instant,
        travel: Travel,
        route: &Route,
    ) -> QueryAnswer {
        let plugin = &route.plugin;
        let limit = plugin.policy().limits.deadline;
        let limit = travel.timeout.map_or(limit, |left| left.min(limit));
        let deadline = came + limit;
        if travel.hops > self.config.calls.hop_limit {
            let fault = Fault::new(
                508,
                "the hop limit is reached: do handlers ask in a circle?",
            );
            return self.fault(event, route, fault, QueryEnd::Fault);
        }
        let admitted = self.admit(plugin, travel.hops, deadline).await;
        let Some((_permits, began)) = admitted else {
            return self.shed(event, route);
        };
        let call = Call {
            handler: &route.handler,
            event,
            attempt: 1,
            hops: travel.hops,
            stored_at: None,
            began,
            deadline,
            listener: None,
        };
        let outcome = pin!(plugin.query(&call)).await;
        plugin.metrics().query_took(call.began.elapsed());
        match outcome {
            Ok(QueryOutcome { answer, effects }) => {
                let cause = Cause::Query { travel };
                match self.release(plugin, &effects, cause).await {
                    Ok(()) => self.answer(event, route, answer),
                    Err(error) => self.not_stored(event, route, &error),
                }
            }
            // Nothing ran: as good as never admitted.
            Err(failure @ Failure::NoRoom { .. }) => {
                report(plugin, event, &failure);
                self.metrics.shed(ShedBy::Host);
                self.shed(event, route)
            }
            Err(failure) => {
                report(plugin, event, &failure);
                let fault = match failure {
                    Failure::DeadlineExceeded { .. } => {
                        Fault::new(504, "the handler took too long")
                    }
                    _ => Fault::new(500, "the handler failed"),
                };
                self.fault(event, route, fault, QueryEnd::Failed)
            }
        }
    }

    /// Runs the event handler of one plugin and releases its effects. Waits for a slot for as
    /// long as it takes: a delivery that did not run has not failed.
    ///
    /// # Errors
    /// [`Unhandled`]: nothing may be acknowledged.
    pub async fn event(
        &self,
        plugin: &Plugin,
        handler: &Arc<str>,
        event: &Arc<CloudEvent>,
        cause: Cause<'_>,
    ) -> Result<EventOutcome, Unhandled> {
        self.handle(plugin, handler, event, None, cause).await
    }

    /// As [`Dispatcher::event`]; `listener` is who waited for the event, if it is a listener's.
    async fn handle(
        &self,
        plugin: &Plugin,
        handler: &Arc<str>,
        event: &Arc<CloudEvent>,
        listener: Option<Heard<'_>>,
        cause: Cause<'_>,
    ) -> Result<EventOutcome, Unhandled> {
        let hops = cause.travel().hops;
        if hops > self.config.calls.hop_limit {
            let text = "the hop limit is reached: do handlers emit in a circle?";
            return Ok(EventOutcome {
                verdict: Verdict::Reject(Fault::new(508, text)),
                effects: Effects::default(),
            });
        }
        // In the lane of its hop: a handler may wait for the event that answers its own.
        let own = wait_for(plugin.lanes(), hops).await;
        let host = wait_for(&self.lanes, hops).await;
        let _permits = (own, host);
        let call = Call {
            attempt: cause.attempt(),
            hops,
            stored_at: cause.stored_at(),
            listener,
            ..Call::first(handler, event, plugin.policy().limits.deadline)
        };
        let outcome = plugin.event(&call).await;
        plugin.metrics().event_took(call.began.elapsed());
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(failure) => {
                report(plugin, event, &failure);
                return Err(match failure {
                    Failure::NoRoom { reason } => Unhandled::NotRun { reason },
                    failure => Unhandled::Failed(failure),
                });
            }
        };
        self.release(plugin, &outcome.effects, cause)
            .await
            .map_err(Unhandled::EffectsNotStored)?;
        Ok(outcome)
    }

    /// The host's slot and the plugin's, and when it had them; none when it is to be shed.
    async fn admit(
        &self,
        plugin: &Plugin,
        hops: u32,
        deadline: Instant,
    ) -> Option<((Permit, Permit), Instant)> {
        let shed = |by| {
            self.metrics.shed(by);
            None
        };
        let Some(own) = enter(plugin.lanes(), hops, deadline).await else {
            return shed(ShedBy::Plugin);
        };
        let Some(host) = enter(&self.lanes, hops, deadline).await else {
            return shed(ShedBy::Host);
        };
        let now = Instant::now();
        if now >= deadline {
            // Nobody waits for it any more.
            return shed(ShedBy::Late);
        }
        Some(((own, host), now))
    }

    fn not_stored(&self, event: &CloudEvent, route: &Route, error: &SendError) -> QueryAnswer {
        let plugin = &route.plugin;
        warn!(plugin = %plugin.name(), digest = plugin.digest().short(), event_id = &*text::name(&event.id), %error, "effects of a query were not stored");
        let code = if error.may_pass() { 503 } else { 500 };
        let fault = Fault::new(code, "the answer's effects could not be stored");
        self.fault(event, route, fault, QueryEnd::Fault)
    }

    fn answer(
        &self,
        event: &CloudEvent,
        route: &Route,
        answer: Result<Option<Box<CloudEvent>>, Fault>,
    ) -> QueryAnswer {
        match answer {
            Ok(Some(reply)) => self.reply(event, route, reply),
            Ok(None) => QueryAnswer::Silence,
            Err(fault) => self.fault(event, route, fault, QueryEnd::Fault),
        }
    }

    /// The reply, or a fault where it cannot be written or is more than the server takes.
    fn reply(&self, event: &CloudEvent, route: &Route, reply: Box<CloudEvent>) -> QueryAnswer {
        let refused = |text: String| {
            let plugin = &route.plugin;
            warn!(plugin = %plugin.name(), digest = plugin.digest().short(), event_id = &*text::name(&event.id), reason = text, "a reply was not sent");
            self.fault(event, route, Fault::new(500, text), QueryEnd::Failed)
        };
        match self.outbound.written(&reply) {
            Ok(message) => QueryAnswer::Reply { reply, message },
            Err(SendError::Invalid(flaw)) => refused(format!("the reply is invalid: {flaw}")),
            Err(error) => refused(format!("the reply cannot be sent: {error}")),
        }
    }

    fn shed(&self, event: &CloudEvent, route: &Route) -> QueryAnswer {
        let fault = Fault::new(503, "busy: nothing ran, ask again");
        self.fault(event, route, fault, QueryEnd::Shed)
    }

    fn fault(&self, event: &CloudEvent, route: &Route, fault: Fault, end: QueryEnd) -> QueryAnswer {
        let attribute = &self.config.compat.transaction_attribute;
        let mut envelope = Box::new(CloudEvent {
            id: new_id(),
            source: self.config.source_of(route.plugin.name()),
            ty: event.ty.clone(),
            time: Some(now()),
            ..CloudEvent::default()
        });
        if let Some(id) = event.extension(attribute) {
            envelope.set_extension(attribute, id.clone());
        }
        QueryAnswer::Fault {
            envelope,
            fault,
            end,
            by_default: route.is_default,
        }
    }
}

fn report(plugin: &Plugin, event: &CloudEvent, failure: &Failure) {
    plugin.metrics().failure(failure.kind());
    warn!(
        plugin = %plugin.name(),
        digest = plugin.digest().short(),
        ty = &*text::name(&event.ty),
        event_id = &*text::name(&event.id),
        kind = failure.kind(),
        %failure,
        "a handler failed"
    );
}
