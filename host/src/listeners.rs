//! Dynamic listeners: which there are, what each waits for, and until when. Changes come from handlers
//! that succeeded. They live in this process, as long as their plugin's version, or longer if its
//! policy carries them over. Must not know how a match is handled.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use crate::outbound::SendError;
use crate::outbound::watch::{Interest, Key, Match, Matches, Watch};
use crate::plugin::Plugin;
use crate::policy::{OnSwap, PluginName};
use crate::registry::Registry;
use crate::sandbox::{Digest, ListenerChange, NewListener};

/// Matches that wait to be handled, all plugins together; their events have room by bytes, too, until
/// they are handled. What comes on top is dropped, and counted.
const MATCHES_MAX: usize = 1024;

/// Who waits for which event. One a host.
#[derive(Debug)]
pub struct Listeners {
    watch: Watch,
    matches: Matches,
    table: Mutex<Table>,
}

/// One that waits.
#[derive(Debug)]
pub struct Listener {
    /// As `listeners.add` answered it.
    pub id: String,
    /// Whose it is.
    pub plugin: PluginName,
    /// Called with each match.
    pub handler: Arc<str>,
    /// What it waits for.
    pub interest: Interest,
    /// Gone after its first match.
    pub once: bool,
    /// Handed back with each match.
    pub state: String,
    expires: Instant,
    version: Version,
}

/// The version of a plugin and its policy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    digest: Digest,
    policy: String,
}

#[derive(Debug, Default)]
struct Table {
    /// The tag of the next one.
    next: u64,
    waiting: HashMap<u64, Waiting>,
    tags: HashMap<String, u64>,
    counts: HashMap<PluginName, Arc<AtomicUsize>>,
}

#[derive(Debug)]
struct Waiting {
    listener: Arc<Listener>,
    /// None for the moment in which the watch learns of it.
    key: Option<Key>,
    _place: Place,
}

/// One of the listeners that a plugin may have: counted until it is dropped.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

/// What was done, to be undone if the rest fails.
#[derive(Debug, Default)]
pub struct Applied {
    added: Vec<String>,
    removed: Vec<Arc<Listener>>,
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// More than the policy allows.
    #[error("{most} listeners of the plugin wait already: raise listeners in [limits]")]
    TooMany {
        /// What the policy allows.
        most: u32,
    },
    /// The events cannot be watched.
    #[error("events cannot be watched: {0}")]
    NotWatched(#[from] SendError),
}

impl Listeners {
    /// None yet; the receiver gets every match.
    pub fn new(watch: Watch) -> (Listeners, mpsc::Receiver<Match>) {
        let (matches, receiver) = mpsc::channel(MATCHES_MAX);
        let listeners = Listeners {
            watch,
            matches: Matches::bounded(matches),
            table: Mutex::default(),
        };
        (listeners, receiver)
    }

    /// How many listeners a plugin has, in all its versions.
    pub fn count_of(&self, plugin: &PluginName) -> Arc<AtomicUsize> {
        self.table().count_of(plugin)
    }

    /// Where the events come from.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Makes the changes, in order. What is published after it is heard by what was added.
    ///
    /// # Errors
    /// [`ChangeError`]: no change was made.
    pub async fn apply(
        &self,
        plugin: &Plugin,
        changes: &[ListenerChange],
    ) -> Result<Applied, ChangeError> {
        let mut applied = Applied::default();
        for change in changes {
            match change {
                ListenerChange::Remove(id) => {
                    applied.removed.extend(self.remove_own(plugin.name(), id));
                }
                ListenerChange::Add(new) => {
                    if let Err(error) = self.add(plugin, new).await {
                        self.undo(applied).await;
                        return Err(error);
                    }
                    applied.added.push(new.id.clone());
                }
            }
        }
        Ok(applied)
    }

    /// Takes the changes back.
    pub async fn undo(&self, applied: Applied) {
        for id in &applied.added {
            self.remove(id);
        }
        for listener in applied.removed {
            let id = listener.id.clone();
            // It had one. If another has that by now, there is one more than may be.
            let place = Place::new(self.count_of(&listener.plugin));
            if let Err(error) = self.insert(listener, place).await {
                warn!(listener = id, %error, "a listener is gone whose removal was to be taken back");
            }
        }
    }

    /// The listener of a match.
    pub fn waiting(&self, matched: &Match) -> Option<Arc<Listener>> {
        let table = self.table();
        let waiting = table.waiting.get(&matched.tag)?;
        Some(waiting.listener.clone())
    }

    /// The listener of a match, if it is still to hear it.
    pub fn heard(&self, matched: &Match) -> Option<Arc<Listener>> {
        let mut table = self.table();
        let waiting = table.waiting.get(&matched.tag)?;
        let listener = waiting.listener.clone();
        let is_late = listener.expires <= Instant::now();
        if listener.once || is_late {
            let key = table.forget(matched.tag);
            drop(table);
            self.unwatch(key);
        }
        (!is_late).then_some(listener)
    }

