//! The events of a service: pulled from its durable consumer, handled, and settled. Must not know
//! queries.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::{debug, error, info, warn};

use super::ClientError;
use super::serving::Running;
use crate::dead_letters::{self, Addressee};
use crate::envelope::{CloudEvent, Fault};
use crate::nats::DurableConfig;
use crate::source::{Consumer, Delivery, End};
use crate::subject::SubjectPattern;

/// Events of one service that are handled at the same time.
const EVENTS_MAX: usize = 64;

/// Between two tries to open the consumer: the first and the longest. The latter too for what cannot
/// be settled now.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// The first fault that may be over when the event comes again, as in HTTP.
const MAY_PASS: u16 = 500;

/// Opens the consumer, so that what is published from now on is for it, and begins to pull.
pub(super) async fn open(running: &Arc<Running>) -> Result<(), ClientError> {
    let client = &running.client.inner;
    let ensured = client.outbound.ensure_streams(&client.config.events).await;
    ensured.map_err(|flaw| ClientError::Other(flaw.to_string()))?;
    let wanted = wanted(running)?;
    for filter in &wanted.filters {
        let takers = client.outbound.streams_taking(filter).await?;
        if !takers.contains(&wanted.stream) {
            return Err(ClientError::NoStream {
                subject: filter.to_string(),
            });
        }
    }
    let consumer = client.transport.consumer(&wanted).await;
    let consumer = consumer.map_err(ClientError::Other)?;
    running.tasks.spawn(pull(running.clone(), wanted, consumer));
    Ok(())
}

fn wanted(running: &Running) -> Result<DurableConfig, ClientError> {
    let config = &running.client.inner.config;
    let handlers = &running.handlers;
    let mut filters: Vec<SubjectPattern> = Vec::new();
    if handlers.any_event.is_none() {
        for ty in handlers.events.keys() {
            let heard = config.heard_subjects(ty);
            if heard.is_empty() {
                return Err(ClientError::NoStream {
                    subject: ty.clone(),
                });
            }
            for subject in heard {
                let pattern = subject.parse();
                filters.push(pattern.map_err(|error| ClientError::Invalid(format!("{error}")))?);
            }
        }
        filters.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        filters.dedup();
    }
    let digest = filters.iter().map(SubjectPattern::as_str);
    Ok(DurableConfig {
        stream: config.events.stream.clone(),
        durable: format!("{}-{}", config.events.durable, running.name),
        start: running.start,
        ack_wait: config.events.ack_wait,
        digest: format!("service {}", digest.collect::<Vec<_>>().join(" ")),
        filters,
        is_new: true,
    })
}

/// Pulls until the end; what was asked for before still comes.
async fn pull(running: Arc<Running>, mut wanted: DurableConfig, consumer: Consumer) {
    // Opened anew it is the version that it was.
    wanted.is_new = false;
    let room = Arc::new(Semaphore::new(EVENTS_MAX));
    let mut consumer = Some(consumer);
    let mut retry = RETRY_FIRST;
    let mut leaving = false;
    loop {
        let Some(open) = &mut consumer else {
            tokio::select! {
                () = running.tasks.begun() => return,
                () = tokio::time::sleep(retry) => {}
            }
            retry = (retry * 2).min(RETRY_LONGEST);
            match running.client.inner.transport.consumer(&wanted).await {
                Ok(opened) => consumer = Some(opened),
                Err(reason) => error!(
                    service = %running.name,
                    reason, "cannot open its consumer: its events wait"
                ),
            }
            continue;
        };
        let pulled = tokio::select! {
            biased;
            () = running.tasks.begun(), if !leaving => {
                leaving = true;
                open.leave();
                continue;
            }
            pulled = next(open, &room, leaving) => pulled,
        };
        match pulled {
            Ok(Some(deliveries)) => {
                retry = RETRY_FIRST;
                for delivery in deliveries {
                    // Never waited for: no more is asked for than there is room for.
                    let Ok(permit) = room.clone().acquire_owned().await else {
                        return;
                    };
                    let running_now = running.clone();
                    let wanted = wanted.clone();
                    running.tasks.spawn(async move {
                        deliver(&running_now, &wanted, delivery).await;
                        drop(permit);
                    });
                }
            }
            Ok(None) => return,
            Err(reason) => {
                warn!(service = %running.name, reason, "events cannot be pulled: opening the consumer anew");
                consumer = None;
            }
        }
    }
}

