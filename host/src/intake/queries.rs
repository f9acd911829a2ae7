//! One loop for each op: reads as long as its answers leave, then admits or sheds. The loops share
//! one thread with the connection: what is short runs there, at once; what waits, takes long or
//! comes in numbers goes to the guests' runtime, so that a slow handler delays few other queries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::poll;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::config::{Config, ErrorAnswers};
use crate::dispatch::{Dispatcher, QueryAnswer, Travel};
use crate::envelope::{CloudEvent, Message};
use crate::registry::Route;
use crate::shutdown::Shutdown;
use crate::source::{Asked, Queries, Reply};
use crate::subject::SubjectPattern;

/// Queries that are there at once and run one after the other. Fewer than so many run in the loop
/// that read them: a task for each costs 10–25% of the throughput, and waking another thread for a
/// few costs more than they do. So many mean that the loop is behind: another thread takes them.
const BATCH: usize = 32;

/// How long the queries of a batch may run one after the other, before the rest get tasks of
/// their own: what a query can lose to those before it.
const BATCH_TIME: Duration = Duration::from_millis(2);

/// What a query may take, on the average of a batch, for the next batch to run in the loop: it
/// delays those of all other ops.
const SHORT: Duration = Duration::from_micros(200);

/// After a batch that took longer, so many that did not must run elsewhere, one after the other,
/// before the loop runs its own again.
const SHORT_AGAIN: u32 = 4;

/// Queries that were read and wait for a thread, all ops together: what comes on top is answered
/// "busy" where it was read, so that an overload costs time and no memory.
const BACKLOG_MAX: usize = 8192;

/// Room for queries that wait for a thread.
pub(super) fn backlog() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(BACKLOG_MAX))
}

/// Whether a query may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Some,
    None,
}

/// A message on its way to an asker.
#[derive(Debug)]
struct Answer {
    reply: Reply,
    message: Message,
    /// Of the query, for the log.
    event_id: String,
}

/// What came of a batch.
#[derive(Debug)]
struct Answered {
    /// Of those that have one already.
    answers: Vec<Answer>,
    /// Whether its queries ran for [`SHORT`] or less.
    were_short: bool,
    /// Of the backlog, where it waited for a thread: held until the answers are sent.
    room: Option<OwnedSemaphorePermit>,
}

/// Serves one subject, an op or a pattern of the namespace.
#[derive(Debug)]
pub(super) struct QueryLoop {
    pub(super) config: Arc<Config>,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) shutdown: Shutdown,
    pub(super) leave: CancellationToken,
    backlog: Arc<Semaphore>,
    /// The runtime of the guests.
    guests: Handle,
    /// Who serves it, or did until a moment ago: what is on its way when a plugin leaves is still
    /// for it to answer.
    last: ArcSwapOption<Route>,
    /// Messages that are no query of the subject.
    passed_over: AtomicU64,
}

impl QueryLoop {
    pub(super) fn new(
        config: Arc<Config>,
        dispatcher: Arc<Dispatcher>,
        shutdown: Shutdown,
        backlog: Arc<Semaphore>,
        guests: Handle,
    ) -> QueryLoop {
        QueryLoop {
            backlog,
            guests,
            config,
            dispatcher,
            leave: shutdown.child(),
            shutdown,
            last: ArcSwapOption::empty(),
            passed_over: AtomicU64::new(0),
        }
    }

    /// Notes who serves it now.
    pub(super) fn served_by(&self, route: Arc<Route>) {
        self.last.store(Some(route));
    }

    /// Serves a subscription until it is to leave; what comes on the way out is served too.
    pub(super) async fn serve(self: Arc<Self>, mut queries: Queries) {
        let mut leaving = false;
        // Batches that must have been short before this thread runs the next.
        let mut owed: u32 = 0;
        let mut elsewhere = FuturesUnordered::new();
        loop {
            let asked = tokio::select! {
                biased;
                () = self.leave.cancelled(), if !leaving => {
                    leaving = true;
                    queries.leave().await;
                    continue;
                }
                Some(answered) = elsewhere.next() => {
                    owed = if send(answered).await { owed.saturating_sub(1) } else { SHORT_AGAIN };
                    continue;
                }
                asked = queries.next() => asked,
            };
            let Some(asked) = asked else { break };
            let mut batch = vec![asked];
            while batch.len() < BATCH
                && let Some(asked) = queries.next_ready()
            {
                batch.push(asked);
            }
            if batch.len() < BATCH && owed == 0 {
                let answered = self.clone().answer_all(batch, Room::Some).await;
                if !send(Ok(answered)).await {
                    owed = SHORT_AGAIN;
                }
                continue;
            }
            let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            match self.backlog.clone().try_acquire_many_owned(count) {
                Ok(room) => {
                    let all = self.clone().answer_all(batch, Room::Some);
                    elsewhere.push(self.shutdown.spawn_on(&self.guests, async move {
                        let room = Some(room);
                        Answered { room, ..all.await }
                    }));
                }
                Err(_) => {
                    let answered = self.clone().answer_all(batch, Room::None).await;
                    send(Ok(answered)).await;
                }
            }
        }
        while let Some(answered) = elsewhere.next().await {
            send(answered).await;
        }
    }

