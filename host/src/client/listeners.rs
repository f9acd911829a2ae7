//! Listeners that come and go while a process runs: each has a task and a queue of its own, so that
//! a slow one delays no other. Must not know how events are matched.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{Client, ClientError};
use crate::config::Config;
use crate::outbound::watch::{Interest, Key, Match, Seen};
use crate::shutdown::Shutdown;
use crate::text;

/// Events that wait for one listener's callback; what comes on top is dropped, counted and logged.
const LISTENER_CAPACITY: usize = 1024;

/// Calls back for events as they are stored, from the moment a listener is added. Clones share its
/// listeners; those end with the last clone's [`EventSource::disconnect`], not by being dropped.
///
/// At most once: an event that a callback panics at does not come again; the next one does. What must not be lost is a
/// matter for a [`Service`](super::Service).
#[derive(Debug, Clone)]
pub struct EventSource {
    inner: Arc<Inner>,
}

/// A listener that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(u64);

#[derive(Debug)]
struct Inner {
    connection: Connection,
    state: Mutex<State>,
    /// Listeners, and those being added.
    users: watch::Sender<usize>,
    tasks: Shutdown,
}

#[derive(Debug)]
enum Connection {
    /// Somebody else's: it stays.
    Shared(Client),
    /// One of its own, from the first listener to the last.
    Own(Box<Config>),
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    listeners: HashMap<ListenerId, Listener>,
    client: Arc<OnceCell<Client>>,
    over: bool,
}

#[derive(Debug)]
struct Listener {
    client: Client,
    key: Key,
    once: bool,
    stop: CancellationToken,
}

struct Callback(Box<dyn Fn(Arc<Seen>) -> BoxFuture<'static, ()> + Send + Sync>);

/// One listener or one that is being added; ends what it used when dropped.
struct User {
    source: EventSource,
    id: Option<ListenerId>,
}

impl EventSource {
    /// Listens over a client's connection, which outlives the listeners.
    pub fn of(client: &Client) -> EventSource {
        EventSource::with(Connection::Shared(client.clone()))
    }

    /// Connects when the first listener is added, and disconnects when the last is gone.
    pub fn new(config: Config) -> EventSource {
        EventSource::with(Connection::Own(Box::new(config)))
    }

    fn with(connection: Connection) -> EventSource {
        EventSource {
            inner: Arc::new(Inner {
                connection,
                state: Mutex::default(),
                users: watch::Sender::new(0),
                tasks: Shutdown::default(),
            }),
        }
    }

    /// Calls back for each event of a type with a transaction id; `""` is any, for one of the two.
    /// What is stored once this has returned is heard, and nothing that was stored before the call. A
    /// callback is called for one event after the other, in the order of the stream; while it is
    /// waited for, up to 1,024 events are kept.
    ///
    /// # Errors
    /// `Invalid` if both are `""`; `Connect`; `NoEventStream`.
    pub async fn add_listener<F, Fut>(
        &self,
        ty: &str,
        transaction_id: &str,
        callback: F,
    ) -> Result<ListenerId, ClientError>
    where
        F: Fn(Arc<Seen>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let callback = Callback::new(callback);
        self.add(&[ty], transaction_id, false, callback).await
    }

    /// Like [`EventSource::add_listener`], for several types. None, or `""` among them, is any.
    ///
    /// # Errors
    /// Those of [`EventSource::add_listener`].
    pub async fn add_listener_multi<F, Fut>(
        &self,
        types: &[&str],
        transaction_id: &str,
        callback: F,
    ) -> Result<ListenerId, ClientError>
    where
        F: Fn(Arc<Seen>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let callback = Callback::new(callback);
        self.add(types, transaction_id, false, callback).await
    }

    /// Like [`EventSource::add_listener`], for the first such event only: the listener is gone
    /// before it is called.
    ///
    /// # Errors
    /// Those of [`EventSource::add_listener`].
    pub async fn once<F, Fut>(
        &self,
        ty: &str,
        transaction_id: &str,
        callback: F,
    ) -> Result<ListenerId, ClientError>
    where
        F: Fn(Arc<Seen>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let callback = Callback::new(callback);
        self.add(&[ty], transaction_id, true, callback).await
    }

    /// Removes a listener: its callback is not called again, and one that runs is not cut short.
    /// False: it was not there, as one for [`EventSource::once`] that was called is not.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        let mut state = self.inner.state();
        let Some(listener) = state.listeners.get(&id) else {
            return false;
        };
        let was_there = listener.client.inner.watch.remove(listener.key);
        if listener.once && !was_there {
            return false;
        }
        listener.stop.cancel();
        state.listeners.remove(&id);
        true
    }

    /// Removes all listeners, once their callbacks have had what was there for them, and ends the
    /// connection if it is its own. False: some were still busy when the drain time was over.
    pub async fn disconnect(&self) -> bool {
        let client = {
            let mut state = self.inner.state();
            state.over = true;
            for listener in state.listeners.values() {
                listener.client.inner.watch.remove(listener.key);
            }
            state.client.clone()
        };
        let drain = match &self.inner.connection {
            Connection::Shared(client) => client.inner.config.shutdown.drain,
            Connection::Own(config) => config.shutdown.drain,
        };
        let mut users = self.inner.users.subscribe();
        let left = tokio::time::timeout(drain, users.wait_for(|users| *users == 0));
        let drained = left.await.is_ok();
        if let Some(client) = client.get() {
            client.disconnect().await;
        }
        // Connections that ended with an earlier last listener.
        drained && self.inner.tasks.drain(drain).await
    }

    async fn add(
        &self,
        types: &[&str],
        transaction_id: &str,
        once: bool,
        callback: Callback,
    ) -> Result<ListenerId, ClientError> {
        let interest = interest(types, transaction_id)?;
        let (mut user, client) = self.enter()?;
        let client = match &self.inner.connection {
            Connection::Shared(client) => client.clone(),
            Connection::Own(config) => {
                let connect = || Client::connect(Config::clone(config));
                client.get_or_try_init(connect).await?.clone()
            }
        };
        if client.inner.tasks.has_begun() {
            return Err(ClientError::Disconnected);
        }
        let (to, matches) = mpsc::channel(LISTENER_CAPACITY);
        let watch = &client.inner.watch;
        // What was stored before is not for it, even if it is read later.
        let after = match watch.last_sequence().await {
            Ok(last) => last,
            Err(error) => return Err(client.not_readable(error).await),
        };
        let key = watch.add(interest, after, once, 0, to).await?;
        let stop = CancellationToken::new();
        let id = {
            let mut state = self.inner.state();
            if state.over {
                // It ended meanwhile, and has removed what it knew of.
                client.inner.watch.remove(key);
                return Err(ClientError::Disconnected);
            }
            state.last += 1;
            let id = ListenerId(state.last);
            let listener = Listener {
                client: client.clone(),
                key,
                once,
                stop: stop.clone(),
            };
            state.listeners.insert(id, listener);
            id
        };
        user.id = Some(id);
        let tasks = client.inner.tasks.clone();
        tasks.spawn(listen(user, client, key, matches, stop, callback));
        Ok(id)
    }

    fn enter(&self) -> Result<(User, Arc<OnceCell<Client>>), ClientError> {
        let state = self.inner.state();
        if state.over {
            return Err(ClientError::Disconnected);
        }
        self.inner.users.send_modify(|users| *users += 1);
        let user = User {
            source: self.clone(),
            id: None,
        };
        Ok((user, state.client.clone()))
    }
}

