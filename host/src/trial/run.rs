//! Runs one case: loads the plugin, lets the message in, and holds what came of it against what the
//! case expects.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::case::{Case, Comes};
use super::compare::{Names, all_mentioned, in_order, mentioned};
use super::doubles::Doubles;
use super::expected::Expected;
use super::seen::{self, Seen};
use crate::config::Config;
use crate::envelope::{CloudEvent, Message};
use crate::host::embedded_bus;
use crate::outbound::Outbound;
use crate::plugin::{Plugin, RegisterError};
use crate::policy::{PluginName, Policy};
use crate::reload;
use crate::sandbox::{Call, Compiled, Effects, GuestLine, Heard, Sandbox, Stage, Tenant};

/// `id` of what comes in, unless the case says another.
const ID: &str = "cloudevent-test";
/// `source` of what comes in, unless the case says another.
const SOURCE: &str = "/conche/test";
/// Of the listener that matched.
const LISTENER_ID: &str = "listener-test";

/// The plugin that cases are run against.
#[derive(Debug)]
pub struct Candidate {
    /// As a host would call it.
    pub name: PluginName,
    /// Its code.
    pub compiled: Compiled,
    /// What it may do.
    pub policy: Policy,
    /// Of the host that it is run in.
    pub config: Arc<Config>,
    /// Counts the guest's time as long as it lives.
    pub sandbox: Arc<Sandbox>,
}

/// How a case ended.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Everything that is not as expected; none: it passed.
    pub problems: Vec<Problem>,
    /// Loading the plugin included.
    pub took: Duration,
    /// What the guest logged and printed.
    pub lines: Vec<GuestLine>,
}

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// What it is, in a line.
    pub text: String,
    /// Expected and seen, if that can be held against each other.
    pub difference: Option<(Value, Value)>,
}

impl Problem {
    pub(super) fn text(text: impl Into<String>) -> Problem {
        Problem {
            text: text.into(),
            difference: None,
        }
    }
}

impl Candidate {
    /// Runs a case, on a bus and an instance of its own.
    pub async fn run(&self, case: &Case) -> Verdict {
        let began = Instant::now();
        let stage = Arc::new(Stage::new(case.clock));
        let problems = match self.judge(case, &stage).await {
            Ok(problems) => problems,
            Err(reason) => vec![Problem::text(reason)],
        };
        Verdict {
            problems,
            took: began.elapsed(),
            lines: stage.seen().lines,
        }
    }

    /// What is not as expected; an error says why it could not be run.
    async fn judge(&self, case: &Case, stage: &Arc<Stage>) -> Result<Vec<Problem>, String> {
        let bus = embedded_bus(&self.config).map_err(|error| format!("{error:#}"))?;
        let outbound = Outbound::Embedded(bus.clone());
        let plugin = match self.load(case, &outbound, stage).await {
            Ok(plugin) => plugin,
            Err(Unloaded::Register(RegisterError::Refused(text))) if case.expects_refusal() => {
                return Ok(held_against(&case.expect, &refused(&text, stage)));
            }
            Err(unloaded) => return Err(unloaded.to_string()),
        };
        let (handler, event) = self.message(case, &plugin)?;
        let watch = plugin.watch().clone();
        let doubles = Doubles::start(case, &bus, &watch, &self.config).await;
        let mut doubles = doubles.map_err(|error| error.to_string())?;
        let before = stage.seen().lines.len();
        let call = Call {
            attempt: case.attempt,
            listener: match &case.comes {
                Comes::Listener { state, .. } => Some(Heard {
                    id: LISTENER_ID,
                    state,
                }),
                Comes::Query(_) | Comes::Event(_) => None,
            },
            ..Call::first(&handler, &event, plugin.policy().limits.deadline)
        };
        let (outcome, effects, unsent) = tokio::select! {
            came = self.call(&plugin, &outbound, &case.comes, &call) => came,
            never = doubles.serve() => match never {},
        };
        let mut problems = doubles.finish();
        let attribute = &self.config.compat.transaction_attribute;
        let lines = stage.seen().lines;
        let seen = Seen {
            outcome,
            emits: seen::emits(&effects, attribute).map_err(|error| error.to_string())?,
            listeners: seen::listeners(&effects),
            log: lines.iter().skip(before).map(seen::line).collect(),
        };
        problems.extend(unsent);
        problems.extend(self.unsent(&outbound, &effects).await);
        problems.extend(held_against(&case.expect, &seen));
        Ok(problems)
    }