    /// Runs each as far as it goes without waiting; what waits goes on in a task of its own.
    async fn answer_all(self: Arc<Self>, batch: Vec<Asked>, room: Room) -> Answered {
        let began = Instant::now();
        let mut ran = 0;
        let mut answers = Vec::with_capacity(batch.len());
        for asked in batch {
            let mut answer = Box::pin(self.clone().answer(asked, room));
            if began.elapsed() < BATCH_TIME {
                ran += 1;
                if let Poll::Ready(ready) = poll!(&mut answer) {
                    answers.extend(ready);
                    continue;
                }
            }
            self.shutdown.spawn_on(&self.guests, async move {
                if let Some(answer) = answer.await {
                    answer.send().await;
                }
            });
        }
        Answered {
            answers,
            were_short: began.elapsed() <= SHORT * ran,
            room: None,
        }
    }

    /// Answers one message, or stays silent where it is not for us: others share those subjects.
    async fn answer(self: Arc<Self>, asked: Asked, room: Room) -> Option<Answer> {
        let Asked {
            subject,
            message,
            reply,
        } = asked;
        let Some(reply) = reply else {
            debug!(subject, "a query without a reply subject: passed over");
            return None;
        };
        let mut event = match CloudEvent::decode(&message) {
            Ok(event) => event,
            Err(error) => {
                self.pass_over(&subject, &error);
                return None;
            }
        };
        // Whoever may ask one op has not thereby been allowed to ask another.
        if event.ty != subject {
            let reason = format!("its type is `{}`, not its subject", event.ty);
            self.pass_over(&subject, &reason);
            return None;
        }
        event.trace_from_headers(&message.headers);
        let event = Arc::new(event);
        let last = self.last.load_full();
        let answer = match room {
            Room::Some => {
                let travel = Travel::of(&message);
                let came = Instant::now();
                let query = self.dispatcher.query(&event, came, travel, last.as_ref());
                query.await
            }
            Room::None => self.dispatcher.shed_query(&event, last.as_ref()),
        };
        let silent = self.config.compat.errors == ErrorAnswers::Silent;
        if let QueryAnswer::Fault { by_default, .. } = &answer
            && (silent || *by_default)
        {
            debug!(subject, event_id = event.id, "a fault, not answered");
            return None;
        }
        let max_payload = self.dispatcher.max_payload();
        Some(Answer {
            reply,
            message: answer.into_message(max_payload)?,
            event_id: event.id.clone(),
        })
    }
}

impl QueryLoop {
    /// Counts a message that is no query of the subject. Others decide how many there are: the log
    /// has the first, and then ever fewer of them.
    fn pass_over(&self, subject: &str, reason: &dyn std::fmt::Display) {
        self.dispatcher.metrics().query_undecodable();
        let count = self.passed_over.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            warn!(subject, %reason, count, "a message that is no CloudEvent of its subject: not answered");
        } else {
            debug!(subject, %reason, count, "a message that is no CloudEvent of its subject");
        }
    }
}

impl Answer {
    async fn send(self) {
        let Answer {
            reply,
            message,
            event_id,
        } = self;
        if let Err(error) = reply.send(message).await {
            warn!(event_id, error, "the answer did not reach its asker");
        }
    }
}

/// Sends what a batch brought, from the thread of the connection: it then writes all of it at once.
/// From another, it would have written the first few before the next are there. Whether the queries
/// were short; of a batch that panicked, nobody knows.
async fn send(answered: Result<Answered, JoinError>) -> bool {
    // Its panic is in the log.
    let Ok(Answered {
        answers,
        were_short,
        room,
    }) = answered
    else {
        return false;
    };
    for answer in answers {
        answer.send().await;
    }
    drop(room);
    were_short
}

/// Who serves a subject: the op's, or for a pattern the default.
pub(super) fn route_of(dispatcher: &Dispatcher, subject: &str) -> Option<Arc<Route>> {
    let registry = dispatcher.registry();
    let is_op = subject
        .parse::<SubjectPattern>()
        .is_ok_and(|pattern| pattern.is_literal());
    if is_op {
        registry.query(subject).cloned()
    } else {
        registry.any_query().cloned()
    }
}
