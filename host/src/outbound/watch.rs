//! Reading along in the event stream for listeners, exchanges and clients: one ordered consumer a
//! process, opened with the first interest and closed some time after the last, and one more for
//! as long as somebody looks for what was stored before. Must not know who is interested, or what
//! for.
//!
//! A plain subscription to the subjects would not do: it sees events that were refused or
//! deduplicated and so never happened, and misses some in a reconnect.

mod interests;
mod reader;
mod room;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::tail::Tail;
use super::{Outbound, SendError};
use crate::envelope::{CloudEvent, Headers};
use crate::shutdown::Shutdown;
use crate::subject::SubjectPattern;
use interests::{Interests, Wanted};
use reader::Reader;
use room::Room;

pub use room::Matches;

/// How many interests one process may have at once.
pub const INTERESTS_MAX: usize = 65_536;

/// Events that wait in a [`Tap`] to be read.
const TAP_CAPACITY: usize = 256;

/// Which events somebody wants. One of the two has to be named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interest {
    /// The `type` of an event; none: any.
    pub types: Vec<String>,
    /// Where any type would do: only those that one of these matches. None: all.
    pub within: Vec<SubjectPattern>,
    /// Its transaction id; `None`: any, or without.
    pub transaction_id: Option<String>,
}

/// An event that the stream stored.
#[derive(Debug)]
pub struct Seen {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// The event itself.
    pub event: Arc<CloudEvent>,
    /// What travelled beside it.
    pub headers: Headers,
    room: Room,
}

/// An interest, until it is removed or, if it is for once, has matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

/// An event for an interest.
#[derive(Debug, Clone)]
pub struct Match {
    /// Whose it is.
    pub key: Key,
    /// What its owner calls it.
    pub tag: u64,
    /// What it is.
    pub seen: Arc<Seen>,
}

/// The one reader of the event stream. Clones share it.
#[derive(Debug, Clone)]
pub struct Watch {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    outbound: Outbound,
    stream: String,
    transaction_attribute: String,
    tasks: Shutdown,
    runtime: Option<Handle>,
    state: Mutex<State>,
    missed: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    interests: Interests,
    /// When the last interest went.
    empty_since: Option<Instant>,
    /// The reader, if there is one.
    reader: Option<watch::Receiver<Opening>>,
}

/// How far a reader has come.
#[derive(Debug, Clone)]
enum Opening {
    Begun,
    Open,
    Failed(SendError),
}

/// One interest of one's own, removed when dropped.
#[derive(Debug)]
pub struct Tap {
    watch: Watch,
    key: Key,
    matches: mpsc::Receiver<Match>,
}

/// Removes an interest whose consumer never opened, or whose owner did not wait for it.
struct Unopened<'a> {
    watch: &'a Watch,
    key: Option<Key>,
}

impl Interest {
    fn has_type(&self, ty: &str) -> bool {
        if !self.types.is_empty() {
            return self.types.iter().any(|wanted| wanted == ty);
        }
        // `>` alone means types that are no legal subject too.
        let matches = |pattern: &SubjectPattern| pattern.as_str() == ">" || pattern.matches(ty);
        self.within.is_empty() || self.within.iter().any(matches)
    }

    /// Whether an event is one of those.
    pub fn fits(&self, event: &CloudEvent, transaction_attribute: &str) -> bool {
        let type_fits = self.has_type(&event.ty);
        let transaction_fits = self.transaction_id.is_none()
            || self.transaction_id.as_deref() == event.transaction_id(transaction_attribute);
        type_fits && transaction_fits
    }
}

impl Watch {
    /// A watch of one stream that reads nothing yet. `transaction_attribute` is the extension that
    /// holds an event's transaction id. The stream is read on `runtime`, or else on that of whoever
    /// first wants an event.
    pub fn new(
        outbound: Outbound,
        stream: String,
        transaction_attribute: String,
        tasks: &Shutdown,
        runtime: Option<Handle>,
    ) -> Watch {
        Watch {
            inner: Arc::new(Inner {
                outbound,
                stream,
                transaction_attribute,
                tasks: tasks.clone(),
                runtime,
                state: Mutex::default(),
                missed: AtomicU64::new(0),
            }),
        }
    }

    /// Resolves once what is stored from now on will be matched: each event whose type and whose
    /// transaction id fit, whatever subject it was published to, in the stream's order. Opens the
    /// consumer if it is not open.
    ///
    /// If it was open, an event stored just before may come too, unless `after` says which sequence
    /// was the last ([`Watch::last_sequence`]). A receiver without room misses the
    /// event ([`Watch::missed`]); one that was dropped loses its interest. With `once` the interest
    /// is gone before its only match is handed over. The match brings `tag` back: it may come before
    /// this has answered the key.
    ///
    /// # Errors
    /// There is no stream, no server, or no room for another interest ([`INTERESTS_MAX`]).
    pub async fn add(
        &self,
        interest: Interest,
        after: u64,
        once: bool,
        tag: u64,
        to: impl Into<Matches>,
    ) -> Result<Key, SendError> {
        let wanted = Wanted {
            interest,
            after,
            once,
            tag,
            to: to.into(),
        };
        let (key, mut opening) = self.enter(wanted)?;
        let mut unopened = Unopened {
            watch: self,
            key: Some(key),
        };
        let opened = opening.wait_for(|opening| !matches!(opening, Opening::Begun));
        match opened.await.as_deref() {
            Ok(Opening::Failed(error)) => Err(error.clone()),
            Ok(_) => {
                unopened.key = None;
                Ok(key)
            }
            Err(_) => Err(SendError::Other("the process is about to end".to_owned())),
        }
    }

