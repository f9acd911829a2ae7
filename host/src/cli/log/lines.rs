//! Lines on their way to stderr, written by a thread of their own: a reader that stands still, or
//! has left, costs lines of the log, and neither a call nor the end of the process.

use std::io::{self, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tracing::warn;

/// Lines that wait for the reader. What comes on top is dropped, and counted.
const WAITING_MAX: usize = 4096;

/// How long the end of the process waits until all are written.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Where lines are left. Clones share the thread.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Tells that all before it are written.
    Written(SyncSender<()>),
}

impl Lines {
    /// To stderr.
    pub(super) fn start() -> io::Result<Lines> {
        Lines::start_to(stderr())
    }

    fn start_to(to: impl Write + Send + 'static) -> io::Result<Lines> {
        let (queue, entries) = sync_channel(WAITING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let lines = Lines {
            queue,
            dropped: dropped.clone(),
        };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&entries, &dropped, to))?;
        Ok(lines)
    }

    /// Leaves a line, without waiting.
    pub(super) fn leave(&self, line: Vec<u8>) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Entry::Line(line)) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Waits until what was left is written, or for as long as one may wait for that.
    pub(super) fn flush(&self) {
        let (written, all) = sync_channel(1);
        if self.queue.try_send(Entry::Written(written)).is_ok() {
            let _in_time = all.recv_timeout(LAST_LINES);
        }
    }
}

/// One line a call: the log writes each of its lines at once.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.leave(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(entries: &Receiver<Entry>, dropped: &AtomicU64, mut to: impl Write) {
    for entry in entries {
        match entry {
            // Where nobody reads any more there is nobody to tell.
            Entry::Line(line) => drop(to.write_all(&line)),
            Entry::Written(all) => drop(all.try_send(())),
        }
        let lines = dropped.swap(0, Relaxed);
        if lines > 0 {
            warn!(
                lines,
                "whoever reads the log was too slow: some of it was dropped"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::{Lines, WAITING_MAX};

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Takes a line each time it is told to, and says which.
    struct Slow {
        go_on: Receiver<()>,
        took: Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.took.send(line.to_vec()).unwrap();
            let _told = self.go_on.recv();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_no_time() {
        let (tell, go_on) = channel();
        let (took, taken) = channel();
        let lines = Lines::start_to(Slow { go_on, took }).unwrap();
        lines.leave(b"0".to_vec());
        // It is being written: the queue is empty.
        assert_eq!(taken.recv_timeout(PATIENCE).unwrap(), b"0");
        for number in 1..=WAITING_MAX + 7 {
            lines.leave(number.to_string().into_bytes());
        }
        assert_eq!(lines.dropped.load(super::Relaxed), 7);
        // From here on it reads as fast as they come.
        drop(tell);
        for number in 1..=WAITING_MAX {
            let line = taken.recv_timeout(PATIENCE).unwrap();
            assert_eq!(line, number.to_string().into_bytes());
        }
        lines.leave(b"again".to_vec());
        assert_eq!(taken.recv_timeout(PATIENCE).unwrap(), b"again");
    }

    #[test]
    fn the_end_waits_for_the_last_lines() {
        let (tell, go_on) = channel();
        let (took, taken) = channel();
        drop(tell);
        let lines = Lines::start_to(Slow { go_on, took }).unwrap();
        lines.leave(b"last".to_vec());
        lines.flush();
        assert_eq!(taken.try_recv().unwrap(), b"last");
    }
}
