//! From an HTTP request to a resource: what every signed request must have (RFC 8555 §6).

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::State,
    middleware,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::json;
use tokio::time::timeout;

use super::{
    jws::{Signed, Signer},
    problem::Problem,
    resources::{Answer, Request},
    serve::Server,
};

/// Longest request body, in bytes. A CSR of 100 long names with an RSA key of 8192 bits takes some 30 kB.
const LONGEST_BODY: usize = 64 * 1024;
/// For a whole request body to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/new-nonce", get(new_nonce))
        .fallback(post)
        .layer(middleware::map_response_with_state(Arc::clone(&server), with_nonce))
        .route("/directory", get(directory))
        .with_state(server)
}

async fn directory(State(server): State<Arc<Server>>) -> Response {
    let base = &server.base;
    axum::Json(json!({
        "newNonce": format!("{base}/new-nonce"),
        "newAccount": format!("{base}/new-account"),
        "newOrder": format!("{base}/new-order"),
        "meta": { "externalAccountRequired": false },
    }))
    .into_response()
}

async fn new_nonce(method: Method) -> StatusCode {
    if method == Method::HEAD { StatusCode::OK } else { StatusCode::NO_CONTENT }
}

/// Every answer but the directory brings the next nonce (RFC 8555 §6.5) and the way to the directory (§7.1).
async fn with_nonce(State(server): State<Arc<Server>>, mut response: Response) -> Response {
    let nonce = server.nonces().make().and_then(|nonce| HeaderValue::try_from(nonce).ok());
    let index = HeaderValue::try_from(format!("<{}/directory>;rel=\"index\"", server.base));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(nonce.map(|nonce| (header::HeaderName::from_static("replay-nonce"), nonce)));
    if let Ok(index) = index {
        headers.append(header::LINK, index);
    }
    response
}

async fn post(
    State(server): State<Arc<Server>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answer = async {
        if method != Method::POST {
            return Err(Problem::method());
        }
        if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/jose+json") {
            return Err(Problem::media_type());
        }
        let body = timeout(PATIENCE, to_bytes(body, LONGEST_BODY)).await;
        let body = body.map_err(|_| Problem::malformed("the request came too slowly"))?;
        signed(&server, uri.path(), &body.map_err(|_| Problem::too_large())?)
    };
    answer.await.unwrap_or_else(|problem| {
        tracing::debug!(
            path = uri.path(),
            problem = problem.name,
            "the development CA refuses: {}",
            problem.detail
        );
        problem.into_response()
    })
}

fn signed(server: &Arc<Server>, path: &str, body: &Bytes) -> Answer {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let signed = Signed::read(body)?;
    let (account, key) = match (&signed.signer, &*parts) {
        (Signer::Key(key), ["new-account"]) => (String::new(), key.clone()),
        (Signer::Account(_), ["new-account"]) => {
            return Err(Problem::malformed("newAccount must be signed with jwk"));
        }
        (Signer::Key(_), _) => return Err(Problem::malformed("only newAccount may be signed with jwk")),
        (Signer::Account(url), _) => {
            let id = url.strip_prefix(&server.base).and_then(|path| path.strip_prefix("/account/"));
            let id = id.ok_or_else(Problem::no_account)?;
            let book = server.book();
            let account = book.accounts.get(id).ok_or_else(Problem::no_account)?;
            if account.deactivated {
                return Err(Problem::unauthorized("the account is deactivated"));
            }
            (id.to_owned(), account.key.clone())
        }
    };
    signed.verify(&key)?;
    if signed.url != format!("{}{path}", server.base) {
        return Err(Problem::unauthorized("the JWS is for another URL"));
    }
    if !server.nonces().spend(&signed.nonce) || unlucky(server.settings.reject_nonces) {
        return Err(Problem::bad_nonce());
    }
    let request = Request { server, account, key, payload: signed.payload };
    let at = |text: &str| text.parse::<usize>().map_err(|_| Problem::not_found("authorization"));
    match &*parts {
        ["new-account"] => request.new_account(),
        ["new-order"] => request.new_order(),
        ["account", id] => request.account(id),
        ["order", id] => request.order(id),
        ["order", id, "finalize"] => request.finalize(id),
        ["authorization", id, number] => request.authorization(id, at(number)?),
        ["challenge", id, number] => request.challenge(id, at(number)?),
        ["certificate", id] => request.certificate(id),
        _ => Err(Problem::not_found("resource")),
    }
}

fn unlucky(percent: u8) -> bool {
    let mut byte = [0_u8; 2];
    percent > 0
        && aws_lc_rs::rand::fill(&mut byte).is_ok()
        && u16::from_be_bytes(byte) % 100 < u16::from(percent)
}
