//! As much HTTP/1.1 as the demo needs: one request a connection, the answer read whole. No TLS, no
//! redirects, no trailers.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// For the connection, and for each read and write.
const IO_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: u64 = 16 << 20;

#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {}", self.body))
    }

    pub(super) fn json_lines(&self) -> Result<Vec<Value>> {
        let lines = self.body.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}")))
            .collect()
    }
}

pub(super) fn get(server: SocketAddr, path: &str) -> Result<Answer> {
    send(server, &format!("GET {path}"), "", "")
}

/// A CloudEvent in structured mode.
pub(super) fn post_event(server: SocketAddr, path: &str, event: &Value) -> Result<Answer> {
    let body = event.to_string();
    let headers = format!(
        "Content-Type: application/cloudevents+json\r\nContent-Length: {}\r\n",
        body.len()
    );
    send(server, &format!("POST {path}"), &headers, &body)
}

fn send(server: SocketAddr, request: &str, headers: &str, body: &str) -> Result<Answer> {
    let exchange = || -> Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&server, IO_TIMEOUT)?;
        stream.set_read_timeout(Some(IO_TIMEOUT))?;
        stream.set_write_timeout(Some(IO_TIMEOUT))?;
        let head = format!("{request} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n");
        stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes())?;
        let mut bytes = Vec::new();
        stream.take(MAX_ANSWER_BYTES).read_to_end(&mut bytes)?;
        parse(&bytes)
    };
    let answer = exchange().with_context(|| format!("{request} failed"))?;
    if !(200..300).contains(&answer.status) {
        bail!("{request} was answered {}: {}", answer.status, answer.body);
    }
    Ok(answer)
}

fn parse(bytes: &[u8]) -> Result<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.context("the answer has no end of headers")?;
    let head = str::from_utf8(&bytes[..end]).context("the answer's headers are not text")?;
    let rest = &bytes[end + 4..];

    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.get(..3)?.parse().ok());
    let status = status.with_context(|| format!("no status in `{head}`"))?;
    let header = |name: &str| {
        let headers = head.lines().filter_map(|line| line.split_once(':'));
        let mut found = headers.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    };
    let body = if header("Transfer-Encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        dechunk(rest)?
    } else if let Some(length) = header("Content-Length") {
        let length: usize = length.parse().context("Content-Length is no number")?;
        rest.get(..length)
            .context("the answer is cut short")?
            .to_vec()
    } else {
        rest.to_vec()
    };
    Ok(Answer {
        status,
        body: String::from_utf8(body).context("the body is not text")?,
    })
}

fn dechunk(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n");
        let end = end.context("the answer is cut short")?;
        let line = str::from_utf8(&rest[..end])?;
        let size = line.split(';').next().unwrap_or(line).trim();
        let size = usize::from_str_radix(size, 16).context("a chunk's size is no number")?;
        if size == 0 {
            return Ok(body);
        }
        rest = &rest[end + 2..];
        let (chunk, after) = rest
            .split_at_checked(size)
            .context("the answer is cut short")?;
        ensure!(
            after.starts_with(b"\r\n"),
            "a chunk does not end where it says"
        );
        body.extend_from_slice(chunk);
        rest = &after[2..];
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, parse};

    #[track_caller]
    fn check(text: &str, expected: Option<(u16, &str)>) {
        let expected = expected.map(|(status, body)| Answer {
            status,
            body: body.to_owned(),
        });
        assert_eq!(parse(text.as_bytes()).ok(), expected, "{text}");
    }

    #[test]
    fn bodies_are_delimited_in_three_ways() {
        let ok = "HTTP/1.1 200 OK\r\n";
        check(
            &format!("{ok}content-length: 2\r\n\r\nhi..."),
            Some((200, "hi")),
        );
        check(&format!("{ok}content-length: 9\r\n\r\nhi..."), None);
        check(&format!("{ok}\r\nhi"), Some((200, "hi")));
        let chunked = format!("{ok}Transfer-Encoding: chunked\r\n\r\n");
        check(
            &format!("{chunked}1\r\nh\r\nA;x=y\r\ni 34567890\r\n0\r\n\r\n"),
            Some((200, "hi 34567890")),
        );
        check(&format!("{chunked}5\r\nhi"), None);
        check(&format!("{chunked}1\r\nhi\r\n0\r\n\r\n"), None);
        check("HTTP/1.1 404\r\ncontent-length: 0\r\n\r\n", Some((404, "")));
        check("nonsense", None);
    }
}
