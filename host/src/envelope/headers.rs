//! The headers of a message, and the names of those that mean something to us.
//!
//! Must not know what a transport allows in a header: `nats` and the gateway check that.

use std::borrow::Cow;
use std::fmt;

/// How many calls deep the sender is: a number.
pub const CONCHE_HOPS: &str = "Conche-Hops";
/// How long the asker still waits when it sends, in milliseconds.
pub const CONCHE_TIMEOUT_MS: &str = "Conche-Timeout-Ms";
/// On each effect, what caused it: `stream/seq/plugin/digest`.
pub const CONCHE_CAUSE: &str = "Conche-Cause";
/// `1` on an answer to a call that was shed before it ran, and so is safe to repeat.
pub const CONCHE_SHED: &str = "Conche-Shed";
/// JetStream's key for duplicates.
pub const NATS_MSG_ID: &str = "Nats-Msg-Id";
/// The text of an error answer, as NATS services have it.
pub const NATS_SERVICE_ERROR: &str = "Nats-Service-Error";
/// The code of an error answer, as NATS services have it.
pub const NATS_SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";
/// The media type of the body.
pub const CONTENT_TYPE: &str = "Content-Type";
/// Its presence makes a message one in binary mode.
pub const CE_SPECVERSION: &str = "ce-specversion";
/// W3C trace context: the caller's span. Also the name of an extension.
pub const TRACEPARENT: &str = "traceparent";
/// W3C trace context: vendors' facts. Also the name of an extension.
pub const TRACESTATE: &str = "tracestate";

/// The value of [`CONCHE_CAUSE`]: where the event is stored that caused a call, if it is, and who
/// handled it.
pub fn cause(stored_at: Option<(&str, u64)>, plugin: &str, digest: impl fmt::Display) -> String {
    match stored_at {
        Some((stream, sequence)) => format!("{stream}/{sequence}/{plugin}/{digest}"),
        None => format!("-/-/{plugin}/{digest}"),
    }
}

/// Headers: an ordered multi-map, its names looked up in any (ASCII) case.
///
/// A vector, searched from the front: messages carry a handful. Empty ones allocate nothing, and
/// constants are not copied.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, Cow<'static, str>)>);

impl Headers {
    /// No headers.
    pub const fn new() -> Headers {
        Headers(Vec::new())
    }

    /// The first value under this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_ref())
    }

    /// Sets the value under this name: whatever was there is gone.
    pub fn insert(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) {
        let name = name.into();
        if !self.0.is_empty() {
            self.remove(&name);
        }
        self.0.push((name, value.into()));
    }

    /// Adds a value, beside those that the name may have.
    pub fn append(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) {
        self.0.push((name.into(), value.into()));
    }

    /// Removes all values under this name and returns the first.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let mut first = None;
        self.0.retain_mut(|(n, v)| {
            let keep = !n.eq_ignore_ascii_case(name);
            if !keep && first.is_none() {
                first = Some(std::mem::take(v).into_owned());
            }
            keep
        });
        first
    }

    /// Name and value of each, in order, the names spelt as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_ref(), v.as_ref()))
    }

    /// How many there are; a name with two values counts twice.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes of the block that NATS writes: a version line, `name: value` lines, an empty one.
    /// Nothing for none.
    pub fn wire_size(&self) -> usize {
        const OPEN_AND_CLOSE: usize = "NATS/1.0\r\n\r\n".len();
        const A_HEADER: usize = ": \r\n".len();
        if self.0.is_empty() {
            return 0;
        }
        let lines = self.0.iter().map(|(n, v)| n.len() + v.len() + A_HEADER);
        OPEN_AND_CLOSE + lines.sum::<usize>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<Cow<'static, str>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Headers {
        Headers(
            pairs
                .into_iter()
                .map(|(n, v)| (n.into(), v.into()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Headers;

    #[test]
    fn names_have_no_case_values_keep_their_order() {
        let mut h = Headers::new();
        h.append("Accept", "a");
        h.append("X", "1");
        h.append("ACCEPT", "b");
        assert_eq!(
            (h.get("accept"), h.get("x"), h.get("y")),
            (Some("a"), Some("1"), None)
        );
        assert_eq!(h.remove("accepT").as_deref(), Some("a"));
        assert_eq!(h.iter().collect::<Vec<_>>(), [("X", "1")]);
        h.insert("x", "2".to_owned());
        assert_eq!(h.iter().collect::<Vec<_>>(), [("x", "2")]);
        assert_eq!(
            (h.len(), h.is_empty(), Headers::new().is_empty()),
            (1, false, true)
        );
        assert_eq!(format!("{h:?}"), r#"{"x": "2"}"#);
    }
}
