//! Subscriptions, queue groups, request and reply: NATS core as far as Conche uses it.
//!
//! Must not know streams; `Bus::request` asks them only whether a subject is theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Bus, BusError, Counts, Inner, lock};
use crate::envelope::Message;
use crate::subject::SubjectPattern;

/// A subscription's reading end. Dropping it leaves the group at once, and what lies unread in its
/// buffer is lost, counted; [`Subscription::stop`] and reading to the end loses nothing.
#[derive(Debug)]
pub struct Subscription {
    inner: Arc<Inner>,
    pattern: SubjectPattern,
    id: u64,
    inbox: mpsc::Receiver<Asked>,
}

/// A message as a subscriber gets it.
#[derive(Debug)]
pub struct Asked {
    /// Where it was sent.
    pub subject: String,
    /// Headers and body.
    pub message: Message,
    /// Where the answer goes; `None` when nobody waits for one.
    pub reply: Option<Reply>,
}

/// The way back to one asker. Dropping it is silence: the asker waits until its time-out.
#[derive(Debug)]
pub struct Reply {
    inner: Arc<Inner>,
    asker: Arc<Asker>,
}

/// Takes one answer: the first.
type Asker = Mutex<Option<oneshot::Sender<Message>>>;

impl Bus {
    /// Subscribes to a pattern. Of all subscriptions in one `group` whose patterns match a message
    /// one gets it, chosen at random; with the group `""` each gets it.
    ///
    /// # Errors
    /// `Name`, if the group's name has white space.
    pub fn subscribe(
        &self,
        subject: &SubjectPattern,
        group: &str,
    ) -> Result<Subscription, BusError> {
        if group.contains(char::is_whitespace) {
            return Err(BusError::Name {
                name: group.to_owned(),
            });
        }
        let (sender, inbox) = mpsc::channel(self.inner.config.subscription_capacity.max(1));
        let id = lock(&self.inner.queries).add(subject, group, sender);
        Ok(Subscription {
            inner: Arc::clone(&self.inner),
            pattern: subject.clone(),
            id,
            inbox,
        })
    }

    /// Asks, and waits for the first answer. Cancel safe: dropping it stops the waiting.
    ///
    /// # Errors
    /// `NoResponders` at once if nobody subscribes, `Overflow` at once if nobody had room,
    /// `TimedOut`, `TooLarge`, `TakenByStream`, `Subject`.
    pub async fn request(
        &self,
        subject: &str,
        message: Message,
        timeout: Duration,
    ) -> Result<Message, BusError> {
        self.check(subject, &message)?;
        if let Some(stream) = self.stream_of(subject) {
            return Err(BusError::TakenByStream {
                subject: subject.to_owned(),
                stream,
            });
        }
        let (sender, answer) = oneshot::channel();
        // Kept here as well: when every receiver stays silent the asker still waits its time.
        let asker = Arc::new(Mutex::new(Some(sender)));
        match self.hand_out(subject, &message, Some(&asker)) {
            HandedOut {
                taken: 0,
                refused: 0,
            } => {
                return Err(BusError::NoResponders {
                    subject: subject.to_owned(),
                });
            }
            HandedOut { taken: 0, .. } => {
                return Err(BusError::Overflow {
                    subject: subject.to_owned(),
                });
            }
            HandedOut { .. } => {}
        }
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(message)) => Ok(message),
            // Held here as well, so only [`Reply::decline`] drops it.
            Ok(Err(_)) => Err(BusError::NoResponders {
                subject: subject.to_owned(),
            }),
            Err(_) => Err(BusError::TimedOut {
                subject: subject.to_owned(),
                waited: timeout,
            }),
        }
    }

    /// Gives a message to each plain subscription and to one member of each group, and counts
    /// those for whom there was no room.
    pub(super) fn hand_out(
        &self,
        subject: &str,
        message: &Message,
        asker: Option<&Arc<Asker>>,
    ) -> HandedOut {
        let ask = || Asked {
            subject: subject.to_owned(),
            message: message.clone(),
            reply: asker.map(|asker| Reply {
                inner: Arc::clone(&self.inner),
                asker: Arc::clone(asker),
            }),
        };
        let handed = lock(&self.inner.queries).hand_out(subject, ask);
        if handed.refused > 0 {
            let lost = Counts {
                overflowed: handed.refused,
                ..Counts::default()
            };
            self.inner.count(subject, lost);
        }
        handed
    }
}

impl Subscription {
    /// The next message; `None` once it is stopped and its buffer is empty. Cancel safe.
    pub async fn next(&mut self) -> Option<Asked> {
        self.inbox.recv().await
    }

