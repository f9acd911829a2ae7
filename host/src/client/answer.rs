//! What a query brought: an event, or bytes that are none. Must not know how it came.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::ClientError;
use crate::envelope::{CloudEvent, Fault, Headers, Message, Payload, headers};

/// The answer to a query.
///
/// Services may answer with any bytes, so an answer may be no CloudEvent: such bytes are handed on
/// as they are, and [`Answer::event`] is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    message: Message,
    event: Option<CloudEvent>,
    transaction_attribute: String,
}

impl Answer {
    pub(super) fn read(
        subject: &str,
        message: Message,
        transaction_attribute: &str,
    ) -> Result<Answer, ClientError> {
        if message.headers.get(headers::CONCHE_SHED).is_some() {
            return Err(ClientError::Busy {
                subject: subject.to_owned(),
            });
        }
        if let Some(fault) = Fault::from_message(&message) {
            return Err(ClientError::Remote(fault));
        }
        Ok(Answer {
            event: CloudEvent::decode(&message).ok(),
            message,
            transaction_attribute: transaction_attribute.to_owned(),
        })
    }

    /// The event that it is; `None` for bytes that are none.
    pub fn event(&self) -> Option<&CloudEvent> {
        self.event.as_ref()
    }

    /// The same, to keep.
    pub fn into_event(self) -> Option<CloudEvent> {
        self.event
    }

    /// Reads the data, or the bytes of an answer that is no event, as JSON. No data reads as `null`.
    ///
    /// # Errors
    /// `Data`: it is no JSON, or not what `T` wants.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        let read = match &self.event {
            Some(event) => event.data_as(),
            None => serde_json::from_slice(&self.message.body),
        };
        read.map_err(|error| ClientError::Data(error.to_string()))
    }

    /// The bytes of the data, as the old package answers them: unwrapped if it is an event, else
    /// as they came. JSON is as it was written, to the digit.
    pub fn bytes(&self) -> Bytes {
        match self.event.as_ref().map(|event| &event.data) {
            None => self.message.body.clone(),
            Some(None) => Bytes::new(),
            Some(Some(Payload::Json(text) | Payload::Text(text))) => {
                Bytes::copy_from_slice(text.as_bytes())
            }
            Some(Some(Payload::Binary(bytes))) => bytes.clone(),
        }
    }

    /// The transaction id that it carries.
    pub fn transaction_id(&self) -> Option<&str> {
        let event = self.event.as_ref()?;
        event.transaction_id(&self.transaction_attribute)
    }

    /// What travelled beside it.
    pub fn headers(&self) -> &Headers {
        &self.message.headers
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, ClientError};
    use crate::envelope::{CloudEvent, Fault, Message, headers};

    fn read(message: Message) -> Result<Answer, ClientError> {
        Answer::read("op", message, "transactionid")
    }

    fn of(body: &'static str) -> Message {
        Message {
            body: body.into(),
            ..Message::default()
        }
    }

    #[test]
    fn data_is_unwrapped_however_it_is_wrapped() {
        let check = |data: &str, bytes: &str| {
            let text = format!(
                r#"{{"specversion":"1.0","id":"1","source":"s","type":"op","transactionid":"tid-1"{data}}}"#
            );
            let message = Message {
                body: text.into(),
                ..Message::default()
            };
            let answer = read(message).unwrap();
            assert_eq!(answer.bytes(), bytes, "{data}");
            assert_eq!(answer.transaction_id(), Some("tid-1"));
            answer
        };
        let answer = check(
            r#","data":{"n":12345678901234567890123}"#,
            r#"{"n":12345678901234567890123}"#,
        );
        assert!(answer.data::<Vec<u8>>().is_err());
        let base64 = check(
            r#","datacontenttype":"application/json","data_base64":"WzFd""#,
            "[1]",
        );
        assert_eq!(base64.data::<Vec<u8>>(), Ok(vec![1]));
        assert_eq!(check("", "").data::<Option<u8>>(), Ok(None));
    }

    #[test]
    fn bytes_that_are_no_event_are_handed_on() {
        let answer = read(of("[1,2]")).unwrap();
        assert_eq!((answer.event(), &*answer.bytes()), (None, &b"[1,2]"[..]));
        assert_eq!(answer.data::<Vec<u8>>(), Ok(vec![1, 2]));
        let words = read(of("hello")).unwrap();
        assert_eq!(&*words.bytes(), b"hello");
        assert!(matches!(words.data::<u8>(), Err(ClientError::Data(_))));
    }

    #[test]
    fn errors_are_told_apart() {
        let envelope = CloudEvent {
            id: "1".into(),
            source: "s".into(),
            ty: "op".into(),
            ..CloudEvent::default()
        };
        let fault = Fault::new(404, "no such user");
        let mut message = fault.to_message(&envelope).unwrap();
        assert_eq!(read(message.clone()), Err(ClientError::Remote(fault)));
        message.headers.insert(headers::CONCHE_SHED, "1");
        assert!(matches!(read(message), Err(ClientError::Busy { .. })));
    }
}
