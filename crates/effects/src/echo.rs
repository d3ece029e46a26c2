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
    /// Ports by Service, of this run and of earlier ones; under no name that of those that share one.
    ports: BTreeMap<String, u16>,
    /// They are not those that were remembered.
    changed: bool,
    connections: Arc<Semaphore>,
}

impl Default for Echo {
    fn default() -> Self {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let half = files.and_then(|files| usize::try_from(files / 2).ok()).unwrap_or(CONNECTIONS);
        let connections = Arc::new(Semaphore::new(half.clamp(1, CONNECTIONS)));
        let (by_service, ports) = (BTreeMap::new(), BTreeMap::new());
        Self { by_service, shared: None, ports, changed: false, connections }
    }
}

impl Echo {
    /// With the ports of an earlier run: Envoy has them still, so that nothing has to be sent again and hosts answer as soon as
    /// this program does. What cannot be read is a run without one before.
    pub fn remembering(saved: Option<&[u8]>) -> Self {
        let ports = saved.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        Self { ports, ..Self::default() }
    }

    /// The ports, if they are others than at the call before.
    pub fn take_changed(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        if self.ports.len() > 2 * NAMED {
            // Most are of Services that are gone.
            let used = &self.by_service;
            self.ports.retain(|service, _| service.is_empty() || used.contains_key(service));
        }
        serde_json::to_vec(&self.ports).ok()
    }

    fn listen(&mut self, service: Option<&str>) -> std::io::Result<SocketAddr> {
        let name = service.unwrap_or_default();
        let before = self.ports.get(name).copied();
        let listener = before.and_then(|port| std::net::TcpListener::bind(("127.0.0.1", port)).ok());
        let listener = listener.map_or_else(|| std::net::TcpListener::bind(("127.0.0.1", 0)), Ok)?;
        let address = listen(listener, service.map(str::to_owned), &self.connections)?;
        if before != Some(address.port()) {
            self.ports.insert(name.to_owned(), address.port());
            self.changed = true;
        }
        Ok(address)
    }

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
                self.shared = Some(self.listen(None)?);
            }
            return self.shared.ok_or_else(|| std::io::Error::other("no listener"));
        }
        let address = self.listen(Some(service))?;
        self.by_service.insert(service.to_owned(), address);
        Ok(address)
    }
}

fn listen(
    listener: std::net::TcpListener,
    service: Option<String>,
    connections: &Arc<Semaphore>,
) -> std::io::Result<SocketAddr> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn ports_are_those_of_the_run_before_unless_somebody_has_them() {
        let mut first = Echo::default();
        let (a, b) = (first.address("ns/a").unwrap(), first.address("ns/b").unwrap());
        let saved = first.take_changed().unwrap();
        assert_eq!(first.take_changed(), None);
        // The first run goes on: its ports are taken.
        let mut again = Echo::remembering(Some(&saved));
        assert_ne!(again.address("ns/a").unwrap(), a);
        assert!(again.take_changed().is_some());
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let saved = format!("{{\"ns/a\":{},\"ns/b\":{}}}", free.port(), b.port());
        let mut other = Echo::remembering(Some(saved.as_bytes()));
        assert_eq!(other.address("ns/a").unwrap(), free);
        assert_eq!(other.take_changed(), None, "nothing is another one");
        assert_ne!(other.address("ns/b").unwrap(), b);
        assert!(other.take_changed().is_some());
        assert!(Echo::remembering(Some(b"{")).address("ns/a").is_ok());
    }
}