    /// A message that is there already.
    pub fn next_ready(&mut self) -> Option<Asked> {
        self.inbox.try_recv().ok()
    }

    /// Leaves the group: nothing new comes, what was buffered still does, then `None`.
    pub fn stop(&mut self) {
        lock(&self.inner.queries).remove(&self.pattern, self.id);
    }

    /// How many messages wait to be read.
    pub fn buffered(&self) -> usize {
        self.inbox.len()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.stop();
        let unread = self.inbox.len() as u64;
        if unread > 0 {
            self.inner.count(
                self.pattern.as_str(),
                Counts {
                    unread,
                    ..Counts::default()
                },
            );
        }
    }
}

impl Reply {
    /// Answers. That the asker left, or has an answer, is no error: nobody can know with NATS.
    ///
    /// # Errors
    /// `TooLarge`: the asker got nothing, but this way back is used up; see [`Reply::try_send`].
    pub fn send(self, message: Message) -> Result<(), BusError> {
        self.try_send(message).map_err(|(_, error)| error)
    }

    /// Like [`Reply::send`], but gives the way back again when the message was too large, so that
    /// the asker can be told that instead.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn try_send(self, message: Message) -> Result<(), (Reply, BusError)> {
        if let Err(error) = self.inner.check_size(&message) {
            return Err((self, error));
        }
        if let Some(sender) = lock(&self.asker).take() {
            let _asker_left = sender.send(message);
        }
        Ok(())
    }

    /// Tells the asker that nobody answers here, as a server does on behalf of nobody.
    pub fn decline(self) {
        drop(lock(&self.asker).take());
    }

    /// Whether the asker has an answer or has stopped waiting.
    pub fn is_over(&self) -> bool {
        lock(&self.asker)
            .as_ref()
            .is_none_or(oneshot::Sender::is_closed)
    }
}

/// How many receivers (a group is one) a message found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HandedOut {
    pub(super) taken: u64,
    pub(super) refused: u64,
}

/// Who subscribes to what.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    last_id: u64,
    /// By subject: one look-up, however many ops are served.
    literal: HashMap<String, Vec<Subscriber>>,
    wildcard: Vec<(SubjectPattern, Subscriber)>,
}

#[derive(Debug)]
struct Subscriber {
    id: u64,
    group: String,
    outbox: mpsc::Sender<Asked>,
}

impl Subscribers {
    fn add(&mut self, pattern: &SubjectPattern, group: &str, outbox: mpsc::Sender<Asked>) -> u64 {
        self.last_id += 1;
        let subscriber = Subscriber {
            id: self.last_id,
            group: group.to_owned(),
            outbox,
        };
        if pattern.is_literal() {
            self.literal
                .entry(pattern.as_str().to_owned())
                .or_default()
                .push(subscriber);
        } else {
            self.wildcard.push((pattern.clone(), subscriber));
        }
        self.last_id
    }

    /// Drops the sending end, so that the reader comes to an end after what is buffered.
    fn remove(&mut self, pattern: &SubjectPattern, id: u64) {
        if let Some(here) = self.literal.get_mut(pattern.as_str()) {
            here.retain(|subscriber| subscriber.id != id);
            if here.is_empty() {
                self.literal.remove(pattern.as_str());
            }
        }
        self.wildcard.retain(|(_, subscriber)| subscriber.id != id);
    }

    fn hand_out(&self, subject: &str, ask: impl Fn() -> Asked) -> HandedOut {
        let literal = self.literal.get(subject).into_iter().flatten();
        let wildcard = self
            .wildcard
            .iter()
            .filter(|(p, _)| p.matches(subject))
            .map(|(_, s)| s);
        let mut matching: Vec<&Subscriber> = literal.chain(wildcard).collect();
        matching.sort_by(|a, b| a.group.cmp(&b.group));

        let mut handed = HandedOut {
            taken: 0,
            refused: 0,
        };
        let together = |a: &&Subscriber, b: &&Subscriber| !a.group.is_empty() && a.group == b.group;
        for receiver in matching.chunk_by(together) {
            if offer(receiver, ask()) {
                handed.taken += 1;
            } else {
                handed.refused += 1;
            }
        }
        handed
    }
}

/// Offers to the members of a group from a random one on, until one has room.
fn offer(group: &[&Subscriber], mut asked: Asked) -> bool {
    let first = fastrand::usize(..group.len());
    for subscriber in group[first..].iter().chain(&group[..first]) {
        match subscriber.outbox.try_send(asked) {
            Ok(()) => return true,
            Err(refused) => asked = refused.into_inner(),
        }
    }
    false
}
