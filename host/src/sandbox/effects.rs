//! The effects of one call, and among them its emits: checked, numbered and kept back. Their ids depend on the cause and the
//! draft alone, so that a call that runs again sends the same events under the same ids, in
//! whatever order it emits them.

use sha2::{Digest as _, Sha256};

use super::bindings::conche::handler::types::{Draft, SendError};
use super::listening::ListenerChange;
use super::state::{Running, State};
use super::{Tenant, convert, requests};
use crate::envelope::{Attribute, CloudEvent, Message, id_from_hash, now};
use crate::outbound::{self, Outbound};
use crate::subject::{check_literal, is_reserved};

/// What a handler asked for that happens only if it succeeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Changes of the plugin's dynamic listeners, in order. They come first: what is emitted then
    /// may be what they wait for.
    pub listeners: Vec<ListenerChange>,
    /// Events, in order.
    pub emitted: Vec<Emitted>,
}

impl Effects {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.emitted.is_empty()
    }
}

/// An event that a handler emitted: published once the handler has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// `cloudevent-` and a hash; the same on every replica and in every run.
    pub id: String,
    /// The event's type.
    pub ty: String,
    /// What the guest calls it within the call, if it does.
    pub key: Option<String>,
    /// The envelope, in structured mode.
    pub message: Message,
}

