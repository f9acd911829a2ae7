//! Which threads run queries: the one that reads them, or those of the guests.

use std::pin::pin;
use std::sync::mpsc;
use std::time::Instant;

use conche::host::Runtimes;
use tokio::runtime::{Builder, Runtime};

use crate::support::{DEADLINE, Setup, TestHost};

const GREET: &str = "cyverse.greeter.Greet";
const REPLY: &str = "cyverse.hostile.BigReply";
const SHORT: &str = r#"{"bytes":1}"#;
/// Most of a megabyte takes its handler far longer than a greeting.
const LONG: &str = r#"{"bytes":900000}"#;

/// Tasks that run one after the other: what was there before them has had its turn.
const TURNS: usize = 100;

/// A host with one thread for each purpose, and one for the test.
struct Threads {
    asker: Runtime,
    guests: Runtime,
    queries: Runtime,
    io: Runtime,
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
            queries: one(),
            io: one(),
        }
    }

    fn host(&self, guests: &[&str]) -> TestHost {
        let runtimes = Runtimes {
            queries: self.queries.handle().clone(),
            io: self.io.handle().clone(),
        };
        self.guests.block_on(TestHost::with(Setup {
            guests,
            runtimes: Some(runtimes),
            ..Setup::default()
        }))
    }

    /// Keeps the guests' thread busy, with what never yields, until the sender is dropped.
    fn occupy_guests(&self) -> mpsc::Sender<()> {
        let (occupied, is_occupied) = mpsc::channel();
        let (release, released) = mpsc::channel();
        self.guests.spawn(async move {
            occupied.send(()).unwrap();
            let _: Result<(), _> = released.recv();
        });
        is_occupied.recv().unwrap();
        release
    }

    /// Comes back when what had come to the thread that reads queries has been looked at.
    async fn turns(&self) {
        for _ in 0..TURNS {
            self.queries.spawn(async {}).await.unwrap();
        }
    }
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
    // A short one in between makes it no short handler.
    for json in [LONG, SHORT] {
        threads.asker.block_on(host.ask(REPLY, json)).unwrap();
    }
    let busy = threads.occupy_guests();
    threads.asker.block_on(async {
        let mut asked = pin!(host.ask(REPLY, LONG));
        tokio::select! {
            biased;
            _ = &mut asked => panic!("a long query ran where queries are read"),
            () = threads.turns() => {}
        }
        drop(busy);
        asked.await.unwrap();
    });
}
