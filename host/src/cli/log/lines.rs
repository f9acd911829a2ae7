//! Lines on their way to stderr, written by a thread of their own: a reader that stands still, or
//! has left, costs lines of the log, and neither a call nor the end of the process.

use std::cell::Cell;
use std::io::{self, Write, stderr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::error;

/// Bytes of lines that wait for the reader; as many may be under way to it. A line that does not fit
/// is dropped, and counted.
const WAITING_MAX: usize = 4 << 20;

/// How long the end of the process waits until all are written.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Where lines are left. Clones share the thread.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    /// Some are under way.
    writes: bool,
}

thread_local! {
    /// Whether this is the thread that writes: its own line, of what was dropped, always fits.
    static WRITER: Cell<bool> = const { Cell::new(false) };
}

impl Lines {
    /// To stderr.
    pub(super) fn start() -> io::Result<Lines> {
        Lines::start_to(stderr(), |lines| {
            error!(
                lines,
                "whoever reads the log was too slow: some of it was dropped"
            );
        })
    }

    /// `tell` is told how many lines were dropped, once there is room again.
    fn start_to(
        to: impl Write + Send + 'static,
        tell: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Lines> {
        let shared = Arc::new(Shared::default());
        let lines = Lines {
            shared: shared.clone(),
        };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || shared.write_all(to, tell))?;
        Ok(lines)
    }

    /// Leaves a line, without waiting.
    pub(super) fn leave(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        let fits = state.waiting.is_empty() || state.waiting.len() + line.len() <= WAITING_MAX;
        if fits || WRITER.get() {
            state.waiting.extend_from_slice(line);
        } else {
            state.dropped += 1;
        }
        self.shared.changed.notify_all();
    }

    /// Waits until what was left is written, or for as long as one may wait for that.
    pub(super) fn flush(&self) {
        let is_left = |state: &mut State| state.writes || !state.waiting.is_empty();
        let state = self.shared.lock();
        let changed = &self.shared.changed;
        let _in_time = changed.wait_timeout_while(state, LAST_LINES, is_left);
    }
}

/// One line a call: the log writes each of its lines at once.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.leave(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics half-way through a change of it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until the process ends.
    fn write_all(&self, mut to: impl Write, tell: impl Fn(u64)) {
        WRITER.set(true);
        loop {
            let (lines, dropped) = self.next();
            // Where nobody reads any more there is nobody to tell.
            let _reader_left = to.write_all(&lines);
            if dropped > 0 {
                tell(dropped);
            }
        }
    }

    fn next(&self) -> (Vec<u8>, u64) {
        let mut state = self.lock();
        state.writes = false;
        self.changed.notify_all();
        let is_empty = |state: &mut State| state.waiting.is_empty();
        let waited = self.changed.wait_while(state, is_empty);
        state = waited.unwrap_or_else(PoisonError::into_inner);
        state.writes = true;
        let State {
            waiting, dropped, ..
        } = &mut *state;
        (std::mem::take(waiting), std::mem::take(dropped))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, OnceLock};
    use std::time::Duration;

    use super::{Lines, WAITING_MAX};

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Takes what comes each time it is told to, and says what.
    struct Slow {
        go_on: Receiver<()>,
        took: Sender<String>,
    }

    impl Write for Slow {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8(lines.to_vec()).unwrap();
            self.took.send(text).unwrap();
            let _told = self.go_on.recv();
            Ok(lines.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Lines, Sender<()>, Receiver<String>) {
        let (tell, go_on) = channel();
        let (took, taken) = channel();
        let log = Arc::new(OnceLock::<Lines>::new());
        let in_log = log.clone();
        let dropped = move |count| {
            let line = format!("{count} dropped\n");
            in_log.wait().leave(line.as_bytes());
        };
        let lines = Lines::start_to(Slow { go_on, took }, dropped).unwrap();
        log.set(lines.clone()).unwrap();
        (lines, tell, taken)
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_no_time() {
        let (lines, tell, taken) = slow();
        lines.leave(b"first\n");
        // It is under way: nothing waits.
        assert_eq!(taken.recv_timeout(PATIENCE).unwrap(), "first\n");
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        for _ in 0..WAITING_MAX / line.len() + 7 {
            lines.leave(&line);
        }
        assert_eq!(lines.shared.lock().dropped, 7);
        // It does not wait for ever, either.
        lines.flush();
        // From here on it reads as fast as they come.
        drop(tell);
        let kept = taken.recv_timeout(PATIENCE).unwrap();
        assert_eq!(kept.len(), WAITING_MAX);
        assert_eq!(taken.recv_timeout(PATIENCE).unwrap(), "7 dropped\n");
        lines.leave(b"again\n");
        assert_eq!(taken.recv_timeout(PATIENCE).unwrap(), "again\n");
    }

    #[test]
    fn the_end_waits_for_the_last_lines() {
        let (lines, tell, taken) = slow();
        lines.leave(b"last\n");
        drop(tell);
        lines.flush();
        assert_eq!(taken.try_recv().unwrap(), "last\n");
    }
}
