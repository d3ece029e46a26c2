//! HTTP: read-only over TCP; over the Unix socket also what changes something.

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{StatusCode, header::HOST},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::objects::Query;

/// A request to the driver, with where the answer goes.
pub struct Ask {
    /// What.
    pub what: What,
    /// Answer: status and JSON.
    pub answer: oneshot::Sender<Result<Value, String>>,
}

/// What is asked of the driver.
pub enum What {
    /// The status.
    Status,
    /// Why a hostname is so.
    Explain(String),
    /// Stored objects with their status.
    Objects(Query),
    /// Numbers for Prometheus, as text under `text`.
    Metrics,
    /// Renew a Certificate, `namespace/name`.
    Renew(String),
    /// Stop.
    Down,
}

impl What {
    /// Whether something may follow from it.
    pub fn changes(&self) -> bool {
        match self {
            Self::Renew(_) | Self::Down => true,
            Self::Status | Self::Explain(_) | Self::Objects(_) | Self::Metrics => false,
        }
    }
}

type Driver = mpsc::Sender<Ask>;

async fn ask(driver: &Driver, what: What) -> Response {
    let (answer, answered) = oneshot::channel();
    if driver.send(Ask { what, answer }).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": "the instance is stopping"})))
            .into_response();
    }
    match answered.await {
        Ok(Ok(json)) => Json(json).into_response(),
        Ok(Err(error)) => (StatusCode::NOT_FOUND, Json(json!({"error": error}))).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": "the instance is stopping"})))
            .into_response(),
    }
}

fn reads() -> Router<Driver> {
    Router::new()
        .route("/v1/status", get(|State(d): State<Driver>| async move { ask(&d, What::Status).await }))
        .route(
            "/v1/explain/{host}",
            get(|State(d): State<Driver>, Path(host): Path<String>| async move {
                ask(&d, What::Explain(host)).await
            }),
        )
        .route(
            "/v1/objects/{kind}",
            get(|State(d): State<Driver>, Path(kind): Path<String>| async move {
                ask(&d, What::Objects(Query { kind, namespace: None, name: None })).await
            }),
        )
        .route(
            "/v1/objects/{kind}/{name}",
            get(|State(d): State<Driver>, Path((kind, name)): Path<(String, String)>| async move {
                let query = Query { kind, namespace: None, name: Some(name) };
                ask(&d, What::Objects(query)).await
            }),
        )
        .route(
            "/v1/objects/{kind}/{namespace}/{name}",
            get(
                |State(d): State<Driver>, Path((kind, ns, name)): Path<(String, String, String)>| async move {
                    ask(&d, What::Objects(Query { kind, namespace: Some(ns), name: Some(name) })).await
                },
            ),
        )
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
}

async fn metrics(State(driver): State<Driver>) -> Response {
    let (answer, answered) = oneshot::channel();
    let sent = driver.send(Ask { what: What::Metrics, answer }).await;
    match (sent, answered.await) {
        (Ok(()), Ok(Ok(json))) => json["text"].as_str().unwrap_or_default().to_owned().into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// For TCP: GET only, and only for a Host header that names an IP address or localhost, so that a web page cannot
/// read it through a name that it rebinds.
pub fn public(driver: Driver) -> Router {
    reads().layer(middleware::from_fn(host_is_local)).with_state(driver)
}

async fn host_is_local(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    if name == "localhost" || name.parse::<std::net::IpAddr>().is_ok() {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, Json(json!({"error": "use an IP address or localhost as host"}))).into_response()
}

/// For the Unix socket.
pub fn control(driver: Driver) -> Router {
    reads()
        .route("/v1/down", post(|State(d): State<Driver>| async move { ask(&d, What::Down).await }))
        .route(
            "/v1/renew/{namespace}/{name}",
            post(|State(d): State<Driver>, Path((ns, name)): Path<(String, String)>| async move {
                ask(&d, What::Renew(format!("{ns}/{name}"))).await
            }),
        )
        .with_state(driver)
}
