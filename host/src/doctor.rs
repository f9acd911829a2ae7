//! What is wrong around a host: streams that are in the way, consumers that nobody serves, old
//! services on the same subjects, clocks, permissions; each with the line that mends it. `examine`
//! gathers what there is and changes nothing; the checks below are pure. Must not know how what
//! there is was asked for.

mod consumers;
mod neighbours;
mod permissions;
mod server;
mod streams;

use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::nats::{
    ConnectError, ConsumerSeen, Nats, NatsError, Neighbour, StreamConfig, StreamsSeen, Survey,
    narrow,
};
use crate::plugin::Plugin;

/// How often consumers are looked at before one counts as left alone, and how long between.
const LOOKS: usize = 4;
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);

/// What a list of the streams is asked by.
const LIST_STREAMS: &str = "$JS.API.STREAM.LIST";

/// Something that is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// Which check found it: a word.
    pub check: &'static str,
    /// What is wrong, in one line.
    pub what: String,
    /// The command to run, or the setting to change.
    pub mend: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something may not be meant.
    Warning,
}

/// All that was found, and what could not be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// Errors first.
    pub findings: Vec<Finding>,
    /// What nobody can see from here.
    pub notes: Vec<String>,
}

/// What a host would serve.
#[derive(Debug, Clone, Default)]
pub struct Wants {
    /// Names of the plugins.
    plugins: Vec<String>,
    /// Op, and who registers it.
    ops: Vec<(String, String)>,
    /// Plugins that take any other query.
    any_query: Vec<String>,
    /// Event type, and who wants it.
    types: Vec<(String, String)>,
}

impl Wants {
    /// What a plugin registers.
    pub fn add_plugin(&mut self, plugin: &Plugin) {
        let name = plugin.name().to_string();
        let who = format!("plugin `{name}`");
        let registrations = plugin.registrations();
        let ops = registrations.queries.iter();
        self.ops
            .extend(ops.map(|(_, op)| (op.clone(), who.clone())));
        if registrations.any_query.is_some() {
            self.any_query.push(who.clone());
        }
        let types = registrations.events.iter();
        self.types
            .extend(types.map(|(_, ty)| (ty.clone(), who.clone())));
        self.plugins.push(name);
    }

    /// An event type that somebody asked about.
    pub fn add_type(&mut self, ty: &str) {
        self.types.push((ty.to_owned(), "--type".to_owned()));
    }
}

/// Connects once, and looks at everything.
///
/// # Errors
/// There is no connection.
pub async fn examine(config: &Config, wants: &Wants) -> Result<Examined, ConnectError> {
    let survey = Survey::connect(&config.nats, &config.client_id).await?;
    let mut examined = Examined::default();
    let needs = permissions::needs(config, wants, &survey.inbox());
    let denied = survey.denied(&needs).await;
    examined
        .findings
        .extend(permissions::check(config, &denied));
    examined.findings.extend(server::version(&survey.version()));
    let streams = if denied.iter().any(|need| need.subject == LIST_STREAMS) {
        // It would wait for an answer that does not come.
        examined
            .notes
            .push("streams could not be looked at: the server denies it".to_owned());
        None
    } else {
        let streams = survey.streams().await;
        examined.seen("streams", streams)
    };
    if let Some(streams) = &streams {
        look_at_streams(&survey, config, wants, streams, &mut examined).await;
    }
    let streams = streams.flatten().unwrap_or_default();
    look_at_neighbours(&survey, config, wants, &streams.streams, &mut examined).await;
    examined.findings.sort_by_key(|finding| finding.severity);
    Ok(examined)
}

