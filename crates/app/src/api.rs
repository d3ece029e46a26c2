//! HTTP: read-only over TCP; over the Unix socket also what changes something.

mod serve;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HOST},
    },
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use portolan_model::shown;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::objects::Query;

#[cfg(any(fuzzing, test))]
pub use serve::connection;
pub use serve::{PATIENCE, serve};

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
    /// Namespaces that there are.
    Namespaces,
    /// Numbers for Prometheus, as text under `text`.
    Metrics,
    /// Whether it serves what it was told; an error if not yet.
    Ready,
    /// Renew a Certificate, `namespace/name`.
    Renew(String),
    /// Let go what stays without the repository: an object as it is shown, or `all`.
    Prune(String),
    /// Stop.
    Down,
}

impl What {
    /// Whether something may follow from it.
    pub fn changes(&self) -> bool {
        match self {
            Self::Renew(_) | Self::Prune(_) | Self::Down => true,
            Self::Status
            | Self::Explain(_)
            | Self::Objects(_)
            | Self::Namespaces
            | Self::Metrics
            | Self::Ready => false,
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
        // The answer is whole, and that there is no such host is part of it.
        Ok(Ok(json)) if json["state"] == "absent" => (StatusCode::NOT_FOUND, plain(&json)).into_response(),
        Ok(Ok(json)) => plain(&json),
        // It repeats what was asked for.
        Ok(Err(error)) => (StatusCode::NOT_FOUND, plain(&json!({"error": error}))).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": "the instance is stopping"})))
            .into_response(),
    }
}

/// JSON with escapes for what a terminal would obey.
fn plain(json: &Value) -> Response {
    let text = json.to_string();
    ([(CONTENT_TYPE, "application/json")], shown::quoted(&text).into_owned()).into_response()
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
        .route(
            "/v1/namespaces",
            get(|State(d): State<Driver>| async move { ask(&d, What::Namespaces).await }),
        )
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
}

async fn ready(State(driver): State<Driver>) -> Response {
    let (answer, answered) = oneshot::channel();
    let sent = driver.send(Ask { what: What::Ready, answer }).await;
    match (sent, answered.await) {
        (Ok(()), Ok(Ok(_))) => "ok\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
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
    // HTTP/2 has the host in the address.
    let header = request.headers().get(HOST).and_then(|h| h.to_str().ok());
    let host = header.or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str));
    if is_local(host.unwrap_or_default()) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, Json(json!({"error": "use an IP address or localhost as host"}))).into_response()
}

/// Whether a Host header is `localhost` or an IP address, in any form that a client may write: with or without a port, in any
/// case, as a full name with a dot at its end.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            return address.parse::<std::net::Ipv6Addr>().is_ok() && is_port(port);
        }
        None => match host.split_once(':') {
            Some((name, port)) if is_port(&format!(":{port}")) => name,
            Some(_) => return host.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host,
        },
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::Ipv4Addr>().is_ok()
}

/// What stands behind a name: nothing, or a colon and a number.
fn is_port(text: &str) -> bool {
    let number = |port: &str| {
        port.is_empty() || port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
    };
    text.is_empty() || text.strip_prefix(':').is_some_and(number)
}

/// For the Unix socket.
pub fn control(driver: Driver) -> Router {
    reads()
        .route(
            "/v1/prune/{what}",
            post(|State(d): State<Driver>, Path(what): Path<String>| async move {
                ask(&d, What::Prune(what)).await
            }),
        )
        .route("/v1/down", post(|State(d): State<Driver>| async move { ask(&d, What::Down).await }))
        .route(
            "/v1/renew/{namespace}/{name}",
            post(|State(d): State<Driver>, Path((ns, name)): Path<(String, String)>| async move {
                ask(&d, What::Renew(format!("{ns}/{name}"))).await
            }),
        )
        .with_state(driver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_this_machine_in_every_form_and_no_other() {
        for host in [
            "localhost",
            "LOCALHOST",
            "LocalHost:9470",
            "localhost.",
            "localhost.:9470",
            "127.0.0.1",
            "127.0.0.1:9470",
            "127.1.2.3:1",
            "[::1]",
            "[::1]:9470",
            "::1",
            "[::ffff:127.0.0.1]:80",
            "0.0.0.0:9470",
            "192.0.2.1",
            "127.0.0.1.",
            "localhost:",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "evil.example.com",
            "evil.example.com:9470",
            "localhost.evil.example.com",
            "127.0.0.1.evil.example.com",
            "127.0.0.1.nip.io:9470",
            "localhost:9470:80",
            "localhost@evil.example.com",
            "[localhost]",
            "[evil.example.com]:80",
            "localhost..",
            "localhost:99999",
            "localhost:x",
            "[::1",
            "[::1]x",
            "[127.0.0.1]",
            "1.2.3",
            "127.1",
            "localhost ",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
