//! What a guest prints to stdout and stderr: the last of it is kept, up to a limit, because a panic
//! comes last; the rest is dropped. A guest that floods never fails or fills memory for it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Bytes that one write may carry: what the guest is told when it asks.
const WRITE_MAX: usize = 64 * 1024;

/// One of a guest's two streams. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Output {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug)]
struct Kept {
    text: Vec<u8>,
    dropped: u64,
    limit: usize,
}

impl Output {
    pub(super) fn new(limit: usize) -> Output {
        let kept = Kept {
            text: Vec::new(),
            dropped: 0,
            limit,
        };
        Output {
            kept: Arc::new(Mutex::new(kept)),
        }
    }

    /// Takes what was printed, and how many bytes were dropped.
    pub(super) fn take(&self) -> (String, u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.text.is_empty() && kept.dropped == 0 {
            return (String::new(), 0);
        }
        kept.shorten();
        let text = String::from_utf8_lossy(&kept.text).into_owned();
        kept.text.clear();
        (text, std::mem::take(&mut kept.dropped))
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.text.extend_from_slice(bytes);
        // Not at each write: that would move the text each time.
        if kept.text.len() > 2 * kept.limit {
            kept.shorten();
        }
    }
}

impl Kept {
    /// Drops what is over the limit, from the front.
    fn shorten(&mut self) {
        let over = self.text.len().saturating_sub(self.limit);
        self.text.drain(..over);
        self.dropped += over as u64;
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.keep(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_MAX)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only preview 3 asks for this one, and it is not linked.
        Box::new(tokio::io::sink())
    }
}

#[cfg(test)]
mod tests {
    use super::Output;

    fn check(limit: usize, written: &[&str], expected: &str, dropped: u64) {
        let output = Output::new(limit);
        for text in written {
            output.keep(text.as_bytes());
        }
        assert_eq!(output.take(), (expected.to_owned(), dropped));
        assert_eq!(output.take(), (String::new(), 0));
    }

    #[test]
    fn the_last_of_it_is_kept() {
        check(4, &[], "", 0);
        check(4, &["abcd"], "abcd", 0);
        check(4, &["abc", "def"], "cdef", 2);
        check(4, &["abcdefghijkl", "m"], "jklm", 9);
        check(4, &["a"; 100], "aaaa", 96);
        check(0, &["abc"], "", 3);
    }
}
