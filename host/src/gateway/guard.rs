//! What every request must pass: the Host header (a page in a browser must not reach a loopback
//! gateway under a name of its own), the bearer token, the time-out.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
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
    match tokio::time::timeout(config.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => problem(StatusCode::GATEWAY_TIMEOUT, "the request took too long"),
    }
}

/// The answer to a request that may not pass.
fn refuse(headers: &HeaderMap, config: &GatewayConfig) -> Option<Response> {
    let header = |name| headers.get(name)?.to_str().ok();
    let host = header(HOST).unwrap_or_default();
    if !host_is_ours(host, config) {
        return Some(problem(
            StatusCode::MISDIRECTED_REQUEST,
            &format!("host `{host}` is not served here: add it to hosts in [gateway]"),
        ));
    }
    if !token_fits(header(AUTHORIZATION), config) {
        return Some(problem(
            StatusCode::UNAUTHORIZED,
            "send the gateway's token: Authorization: Bearer …",
        ));
    }
    None
}

/// Loopback names and addresses, the address listened on, and what `[gateway] hosts` names. A
/// token makes every host good: a page cannot know it.
fn host_is_ours(host: &str, config: &GatewayConfig) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
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
    config
        .hosts
        .iter()
        .any(|ours| ours.eq_ignore_ascii_case(name))
}

/// Compared by hash, so that the time it takes says nothing about the token.
fn token_fits(sent: Option<&str>, config: &GatewayConfig) -> bool {
    let Some(token) = &config.token else {
        return true;
    };
    let sent = sent.and_then(|value| value.strip_prefix("Bearer "));
    sent.is_some_and(|sent| Sha256::digest(sent) == Sha256::digest(token.expose()))
}