    async fn load(
        &self,
        case: &Case,
        outbound: &Outbound,
        stage: &Arc<Stage>,
    ) -> Result<Plugin, Unloaded> {
        let mut policy = self.policy.clone();
        policy.config.extend(case.config.clone());
        let (name, config) = (self.name.clone(), self.config.clone());
        let digest = self.compiled.digest;
        let mut tenant = Tenant::alone(name, digest, policy, config, outbound.clone());
        tenant.stage = Some(stage.clone());
        let plugin = Plugin::load(self.compiled.clone(), tenant).await?;
        let allowed = reload::check_registrations(&plugin, &self.config, outbound).await;
        allowed.map_err(|denied| Unloaded::Denied(denied.to_string()))?;
        Ok(plugin)
    }

    /// The handler that a host would call, and the event as it would get there.
    fn message(&self, case: &Case, plugin: &Plugin) -> Result<(Arc<str>, Arc<CloudEvent>), String> {
        let registrations = plugin.registrations();
        let (ty, handler) = match &case.comes {
            Comes::Query(op) => (op, registrations.query_handler(op)),
            Comes::Event(ty) => (ty, registrations.event_handler(ty)),
            Comes::Listener { handler, ty, .. } => {
                let mut names = registrations.listeners.iter();
                (ty, names.find(|name| ***name == **handler))
            }
        };
        let handler = handler
            .cloned()
            .ok_or_else(|| unregistered(&case.comes, plugin))?;
        let attribute = &self.config.compat.transaction_attribute;
        let written = case.message.complete(ty, ID, SOURCE, attribute, None);
        // As it would come from outside, with the rules that it would have to keep.
        let sent: Result<Message, _> = written.to_structured();
        let sent = sent.map_err(|flaw| format!("what comes in is no legal event: {flaw}"))?;
        let event = CloudEvent::decode(&sent).map_err(|flaw| flaw.to_string())?;
        Ok((handler, Arc::new(event)))
    }

    /// What came of it, with which effects, and a reply that a host could not send.
    async fn call(
        &self,
        plugin: &Plugin,
        outbound: &Outbound,
        comes: &Comes,
        call: &Call<'_>,
    ) -> (Value, Effects, Option<Problem>) {
        if let Comes::Query(_) = comes {
            let outcome = plugin.query(call).await;
            let attribute = &self.config.compat.transaction_attribute;
            let shown = seen::query(&outcome, attribute);
            let reply = outcome
                .as_ref()
                .ok()
                .and_then(|it| it.answer.as_ref().ok()?.as_ref());
            let flaw = reply.and_then(|reply| outbound.written(reply).err());
            let unsent =
                flaw.map(|flaw| Problem::text(format!("a host could not send the reply: {flaw}")));
            let effects = outcome.map(|it| it.effects).unwrap_or_default();
            return (shown, effects, unsent);
        }
        let outcome = plugin.event(call).await;
        let shown = seen::event(&outcome);
        let effects = outcome.map(|it| it.effects).unwrap_or_default();
        (shown, effects, None)
    }

    /// What a host could not publish.
    async fn unsent(&self, outbound: &Outbound, effects: &Effects) -> Vec<Problem> {
        let mut problems = Vec::new();
        for emitted in &effects.emitted {
            let reason = match self.config.event_subject(&emitted.ty) {
                Some(subject) => {
                    let message = emitted.message.clone();
                    let stored = outbound.publish_event(&subject, message).await;
                    stored.err().map(|error| error.to_string())
                }
                None => Some(format!("no stream takes `{}`", emitted.ty)),
            };
            if let Some(reason) = reason {
                let text = format!("a host could not publish what is emitted: {reason}");
                problems.push(Problem::text(text));
            }
        }
        problems
    }
}

