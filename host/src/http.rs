//! HTTP/1.1 connections: how many there may be at once, how large a head may be, and how long a
//! client may take. `axum::serve` has no such limits: who sends nothing, or reads nothing, would keep
//! a connection for ever. Must not know what is served.

mod taken;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::shutdown::Shutdown;
use taken::Taken;

/// What the clients of one listener may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// What is served, for the log.
    pub(crate) name: &'static str,
    /// Connections at once. More wait in the system's queue: the file descriptors of NATS and of
    /// the plugins must not run out because of a crowd.
    pub(crate) connections: usize,
    /// For the head of a request, and between two: who says nothing makes room for others.
    pub(crate) head_wait: Duration,
    /// For a client to take some of an answer: a stop of this length ends the connection. hyper has no
    /// time of its own for that.
    pub(crate) write_wait: Duration,
    /// Lines of a head.
    pub(crate) headers: usize,
    /// Bytes of a head.
    pub(crate) head_bytes: usize,
    /// Whether a connection serves more than one request.
    pub(crate) keep_alive: bool,
    /// How long a connection may be there in all.
    pub(crate) lifetime: Option<Duration>,
    /// At the end of the host, for a client to take an answer that is written already.
    pub(crate) last_bytes: Duration,
}

/// After an accept that failed: out of file descriptors, most likely.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves until the host ends; requests in flight are finished.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
    limits: Limits,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = tokio::select! {
            () = shutdown.begun() => return,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, slot)) => {
                let served = connection(stream, router.clone(), shutdown.clone(), limits);
                shutdown.spawn(async move {
                    served.await;
                    drop(slot);
                });
            }
            Err(error) => {
                warn!(listener = limits.name, %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await;
    let slot = slot.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}

async fn connection(stream: TcpStream, router: Router, shutdown: Shutdown, limits: Limits) {
    let (running, was_used) = (TaskTracker::new(), AtomicBool::new(false));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        was_used.store(true, Ordering::Relaxed);
        running.track_future(router.call(request))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_wait)
        .max_headers(limits.headers)
        .max_buf_size(limits.head_bytes)
        .keep_alive(limits.keep_alive)
        .serve_connection(TokioIo::new(Taken::new(stream, limits.write_wait)), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = over(limits.lifetime) => return,
        () = shutdown.begun() => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                ended = served.as_mut() => ended,
                () = nothing_left(&running, &was_used, limits.last_bytes) => return,
            }
        }
    };
    if let Err(error) = ended {
        debug!(listener = limits.name, %error, "a connection ended");
    }
}

/// hyper waits for a head that began, or never began, as long as for any other.
async fn nothing_left(running: &TaskTracker, was_used: &AtomicBool, last_bytes: Duration) {
    running.close();
    running.wait().await;
    if was_used.load(Ordering::Relaxed) {
        tokio::time::sleep(last_bytes).await;
    }
}

async fn over(lifetime: Option<Duration>) {
    match lifetime {
        Some(lifetime) => tokio::time::sleep(lifetime).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
