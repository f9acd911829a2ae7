//! One loop for each plugin that listens to events: pulls no more than the plugin has room for, and
//! gives each delivery a task of its own. Must not know what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::durable;
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::plugin::Plugin;
use crate::policy::PluginName;
use crate::shutdown::Shutdown;
use crate::source::{Consumer, Delivery, Durable, Source};

/// The most deliveries of one plugin that are asked for at once.
const PULL_MAX: usize = 256;

/// Deliveries that have run and whose acknowledgement is on its way.
const SETTLING_MAX: usize = 1024;

/// Between two tries to open a consumer, or to store a dead letter: the first and the longest.
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(500);
pub(super) const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// When something is tried, and again after it failed.
#[derive(Debug)]
struct Retry {
    next: Instant,
    wait: Duration,
}

impl Retry {
    fn at_once() -> Retry {
        Retry {
            next: Instant::now(),
            wait: RETRY_FIRST,
        }
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.next
    }

    fn failed(&mut self) {
        self.next = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(RETRY_LONGEST);
    }
}

/// The events of one plugin.
#[derive(Debug)]
pub(super) struct Events {
    pub(super) config: Arc<Config>,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) durable: Durable,
    pub(super) shutdown: Shutdown,
    pub(super) plugin: PluginName,
    pub(super) leave: CancellationToken,
    pub(super) settling: Semaphore,
    /// Dead letters that could not be stored: nothing more is pulled until they are.
    pub(super) stopped: watch::Sender<usize>,
}

impl Events {
    pub(super) fn new(
        config: Arc<Config>,
        dispatcher: Arc<Dispatcher>,
        source: &Source,
        shutdown: Shutdown,
        plugin: PluginName,
    ) -> Events {
        let name = durable::name(&config, &plugin);
        Events {
            durable: source.durable(&config.events.stream, &name),
            config,
            dispatcher,
            leave: shutdown.child(),
            shutdown,
            plugin,
            settling: Semaphore::new(SETTLING_MAX),
            stopped: watch::Sender::new(0),
        }
    }

    /// Opens the plugin's consumer, or lets its filters grow.
    pub(super) async fn open(&self, plugin: &Plugin) -> Option<Consumer> {
        let wanted = durable::wanted(&self.config, plugin)?;
        match self.durable.open(wanted).await {
            Ok(consumer) => Some(consumer),
            Err(reason) => {
                error!(plugin = %self.plugin, reason, "cannot open its consumer: its events wait");
                // It may be the stream that is not there any more.
                let ensured = self
                    .dispatcher
                    .outbound()
                    .ensure_streams(&self.config.events);
                if let Err(flaw) = ensured.await {
                    warn!(plugin = %self.plugin, %flaw, "its events cannot travel");
                }
                None
            }
        }
    }

    /// Pulls until it is to leave. A delivery that runs then is waited for by the shutdown.
    pub(super) async fn run(
        self: Arc<Self>,
        mut latest: Arc<Plugin>,
        mut consumer: Option<Consumer>,
        mut changes: watch::Receiver<u64>,
    ) {
        let mut leaving = false;
        let mut room = room_of(&latest);
        let mut opened_for = consumer.is_some().then(|| latest.clone());
        let mut opening = Retry::at_once();
        if consumer.is_none() {
            opening.failed();
        }
        loop {
            // Gone, or deaf: what is under way is for the version that was.
            let plugin = self.current().unwrap_or_else(|| latest.clone());
            if !leaving && !Arc::ptr_eq(&latest, &plugin) {
                latest = plugin.clone();
                room = room_of(&plugin);
                opening = Retry::at_once();
            }
            let mut is_current = opened_for
                .as_ref()
                .is_some_and(|it| Arc::ptr_eq(it, &plugin));
            if !leaving && !is_current && opening.is_due() {
                match self.open(&plugin).await {
                    // One that is open reads on: what it asked for still comes.
                    Some(newer) => {
                        consumer.get_or_insert(newer);
                        opened_for = Some(plugin.clone());
                        is_current = true;
                    }
                    None => opening.failed(),
                }
            }
            let Some(open) = &mut consumer else {
                tokio::select! {
                    () = self.leave.cancelled() => return,
                    changed = changes.changed() => self.leave_if(changed.is_err()),
                    () = sleep_until(opening.next) => {}
                }
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
                    self.leave_if(changed.is_err());
                    continue;
                }
                pulled = self.pull(open, &plugin, &room, leaving) => pulled,
            };
            match pulled {
                Ok(Some(deliveries)) => {
                    if is_current {
                        opening = Retry::at_once();
                    }
                    for delivery in deliveries {
                        self.start(delivery, &plugin, &room);
                    }
                }
                Ok(None) => return,
                Err(reason) => {
                    warn!(plugin = %self.plugin, reason, "events cannot be pulled: opening the consumer anew");
                    (consumer, opened_for) = (None, None);
                    opening.failed();
                }
            }
        }
    }

    /// Leaves once there is no registry to follow any more.
    fn leave_if(&self, it_is_gone: bool) {
        if it_is_gone {
            self.leave.cancel();
        }
    }

    /// Waits for room, then for deliveries. While nothing may be asked for, takes what was asked
    /// for before: unread it would age, and run a second time. Cancel safe.
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
        tokio::select! {
            biased;
            () = self.until_it_may_ask(room) => {}
            pulled = consumer.owed() => return pulled,
        }
        let free = room.available_permits().min(plugin.lanes().free()).max(1);
        consumer.pull(free.min(PULL_MAX)).await
    }

    async fn until_it_may_ask(&self, room: &Semaphore) {
        self.durable.until_it_may_pull().await;
        self.until_it_moves().await;
        // The semaphore is never closed.
        drop(room.acquire().await);
    }

    /// Keeps up with what other replicas make of the consumer, until it is to leave.
    pub(super) async fn keep_up(self: Arc<Self>) {
        tokio::select! {
            () = self.leave.cancelled() => {}
            () = self.durable.keep_up() => {}
        }
    }

    /// Waits while the plugin stands still.
    pub(super) async fn until_it_moves(&self) {
        let mut stopped = self.stopped.subscribe();
        // An error: nobody can have dropped the sender, which is ours.
        let _ = stopped.wait_for(|letters| *letters == 0).await;
    }

    /// At once, whatever room there is: unread by a task of its own it would age.
    fn start(self: &Arc<Self>, delivery: Delivery, plugin: &Arc<Plugin>, room: &Arc<Semaphore>) {
        let (events, plugin, room) = (self.clone(), plugin.clone(), room.clone());
        self.shutdown
            .spawn(async move { events.deliver(delivery, plugin, room).await });
    }

    /// The version that serves, if there still is one that listens to anything.
    pub(super) fn current(&self) -> Option<Arc<Plugin>> {
        let registry = self.dispatcher.registry();
        let plugin = registry.plugin(&self.plugin);
        plugin.filter(|plugin| durable::listens(plugin)).cloned()
    }
}

/// Deliveries of the plugin that are here at once. As many as it has slots: what waits for a slot
/// must leave room for the event that a handler waits for, which comes in a deeper lane.
fn room_of(plugin: &Plugin) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(plugin.lanes().slots().clamp(1, PULL_MAX)))
}