/// Calls back for what comes, until it is told to stop or nothing more can come.
async fn listen(
    user: User,
    client: Client,
    key: Key,
    mut matches: mpsc::Receiver<Match>,
    stop: CancellationToken,
    callback: Callback,
) {
    let mut ending = false;
    loop {
        let found = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = client.inner.tasks.begun(), if !ending => {
                // What is there is still handed over.
                ending = true;
                client.inner.watch.remove(key);
                continue;
            }
            found = matches.recv() => found,
        };
        let Some(Match { seen, .. }) = found else {
            break;
        };
        let event = seen.event.clone();
        let called = AssertUnwindSafe(async { callback.0(seen).await });
        if called.catch_unwind().await.is_err() {
            error!(
                event_id = &*text::name(&event.id),
                ty = &*text::name(&event.ty),
                "a callback panicked: its listener goes on with the next event"
            );
        }
    }
    drop(user);
}

fn interest(types: &[&str], transaction_id: &str) -> Result<Interest, ClientError> {
    let any_type = types.is_empty() || types.contains(&"");
    if any_type && transaction_id.is_empty() {
        return Err(ClientError::Invalid(
            "a listener needs a type or a transaction id: both empty would be every event"
                .to_owned(),
        ));
    }
    Ok(Interest {
        types: match any_type {
            true => Vec::new(),
            false => types.iter().map(|ty| (*ty).to_owned()).collect(),
        },
        within: Vec::new(),
        transaction_id: (!transaction_id.is_empty()).then(|| transaction_id.to_owned()),
    })
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics half-way through a change of it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let inner = &self.source.inner;
        let mut state = inner.state();
        if let Some(listener) = self.id.and_then(|id| state.listeners.remove(&id)) {
            listener.client.inner.watch.remove(listener.key);
        }
        let mut left = 0;
        inner.users.send_modify(|users| {
            *users -= 1;
            left = *users;
        });
        if left > 0 || state.over || matches!(inner.connection, Connection::Shared(_)) {
            return;
        }
        let ended = std::mem::take(&mut state.client);
        // Where the runtime has ended, so has the connection.
        if let Some(client) = ended.get().cloned()
            && Handle::try_current().is_ok()
        {
            inner.tasks.spawn(async move {
                client.disconnect().await;
            });
        }
    }
}

impl Callback {
    fn new<F, Fut>(callback: F) -> Callback
    where
        F: Fn(Arc<Seen>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Callback(Box::new(move |seen| callback(seen).boxed()))
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}
