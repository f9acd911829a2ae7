//! Who gets what: an immutable snapshot, made anew for each change. Lookups allocate nothing.
//! Pure: it never awaits, and knows neither wasmtime nor files.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use thiserror::Error;

use crate::metrics::QueryCounters;
use crate::plugin::Plugin;
use crate::policy::PluginName;

/// All plugins that serve, and what they serve.
#[derive(Debug, Default)]
pub struct Registry {
    plugins: BTreeMap<PluginName, Arc<Plugin>>,
    queries: HashMap<String, Arc<Route>>,
    any_query: Option<Arc<Route>>,
}

/// A handler of a plugin.
#[derive(Debug)]
pub struct Route {
    /// Whose handler.
    pub plugin: Arc<Plugin>,
    /// Its name.
    pub handler: Arc<str>,
    /// How its queries ended.
    pub counters: QueryCounters,
    /// It takes what nobody else registered, and so never says that it failed: others may answer.
    pub is_default: bool,
}

/// Two plugins want the same query.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Conflict {
    /// An op.
    #[error("query `{op}` is served by plugin `{holder}`: remove one of the two")]
    Query {
        /// The op.
        op: String,
        /// Who has it.
        holder: PluginName,
    },
    /// The default.
    #[error("the default query is served by plugin `{holder}`: remove one of the two")]
    AnyQuery {
        /// Who has it.
        holder: PluginName,
    },
}

impl Registry {
    /// A registry with `plugin` in it, in place of its earlier version if there is one.
    ///
    /// # Errors
    /// [`Conflict`] if another plugin serves one of its queries.
    pub fn with(&self, plugin: Arc<Plugin>) -> Result<Registry, Conflict> {
        self.conflict(&plugin)?;
        let mut plugins = self.plugins.clone();
        plugins.insert(plugin.name().clone(), plugin);
        Ok(Registry::of(plugins))
    }

    /// A registry without that plugin.
    pub fn without(&self, name: &PluginName) -> Registry {
        let mut plugins = self.plugins.clone();
        plugins.remove(name);
        Registry::of(plugins)
    }

    /// Who answers a query: who registered the op, else the default.
    pub fn query(&self, op: &str) -> Option<&Arc<Route>> {
        self.queries.get(op).or(self.any_query.as_ref())
    }

    /// A plugin by name.
    pub fn plugin(&self, name: &PluginName) -> Option<&Arc<Plugin>> {
        self.plugins.get(name)
    }

    /// All plugins, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.plugins.values()
    }

    /// All ops that are registered by name.
    pub fn ops(&self) -> impl Iterator<Item = &str> {
        self.queries.keys().map(String::as_str)
    }

    /// Who has the default-query registration.
    pub fn any_query(&self) -> Option<&Arc<Route>> {
        self.any_query.as_ref()
    }

    /// Whether a plugin could be in it.
    ///
    /// # Errors
    /// Those of [`Registry::with`].
    pub fn conflict(&self, plugin: &Plugin) -> Result<(), Conflict> {
        for (_, op) in &plugin.registrations().queries {
            if let Some(route) = self.queries.get(op)
                && route.plugin.name() != plugin.name()
            {
                return Err(Conflict::Query {
                    op: op.clone(),
                    holder: route.plugin.name().clone(),
                });
            }
        }
        match &self.any_query {
            Some(route)
                if plugin.registrations().any_query.is_some()
                    && route.plugin.name() != plugin.name() =>
            {
                Err(Conflict::AnyQuery {
                    holder: route.plugin.name().clone(),
                })
            }
            _ => Ok(()),
        }
    }

    fn of(plugins: BTreeMap<PluginName, Arc<Plugin>>) -> Registry {
        let mut registry = Registry::default();
        for plugin in plugins.values() {
            let registrations = plugin.registrations();
            for (handler, op) in &registrations.queries {
                let route = Route {
                    plugin: plugin.clone(),
                    handler: handler.clone(),
                    counters: plugin.metrics().queries(Some(op)),
                    is_default: false,
                };
                registry.queries.insert(op.clone(), Arc::new(route));
            }
            if let Some(handler) = &registrations.any_query {
                let route = Route {
                    plugin: plugin.clone(),
                    handler: handler.clone(),
                    counters: plugin.metrics().queries(None),
                    is_default: true,
                };
                registry.any_query = Some(Arc::new(route));
            }
        }
        registry.plugins = plugins;
        registry
    }
}
