//! What every request must pass: the Host header (a page in a browser must not reach a loopback
//! gateway under a name of its own) and the bearer token.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest as _, Sha256};

use super::Gateway;
use super::convert::problem;
use crate::config::GatewayConfig;

/// The middleware.
pub(super) async fn check(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
    next: Next,
) -> Response {
    let config = &gateway.config.gateway;
    if let Some(refusal) = refuse(request.headers(), config) {
        return refusal;
    }
    next.run(request).await
}

/// The answer to a request that may not pass.
fn refuse(headers: &HeaderMap, config: &GatewayConfig) -> Option<Response> {
    let host = match only(headers, HOST.as_str()) {
        Ok(host) => host.unwrap_or_default(),
        Err(text) => return Some(problem(StatusCode::BAD_REQUEST, &text)),
    };
    if !host_is_ours(host, config) {
        return Some(problem(
            StatusCode::MISDIRECTED_REQUEST,
            &format!("host `{host}` is not served here: add it to hosts in [gateway]"),
        ));
    }
    let sent = only(headers, AUTHORIZATION.as_str()).unwrap_or_default();
    if !token_fits(sent, config) {
        let text = "send the gateway's token: Authorization: Bearer …";
        let mut refusal = problem(StatusCode::UNAUTHORIZED, text);
        let bearer = HeaderValue::from_static("Bearer");
        refusal.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        return Some(refusal);
    }
    None
}

/// A header that nobody may send twice: two readers could take different ones.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, String> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(format!("header `{name}` is there twice"));
    }
    let text = first.map(|value| value.to_str());
    text.transpose()
        .map_err(|_| format!("header `{name}` is no ASCII"))
}

/// Loopback names and addresses, the address listened on, and what `[gateway] hosts` names, with
/// or without a port. A token makes every host good: a page cannot know it.
fn host_is_ours(host: &str, config: &GatewayConfig) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    if config.token.is_some() || bare.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let listens = |ip: IpAddr| config.listen.is_some_and(|listen| listen.ip() == ip);
    if bare
        .parse::<IpAddr>()
        .is_ok_and(|ip| ip.is_loopback() || listens(ip))
    {
        return true;
    }
    let is_named =
        |ours: &String| ours.eq_ignore_ascii_case(name) || ours.eq_ignore_ascii_case(host);
    !name.is_empty() && config.hosts.iter().any(is_named)
}

/// Compared by hash, so that the time it takes says nothing about the token.
fn token_fits(sent: Option<&str>, config: &GatewayConfig) -> bool {
    let Some(token) = &config.token else {
        return true;
    };
    let Some((scheme, sent)) = sent.and_then(|value| value.split_once(' ')) else {
        return false;
    };
    scheme.eq_ignore_ascii_case("bearer")
        && Sha256::digest(sent.trim()) == Sha256::digest(token.expose())
}

#[cfg(test)]
mod tests {
    use super::{host_is_ours, refuse, token_fits};
    use crate::config::GatewayConfig;
    use crate::settings::Secret;
    use axum::http::{HeaderMap, StatusCode};
    use std::time::Duration;

    fn config(listen: &str, hosts: &[&str], token: Option<&str>) -> GatewayConfig {
        GatewayConfig {
            listen: Some(listen.parse().unwrap()),
            token: token.map(Secret::new),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            max_body_bytes: 1,
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn hosts() {
        let config = config(
            "192.0.2.1:80",
            &["conche.example.org", "b.example:81"],
            None,
        );
        let check = |host, expected| assert_eq!(host_is_ours(host, &config), expected, "{host}");
        for ours in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:8080",
            "192.0.2.1:80",
            "conche.example.org",
            "Conche.Example.org:9",
            "b.example:81",
        ] {
            check(ours, true);
        }
        for other in [
            "",
            ":80",
            "evil.org",
            "localhost.evil.org",
            "127.0.0.1.evil.org",
            "192.0.2.2",
            "localhost:80@evil.org",
            "[::1",
            "b.example:82",
            "0.0.0.0",
        ] {
            check(other, false);
        }
    }

    #[test]
    fn tokens() {
        let config = config("127.0.0.1:80", &[], Some("s3cret"));
        let check = |sent, expected| assert_eq!(token_fits(sent, &config), expected, "{sent:?}");
        check(Some("Bearer s3cret"), true);
        check(Some("bearer  s3cret"), true);
        check(None, false);
        check(Some("Bearer"), false);
        check(Some("Bearer "), false);
        check(Some("Bearer s3cre"), false);
        check(Some("Bearer s3cret2"), false);
        check(Some("Basic s3cret"), false);
        check(Some("s3cret"), false);
        assert!(host_is_ours("anything.example", &config));
    }

    #[test]
    fn one_host_is_all_that_a_request_names() {
        let mut headers = HeaderMap::new();
        let config = config("127.0.0.1:80", &[], None);
        let status = |headers: &HeaderMap| refuse(headers, &config).map(|r| r.status());
        assert_eq!(status(&headers), Some(StatusCode::MISDIRECTED_REQUEST));
        headers.append("host", "localhost".parse().unwrap());
        assert_eq!(status(&headers), None);
        headers.append("host", "evil.org".parse().unwrap());
        assert_eq!(status(&headers), Some(StatusCode::BAD_REQUEST));
    }
}
