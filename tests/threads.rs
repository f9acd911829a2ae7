//! Which threads run queries: the one that reads them, or those of the guests.

use std::pin::pin;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use conche::envelope::{CloudEvent, Fault};
use conche::host::Runtimes;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::json;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::support::{DEADLINE, Setup, TestHost, event};

const GREET: &str = "cyverse.greeter.Greet";
const EXCHANGE: &str = "cyverse.probe.Exchange";
const ASKED: &str = "org.cyverse.events.Asked";
const ANSWERED: &str = "org.cyverse.events.Answered";
const REPLY: &str = "cyverse.hostile.BigReply";
const SHORT: &str = r#"{"bytes":1}"#;
/// Takes its handler some milliseconds: more than is run where queries are read, and less than from
/// one tick of the CPU clock to the next.
const LONG: &str = r#"{"bytes":400000}"#;

/// More than are read at once.
const MANY: usize = 300;

/// Tasks that run one after the other: what was there before them has had its turn.
const TURNS: usize = 100;

/// A host with one thread for each purpose, as `conche run` has them, and one for the test.
struct Threads {
    asker: Runtime,
    guests: Runtime,
    queries: OneThread,
    io: OneThread,
}

/// A runtime that is driven by a thread of its own, until it is dropped.
struct OneThread {
    handle: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl OneThread {
    fn start() -> OneThread {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let _: Result<(), _> = ended.await;
            });
        });
        OneThread {
            handle,
            end: Some(end),
            thread: Some(thread),
        }
    }
}

impl Drop for OneThread {
    fn drop(&mut self) {
        drop(self.end.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Threads {
    fn new() -> Threads {
        let one = || {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(1).enable_all().build().unwrap()
        };
        Threads {
            asker: one(),
            guests: one(),
            queries: OneThread::start(),
            io: OneThread::start(),
        }
    }

    fn host(&self, guests: &[&str]) -> TestHost {
        let runtimes = Runtimes {
            queries: self.queries.handle.clone(),
            io: self.io.handle.clone(),
        };
        self.guests.block_on(TestHost::with(Setup {
            guests,
            runtimes: Some(runtimes),
            ..Setup::default()
        }))
    }

    /// Keeps the guests' thread busy until the sender is dropped.
    fn occupy_guests(&self) -> mpsc::Sender<()> {
        occupy(self.guests.handle())
    }

    /// Comes back when what had come to the thread that reads queries has been looked at.
    async fn turns(&self) {
        for _ in 0..TURNS {
            self.queries.handle.spawn(async {}).await.unwrap();
        }
    }
}

/// Keeps the only thread of a runtime busy, with what never yields, until the sender is dropped.
fn occupy(runtime: &Handle) -> mpsc::Sender<()> {
    let (occupied, is_occupied) = mpsc::channel();
    let (release, released) = mpsc::channel();
    runtime.spawn(async move {
        occupied.send(()).unwrap();
        let _: Result<(), _> = released.recv();
    });
    is_occupied.recv().unwrap();
    release
}

/// The first query of a host runs where it is read, unless the tick of a CPU clock falls into it:
/// then another host is tried.
#[test]
fn short_queries_are_answered_while_the_guests_threads_are_busy() {
    let threads = Threads::new();
    let began = Instant::now();
    loop {
        let host = threads.host(&["greeter"]);
        let busy = threads.occupy_guests();
        let (greeted, late) = threads.asker.block_on(async {
            let mut greeted = pin!(host.ask_json(GREET, r#"{"name":"Ada"}"#));
            tokio::select! {
                biased;
                answer = &mut greeted => (answer, false),
                () = threads.turns() => {
                    drop(busy);
                    (greeted.await, true)
                }
            }
        });
        assert_eq!(greeted.unwrap(), r#"{"greeting":"Hello, Ada!"}"#);
        if !late {
            return;
        }
        assert!(began.elapsed() < DEADLINE, "never without the guests");
    }
}

#[test]
fn long_queries_do_not_keep_the_thread_that_reads_again() {
    let threads = Threads::new();
    let host = threads.host(&["hostile"]);
    // A short one in between makes it no short handler. More than one that is long: a tick of the
    // CPU clock can end the first poll of one, which then looks short.
    for json in [LONG, LONG, LONG, SHORT] {
        threads.asker.block_on(host.ask(REPLY, json)).unwrap();
    }
    let busy = threads.occupy_guests();
    threads.asker.block_on(async {
        // Of many, a tick would not end the first poll of all.
        let asked = (0..8).map(|_| host.ask(REPLY, LONG));
        let mut asked: FuturesUnordered<_> = asked.collect();
        tokio::select! {
            biased;
            _ = asked.next() => panic!("a long query ran where queries are read"),
            () = threads.turns() => {}
        }
        drop(busy);
        while let Some(answer) = asked.next().await {
            answer.unwrap();
        }
    });
}

#[test]
fn a_query_that_waits_for_a_thread_is_answered_by_a_host_that_ends() {
    let threads = Threads::new();
    let TestHost {
        host,
        wire,
        dir: _dir,
        ..
    } = threads.host(&["hostile"]);
    let ask = || {
        let message = event(REPLY, LONG).to_structured().unwrap();
        wire.request(REPLY, message, DEADLINE)
    };
    // As above.
    for _ in 0..3 {
        threads.asker.block_on(ask()).unwrap();
    }
    let busy = threads.occupy_guests();
    threads.asker.block_on(async {
        let mut asked = pin!(ask());
        let mut stopped = pin!(host.stop());
        tokio::select! {
            biased;
            _ = &mut asked => panic!("a long query ran where queries are read"),
            _ = &mut stopped => panic!("the host did not wait for the query"),
            () = threads.turns() => {}
        }
        drop(busy);
        let (answer, drained) = tokio::join!(asked, stopped);
        assert_eq!(Fault::from_message(&answer.unwrap()), None);
        assert!(drained);
    });
}

#[test]
fn all_of_many_queries_are_answered() {
    let threads = Threads::new();
    let host = threads.host(&["greeter"]);
    let asked = (0..MANY).map(|_| host.ask_json(GREET, r#"{"name":"Ada"}"#));
    let answers = threads.asker.block_on(join_all(asked));
    let greeting = Ok(r#"{"greeting":"Hello, Ada!"}"#.to_owned());
    assert_eq!(answers, vec![greeting; MANY]);
}

/// Nobody read the event stream before: its reader begins with a query that began where queries are
/// read.
#[test]
fn an_exchange_sees_its_answer_while_the_thread_that_reads_queries_is_busy() {
    let threads = Threads::new();
    let host = threads.host(&["probe"]);
    threads.asker.block_on(async {
        let exchange = json!({"type": ASKED, "answer_types": [ANSWERED]}).to_string();
        let mut asked = pin!(host.ask_json(EXCHANGE, &exchange));
        let published = tokio::select! {
            answer = &mut asked => panic!("answered by nobody: {answer:?}"),
            published = host.stored(ASKED, 1) => CloudEvent::decode(&published[0].message).unwrap(),
        };
        let busy = occupy(&threads.queries.handle);
        let mut answer = event(ANSWERED, "{}");
        let transaction = published.extension("transactionid").unwrap();
        answer.set_extension("transactionid", transaction.clone());
        let message = answer.to_structured().unwrap();
        host.wire.publish(ANSWERED, message).await.unwrap();
        let answer = asked.await.unwrap();
        drop(busy);
        assert!(
            answer.contains(&format!(r#""type":"{ANSWERED}""#)),
            "{answer}"
        );
    });
}
