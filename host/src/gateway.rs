//! CloudEvents over HTTP: `POST /query` and `POST /event`, structured and binary mode, and on the
//! embedded bus `GET /events`. Must not know wasmtime, or how plugins are loaded.

mod convert;
mod guard;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tracing::error;

use crate::config::Config;
use crate::dispatch::{Dispatcher, QueryAnswer, Travel};
use crate::embedded::Bus;
use crate::envelope::{CloudEvent, headers};
use crate::outbound::{Outbound, SendError};
use crate::shutdown::Shutdown;
use convert::{Mode, problem};

/// What a request needs.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) config: Arc<Config>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) outbound: Outbound,
    /// The embedded bus, whose events can be read back.
    pub(crate) bus: Option<Bus>,
}

/// Serves until the host ends; requests in flight are finished.
pub(crate) async fn serve(gateway: Gateway, listener: TcpListener, shutdown: Shutdown) {
    let limit = gateway.config.gateway.max_body_bytes;
    let gateway = Arc::new(gateway);
    let router = Router::new()
        .route("/query", post(query))
        .route("/event", post(event))
        .route("/events", get(events))
        .layer(DefaultBodyLimit::max(limit))
        .layer(axum::middleware::from_fn_with_state(
            gateway.clone(),
            guard::check,
        ))
        .with_state(gateway);
    let ended = async move { shutdown.begun().await };
    let served = axum::serve(listener, router).with_graceful_shutdown(ended);
    if let Err(error) = served.await {
        error!(%error, "the gateway ended");
    }
}

async fn query(State(gateway): State<Arc<Gateway>>, http: HeaderMap, body: Bytes) -> Response {
    let (event, mode, travel) = match read(&http, body) {
        Ok(read) => read,
        Err(response) => return *response,
    };
    let answer = gateway.dispatcher.query(&event, travel, None).await;
    match answer {
        QueryAnswer::Reply { reply, .. } => convert::reply(&reply, mode),
        QueryAnswer::Silence => convert::empty(StatusCode::NO_CONTENT),
        QueryAnswer::Fault { fault, .. } => convert::fault(&fault),
        QueryAnswer::Unserved => problem(
            StatusCode::NOT_FOUND,
            &format!("no plugin serves query `{}`", event.ty),
        ),
    }
}

async fn event(State(gateway): State<Arc<Gateway>>, http: HeaderMap, body: Bytes) -> Response {
    let (event, _, _) = match read(&http, body) {
        Ok(read) => read,
        Err(response) => return *response,
    };
    let mut message = match event.to_structured() {
        Ok(message) => message,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    message
        .headers
        .insert(headers::NATS_MSG_ID, convert::message_id(&event));
    let Some(subject) = gateway.config.event_subject(&event.ty) else {
        let text = format!("no stream takes events of type `{}`", event.ty);
        return problem(StatusCode::NOT_FOUND, &text);
    };
    match gateway.outbound.publish_event(&subject, message).await {
        Ok(stored) => convert::stored(&stored),
        Err(error) => {
            let status = match error {
                SendError::NoStream { .. } => StatusCode::NOT_FOUND,
                SendError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            problem(status, &error.to_string())
        }
    }
}

/// Every event of the embedded stream, a line each, in order.
async fn events(State(gateway): State<Arc<Gateway>>) -> Response {
    let Some(bus) = &gateway.bus else {
        return problem(
            StatusCode::NOT_FOUND,
            "events can be read back from the embedded bus only: use the nats command",
        );
    };
    let mut lines = Vec::new();
    for stored in bus.messages(&gateway.config.events.stream) {
        lines.extend_from_slice(&stored.message.body);
        lines.push(b'\n');
    }
    convert::lines(lines)
}

fn read(http: &HeaderMap, body: Bytes) -> Result<(CloudEvent, Mode, Travel), Box<Response>> {
    let (message, mode) = convert::message(http, body)?;
    let travel = Travel::of(&message);
    match CloudEvent::decode(&message) {
        Ok(event) => Ok((event, mode, travel)),
        Err(error) => Err(Box::new(problem(
            StatusCode::BAD_REQUEST,
            &error.to_string(),
        ))),
    }
}
