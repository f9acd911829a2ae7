//! Checks of single values: server URLs, addresses, names, the source. Each refusal says what
//! would do.

use std::net::SocketAddr;

use fluent_uri::{Uri, UriRef};
use percent_encoding::percent_decode_str;

use super::Auth;
use crate::settings::{Secret, nearest};

/// Context attributes of CloudEvents, and the members that JSON has beside them.
const TAKEN_ATTRIBUTES: [&str; 10] = [
    "id",
    "source",
    "specversion",
    "type",
    "datacontenttype",
    "dataschema",
    "subject",
    "time",
    "data",
    "data_base64",
];

/// What can be logged, from the least to the most.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The longest name of a stream, consumer part or queue group, in bytes.
const MAX_NAME: usize = 128;

/// A server's URL; `nats://` is put before one that has no scheme.
pub(super) fn url(text: &str) -> Result<String, String> {
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("nats://{text}")
    };
    match flaw(text, &full) {
        None => Ok(full),
        Some(flaw) => {
            let shown = redacted(text);
            Err(format!(
                "{shown:?} is no NATS URL ({flaw}): write nats://host:4222 or tls://host:4222"
            ))
        }
    }
}

/// What is wrong with a server's URL, as it was written and with its scheme. Nothing of what stands
/// in it is said: a part of a password may look like a path.
fn flaw(text: &str, full: &str) -> Option<&'static str> {
    if !text.contains("://") && text.contains(":/") {
        return Some("two slashes follow a scheme");
    }
    let Ok(uri) = Uri::parse(full) else {
        return Some("it is no URL at all");
    };
    if !["nats", "tls"].contains(&uri.scheme().as_str()) {
        return Some("its scheme is neither nats nor tls");
    }
    let Some(server) = uri.authority().filter(|server| !server.host().is_empty()) else {
        return Some("it names no host");
    };
    if server.port().is_some() && !matches!(server.port_to_u16(), Ok(Some(1..))) {
        return Some("its port is no number from 1 to 65535");
    }
    let is_server_alone = ["", "/"].contains(&uri.path().as_str())
        && uri.query().is_none()
        && uri.fragment().is_none();
    (!is_server_alone).then_some("nothing can follow the server")
}

/// The URL without the credentials in it.
pub(super) fn redacted(url: &str) -> String {
    let (scheme, rest) = url
        .split_once("://")
        .map_or(("", url), |(s, rest)| (s, rest));
    let Some((_, host)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    let scheme = if scheme.is_empty() {
        String::new()
    } else {
        format!("{scheme}://")
    };
    format!("{scheme}…@{host}")
}

/// Who a URL says we are: `user:password@`, or `token@`.
pub(super) fn credentials(url: &str) -> Auth {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let userinfo = Uri::parse(url)
        .ok()
        .and_then(|uri| Some(uri.authority()?.userinfo()?.as_str().to_owned()));
    match userinfo.as_deref().map(|userinfo| userinfo.split_once(':')) {
        None => Auth::None,
        Some(Some((user, password))) => Auth::UserPassword {
            user: decoded(user),
            password: Secret::new(decoded(password)),
        },
        Some(None) => match decoded(&userinfo.unwrap_or_default()) {
            token if token.is_empty() => Auth::None,
            token => Auth::Token(Secret::new(token)),
        },
    }
}

/// An address to listen on, or `None` for `off`.
pub(super) fn address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    let hint = "write an IP address and a port, such as 127.0.0.1:8080, or off";
    numeric
        .parse()
        .map(Some)
        .map_err(|_| format!("{text:?} is no address to listen on: {hint}"))
}

/// A name that goes into NATS's protocol as one word.
pub(super) fn name(what: &str, text: &str, takes: fn(char) -> bool) -> Result<String, String> {
    if text.is_empty() {
        return Err(format!("is empty: write a {what}"));
    }
    if text.len() > MAX_NAME {
        return Err(format!(
            "has {} bytes: a {what} has at most {MAX_NAME}",
            text.len()
        ));
    }
    match text
        .chars()
        .find(|c| c.is_whitespace() || c.is_control() || !takes(*c))
    {
        Some(c) => Err(format!("{text:?} is no {what}: {c:?} can't be in it")),
        None => Ok(text.to_owned()),
    }
}

/// What streams and consumers can be called: no wildcards, dots or path separators.
pub(super) fn in_stream_name(c: char) -> bool {
    !matches!(c, '.' | '*' | '>' | '/' | '\\')
}

/// What a durable can begin with: it becomes a part of subjects.
pub(super) fn in_durable(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// What `tracing` takes as a filter, without the spaces that it would take for a part of a target. A
/// client logs nothing itself, so its program says what is logged.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    let parts = text.split(',').map(str::trim);
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err("is empty: write a level such as info, or off".to_owned());
    }
    for part in &parts {
        level(part)?;
    }
    let filter = parts.join(",");
    #[cfg(feature = "host")]
    tracing_subscriber::EnvFilter::try_new(&filter).map_err(|error| {
        format!(
            "{text:?} is no filter ({error}): write a level such as info, or TARGET=LEVEL pairs with commas"
        )
    })?;
    Ok(filter)
}

/// A word by itself has to be a level: `tracing` would take another one for a target of which all is
/// logged, and log nothing else.
fn level(part: &str) -> Result<(), String> {
    let names_target = part.contains(['=', '[']) || part.contains("::");
    let is_level = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(part));
    if names_target || is_level || ["0", "1", "2", "3", "4", "5"].contains(&part) {
        return Ok(());
    }
    let hint = nearest(part, LEVELS).map(|near| format!(", did you mean {near:?}?"));
    Err(format!(
        "{part:?} is no level{}: there are {}; or write TARGET=LEVEL pairs with commas",
        hint.unwrap_or_default(),
        LEVELS.join(", ")
    ))
}

/// A source with its placeholders; a URI reference once they are filled in.
pub(super) fn source(text: &str, client_id: &str) -> Result<String, String> {
    let filled = text
        .replace("{client_id}", client_id)
        .replace("{plugin}", "plugin");
    if filled.is_empty() {
        return Err("is empty: an event needs a source".to_owned());
    }
    match UriRef::parse(filled.as_str()) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!(
            "{text:?} is no URI reference: write one such as https://example.org/{{client_id}}/\
             {{plugin}}, with no other placeholders"
        )),
    }
}

/// An extension attribute's name.
pub(super) fn attribute(text: &str) -> Result<String, String> {
    if TAKEN_ATTRIBUTES.contains(&text) {
        return Err(format!(
            "{text:?} is an attribute that CloudEvents defines: choose another"
        ));
    }
    let takes = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if text.is_empty() || !text.chars().all(takes) {
        return Err(format!(
            "{text:?} is no attribute name: only a-z and 0-9 can be in it"
        ));
    }
    Ok(text.to_owned())
}
