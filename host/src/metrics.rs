//! What the host counts, as Prometheus wants it: every family, its labels, and the text that
//! `/metrics` answers. It must not know who counts, or when.
//!
//! Labels come from configuration and registrations, never from traffic. A [`PluginMetrics`] holds
//! the counters of one plugin, so that a call looks up no family and allocates nothing. Counters of
//! a plugin that is gone stay: a later version goes on where it ended.

mod plugin;

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::policy::PluginName;

pub use plugin::{EventEnd, ListenerEnd, PluginMetrics, QueryCounters, QueryEnd};

/// The type of what [`Metrics::render`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds: 100 µs is a warm call of a small guest, 10 s twice the default deadline.
const CALL_BUCKETS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// All that one host counts. Every method may be called from any thread, and none blocks for
/// longer than another one counts or renders.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Families,
    unserved: Counter,
    undecodable: Counter,
    matches_missed: Counter,
    shed: [Counter; ShedBy::ALL.len()],
    plugins_serving: Gauge,
    slots_free: Gauge,
}

/// Which limit a message met that was answered "busy", or left with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShedBy {
    /// The plugin's slots: `concurrency` in its `[limits]`.
    Plugin,
    /// The host's slots: `slots` in `[calls]`.
    Host,
    /// What an intake loop holds before it is admitted.
    Intake,
    /// Its time: it was over before the query could run.
    Late,
}

/// Families with labels; [`PluginMetrics`] takes its counters from them.
#[derive(Debug, Default)]
struct Families {
    queries: Family<QueryLabels, Counter>,
    events: Family<EventLabels, Counter>,
    listeners: Family<EventLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    durations: Durations,
    effects: Family<EffectLabels, Counter>,
    shed: Family<ShedLabels, Counter>,
    swaps: Family<PluginLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    stopped: Family<PluginLabels, Gauge>,
    connected: Family<ConnectionLabels, Gauge>,
    connects: Family<ConnectionLabels, Counter>,
}

