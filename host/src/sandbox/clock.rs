//! CPU time of guests. One thread an engine advances the epoch every [`TICK`]; each store counts
//! the ticks in which it ran, and yields to the runtime at each, so that a guest that spins starves
//! no timer (trap-only epochs made timers 1–2 s late beside two spinning guests).

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Engine, Store, UpdateDeadline};

use super::failure::Raised;
use super::state::State;

/// The grain of cpu time: a guest is charged for whole ticks.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Advances an engine's epoch until dropped.
#[derive(Debug)]
pub(super) struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
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

/// Makes `store` count its ticks and yield at each.
pub(super) fn count_ticks(store: &mut Store<State>) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context| {
        let cpu = &mut context.data_mut().cpu;
        if std::mem::take(&mut cpu.waited) {
            // The epoch went on while an import waited: that tick was not the guest's.
            return Ok(UpdateDeadline::Continue(1));
        }
        cpu.used += TICK;
        if cpu.used > cpu.limit {
            return Err(wasmtime::Error::new(Raised::Cpu(cpu.limit)));
        }
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
}

/// What one call has used of guest time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cpu {
    pub(super) used: Duration,
    pub(super) limit: Duration,
    /// An import has waited since the last tick.
    pub(super) waited: bool,
}
