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
                    plugin = %plugin.name(), digest = plugin.digest().short(), event_id = event.id,
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
        let outcome = handled.await.map_err(|unhandled| unhandled.to_string())?;
        match outcome.verdict {
            Verdict::Done => Ok(()),
            Verdict::Retry { message, .. } => Err(format!("asked to be retried: {message}")),
            Verdict::Reject(fault) => Err(format!("rejected: {} ({})", fault.message, fault.code)),
        }
    }
}
