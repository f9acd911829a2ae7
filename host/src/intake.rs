//! Where messages come in: one loop a source, opened and closed as the registry changes. Must not
//! know wasmtime.

mod answers;
mod backlog;
mod durable;
pub(crate) mod dynamic;
mod events;
mod pace;
mod queries;
mod settling;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::error;

use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::plugin::Plugin;
use crate::policy::PluginName;
use crate::shutdown::Shutdown;
use crate::source::Source;
use backlog::Backlog;
use events::Events;
use queries::QueryLoop;

/// Follows the registry with subscriptions and consumers.
#[derive(Debug)]
pub struct Intake {
    config: Arc<Config>,
    dispatcher: Arc<Dispatcher>,
    source: Source,
    shutdown: Shutdown,
    changes: watch::Receiver<u64>,
    queries_on: Handle,
    queries: BTreeMap<String, Arc<QueryLoop>>,
    backlog: Backlog,
    events: BTreeMap<PluginName, Arc<Events>>,
}

impl Intake {
    /// An intake that listens to nothing yet. `changes` counts changes of the registry. Queries are
    /// read on the runtime `queries_on`; the rest runs on the one that this is called on.
    pub fn new(
        config: Arc<Config>,
        dispatcher: Arc<Dispatcher>,
        source: Source,
        shutdown: Shutdown,
        changes: watch::Receiver<u64>,
        queries_on: &Handle,
    ) -> Intake {
        Intake {
            config,
            dispatcher,
            source,
            shutdown,
            changes,
            queries_on: queries_on.clone(),
            queries: BTreeMap::new(),
            backlog: Backlog::new(),
            events: BTreeMap::new(),
        }
    }

    /// Follows until the host ends; what is open then leaves by itself.
    pub async fn follow(mut self) {
        let shutdown = self.shutdown.clone();
        loop {
            tokio::select! {
                () = shutdown.begun() => break,
                changed = self.changes.changed() => if changed.is_err() { break },
            }
            // Cut short by the end: what is open is left then, and the rest is never opened.
            tokio::select! {
                () = shutdown.begun() => break,
                () = self.agree() => {}
            }
        }
    }

    /// Opens what is registered and not open; closes what is open and no longer registered.
    pub async fn agree(&mut self) {
        let registry = self.dispatcher.registry();
        let mut subjects: Vec<String> = registry.ops().map(str::to_owned).collect();
        if registry.any_query().is_some() {
            subjects.extend(self.config.nats.namespace.iter().map(ToString::to_string));
        }
        self.queries.retain(|subject, query| {
            let stays = subjects.contains(subject);
            if !stays {
                query.leave.cancel();
            }
            stays
        });
        for subject in subjects {
            if !self.queries.contains_key(&subject) {
                self.open_query(&subject).await;
            }
            // Noted at each change: the version that is there last answers what is still under
            // way when it leaves.
            if let Some(query) = self.queries.get(&subject)
                && let Some(route) = queries::route_of(&self.dispatcher, &subject)
            {
                query.served_by(route);
            }
        }
        let listening: Vec<&Arc<Plugin>> =
            registry.plugins().filter(|p| durable::listens(p)).collect();
        self.events.retain(|name, events| {
            let stays = listening.iter().any(|plugin| plugin.name() == name);
            if !stays {
                events.leave.cancel();
            }
            stays
        });
        let new = listening
            .into_iter()
            .filter(|plugin| !self.events.contains_key(plugin.name()));
        let opened = join_all(new.map(|plugin| self.open_events(plugin))).await;
        self.events.extend(opened);
    }

    async fn open_query(&mut self, subject: &str) {
        let group = &self.config.nats.queue_group;
        match self.source.subscribe(subject, group).await {
            Ok(subscription) => {
                let query = Arc::new(QueryLoop::new(
                    self.config.clone(),
                    self.dispatcher.clone(),
                    self.shutdown.clone(),
                    self.backlog.clone(),
                    Handle::current(),
                ));
                let serve = query.clone().serve(subscription);
                self.shutdown.spawn_on(&self.queries_on, serve);
                self.queries.insert(subject.to_owned(), query);
            }
            Err(reason) => error!(
                subject,
                reason, "cannot subscribe: its queries are not served"
            ),
        }
    }

    /// Opens a plugin's consumer, so that what is published from now on is for it, and leaves the
    /// rest to its loop. What failed the loop tries again, and begins where the stream is now.
    async fn open_events(&self, plugin: &Arc<Plugin>) -> (PluginName, Arc<Events>) {
        let name = plugin.name().clone();
        let events = Arc::new(Events::new(
            self.config.clone(),
            self.dispatcher.clone(),
            &self.source,
            self.shutdown.clone(),
            name.clone(),
        ));
        let consumer = events.open(plugin).await;
        self.shutdown.spawn(events.clone().keep_up());
        let run = events
            .clone()
            .run(plugin.clone(), consumer, self.changes.clone());
        self.shutdown.spawn(run);
        (name, events)
    }
}