/// Waits for room, then for deliveries. Cancel safe.
async fn next(
    consumer: &mut Consumer,
    room: &Semaphore,
    leaving: bool,
) -> Result<Option<Vec<Delivery>>, String> {
    if leaving {
        return consumer.pull(0).await;
    }
    // The semaphore is never closed.
    drop(room.acquire().await);
    consumer.pull(room.available_permits().max(1)).await
}

/// Handles one delivery and settles it.
async fn deliver(running: &Running, wanted: &DurableConfig, delivery: Delivery) {
    let work = decide(running, wanted, &delivery);
    let end = delivery.at_work(wanted.ack_wait, work).await;
    let sequence = delivery.sequence();
    if let Err(error) = delivery.settle(end).await {
        warn!(service = %running.name, sequence, error, "an event was not settled: it will come again");
    }
}

async fn decide(running: &Running, wanted: &DurableConfig, delivery: &Delivery) -> End {
    if !delivery.wanted() {
        return End::Ack;
    }
    let message = delivery.message();
    let mut event = match CloudEvent::decode(message) {
        Ok(event) => event,
        Err(error) => {
            let reason = format!("undecodable: {error}");
            return dead_letter(running, delivery, reason).await;
        }
    };
    event.trace_from_headers(&message.headers);
    let handlers = &running.handlers;
    let named = handlers.events.get(&event.ty);
    let Some(handler) = named.or(handlers.any_event.as_ref()) else {
        return unlistened(running, wanted, delivery, &event.ty).await;
    };
    let attempt = delivery.attempt();
    let event_id = event.id.clone();
    match handler.run(running.incoming(event, attempt)).await {
        Ok(()) => End::Ack,
        Err(Fault { code, message, .. }) if code < MAY_PASS => {
            let reason = format!("rejected: {message} ({code})");
            dead_letter(running, delivery, reason).await
        }
        Err(Fault { code, message, .. }) if attempt >= running.retry.max_attempts => {
            let most = running.retry.max_attempts;
            let reason = format!("attempt {attempt} of {most}: {message} ({code})");
            dead_letter(running, delivery, reason).await
        }
        Err(Fault { code, message, .. }) => {
            let delay = running.retry.delay(attempt, fastrand::f64());
            info!(
                service = %running.name, event_id, attempt, ?delay, code, reason = message,
                "an event will be retried"
            );
            End::Nak(delay)
        }
    }
}

/// A type without a handler: another's, on a subject that many share; or one that this service once
/// handled, or that only a newer version of it does.
async fn unlistened(
    running: &Running,
    wanted: &DurableConfig,
    delivery: &Delivery,
    ty: &str,
) -> End {
    if delivery.subject() != ty {
        return End::Ack;
    }
    match running.client.inner.transport.is_newest(wanted).await {
        Ok(true) => {
            let reason = format!("unlistened: no handler for type `{ty}`");
            dead_letter(running, delivery, reason).await
        }
        Ok(false) => {
            warn!(service = %running.name, ty, "another process has a newer version, which handles more: leaving the event to it");
            End::Nak(RETRY_FIRST)
        }
        Err(error) => {
            debug!(service = %running.name, error, "cannot tell who is the newest");
            End::Nak(RETRY_LONGEST)
        }
    }
}

/// Stores the delivery in the dead-letter stream; while that takes nothing, the event stays.
async fn dead_letter(running: &Running, delivery: &Delivery, reason: String) -> End {
    let client = &running.client.inner;
    let addressee = Addressee {
        name: running.name.as_str(),
        digest: None,
    };
    let events = &client.config.events;
    let outbound = &client.outbound;
    match dead_letters::store(outbound, events, &addressee, delivery, &reason).await {
        Ok(()) => {
            warn!(
                service = %running.name, stream = delivery.stream(), sequence = delivery.sequence(),
                attempt = delivery.attempt(), reason, "an event was dead-lettered"
            );
            End::Term(reason)
        }
        Err(error) => {
            error!(
                service = %running.name, sequence = delivery.sequence(), %error, again_in = ?RETRY_LONGEST,
                "the dead-letter stream takes nothing: the event comes again"
            );
            End::Nak(RETRY_LONGEST)
        }
    }
}
