//! One loop for each op: reads as long as its answers leave, then admits or sheds. The loops share
//! one thread with the connection: what is expected to be short runs there, at once; what waits or
//! takes long goes to the guests' runtime, so that a slow handler delays few other queries.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::future::{FutureExt as _, OptionFuture};
use futures_util::poll;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::answers::{Answer, Answered, bring, deliver, send};
use super::backlog::{Backlog, Need, Room};
use super::pace::Pace;
use crate::config::{Config, ErrorAnswers};
use crate::dispatch::{Dispatcher, QueryAnswer, Travel};
use crate::envelope::CloudEvent;
use crate::metrics::QueryEnd;
use crate::registry::Route;
use crate::shutdown::Shutdown;
use crate::source::{Asked, Queries, Reply};
use crate::subject::SubjectPattern;
use crate::text;

/// Queries that are read at once, at most: as many as tokio lets a task read before others have
/// their turn. With 80, the server's work for smaller writes cost a tenth of the throughput of 256
/// outstanding queries.
const READ_MAX: usize = 128;

/// Queries that run one after the other on a thread of the guests. A task for each would cost
/// 10–25% of the throughput.
const BATCH: usize = 32;

/// How long the queries of a batch may run one after the other, before the rest get tasks of
/// their own: what a query can lose to those before it.
const BATCH_TIME: Duration = Duration::from_millis(2);

/// A message that asks for what its subject says.
#[derive(Debug)]
struct Query {
    event: Arc<CloudEvent>,
    travel: Travel,
    reply: Reply,
}

