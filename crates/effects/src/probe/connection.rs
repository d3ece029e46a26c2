//! One connection to Envoy, over which several hosts are asked for.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use portolan_core::status::rows::CERTIFICATE_REQUIRED;
use rustls::{AlertDescription, ClientConfig, client::Resumption, server::ParsedCertificate};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::{USER_AGENT, trust::Trust};

/// Longest body that is read to keep a connection; a longer one ends it.
const BODY: usize = 64 * 1024;

/// Where a listener of this machine is asked: one on every address is asked on loopback.
pub fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// Opens connections to one place.
pub struct Connector {
    pub address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Connector {
    /// Trusts the roots in PEM; `None` is cleartext.
    pub fn new(address: SocketAddr, roots: Option<&[u8]>) -> Result<Self, String> {
        let address = reachable(address);
        let Some(pem) = roots else { return Ok(Self { address, tls: None }) };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trust = Trust::new(pem, &provider)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(trust)
            .with_no_client_auth();
        // The place for sessions that nobody takes up again is larger than all else here.
        config.resumption = Resumption::disabled();
        Ok(Self { address, tls: Some(TlsConnector::from(Arc::new(config))) })
    }

    /// Connects, with the host's SNI and a chain that is valid for it.
    pub async fn connect(&self, host: &str) -> Result<Connection, String> {
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.map_err(|e| format!("connect to {}: {e}", self.address))?;
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return Connection::over(stream, None).await };
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is not a server name"))?;
        let stream = tls.connect(name, stream).await.map_err(|e| format!("TLS: {e}"))?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
        let certificate = certificate.ok_or("TLS: no certificate was shown")?;
        Connection::over(stream, Some(certificate.into_owned())).await
    }
}

/// An open connection.
pub struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    /// Until it is asked why it ended.
    running: Option<JoinHandle<hyper::Result<()>>>,
    /// What the server showed, for TLS.
    certificate: Option<CertificateDer<'static>>,
}

impl Connection {
    async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        stream: S,
        certificate: Option<CertificateDer<'static>>,
    ) -> Result<Self, String> {
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| format!("HTTP: {e}"))?;
        Ok(Self { sender, running: Some(tokio::spawn(connection)), certificate })
    }

    /// Whether another host may be asked for: it is open, and its certificate, verified when it was opened, has the name.
    pub fn is_valid_for(&self, host: &str) -> bool {
        if self.sender.is_closed() {
            return false;
        }
        let Some(certificate) = &self.certificate else { return true };
        let (Ok(name), Ok(parsed)) = (ServerName::try_from(host), ParsedCertificate::try_from(certificate))
        else {
            return false;
        };
        rustls::client::verify_server_name(&parsed, &name).is_ok()
    }

    /// Asks `GET /` for the host and gives the status.
    pub async fn get(&mut self, host: &str) -> Result<u16, String> {
        let request = http::Request::get("/")
            .header("host", host)
            .header("user-agent", USER_AGENT)
            .body(Empty::<Bytes>::new())
            .map_err(|e| e.to_string())?;
        let answer = match self.answer(request).await {
            Err(why) if asks_for_certificate(&why) => return Ok(CERTIFICATE_REQUIRED),
            answer => answer.map_err(|e| format!("HTTP: {e}"))?,
        };
        let status = answer.status().as_u16();
        // The next answer comes after the end of this one.
        if Limited::new(answer.into_body(), BODY).collect().await.is_err() {
            self.end();
        }
        Ok(status)
    }

    async fn answer(
        &mut self,
        request: http::Request<Empty<Bytes>>,
    ) -> hyper::Result<http::Response<Incoming>> {
        let asked = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        let why = match asked.await {
            Ok(answer) => return Ok(answer),
            Err(why) => why,
        };
        // A server may close before it is asked; then the connection knows why.
        let running = self.running.take_if(|_| self.sender.is_closed());
        let ended = match running {
            Some(running) => running.await.ok().and_then(Result::err),
            None => None,
        };
        Err(ended.unwrap_or(why))
    }

    fn end(&self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

/// Whether the server closed since this client showed no certificate (TLS 1.3, RFC 8446 §6.2): its own was verified before.
fn asks_for_certificate(why: &hyper::Error) -> bool {
    let mut source: Option<&(dyn Error + 'static)> = why.source();
    while let Some(error) = source {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(rustls::Error::AlertReceived(alert)) =
            inner.and_then(|e| e.downcast_ref::<rustls::Error>())
        {
            return *alert == AlertDescription::CertificateRequired;
        }
        source = error.source();
    }
    false
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end();
    }
}
