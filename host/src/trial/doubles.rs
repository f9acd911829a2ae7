//! Those who answer a plugin in a trial: members of the embedded bus that hear every question and
//! every event that an exchange publishes, and answer as the case says. Must not know plugins.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::case::{Answer, Answered, Case, ExchangeAnswer};
use super::compare::{Names, mentioned};
use super::run::Problem;
use super::seen;
use crate::config::Config;
use crate::embedded::{Asked, Bus, BusError, Subscription};
use crate::envelope::{CloudEvent, Message, headers, new_id};
use crate::outbound::watch::{Interest, Seen, Tap, Watch};
use crate::outbound::{Outbound, SendError};
use crate::subject::SubjectPattern;

/// `source` of what doubles send.
const SOURCE: &str = "/conche/test/doubles";

/// The doubles of one case.
#[derive(Debug)]
pub(super) struct Doubles<'c> {
    answers: Vec<(&'c Answer, Used)>,
    exchanges: Vec<(&'c ExchangeAnswer, Used)>,
    /// Every question, and every event as it is published.
    heard: Subscription,
    /// Events of the types in `exchanges`, once the stream has them.
    published: Option<Tap>,
    /// Ids of the answers that doubles published themselves.
    own: HashSet<String>,
    outbound: Outbound,
    config: Arc<Config>,
    problems: Vec<Problem>,
}

/// Whether an entry has served.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Used {
    No,
    Yes,
}

impl<'c> Doubles<'c> {
    /// On the bus before the plugin runs.
    pub(super) async fn start(
        case: &'c Case,
        bus: &Bus,
        watch: &Watch,
        config: &Arc<Config>,
    ) -> Result<Doubles<'c>, StartError> {
        let everything: SubjectPattern = ">".parse().map_err(BusError::from)?;
        let types: Vec<_> = case.exchanges.iter().map(|e| e.ty.clone()).collect();
        let interest = Interest {
            types,
            ..Interest::default()
        };
        Ok(Doubles {
            answers: case.answers.iter().map(|a| (a, Used::No)).collect(),
            exchanges: case.exchanges.iter().map(|e| (e, Used::No)).collect(),
            heard: bus.subscribe(&everything, "")?,
            published: match interest.types.is_empty() {
                true => None,
                false => Some(watch.tap(interest).await?),
            },
            own: HashSet::new(),
            outbound: Outbound::Embedded(bus.clone()),
            config: config.clone(),
            problems: Vec::new(),
        })
    }

    /// Answers until it is dropped.
    pub(super) async fn serve(&mut self) -> std::convert::Infallible {
        loop {
            let published = async {
                match &mut self.published {
                    Some(tap) => tap.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(asked) = self.heard.next() => self.hear(asked),
                Some(seen) = published => self.answer_event(&seen).await,
                else => std::future::pending().await,
            }
        }
    }

    /// What was asked in vain, and what was never asked.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        // The call may have ended before its last question was looked at.
        while let Some(asked) = self.heard.next_ready() {
            self.hear(asked);
        }
        for (index, (entry, used)) in self.answers.iter().enumerate() {
            if *used == Used::No {
                let op = &entry.op;
                let text = format!("`answers[{index}]`: `{op}` was never asked");
                self.problems.push(Problem::text(text));
            }
        }
        for (index, (entry, used)) in self.exchanges.iter().enumerate() {
            if *used == Used::No {
                let ty = &entry.ty;
                let text = format!("`exchanges[{index}]`: `{ty}` was never published");
                self.problems.push(Problem::text(text));
            }
        }
        self.problems
    }

    fn hear(&mut self, asked: Asked) {
        let Asked {
            subject,
            message,
            reply,
        } = asked;
        let Ok(event) = CloudEvent::decode(&message) else {
            // The host writes what is sent: it decodes.
            return;
        };
        let Some(reply) = reply else {
            let declared = self.exchanges.iter().any(|(e, _)| e.ty == event.ty);
            if !declared && !self.own.contains(&event.id) {
                let text = format!(
                    "published `{}` in an exchange, which no entry of `exchanges` answers",
                    event.ty
                );
                self.problems.push(Problem::text(text));
            }
            return;
        };
        let shown = seen::message(&event, &self.config.compat.transaction_attribute);
        let entries = self.answers.iter().map(|(entry, used)| {
            let fits = *used == Used::No && entry.op == subject;
            fits.then_some(&entry.question)
        });
        let Some((index, difference)) = choose(entries, &shown) else {
            let text = format!("asked `{subject}`, which no entry of `answers` answers");
            let asked = serde_json::json!({ "asked": compact_question(&shown) });
            let difference = Some((Value::Null, asked));
            self.problems.push(Problem { text, difference });
            reply.decline();
            return;
        };
        if difference.is_some() {
            let text = format!("`answers[{index}]`: `{subject}` was asked something else");
            self.problems.push(Problem { text, difference });
        }
        let (entry, used) = &mut self.answers[index];
        *used = Used::Yes;
        match answer(entry, &event, &self.config) {
            Ok(Said::Message(message)) => {
                if let Err(error) = reply.send(message) {
                    let text = format!("`answers[{index}]`: cannot be sent: {error}");
                    self.problems.push(Problem::text(text));
                }
            }
            Ok(Said::Nobody) => reply.decline(),
            // Dropped: the asker waits until it waits no longer.
            Ok(Said::Nothing) => {}
            Err(flaw) => {
                let text = format!("`answers[{index}]`: is no legal event: {flaw}");
                self.problems.push(Problem::text(text));
                reply.decline();
            }
        }
    }

    async fn answer_event(&mut self, seen: &Seen) {
        let event = &seen.event;
        if self.own.contains(&event.id) {
            // The plugin may yet publish one of that type itself.
            return;
        }
        let attribute = &self.config.compat.transaction_attribute;
        let shown = seen::message(event, attribute);
        let entries = self.exchanges.iter().map(|(entry, used)| {
            let fits = *used == Used::No && entry.ty == event.ty;
            fits.then_some(&entry.question)
        });
        let Some((index, difference)) = choose(entries, &shown) else {
            let text = format!(
                "published `{}` in an exchange once more than `exchanges` answers it",
                event.ty
            );
            self.problems.push(Problem::text(text));
            return;
        };
        if difference.is_some() {
            let text = format!("`exchanges[{index}]`: `{}` is something else", event.ty);
            self.problems.push(Problem { text, difference });
        }
        let (entry, used) = &mut self.exchanges[index];
        *used = Used::Yes;
        let Some((ty, written)) = &entry.answer else {
            return;
        };
        let id = new_id();
        let tid = event.transaction_id(attribute);
        let answer = written.complete(ty, &id, SOURCE, attribute, tid);
        self.own.insert(answer.id.clone());
        if let Err(reason) = self.publish(&answer).await {
            let text = format!("`exchanges[{index}].answer`: cannot be published: {reason}");
            self.problems.push(Problem::text(text));
        }
    }

    async fn publish(&self, event: &CloudEvent) -> Result<(), String> {
        let message = event.to_structured().map_err(|flaw| flaw.to_string())?;
        let subject = self.config.event_subject(&event.ty);
        let subject = subject.ok_or_else(|| format!("no stream takes `{}`", event.ty))?;
        let stored = self.outbound.publish_event(&subject, message).await;
        stored.map(drop).map_err(|error| error.to_string())
    }
}

