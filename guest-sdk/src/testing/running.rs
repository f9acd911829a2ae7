//! The call or the registration that is under way on this thread, and the host that runs it. Must not
//! know the imports' signatures.

use std::cell::RefCell;
use std::mem;

use super::outcome::{Effects, LogLine};
use super::registrations::Registrations;
use super::{Answering, Host, Outcome};
use crate::bindings::wire::Matched;
use crate::errors::SendError;
use crate::message::{CloudEvent, Draft, Reply};

thread_local! {
    // Of the thread, since a handler is a plain function: nothing else leads from it to its host.
    // Tests run each on a thread of their own.
    static CURRENT: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// A host, while one of its guests runs.
struct Running {
    host: Host,
    phase: Phase,
    log: Vec<LogLine>,
}

pub(super) enum Phase {
    Registering(Registrations),
    Calling(Box<Call>),
}

/// A call under way.
pub(super) struct Call {
    pub(super) cause: CloudEvent,
    pub(super) matched: Matched,
    pub(super) attempt: u32,
    /// Handlers that may be named by listeners; none: any may.
    pub(super) listener_handlers: Option<Vec<String>>,
    pub(super) effects: Effects,
    /// Those without a key, to tell equal ones apart.
    pub(super) drafts: Vec<Draft>,
    /// Ids of those with a key.
    pub(super) keyed: Vec<String>,
    pub(super) requests: Vec<CloudEvent>,
    pub(super) exchanges: Vec<CloudEvent>,
}

impl Call {
    pub(super) fn new(cause: CloudEvent, matched: Matched, attempt: u32) -> Self {
        Self {
            cause,
            matched,
            attempt,
            listener_handlers: None,
            effects: Effects::default(),
            drafts: Vec::new(),
            keyed: Vec::new(),
            requests: Vec::new(),
            exchanges: Vec::new(),
        }
    }
}

/// Runs a call on this thread.
pub(super) fn call<T, E>(
    host: &mut Host,
    call: Call,
    body: impl FnOnce() -> Result<T, E>,
) -> Outcome<T, E> {
    let (result, phase, log) = run(host, Phase::Calling(Box::new(call)), body);
    let Phase::Calling(call) = phase else {
        unreachable!("a call does not turn into a registration");
    };
    let (effects, discarded) = match result {
        Ok(_) => (call.effects, Effects::default()),
        Err(_) => (Effects::default(), call.effects),
    };
    Outcome {
        result,
        effects,
        discarded,
        requests: call.requests,
        exchanges: call.exchanges,
        log,
    }
}

/// Runs a registration on this thread.
pub(super) fn register<T>(host: &mut Host, body: impl FnOnce() -> T) -> (T, Registrations) {
    let begun = Phase::Registering(Registrations::default());
    let (result, phase, _) = run(host, begun, body);
    let Phase::Registering(registrations) = phase else {
        unreachable!("a registration does not turn into a call");
    };
    (result, registrations)
}

fn run<T>(host: &mut Host, phase: Phase, body: impl FnOnce() -> T) -> (T, Phase, Vec<LogLine>) {
    let running = Running {
        host: mem::take(host),
        phase,
        log: Vec::new(),
    };
    let outer = CURRENT.replace(Some(running));
    let mut turn = Turn {
        host,
        outer: Some(outer),
    };
    let result = body();
    let (phase, log) = turn.end().expect("a turn ends once");
    (result, phase, log)
}

/// Gives the host back to the test and the thread to whoever had it before: a host may run a
/// handler while another waits for its answer, and a test may catch a handler's panic.
struct Turn<'a> {
    host: &'a mut Host,
    outer: Option<Option<Running>>,
}

impl Turn<'_> {
    fn end(&mut self) -> Option<(Phase, Vec<LogLine>)> {
        let ended = CURRENT.replace(self.outer.take()?)?;
        *self.host = ended.host;
        Some((ended.phase, ended.log))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

fn running<T>(what: &str, body: impl FnOnce(&mut Running) -> T) -> T {
    CURRENT.with_borrow_mut(|current| match current {
        Some(running) => body(running),
        None => panic!(
            "{what} asks the host, and there is none: run the handler with \
             conche_guest::testing::Host"
        ),
    })
}

/// The host, whatever its guest does.
pub(super) fn host<T>(what: &str, body: impl FnOnce(&Host) -> T) -> T {
    running(what, |running| body(&running.host))
}

/// The call under way.
pub(super) fn calling<T>(what: &str, body: impl FnOnce(&mut Host, &mut Call) -> T) -> T {
    running(what, |Running { host, phase, .. }| match phase {
        Phase::Calling(call) => body(host, call),
        Phase::Registering(_) => {
            panic!("{what} works only while a handler runs, not in register")
        }
    })
}

/// The registration under way.
pub(super) fn registering(what: &str, body: impl FnOnce(&mut Registrations)) {
    running(what, |Running { phase, .. }| match phase {
        Phase::Registering(registrations) => body(registrations),
        Phase::Calling(_) => panic!("{what} works only in register: declare handlers there"),
    });
}

/// Keeps a line, if there is a host to keep it.
pub(super) fn log(line: LogLine) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(running) = current {
            running.log.push(line);
        }
    });
}

/// What the test answers to a message; none if it says nothing of this type. The host is free
/// meanwhile: the answer may come from a handler that runs on another.
pub(super) fn answer(asked: &CloudEvent) -> Option<Result<Reply, SendError>> {
    let what = "an answer";
    let mut answering: Answering = calling(what, |host, _| host.answers.remove(&asked.type_))?;
    let answer = answering(asked);
    calling(what, |host, _| {
        host.answers.insert(asked.type_.clone(), answering);
    });
    Some(answer)
}
