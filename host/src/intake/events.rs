//! One loop for each plugin that listens to events: pulls no more than the plugin has room for,
//! runs each delivery, and settles it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::source::{Consumer, Delivery, Source};
use super::{dead_letters, durable};
use crate::config::Config;
use crate::dispatch::{Cause, Dispatcher, Travel};
use crate::envelope::CloudEvent;
use crate::metrics::EventEnd;
use crate::plugin::Plugin;
use crate::policy::PluginName;
use crate::registry::Registry;
use crate::settle::{Settlement, settle};
use crate::shutdown::Shutdown;

/// The most deliveries of one plugin that are asked for at once.
const PULL_MAX: usize = 256;

/// Deliveries that have run and whose acknowledgement is on its way.
const SETTLING_MAX: usize = 1024;

/// Between two tries to open a consumer, or to store a dead letter: the first and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// How long a version that is not the newest one leaves the events to others.
const YIELD_TO_NEWER: Duration = Duration::from_secs(10);

/// The events of one plugin.
#[derive(Debug)]
pub(super) struct Events {
    config: Arc<Config>,
    dispatcher: Arc<Dispatcher>,
    source: Source,
    shutdown: Shutdown,
    plugin: PluginName,
    pub(super) leave: CancellationToken,
    settling: Arc<Semaphore>,
    /// Dead letters that could not be stored: nothing more is pulled until they are.
    stopped: watch::Sender<usize>,
    /// Another replica has a newer version, which listens to more.
    outdated: AtomicBool,
}

/// What becomes of a delivery.
enum End {
    Ack,
    Nak(Duration),
    /// Its dead letter is stored.
    Term(String),
}

impl Events {
    pub(super) fn new(
        config: Arc<Config>,
        dispatcher: Arc<Dispatcher>,
        source: Source,
        shutdown: Shutdown,
        plugin: PluginName,
    ) -> Events {
        Events {
            config,
            dispatcher,
            source,
            leave: shutdown.child(),
            shutdown,
            plugin,
            settling: Arc::new(Semaphore::new(SETTLING_MAX)),
            stopped: watch::Sender::new(0),
            outdated: AtomicBool::new(false),
        }
    }

    /// Opens the plugin's consumer, or lets its filters grow.
    pub(super) async fn open(&self, plugin: &Plugin, is_new: bool) -> Option<Consumer> {
        let wanted = durable::wanted(&self.config, plugin, is_new);
        let opened = self.source.consumer(&wanted).await;
        opened
            .inspect_err(|reason| {
                error!(plugin = %self.plugin, reason, "cannot open its consumer: its events wait");
            })
            .ok()
    }

    /// Pulls until it is to leave. A delivery that runs then is waited for by the shutdown.
    pub(super) async fn run(
        self: Arc<Self>,
        mut serving: Arc<Plugin>,
        mut consumer: Option<Consumer>,
        mut changes: watch::Receiver<u64>,
    ) {
        let mut leaving = false;
        let mut room = room_of(&serving);
        let mut not_before = Instant::now();
        let mut retry = RETRY_FIRST;
        loop {
            // Gone: what is under way is for the version that was.
            let plugin = self.current().unwrap_or_else(|| serving.clone());
            let is_new = !leaving && !Arc::ptr_eq(&serving, &plugin);
            if is_new && Instant::now() >= not_before {
                room = room_of(&plugin);
                let opened = self.open(&plugin, true).await;
                if opened.is_some() {
                    serving = plugin.clone();
                } else {
                    not_before = Instant::now() + RETRY_LONGEST;
                }
                match (opened, &mut consumer) {
                    (Some(newer), Some(open)) => open.adopt(newer),
                    (Some(newer), none) => *none = Some(newer),
                    (None, _) => {}
                }
            }
            let Some(open) = &mut consumer else {
                tokio::select! {
                    () = self.leave.cancelled() => return,
                    () = tokio::time::sleep(retry) => {}
                }
                retry = (retry * 2).min(RETRY_LONGEST);
                consumer = self.open(&plugin, false).await;
                continue;
            };
            let pulled = tokio::select! {
                biased;
                () = self.leave.cancelled(), if !leaving => {
                    leaving = true;
                    open.leave();
                    continue;
                }
                changed = changes.changed(), if !leaving => {
                    if changed.is_err() {
                        self.leave.cancel();
                    }
                    continue;
                }
                pulled = self.pull(open, &plugin, &room, leaving) => pulled,
            };
            match pulled {
                Ok(Some(deliveries)) => {
                    retry = RETRY_FIRST;
                    for delivery in deliveries {
                        self.start(delivery, &plugin, &room).await;
                    }
                }
                Ok(None) => return,
                Err(reason) => {
                    warn!(plugin = %self.plugin, reason, "events cannot be pulled: opening the consumer anew");
                    consumer = None;
                }
            }
        }
    }

    /// Waits for room, then for deliveries. Cancel safe.
    async fn pull(
        &self,
        consumer: &mut Consumer,
        plugin: &Plugin,
        room: &Arc<Semaphore>,
        leaving: bool,
    ) -> Result<Option<Vec<Delivery>>, String> {
        if leaving {
            return consumer.pull(0).await;
        }
        if self.outdated.load(Ordering::Relaxed) {
            tokio::time::sleep(YIELD_TO_NEWER).await;
            self.outdated.store(false, Ordering::Relaxed);
        }
        // An error: nobody can have dropped the sender, which is ours.
        let _ = self
            .stopped
            .subscribe()
            .wait_for(|letters| *letters == 0)
            .await;
        // Nor is the semaphore ever closed.
        drop(room.acquire().await);
        let free = room.available_permits().min(plugin.lanes().free()).max(1);
        consumer.pull(free.min(PULL_MAX)).await
    }

