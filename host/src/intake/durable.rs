//! What a plugin wants of its durable consumer. Pure.

use crate::config::Config;
use crate::nats::DurableConfig;
use crate::plugin::Plugin;
use crate::policy::PluginName;

/// Whether it is to have one.
pub(super) fn listens(plugin: &Plugin) -> bool {
    let registrations = plugin.registrations();
    !registrations.events.is_empty() || registrations.any_event.is_some()
}

/// What its consumer is called.
pub(super) fn name(config: &Config, plugin: &PluginName) -> String {
    format!("{}-{plugin}", config.events.durable)
}

/// As its registrations and its policy have it; none of a plugin that listens to nothing.
pub(super) fn wanted(config: &Config, plugin: &Plugin) -> Option<DurableConfig> {
    let registrations = plugin.registrations();
    let types = registrations.events.iter().map(|(_, ty)| ty.as_str());
    DurableConfig::new(
        types,
        registrations.any_event.is_some(),
        // What has no subject was refused when the plugin was loaded.
        |ty| config.heard_subjects(ty),
        plugin.policy().events.start,
        config.events.ack_wait,
    )
}
