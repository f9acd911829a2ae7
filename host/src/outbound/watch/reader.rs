//! The task that reads along: opens the consumer, hands out what comes, and closes when nobody was
//! interested for a while. Must not know how interests are matched.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Inner, Opening, Room, Seen, State};
use crate::envelope::{CloudEvent, Message};
use crate::outbound::tail::Tail;

/// How long the consumer stays after the last interest is gone: exchanges come one after the other.
pub(super) const CLOSE_AFTER: Duration = Duration::from_secs(30);

/// At the end of the process: how often it is looked whether those still waiting have gone.
const LOOK_AT_THE_END: Duration = Duration::from_millis(50);

/// One life of the consumer.
pub(super) struct Reader {
    inner: Arc<Inner>,
    opening: watch::Sender<Opening>,
}

impl Reader {
    pub(super) fn new(inner: Arc<Inner>, opening: watch::Sender<Opening>) -> Reader {
        Reader { inner, opening }
    }

    pub(super) async fn run(self) {
        let tail = self.inner.outbound.tail(&self.inner.stream, None).await;
        let mut tail = match tail {
            Ok(tail) => tail,
            Err(error) => {
                // Who comes from now on tries anew; who waits hears of it.
                self.inner.state().reader = None;
                self.opening.send_replace(Opening::Failed(error));
                return;
            }
        };
        debug!(stream = self.inner.stream, "reading along");
        self.opening.send_replace(Opening::Open);
        self.read(&mut tail).await;
        debug!(stream = self.inner.stream, "nobody is interested any more");
        tail.close().await;
    }

    /// Reads until nobody was interested for a while. When the process is to end, it reads for as
    /// long as somebody still waits: calls under way are finished.
    async fn read(&self, tail: &mut Tail) {
        let mut look_at = Instant::now() + CLOSE_AFTER;
        let mut ending = false;
        let mut last = tail.position();
        loop {
            tokio::select! {
                (sequence, message) = tail.next() => {
                    if sequence <= last {
                        // The stream was made anew, or lost its end: numbers from before mean
                        // nothing now, and all that comes is new.
                        self.inner.state().interests.forget_sequences();
                    }
                    last = sequence;
                    self.inner.hand_out(sequence, message);
                }
                () = self.inner.tasks.begun(), if !ending => {
                    ending = true;
                    look_at = Instant::now();
                }
                () = tokio::time::sleep_until(look_at) => {
                    match self.inner.state().close_if_idle(ending) {
                        Some(next) => look_at = next,
                        None => return,
                    }
                }
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        let ours = self.opening.subscribe();
        if let Some(reader) = &state.reader
            && reader.same_channel(&ours)
        {
            // Cut short: nobody hears of anything any more.
            state.reader = None;
            state.interests.clear();
        }
    }
}

impl Inner {
    fn hand_out(&self, sequence: u64, message: Message) {
        if self.state().interests.is_empty() {
            return;
        }
        // Others publish to the stream what they like.
        let Ok(event) = CloudEvent::decode(&message) else {
            return;
        };
        let bytes = message.wire_size();
        let seen = Arc::new(Seen {
            sequence,
            event: Arc::new(event),
            headers: message.headers,
            room: Room::of(bytes),
        });
        let transaction_id = seen.event.transaction_id(&self.transaction_attribute);
        let mut state = self.state();
        let missed = state.interests.hand_out(&seen, transaction_id);
        state.note_if_empty();
        drop(state);
        if missed > 0 {
            let before = self.missed.fetch_add(missed, Ordering::Relaxed);
            let missed = before + missed;
            // Ever more seldom: whenever another power of two is passed.
            if before.checked_ilog2() != missed.checked_ilog2() {
                warn!(missed, "events came faster than listeners took them");
            }
        }
    }
}

impl State {
    /// Forgets the reader if it may close now; otherwise says when to look again.
    fn close_if_idle(&mut self, ending: bool) -> Option<Instant> {
        let now = Instant::now();
        let next = if ending {
            self.interests.forget_closed();
            match self.interests.is_empty() {
                true => now,
                false => now + LOOK_AT_THE_END,
            }
        } else {
            self.empty_since.unwrap_or(now) + CLOSE_AFTER
        };
        if next <= now {
            self.reader = None;
            return None;
        }
        Some(next)
    }
}