/// Why there are no doubles.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("{0}")]
    Bus(#[from] BusError),
    #[error("{0}")]
    Send(#[from] SendError),
}

/// What goes back to an asker.
enum Said {
    Message(Message),
    /// That nobody is there.
    Nobody,
    Nothing,
}

/// The first entry that the question fits; else the first that could have been meant, and how the
/// question differs from what it wants.
fn choose<'e>(
    entries: impl Iterator<Item = Option<&'e Value>>,
    shown: &Value,
) -> Option<(usize, Option<(Value, Value)>)> {
    let mut meant = None;
    for (index, wanted) in entries.enumerate() {
        let Some(wanted) = wanted else { continue };
        let seen = mentioned(wanted, shown, &mut Names::default());
        if seen == *wanted {
            return Some((index, None));
        }
        meant.get_or_insert_with(|| (index, Some((wanted.clone(), seen))));
    }
    meant
}

/// What of a question is worth showing.
fn compact_question(shown: &Value) -> Value {
    let keys = ["type", "subject", "data", "text", "base64"];
    let kept = keys.iter().filter_map(|key| {
        let value = shown.get(key).filter(|value| !value.is_null())?;
        Some(((*key).to_owned(), value.clone()))
    });
    Value::Object(kept.collect())
}

fn answer(entry: &Answer, asked: &CloudEvent, config: &Config) -> Result<Said, String> {
    let attribute = &config.compat.transaction_attribute;
    let tid = asked.transaction_id(attribute);
    let message = match &entry.answer {
        Answered::Reply { ty, written } => {
            let ty = ty.as_deref().unwrap_or(&entry.op);
            let event = written.complete(ty, &new_id(), SOURCE, attribute, tid);
            event.to_structured()
        }
        Answered::Fault(fault) => {
            let nothing = super::message::Written::default();
            fault.to_message(&nothing.complete(&entry.op, &new_id(), SOURCE, attribute, tid))
        }
        Answered::Busy => {
            let mut message = Message::default();
            message.headers.insert(headers::CONCHE_SHED, "1".to_owned());
            Ok(message)
        }
        Answered::NoResponders => return Ok(Said::Nobody),
        Answered::TimedOut => return Ok(Said::Nothing),
    };
    message.map(Said::Message).map_err(|flaw| flaw.to_string())
}
