//! One delivery of an event: it is run, then acknowledged, put off, or made a dead letter. Must not
//! know when the next is asked for.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, error, info, warn};

use super::events::{Events, RETRY_FIRST, RETRY_LONGEST};
use crate::dead_letters::{self, Addressee};
use crate::dispatch::{Cause, Travel};
use crate::metrics::EventEnd;
use crate::nats::Whose;
use crate::plugin::Plugin;
use crate::settle::{Settlement, settle};
use crate::source::{Delivery, End};
use crate::text;

impl Events {
    /// Runs one delivery to its end, once there is room for it. `plugin` is the version that it was
    /// pulled for.
    pub(super) async fn deliver(
        &self,
        delivery: Delivery,
        plugin: Arc<Plugin>,
        room: Arc<Semaphore>,
    ) {
        let work = async {
            let Some(room) = self.admit(room).await else {
                return (End::Nak(RETRY_FIRST), None);
            };
            // Whatever was swapped in while it waited. Gone: it is for the version that was.
            let plugin = self.current().unwrap_or(plugin);
            (self.decide(&delivery, &plugin).await, Some(room))
        };
        let (end, room) = delivery.at_work(self.config.events.ack_wait, work).await;
        // The next one may come while this one's acknowledgement is on its way.
        let settling = self.settling.acquire().await;
        drop(room);
        let sequence = delivery.sequence();
        let told = delivery.settle(end).await;
        drop(settling);
        if let Err(error) = told {
            warn!(plugin = %self.plugin, sequence, error, "an event was not settled: it will come again");
        }
    }

    /// Waits for room, and while the plugin stands still. `None` once it is to leave: others can
    /// have the event.
    async fn admit(&self, room: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let admitted = async {
            let room = room.acquire_owned().await;
            self.until_it_moves().await;
            room
        };
        tokio::select! {
            biased;
            // An error: the semaphore is never closed.
            admitted = admitted => admitted.ok(),
            () = self.leave.cancelled() => None,
        }
    }

    async fn decide(&self, delivery: &Delivery, plugin: &Plugin) -> End {
        match self.durable.wants(delivery).await {
            Ok(true) => {}
            Ok(false) => return skip(plugin),
            Err(error) => return self.cannot_tell(plugin, &error),
        }
        let event = match delivery.event() {
            Ok(event) => Arc::new(event),
            Err(reason) => return self.dead_letter(plugin, delivery, reason).await,
        };
        let Some(handler) = plugin.registrations().event_handler(&event.ty) else {
            return self.unlistened(plugin, delivery, &event.ty).await;
        };
        let attempt = delivery.attempt();
        let cause = Cause::Event {
            stream: delivery.stream(),
            sequence: delivery.sequence(),
            travel: Travel::of(delivery.message()),
            attempt,
        };
        let outcome = self.dispatcher.event(plugin, handler, &event, cause).await;
        match settle(&outcome, attempt, &plugin.policy().retry, fastrand::f64()) {
            Settlement::Ack => {
                plugin.metrics().event(EventEnd::Ok);
                End::Ack
            }
            Settlement::RetryAfter { delay, reason } => {
                info!(
                    plugin = %plugin.name(), digest = plugin.digest().short(), event_id = &*text::name(&event.id),
                    ty = &*text::name(&event.ty), attempt, ?delay, reason, "an event will be retried"
                );
                plugin.metrics().event(EventEnd::Retried);
                End::Nak(delay)
            }
            Settlement::DeadLetter { reason } => self.dead_letter(plugin, delivery, reason).await,
        }
    }

    /// A type without a handler: another's, on a subject that many share; or one that this plugin
    /// once listened to, or that only another version of it does.
    async fn unlistened(&self, plugin: &Plugin, delivery: &Delivery, ty: &str) -> End {
        match self.durable.whose(delivery, ty).await {
            Ok(Whose::Nobodys) => {
                debug!(plugin = %plugin.name(), subject = delivery.subject(), ty = &*text::name(ty), "an event of another, on a subject that many share");
                skip(plugin)
            }
            Ok(Whose::Others) => {
                info!(
                    plugin = %plugin.name(), digest = plugin.digest().short(), ty = &*text::name(ty),
                    "no handler here, but another host has or had one just now: leaving the event to it"
                );
                End::Nak(delivery.left_for())
            }
            Ok(Whose::Ours) => {
                let reason = format!("unlistened: no handler for type `{}`", text::name(ty));
                self.dead_letter(plugin, delivery, reason).await
            }
            Err(error) => self.cannot_tell(plugin, &error),
        }
    }

    fn cannot_tell(&self, plugin: &Plugin, error: &str) -> End {
        if self.leave.is_cancelled() {
            // It answers no questions any more, not even its own.
            return End::Nak(RETRY_FIRST);
        }
        warn!(plugin = %plugin.name(), error, "cannot tell whose an event is: it comes again");
        End::Nak(RETRY_LONGEST)
    }

    /// Stores the delivery in the dead-letter stream. While that takes nothing, the plugin stands
    /// still: nothing is dropped, and nothing runs into the same wall.
    async fn dead_letter(&self, plugin: &Plugin, delivery: &Delivery, reason: String) -> End {
        let outbound = self.dispatcher.outbound();
        let addressee = Addressee {
            name: plugin.name().as_str(),
            digest: Some(plugin.digest().to_string()),
        };
        let mut wait = RETRY_FIRST;
        let mut stands = None;
        loop {
            let events = &self.config.events;
            let stored = dead_letters::store(outbound, events, &addressee, delivery, &reason);
            let error = match stored.await {
                Ok(()) => break,
                Err(error) => error,
            };
            stands.get_or_insert_with(|| Standstill::begin(self, plugin));
            // It may be that it is not there any more. What is wrong with it, the error says.
            let _ = outbound.ensure_streams(events).await;
            error!(
                plugin = %plugin.name(), sequence = delivery.sequence(), %error, again_in = ?wait,
                "the dead-letter stream takes nothing: the plugin's events stand still until it does"
            );
            tokio::select! {
                // It is not settled, and so comes again to the next host.
                () = self.leave.cancelled() => return End::Nak(RETRY_LONGEST),
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(RETRY_LONGEST);
        }
        drop(stands);
        plugin.metrics().event(EventEnd::DeadLettered);
        warn!(
            plugin = %plugin.name(), digest = plugin.digest().short(),
            stream = delivery.stream(), sequence = delivery.sequence(), subject = delivery.subject(),
            attempt = delivery.attempt(), reason, "an event was dead-lettered"
        );
        End::Term(reason)
    }
}

/// One dead letter that cannot be stored: as long as it lasts the plugin pulls nothing.
struct Standstill<'a> {
    events: &'a Events,
    plugin: &'a Plugin,
}

impl<'a> Standstill<'a> {
    fn begin(events: &'a Events, plugin: &'a Plugin) -> Standstill<'a> {
        events.stopped.send_modify(|letters| *letters += 1);
        plugin.metrics().stopped(true);
        Standstill { events, plugin }
    }
}

impl Drop for Standstill<'_> {
    fn drop(&mut self) {
        self.events.stopped.send_modify(|letters| *letters -= 1);
        let stands = *self.events.stopped.borrow() > 0;
        self.plugin.metrics().stopped(stands);
    }
}

/// Not for this plugin.
fn skip(plugin: &Plugin) -> End {
    plugin.metrics().event(EventEnd::Skipped);
    End::Ack
}
