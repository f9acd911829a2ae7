//! `exchange`: an event that a guest publishes at once, and the first that answers it. Must not know
//! how events are watched.

use tokio::time::timeout;

use super::bindings::conche::handler::request::Event;
use super::bindings::conche::handler::types::{Draft, SendError};
use super::state::State;
use super::{convert, effects, requests};
use crate::envelope::{CloudEvent, Message, headers, transaction_id_of};
use crate::outbound::Outbound;
use crate::outbound::watch::{Interest, Watch};
use crate::subject::MAX_SUBJECT_BYTES;

/// Types that one exchange may wait for.
const ANSWER_TYPES_MAX: usize = 64;

/// An exchange that may begin.
pub(super) struct Prepared {
    subject: String,
    message: Message,
    interest: Interest,
    timeout: std::time::Duration,
    outbound: Outbound,
    watch: Watch,
    transaction_attribute: String,
}

/// Checks it; what is refused is the guest's answer.
pub(super) fn prepare(
    state: &mut State,
    mut draft: Draft,
    answer_types: Vec<String>,
    timeout_ms: Option<u32>,
) -> wasmtime::Result<Result<Prepared, SendError>> {
    let tenant = state.tenant.clone();
    let plugin = tenant.name.as_str();
    let digest = tenant.digest;
    let running = state.running("exchange")?;
    let grants = &tenant.policy.grants;
    let granted = effects::may_send(&draft.type_, grants.allows_exchange(&draft.type_))
        .and_then(|()| waits_for(&answer_types, |ty| grants.allows_exchange(ty)));
    if let Err(refusal) = granted {
        return Ok(Err(refusal));
    }
    // The same in each run, as for an emit: a retry publishes nothing twice.
    let id = match effects::emit_id(running, plugin, &draft) {
        Ok(id) => id,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let is_keyed = draft.key.is_some();
    let own = running.facts.transaction_id(&tenant).map(str::to_owned);
    let transaction_id = draft.transaction_id.take().or(own);
    let transaction_id = transaction_id.unwrap_or_else(|| transaction_id_of(&id));
    draft.transaction_id = Some(transaction_id.clone());
    let timeout = requests::timeout_of(running, &tenant, timeout_ms);
    let (event, mut message) = match requests::outgoing(running, &tenant, draft, id.clone()) {
        Ok(sent) => sent,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Some(subject) = tenant.config.event_subject(&event.ty) else {
        return Ok(Err(no_stream(&event.ty)));
    };
    if is_keyed {
        running.keyed.push(id.clone());
    }
    message.headers.insert(headers::NATS_MSG_ID, id);
    let cause = headers::cause(running.facts.stored_at(), plugin, digest);
    message.headers.insert(headers::CONCHE_CAUSE, cause);
    Ok(Ok(Prepared {
        subject,
        message,
        interest: Interest {
            types: answer_types,
            within: Vec::new(),
            transaction_id: Some(transaction_id),
        },
        timeout,
        outbound: tenant.outbound.clone(),
        watch: tenant.watch.clone(),
        transaction_attribute: tenant.config.compat.transaction_attribute.clone(),
    }))
}

/// Publishes, and waits for the answer.
pub(super) async fn ask(prepared: Prepared) -> Result<Event, SendError> {
    let attribute = prepared.transaction_attribute.clone();
    // Nobody would wait for the answer.
    if prepared.timeout.is_zero() {
        return Err(SendError::TimedOut);
    }
    let answer = timeout(prepared.timeout, publish_and_wait(prepared)).await;
    let answer = answer.map_err(|_| SendError::TimedOut)??;
    Ok(convert::answer(answer, &attribute))
}

async fn publish_and_wait(prepared: Prepared) -> Result<CloudEvent, SendError> {
    let Prepared {
        subject,
        message,
        interest,
        outbound,
        watch,
        ..
    } = prepared;
    // Before the event is there: its answer may come at once.
    let mut answers = watch
        .tap(interest.clone())
        .await
        .map_err(requests::send_error)?;
    let published = outbound.publish_event(&subject, message).await;
    let stored = published.map_err(requests::send_error)?;
    if stored.duplicate && stored.stream == watch.stream() {
        // An earlier run published it: the answer may be there already.
        let found = watch.first_after(stored.sequence, &interest).await;
        return found.map_err(requests::send_error);
    }
    loop {
        let Some(seen) = answers.next().await else {
            return Err(SendError::Other("the host is about to end".to_owned()));
        };
        // One stream counts all; of another's there is nothing to compare.
        if stored.stream != watch.stream() || seen.sequence > stored.sequence {
            return Ok(CloudEvent::clone(&seen.event));
        }
    }
}

/// What stands between a guest and the events it waits for.
pub(super) fn waits_for<E: ToString>(
    types: &[String],
    granted: impl Fn(&str) -> Result<(), E>,
) -> Result<(), SendError> {
    if types.is_empty() {
        let text = "no answer types: name at least one type of event to wait for";
        return Err(SendError::Invalid(text.to_owned()));
    }
    if types.len() > ANSWER_TYPES_MAX {
        return Err(SendError::OverBudget(format!(
            "waits for {} types, more than {ANSWER_TYPES_MAX}",
            types.len()
        )));
    }
    if let Some(ty) = types.iter().find(|ty| ty.len() > MAX_SUBJECT_BYTES) {
        return Err(SendError::Invalid(format!(
            "a type of {} bytes, more than {MAX_SUBJECT_BYTES}",
            ty.len()
        )));
    }
    let refused = types.iter().find_map(|ty| granted(ty).err());
    match refused {
        Some(refusal) => Err(SendError::Refused(refusal.to_string())),
        None => Ok(()),
    }
}

fn no_stream(ty: &str) -> SendError {
    SendError::Other(format!("no stream takes `{ty}`"))
}
