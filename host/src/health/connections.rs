//! HTTP/1.1 for whoever can reach a port without a token: few connections, one request each, small
//! heads, little time. `axum::serve` has no such limits: a client that sends nothing would keep its
//! connection for ever.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, warn};

use crate::shutdown::Shutdown;

/// More wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 64;
/// For a request, its answer, and the time between.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// How much of it is left once the host ends.
const LEAVE_TIME: Duration = Duration::from_secs(1);
const HEADERS_MAX: usize = 64;
/// Of a request's head; its body is not read.
const BUFFER_BYTES: usize = 16 << 10;
/// After an error of the listener itself, such as no file descriptors left.
const ACCEPT_WAIT: Duration = Duration::from_secs(1);

/// Accepts until the shutdown begins.
pub(super) async fn serve(router: Router, listener: TcpListener, shutdown: &Shutdown) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = shutdown.begun() => return,
            accepted = accept(&listener, &room) => accepted,
        };
        let (stream, permit) = accepted;
        let (router, ended) = (router.clone(), shutdown.clone());
        shutdown.spawn(async move {
            tokio::select! {
                () = converse(stream, router) => {}
                () = too_long(&ended) => debug!("a connection to the health listener was cut"),
            }
            drop(permit);
        });
    }
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = room.clone().acquire_owned().await;
    let permit = permit.expect("nobody closes the semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                warn!(%error, "the health listener cannot accept");
                tokio::time::sleep(ACCEPT_WAIT).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, router: Router) {
    let served = http1::Builder::new()
        .keep_alive(false)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection to the health listener failed");
    }
}

async fn too_long(shutdown: &Shutdown) {
    let leaving = async {
        shutdown.begun().await;
        tokio::time::sleep(LEAVE_TIME).await;
    };
    tokio::select! {
        () = leaving => {}
        () = tokio::time::sleep(CONNECTION_TIME) => {}
    }
}
