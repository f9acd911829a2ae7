//! Who else is there for a plugin's events: the hosts that share its durable ask each other, on
//! `conche.peers.<stream>.<durable>`, which types their versions handle now. Nothing is sent while
//! the versions are the same. Must not know how a consumer is opened.
//!
//! - An answer counts for what came before it was asked for, and only if our own is among the
//!   answers: else nobody may have been asked, and nothing is known.
//! - Nobody is taken to have gone for good before a while of asking in vain: a host that starts
//!   again, or whose connection does, cannot answer meanwhile.
//! - "Listens to all and to more" is a strict order, whoever was loaded first: of any versions at
//!   least one yields to none, and each type that is handled at all is handled by such a one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::NatsError;
use super::durable::Durable;
use super::facts::hears;
use crate::envelope::new_id;

/// How long others have for their answers.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// How long an answer does that says who handles a type: each question takes a second.
const LATELY: Duration = Duration::from_secs(5);

/// Answers that are read.
const ANSWERS_MAX: usize = 256;

/// How long nobody must have handled a type before its events are dead letters.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// Types that were asked for in vain and are remembered.
const UNHEARD_MAX: usize = 1024;

/// Before another try to listen to what others ask.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// Whose an event is that has no handler here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The plugin never listened to it: it came on a subject that many share.
    Nobodys,
    /// A replica has a handler, or one may come back that does.
    Others,
    /// The plugin listened to it once, and nobody is there that does.
    Ours,
}

/// What a replica says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Peer {
    id: String,
    /// Whether it has opened its consumer.
    pulls: bool,
    types: Vec<String>,
}

/// What is known of the others, and what they may know of us.
#[derive(Debug)]
pub(super) struct Others {
    state: Mutex<State>,
    /// One question at a time: the others then have its answers.
    asks: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    own: Peer,
    /// When the answers were asked for, and on which connection.
    asked: Option<Instant>,
    generation: u64,
    answers: Vec<Peer>,
    unheard: BTreeMap<String, Unheard>,
}

/// A type that nobody handles.
#[derive(Debug, Clone, Copy)]
struct Unheard {
    since: Instant,
    /// Asked for last.
    last: Instant,
}

impl Peer {
    /// Whether it gets the other's events: it listens to all that the other does, and to more.
    fn goes_before(&self, other: &Peer) -> bool {
        let covers = |a: &Peer, b: &Peer| b.types.iter().all(|ty| hears(&a.types, ty));
        self.pulls && covers(self, other) && !covers(other, self)
    }
}

impl Default for Others {
    fn default() -> Others {
        let own = Peer {
            id: new_id(),
            ..Peer::default()
        };
        Others {
            state: Mutex::new(State {
                own,
                ..State::default()
            }),
            asks: Semaphore::new(1),
        }
    }
}

impl Others {
    /// The version here handles these.
    pub(super) fn listens(&self, types: &[String]) {
        types.clone_into(&mut self.state().own.types);
    }

