//! CloudEvents over HTTP: `POST /query` and `POST /event`, structured and binary mode, and on the
//! embedded bus `GET /events`. Whatever is wrong is answered in the form of a fault. Must not know
//! wasmtime, or how plugins are loaded.

mod convert;
mod guard;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use crate::config::Config;
use crate::dispatch::{Dispatcher, QueryAnswer, Travel};
use crate::embedded::Bus;
use crate::envelope::{CloudEvent, headers};
use crate::http;
use crate::metrics::QueryEnd;
use crate::outbound::{Outbound, SendError};
use crate::shutdown::Shutdown;
use crate::subject::{check_literal, is_reserved};
use convert::{Mode, problem};

/// hyper's own limits for a head (100 headers, 400 KiB), and time for a client on a slow line.
const LIMITS: http::Limits = http::Limits {
    name: "gateway",
    connections: 1024,
    head_wait: Duration::from_secs(30),
    write_wait: Duration::from_secs(30),
    headers: 100,
    head_bytes: 400 << 10,
    keep_alive: true,
    lifetime: None,
    last_bytes: Duration::from_secs(5),
};

/// What a request needs.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) config: Arc<Config>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) outbound: Outbound,
    /// The embedded bus, whose events can be read back.
    pub(crate) bus: Option<Bus>,
    pub(crate) shutdown: Shutdown,
}

/// A request as an event.
struct Received {
    event: Arc<CloudEvent>,
    mode: Mode,
    travel: Travel,
    /// When its answer is due.
    due: Instant,
}

/// Serves until the host ends; requests in flight are finished.
pub(crate) async fn serve(gateway: Gateway, listener: TcpListener) {
    let shutdown = gateway.shutdown.clone();
    let limit = gateway.config.gateway.max_body_bytes;
    let gateway = Arc::new(gateway);
    let router = Router::new()
        .route("/query", post(query))
        .route("/event", post(event))
        .route("/events", get(events))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(limit))
        .layer(axum::middleware::from_fn_with_state(
            gateway.clone(),
            guard::check,
        ))
        .with_state(gateway);
    http::serve(listener, router, shutdown, LIMITS).await;
}

async fn query(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let received = match receive(&gateway, request).await {
        Ok(received) => received,
        Err(response) => return *response,
    };
    if let Some(refusal) = out_of_reach(&gateway, &received.event.ty) {
        return refusal;
    }
    let Received {
        event,
        mode,
        travel,
        due,
    } = received;
    let came = Instant::now();
    let left = due.saturating_duration_since(came);
    let travel = Travel {
        timeout: Some(travel.timeout.map_or(left, |asked| asked.min(left))),
        ..travel
    };
    // In a task: an asker that leaves would end a call, or the release of its effects, half-way.
    let (dispatcher, query) = (gateway.dispatcher.clone(), event.clone());
    let call = async move { dispatcher.query(&query, came, travel, || None).await };
    let Ok(answer) = gateway.shutdown.spawn_on(&Handle::current(), call).await else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "the host panicked");
    };
    match answer {
        QueryAnswer::Reply { reply, .. } => convert::reply(&reply, mode),
        QueryAnswer::Silence => convert::empty(StatusCode::NO_CONTENT),
        QueryAnswer::Fault {
            envelope,
            fault,
            end,
            ..
        } => convert::fault(&fault, &envelope, end == QueryEnd::Shed),
        QueryAnswer::Unserved => unserved(&event.ty),
    }
}

