//! Signed requests to one ACME server: JWS, nonces, bounded answers.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{client::legacy, rt::TokioExecutor, rt::TokioTimer};
use portolan_core::certificates::acme::{KeyId, Response};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};

use super::{
    AccountKey,
    connect::{Connector, To},
};

/// Largest answer that is read: chains of a few kilobytes and JSON.
const LONGEST_BODY: usize = 1024 * 1024;
/// Nonces that are kept for later requests.
const NONCES: usize = 16;
/// How long a connection without requests is kept. Shorter than servers do, so that the client closes first.
const IDLE: Duration = Duration::from_secs(15);
/// Who asks (RFC 8555 §6.1 requires it).
const USER_AGENT: &str = concat!("portolan/", env!("CARGO_PKG_VERSION"));

/// Where requests may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every request, whatever host and port its URL names, goes to this socket address, which must be on loopback. The
    /// server's certificate must be valid for the URL's host nevertheless.
    Only(SocketAddr),
    /// To the host and port of the URL, through the proxy that the environment names for it (`HTTPS_PROXY`, `NO_PROXY`).
    Named,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not on this machine.
    #[error("{0} is not a loopback address: ACME requests do not leave this machine")]
    OffLoopback(SocketAddr),
    /// The roots cannot be used.
    #[error("the CA's root certificate cannot be used: {0}")]
    Root(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A client of one ACME server with one account key. Shared by the orders of an issuer.
pub struct Client {
    key: AccountKey,
    http: legacy::Client<Connector, Full<Bytes>>,
    /// Unused, newest last.
    nonces: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that trusts the roots in `root_pem` and no others.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn new(key: AccountKey, root_pem: &str, reach: Reach) -> Result<Self, ClientError> {
        let to = match reach {
            Reach::Only(address) if !address.ip().is_loopback() => {
                return Err(ClientError::OffLoopback(address));
            }
            Reach::Only(address) => To::Only(address),
            Reach::Named => To::named(),
        };
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(root_pem.as_bytes()) {
            let root = root.map_err(|_| ClientError::Root("it is not PEM".to_owned()))?;
            roots.add(root).map_err(|error| ClientError::Root(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(ClientError::Root("there is none".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(4)
            .build(Connector { to, tls: Arc::new(tls) });
        Ok(Self { key, http, nonces: Mutex::default() })
    }

    /// The account key's thumbprint, for [`portolan_core::certificates::acme::Wanted::thumbprint`].
    pub fn thumbprint(&self) -> String {
        self.key.thumbprint()
    }

    /// The account key, for the Secret in which it is kept.
    pub fn key(&self) -> &AccountKey {
        &self.key
    }

    /// A request without a signature: the directory.
    ///
    /// # Errors
    /// One sentence: why there is no answer.
    pub async fn get(&self, url: &str) -> Result<Response, String> {
        self.send(Method::GET, url, Bytes::new()).await
    }

    /// A signed request (RFC 8555 §6.2). Takes a nonce that an earlier answer brought, else asks `nonce_url` for one.
    ///
    /// # Errors
    /// One sentence: why there is no answer.
    pub async fn post(
        &self,
        url: &str,
        nonce_url: &str,
        key: &KeyId,
        payload: &[u8],
    ) -> Result<Response, String> {
        let kept = self.nonces.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let nonce = match kept {
            Some(nonce) => nonce,
            None => self.new_nonce(nonce_url).await?,
        };
        let mut header = json!({ "nonce": nonce, "url": url });
        match key {
            KeyId::Jwk => header["jwk"] = self.key.public().to_json(),
            KeyId::Account(kid) => header["kid"] = kid.as_str().into(),
        }
        let body = self.key.sign(header, payload).map_err(|_| "the account key cannot sign".to_owned())?;
        self.send(Method::POST, url, body.to_string().into()).await
    }

    pub(crate) async fn new_nonce(&self, url: &str) -> Result<String, String> {
        let response = self.send(Method::HEAD, url, Bytes::new()).await?;
        let newest = self.nonces.lock().unwrap_or_else(PoisonError::into_inner).pop();
        newest.ok_or_else(|| format!("newNonce answered {} without a nonce", response.status))
    }

    pub(crate) async fn send(&self, method: Method, url: &str, body: Bytes) -> Result<Response, String> {
        let mut request = Request::builder().method(&method).uri(url).header(header::USER_AGENT, USER_AGENT);
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/jose+json");
        }
        let request =
            request.body(Full::new(body)).map_err(|_| format!("the server gave an unusable URL: {url}"))?;
        let response = self.http.request(request).await.map_err(|error| in_full(&error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_BODY).collect().await;
        let body = body.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes().to_vec();
        let text = |name| header_text(&parts.headers, name);
        let response = Response {
            status: parts.status.as_u16(),
            location: text("location"),
            retry_after: text("retry-after"),
            body,
        };
        self.keep_nonce(text("replay-nonce"), is_bad_nonce(&response));
        Ok(response)
    }

    fn keep_nonce(&self, nonce: Option<String>, rejected: bool) {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if rejected {
            // A server that forgot one has most likely forgotten all of them; only its newest is worth a try.
            nonces.clear();
        }
        // base64url only (RFC 8555 §6.5.1).
        let sound = |nonce: &String| {
            (1..=512).contains(&nonce.len())
                && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if let Some(nonce) = nonce.filter(sound) {
            if nonces.len() >= NONCES {
                nonces.remove(0);
            }
            nonces.push(nonce);
        }
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
}

fn is_bad_nonce(response: &Response) -> bool {
    response.status == 400
        && serde_json::from_slice::<Value>(&response.body)
            .is_ok_and(|problem| problem["type"] == "urn:ietf:params:acme:error:badNonce")
}

/// An error with its causes: the outermost alone says only that connecting failed.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}
