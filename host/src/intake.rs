//! Where messages come in: one loop a source, opened and closed as the registry changes. Must not
//! know wasmtime.

mod events;
mod queries;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::embedded::Bus;
use crate::policy::PluginName;
use crate::shutdown::Shutdown;
use crate::subject::SubjectPattern;

/// Follows the registry with subscriptions and consumers.
#[derive(Debug)]
pub struct Intake {
    config: Arc<Config>,
    dispatcher: Arc<Dispatcher>,
    bus: Bus,
    shutdown: Shutdown,
    queries: BTreeMap<String, CancellationToken>,
    events: BTreeMap<PluginName, CancellationToken>,
}

impl Intake {
    /// An intake that listens to nothing yet.
    pub fn new(
        config: Arc<Config>,
        dispatcher: Arc<Dispatcher>,
        bus: Bus,
        shutdown: Shutdown,
    ) -> Intake {
        Intake {
            config,
            dispatcher,
            bus,
            shutdown,
            queries: BTreeMap::new(),
            events: BTreeMap::new(),
        }
    }

    /// Follows until the host ends, then closes all.
    pub async fn follow(mut self, mut changes: watch::Receiver<u64>) {
        loop {
            tokio::select! {
                () = self.shutdown.begun() => break,
                changed = changes.changed() => if changed.is_err() { break },
            }
            self.agree();
        }
        for leave in self.queries.values().chain(self.events.values()) {
            leave.cancel();
        }
    }

    /// Opens what is registered and not open; closes what is open and no longer registered.
    pub fn agree(&mut self) {
        let registry = self.dispatcher.registry();
        let mut subjects: Vec<String> = registry.ops().map(str::to_owned).collect();
        if registry.has_any_query() {
            subjects.extend(self.config.nats.namespace.iter().map(ToString::to_string));
        }
        self.queries.retain(|subject, leave| {
            let stays = subjects.contains(subject);
            if !stays {
                leave.cancel();
            }
            stays
        });
        for subject in subjects {
            if !self.queries.contains_key(&subject) {
                self.open_query(subject);
            }
        }
        let listens = |name: &PluginName| {
            registry.plugin(name).is_some_and(|plugin| {
                let registrations = plugin.registrations();
                !registrations.events.is_empty() || registrations.any_event.is_some()
            })
        };
        self.events.retain(|name, leave| {
            if !listens(name) {
                leave.cancel();
            }
            listens(name)
        });
        for plugin in registry.plugins().filter(|plugin| listens(plugin.name())) {
            // Opened anew for each version: the filters may have grown.
            self.open_events(plugin.name());
        }
    }

    fn open_query(&mut self, subject: String) {
        let group = &self.config.nats.queue_group;
        let subscription = subject
            .parse::<SubjectPattern>()
            .map_err(|flaw| flaw.to_string())
            .and_then(|pattern| {
                let opened = self.bus.subscribe(&pattern, group);
                opened.map_err(|error| error.to_string())
            });
        match subscription {
            Ok(subscription) => {
                let leave = CancellationToken::new();
                let served = queries::serve(
                    subscription,
                    self.dispatcher.clone(),
                    self.shutdown.clone(),
                    leave.clone(),
                    self.bus.max_payload(),
                );
                self.shutdown.spawn(served);
                self.queries.insert(subject, leave);
            }
            Err(reason) => error!(
                subject,
                reason, "cannot subscribe: its queries are not served"
            ),
        }
    }

    fn open_events(&mut self, name: &PluginName) {
        let opened = events::open(&self.config, &self.dispatcher, &self.bus, name);
        match opened {
            Ok(_) if self.events.contains_key(name) => {}
            Ok(consumer) => {
                let leave = CancellationToken::new();
                let events = events::Events {
                    config: self.config.clone(),
                    dispatcher: self.dispatcher.clone(),
                    bus: self.bus.clone(),
                    shutdown: self.shutdown.clone(),
                    plugin: name.clone(),
                };
                self.shutdown.spawn(events.pull(consumer, leave.clone()));
                self.events.insert(name.clone(), leave);
            }
            Err(reason) => {
                error!(plugin = %name, reason, "cannot open its consumer: its events are not served");
            }
        }
    }
}
