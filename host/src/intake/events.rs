//! One pull loop for each plugin that listens to events: pulls no more than the plugin has room
//! for, runs each delivery, and settles it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::dispatch::{Dispatcher, Travel};
use crate::embedded::{Bus, BusConsumer, BusDelivery, StartFrom};
use crate::envelope::{CloudEvent, DecodeError, Message};
use crate::plugin::Plugin;
use crate::policy::{PluginName, Start};
use crate::registry::Registry;
use crate::settle::{Settlement, settle};
use crate::shutdown::Shutdown;
use crate::subject::SubjectPattern;

/// How long one pull waits for a first message.
const PULL_WAIT: Duration = Duration::from_secs(2);

/// The most deliveries of one pull.
const PULL_MAX: usize = 256;

/// How long a loop waits for a free slot before it looks again.
const ROOM_WAIT: Duration = Duration::from_millis(5);

/// How long a delivery waits that cannot be settled now.
const UNSETTLED_RETRY: Duration = Duration::from_secs(5);

/// What the loop of one plugin needs.
#[derive(Debug, Clone)]
pub(super) struct Events {
    pub(super) config: Arc<Config>,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) bus: Bus,
    pub(super) shutdown: Shutdown,
    pub(super) plugin: PluginName,
}

/// Opens the plugin's durable consumer, or lets its filters grow.
pub(super) fn open(
    config: &Config,
    dispatcher: &Dispatcher,
    bus: &Bus,
    name: &PluginName,
) -> Result<BusConsumer, String> {
    let registry = dispatcher.registry();
    let plugin = registry.plugin(name).ok_or("it is gone")?;
    let registrations = plugin.registrations();
    let mut filters: Vec<SubjectPattern> = Vec::new();
    if registrations.any_event.is_none() {
        for (_, ty) in &registrations.events {
            let subject = subject_of(config, ty).ok_or("its type has no subject in the stream")?;
            filters.push(subject.parse().map_err(|flaw| format!("{flaw}"))?);
        }
    }
    let start = match plugin.policy().events.start {
        Start::New => StartFrom::New,
        Start::All => StartFrom::All,
        Start::Time(time) => StartFrom::Time(time),
        Start::Sequence(sequence) => StartFrom::Sequence(sequence),
    };
    let durable = format!("{}-{name}", config.events.durable);
    bus.consumer(&config.events.stream, &durable, &filters, start)
        .map_err(|error| error.to_string())
}

/// The subject that events of a type travel on.
fn subject_of(config: &Config, ty: &str) -> Option<String> {
    if crate::subject::check_literal(ty).is_ok() {
        return Some(ty.to_owned());
    }
    config.events.other_subject()
}

impl Events {
    /// Pulls until it is to leave. A delivery that runs then is waited for by the shutdown.
    pub(super) async fn pull(self, consumer: BusConsumer, leave: CancellationToken) {
        while !leave.is_cancelled() {
            let registry = self.dispatcher.registry();
            let Some(plugin) = registry.plugin(&self.plugin) else {
                return;
            };
            let room = plugin.lanes().free().min(PULL_MAX);
            if room == 0 {
                tokio::time::sleep(ROOM_WAIT).await;
                continue;
            }
            let deliveries = tokio::select! {
                () = leave.cancelled() => return,
                deliveries = consumer.pull(room, PULL_WAIT) => deliveries,
            };
            for delivery in deliveries {
                let events = self.clone();
                let plugin = plugin.clone();
                self.shutdown
                    .spawn(async move { events.deliver(&plugin, delivery).await });
            }
        }
    }

    async fn deliver(&self, plugin: &Plugin, delivery: BusDelivery) {
        let event = match CloudEvent::decode(&delivery.message) {
            Ok(event) => event,
            Err(error) => {
                let reason = undecodable(&error);
                return self.dead_letter(plugin, delivery, &reason).await;
            }
        };
        let Some(handler) = Registry::event(plugin, &event.ty) else {
            // A shared subject, or a type that only an earlier version listened to.
            let reason = format!("unlistened: no handler for type `{}`", event.ty);
            if subject_of(&self.config, &event.ty).as_deref() == Some(&*delivery.subject) {
                return self.dead_letter(plugin, delivery, &reason).await;
            }
            return delivery.ack();
        };
        let travel = Travel::of(&delivery.message);
        let attempt = delivery.attempt;
        let outcome = self
            .dispatcher
            .event(plugin, &handler, &event, attempt, travel)
            .await;
        let retry = &plugin.policy().retry;
        match settle(&outcome, attempt, retry, fastrand::f64()) {
            Settlement::Ack => delivery.ack(),
            Settlement::RetryAfter { delay, reason } => {
                info!(
                    plugin = %plugin.name(), digest = plugin.digest().short(), event_id = event.id,
                    attempt, ?delay, reason, "an event will be retried"
                );
                delivery.nak(delay);
            }
            Settlement::DeadLetter { reason } => {
                self.dead_letter(plugin, delivery, &reason).await;
            }
        }
    }

    /// Stores the delivery in the dead-letter stream, once, then ends it at its source.
    async fn dead_letter(&self, plugin: &Plugin, delivery: BusDelivery, reason: &str) {
        let stream = &delivery.stream;
        let durable = format!("{}-{}", self.config.events.durable, plugin.name());
        let subject = format!("conche.dlq.{stream}.{durable}.{}", delivery.seq);
        let message = dead_letter_message(plugin, &delivery, reason);
        let stored = self.bus.publish(&subject, message, Some(0)).await;
        match stored {
            Ok(_) | Err(crate::embedded::BusError::WrongLastSequence { .. }) => {
                warn!(
                    plugin = %plugin.name(), digest = plugin.digest().short(),
                    stream = delivery.stream, sequence = delivery.seq, attempt = delivery.attempt,
                    reason, "an event was dead-lettered"
                );
                delivery.term(reason);
            }
            Err(error) => {
                error!(plugin = %plugin.name(), %error, "the dead-letter stream took nothing: the event stays where it is");
                delivery.nak(UNSETTLED_RETRY);
            }
        }
    }
}

/// The body byte for byte, its headers, and the facts beside them.
fn dead_letter_message(plugin: &Plugin, delivery: &BusDelivery, reason: &str) -> Message {
    let mut message = delivery.message.clone();
    message
        .headers
        .remove(crate::envelope::headers::NATS_MSG_ID);
    let one_line: String = reason
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    for (name, value) in [
        ("Conche-Dlq-Plugin", plugin.name().to_string()),
        ("Conche-Dlq-Digest", plugin.digest().to_string()),
        ("Conche-Dlq-Reason", one_line.chars().take(512).collect()),
        ("Conche-Dlq-Attempts", delivery.attempt.to_string()),
        ("Conche-Dlq-Subject", delivery.subject.clone()),
        ("Conche-Dlq-Stream", delivery.stream.clone()),
        ("Conche-Dlq-Sequence", delivery.seq.to_string()),
        ("Conche-Dlq-Stored-At", delivery.stored_at.to_rfc3339()),
        ("Conche-Dlq-Time", crate::envelope::now()),
    ] {
        message.headers.insert(name, value);
    }
    message
}

fn undecodable(error: &DecodeError) -> String {
    format!("undecodable: {error}")
}
