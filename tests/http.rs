//! HTTP by hand: requests that no client library would send are what the gateway is tested with.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::DEADLINE;

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

/// One connection, which may carry several requests.
pub(crate) struct Connection(TcpStream);

/// Posts a body, on a connection of its own.
pub(crate) async fn post(
    gateway: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut connection = Connection::post(gateway, path, headers, body).await;
    connection.receive().await
}

/// Posts a document in structured mode.
pub(crate) async fn post_event(gateway: SocketAddr, path: &str, body: &[u8]) -> Response {
    let headers = [("Content-Type", "application/cloudevents+json")];
    post(gateway, path, &headers, body).await
}

/// Sends these bytes, and reads one response.
pub(crate) async fn raw(gateway: SocketAddr, request: &str) -> Response {
    let mut connection = Connection::open(gateway).await;
    connection.send(request.as_bytes()).await;
    connection.receive().await
}

impl Connection {
    pub(crate) async fn open(gateway: SocketAddr) -> Connection {
        Connection(TcpStream::connect(gateway).await.unwrap())
    }

    /// Begins to post a body, on a connection of its own.
    pub(crate) async fn post(
        gateway: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Connection {
        let mut request = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut connection = Connection::open(gateway).await;
        connection.send(request.as_bytes()).await;
        connection.send(body).await;
        connection
    }

    /// A gateway that has refused already may have closed: its answer is there all the same.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _closed = self.0.write_all(bytes).await;
    }

    pub(crate) async fn receive(&mut self) -> Response {
        let read = async {
            let mut response = self.read_head().await;
            let length = response.header("content-length").unwrap_or("0");
            let mut body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut body).await.unwrap();
            response.body = String::from_utf8(body).unwrap();
            response
        };
        let read = tokio::time::timeout(DEADLINE, read);
        read.await.expect("no response")
    }

    /// A response, and all that came until the connection closed as its body.
    pub(crate) async fn receive_head(&mut self) -> Response {
        let read = async {
            let mut response = self.read_head().await;
            self.0.read_to_string(&mut response.body).await.unwrap();
            response
        };
        let read = tokio::time::timeout(DEADLINE, read);
        read.await.expect("no response")
    }

    async fn read_head(&mut self) -> Response {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a whole head"));
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response {
            status,
            head,
            body: String::new(),
        }
    }
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let parsed = serde_json::from_str(&self.body);
        parsed.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text of an error, after checking that its form is a fault's.
    pub(crate) fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.json()["code"], status, "{self:?}");
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/json"), "{self:?}");
        self.json()["message"].as_str().unwrap().to_owned()
    }
}
