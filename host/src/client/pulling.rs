//! The events of a service: pulled from its durable consumer, handled, and settled. Must not know
//! queries.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::{error, info, warn};

use super::ClientError;
use super::serving::Running;
use crate::dead_letters::{self, Addressee};
use crate::envelope::Fault;
use crate::nats::{DurableConfig, Whose};
use crate::source::{Consumer, Delivery, Durable, End};
use crate::subject::SubjectPattern;
use crate::text::{self, REASON_MAX, cut};

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
    let Some(wanted) = wanted(running)? else {
        return Ok(());
    };
    for filter in &wanted.filters {
        let takers = client.outbound.streams_taking(filter).await?;
        if !takers.contains(&client.config.events.stream) {
            return Err(ClientError::no_stream(filter.to_string()));
        }
    }
    let events = &client.config.events;
    let name = format!("{}-{}", events.durable, running.name);
    let durable = Arc::new(client.transport.durable(&events.stream, &name));
    let consumer = durable.open(wanted.clone()).await;
    let consumer = consumer.map_err(ClientError::Other)?;
    let kept_up = durable.clone();
    let keep_up = async move { kept_up.keep_up().await };
    running.tasks.spawn_until_end(keep_up);
    let pull = pull(running.clone(), durable, wanted, consumer);
    running.tasks.spawn(pull);
    Ok(())
}

/// `None`: it listens to nothing.
fn wanted(running: &Running) -> Result<Option<DurableConfig>, ClientError> {
    let config = &running.client.inner.config;
    let handlers = &running.handlers;
    if handlers.any_event.is_none() {
        for ty in handlers.events.keys() {
            let heard = config.heard_subjects(ty);
            if heard.is_empty() {
                return Err(ClientError::no_stream(ty.clone()));
            }
            for subject in heard {
                let pattern = subject.parse::<SubjectPattern>();
                pattern.map_err(|error| ClientError::Invalid(format!("{error}")))?;
            }
        }
    }
    Ok(DurableConfig::new(
        handlers.events.keys().map(String::as_str),
        handlers.any_event.is_some(),
        |ty| config.heard_subjects(ty),
        running.start,
        config.events.ack_wait,
    ))
}

/// Pulls until the end; what was asked for before still comes.
async fn pull(
    running: Arc<Running>,
    durable: Arc<Durable>,
    wanted: DurableConfig,
    consumer: Consumer,
) {
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
            match durable.open(wanted.clone()).await {
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
            pulled = next(&durable, open, &room, leaving) => pulled,
        };
        match pulled {
            Ok(Some(deliveries)) => {
                retry = RETRY_FIRST;
                for delivery in deliveries {
                    // Never waited for: no more is asked for than there is room for.
                    let Ok(permit) = room.clone().acquire_owned().await else {
                        return;
                    };
                    let (running_now, durable) = (running.clone(), durable.clone());
                    running.tasks.spawn(async move {
                        deliver(&running_now, &durable, delivery).await;
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
    durable: &Durable,
    consumer: &mut Consumer,
    room: &Semaphore,
    leaving: bool,
) -> Result<Option<Vec<Delivery>>, String> {
    if leaving {
        return consumer.pull(0).await;
    }
    // While another gets the events, what was asked for before still comes.
    tokio::select! {
        biased;
        () = durable.until_it_may_pull() => {}
        pulled = consumer.owed() => return pulled,
    }
    // The semaphore is never closed.
    drop(room.acquire().await);
    consumer.pull(room.available_permits().max(1)).await
}

/// Handles one delivery and settles it.
async fn deliver(running: &Running, durable: &Durable, delivery: Delivery) {
    let work = decide(running, durable, &delivery);
    let ack_wait = running.client.inner.config.events.ack_wait;
    let end = delivery.at_work(ack_wait, work).await;
    let sequence = delivery.sequence();
    if let Err(error) = delivery.settle(end).await {
        warn!(service = %running.name, sequence, error, "an event was not settled: it will come again");
    }
}

async fn decide(running: &Running, durable: &Durable, delivery: &Delivery) -> End {
    match durable.wants(delivery).await {
        Ok(true) => {}
        Ok(false) => return End::Ack,
        Err(error) => return cannot_tell(running, &error),
    }
    let event = match delivery.event() {
        Ok(event) => event,
        Err(reason) => return dead_letter(running, delivery, reason).await,
    };
    let handlers = &running.handlers;
    let named = handlers.events.get(&event.ty);
    let Some(handler) = named.or(handlers.any_event.as_ref()) else {
        return unlistened(running, durable, delivery, &event.ty).await;
    };
    let attempt = delivery.attempt();
    let event_id = event.id.clone();
    match handler.run(running.incoming(event, attempt)).await {
        Ok(()) => End::Ack,
        Err(Fault { code, message, .. }) if code < MAY_PASS => {
            let reason = format!("rejected: {} ({code})", cut(&message, REASON_MAX));
            dead_letter(running, delivery, reason).await
        }
        Err(Fault { code, message, .. }) if attempt >= running.retry.max_attempts => {
            let most = running.retry.max_attempts;
            let reason = format!(
                "attempt {attempt} of {most}: {} ({code})",
                cut(&message, REASON_MAX)
            );
            dead_letter(running, delivery, reason).await
        }
        Err(Fault { code, message, .. }) => {
            let delay = running.retry.delay(attempt, fastrand::f64());
            info!(
                service = %running.name, event_id = &*text::name(&event_id), attempt, ?delay, code,
                reason = &*cut(&message, REASON_MAX),
                "an event will be retried"
            );
            End::Nak(delay)
        }
    }
}

/// A type without a handler: another's, on a subject that many share; or one that this service once
/// handled, or that only another version of it does.
async fn unlistened(running: &Running, durable: &Durable, delivery: &Delivery, ty: &str) -> End {
    match durable.whose(delivery, ty).await {
        Ok(Whose::Nobodys) => End::Ack,
        Ok(Whose::Others) => {
            info!(service = %running.name, ty = &*text::name(ty), "another process has a version that handles this type: leaving the event to it");
            End::Nak(delivery.left_for())
        }
        Ok(Whose::Ours) => {
            let reason = format!("unlistened: no handler for type `{}`", text::name(ty));
            dead_letter(running, delivery, reason).await
        }
        Err(error) => cannot_tell(running, &error),
    }
}

fn cannot_tell(running: &Running, error: &str) -> End {
    if running.tasks.has_begun() {
        // It answers no questions any more, not even its own.
        return End::Nak(RETRY_FIRST);
    }
    warn!(service = %running.name, error, "cannot tell whose an event is: it comes again");
    End::Nak(RETRY_LONGEST)
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