    pub(super) fn pulls(&self, pulls: bool) {
        self.state().own.pulls = pulls;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a replica said a moment ago that it handles a type.
    fn heard_lately(&self, ty: &str) -> bool {
        let lately = self.asked.is_some_and(|asked| asked.elapsed() < LATELY);
        lately && self.answers.iter().any(|peer| hears(&peer.types, ty))
    }

    /// Whose an event of this type is, by the answers that are there.
    fn whose(&mut self, ty: &str, now: Instant) -> Whose {
        if self.answers.iter().any(|peer| hears(&peer.types, ty)) {
            self.unheard.remove(ty);
            return Whose::Others;
        }
        if self.unheard.len() >= UNHEARD_MAX && !self.unheard.contains_key(ty) {
            self.unheard.clear();
        }
        let new = Unheard {
            since: now,
            last: now,
        };
        let unheard = self.unheard.entry(ty.to_owned()).or_insert(new);
        // Not asked for in a while: somebody may have been there in between.
        if now.duration_since(unheard.last) > GONE_AFTER {
            *unheard = new;
        }
        unheard.last = now;
        if now.duration_since(unheard.since) >= GONE_AFTER {
            Whose::Ours
        } else {
            Whose::Others
        }
    }
}

impl Durable {
    /// Tells whoever asks what the version here handles. For ever.
    pub(super) async fn answer(&self) {
        loop {
            let client = self.client();
            match client.subscribe(self.subject()).await {
                Ok(mut questions) => {
                    while let Some(question) = questions.next().await {
                        let Some(reply) = question.reply else {
                            continue;
                        };
                        let own = serde_json::to_vec(&self.others.state().own);
                        let told = client.publish(reply, own.unwrap_or_default().into());
                        if let Err(error) = told.await {
                            debug!(consumer = self.name, %error, "another host was not answered");
                        }
                    }
                }
                Err(error) => {
                    debug!(consumer = self.name, %error, "cannot hear what other hosts ask");
                }
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    /// Whether somebody listens to all that the version here does and to more, by answers that were
    /// asked for later than `came`.
    pub(super) async fn others_listen_to_more(&self, came: Instant) -> Result<bool, NatsError> {
        self.hear_others(came).await?;
        let state = self.others.state();
        let mut others = state.answers.iter();
        Ok(others.any(|peer| peer.goes_before(&state.own)))
    }

    /// Whose an event is that came at `came` and has no handler here.
    pub(super) async fn whose_after(&self, came: Instant, ty: &str) -> Result<Whose, NatsError> {
        // To leave it does no harm, whatever has become of who handled the type a moment ago.
        if self.others.state().heard_lately(ty) {
            return Ok(Whose::Others);
        }
        self.hear_others(came).await?;
        Ok(self.others.state().whose(ty, Instant::now()))
    }

    async fn hear_others(&self, came: Instant) -> Result<(), NatsError> {
        let _one = self.others.asks.acquire().await;
        if self.others.state().asked.is_some_and(|asked| asked >= came) {
            return Ok(());
        }
        let link = &self.nats.inner.events;
        // What is asked on a connection that is not ready would be answered by nobody.
        if timeout_at(Instant::now() + ANSWERS_WITHIN, link.ready())
            .await
            .is_err()
        {
            return Err(NatsError::Other("the connection is down".to_owned()));
        }
        let (asked, generation) = (Instant::now(), link.generation());
        let answers = self.ask_others().await?;
        let mut state = self.others.state();
        let own = state.own.id.clone();
        let (ours, others): (Vec<_>, _) = answers.into_iter().partition(|peer| peer.id == own);
        if ours.is_empty() {
            return Err(NatsError::Other(format!(
                "questions to other hosts do not arrive: may this user publish and subscribe `{}`?",
                self.subject()
            )));
        }
        state.answers = others;
        state.asked = Some(asked);
        if state.generation != generation {
            // The others come back too, in a while.
            state.unheard.clear();
            state.generation = generation;
        }
        Ok(())
    }

    async fn ask_others(&self) -> Result<Vec<Peer>, NatsError> {
        let client = self.client();
        let failed = |error: &dyn std::fmt::Display| NatsError::Other(error.to_string());
        let inbox = client.new_inbox();
        let subscribed = client.subscribe(inbox.clone()).await;
        let mut answers = subscribed.map_err(|error| failed(&error))?;
        let until = Instant::now() + ANSWERS_WITHIN;
        let asked = client.publish_with_reply(self.subject(), inbox, "".into());
        asked.await.map_err(|error| failed(&error))?;
        let mut peers = Vec::new();
        while peers.len() < ANSWERS_MAX
            && let Ok(Some(answer)) = timeout_at(until, answers.next()).await
            // Nobody at all.
            && answer.status.is_none()
        {
            peers.extend(serde_json::from_slice::<Peer>(&answer.payload));
        }
        Ok(peers)
    }

    fn subject(&self) -> String {
        format!("conche.peers.{}.{}", self.stream, self.name)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, Instant};

    use super::{GONE_AFTER, LATELY, Peer, State, Whose};

    fn peer(types: &[&str]) -> Peer {
        Peer {
            id: String::new(),
            pulls: true,
            types: types.iter().map(|ty| (*ty).to_owned()).collect(),
        }
    }

    #[test]
    fn who_listens_to_more_goes_before() {
        let check = |a: &[&str], b: &[&str], expected| {
            assert_eq!(peer(a).goes_before(&peer(b)), expected, "{a:?} {b:?}");
        };
        check(&["x", "y"], &["x"], true);
        check(&["x"], &["x", "y"], false);
        check(&["x"], &["x"], false);
        check(&["x", "z"], &["x", "y"], false);
        check(&["*"], &["x", "y"], true);
        check(&["*", "x"], &["*"], false);
        let opening = Peer {
            pulls: false,
            ..peer(&["x", "y"])
        };
        assert!(!opening.goes_before(&peer(&["x"])));
    }

    #[test]
    fn an_answer_of_a_moment_ago_says_who_handles_a_type() {
        let mut state = State {
            answers: vec![peer(&["y"])],
            ..State::default()
        };
        assert!(!state.heard_lately("y"));
        state.asked = Some(Instant::now());
        assert!(state.heard_lately("y") && !state.heard_lately("x"));
        state.asked = Instant::now().checked_sub(LATELY);
        assert!(!state.heard_lately("y"));
    }

    #[test]
    fn a_type_is_ours_once_nobody_has_been_there_for_a_while() {
        let mut state = State::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(state.whose("y", at(0)), Whose::Others);
        assert_eq!(state.whose("y", at(6)), Whose::Others);
        assert_eq!(state.whose("y", begin + GONE_AFTER), Whose::Ours);
        // Nobody asked meanwhile.
        assert_eq!(state.whose("y", at(60)), Whose::Others);
        assert_eq!(state.whose("y", at(66)), Whose::Others);
        state.answers = vec![peer(&["y"])];
        assert_eq!(state.whose("y", at(72)), Whose::Others);
        state.answers.clear();
        assert_eq!(state.whose("y", at(73)), Whose::Others, "it was there");
        assert_eq!(state.whose("y", at(83)), Whose::Ours);
    }
}
