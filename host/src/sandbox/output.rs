//! What a guest prints to stdout and stderr: kept up to a limit, and dropped beyond it. A guest
//! that floods never fails or fills memory for it.

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
        let text = String::from_utf8_lossy(&kept.text).into_owned();
        kept.text.clear();
        (text, std::mem::take(&mut kept.dropped))
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = kept.limit.saturating_sub(kept.text.len()).min(bytes.len());
        let (fits, rest) = bytes.split_at(room);
        kept.text.extend_from_slice(fits);
        kept.dropped += rest.len() as u64;
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