/// The cheap half, for a host that starts: what its own connection sees in two round trips, by
/// requests that it makes anyhow.
pub(crate) async fn glance(config: &Config, nats: &Nats) -> Vec<Finding> {
    let mut findings: Vec<Finding> = server::version(&nats.version()).into_iter().collect();
    if let Ok(Some(clock)) = nats.clock(&config.events.stream).await {
        findings.extend(server::skew(&clock));
    }
    let narrow = nats.narrow_streams(&config.events).await;
    findings.extend(streams::narrow(narrow));
    for pattern in &config.nats.namespace {
        for stream in nats.streams_taking(pattern).await.unwrap_or_default() {
            findings.push(streams::overlap_seen_from_afar(&stream, pattern));
        }
    }
    findings
}

async fn look_at_streams(
    survey: &Survey,
    config: &Config,
    wants: &Wants,
    streams: &Option<StreamsSeen>,
    examined: &mut Examined,
) {
    let Some(seen) = streams else {
        examined.findings.push(server::jetstream_off());
        return;
    };
    examined
        .findings
        .extend(seen.clock.as_ref().and_then(server::skew));
    examined
        .findings
        .extend(streams::check(config, wants, &seen.streams));
    let narrow = narrow(&config.events, &seen.streams, seen.max_payload);
    examined.findings.extend(streams::narrow(narrow));
    let stream = &config.events.stream;
    let consumers = consumers_in_time(survey, stream).await;
    if let Some(looks) = examined.seen("consumers", consumers) {
        let ours = seen.streams.iter().find(|it| it.name == *stream);
        let subjects = ours.map(|it| it.subjects.as_slice()).unwrap_or_default();
        let found = consumers::check(config, wants, subjects, &looks);
        examined.findings.extend(found);
    }
}

async fn look_at_neighbours(
    survey: &Survey,
    config: &Config,
    wants: &Wants,
    streams: &[StreamConfig],
    examined: &mut Examined,
) {
    let subscriptions = survey.subscriptions().await;
    let subscriptions = examined.seen("subscriptions of others", subscriptions);
    let subscriptions = subscriptions.flatten();
    if subscriptions.is_none() {
        let unseen = "the server does not say who subscribes what: queue groups of other services \
                      are seen with the system account only: nats server report connections";
        examined.notes.push(unseen.to_owned());
    }
    // A service's own name says more than that of its connection.
    let services = survey.services().await;
    let services = examined.seen("services", services).unwrap_or_default();
    let mut neighbours = services.clone();
    for other in subscriptions.into_iter().flatten() {
        let same =
            |it: &Neighbour| it.subject == other.subject && it.queue_group == other.queue_group;
        if !services.iter().any(same) {
            neighbours.push(other);
        }
    }
    let found = neighbours::check(config, wants, &neighbours);
    examined.findings.extend(found);
    for probe in neighbours::probes(config, streams, &neighbours) {
        let taken = survey.is_taken(&probe.subject).await;
        let what = format!("whether somebody subscribes all of {}", probe.pattern);
        if examined.seen(&what, taken) == Some(true) {
            examined.findings.push(neighbours::taken(&probe, wants));
        }
    }
}

/// Several looks at the consumers; one if each has somebody who pulls.
async fn consumers_in_time(
    survey: &Survey,
    stream: &str,
) -> Result<Vec<Vec<ConsumerSeen>>, NatsError> {
    let mut looks = vec![survey.consumers(stream).await?];
    while looks.len() < LOOKS && consumers::any_alone(&looks) {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        looks.push(survey.consumers(stream).await?);
    }
    Ok(looks)
}

impl Examined {
    /// What was seen; what could not be is noted.
    fn seen<T>(&mut self, what: &str, seen: Result<T, NatsError>) -> Option<T> {
        match seen {
            Ok(seen) => Some(seen),
            Err(error) => {
                self.notes
                    .push(format!("{what} could not be looked at: {error}"));
                None
            }
        }
    }
}

impl Finding {
    fn error(check: &'static str, what: String, mend: String) -> Finding {
        Finding {
            severity: Severity::Error,
            check,
            what,
            mend,
        }
    }

    fn warning(check: &'static str, what: String, mend: String) -> Finding {
        Finding {
            severity: Severity::Warning,
            check,
            what,
            mend,
        }
    }
}