/// Serves one subject, an op or a pattern of the namespace.
#[derive(Debug)]
pub(super) struct QueryLoop {
    pub(super) config: Arc<Config>,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) shutdown: Shutdown,
    pub(super) leave: CancellationToken,
    backlog: Backlog,
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
        backlog: Backlog,
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
        let mut pace = Pace::default();
        let mut elsewhere = FuturesUnordered::new();
        loop {
            let asked = tokio::select! {
                biased;
                () = self.leave.cancelled(), if !leaving => {
                    leaving = true;
                    queries.leave().await;
                    continue;
                }
                Some(handed_over) = elsewhere.next() => {
                    bring(handed_over, &mut pace).await;
                    continue;
                }
                asked = queries.next() => asked,
            };
            let Some(asked) = asked else { break };
            let came = Instant::now();
            let mut read = vec![asked];
            while read.len() < READ_MAX
                && let Some(asked) = queries.next_ready()
            {
                read.push(asked);
            }
            let part = pace.part(read.len(), READ_MAX);
            while !read.is_empty() {
                let is_short = pace.is_short(part.min(read.len()));
                let size = if is_short { part } else { BATCH };
                let rest = read.split_off(size.min(read.len()));
                let batch = std::mem::replace(&mut read, rest);
                if is_short {
                    let answered = self.clone().answer_all(batch, came, None).await;
                    deliver(answered, &mut pace).await;
                    // The connection writes, and reads what came in the meantime.
                    tokio::task::yield_now().await;
                } else {
                    match self.hand_over(batch, came) {
                        Ok(batch) => elsewhere.push(batch),
                        Err(batch) => {
                            let answers = batch.into_iter().filter_map(|asked| self.shed(asked));
                            send(answers.collect()).await;
                        }
                    }
                }
            }
        }
        while let Some(handed_over) = elsewhere.next().await {
            bring(handed_over, &mut pace).await;
        }
    }

    /// Runs a batch on the guests' threads, or gives it back where the backlog is full.
    fn hand_over(
        self: &Arc<Self>,
        batch: Vec<Asked>,
        came: Instant,
    ) -> Result<JoinHandle<Answered>, Vec<Asked>> {
        let Some(room) = self.backlog.enter(batch.iter().map(need).sum()) else {
            return Err(batch);
        };
        let all = self.clone().answer_all(batch, came, Some(room));
        Ok(self.shutdown.spawn_on(&self.guests, all))
    }

    /// Runs each as far as it goes without waiting; what waits goes on in a task of its own.
    async fn answer_all(
        self: Arc<Self>,
        batch: Vec<Asked>,
        came: Instant,
        mut room: Option<Room>,
    ) -> Answered {
        let began = Instant::now();
        let mut took = Duration::ZERO;
        let mut ran = 0;
        let mut answers = Vec::with_capacity(batch.len());
        // One after the other runs in the same place, unless one stays there and waits.
        let mut place = Box::pin(OptionFuture::from(None));
        for asked in batch {
            let has_turn = took < BATCH_TIME;
            let mut own = None;
            if !has_turn {
                let need = need(&asked);
                own = match &mut room {
                    Some(room) => room.split(need),
                    None => self.backlog.enter(need),
                };
                if own.is_none() {
                    answers.extend(self.shed(asked));
                    continue;
                }
            }
            // A panic of the host's ends one query, and not the loop.
            let answer = AssertUnwindSafe(self.clone().answer(asked, came)).catch_unwind();
            place.set(Some(answer).into());
            if has_turn {
                let polled = poll!(place.as_mut());
                ran += 1;
                took = began.elapsed();
                if let Poll::Ready(ended) = polled {
                    answers.extend(self.ended(ended));
                    continue;
                }
            }
            let waits = std::mem::replace(&mut place, Box::pin(None.into()));
            let this = self.clone();
            self.shutdown.spawn_on(&self.guests, async move {
                let mut waits = waits;
                let first = poll!(waits.as_mut());
                // It has its turn: what it waits for from here on has limits of its own.
                drop(own);
                let ended = match first {
                    Poll::Ready(ended) => ended,
                    Poll::Pending => waits.await,
                };
                if let Some(answer) = this.ended(ended) {
                    answer.send().await;
                }
            });
        }
        Answered {
            answers,
            each: took / ran.max(1),
            room,
        }
    }

    /// The answer of a query that has run, if it has one.
    fn ended(&self, ended: Option<thread::Result<Option<Answer>>>) -> Option<Answer> {
        match ended? {
            Ok(answer) => answer,
            Err(_) => {
                // Which query it was went with the future; why, the panic itself wrote to stderr.
                let last = self.last.load();
                if let Some(route) = &*last {
                    route.counters.count(QueryEnd::Failed);
                }
                let plugin = last.as_ref().map(|route| route.plugin.name().as_str());
                error!(plugin, "the host panicked: a query is not answered");
                None
            }
        }
    }

    /// Answers "busy".
    fn shed(&self, asked: Asked) -> Option<Answer> {
        let query = self.read(asked)?;
        let last = self.last.load();
        let answer = self.dispatcher.shed_query(&query.event, last.as_ref());
        self.finish(query.event, query.reply, answer)
    }

    /// The query in a message; none where it is not for us: others share those subjects.
    fn read(&self, asked: Asked) -> Option<Query> {
        let Asked {
            subject,
            message,
            reply,
        } = asked;
        let subject = &*subject;
        let Some(reply) = reply else {
            debug!(subject, "a query without a reply subject: passed over");
            return None;
        };
        if !reply.is_an_askers(&self.config.events) {
            self.pass_over(
                subject,
                &"its reply subject is a stream's, the server's or the host's",
            );
            return None;
        }
        let mut event = match CloudEvent::decode(&message) {
            Ok(event) => event,
            Err(error) => {
                self.pass_over(subject, &error);
                return None;
            }
        };
        // Whoever may ask one op has not thereby been allowed to ask another.
        if event.ty != subject {
            let reason = format!("its type is `{}`, not its subject", text::name(&event.ty));
            self.pass_over(subject, &reason);
            return None;
        }
        event.trace_from_headers(&message.headers);
        Some(Query {
            travel: Travel::of(&message),
            event: Arc::new(event),
            reply,
        })
    }

    async fn answer(self: Arc<Self>, asked: Asked, came: Instant) -> Option<Answer> {
        let Query {
            event,
            travel,
            reply,
        } = self.read(asked)?;
        let last = || self.last.load_full();
        // Pinned here: to move it would cost more than it does.
        let answer = pin!(self.dispatcher.query(&event, came, travel, last)).await;
        self.finish(event, reply, answer)
    }

    fn finish(&self, event: Arc<CloudEvent>, reply: Reply, answer: QueryAnswer) -> Option<Answer> {
        let silent = self.config.compat.errors == ErrorAnswers::Silent;
        if let QueryAnswer::Fault { by_default, .. } = &answer
            && (silent || *by_default)
        {
            let subject = &event.ty;
            debug!(
                subject,
                event_id = &*text::name(&event.id),
                "a fault, not answered"
            );
            return None;
        }
        let message = answer.into_message(self.dispatcher.max_payload())?;
        Some(Answer {
            event,
            reply,
            message,
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
            warn!(subject, %reason, count, "a message that is no query of its subject: not answered");
        } else {
            debug!(subject, %reason, count, "a message that is no query of its subject");
        }
    }
}

/// What a query needs while it waits for a thread.
fn need(asked: &Asked) -> Need {
    Need::of(asked.message.wire_size())
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
