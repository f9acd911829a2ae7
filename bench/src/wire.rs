//! A NATS connection for the driver: blocking, one thread, one write and one read a turn. It
//! stands beside async-nats because the driver shares the cores with what it measures: what the
//! driver uses, the subjects lack. Must not know what is asked or measured.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// The longest that the server may be silent while an answer is due.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Room for what came, in bytes: many answers, and more than any one.
const ROOM: usize = 256 << 10;

/// Both directions apart, so that answers can be read while questions are written.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
}

/// What came and was not taken yet: `bytes[start..end]`.
#[derive(Debug)]
pub(crate) struct Incoming {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

/// What will be written by the next flush.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
}

/// One thing that the server said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Message(Message<'a>),
    Ping,
    Pong,
    /// `+OK`, `INFO`: nothing to do.
    Other,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) subject: &'a str,
    /// With the `NATS/1.0` line; empty if there are none.
    pub(crate) headers: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects, and is through the server when it returns.
    pub(crate) fn open(server: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(server)
            .with_context(|| format!("cannot connect to nats-server at {server}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        let mut connection = Connection {
            stream,
            incoming: Incoming::new(),
            outgoing: Outgoing::default(),
        };
        connection.outgoing.line(
            r#"CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"lang":"bench","version":"0"}"#,
        );
        connection.fence()?;
        Ok(connection)
    }

    /// Waits until the server has seen everything written so far. Messages that come meanwhile
    /// are dropped; answers how many.
    pub(crate) fn fence(&mut self) -> Result<usize> {
        self.outgoing.line("PING");
        self.flush()?;
        let mut dropped = 0;
        loop {
            while let Some(frame) = self.incoming.next()? {
                match frame {
                    Frame::Pong => return Ok(dropped),
                    Frame::Ping => self.outgoing.pong(),
                    Frame::Message(_) => dropped += 1,
                    Frame::Other => {}
                }
            }
            self.read()?;
        }
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.stream.write_all(&self.outgoing.bytes)?;
        self.outgoing.bytes.clear();
        Ok(())
    }

    /// Waits for at least one byte.
    pub(crate) fn read(&mut self) -> Result<()> {
        match self.stream.read(self.incoming.room()?) {
            Ok(0) => bail!("nats-server closed the connection"),
            Ok(read) => {
                self.incoming.end += read;
                Ok(())
            }
            Err(error) => Err(error).context("no answer from nats-server"),
        }
    }
}

impl Outgoing {
    pub(crate) fn subscribe(&mut self, subject: &str) {
        self.line(&format!("SUB {subject} 1"));
    }

    pub(crate) fn publish(&mut self, subject: &str, reply: fmt::Arguments<'_>, body: &[u8]) {
        let size = body.len();
        write!(self.bytes, "PUB {subject} {reply} {size}\r\n").expect("a vector takes every write");
        self.bytes.extend_from_slice(body);
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn pong(&mut self) {
        self.line("PONG");
    }

    fn line(&mut self, line: &str) {
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }
}

impl Incoming {
    fn new() -> Incoming {
        Incoming {
            bytes: vec![0; ROOM].into(),
            start: 0,
            end: 0,
        }
    }

    /// Where the next bytes go; what waits moves to the front.
    fn room(&mut self) -> Result<&mut [u8]> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        ensure!(
            self.end < ROOM,
            "nats-server sent a message of more than {ROOM} bytes"
        );
        Ok(&mut self.bytes[self.end..])
    }

    /// The next whole frame, if it is there.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>> {
        let rest = &self.bytes[self.start..self.end];
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let line = std::str::from_utf8(&rest[..end])?;
        let rest = &rest[end + 2..];
        let (frame, taken) = match line.split(' ').next() {
            Some("MSG" | "HMSG") => {
                let (subject, headers, total) = sizes(line)?;
                // Two bytes end the body.
                if rest.len() < total + 2 {
                    return Ok(None);
                }
                let (headers, body) = rest[..total].split_at(headers);
                let message = Message {
                    subject,
                    headers,
                    body,
                };
                (Frame::Message(message), end + 2 + total + 2)
            }
            Some("PING") => (Frame::Ping, end + 2),
            Some("PONG") => (Frame::Pong, end + 2),
            Some("-ERR") => bail!("nats-server says {line}"),
            _ => (Frame::Other, end + 2),
        };
        self.start += taken;
        Ok(Some(frame))
    }
}

/// Subject, size of the headers, and size of headers and body together:
/// `MSG subject sid [reply] size` or `HMSG subject sid [reply] headers size`.
fn sizes(line: &str) -> Result<(&str, usize, usize)> {
    let strange = || format!("nats-server wrote {line:?}");
    let mut words = line.split(' ');
    let (kind, subject) = (words.next(), words.next());
    let least = if kind == Some("HMSG") { 5 } else { 4 };
    ensure!(line.split(' ').count() >= least, strange());
    let mut sizes = words.rev();
    let mut number = || sizes.next()?.parse::<usize>().ok();
    let total = number().with_context(strange)?;
    let headers = match kind {
        Some("HMSG") => number().with_context(strange)?,
        _ => 0,
    };
    let subject = subject.with_context(strange)?;
    ensure!(headers <= total, strange());
    Ok((subject, headers, total))
}

#[cfg(test)]
mod tests {
    use super::{Frame, Incoming, Message};

    const TEXT: &[u8] = b"INFO {}\r\nMSG in.7 1 4\r\nbody\r\nPING\r\n\
        HMSG in.8 1 re.ply 14 18\r\nNATS/1.0\r\na:\r\nbody\r\n";

    fn came(incoming: &mut Incoming, bytes: &[u8]) {
        incoming.room().unwrap()[..bytes.len()].copy_from_slice(bytes);
        incoming.end += bytes.len();
    }

    #[test]
    fn frames_come_out_wherever_the_bytes_are_cut() {
        for cut in 0..TEXT.len() {
            let mut incoming = Incoming::new();
            let mut seen = 0;
            for part in [&TEXT[..cut], &TEXT[cut..]] {
                came(&mut incoming, part);
                while let Some(frame) = incoming.next().unwrap() {
                    let message = |subject, headers: &'static [u8]| {
                        let body: &[u8] = b"body";
                        Frame::Message(Message {
                            subject,
                            headers,
                            body,
                        })
                    };
                    let wanted = [
                        Frame::Other,
                        message("in.7", b""),
                        Frame::Ping,
                        message("in.8", b"NATS/1.0\r\na:\r\n"),
                    ];
                    assert_eq!(frame, wanted[seen], "cut at {cut}");
                    seen += 1;
                }
            }
            assert_eq!(seen, 4, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for text in [
            "-ERR 'Authorization Violation'\r\n",
            "MSG in 1\r\n",
            "MSG in 1 x\r\n",
            "HMSG in 1 5 4\r\n",
        ] {
            let mut incoming = Incoming::new();
            came(&mut incoming, text.as_bytes());
            assert!(incoming.next().is_err(), "{text}");
        }
    }
}
