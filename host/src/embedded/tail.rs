//! Reading a stream from a sequence on, in order and without settling anything. Must not know
//! durable consumers.

use std::sync::Arc;

use super::log::Log;
use super::streams::Stream;
use super::{Bus, BusError, StoredMessage, lock};

/// A reader that has its own place in a stream and leaves no trace in it.
#[derive(Debug)]
pub struct BusTail {
    stream: Arc<Stream>,
    /// The sequence that comes next.
    next: u64,
}

impl Bus {
    /// All that a stream has from a sequence on and stores later, or all that it stores from now on,
    /// in order.
    ///
    /// # Errors
    /// `UnknownStream`.
    pub fn tail(&self, stream: &str, from: Option<u64>) -> Result<BusTail, BusError> {
        let stream = self.named(stream)?;
        let next = from.unwrap_or_else(|| lock(&stream.state).log.next());
        Ok(BusTail { stream, next })
    }

    /// The sequence of what a stream stored last; 0 if that is nothing.
    ///
    /// # Errors
    /// `UnknownStream`.
    pub fn last_sequence(&self, stream: &str) -> Result<u64, BusError> {
        let stream = self.named(stream)?;
        let next = lock(&stream.state).log.next();
        Ok(next.saturating_sub(1))
    }
}

impl BusTail {
    /// The sequence before the next one.
    pub fn position(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// The next message, as soon as there is one. What the stream discarded meanwhile is passed
    /// over. Cancel safe.
    pub async fn next(&mut self) -> Arc<StoredMessage> {
        // A reader that always finds something must still let others run.
        tokio::task::coop::consume_budget().await;
        loop {
            // Enabled before the look: a message stored after it wakes us.
            let mut stored = std::pin::pin!(self.stream.stored.notified());
            stored.as_mut().enable();
            let found = look(&lock(&self.stream.state).log, &mut self.next);
            if let Some(message) = found {
                return message;
            }
            stored.await;
        }
    }
}

fn look(log: &Log, next: &mut u64) -> Option<Arc<StoredMessage>> {
    *next = (*next).max(log.first());
    let found = log.get(*next).map(Arc::clone)?;
    *next += 1;
    Some(found)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use crate::embedded::{Bus, BusConfig, BusError, StreamLimits};
    use crate::envelope::Message;

    async fn bus(max_messages: usize) -> Bus {
        let bus = Bus::new(BusConfig {
            stream: StreamLimits {
                max_messages,
                ..StreamLimits::default()
            },
            ..BusConfig::default()
        });
        bus.create_stream("s", &["e.>".parse().unwrap()]).unwrap();
        bus.publish("e.0", Message::default(), None).await.unwrap();
        bus
    }

    async fn publish(bus: &Bus, count: u64) {
        for n in 1..=count {
            let subject = format!("e.{n}");
            bus.publish(&subject, Message::default(), None)
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn it_reads_what_comes_later_in_order() {
        let bus = bus(100).await;
        let mut tail = bus.tail("s", None).unwrap();
        let mut whole = bus.tail("s", Some(1)).unwrap();
        assert_eq!(whole.next().await.seq, 1);
        assert!(tail.next().now_or_never().is_none());
        let waiting = tokio::spawn(async move { (tail.next().await.seq, tail.next().await.seq) });
        publish(&bus, 2).await;
        assert_eq!(waiting.await.unwrap(), (2, 3));
        assert_eq!((whole.next().await.seq, whole.next().await.seq), (2, 3));
    }

    #[tokio::test]
    async fn it_passes_over_what_was_discarded() {
        let bus = bus(2).await;
        let mut tail = bus.tail("s", None).unwrap();
        publish(&bus, 5).await;
        assert_eq!(tail.next().await.seq, 5);
        assert_eq!(tail.next().await.seq, 6);
        let unknown = bus.tail("none", None).unwrap_err();
        assert!(matches!(unknown, BusError::UnknownStream { .. }));
    }
}
