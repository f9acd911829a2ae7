//! Ids that depend on the cause and the draft alone, as a host makes them: equal in each run of a
//! delivery, different between two. Not the same ids as a host's, which knows the plugin's name.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::running::Call;
use crate::errors::SendError;
use crate::message::{Draft, Payload};

/// 32 hexadecimal digits, as on a host.
pub(super) fn idempotency_key(call: &Call) -> String {
    let handler = (&call.matched.handler, &call.matched.listener);
    format!(
        "{:032x}",
        wide(&(&call.cause.source, &call.cause.id, handler))
    )
}

/// By key, or by the whole draft and how many equal ones came before. A key names one message of the
/// call.
pub(super) fn emit_id(call: &mut Call, draft: &Draft) -> Result<String, SendError> {
    let before = call.drafts.iter().filter(|seen| *seen == draft).count();
    let cause = (&call.cause.source, &call.cause.id);
    let handler = (&call.matched.handler, &call.matched.listener);
    let id = match &draft.key {
        Some(key) => wide(&(cause, handler, key)),
        None => wide(&(cause, handler, identity(draft), before)),
    };
    // As long as the xid in a host's ids.
    let id = format!("cloudevent-{:020x}", id & ((1 << 80) - 1));
    match &draft.key {
        None => call.drafts.push(draft.clone()),
        Some(key) if call.keyed.contains(&id) => {
            return Err(SendError::Invalid(format!(
                "key `{key}` names another message of this call: it would not be stored"
            )));
        }
        Some(_) => call.keyed.push(id.clone()),
    }
    Ok(id)
}

fn identity(draft: &Draft) -> impl Hash {
    let data = draft.data.as_ref().map(|data| match data {
        Payload::Json(text) => (0, text.clone().into_bytes()),
        Payload::Text(text) => (1, text.clone().into_bytes()),
        Payload::Binary(bytes) => (2, bytes.clone()),
    });
    let extensions: Vec<String> = draft
        .extensions
        .iter()
        .map(|extension| format!("{extension:?}"))
        .collect();
    let media = (draft.datacontenttype.clone(), draft.dataschema.clone());
    let names = (
        draft.type_.clone(),
        draft.subject.clone(),
        draft.transaction_id.clone(),
    );
    (names, media, extensions, data)
}

/// `DefaultHasher` begins with the same keys each time, and gives 64 bits.
fn wide(value: &impl Hash) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, value).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    (half(0) << 64) | half(1)
}