/// Why a plugin cannot be called.
#[derive(Debug, thiserror::Error)]
enum Unloaded {
    #[error("the plugin does not load: {0}")]
    Register(#[from] RegisterError),
    #[error("a host would refuse the plugin: it {0}")]
    Denied(String),
}

/// What is seen of a plugin that refuses to be loaded.
fn refused(text: &str, stage: &Stage) -> Seen {
    Seen {
        outcome: seen::refused(text),
        emits: Vec::new(),
        listeners: Vec::new(),
        log: stage.seen().lines.iter().map(seen::line).collect(),
    }
}

fn unregistered(comes: &Comes, plugin: &Plugin) -> String {
    let registrations = plugin.registrations();
    let subjects = |list: &[(Arc<str>, String)]| {
        let subjects = list.iter().map(|(_, subject)| format!("`{subject}`"));
        subjects.collect::<Vec<_>>()
    };
    let (what, there) = match comes {
        Comes::Query(op) => (format!("query `{op}`"), subjects(&registrations.queries)),
        Comes::Event(ty) => (format!("event `{ty}`"), subjects(&registrations.events)),
        Comes::Listener { handler, .. } => {
            let names = registrations.listeners.iter();
            let names = names.map(|name| format!("`{name}`")).collect();
            (format!("listener `{handler}`"), names)
        }
    };
    let there = match there.as_slice() {
        [] => "it registers none".to_owned(),
        there => format!("it registers {}", there.join(", ")),
    };
    format!("the plugin registers no {what}; {there}")
}

/// The problems of the only way to be right, or of each of several.
fn held_against(ways: &[Expected], seen: &Seen) -> Vec<Problem> {
    let mut all = Vec::new();
    for (index, way) in ways.iter().enumerate() {
        let mut problems = one_way(way, seen);
        if problems.is_empty() {
            return problems;
        }
        if ways.len() > 1 {
            for problem in &mut problems {
                problem.text = format!("`any-of[{index}]`: {}", problem.text);
            }
        }
        all.extend(problems);
    }
    all
}

fn one_way(expected: &Expected, seen: &Seen) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut names = Names::default();
    let mut differs = |text: &str, expected: Value, seen: Value| {
        if expected != seen {
            let text = text.to_owned();
            let difference = Some((expected, seen));
            problems.push(Problem { text, difference });
        }
    };
    let outcome = outcome(&expected.outcome, &seen.outcome, &mut names);
    differs(
        "the handler came to something else",
        expected.outcome.clone(),
        outcome,
    );
    let lists = [
        ("what it emits differs", &expected.emits, &seen.emits),
        (
            "how it changes listeners differs",
            &expected.listeners,
            &seen.listeners,
        ),
    ];
    for (text, expected, seen) in lists {
        let seen = all_mentioned(expected, seen, &mut names);
        differs(text, expected.clone().into(), seen.into());
    }
    if !in_order(&expected.log, &seen.log, &mut names) {
        let lines = seen.log.iter().cloned().collect();
        differs(
            "its log lacks lines, or has them in another order",
            expected.log.clone().into(),
            lines,
        );
    }
    problems
}

/// Reduced to what is expected of it, if it is of the kind that is expected.
fn outcome(expected: &Value, seen: &Value, names: &mut Names) -> Value {
    let kind = |value: &Value| value.as_object().and_then(|map| map.keys().next().cloned());
    let (Some(wanted), Some(came)) = (kind(expected), kind(seen)) else {
        return seen.clone();
    };
    let mut reduced = serde_json::Map::new();
    let value = if wanted == came {
        mentioned(&expected[&wanted], &seen[&came], names)
    } else {
        super::compare::essential(&seen[&came])
    };
    reduced.insert(came, value);
    reduced.into()
}
