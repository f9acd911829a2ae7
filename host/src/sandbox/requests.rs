//! A guest's own queries: checked against grants and budgets, sent at once, answered in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::bindings::conche::handler::request::Event;
use super::bindings::conche::handler::types::{Draft, PayloadResult, SendError};
use super::state::{Running, State};
use super::{Tenant, convert, effects};
use crate::envelope::{CloudEvent, Fault, Message, headers, new_id};
use crate::outbound::{self, Outbound};

/// The longest answers of all requests of one call, in bytes: they lie in the host's memory until
/// all are there.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Kept back of the time that is left, so that the guest can still answer after a time-out.
const RESERVE: Duration = Duration::from_millis(50);

/// Queries ready to be sent, and those that may not be.
pub(super) struct Prepared {
    queries: Vec<Result<(String, Message), SendError>>,
    timeout: Duration,
    outbound: Outbound,
    transaction_attribute: String,
}

/// Checks each query; what is refused stays in its place as its error.
pub(super) fn prepare(
    state: &mut State,
    drafts: Vec<Draft>,
    timeout_ms: Option<u32>,
) -> wasmtime::Result<Prepared> {
    let tenant = state.tenant.clone();
    let timeout = timeout_of(state.running("request")?, &tenant, timeout_ms);
    let mut queries = Vec::with_capacity(drafts.len().min(64));
    for draft in drafts {
        queries.push(prepare_one(state, draft, timeout)?);
    }
    Ok(Prepared {
        queries,
        timeout,
        outbound: state.tenant.outbound.clone(),
        transaction_attribute: state.tenant.config.compat.transaction_attribute.clone(),
    })
}

fn prepare_one(
    state: &mut State,
    draft: Draft,
    timeout: Duration,
) -> wasmtime::Result<Result<(String, Message), SendError>> {
    let tenant = state.tenant.clone();
    let running = state.running("request")?;
    let granted = tenant.policy.grants.allows_request(&draft.type_);
    let sent = effects::may_send(&draft.type_, granted)
        .and_then(|()| no_event(&tenant, &draft.type_))
        .and_then(|()| outgoing(running, &tenant, draft, new_id()));
    Ok(sent.map(|(event, mut message)| {
        let left = timeout.as_millis().to_string();
        message.headers.insert(headers::CONCHE_TIMEOUT_MS, left);
        (event.ty, message)
    }))
}

/// A stream that takes the subject would store the query, and answer it.
fn no_event(tenant: &Tenant, subject: &str) -> Result<(), SendError> {
    if tenant.config.events.takes(subject) {
        return Err(SendError::Invalid(format!(
            "`{subject}` is the type of an event, which a stream takes: emit it"
        )));
    }
    Ok(())
}

/// What is sent at once, and not kept back as an effect: within the hop limit and the budgets of
/// the call, which it uses up.
pub(super) fn outgoing(
    running: &mut Running,
    tenant: &Tenant,
    draft: Draft,
    id: String,
) -> Result<(CloudEvent, Message), SendError> {
    let limits = &tenant.policy.limits;
    if running.requests >= limits.requests {
        return Err(SendError::OverBudget(format!(
            "sent {} requests in this call, exchanges included: raise requests in [limits]",
            limits.requests
        )));
    }
    let hops = running.facts.hops.saturating_add(1);
    if hops > tenant.config.calls.hop_limit {
        return Err(SendError::OverBudget(format!(
            "this call is {} hops away from its cause, the hop limit: do handlers ask in a circle?",
            running.facts.hops
        )));
    }
    let transaction_id = running.facts.transaction_id(tenant);
    let event = effects::event_of(draft, id, tenant, transaction_id);
    let mut message = event
        .to_structured()
        .map_err(|error| SendError::Invalid(error.to_string()))?;
    event.trace_to_headers(&mut message.headers);
    let size = effects::fits(&message, &tenant.outbound)?;
    if running.requested_bytes + size > limits.request_bytes {
        return Err(SendError::OverBudget(format!(
            "asked with more than {} bytes in this call, exchanges included: raise request-bytes in [limits]",
            limits.request_bytes
        )));
    }
    running.requests += 1;
    running.requested_bytes += size;
    message
        .headers
        .insert(headers::CONCHE_HOPS, hops.to_string());
    Ok((event, message))
}

/// What the guest wants to wait, less if the call has less left.
pub(super) fn timeout_of(running: &Running, tenant: &Tenant, timeout_ms: Option<u32>) -> Duration {
    let deadline = running.facts.deadline;
    let left = deadline
        .saturating_duration_since(Instant::now())
        .saturating_sub(RESERVE);
    let wanted = timeout_ms.map_or(tenant.config.calls.request_timeout, |ms| {
        Duration::from_millis(u64::from(ms))
    });
    wanted.min(left)
}

/// Sends all that may be sent, together, and waits for the answers.
pub(super) async fn ask(prepared: Prepared) -> Vec<Result<Event, SendError>> {
    let Prepared {
        queries,
        timeout,
        outbound,
        transaction_attribute,
    } = prepared;
    let held = AtomicUsize::new(0);
    let asked = queries.into_iter().map(|query| async {
        let (subject, message) = query?;
        // Nobody would wait for the answer.
        if timeout.is_zero() {
            return Err(SendError::TimedOut);
        }
        let answer = outbound.request(&subject, message, timeout).await;
        if let Ok(message) = &answer {
            let size = message.wire_size();
            if held.fetch_add(size, Ordering::Relaxed) + size > ANSWER_BYTES_MAX {
                return Err(SendError::OverBudget(format!(
                    "the answers to one request-all have more than {ANSWER_BYTES_MAX} bytes: ask for fewer at once"
                )));
            }
        }
        read(answer, &transaction_attribute)
    });
    join_all(asked).await
}

fn read(
    answer: Result<Message, outbound::SendError>,
    transaction_attribute: &str,
) -> Result<Event, SendError> {
    let message = answer.map_err(send_error)?;
    if message.headers.get(headers::CONCHE_SHED).is_some() {
        return Err(SendError::Busy);
    }
    if let Some(fault) = Fault::from_message(&message) {
        return Err(SendError::Remote(convert::guest_fault(fault)));
    }
    match CloudEvent::decode(&message) {
        Ok(event) => Ok(convert::answer(event, transaction_attribute)),
        // Old handlers answer with any bytes: they are handed on as they are.
        Err(_) => Ok(raw(&message)),
    }
}

/// As a guest is told it.
pub(super) fn send_error(error: outbound::SendError) -> SendError {
    match error {
        outbound::SendError::NoResponders { .. } => SendError::NoResponders,
        outbound::SendError::TimedOut { .. } => SendError::TimedOut,
        outbound::SendError::Busy { .. } => SendError::Busy,
        outbound::SendError::TooLarge { .. } | outbound::SendError::TooLargeForStream(_) => {
            SendError::OverBudget(error.to_string())
        }
        outbound::SendError::Invalid(text) => SendError::Invalid(text),
        outbound::SendError::NoStream { .. } | outbound::SendError::Other(_) => {
            SendError::Other(error.to_string())
        }
    }
}

/// An answer that is no CloudEvent: an event without attributes, its bytes as data.
fn raw(message: &Message) -> Event {
    Event {
        id: String::new(),
        source: String::new(),
        type_: String::new(),
        time: None,
        subject: None,
        datacontenttype: None,
        dataschema: None,
        transaction_id: None,
        extensions: Vec::new(),
        data: Some(PayloadResult::Binary(message.body.to_vec())),
    }
}
