//! Calls of dynamic listeners: at most once, on this host only. Whatever comes of one, nobody comes
//! again: a retry or a rejection is a line in the log.

use std::sync::Arc;

use tracing::warn;

use super::slots::wait_for;
use super::{Cause, Dispatcher, report};
use crate::envelope::CloudEvent;
use crate::listeners::Listener;
use crate::metrics::ListenerEnd;
use crate::plugin::Plugin;
use crate::sandbox::{Call, Heard, Verdict};

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
        let hops = cause.travel().hops;
        if hops > self.config.calls.hop_limit {
            return Err("the hop limit is reached: do handlers emit in a circle?".to_owned());
        }
        let own = wait_for(plugin.lanes(), hops).await;
        let host = wait_for(&self.lanes, hops).await;
        let _permits = (own, host);
        let call = Call {
            hops,
            stored_at: cause.stored_at(),
            listener: Some(Heard {
                id: &listener.id,
                state: &listener.state,
            }),
            ..Call::first(&listener.handler, event, plugin.policy().limits.deadline)
        };
        let outcome = plugin.event(&call).await;
        plugin.metrics().event_took(call.began.elapsed());
        let outcome = outcome.map_err(|failure| {
            report(plugin, event, &failure);
            failure.to_string()
        })?;
        match outcome.verdict {
            Verdict::Done => {}
            Verdict::Retry { message, .. } => {
                return Err(format!("asked to be retried: {message}"));
            }
            Verdict::Reject(fault) => {
                return Err(format!("rejected: {} ({})", fault.message, fault.code));
            }
        }
        let released = self.release(plugin, &outcome.effects, cause).await;
        released.map_err(|error| format!("its effects were not stored: {error}"))
    }
}
