//! Connections with TLS, whose certificate may be another at any time.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::Leaf;

/// Handshakes at a time.
const HANDSHAKES: usize = 64;
/// For a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// The certificate that is shown. Without one every handshake fails.
#[derive(Debug, Default)]
pub struct Shown(RwLock<Option<Arc<CertifiedKey>>>);

impl Shown {
    /// Shows another from now on; connections that are open go on.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn show(&self, leaf: Leaf) -> Result<(), rustls::Error> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf.key.pkcs8().to_vec()));
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)?;
        let made = Arc::new(CertifiedKey::new(leaf.chain, key));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(made);
        Ok(())
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Accepts connections for ever, with TLS 1.3 and HTTP/2 alone, and hands them out once their handshake is done.
///
/// # Errors
/// When TLS cannot be set up at all.
pub fn accept(
    listener: TcpListener,
    shown: Arc<Shown>,
) -> Result<mpsc::Receiver<TlsStream<TcpStream>>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));
    let (out, accepted) = mpsc::channel(HANDSHAKES);
    tokio::spawn(async move {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        loop {
            let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else { return };
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of file descriptors, mostly: others may end meanwhile.
                        tracing::warn!("a connection cannot be accepted: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                () = out.closed() => return,
            };
            let (tls, out) = (tls.clone(), out.clone());
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => drop(out.send(stream).await),
                    Ok(Err(error)) => tracing::debug!("a handshake failed: {error}"),
                    Err(_) => tracing::debug!("a handshake was not finished in time"),
                }
                drop(permit);
            });
        }
    });
    Ok(accepted)
}
