//! Problem documents (RFC 7807, RFC 8555 §6.7).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// Why a request is refused, or an authorization invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Last part of the error type, such as `malformed`.
    pub(super) name: &'static str,
    pub(super) status: StatusCode,
    /// What is wrong, for people. Never key material.
    pub(super) detail: String,
    /// Seconds until it makes sense to ask again.
    pub(super) retry_after: Option<i64>,
}

impl Problem {
    fn new(name: &'static str, status: StatusCode, detail: impl Into<String>) -> Self {
        Self { name, status, detail: detail.into(), retry_after: None }
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new("malformed", StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn too_large() -> Self {
        Self::new("malformed", StatusCode::PAYLOAD_TOO_LARGE, "the request is too large")
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new("malformed", StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }

    pub(super) fn method() -> Self {
        Self::new("malformed", StatusCode::METHOD_NOT_ALLOWED, "use POST, or POST-as-GET (RFC 8555 §6.3)")
    }

    pub(super) fn media_type() -> Self {
        Self::new(
            "malformed",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the content type must be application/jose+json",
        )
    }

    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new("unauthorized", StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn bad_nonce() -> Self {
        Self::new("badNonce", StatusCode::BAD_REQUEST, "the nonce is unknown, used or too old")
    }

    pub(super) fn bad_algorithm() -> Self {
        Self::new(
            "badSignatureAlgorithm",
            StatusCode::BAD_REQUEST,
            "the JWS must be signed with an algorithm that fits its key",
        )
    }

    pub(super) fn bad_public_key(detail: impl Into<String>) -> Self {
        Self::new("badPublicKey", StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn no_account() -> Self {
        Self::new("accountDoesNotExist", StatusCode::BAD_REQUEST, "no account has this URL or key")
    }

    pub(super) fn contact(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn identifier(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn bad_csr(detail: impl Into<String>) -> Self {
        Self::new("badCSR", StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn not_ready(detail: impl Into<String>) -> Self {
        Self::new("orderNotReady", StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn rate_limited(detail: impl Into<String>, seconds: i64) -> Self {
        let limited = Self::new("rateLimited", StatusCode::TOO_MANY_REQUESTS, detail);
        Self { retry_after: Some(seconds.max(1)), ..limited }
    }

    pub(super) fn dns(detail: impl Into<String>) -> Self {
        Self::new("dns", StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn internal() -> Self {
        Self::new("serverInternal", StatusCode::INTERNAL_SERVER_ERROR, "the development CA could not do it")
    }

    pub(super) fn json(&self) -> Value {
        let mut json = json!({
            "type": format!("urn:ietf:params:acme:error:{}", self.name),
            "detail": self.detail,
            "status": self.status.as_u16(),
        });
        if self.name == "badSignatureAlgorithm" {
            // RFC 8555 §6.2: the answer says what would do.
            let names = crate::acme::Algorithm::ALL.map(crate::acme::Algorithm::name);
            json["algorithms"] = json!(names);
        }
        json
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.json().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
