//! A nats-server of our own, and as much of its protocol as one question takes.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

const START_DEADLINE: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const IO_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 1 << 20;

pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Server {
    /// On a free port of the loopback, with JetStream, all its files in this directory.
    pub(super) fn start(binary: &Path, directory: &Path) -> Result<Server> {
        let mut command = Command::new(binary);
        command.args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"]);
        command.arg(directory.join("js"));
        command.arg("--ports_file_dir").arg(directory);
        command.arg("-l").arg(directory.join("nats-server.log"));
        command.stdin(Stdio::null());
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        // Filled in below; from here on the child ends with us.
        let mut server = Server {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let ports = directory.join(format!("nats-server_{}.ports", server.child.id()));
        server.address = server.wait_for(&ports)?;
        Ok(server)
    }

    fn wait_for(&mut self, ports: &Path) -> Result<SocketAddr> {
        let deadline = Instant::now() + START_DEADLINE;
        while Instant::now() < deadline {
            if let Some(address) = fs::read_to_string(ports)
                .ok()
                .and_then(|text| client(&text))
            {
                return Ok(address);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("nats-server ended with {status}");
            }
            thread::sleep(POLL_INTERVAL);
        }
        bail!("nats-server did not start within {START_DEADLINE:?}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The client address in a ports file; nothing while it is half written.
fn client(text: &str) -> Option<SocketAddr> {
    let ports: Value = serde_json::from_str(text).ok()?;
    let url = ports["nats"][0].as_str()?;
    url.strip_prefix("nats://")?.parse().ok()
}

/// Sends a request and waits for its first answer, which has to have a body.
pub(super) fn ask(server: SocketAddr, subject: &str, body: &str) -> Result<String> {
    let stream = TcpStream::connect_timeout(&server, IO_TIMEOUT)?;
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.set_write_timeout(Some(IO_TIMEOUT))?;
    let options = r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;
    let inbox = "_INBOX.conche-image-test";
    let length = body.len();
    let lines = format!(
        "CONNECT {options}\r\nSUB {inbox} 1\r\nPUB {subject} {inbox} {length}\r\n{body}\r\n"
    );
    (&stream).write_all(lines.as_bytes())?;
    read_answer(BufReader::new(&stream)).with_context(|| format!("asking `{subject}`"))
}

/// The body of the first message; what the server says before is passed over.
fn read_answer(mut from: impl BufRead) -> Result<String> {
    loop {
        let mut line = String::new();
        ensure!(from.read_line(&mut line)? > 0, "the server hung up");
        let words: Vec<_> = line.split_whitespace().collect();
        // MSG subject sid total, or HMSG subject sid headers total.
        let (headers, total) = match words.as_slice() {
            ["MSG", _, _, total] => (0, total.parse()?),
            ["HMSG", _, _, headers, total] => (headers.parse()?, total.parse()?),
            ["-ERR", ..] => bail!("the server says {}", line.trim()),
            _ => continue,
        };
        ensure!(total <= ANSWER_BYTES_MAX, "{total} bytes are too many");
        let mut bytes = vec![0; total];
        from.read_exact(&mut bytes)?;
        let (head, body) = bytes
            .split_at_checked(headers)
            .context("headers longer than the message")?;
        let head = String::from_utf8_lossy(head);
        ensure!(!body.is_empty(), "no answer: {}", head.trim());
        return Ok(String::from_utf8(body.to_vec())?);
    }
}

#[cfg(test)]
mod tests {
    use super::{client, read_answer};

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let got = read_answer(text.as_bytes()).map_err(|error| error.to_string());
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn the_first_message_is_the_answer() {
        check("INFO {}\r\nMSG a 1 2\r\nhi\r\n", Ok("hi"));
        check("HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", Ok("hi"));
        check("", Err("the server hung up"));
        check(
            "HMSG a 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n",
            Err("no answer: NATS/1.0 503"),
        );
        check(
            "-ERR 'Unknown Protocol Operation'\r\n",
            Err("the server says -ERR 'Unknown Protocol Operation'"),
        );
    }

    #[test]
    fn a_ports_file_names_the_client_address() {
        let text = r#"{"nats": ["nats://127.0.0.1:4333"], "monitoring": []}"#;
        assert_eq!(client(text), "127.0.0.1:4333".parse().ok());
        assert_eq!(client(&text[..20]), None);
    }
}
