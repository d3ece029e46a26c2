//! What goes through Envoy as it comes: a connection is opened, with TLS where there is some, and has to stay.
//!
//! Envoy takes every connection, and closes it if nobody behind it does: so it is looked at for a moment. Nothing is sent.

use std::{sync::Arc, time::Duration};

use portolan_core::status::rows::{CONNECTED, HANDSHAKE};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::connection::Connector;

/// How long a connection has to stay.
const STAYS: Duration = Duration::from_millis(300);

/// Opens a connection for the host.
pub async fn ask(connector: &Connector, host: &str) -> Result<u16, String> {
    match connector.agree(connector.open().await?, host).await? {
        Ok(mut stream) => stays(&mut stream).await.map(|()| HANDSHAKE),
        Err(mut stream) => stays(&mut stream).await.map(|()| CONNECTED),
    }
}

async fn stays(stream: &mut (impl AsyncRead + Unpin)) -> Result<(), String> {
    let mut byte = [0];
    match tokio::time::timeout(STAYS, stream.read(&mut byte)).await {
        // Whoever speaks first is there.
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) => Err("the connection was closed at once: no backend took it".to_owned()),
        Ok(Err(why)) => Err(format!("the connection was ended at once: {why}")),
    }
}

/// Takes every certificate, of whoever has its key.
#[derive(Debug)]
pub struct Anybody(WebPkiSupportedAlgorithms);

impl Anybody {
    pub fn new(provider: &Arc<CryptoProvider>) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