    async fn start(
        self: &Arc<Self>,
        delivery: Delivery,
        plugin: &Arc<Plugin>,
        room: &Arc<Semaphore>,
    ) {
        let Ok(permit) = room.clone().acquire_owned().await else {
            return;
        };
        let events = self.clone();
        let plugin = plugin.clone();
        self.shutdown
            .spawn(async move { events.deliver(delivery, &plugin, permit).await });
    }

    /// Runs one delivery to its end. While it takes, the server is told that it is at work.
    async fn deliver(&self, delivery: Delivery, plugin: &Plugin, room: OwnedSemaphorePermit) {
        let end = {
            let mut work = std::pin::pin!(self.decide(&delivery, plugin));
            let every = self.config.events.ack_wait / 2;
            let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    end = &mut work => break end,
                    _ = ticks.tick() => delivery.in_progress().await,
                }
            }
        };
        // The next one may come while this one's acknowledgement is on its way.
        let settling = self.settling.acquire().await;
        drop(room);
        let sequence = delivery.sequence();
        let told = match end {
            End::Ack => delivery.ack().await,
            End::Nak(delay) => delivery.nak(delay).await,
            End::Term(reason) => delivery.term(&reason).await,
        };
        drop(settling);
        if let Err(error) = told {
            warn!(plugin = %self.plugin, sequence, error, "an event was not settled: it will come again");
        }
    }

    async fn decide(&self, delivery: &Delivery, plugin: &Plugin) -> End {
        if !delivery.wanted() {
            return skip(plugin);
        }
        let event = match CloudEvent::decode(delivery.message()) {
            Ok(mut event) => {
                event.trace_from_headers(&delivery.message().headers);
                event
            }
            Err(error) => {
                let reason = format!("undecodable: {error}");
                return self.dead_letter(plugin, delivery, reason).await;
            }
        };
        let Some(handler) = Registry::event(plugin, &event.ty) else {
            return self.unlistened(plugin, delivery, &event.ty).await;
        };
        let attempt = delivery.attempt();
        let cause = Cause::Event {
            stream: delivery.stream(),
            sequence: delivery.sequence(),
            travel: Travel::of(delivery.message()),
            attempt,
        };
        let outcome = self.dispatcher.event(plugin, &handler, &event, cause).await;
        match settle(&outcome, attempt, &plugin.policy().retry, fastrand::f64()) {
            Settlement::Ack => {
                plugin.metrics().event(EventEnd::Ok);
                End::Ack
            }
            Settlement::RetryAfter { delay, reason } => {
                info!(
                    plugin = %plugin.name(), digest = plugin.digest().short(), event_id = event.id,
                    attempt, ?delay, reason, "an event will be retried"
                );
                plugin.metrics().event(EventEnd::Retried);
                End::Nak(delay)
            }
            Settlement::DeadLetter { reason } => self.dead_letter(plugin, delivery, reason).await,
        }
    }

    /// A type without a handler: another's, on a subject that many share; or one that this plugin
    /// once listened to, or that only a newer version of it does.
    async fn unlistened(&self, plugin: &Plugin, delivery: &Delivery, ty: &str) -> End {
        if delivery.subject() != ty {
            return skip(plugin);
        }
        match self
            .source
            .is_newest(&durable::wanted(&self.config, plugin, false))
            .await
        {
            Ok(true) => {
                let reason = format!("unlistened: no handler for type `{ty}`");
                self.dead_letter(plugin, delivery, reason).await
            }
            Ok(false) => {
                warn!(
                    plugin = %plugin.name(), digest = plugin.digest().short(), ty,
                    "another host has a newer version, which listens to more: leaving the events to it"
                );
                self.outdated.store(true, Ordering::Relaxed);
                End::Nak(RETRY_FIRST)
            }
            Err(error) => {
                debug!(plugin = %plugin.name(), error, "cannot tell who is the newest");
                End::Nak(RETRY_LONGEST)
            }
        }
    }

    /// Stores the delivery in the dead-letter stream. While that takes nothing, the plugin stands
    /// still: nothing is dropped, and nothing runs into the same wall.
    async fn dead_letter(&self, plugin: &Plugin, delivery: &Delivery, reason: String) -> End {
        let outbound = self.dispatcher.outbound();
        let mut wait = RETRY_FIRST;
        let mut stands = None;
        loop {
            let stored =
                dead_letters::store(outbound, &self.config.events, plugin, delivery, &reason);
            let error = match stored.await {
                Ok(()) => break,
                Err(error) => error,
            };
            stands.get_or_insert_with(|| Standstill::begin(self, plugin));
            error!(
                plugin = %plugin.name(), sequence = delivery.sequence(), %error, again_in = ?wait,
                "the dead-letter stream takes nothing: the plugin's events stand still until it does"
            );
            tokio::select! {
                // It is not settled, and so comes again to the next host.
                () = self.shutdown.begun() => return End::Nak(RETRY_LONGEST),
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(RETRY_LONGEST);
        }
        drop(stands);
        plugin.metrics().event(EventEnd::DeadLettered);
        warn!(
            plugin = %plugin.name(), digest = plugin.digest().short(),
            stream = delivery.stream(), sequence = delivery.sequence(),
            attempt = delivery.attempt(), reason, "an event was dead-lettered"
        );
        End::Term(reason)
    }

    fn current(&self) -> Option<Arc<Plugin>> {
        self.dispatcher.registry().plugin(&self.plugin).cloned()
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

/// Calls of events that the plugin can take at once.
fn room_of(plugin: &Plugin) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(plugin.lanes().most().clamp(1, PULL_MAX)))
}
