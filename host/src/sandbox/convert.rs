//! Between the envelope's types and the generated ones. Nothing is copied on the way in: the
//! guest's memory is written straight from the event.

use std::borrow::Cow;

use bytes::Bytes;

use super::bindings::conche::handler::types as wit;
use crate::envelope::{Attribute, CloudEvent, Extension, Fault, Payload};

/// What of `event` the guest sees as extensions: all but the transaction id, which has a field.
pub(super) fn extensions<'a>(
    event: &'a CloudEvent,
    transaction_attribute: &str,
) -> Vec<wit::ExtensionParam<'a>> {
    event
        .extensions
        .iter()
        .filter(|extension| extension.name != transaction_attribute)
        .map(|extension| wit::ExtensionParam {
            name: &extension.name,
            value: match &extension.value {
                Attribute::Boolean(value) => wit::AttributeParam::Boolean(*value),
                Attribute::Integer(value) => wit::AttributeParam::Integer(*value),
                Attribute::Text(value) => wit::AttributeParam::Text(value),
            },
        })
        .collect()
}

/// The event as the guest sees it.
pub(super) fn event<'a>(
    event: &'a CloudEvent,
    extensions: &'a [wit::ExtensionParam<'a>],
    transaction_attribute: &str,
) -> wit::EventParam<'a> {
    wit::EventParam {
        id: &event.id,
        source: &event.source,
        type_: &event.ty,
        time: event.time.as_deref(),
        subject: event.subject.as_deref(),
        datacontenttype: event.datacontenttype.as_deref(),
        dataschema: event.dataschema.as_deref(),
        transaction_id: event.transaction_id(transaction_attribute),
        extensions,
        data: event.data.as_ref().map(|data| match data {
            Payload::Json(text) => wit::PayloadParam::Json(text),
            Payload::Text(text) => wit::PayloadParam::Text(text),
            Payload::Binary(bytes) => wit::PayloadParam::Binary(bytes),
        }),
    }
}

/// An answer to a guest's own request.
pub(super) fn answer(event: CloudEvent, transaction_attribute: &str) -> wit::EventResult {
    let transaction_id = event
        .transaction_id(transaction_attribute)
        .map(str::to_owned);
    wit::EventResult {
        extensions: event
            .extensions
            .into_iter()
            .filter(|extension| extension.name != transaction_attribute)
            .map(|extension| wit::ExtensionResult {
                name: extension.name,
                value: match extension.value {
                    Attribute::Boolean(value) => wit::AttributeResult::Boolean(value),
                    Attribute::Integer(value) => wit::AttributeResult::Integer(value),
                    Attribute::Text(value) => wit::AttributeResult::Text(value),
                },
            })
            .collect(),
        id: event.id,
        source: event.source,
        type_: event.ty,
        time: event.time,
        subject: event.subject,
        datacontenttype: event.datacontenttype,
        dataschema: event.dataschema,
        transaction_id,
        data: event.data.map(guest_payload),
    }
}

/// A fault of the other side, for the guest.
pub(super) fn guest_fault(fault: Fault) -> wit::Fault {
    wit::Fault {
        code: fault.code,
        message: fault.message,
        details: fault.details.map(guest_payload),
    }
}

/// A guest's fault, for the envelope. A code that says no error, or nothing that HTTP has, would be
/// read as whatever it happens to mean: it is 500 then.
pub(super) fn fault(fault: wit::Fault) -> Fault {
    Fault {
        code: match fault.code {
            400..=599 => fault.code,
            _ => 500,
        },
        message: fault.message,
        details: fault.details.map(payload),
    }
}

/// A guest's payload. That `json` is one JSON value is checked where it is encoded.
pub(super) fn payload(payload: wit::PayloadResult) -> Payload {
    match payload {
        wit::PayloadResult::Json(text) => Payload::Json(text),
        wit::PayloadResult::Text(text) => Payload::Text(text),
        wit::PayloadResult::Binary(bytes) => Payload::Binary(Bytes::from(bytes)),
    }
}

/// A guest's extensions.
pub(super) fn host_extensions(extensions: Vec<wit::ExtensionResult>) -> Vec<Extension> {
    extensions
        .into_iter()
        .map(|extension| Extension {
            name: extension.name,
            value: match extension.value {
                wit::AttributeResult::Boolean(value) => Attribute::Boolean(value),
                wit::AttributeResult::Integer(value) => Attribute::Integer(value),
                wit::AttributeResult::Text(value) => Attribute::Text(value),
            },
        })
        .collect()
}

/// The bytes of a payload, for hashing, and which kind it is.
pub(super) fn payload_bytes(payload: &wit::PayloadResult) -> (&'static str, Cow<'_, [u8]>) {
    match payload {
        wit::PayloadResult::Json(text) => ("json", Cow::Borrowed(text.as_bytes())),
        wit::PayloadResult::Text(text) => ("text", Cow::Borrowed(text.as_bytes())),
        wit::PayloadResult::Binary(bytes) => ("binary", Cow::Borrowed(bytes)),
    }
}

fn guest_payload(payload: Payload) -> wit::PayloadResult {
    match payload {
        Payload::Json(text) => wit::PayloadResult::Json(text),
        Payload::Text(text) => wit::PayloadResult::Text(text),
        Payload::Binary(bytes) => wit::PayloadResult::Binary(bytes.to_vec()),
    }
}
