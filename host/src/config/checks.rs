//! Checks of single values: server URLs, addresses, names, the source. Each refusal says what
//! would do.

use std::net::SocketAddr;

use fluent_uri::{Uri, UriRef};
use percent_encoding::percent_decode_str;

use super::Auth;
use crate::settings::Secret;

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

/// The longest name of a stream, consumer part or queue group, in bytes.
const MAX_NAME: usize = 128;

/// A server's URL; `nats://` is put before one that has no scheme.
pub(super) fn url(text: &str) -> Result<String, String> {
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("nats://{text}")
    };
    let refused = || {
        let shown = redacted(text);
        format!("{shown:?} is no NATS URL: write nats://host:4222 or tls://host:4222")
    };
    let uri = Uri::parse(full.as_str()).map_err(|_| refused())?;
    let scheme = uri.scheme().as_str();
    let host = uri.authority().map(|a| a.host()).unwrap_or_default();
    let port_is_one = uri.authority().is_none_or(|a| a.port_to_u16().is_ok());
    if ["nats", "tls"].contains(&scheme) && !host.is_empty() && port_is_one {
        Ok(full)
    } else {
        Err(refused())
    }
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

/// What `tracing` takes as a filter. A client logs nothing itself, so its program says what is logged.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    #[cfg(feature = "host")]
    tracing_subscriber::EnvFilter::try_new(text).map_err(|error| {
        format!(
            "{text:?} is no filter ({error}): write a level such as info, or TARGET=LEVEL pairs with commas"
        )
    })?;
    Ok(text.to_owned())
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
