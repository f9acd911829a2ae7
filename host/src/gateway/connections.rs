//! Connections: how many there may be at once, and how long a client may take for the head of a
//! request. Must not know what is served.

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

/// More than these wait in the system's queue: the file descriptors of NATS and of the plugins
/// must not run out because of a crowd at the gateway.
const CONNECTIONS_MAX: usize = 1024;

/// For the head of a request, and between two requests: who says nothing makes room for others.
const HEAD_WAIT: Duration = Duration::from_secs(30);

/// At the end of the host, for a client to take an answer that is written already.
const LAST_BYTES_WAIT: Duration = Duration::from_secs(5);

/// After an accept that failed: out of file descriptors, most likely.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves until the host ends; requests in flight are finished.
pub(super) async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = shutdown.begun() => return,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, slot)) => {
                let served = connection(stream, slot, router.clone(), shutdown.clone());
                shutdown.spawn(served);
            }
            Err(error) => {
                warn!(%error, "the gateway cannot accept a connection");
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

async fn connection(
    stream: TcpStream,
    _slot: OwnedSemaphorePermit,
    router: Router,
    shutdown: Shutdown,
) {
    let (running, was_used) = (TaskTracker::new(), AtomicBool::new(false));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        was_used.store(true, Ordering::Relaxed);
        running.track_future(router.call(request))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = shutdown.begun() => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                ended = served.as_mut() => ended,
                () = nothing_left(&running, &was_used) => return,
            }
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection to the gateway ended");
    }
}

/// hyper waits for a head that began, or never began, as long as for any other.
async fn nothing_left(running: &TaskTracker, was_used: &AtomicBool) {
    running.close();
    running.wait().await;
    if was_used.load(Ordering::Relaxed) {
        tokio::time::sleep(LAST_BYTES_WAIT).await;
    }
}
