//! The counters of one plugin, taken from their families once and kept with the plugin. Cloning
//! shares them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::{
    CallLabels, EffectLabels, EventLabels, FailureLabels, Families, PluginLabels, QueryLabels,
};

/// How a query of a plugin ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryEnd {
    /// A reply.
    Reply,
    /// The handler answered nothing.
    Silence,
    /// An error as an answer, the handler's own or the host's.
    Fault,
    /// The call failed; why, [`PluginMetrics::failure`] counts.
    Failed,
    /// It did not run.
    Shed,
}

/// How a delivery of an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventEnd {
    /// Handled, its effects stored.
    Ok,
    /// To be delivered again.
    Retried,
    /// Stored in the dead-letter stream.
    DeadLettered,
    /// Not for this plugin: acknowledged without a call.
    Skipped,
}

/// How a match of a dynamic listener ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerEnd {
    /// Handled, its effects stored.
    Ok,
    /// It does not come again.
    Failed,
    /// Nobody had room for it.
    Missed,
}

/// Counts for one plugin.
#[derive(Debug, Clone)]
pub struct PluginMetrics(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    plugin: Arc<str>,
    queries: HashMap<Arc<str>, QueryCounters>,
    /// Of the default query, whose ops come from traffic.
    any_query: QueryCounters,
    events: [Counter; EventEnd::ALL.len()],
    query_duration: Histogram,
    event_duration: Histogram,
    effects_stored: Counter,
    effects_not_stored: Counter,
    listeners: [Counter; ListenerEnd::ALL.len()],
    stopped: Gauge,
    /// Failures are rare, and their kinds the sandbox's: looked up when they happen.
    failures: Family<FailureLabels, Counter>,
}

/// How the queries of one op ended: found once, when it is registered.
#[derive(Debug, Clone)]
pub struct QueryCounters(Arc<[Counter; QueryEnd::ALL.len()]>);

impl PluginMetrics {
    pub(super) fn of<'a>(
        families: &Families,
        plugin: Arc<str>,
        ops: impl IntoIterator<Item = &'a str>,
    ) -> PluginMetrics {
        let queries = |op: Option<Arc<str>>| {
            QueryCounters(Arc::new(QueryEnd::ALL.map(|end| {
                let labels = QueryLabels {
                    plugin: Some(plugin.clone()),
                    op: op.clone(),
                    outcome: end.label(),
                };
                families.queries.get_or_create_owned(&labels)
            })))
        };
        let events = EventEnd::ALL.map(|end| {
            let labels = EventLabels {
                plugin: plugin.clone(),
                outcome: end.label(),
            };
            families.events.get_or_create_owned(&labels)
        });
        let listeners = ListenerEnd::ALL.map(|end| {
            let labels = EventLabels {
                plugin: plugin.clone(),
                outcome: end.label(),
            };
            families.listeners.get_or_create_owned(&labels)
        });
        let duration = |kind| {
            let plugin = plugin.clone();
            let labels = CallLabels { plugin, kind };
            families.durations.0.get_or_create_owned(&labels)
        };
        let effects = |outcome| {
            let plugin = plugin.clone();
            let labels = EffectLabels { plugin, outcome };
            families.effects.get_or_create_owned(&labels)
        };
        let named = PluginLabels {
            plugin: plugin.clone(),
        };
        PluginMetrics(Arc::new(Counters {
            queries: ops
                .into_iter()
                .map(|op| {
                    let op: Arc<str> = op.into();
                    (op.clone(), queries(Some(op)))
                })
                .collect(),
            any_query: queries(None),
            events,
            listeners,
            query_duration: duration("query"),
            event_duration: duration("event"),
            effects_stored: effects("stored"),
            effects_not_stored: effects("not-stored"),
            stopped: families.stopped.get_or_create_owned(&named),
            failures: families.failures.clone(),
            plugin,
        }))
    }

    /// Those of one op's queries; without an op, or for one that was not registered, those of
    /// the default query.
    pub fn queries(&self, op: Option<&str>) -> QueryCounters {
        let counters = op.and_then(|op| self.0.queries.get(op));
        counters.unwrap_or(&self.0.any_query).clone()
    }

    /// A delivery ended.
    pub fn event(&self, end: EventEnd) {
        self.0.events[end as usize].inc();
    }

    /// A dynamic listener heard an event, or missed it.
    pub fn listener(&self, end: ListenerEnd) {
        self.0.listeners[end as usize].inc();
    }

    /// A query handler ran, to whatever end.
    pub fn query_took(&self, time: Duration) {
        self.0.query_duration.observe(time.as_secs_f64());
    }

    /// An event handler ran, to whatever end.
    pub fn event_took(&self, time: Duration) {
        self.0.event_duration.observe(time.as_secs_f64());
    }

    /// A call brought no outcome; `kind` is that of `sandbox::Failure`.
    pub fn failure(&self, kind: &'static str) {
        let plugin = self.0.plugin.clone();
        let labels = FailureLabels { plugin, kind };
        self.0.failures.get_or_create(&labels).inc();
    }

    /// So many emits are stored.
    pub fn effects_stored(&self, count: usize) {
        self.0.effects_stored.inc_by(count as u64);
    }

    /// So many emits are not stored: theirs is a retry, or a fault.
    pub fn effects_not_stored(&self, count: usize) {
        self.0.effects_not_stored.inc_by(count as u64);
    }

    /// Whether the plugin's events stand still because the dead-letter stream takes nothing.
    pub fn stopped(&self, stopped: bool) {
        self.0.stopped.set(i64::from(stopped));
    }
}

impl QueryCounters {
    /// A query ended.
    pub fn count(&self, end: QueryEnd) {
        self.0[end as usize].inc();
    }
}

impl QueryEnd {
    /// In the order of their discriminants.
    pub(super) const ALL: [QueryEnd; 5] = [
        QueryEnd::Reply,
        QueryEnd::Silence,
        QueryEnd::Fault,
        QueryEnd::Failed,
        QueryEnd::Shed,
    ];

    fn label(self) -> &'static str {
        match self {
            QueryEnd::Reply => "reply",
            QueryEnd::Silence => "silence",
            QueryEnd::Fault => "fault",
            QueryEnd::Failed => "failed",
            QueryEnd::Shed => "shed",
        }
    }
}

impl EventEnd {
    /// In the order of their discriminants.
    pub(super) const ALL: [EventEnd; 4] = [
        EventEnd::Ok,
        EventEnd::Retried,
        EventEnd::DeadLettered,
        EventEnd::Skipped,
    ];

    fn label(self) -> &'static str {
        match self {
            EventEnd::Ok => "ok",
            EventEnd::Retried => "retried",
            EventEnd::DeadLettered => "dead-lettered",
            EventEnd::Skipped => "skipped",
        }
    }
}

impl ListenerEnd {
    /// In the order of their discriminants.
    pub(super) const ALL: [ListenerEnd; 3] =
        [ListenerEnd::Ok, ListenerEnd::Failed, ListenerEnd::Missed];

    fn label(self) -> &'static str {
        match self {
            ListenerEnd::Ok => "ok",
            ListenerEnd::Failed => "failed",
            ListenerEnd::Missed => "missed",
        }
    }
}
