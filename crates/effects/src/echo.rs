//! The built-in echo backend: answers in place of a Service of which nothing lists endpoints, and of endpoints that are not
//! loopback, over HTTP/1.1 and h2c.

use std::{collections::BTreeMap, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, Version,
    header::{CONNECTION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use serde_json::json;
use tokio::{net::TcpListener, sync::Semaphore};

/// Services that get a listener of their own, so that the answer can name them; further ones share one.
const NAMED: usize = 200;

/// Connections of all stand-ins at a time, at most; and never more than half of the files that may be open, so that all
/// other work has its own.
const CONNECTIONS: usize = 16 * 1024;
/// After an error to accept.
const PAUSE: Duration = Duration::from_millis(100);

/// Stand-ins by Service.
#[derive(Debug)]
pub struct Echo {
    by_service: BTreeMap<String, SocketAddr>,
    shared: Option<SocketAddr>,
    connections: Arc<Semaphore>,
}

impl Default for Echo {
    fn default() -> Self {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let half = files.and_then(|files| usize::try_from(files / 2).ok()).unwrap_or(CONNECTIONS);
        let connections = Arc::new(Semaphore::new(half.clamp(1, CONNECTIONS)));
        Self { by_service: BTreeMap::new(), shared: None, connections }
    }
}

impl Echo {
    /// Address that answers in place of `service`. Must be called inside a runtime; the listener ends with it.
    ///
    /// # Errors
    /// When no port of 127.0.0.1 can be bound.
    pub fn address(&mut self, service: &str) -> std::io::Result<SocketAddr> {
        if let Some(address) = self.by_service.get(service) {
            return Ok(*address);
        }
        if self.by_service.len() >= NAMED {
            if self.shared.is_none() {
                self.shared = Some(listen(None, &self.connections)?);
            }
            return self.shared.ok_or_else(|| std::io::Error::other("no listener"));
        }
        let address = listen(Some(service.to_owned()), &self.connections)?;
        self.by_service.insert(service.to_owned(), address);
        Ok(address)
    }
}

fn listen(service: Option<String>, connections: &Arc<Semaphore>) -> std::io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    let service: Arc<Option<String>> = Arc::new(service);
    let connections = Arc::clone(connections);
    tokio::spawn(async move {
        loop {
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, mostly: others may end meanwhile.
                    tracing::warn!(%error, "a stand-in cannot accept a connection; it tries again");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let service = Arc::clone(&service);
            tokio::spawn(async move {
                let _permit = permit;
                let answer = |request: Request<Incoming>| {
                    let answer = answer(&request, service.as_deref());
                    async move { Ok::<_, Infallible>(answer) }
                };
                let service = hyper::service::service_fn(answer);
                let _ =
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(address)
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

fn answer(request: &Request<Incoming>, service: Option<&str>) -> Response<Body> {
    let grpc =
        request.headers().get(CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"));
    if grpc {
        // Status 0 in the trailers: an empty answer that every gRPC client takes for success.
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let frames = futures::stream::once(async move { Ok::<_, Infallible>(Frame::trailers(trailers)) });
        let mut response = Response::new(http_body_util::StreamBody::new(frames).boxed_unsync());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        return response;
    }
    let mut headers = serde_json::Map::new();
    for name in request.headers().keys() {
        let values: Vec<_> = request
            .headers()
            .get_all(name)
            .iter()
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
            .collect();
        headers.insert(name.to_string(), values.join(", ").into());
    }
    let host = request
        .uri()
        .authority()
        .map(ToString::to_string)
        .or_else(|| request.headers().get("host").and_then(|v| v.to_str().ok()).map(str::to_owned));
    let body = json!({
        "standIn": true,
        "service": service,
        "method": request.method().as_str(),
        "path": request.uri().path_and_query().map(ToString::to_string),
        "host": host,
        "headers": headers,
    });
    let text = serde_json::to_string_pretty(&body).unwrap_or_default() + "\n";
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Envoy would keep the connection for an hour, and a probe is not followed by anything.
    let probe = request.headers().get(USER_AGENT).is_some_and(|agent| agent == crate::probe::USER_AGENT);
    if probe && request.version() < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
