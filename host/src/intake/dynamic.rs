//! What dynamic listeners hear: one loop a host hands each match to the plugin that waited for it.
//! At most once: what there is no room for is dropped, and counted. Must not know how events are
//! watched.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tracing::warn;

use crate::dispatch::{Cause, Dispatcher, Travel};
use crate::metrics::ListenerEnd;
use crate::outbound::watch::Match;
use crate::shutdown::Shutdown;

/// Calls of listeners under way, all plugins together; those that wait for a slot count.
const CALLS_MAX: usize = 1024;

/// How late a listener that has expired is forgotten. It hears nothing in the meantime.
const CLEAN_EVERY: Duration = Duration::from_secs(5);

/// What the loop reads.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) matches: mpsc::Receiver<Match>,
    /// Counts changes of the registry.
    pub(crate) changes: watch::Receiver<u64>,
}

impl Heard {
    /// Hands matches on until the host ends.
    pub(crate) async fn serve(mut self, dispatcher: Arc<Dispatcher>, shutdown: Shutdown) {
        let room = Arc::new(Semaphore::new(CALLS_MAX));
        let mut clean = tokio::time::interval(CLEAN_EVERY);
        loop {
            let matched = tokio::select! {
                () = shutdown.begun() => return,
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    None
                }
                _ = clean.tick() => None,
                matched = self.matches.recv() => matched,
            };
            match matched {
                Some(matched) => hand_on(&dispatcher, &shutdown, &room, &matched),
                None => {
                    let listeners = dispatcher.listeners();
                    listeners.clean(&dispatcher.registry());
                    let missed = listeners.watch().missed();
                    dispatcher.metrics().matches_missed(missed);
                }
            }
        }
    }
}

fn hand_on(
    dispatcher: &Arc<Dispatcher>,
    shutdown: &Shutdown,
    room: &Arc<Semaphore>,
    matched: &Match,
) {
    let Some(listener) = dispatcher.listeners().heard(matched) else {
        return;
    };
    let Some(plugin) = listener.plugin_in(&dispatcher.registry()) else {
        return;
    };
    // One that waits for any type of a transaction hears what is granted, and no more.
    if plugin
        .policy()
        .grants
        .allows_listen(&matched.seen.event.ty)
        .is_err()
    {
        return;
    }
    let Ok(permit) = room.clone().try_acquire_owned() else {
        plugin.metrics().listener(ListenerEnd::Missed);
        warn!(
            plugin = %plugin.name(), listener = listener.id,
            "a listener missed its event: {CALLS_MAX} calls of listeners are under way"
        );
        return;
    };
    let dispatcher = dispatcher.clone();
    let seen = matched.seen.clone();
    shutdown.spawn(async move {
        let cause = Cause::Event {
            stream: dispatcher.listeners().watch().stream(),
            sequence: seen.sequence,
            travel: Travel::of_headers(&seen.headers),
            attempt: 1,
        };
        dispatcher
            .listener(&plugin, &listener, &seen.event, cause)
            .await;
        drop(permit);
    });
}