    /// Removes an interest. False: it was not there, as one for `once` that has matched is not.
    pub fn remove(&self, key: Key) -> bool {
        let mut state = self.inner.state();
        let was_there = state.interests.remove(key);
        state.note_if_empty();
        was_there
    }

    /// As [`Watch::add`] with `once`, of an interest whose only match was not taken up; does not wait.
    ///
    /// # Errors
    /// There is no room for another interest.
    pub fn put_back(
        &self,
        interest: Interest,
        after: u64,
        tag: u64,
        to: impl Into<Matches>,
    ) -> Result<Key, SendError> {
        let wanted = Wanted {
            interest,
            after,
            once: true,
            tag,
            to: to.into(),
        };
        Ok(self.enter(wanted)?.0)
    }

    /// One interest of one's own, removed when dropped.
    ///
    /// # Errors
    /// Those of [`Watch::add`].
    pub async fn tap(&self, interest: Interest) -> Result<Tap, SendError> {
        let (to, matches) = mpsc::channel(TAP_CAPACITY);
        let key = self.add(interest, 0, false, 0, to).await?;
        Ok(Tap {
            watch: self.clone(),
            key,
            matches,
        })
    }

    /// The stream that is read.
    pub fn stream(&self) -> &str {
        &self.inner.stream
    }

    /// The sequence of what the stream stored last.
    ///
    /// # Errors
    /// There is no stream, or no server.
    pub async fn last_sequence(&self) -> Result<u64, SendError> {
        let inner = &self.inner;
        inner.outbound.last_sequence(&inner.stream).await
    }

    /// The first event that fits among those stored after a sequence, which it may have been long
    /// ago; waits for it if it is not there yet. Reads the stream by itself, from there on.
    ///
    /// # Errors
    /// There is no stream, or no server.
    pub async fn first_after(
        &self,
        sequence: u64,
        interest: &Interest,
    ) -> Result<CloudEvent, SendError> {
        let inner = self.inner.clone();
        let interest = interest.clone();
        let (answer, wanted) = oneshot::channel();
        // In a task: its consumer is closed, too, when nobody waits any more.
        self.inner.spawn(async move {
            let tail = inner.outbound.tail(&inner.stream, Some(sequence + 1));
            let mut tail = match tail.await {
                Ok(tail) => tail,
                Err(error) => return drop(answer.send(Err(error))),
            };
            inner.look_for(&interest, &mut tail, answer).await;
            tail.close().await;
        });
        let about_to_end = || SendError::Other("the process is about to end".to_owned());
        wanted.await.map_err(|_| about_to_end())?
    }

    /// Matches that were dropped because their receiver was full.
    pub fn missed(&self) -> u64 {
        self.inner.missed.load(Ordering::Relaxed)
    }

    fn enter(&self, wanted: Wanted) -> Result<(Key, watch::Receiver<Opening>), SendError> {
        let inner = &self.inner;
        let mut state = inner.state();
        if state.interests.len() >= INTERESTS_MAX {
            return Err(SendError::Other(format!(
                "{INTERESTS_MAX} listeners and exchanges wait for events already"
            )));
        }
        let key = state.interests.add(wanted);
        state.empty_since = None;
        if let Some(opening) = &state.reader {
            return Ok((key, opening.clone()));
        }
        let (sender, opening) = watch::channel(Opening::Begun);
        state.reader = Some(opening.clone());
        drop(state);
        inner.spawn(Reader::new(inner.clone(), sender).run());
        Ok((key, opening))
    }
}

impl Tap {
    /// The next event; `None` if the process ends before. Cancel safe.
    pub async fn next(&mut self) -> Option<Arc<Seen>> {
        Some(self.matches.recv().await?.seen)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.watch.remove(self.key);
    }
}

impl Drop for Unopened<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.watch.remove(key);
        }
    }
}

impl Inner {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.runtime {
            Some(runtime) => drop(self.tasks.spawn_on(runtime, task)),
            None => self.tasks.spawn(task),
        }
    }

    /// Answers with the first that fits, unless nobody waits for it any more.
    async fn look_for(
        &self,
        interest: &Interest,
        tail: &mut Tail,
        mut answer: oneshot::Sender<Result<CloudEvent, SendError>>,
    ) {
        loop {
            let (_, message) = tokio::select! {
                () = answer.closed() => return,
                next = tail.next() => next,
            };
            let Ok(event) = CloudEvent::decode(&message) else {
                continue;
            };
            if interest.fits(&event, &self.transaction_attribute) {
                let _nobody_waits = answer.send(Ok(event));
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics half-way through a change of it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note_if_empty(&mut self) {
        if self.interests.is_empty() {
            self.empty_since.get_or_insert_with(Instant::now);
        }
    }
}
