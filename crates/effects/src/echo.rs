//! The built-in echo backend: answers in place of a Service of which nothing lists endpoints, and of endpoints that are not
//! loopback, over HTTP/1.1 and h2c.

use std::{collections::BTreeMap, convert::Infallible, net::SocketAddr, sync::Arc};

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
use tokio::net::TcpListener;

/// Services that get a listener of their own, so that the answer can name them; further ones share one.
const NAMED: usize = 200;

/// Stand-ins by Service.
#[derive(Debug, Default)]
pub struct Echo {
    by_service: BTreeMap<String, SocketAddr>,
    shared: Option<SocketAddr>,
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
                self.shared = Some(listen(None)?);
            }
            return self.shared.ok_or_else(|| std::io::Error::other("no listener"));
        }
        let address = listen(Some(service.to_owned()))?;
        self.by_service.insert(service.to_owned(), address);
        Ok(address)
    }
}

fn listen(service: Option<String>) -> std::io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    let service: Arc<Option<String>> = Arc::new(service);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = Arc::clone(&service);
            tokio::spawn(async move {
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