/// `emit.emit`
pub(super) fn emit(state: &mut State, draft: Draft) -> wasmtime::Result<Result<String, SendError>> {
    let tenant = state.tenant.clone();
    let limits = &tenant.policy.limits;
    let running = state.running("emit")?;
    if let Err(refusal) = may_send(&draft.type_, tenant.policy.grants.allows_emit(&draft.type_)) {
        return Ok(Err(refusal));
    }
    if running.effects.emitted.len() >= limits.emits as usize {
        return Ok(Err(SendError::OverBudget(format!(
            "emitted {} events in this call: raise emits in [limits]",
            limits.emits
        ))));
    }
    let id = match emit_id(running, tenant.name.as_str(), &draft) {
        Ok(id) => id,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let key = draft.key.clone();
    let event = event_of(
        draft,
        id.clone(),
        &tenant,
        running.facts.transaction_id(&tenant),
    );
    let message = match event.to_structured() {
        Ok(mut message) => {
            event.trace_to_headers(&mut message.headers);
            message
        }
        Err(error) => return Ok(Err(SendError::Invalid(error.to_string()))),
    };
    let size = match fits(&message, &tenant.outbound) {
        Ok(size) => size,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if running.emitted_bytes + size > limits.emit_bytes {
        return Ok(Err(SendError::OverBudget(format!(
            "emitted more than {} bytes in this call: raise emit-bytes in [limits]",
            limits.emit_bytes
        ))));
    }
    running.emitted_bytes += size;
    if key.is_some() {
        running.keyed.push(id.clone());
    }
    running.effects.emitted.push(Emitted {
        id: id.clone(),
        ty: event.ty,
        key,
        message,
    });
    Ok(Ok(id))
}

/// What stands between any message of a guest and the wire: a legal subject that is nobody's own,
/// and the grant.
pub(super) fn may_send<E: ToString>(
    subject: &str,
    granted: Result<(), E>,
) -> Result<(), SendError> {
    if is_reserved(subject) {
        return Err(SendError::Refused(format!(
            "`{subject}` is reserved: no policy grants `$…`, `_INBOX.…` or `conche.…`"
        )));
    }
    if let Err(flaw) = check_literal(subject) {
        return Err(SendError::Invalid(flaw.to_string()));
    }
    granted.map_err(|refusal| SendError::Refused(refusal.to_string()))
}

/// The longest key of a message, in bytes.
const KEY_BYTES_MAX: usize = 1024;

/// Room left in a message for the headers that the host adds.
const HEADER_ROOM: usize = 1024;

/// How large a message is, if it fits with the headers that the host adds.
pub(super) fn fits(message: &Message, outbound: &Outbound) -> Result<usize, SendError> {
    outbound.fits(message, HEADER_ROOM).map_err(|error| match error {
        outbound::SendError::TooLarge { size, max } => SendError::OverBudget(format!(
            "the envelope has {size} bytes, with {HEADER_ROOM} for the host's headers more than the {max} that the server takes: send a reference (dataref)"
        )),
        other => requests::send_error(other),
    })
}

/// The event that a draft becomes.
pub(super) fn event_of(
    draft: Draft,
    id: String,
    tenant: &Tenant,
    transaction_id: Option<&str>,
) -> CloudEvent {
    let mut event = CloudEvent {
        id,
        source: tenant.source.clone(),
        ty: draft.type_,
        time: Some(now()),
        subject: draft.subject,
        datacontenttype: draft.datacontenttype,
        dataschema: draft.dataschema,
        extensions: convert::host_extensions(draft.extensions),
        data: draft.data.map(convert::payload),
    };
    if let Some(id) = draft.transaction_id.as_deref().or(transaction_id) {
        event.set_extension(
            &tenant.config.compat.transaction_attribute,
            Attribute::Text(id.to_owned()),
        );
    }
    event
}

/// Hash of (source, event id, plugin, handler, listener, key), or without a key of the draft and
/// how many equal ones came before it.
///
/// # Errors
/// A key that is too long, or that names another message of the call: a stream stores one of them.
pub(super) fn emit_id(
    running: &mut Running,
    plugin: &str,
    draft: &Draft,
) -> Result<String, SendError> {
    if let Some(key) = &draft.key
        && key.len() > KEY_BYTES_MAX
    {
        return Err(SendError::Invalid(format!(
            "its key has {} bytes, more than {KEY_BYTES_MAX}",
            key.len()
        )));
    }
    let facts = &running.facts;
    let mut hash = Sha256::new();
    for part in [
        &facts.event.source,
        &facts.event.id,
        plugin,
        &*facts.handler,
    ] {
        put(&mut hash, part.as_bytes());
    }
    // Two listeners may name one handler.
    if let Some(listener) = &facts.listener {
        put(&mut hash, listener.as_bytes());
    }
    if let Some(key) = &draft.key {
        put(&mut hash, b"key");
        put(&mut hash, key.as_bytes());
    } else {
        let draft = draft_hash(draft);
        let before = running.drafts.iter().filter(|seen| **seen == draft).count();
        running.drafts.push(draft);
        put(&mut hash, b"draft");
        put(&mut hash, &draft);
        put(&mut hash, &before.to_le_bytes());
    }
    let digest = hash.finalize();
    let mut id = [0; 12];
    id.copy_from_slice(&digest[..12]);
    let id = id_from_hash(id);
    match &draft.key {
        Some(key) if running.keyed.contains(&id) => Err(SendError::Invalid(format!(
            "key `{key}` names another message of this call: it would not be stored"
        ))),
        _ => Ok(id),
    }
}

fn draft_hash(draft: &Draft) -> [u8; 32] {
    let mut hash = Sha256::new();
    put(&mut hash, draft.type_.as_bytes());
    for part in [
        &draft.subject,
        &draft.datacontenttype,
        &draft.dataschema,
        &draft.transaction_id,
    ] {
        match part {
            Some(text) => put(&mut hash, text.as_bytes()),
            None => hash.update([0xff; 8]),
        }
    }
    for extension in &draft.extensions {
        put(&mut hash, extension.name.as_bytes());
        put(&mut hash, format!("{:?}", extension.value).as_bytes());
    }
    if let Some(data) = &draft.data {
        let (kind, bytes) = convert::payload_bytes(data);
        put(&mut hash, kind.as_bytes());
        put(&mut hash, &bytes);
    }
    hash.finalize().into()
}

/// Length first, so that no two lists of parts run together.
fn put(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
