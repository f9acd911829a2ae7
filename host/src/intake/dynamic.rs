//! What dynamic listeners hear: one loop a host hands each match to the plugin that waited for it.
//! At most once: what there is no room for is dropped, and counted. Must not know how events are
//! watched.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tracing::warn;

use crate::dispatch::{Cause, Dispatcher, Travel};
use crate::metrics::ListenerEnd;
use crate::outbound::watch::Match;
use crate::policy::PluginName;
use crate::registry::Registry;
use crate::shutdown::Shutdown;

/// Calls of one plugin's listeners under way; those that wait for a slot count.
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

/// Room for calls, for each plugin its own: who has many listeners, or slow ones, takes none of
/// another's.
#[derive(Debug, Default)]
struct Rooms(HashMap<PluginName, Arc<Semaphore>>);

impl Rooms {
    fn enter(&mut self, plugin: &PluginName) -> Option<OwnedSemaphorePermit> {
        let room = self
            .0
            .entry(plugin.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(CALLS_MAX)));
        room.clone().try_acquire_owned().ok()
    }

    fn clean(&mut self, registry: &Registry) {
        self.0.retain(|name, room| {
            registry.plugin(name).is_some() || room.available_permits() < CALLS_MAX
        });
    }
}

impl Heard {
    /// Hands matches on until the host ends.
    pub(crate) async fn serve(mut self, dispatcher: Arc<Dispatcher>, shutdown: Shutdown) {
        let mut rooms = Rooms::default();
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
                Some(matched) => hand_on(&dispatcher, &shutdown, &mut rooms, &matched),
                None => {
                    let listeners = dispatcher.listeners();
                    let registry = dispatcher.registry();
                    listeners.clean(&registry);
                    rooms.clean(&registry);
                    let missed = listeners.watch().missed();
                    dispatcher.metrics().matches_missed(missed);
                }
            }
        }
    }
}

fn hand_on(dispatcher: &Arc<Dispatcher>, shutdown: &Shutdown, rooms: &mut Rooms, matched: &Match) {
    let Some(listener) = dispatcher.listeners().waiting(matched) else {
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
        return dispatcher.listeners().wait_on(matched);
    }
    let Some(permit) = rooms.enter(plugin.name()) else {
        // It has heard nothing: one that hears once waits on.
        dispatcher.listeners().wait_on(matched);
        plugin.metrics().listener(ListenerEnd::Missed);
        warn!(
            plugin = %plugin.name(), listener = listener.id,
            "a listener missed its event: {CALLS_MAX} calls of its plugin's listeners are under way"
        );
        return;
    };
    let Some(listener) = dispatcher.listeners().heard(matched) else {
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

#[cfg(test)]
mod tests {
    use super::{CALLS_MAX, Rooms};

    #[test]
    fn who_has_many_calls_under_way_takes_no_room_of_another() {
        let (many, other) = ("many".parse().unwrap(), "other".parse().unwrap());
        let mut rooms = Rooms::default();
        let held: Vec<_> = std::iter::from_fn(|| rooms.enter(&many)).collect();
        assert_eq!(held.len(), CALLS_MAX);
        assert!(rooms.enter(&other).is_some());
        drop(held);
        assert!(rooms.enter(&many).is_some());
    }
}
