//! The driver: keeps a number of questions outstanding on one connection and takes the time of
//! each answer. One subscription for all of them; the last token of an answer's subject says which
//! question it belongs to. Must not know who answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use conche::envelope::{CloudEvent, Message, Payload, new_id, now};

use crate::process::Subject;
use crate::wire::{Connection, Frame, Incoming, Outgoing};

/// What is asked, over and over.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) subject: String,
    pub(crate) body: Vec<u8>,
    /// Whether this is the answer: cheap, it runs on each.
    pub(crate) is_answer: fn(&[u8]) -> bool,
}

/// How long to ask: unmeasured at first, then measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
}

/// What one window showed.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) took: Duration,
    /// CPU time of the subject in the window.
    pub(crate) cpu: Duration,
    /// Of each call, in nanoseconds, ascending.
    pub(crate) latencies: Vec<u64>,
}

/// A connection with its questions.
#[derive(Debug)]
pub(crate) struct Asker {
    connection: Connection,
    question: Question,
    inbox: String,
    /// By question; none: not asked now.
    asked_at: Vec<Option<Instant>>,
    open: usize,
    latencies: Vec<u64>,
}

impl Asker {
    pub(crate) fn open(
        server: SocketAddr,
        question: Question,
        outstanding: usize,
    ) -> Result<Asker> {
        let mut connection = Connection::open(server)?;
        let inbox = format!("_INBOX.{}", new_id());
        connection.outgoing.subscribe(&format!("{inbox}.*"));
        connection.fence()?;
        Ok(Asker {
            connection,
            question,
            inbox,
            asked_at: vec![None; outstanding],
            open: 0,
            latencies: Vec::new(),
        })
    }

    /// Asks all the time; measures `subject` in the window.
    ///
    /// # Errors
    /// An answer that is none, or is missing.
    pub(crate) fn measure(&mut self, subject: &Subject, span: Span) -> Result<Window> {
        let began = Instant::now();
        self.ask_all();
        self.turn_while(|_| began.elapsed() < span.warm_up)?;
        self.latencies.clear();
        let (began, cpu) = (Instant::now(), subject.cpu()?);
        self.turn_while(|_| began.elapsed() < span.window)?;
        let (took, cpu) = (began.elapsed(), subject.cpu()?.saturating_sub(cpu));
        let mut latencies = std::mem::take(&mut self.latencies);
        latencies.sort_unstable();
        self.finish()?;
        Ok(Window {
            took,
            cpu,
            latencies,
        })
    }

    /// Asks so many times in all, a little more than that for what is outstanding at the end.
    ///
    /// # Errors
    /// As [`Asker::measure`].
    pub(crate) fn ask_times(&mut self, times: usize) -> Result<()> {
        self.ask_all();
        self.turn_while(|answered| answered < times)?;
        self.finish()
    }

    fn ask_all(&mut self) {
        let now = Instant::now();
        for number in 0..self.asked_at.len() {
            self.asked_at[number] = Some(now);
            ask(
                &mut self.connection.outgoing,
                &self.question,
                &self.inbox,
                number,
            );
        }
        self.open = self.asked_at.len();
    }

    /// Asks again for each answer while `more`, which is told how many were answered.
    fn turn_while(&mut self, more: impl Fn(usize) -> bool) -> Result<()> {
        while more(self.latencies.len()) {
            self.turn(true)?;
        }
        Ok(())
    }

    /// Waits for the answers that are outstanding.
    fn finish(&mut self) -> Result<()> {
        while self.open > 0 {
            self.turn(false)
                .with_context(|| format!("{} questions were not answered", self.open))?;
        }
        self.latencies.clear();
        Ok(())
    }

    /// One write, one read, and all the answers in it.
    fn turn(&mut self, again: bool) -> Result<()> {
        self.connection.flush()?;
        self.connection.read()?;
        let now = Instant::now();
        let Connection {
            incoming, outgoing, ..
        } = &mut self.connection;
        while let Some(number) = answered(incoming, outgoing, &self.question)? {
            let slot = self.asked_at.get_mut(number);
            let asked = slot.context("an answer to no question")?;
            let Some(began) = asked.take() else {
                bail!("a question was answered twice");
            };
            let latency = (now - began).as_nanos();
            self.latencies
                .push(u64::try_from(latency).unwrap_or(u64::MAX));
            if again {
                *asked = Some(now);
                ask(outgoing, &self.question, &self.inbox, number);
            } else {
                self.open -= 1;
            }
        }
        Ok(())
    }
}

/// An envelope as a service writes it, with JSON.
pub(crate) fn envelope(ty: &str, json: &str) -> CloudEvent {
    CloudEvent {
        id: new_id(),
        source: "/conche/bench/driver".to_owned(),
        ty: ty.to_owned(),
        time: Some(now()),
        data: Some(Payload::Json(json.to_owned())),
        ..CloudEvent::default()
    }
}

/// Asks once and reads the answer as an envelope.
///
/// # Errors
/// No answer, or another than the question wants.
pub(crate) fn ask_once(server: SocketAddr, question: &Question) -> Result<(CloudEvent, usize)> {
    let mut asker = Asker::open(server, question.clone(), 1)?;
    asker.ask_all();
    asker.connection.flush()?;
    loop {
        asker.connection.read()?;
        while let Some(frame) = asker.connection.incoming.next()? {
            let Frame::Message(message) = frame else {
                continue;
            };
            check(&message, question)?;
            let envelope = CloudEvent::decode(&Message {
                body: message.body.to_vec().into(),
                ..Message::default()
            })?;
            return Ok((envelope, message.headers.len() + message.body.len()));
        }
    }
}

fn ask(outgoing: &mut Outgoing, question: &Question, inbox: &str, number: usize) {
    outgoing.publish(
        &question.subject,
        format_args!("{inbox}.{number}"),
        &question.body,
    );
}

/// The number of the next question that is answered, if there is another in what came.
fn answered(
    incoming: &mut Incoming,
    outgoing: &mut Outgoing,
    question: &Question,
) -> Result<Option<usize>> {
    while let Some(frame) = incoming.next()? {
        match frame {
            Frame::Message(message) => {
                check(&message, question)?;
                let number = message.subject.rsplit('.').next();
                let number = number.and_then(|token| token.parse().ok());
                return number.context("an answer to no question").map(Some);
            }
            Frame::Ping => outgoing.pong(),
            Frame::Pong | Frame::Other => {}
        }
    }
    Ok(None)
}

fn check(message: &crate::wire::Message<'_>, question: &Question) -> Result<()> {
    if (question.is_answer)(message.body) {
        return Ok(());
    }
    bail!(
        "`{}` was answered with {:?} {:?}",
        question.subject,
        String::from_utf8_lossy(message.headers),
        String::from_utf8_lossy(message.body)
    )
}
