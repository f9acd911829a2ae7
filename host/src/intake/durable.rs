//! What a plugin wants of its durable consumer. Pure.

use crate::config::Config;
use crate::nats::DurableConfig;
use crate::plugin::Plugin;
use crate::policy::PluginName;

/// What its consumer is called.
pub(super) fn name(config: &Config, plugin: &PluginName) -> String {
    format!("{}-{plugin}", config.events.durable)
}

/// As its registrations and its policy have it.
pub(super) fn wanted(config: &Config, plugin: &Plugin) -> DurableConfig {
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
