//! Who may ask. What Envoys are told holds private keys, so over a network each request shows who sends it, and an Envoy gets what its own
//! Gateway serves.
//!
//! It is a layer below every service and method, so that a call which nobody thought of is refused like any other: Envoy Gateway checked
//! its streams and left out the older calls, which answered everybody.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use portolan_model::{GatewayKey, Name};
use tonic::{Status, body::Body};

/// Longest credential that is looked at, in bytes.
const LONGEST: usize = 16 << 10;

/// An Envoy that has shown who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Node id under which it has to ask.
    pub node: Name,
    /// Gateway that it serves.
    pub gateway: GatewayKey,
    /// When what it showed ends: its stream is ended then, and it has to show something newer.
    pub until: Instant,
}

/// Why somebody is not let in. None of it says anything that the caller did not send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It has shown nothing that proves who it is.
    Unproven(&'static str),
    /// It is known, and gets nothing here.
    Stranger(&'static str),
    /// Who it is cannot be found out at present.
    Later(&'static str),
}

impl From<Denied> for Status {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unproven(why) => Self::unauthenticated(why),
            Denied::Stranger(why) => Self::permission_denied(why),
            Denied::Later(why) => Self::unavailable(why),
        }
    }
}

/// Finds out who asks.
#[tonic::async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Whoever holds this bearer token.
    ///
    /// # Errors
    /// [`Denied`]: the caller is told why, and nothing else.
    async fn admit(&self, token: &str) -> Result<Identity, Denied>;
}

/// The token of an `authorization` header, with or without the word `Bearer` before it: what injects it into Envoy's requests writes a
/// file's content as it is.
fn token(headers: &http::HeaderMap) -> Result<&str, Denied> {
    let mut all = headers.get_all(http::header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return Err(Denied::Unproven("one authorization header with a token is needed"));
    };
    let text = value.to_str().map_err(|_| Denied::Unproven("the token is no text"))?.trim();
    let token = match text.split_once(' ') {
        Some((word, token)) if word.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => text,
    };
    let is_word = token.eq_ignore_ascii_case("bearer");
    if token.is_empty() || is_word || token.len() > LONGEST || token.contains(' ') {
        return Err(Denied::Unproven("the token is none"));
    }
    Ok(token)
}

/// Puts the gate before services.
#[derive(Clone)]
pub struct Gated(pub Arc<dyn Gate>);

impl<S> tower_layer::Layer<S> for Gated {
    type Service = Behind<S>;

    fn layer(&self, inner: S) -> Behind<S> {
        Behind { gate: Arc::clone(&self.0), inner }
    }
}

/// Services behind a gate.
#[derive(Clone)]
pub struct Behind<S> {
    gate: Arc<dyn Gate>,
    inner: S,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<http::Response<Body>, E>> + Send>>;

impl<S, B> tower_service::Service<http::Request<B>> for Behind<S>
where
    S: tower_service::Service<http::Request<B>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let gate = Arc::clone(&self.gate);
        // The one that is ready is the one that is called.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let admitted = match token(request.headers()) {
                Ok(token) => gate.admit(token).await,
                Err(denied) => Err(denied),
            };
            match admitted {
                Ok(identity) => {
                    // What is inside has no use for it.
                    request.headers_mut().remove(http::header::AUTHORIZATION);
                    request.extensions_mut().insert(identity);
                    inner.call(request).await
                }
                Err(denied) => {
                    tracing::warn!(?denied, "somebody asks for a configuration and is not let in");
                    Ok(Status::from(denied).into_http())
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> http::HeaderMap {
        let mut all = http::HeaderMap::new();
        for value in values {
            all.append("authorization", value.parse().expect("a header's value"));
        }
        all
    }

    #[test]
    fn a_token_stands_alone_or_behind_its_word() {
        for good in ["a.b.c", "Bearer a.b.c", "bearer  a.b.c", " a.b.c "] {
            assert_eq!(token(&headers(&[good])), Ok("a.b.c"), "{good}");
        }
        let long = "x".repeat(LONGEST + 1);
        for wrong in [&[][..], &[""], &["Bearer "], &["Basic a b"], &["a.b.c", "a.b.c"], &[&long]] {
            assert!(matches!(token(&headers(wrong)), Err(Denied::Unproven(_))), "{wrong:?}");
        }
    }
}
