//! CPU time of guests. One thread an engine advances the epoch every [`TICK`]; at each, a guest
//! that runs is asked how long it has, and yields to the runtime, so that one that spins starves no
//! timer (trap-only epochs made timers 1–2 s late beside two spinning guests).
//!
//! What is charged is the time in which a call was polled, taking its instance included: what waits,
//! for an import's answer, for a WASI clock or for its turn, is not polled. Ticks alone would charge
//! a wait for the tick that ended it, and let a guest that naps across every tick run for nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wasmtime::{Engine, Store, UpdateDeadline};

use super::failure::Raised;
use super::state::State;

/// How late a guest can be stopped: time is looked at so often.
const TICK: Duration = Duration::from_millis(10);

/// Advances an engine's epoch until dropped.
#[derive(Debug)]
pub(super) struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How long one instance's call has run. Clones share it: one lies in the store, for the ticks,
/// and one beside it, for [`CpuClock::measure`].
#[derive(Debug, Clone)]
pub(super) struct CpuClock(Arc<Readings>);

/// Nanoseconds. Only the task that runs the call reads and writes them.
#[derive(Debug)]
struct Readings {
    origin: Instant,
    /// In polls that are over.
    spent: AtomicU64,
    /// When the poll under way began, since `origin`.
    began: AtomicU64,
}

impl Ticker {
    pub(super) fn start(engine: &Engine) -> std::io::Result<Ticker> {
        let engine = engine.weak();
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::Builder::new()
            .name("epoch".into())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                    match engine.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => return,
                    }
                }
            })?;
        Ok(Ticker {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread ends on its own; it cannot have panicked.
            let _ = thread.join();
        }
    }
}

impl CpuClock {
    pub(super) fn new() -> CpuClock {
        CpuClock(Arc::new(Readings {
            origin: Instant::now(),
            spent: AtomicU64::new(0),
            began: AtomicU64::new(0),
        }))
    }

    /// For the next call.
    pub(super) fn reset(&self) {
        self.0.spent.store(0, Relaxed);
    }

    /// Runs guest code, on the clock while it is polled; its first poll counts from `began`. Takes it
    /// pinned: such a future is large, and to move it costs more than all that is done here.
    pub(super) async fn measure<T>(
        &self,
        began: Instant,
        mut run: Pin<&mut impl Future<Output = T>>,
    ) -> T {
        let mut first = Some(began);
        std::future::poll_fn(|context| {
            let began = first.take().unwrap_or_else(Instant::now);
            self.0.began.store(self.0.at(began), Relaxed);
            let polled = run.as_mut().poll(context);
            // Nobody asks how long a call took that has ended.
            if polled.is_pending() {
                self.0.spent.store(self.used(), Relaxed);
            }
            polled
        })
        .await
    }

    /// How long the call has run: asked within a poll, or right after the last.
    pub(super) fn used(&self) -> u64 {
        let Readings { spent, began, .. } = &*self.0;
        let now = self.0.at(Instant::now());
        spent.load(Relaxed) + now.saturating_sub(began.load(Relaxed))
    }
}

impl Readings {
    fn at(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.origin);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Stops the guest of `store` at the tick after its time is spent, and makes it yield at each.
pub(super) fn watch(store: &mut Store<State>) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| {
        let State { clock, tenant, .. } = context.data();
        let limit = tenant.policy.limits.cpu;
        if Duration::from_nanos(clock.used()) > limit {
            return Err(wasmtime::Error::new(Raised::Cpu(limit)));
        }
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
}
