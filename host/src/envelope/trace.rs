//! W3C trace context, as extensions of an event and as headers of a message.

use super::headers::{Headers, TRACEPARENT, TRACESTATE};
use super::{Attribute, CloudEvent};

impl CloudEvent {
    /// Copies the extensions `traceparent` and `tracestate` into headers of the same names, where
    /// tools look that know nothing of CloudEvents. What could not be a header is left out.
    pub fn trace_to_headers(&self, headers: &mut Headers) {
        for name in [TRACEPARENT, TRACESTATE] {
            if let Some(Attribute::Text(value)) = self.extension(name)
                && is_header(value)
            {
                headers.insert(name, value.clone());
            }
        }
    }

    /// Takes `traceparent` and `tracestate` from headers, if the event has no `traceparent` of its
    /// own: the two belong together, and the event's are those of who made it.
    pub fn trace_from_headers(&mut self, headers: &Headers) {
        if self.extension(TRACEPARENT).is_some() {
            return;
        }
        let Some(parent) = headers.get(TRACEPARENT).filter(|value| is_header(value)) else {
            return;
        };
        self.set_extension(TRACEPARENT, Attribute::Text(parent.to_owned()));
        if let Some(state) = headers.get(TRACESTATE).filter(|value| is_header(value)) {
            self.set_extension(TRACESTATE, Attribute::Text(state.to_owned()));
        }
    }
}

/// Printable ASCII: anything else would be no trace context, and might break a header.
fn is_header(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| matches!(b, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::{Attribute, CloudEvent, Headers, TRACEPARENT, TRACESTATE};

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn there_and_back() {
        let mut event = CloudEvent::default();
        event.set_extension(TRACEPARENT, Attribute::Text(PARENT.into()));
        event.set_extension(TRACESTATE, Attribute::Text("a=1\r\nX: y".into()));
        let mut headers = Headers::new();
        event.trace_to_headers(&mut headers);
        assert_eq!(headers.iter().collect::<Vec<_>>(), [(TRACEPARENT, PARENT)]);

        let mut back = CloudEvent::default();
        back.trace_from_headers(
            &[("TraceParent", PARENT), ("Tracestate", "b=2")]
                .into_iter()
                .collect(),
        );
        assert_eq!(
            back.extension(TRACEPARENT),
            Some(&Attribute::Text(PARENT.into()))
        );
        assert_eq!(
            back.extension(TRACESTATE),
            Some(&Attribute::Text("b=2".into()))
        );
        // The event's own stay.
        back.trace_from_headers(
            &[(TRACEPARENT, "00-other"), (TRACESTATE, "c=3")]
                .into_iter()
                .collect(),
        );
        assert_eq!(
            back.extension(TRACEPARENT),
            Some(&Attribute::Text(PARENT.into()))
        );
        assert_eq!(
            back.extension(TRACESTATE),
            Some(&Attribute::Text("b=2".into()))
        );
    }
}
