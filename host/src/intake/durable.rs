//! What a plugin wants of its durable consumer. Pure.

use crate::config::Config;
use crate::nats::DurableConfig;
use crate::plugin::Plugin;
use crate::sandbox::Digest;
use crate::subject::SubjectPattern;

/// As its registrations and its policy have it. `is_new`: it was loaded just now.
pub(super) fn wanted(config: &Config, plugin: &Plugin, is_new: bool) -> DurableConfig {
    let registrations = plugin.registrations();
    let mut filters: Vec<SubjectPattern> = Vec::new();
    if registrations.any_event.is_none() {
        // What has no subject was refused when the plugin was loaded.
        let types = registrations.events.iter();
        let subjects = types.flat_map(|(_, ty)| config.heard_subjects(ty));
        filters.extend(subjects.filter_map(|subject| subject.parse().ok()));
        filters.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        filters.dedup();
    }
    let events = &config.events;
    DurableConfig {
        stream: events.stream.clone(),
        durable: format!("{}-{}", events.durable, plugin.name()),
        start: plugin.policy().events.start,
        ack_wait: events.ack_wait,
        digest: version(plugin, &filters),
        filters,
        is_new,
    }
}

/// What tells versions apart: the component, and what it listens to, which a policy may change.
fn version(plugin: &Plugin, filters: &[SubjectPattern]) -> String {
    let mut text = plugin.digest().to_string();
    for filter in filters {
        text.push(' ');
        text.push_str(filter.as_str());
    }
    Digest::of(text.as_bytes()).to_string()
}