    /// The listener of a match that was not taken up goes on: the watch has let go of it if it hears
    /// once. It hears what comes from now on.
    pub fn wait_on(&self, matched: &Match) {
        let mut table = self.table();
        let Some(waiting) = table.waiting.get_mut(&matched.tag) else {
            return;
        };
        let listener = &waiting.listener;
        if !listener.once {
            return;
        }
        let (interest, after) = (listener.interest.clone(), matched.seen.sequence);
        let matches = self.matches.clone();
        match self.watch.put_back(interest, after, matched.tag, matches) {
            Ok(key) => waiting.key = Some(key),
            Err(error) => {
                warn!(listener = listener.id, %error, "a listener is gone that should have waited on");
                table.forget(matched.tag);
            }
        }
    }

    /// Removes what has expired, and what a swap or a removal of its plugin has ended.
    pub fn clean(&self, registry: &Registry) {
        let now = Instant::now();
        let is_over =
            |listener: &Listener| listener.expires <= now || listener.plugin_in(registry).is_none();
        let mut table = self.table();
        let over: Vec<u64> = table
            .waiting
            .iter()
            .filter(|(_, waiting)| is_over(&waiting.listener))
            .map(|(tag, _)| *tag)
            .collect();
        let keys: Vec<_> = over.into_iter().map(|tag| table.forget(tag)).collect();
        drop(table);
        for key in keys {
            self.unwatch(key);
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.table().waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    async fn add(&self, plugin: &Plugin, new: &NewListener) -> Result<(), ChangeError> {
        let most = plugin.policy().limits.listeners;
        // Before anything is waited for: calls add side by side.
        let place = Place::below(most, self.count_of(plugin.name()));
        let place = place.ok_or(ChangeError::TooMany { most })?;
        let listener = Arc::new(Listener {
            id: new.id.clone(),
            plugin: plugin.name().clone(),
            handler: new.handler.clone(),
            interest: new.interest.clone(),
            once: new.once,
            state: new.state.clone(),
            expires: Instant::now() + new.expires,
            version: Version::of(plugin),
        });
        Ok(self.insert(listener, place).await?)
    }

    /// In the table first: a match may come before the watch has returned.
    async fn insert(&self, listener: Arc<Listener>, place: Place) -> Result<(), SendError> {
        let (interest, once) = (listener.interest.clone(), listener.once);
        // What was stored before is not for it, even if it is read later.
        let after = self.watch.last_sequence().await?;
        let tag = self.table().insert(listener, place);
        let added = self
            .watch
            .add(interest, after, once, tag, self.matches.clone())
            .await;
        let mut table = self.table();
        match added {
            Ok(key) => {
                if let Some(waiting) = table.waiting.get_mut(&tag) {
                    // It has another one if its match came before this, and was not taken up.
                    waiting.key.get_or_insert(key);
                } else {
                    // It has fired, or was removed meanwhile.
                    drop(table);
                    self.watch.remove(key);
                }
                Ok(())
            }
            Err(error) => {
                table.forget(tag);
                Err(error)
            }
        }
    }

    /// Removes a plugin's own; another's is not its to remove.
    fn remove_own(&self, plugin: &PluginName, id: &str) -> Option<Arc<Listener>> {
        let table = self.table();
        let tag = table.tags.get(id)?;
        let is_own = table.waiting.get(tag)?.listener.plugin == *plugin;
        drop(table);
        is_own.then(|| self.remove(id))?
    }

    fn remove(&self, id: &str) -> Option<Arc<Listener>> {
        let mut table = self.table();
        let tag = *table.tags.get(id)?;
        let listener = table.waiting.get(&tag)?.listener.clone();
        let key = table.forget(tag);
        drop(table);
        self.unwatch(key);
        Some(listener)
    }

    fn unwatch(&self, key: Option<Key>) {
        if let Some(key) = key {
            self.watch.remove(key);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn count_of(&mut self, plugin: &PluginName) -> Arc<AtomicUsize> {
        self.counts.entry(plugin.clone()).or_default().clone()
    }

    fn insert(&mut self, listener: Arc<Listener>, place: Place) -> u64 {
        let tag = self.next;
        self.next += 1;
        self.tags.insert(listener.id.clone(), tag);
        self.waiting.insert(
            tag,
            Waiting {
                listener,
                key: None,
                _place: place,
            },
        );
        tag
    }

    fn forget(&mut self, tag: u64) -> Option<Key> {
        let Waiting { listener, key, .. } = self.waiting.remove(&tag)?;
        self.tags.remove(&listener.id);
        key
    }
}

impl Place {
    fn new(count: Arc<AtomicUsize>) -> Place {
        count.fetch_add(1, Ordering::Relaxed);
        Place(count)
    }

    /// None: so many are taken already.
    fn below(most: u32, count: Arc<AtomicUsize>) -> Option<Place> {
        let more = |taken: usize| (taken < most as usize).then_some(taken + 1);
        let taken = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Place(count))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Listener {
    /// Who handles its matches: the version that added it, or a later one that carries it on.
    pub fn plugin_in(&self, registry: &Registry) -> Option<Arc<Plugin>> {
        let plugin = registry.plugin(&self.plugin)?;
        let carried = plugin.policy().listeners.on_swap == OnSwap::Carry
            && plugin.registrations().listeners.contains(&self.handler);
        (carried || self.version == Version::of(plugin)).then(|| plugin.clone())
    }
}

impl Version {
    fn of(plugin: &Plugin) -> Version {
        Version {
            digest: plugin.digest(),
            policy: plugin.policy().digest.clone(),
        }
    }
}
