//! Clients that stand still.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{Limits, serve};
use crate::shutdown::Shutdown;

const DEADLINE: Duration = Duration::from_secs(30);

/// More than the system keeps for a connection.
const LARGE: usize = 32 << 20;

#[tokio::test]
async fn who_takes_nothing_makes_room_for_others() {
    let limits = Limits {
        name: "test",
        connections: 1,
        head_wait: DEADLINE,
        write_wait: Duration::from_millis(100),
        headers: 100,
        head_bytes: 64 << 10,
        keep_alive: true,
        lifetime: None,
        last_bytes: Duration::ZERO,
    };
    let router = Router::new()
        .route("/large", get(async || vec![b'x'; LARGE]))
        .route("/small", get(async || "small"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::default();
    shutdown.spawn(serve(listener, router, shutdown.clone(), limits));

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut still = socket.connect(address).await.unwrap();
    let ask = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    still.write_all(ask("/large").as_bytes()).await.unwrap();
    // Its answer has begun: the only connection is taken.
    still.readable().await.unwrap();

    let mut next = TcpStream::connect(address).await.unwrap();
    next.write_all(ask("/small").as_bytes()).await.unwrap();
    let answered = async {
        let mut answer = String::new();
        while !answer.ends_with("small") {
            answer.push(char::from(next.read_u8().await.unwrap()));
        }
    };
    let answered = tokio::time::timeout(DEADLINE, answered).await;
    answered.expect("the one that stands still kept its connection");
    let mut rest = Vec::new();
    // An error: it was reset.
    let _ended = still.read_to_end(&mut rest).await;
    assert!(rest.len() < LARGE);
}
