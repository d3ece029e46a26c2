//! The live probe: ask Envoy for a hostname as a client would, and verify the chain.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, client::Resumption};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// Patience with one probe.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How probes name themselves.
pub(crate) const USER_AGENT: &str = "portolan-probe";

/// What to ask.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Hostname; a wildcard is asked for with a label of our own.
    pub host: String,
    /// Where Envoy listens.
    pub address: SocketAddr,
    /// PEM of the roots to trust, for HTTPS.
    pub roots: Option<Vec<u8>>,
}

/// Asks `GET /` and gives the status. Any HTTP answer is a sign of life: what the route does is its own business.
///
/// # Errors
/// One sentence: connect, TLS (with the reason why the chain is not valid for the name) or HTTP.
pub async fn probe(ask: Ask) -> Result<u16, String> {
    match tokio::time::timeout(TIMEOUT, run(&ask)).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer from {} within 5 s", ask.address)),
    }
}

async fn run(ask: &Ask) -> Result<u16, String> {
    let host = match ask.host.strip_prefix('*') {
        Some("") => "portolan-probe.invalid".to_owned(),
        Some(rest) => format!("portolan-probe{rest}"),
        None => ask.host.clone(),
    };
    let address = reachable(ask.address);
    let stream = TcpStream::connect(address).await.map_err(|e| format!("connect to {address}: {e}"))?;
    let Some(pem) = &ask.roots else { return get(stream, &host).await };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "the CA is not PEM".to_owned())?;
        roots.add(certificate).map_err(|e| format!("the CA cannot be used: {e}"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // The place for sessions that nobody takes up again is larger than all else here.
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from(host.clone()).map_err(|_| format!("{host} is not a server name"))?;
    let stream =
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| format!("TLS: {e}"))?;
    get(stream, &host).await
}

/// Where a listener of this machine is asked: one on every address is asked on loopback.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

async fn get<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    host: &str,
) -> Result<u16, String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| format!("HTTP: {e}"))?;
    let running = tokio::spawn(connection);
    let request = http::Request::get("/")
        .header("host", host)
        .header("user-agent", USER_AGENT)
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let status =
        sender.send_request(request).await.map(|r| r.status().as_u16()).map_err(|e| format!("HTTP: {e}"));
    running.abort();
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        let asked = |text: &str| reachable(text.parse().expect("an address")).to_string();
        assert_eq!(asked("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(asked("[::]:80"), "[::1]:80");
        assert_eq!(asked("127.77.1.2:8080"), "127.77.1.2:8080");
    }
}
