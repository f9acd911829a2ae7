//! One cancel token, one task tracker: every task of the host starts here and ends on the token.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where tasks start, and how they learn that it is over. Clones share both.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Starts a task that [`Shutdown::drain`] waits for.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// As [`Shutdown::spawn`], on another runtime; what it returns can be waited for.
    pub fn spawn_on<T: Send + 'static>(
        &self,
        runtime: &Handle,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.tasks.spawn_on(task, runtime)
    }

    /// Starts a task that is dropped, where it stands, when the host is to end.
    pub fn spawn_until_end(&self, task: impl Future<Output = ()> + Send + 'static) {
        let token = self.token.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Resolves once the host is to end.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// Whether it is to end.
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// A token for one task or a few, which may be told to end before the host is.
    pub fn child(&self) -> CancellationToken {
        self.token.child_token()
    }

    /// A part that can be drained by itself, and ends with the whole.
    pub fn part(&self) -> Shutdown {
        self.part_before(async {})
    }

    /// As [`Shutdown::part`]; once all of it has ended, `last` runs, and only then has the whole.
    pub fn part_before(&self, last: impl Future<Output = ()> + Send + 'static) -> Shutdown {
        let part = Shutdown {
            token: self.token.child_token(),
            tasks: TaskTracker::new(),
        };
        let (token, tasks) = (part.token.clone(), part.tasks.clone());
        self.spawn(async move {
            token.cancelled().await;
            tasks.close();
            tasks.wait().await;
            last.await;
        });
        part
    }

    /// Tells every task, and waits for all of them. False: some were still busy at the deadline.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.token.cancel();
        self.tasks.close();
        tokio::time::timeout(deadline, self.tasks.wait())
            .await
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::Shutdown;

    #[tokio::test]
    async fn what_comes_last_does_and_is_waited_for() {
        let (first, mut order) = mpsc::unbounded_channel();
        let last = first.clone();
        let shutdown = Shutdown::default();
        let part = shutdown.part_before(async move {
            // Whatever else there is to do comes first.
            tokio::task::yield_now().await;
            last.send("last").unwrap();
        });
        let token = part.clone();
        part.spawn(async move {
            token.begun().await;
            tokio::task::yield_now().await;
            first.send("first").unwrap();
        });
        assert!(shutdown.drain(Duration::from_secs(10)).await);
        assert_eq!(order.try_recv(), Ok("first"));
        assert_eq!(order.try_recv(), Ok("last"));
    }
}
