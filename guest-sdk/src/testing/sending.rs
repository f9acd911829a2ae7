//! The doubles of what sends messages: checked as the host checks them, kept for the test to see,
//! answered by what the test says.

use super::running::{self, Call};
use super::{Host, ids, incoming};
use crate::errors::SendError;
use crate::message::{CloudEvent, Draft, Reply};

pub(crate) mod emit {
    use super::{Draft, SendError, event_of, ids, may_send, running};

    pub(crate) fn emit(draft: &Draft) -> Result<String, SendError> {
        running::calling("emit", |host, call| {
            may_send(host, &draft.type_)?;
            let id = ids::emit_id(call, draft)?;
            let event = event_of(draft, id.clone(), call);
            call.effects.emitted.push(event);
            Ok(id)
        })
    }
}

pub(crate) mod request {
    use super::{CloudEvent, Draft, SendError, answer_of, event_of, may_send, running};

    pub(crate) fn request(query: &Draft, _: Option<u32>) -> Result<CloudEvent, SendError> {
        let asked = running::calling("request", |host, call| {
            may_send(host, &query.type_)?;
            let asked = event_of(query, host.next_id(), call);
            call.requests.push(asked.clone());
            Ok(asked)
        })?;
        // As on a host where nobody serves it.
        let reply = running::answer(&asked).unwrap_or(Err(SendError::NoResponders))?;
        Ok(answer_of(&asked, reply))
    }

    pub(crate) fn request_all(
        queries: &[Draft],
        timeout_ms: Option<u32>,
    ) -> Vec<Result<CloudEvent, SendError>> {
        let ask = |query| request(query, timeout_ms);
        queries.iter().map(ask).collect()
    }
}

pub(crate) mod exchange {
    use super::{CloudEvent, Draft, SendError, answer_of, event_of, ids, may_send, running};

    pub(crate) fn exchange(
        draft: &Draft,
        answer_types: &[String],
        _: Option<u32>,
    ) -> Result<CloudEvent, SendError> {
        let sent = running::calling("exchange", |host, call| {
            may_send(host, &draft.type_)?;
            if answer_types.is_empty() {
                let text = "no answer types: name at least one type of event to wait for";
                return Err(SendError::Invalid(text.to_owned()));
            }
            let id = ids::emit_id(call, draft)?;
            let mut sent = event_of(draft, id, call);
            if sent.transaction_id.is_none() {
                sent.transaction_id = Some(format!("tid-{}", sent.id));
            }
            call.exchanges.push(sent.clone());
            Ok(sent)
        })?;
        let reply = running::answer(&sent).unwrap_or(Err(SendError::TimedOut))?;
        let answer = answer_of(&sent, reply);
        // What it does not wait for it does not see.
        if answer_types.contains(&answer.type_) {
            Ok(answer)
        } else {
            Err(SendError::TimedOut)
        }
    }
}

fn may_send(host: &Host, type_: &str) -> Result<(), SendError> {
    if type_.starts_with('$') || type_.starts_with("_INBOX.") || type_.starts_with("conche.") {
        return Err(SendError::Refused(format!(
            "`{type_}` is reserved: no policy grants `$…`, `_INBOX.…` or `conche.…`"
        )));
    }
    let illegal = |c: char| c.is_whitespace() || c.is_control() || c == '*' || c == '>';
    if type_
        .split('.')
        .any(|token| token.is_empty() || token.contains(illegal))
    {
        return Err(SendError::Invalid(format!(
            "`{type_}` is no subject: write tokens joined by dots, without wildcards or spaces"
        )));
    }
    host.fails(type_)
}

/// The event that a draft becomes.
fn event_of(draft: &Draft, id: String, call: &Call) -> CloudEvent {
    let own = call.cause.transaction_id.as_ref();
    CloudEvent {
        id,
        source: "/conche/test".to_owned(),
        type_: draft.type_.clone(),
        time: Some(incoming::TIME.to_owned()),
        subject: draft.subject.clone(),
        datacontenttype: draft.datacontenttype.clone(),
        dataschema: draft.dataschema.clone(),
        transaction_id: draft.transaction_id.as_ref().or(own).cloned(),
        extensions: draft.extensions.clone(),
        data: draft.data.clone(),
    }
}

/// The answer as its asker gets it: of the same transaction.
fn answer_of(asked: &CloudEvent, reply: Reply) -> CloudEvent {
    CloudEvent {
        id: format!("{}-answer", asked.id),
        source: "/test".to_owned(),
        type_: reply.type_.unwrap_or_else(|| asked.type_.clone()),
        time: Some(incoming::TIME.to_owned()),
        subject: reply.subject,
        datacontenttype: reply.datacontenttype,
        dataschema: reply.dataschema,
        transaction_id: asked.transaction_id.clone(),
        extensions: reply.extensions,
        data: reply.data,
    }
}
