//! Calls of dynamic listeners: at most once, on this host only. Whatever comes of one, nobody comes
//! again: a retry or a rejection is a line in the log.

use std::sync::Arc;

use tracing::warn;

use super::{Cause, Dispatcher};
use crate::envelope::CloudEvent;
use crate::listeners::Listener;
use crate::metrics::ListenerEnd;
use crate::plugin::Plugin;
use crate::sandbox::{Heard, Verdict};
use crate::text::{self, REASON_MAX, cut};

impl Dispatcher {
    /// Calls the listener's handler with an event that it waited for, and releases its effects.
    pub async fn listener(
        &self,
        plugin: &Arc<Plugin>,
        listener: &Listener,
        event: &Arc<CloudEvent>,
        cause: Cause<'_>,
    ) {
        let end = match self.call(plugin, listener, event, cause).await {
            Ok(()) => ListenerEnd::Ok,
            Err(reason) => {
                warn!(
                    plugin = %plugin.name(), digest = plugin.digest().short(), event_id = &*text::name(&event.id),
                    listener = listener.id, handler = &*listener.handler, reason,
                    "a listener did not handle its event: it does not come again"
                );
                ListenerEnd::Failed
            }
        };
        plugin.metrics().listener(end);
    }

    async fn call(
        &self,
        plugin: &Plugin,
        listener: &Listener,
        event: &Arc<CloudEvent>,
        cause: Cause<'_>,
    ) -> Result<(), String> {
        let heard = Heard {
            id: &listener.id,
            state: &listener.state,
        };
        let handled = self.handle(plugin, &listener.handler, event, Some(heard), cause);
        let outcome = handled
            .await
            .map_err(|unhandled| cut(&unhandled.to_string(), REASON_MAX).into_owned())?;
        ended(outcome.verdict)
    }
}

/// What there is to say of it is the guest's text, and not counted as what it logs.
fn ended(verdict: Verdict) -> Result<(), String> {
    match verdict {
        Verdict::Done => Ok(()),
        Verdict::Retry { message, .. } => {
            let text = cut(&message, REASON_MAX);
            Err(format!("asked to be retried: {text}"))
        }
        Verdict::Reject(fault) => {
            let text = cut(&fault.message, REASON_MAX);
            Err(format!("rejected: {text} ({})", fault.code))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{REASON_MAX, Verdict, ended};
    use crate::envelope::Fault;

    #[test]
    fn what_a_listener_says_is_cut() {
        let long = "x".repeat(500_000);
        let check = |verdict: Verdict, end: &str| {
            let reason = ended(verdict).unwrap_err();
            assert!(reason.ends_with(end), "{reason:.2000}");
            assert!(reason.len() < REASON_MAX + 100, "{}", reason.len());
        };
        let (message, after) = (long.clone(), None);
        check(Verdict::Retry { message, after }, "… (500000 bytes)");
        check(
            Verdict::Reject(Fault::new(400, long)),
            "… (500000 bytes) (400)",
        );
    }
}
