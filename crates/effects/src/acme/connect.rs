//! Connections to ACME servers: to one socket address only, whatever host a URL names, or to the host of the URL, through the proxy
//! that the environment names.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::{
        legacy::connect::{Connected, Connection, HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower_service::Service;

/// For all addresses of a host together.
const CONNECT: Duration = Duration::from_secs(10);

/// Opens TLS connections, verifying the chain for the URL's host.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) to: To,
    pub(super) tls: Arc<ClientConfig>,
}

/// Where connections go.
#[derive(Clone)]
pub(super) enum To {
    /// To this address.
    Only(SocketAddr),
    /// To the URL's host, or the proxy for it.
    Named(HttpConnector, Arc<Matcher>),
}

impl To {
    /// The URL's host, by `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    pub(super) fn named() -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        Self::Named(connector, Arc::new(Matcher::from_env()))
    }

    async fn open(self, uri: Uri) -> io::Result<TcpStream> {
        match self {
            Self::Only(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(stream)
            }
            Self::Named(mut connector, proxies) => {
                let opened = match proxies.intercept(&uri) {
                    // What the proxy is told is no secret of the issuer's: the name of its server.
                    Some(proxy) if proxy.uri().scheme_str() == Some("http") => {
                        let mut tunnel = Tunnel::new(proxy.uri().clone(), connector);
                        if let Some(who) = proxy.basic_auth() {
                            tunnel = tunnel.with_auth(who.clone());
                        }
                        tunnel
                            .call(uri)
                            .await
                            .map_err(|error| io::Error::other(format!("the proxy: {error}")))?
                    }
                    Some(proxy) => {
                        let scheme = proxy.uri().scheme_str().unwrap_or_default();
                        return Err(io::Error::other(format!("a proxy over {scheme} is not built; http is")));
                    }
                    None => connector.call(uri).await.map_err(io::Error::other)?,
                };
                Ok(opened.into_inner())
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { to, tls } = self.clone();
        Box::pin(async move {
            if uri.scheme_str() != Some("https") {
                return Err(io::Error::other("ACME is spoken over https only"));
            }
            let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| io::Error::other(format!("{host} is not a server name")))?;
            let stream = to.open(uri).await?;
            let stream = TlsConnector::from(tls).connect(name, stream).await?;
            Ok(Stream(TokioIo::new(stream)))
        })
    }
}

/// A TLS connection as the HTTP client wants it.
pub(super) struct Stream(TokioIo<TlsStream<TcpStream>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
