//! One loop for each plugin that listens to events: pulls no more than the plugin has room for, and
//! gives each delivery a task of its own. Must not know what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
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
        let opened = self
            .durable
            .open(durable::wanted(&self.config, plugin))
            .await;
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
        let mut open_again = RETRY_FIRST;
        let mut retry = RETRY_FIRST;
        loop {
            // Gone: what is under way is for the version that was.
            let plugin = self.current().unwrap_or_else(|| serving.clone());
            let is_new = !leaving && !Arc::ptr_eq(&serving, &plugin);
            if is_new && Instant::now() >= not_before {
                room = room_of(&plugin);
                match (self.open(&plugin).await, &mut consumer) {
                    (Some(newer), open) => {
                        serving = plugin.clone();
                        open_again = RETRY_FIRST;
                        match open {
                            Some(open) => newer.replace(open),
                            none => *none = Some(newer),
                        }
                    }
                    (None, _) => {
                        not_before = Instant::now() + open_again;
                        open_again = (open_again * 2).min(RETRY_LONGEST);
                    }
                }
            }
            let Some(open) = &mut consumer else {
                tokio::select! {
                    () = self.leave.cancelled() => return,
                    () = tokio::time::sleep(retry) => {}
                }
                retry = (retry * 2).min(RETRY_LONGEST);
                consumer = self.open(&plugin).await;
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
                        self.start(delivery, &plugin, &room);
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
            () = self.may_ask(room) => {}
            pulled = consumer.owed() => return pulled,
        }
        let free = room.available_permits().min(plugin.lanes().free()).max(1);
        consumer.pull(free.min(PULL_MAX)).await
    }

    async fn may_ask(&self, room: &Semaphore) {
        self.durable.may_pull().await;
        self.moves().await;
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
    pub(super) async fn moves(&self) {
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

    /// The version that serves, if there still is one.
    pub(super) fn current(&self) -> Option<Arc<Plugin>> {
        self.dispatcher.registry().plugin(&self.plugin).cloned()
    }
}

/// Deliveries of the plugin that are here at once. As many as it has slots: what waits for a slot
/// must leave room for the event that a handler waits for, which comes in a deeper lane.
fn room_of(plugin: &Plugin) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(plugin.lanes().slots().clamp(1, PULL_MAX)))
}
