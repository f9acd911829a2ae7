//! `conche health`: asks a running host whether it is ready. For containers, which have no curl.
//! Speaks as much HTTP/1.1 as that takes.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use conche::config::{Config, Flags, Mode};
use serde::Deserialize;

use super::{EXIT_FAILED, log, output};

/// For everything: names, connection, answer.
const TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Where a host says whether it is ready.
const READY: &str = "/readyz";

/// Ask a running host whether it is ready: 0 if so, else 1 and why not
#[derive(Debug, Args)]
#[command(after_help = "\
Without --url it asks where the configuration has the host's probes: listen in
[health], or CONCHE_HEALTH_LISTEN. CONCHE_CONFIG names the file if --config
does not. Exit code 3 if the configuration is wrong.

Example:
  conche health
  conche health --url http://127.0.0.1:8081/readyz")]
pub(crate) struct Health {
    /// What to ask [default: /readyz at health.listen of the configuration]
    #[arg(long, value_name = "URL", value_parser = url)]
    url: Option<Url>,
    /// Configuration file [default: conche.toml, if it exists]
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
}

/// Whom to ask, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Url {
    /// `HOST:PORT`.
    authority: String,
    path: String,
}

/// What `/readyz` answers.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Ready {
    ready: bool,
    #[serde(default)]
    reasons: Vec<String>,
}

impl Health {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let url = match self.url {
            Some(url) => url,
            None => configured(self.config)?,
        };
        let ready = ask(&url)?;
        if ready.ready {
            output::print("ready\n");
            return Ok(ExitCode::SUCCESS);
        }
        for reason in &ready.reasons {
            log::print(&format!("not ready: {reason}\n"));
        }
        Ok(ExitCode::from(EXIT_FAILED))
    }
}

/// Where a host with the same configuration answers.
fn configured(file: Option<PathBuf>) -> anyhow::Result<Url> {
    let flags = Flags {
        config: file,
        ..Flags::default()
    };
    let listen = Config::load(Mode::Health, &flags)?.health.listen;
    let listen = listen.context("health.listen is off: name the host with --url")?;
    Ok(Url {
        authority: reachable(listen).to_string(),
        path: READY.to_owned(),
    })
}

/// An address that stands for all of a machine's is listened on, and cannot be connected to
/// everywhere.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

/// Reads an argument.
fn url(text: &str) -> Result<Url, String> {
    let rest = text.strip_prefix("http://").unwrap_or_default();
    let slash = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(slash);
    if authority.is_empty() {
        return Err("write http://HOST:PORT, a path after it or none".to_owned());
    }
    Ok(Url {
        authority: authority.to_owned(),
        path: if path.is_empty() { READY } else { path }.to_owned(),
    })
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

fn ask(url: &Url) -> anyhow::Result<Ready> {
    let answer = answer(url).with_context(|| format!("no answer from {url}"))?;
    understand(answer).with_context(|| url.to_string())
}

fn answer(Url { authority, path }: &Url) -> anyhow::Result<Vec<u8>> {
    let began = Instant::now();
    let mut stream = connect(authority, began)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.set_write_timeout(Some(left(began)?))?;
    stream.write_all(request.as_bytes())?;
    read(stream, began)
}

/// To the first of its addresses that takes a connection.
fn connect(authority: &str, began: Instant) -> anyhow::Result<TcpStream> {
    let addresses = authority.to_socket_addrs();
    let addresses = addresses.with_context(|| format!("`{authority}` is no HOST:PORT"))?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, left(began)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    let error = last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
    bail!("{error}: is a host running, with this health.listen?")
}

/// Everything until the server hangs up, however slowly it sends, or more than an answer has.
fn read(mut stream: TcpStream, began: Instant) -> anyhow::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut buffer = [0; 4 << 10];
    loop {
        stream.set_read_timeout(Some(left(began)?))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(answer),
            Ok(bytes) => answer.extend_from_slice(&buffer[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Ok(answer);
        }
    }
}

/// The body of a 200 or a 503, which `/readyz` answers; any other answer is somebody else's.
fn understand(answer: Vec<u8>) -> anyhow::Result<Ready> {
    if answer.len() > ANSWER_BYTES_MAX {
        bail!("the answer is too long for a probe: is this a Conche host?");
    }
    let answer = String::from_utf8(answer).context("the answer is not text")?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    let line = head.lines().next().unwrap_or_default();
    let ready = match status {
        "200" | "503" => serde_json::from_str::<Ready>(body).ok(),
        _ => None,
    };
    ready.with_context(|| format!("answered `{line}`: is this /readyz of a Conche host?"))
}

fn left(began: Instant) -> anyhow::Result<Duration> {
    let left = TIMEOUT.saturating_sub(began.elapsed());
    if left.is_zero() {
        bail!("it took longer than {TIMEOUT:?}");
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn url_of(listener: &TcpListener) -> Url {
        url(&format!("http://{}", listener.local_addr().unwrap())).unwrap()
    }

    /// A server that gives one answer; its URL.
    fn server(answer: &'static str) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = url_of(&listener);
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            assert!(request.starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        url
    }

    #[track_caller]
    fn check(answer: &'static str, expected: Result<(bool, &[&str]), &str>) {
        let expected = expected.map(|(ready, reasons)| Ready {
            ready,
            reasons: reasons.iter().map(ToString::to_string).collect(),
        });
        let url = server(answer);
        let got = ask(&url).map_err(|error| format!("{error:#}"));
        let expected = expected.map_err(|what| format!("{url}: {what}"));
        assert_eq!(got, expected, "{answer}");
    }

    #[test]
    fn answers_are_understood() {
        check("HTTP/1.1 200 OK\r\n\r\n{\"ready\":true}", Ok((true, &[])));
        check(
            "HTTP/1.1 503 X\r\n\r\n{\"ready\":false,\"reasons\":[\"a\",\"b\"]}",
            Ok((false, &["a", "b"])),
        );
        let somebody = |line| format!("answered `{line}`: is this /readyz of a Conche host?");
        check(
            "HTTP/1.1 404 Not Found\r\n\r\n",
            Err(&somebody("HTTP/1.1 404 Not Found")),
        );
        check(
            "HTTP/1.1 200 OK\r\n\r\nhello",
            Err(&somebody("HTTP/1.1 200 OK")),
        );
        check("", Err(&somebody("")));
    }

    #[test]
    fn a_host_that_is_not_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = url_of(&listener);
        drop(listener);
        let error = format!("{:#}", ask(&url).unwrap_err());
        assert!(error.ends_with("is a host running, with this health.listen?"));
    }

    #[test]
    fn urls_are_split() {
        let split = |text| url(text).ok().map(|url| (url.authority, url.path));
        let parts = |authority: &str, path: &str| Some((authority.to_owned(), path.to_owned()));
        assert_eq!(split("http://h:1/health"), parts("h:1", "/health"));
        assert_eq!(split("http://[::1]:1"), parts("[::1]:1", "/readyz"));
        for other in ["https://h:1/readyz", "127.0.0.1:8081", "http:///readyz"] {
            assert_eq!(split(other), None, "{other}");
        }
    }

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        let check = |listen: &str, expected: &str| {
            let address = reachable(listen.parse().unwrap());
            assert_eq!(address.to_string(), expected, "{listen}");
        };
        check("0.0.0.0:8081", "127.0.0.1:8081");
        check("[::]:8081", "[::1]:8081");
        check("127.0.0.1:1", "127.0.0.1:1");
        check("10.0.0.7:1", "10.0.0.7:1");
    }
}