async fn event(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let Received { event, due, .. } = match receive(&gateway, request).await {
        Ok(received) => received,
        Err(response) => return *response,
    };
    if is_reserved(&event.ty) {
        return reserved(&event.ty);
    }
    let mut message = match event.to_structured() {
        Ok(message) => message,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    message
        .headers
        .insert(headers::NATS_MSG_ID, event.message_id());
    event.trace_to_headers(&mut message.headers);
    let Some(subject) = gateway.config.event_subject(&event.ty) else {
        let text = format!("no stream takes events of type `{}`", event.ty);
        return problem(StatusCode::NOT_FOUND, &text);
    };
    let publish = gateway.outbound.publish_event(&subject, message);
    let error = match timeout_at(due, publish).await {
        Ok(Ok(stored)) => return convert::stored(&stored),
        Ok(Err(error)) => error,
        Err(_) => SendError::TimedOut { subject },
    };
    let status = match error {
        // Whichever of the two times was over first.
        SendError::TimedOut { .. } => {
            let text = "the stream did not confirm in time: it may have the event; \
                        sending it again with the same id is safe";
            return problem(StatusCode::GATEWAY_TIMEOUT, text);
        }
        SendError::NoStream { .. } => StatusCode::NOT_FOUND,
        SendError::TooLarge { .. } | SendError::TooLargeForStream(_) => {
            StatusCode::PAYLOAD_TOO_LARGE
        }
        SendError::Invalid(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem(status, &error.to_string())
}

/// Every event of the embedded stream, a line each, in order.
async fn events(State(gateway): State<Arc<Gateway>>) -> Response {
    let Some(bus) = &gateway.bus else {
        return problem(
            StatusCode::NOT_FOUND,
            "events can be read back from the embedded bus only: use the nats command",
        );
    };
    let stored = bus.messages(&gateway.config.events.stream);
    convert::lines(stored.iter().map(|stored| &*stored.message.body))
}

async fn unknown_path(State(gateway): State<Arc<Gateway>>, uri: Uri) -> Response {
    let there = match gateway.bus {
        Some(_) => "POST /query, POST /event and GET /events",
        None => "POST /query and POST /event",
    };
    let text = format!("nothing is at {}: there are {there}", uri.path());
    problem(StatusCode::NOT_FOUND, &text)
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let text = format!("{method} is not for {}: see the header allow", uri.path());
    problem(StatusCode::METHOD_NOT_ALLOWED, &text)
}

/// The answer to a query that would reach no plugin over NATS: its op is no subject, or reserved, or
/// nobody registers it by name and it is outside the namespace, which is all that a default gets.
fn out_of_reach(gateway: &Gateway, op: &str) -> Option<Response> {
    if let Err(error) = check_literal(op) {
        let text = format!("query op: {error}");
        return Some(problem(StatusCode::BAD_REQUEST, &text));
    }
    if is_reserved(op) {
        return Some(reserved(op));
    }
    let registry = gateway.dispatcher.registry();
    let is_named = registry.query(op).is_some_and(|route| !route.is_default);
    let mut namespace = gateway.config.nats.namespace.iter();
    if is_named || namespace.any(|pattern| pattern.matches(op)) {
        return None;
    }
    gateway.dispatcher.metrics().query_unserved();
    Some(unserved(op))
}

fn unserved(op: &str) -> Response {
    let text = format!("no plugin serves query `{op}`");
    problem(StatusCode::NOT_FOUND, &text)
}

fn reserved(ty: &str) -> Response {
    let text = format!(
        "type `{ty}` is reserved: what begins with `$`, `_INBOX.` or `conche.` belongs to the host"
    );
    problem(StatusCode::BAD_REQUEST, &text)
}

/// Reads a request to its end, within the time and the size that it may have.
async fn receive(gateway: &Gateway, request: Request) -> Result<Received, Box<Response>> {
    let limits = &gateway.config.gateway;
    let due = Instant::now() + limits.timeout;
    let http = request.headers().clone();
    let body = match timeout_at(due, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return Err(too_large(limits.max_body_bytes));
        }
        Ok(Err(rejection)) => {
            return Err(Box::new(problem(
                rejection.status(),
                &rejection.body_text(),
            )));
        }
        Err(_) => return Err(too_slow(limits.timeout)),
    };
    let (event, mode, travel) = read(&http, body)?;
    Ok(Received {
        event: Arc::new(event),
        mode,
        travel,
        due,
    })
}

fn read(http: &HeaderMap, body: Bytes) -> Result<(CloudEvent, Mode, Travel), Box<Response>> {
    let (message, mode) = convert::message(http, body)?;
    let travel = Travel::of(&message);
    match CloudEvent::decode(&message) {
        Ok(mut event) => {
            event.trace_from_headers(&message.headers);
            Ok((event, mode, travel))
        }
        Err(error) => Err(Box::new(problem(
            StatusCode::BAD_REQUEST,
            &error.to_string(),
        ))),
    }
}

fn too_large(limit: usize) -> Box<Response> {
    let text = format!("the body has more than the {limit} bytes of max_body in [gateway]");
    Box::new(problem(StatusCode::PAYLOAD_TOO_LARGE, &text))
}

fn too_slow(limit: Duration) -> Box<Response> {
    let text = format!("the body did not arrive within the {limit:?} of timeout in [gateway]");
    Box::new(problem(StatusCode::REQUEST_TIMEOUT, &text))
}