#[derive(Debug, Clone)]
struct Durations(Family<CallLabels, Histogram>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryLabels {
    /// None: nobody's.
    plugin: Option<Arc<str>>,
    /// None: nobody registered it by name.
    op: Option<Arc<str>>,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    plugin: Arc<str>,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    plugin: Arc<str>,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    plugin: Arc<str>,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EffectLabels {
    plugin: Arc<str>,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShedLabels {
    limit: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginLabels {
    plugin: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    plugin: Arc<str>,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabels {
    connection: &'static str,
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Metrics {
        let families = Families::default();
        let nobodys = |outcome| {
            let labels = QueryLabels {
                plugin: None,
                op: None,
                outcome,
            };
            families.queries.get_or_create_owned(&labels)
        };
        let shed = ShedBy::ALL.map(|by| {
            let limit = by.label();
            families.shed.get_or_create_owned(&ShedLabels { limit })
        });
        let mut metrics = Metrics {
            registry: Registry::default(),
            unserved: nobodys("unserved"),
            undecodable: nobodys("undecodable"),
            matches_missed: Counter::default(),
            shed,
            families,
            plugins_serving: Gauge::default(),
            slots_free: Gauge::default(),
        };
        metrics.register_calls();
        metrics.register_host();
        metrics
    }

    /// The counters of one plugin and of the ops it registered: once a version.
    pub fn plugin<'a>(
        &self,
        name: &PluginName,
        ops: impl IntoIterator<Item = &'a str>,
    ) -> PluginMetrics {
        PluginMetrics::of(&self.families, name.as_str().into(), ops)
    }

    /// A query whose op nobody serves.
    pub fn query_unserved(&self) {
        self.unserved.inc();
    }

    /// A message on a query subject that is no CloudEvent of that subject.
    pub fn query_undecodable(&self) {
        self.undecodable.inc();
    }

    /// How many events all listeners and exchanges together have missed, from the start on.
    pub fn matches_missed(&self, total: u64) {
        let counted = self.matches_missed.get();
        self.matches_missed.inc_by(total.saturating_sub(counted));
    }

    /// A message that did not run for lack of room.
    pub fn shed(&self, by: ShedBy) {
        self.shed[by as usize].inc();
    }

    /// A version that began to serve, and how many plugins serve now.
    pub fn swapped(&self, name: &PluginName, serving: usize) {
        self.families.swaps.get_or_create(&named(name)).inc();
        self.plugins_serving.set(gauge(serving));
    }

    /// A plugin that is gone, and how many serve now.
    pub fn removed(&self, name: &PluginName, serving: usize) {
        self.families.stopped.remove(&named(name));
        self.plugins_serving.set(gauge(serving));
    }

    /// A version that does not serve; `reason` is a constant, such as "policy".
    pub fn refused(&self, name: &PluginName, reason: &'static str) {
        let plugin = name.as_str().into();
        let labels = RefusalLabels { plugin, reason };
        self.families.refusals.get_or_create(&labels).inc();
    }

    /// A connection that made its round trip, or was lost; each true counts as one connect.
    pub fn nats_connected(&self, connection: &'static str, connected: bool) {
        let labels = ConnectionLabels { connection };
        let connects = self.families.connects.get_or_create_owned(&labels);
        if connected {
            connects.inc();
        }
        let gauge = self.families.connected.get_or_create(&labels);
        gauge.set(i64::from(connected));
    }

    /// The host's slots that nothing uses, looked up just before [`Metrics::render`].
    pub fn slots_free(&self, slots: usize) {
        self.slots_free.set(gauge(slots));
    }

    /// Everything, in the text format of OpenMetrics 1.0, which Prometheus reads.
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string does not fail");
        text
    }

    /// What calls are counted by.
    fn register_calls(&mut self) {
        let families = &self.families;
        let registry = &mut self.registry;
        registry.register(
            "conche_queries",
            "Queries, by plugin, op and outcome",
            families.queries.clone(),
        );
        registry.register(
            "conche_events",
            "Deliveries of events, by plugin and how they ended",
            families.events.clone(),
        );
        registry.register(
            "conche_listener_matches",
            "Events that dynamic listeners waited for, by plugin and how they ended",
            families.listeners.clone(),
        );
        registry.register(
            "conche_matches_missed",
            "Events that came faster than those who wait for events could take them",
            self.matches_missed.clone(),
        );
        registry.register(
            "conche_failures",
            "Calls without an outcome, by plugin and kind",
            families.failures.clone(),
        );
        registry.register_with_unit(
            "conche_call_duration",
            "From admission to the handler's end, by plugin and kind",
            Unit::Seconds,
            families.durations.0.clone(),
        );
        registry.register(
            "conche_effects",
            "Events that handlers emitted, by plugin and whether they were stored",
            families.effects.clone(),
        );
        registry.register(
            "conche_messages_shed",
            "Messages that did not run for lack of room, by the limit they met",
            families.shed.clone(),
        );
    }

    /// What the host is and has.
    fn register_host(&mut self) {
        let families = &self.families;
        let registry = &mut self.registry;
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("conche_build", "The host that runs", build);
        registry.register(
            "conche_swaps",
            "Versions that began to serve",
            families.swaps.clone(),
        );
        registry.register(
            "conche_refusals",
            "Versions that do not serve, by plugin and reason",
            families.refusals.clone(),
        );
        registry.register(
            "conche_plugins_serving",
            "Plugins that serve",
            self.plugins_serving.clone(),
        );
        registry.register(
            "conche_plugin_stopped",
            "1: its events stand still, since the dead-letter stream takes nothing",
            families.stopped.clone(),
        );
        registry.register(
            "conche_slots_free",
            "Slots that a first query or an event could take",
            self.slots_free.clone(),
        );
        registry.register(
            "conche_nats_connected",
            "1 from a round trip until the connection is lost",
            families.connected.clone(),
        );
        registry.register(
            "conche_nats_connects",
            "Connects and reconnects, each ended by a round trip",
            families.connects.clone(),
        );
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl ShedBy {
    /// In the order of their discriminants.
    const ALL: [ShedBy; 4] = [ShedBy::Plugin, ShedBy::Host, ShedBy::Intake, ShedBy::Late];

    fn label(self) -> &'static str {
        match self {
            ShedBy::Plugin => "plugin",
            ShedBy::Host => "host",
            ShedBy::Intake => "intake",
            ShedBy::Late => "late",
        }
    }
}

impl Default for Durations {
    fn default() -> Durations {
        Durations(Family::new_with_constructor(|| {
            Histogram::new(CALL_BUCKETS)
        }))
    }
}

fn named(name: &PluginName) -> PluginLabels {
    PluginLabels {
        plugin: name.as_str().into(),
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
