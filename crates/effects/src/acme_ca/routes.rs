//! The resources (RFC 8555 §7), one function each.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::State,
    middleware,
    response::{IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    book::{Account, Proof},
    finalize,
    jws::{Signed, Signer},
    orders::{NewAccount, NewOrder},
    problem::Problem,
    serve::Server,
    validate,
};
use crate::acme::Jwk;

/// Longest request body, in bytes. A CSR of 100 long names with an RSA key of 8192 bits takes some 30 kB.
const LONGEST_BODY: usize = 64 * 1024;
/// For a whole request body to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

type Answer = Result<Response, Problem>;

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

/// A request whose signature, nonce and URL are good.
struct Request<'a> {
    server: &'a Arc<Server>,
    /// Name of the account on the shelf; empty for newAccount.
    account: String,
    key: Jwk,
    payload: Vec<u8>,
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

#[derive(Deserialize)]
struct Change {
    contact: Option<Value>,
    status: Option<String>,
}

impl Request<'_> {
    fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.payload)
            .map_err(|error| Problem::malformed(format!("the payload is not as RFC 8555 says: {error}")))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.server.base)
    }

    /// §7.3
    fn new_account(&self) -> Answer {
        let wanted: NewAccount = self.json()?;
        if wanted.status.is_some() {
            return Err(Problem::malformed("a new account has no status"));
        }
        let mut book = self.server.book();
        if let Some((id, account)) = book.accounts.find(|account| account.key == self.key) {
            if account.deactivated {
                return Err(Problem::unauthorized("the account of this key is deactivated"));
            }
            return Ok(located(StatusCode::OK, &self.url(&format!("account/{id}")), account.json()));
        }
        if wanted.only_return_existing {
            return Err(Problem::no_account());
        }
        let account = Account { key: self.key.clone(), contact: wanted.contacts()?, deactivated: false };
        let json = account.json();
        let id = book.accounts.add(account).ok_or_else(Problem::internal)?;
        Ok(located(StatusCode::CREATED, &self.url(&format!("account/{id}")), json))
    }

    /// §7.3.2, §7.3.6
    fn account(&self, id: &str) -> Answer {
        if id != self.account {
            return Err(Problem::unauthorized("this is another account's URL"));
        }
        let change: Option<Change> = if self.payload.is_empty() { None } else { Some(self.json()?) };
        let mut book = self.server.book();
        let account = book.accounts.get_mut(id).ok_or_else(Problem::no_account)?;
        if let Some(change) = change {
            if let Some(contact) = change.contact {
                let wanted: NewAccount = serde_json::from_value(json!({ "contact": contact }))
                    .map_err(|_| Problem::malformed("contact is not a list of texts"))?;
                account.contact = wanted.contacts()?;
            }
            match change.status.as_deref() {
                None | Some("valid") => {}
                Some("deactivated") => account.deactivated = true,
                Some(_) => return Err(Problem::malformed("an account can only be deactivated")),
            }
        }
        Ok(axum::Json(account.json()).into_response())
    }

    /// §7.4
    fn new_order(&self) -> Answer {
        let wanted: NewOrder = self.json()?;
        let (server, now) = (self.server, self.server.now());
        let mut book = server.book();
        let id = wanted.place(&mut book, &self.account, server.settings.new_orders, now)?;
        let json = book.order_of(&id, &self.account)?.json(&id, &server.base, now);
        Ok(located(StatusCode::CREATED, &self.url(&format!("order/{id}")), json))
    }

    /// §7.4
    fn order(&self, id: &str) -> Answer {
        self.read_only()?;
        let json = {
            let mut book = self.server.book();
            book.order_of(id, &self.account)?.json(id, &self.server.base, self.server.now())
        };
        Ok(axum::Json(json).into_response())
    }

    /// §7.4
    fn finalize(&self, id: &str) -> Answer {
        #[derive(Deserialize)]
        struct Finalize {
            csr: String,
        }
        let Finalize { csr } = self.json()?;
        let csr = URL_SAFE_NO_PAD.decode(csr).map_err(|_| Problem::bad_csr("the CSR is not base64url"))?;
        let (server, now) = (self.server, self.server.now());
        let mut book = server.book();
        let order = book.order_of(id, &self.account)?;
        match order.status(now) {
            "ready" => {}
            status => return Err(Problem::not_ready(format!("the order is {status}, not ready"))),
        }
        let key = finalize::checked(&csr, &order.names, &self.key)?;
        let chain = server.ca.issue(&order.names, &key, now, server.settings.lifetime).map_err(|error| {
            tracing::error!("the development CA cannot sign: {error}");
            Problem::internal()
        })?;
        tracing::info!(names = order.names.join(","), "the development CA issued a certificate");
        order.chain = Some(chain);
        Ok(located(StatusCode::OK, &self.url(&format!("order/{id}")), order.json(id, &server.base, now)))
    }

    /// §7.5, §7.5.2
    fn authorization(&self, id: &str, at: usize) -> Answer {
        let deactivate = match &*self.payload {
            b"" => false,
            _ if self.json::<Change>()?.status.as_deref() == Some("deactivated") => true,
            _ => return Err(Problem::malformed("an authorization can only be read or deactivated")),
        };
        let mut book = self.server.book();
        let order = book.order_of(id, &self.account)?;
        if deactivate && let Some(one) = order.authorizations.get_mut(at) {
            one.state = Proof::Deactivated;
        }
        let json = order.authorization_json(id, at, &self.server.base, self.server.now());
        Ok(axum::Json(json.ok_or_else(|| Problem::not_found("authorization"))?).into_response())
    }

    /// §7.5.1
    fn challenge(&self, id: &str, at: usize) -> Answer {
        if !self.payload.is_empty() {
            let _: serde_json::Map<String, Value> = self.json()?;
        }
        let (server, now) = (self.server, self.server.now());
        let mut book = server.book();
        let order = book.order_of(id, &self.account)?;
        let expired = order.expires <= now;
        let name = order.names.get(at).cloned();
        let (Some(name), Some(one)) = (name, order.authorizations.get_mut(at)) else {
            return Err(Problem::not_found("challenge"));
        };
        // A second request while it runs, or after it ended, changes nothing.
        if !self.payload.is_empty() && one.state == Proof::Pending {
            if expired {
                return Err(Problem::malformed("the authorization expired"));
            }
            let permit = Arc::clone(&server.validating).try_acquire_owned();
            let permit = permit.map_err(|_| Problem::rate_limited("too many validations at a time", 1))?;
            one.state = Proof::Processing;
            let (server, token) = (Arc::clone(server), one.token.clone());
            let (thumbprint, id) = (self.key.thumbprint(), id.to_owned());
            let job = Box::pin(async move {
                let result = validate::dns01(&server.settings.resolvers, &name, &token, &thumbprint).await;
                drop(permit);
                let now = server.now();
                let mut book = server.book();
                let one = book.orders.get_mut(&id).and_then(|order| order.authorizations.get_mut(at));
                if let Some(one) = one.filter(|one| one.state == Proof::Processing) {
                    one.state = match result {
                        Ok(()) => Proof::Valid(now),
                        Err(problem) => Proof::Invalid(problem),
                    };
                }
            });
            self.server.jobs.send(job).map_err(|_| Problem::internal())?;
        }
        let json = order.challenge_json(id, at, &self.server.base);
        let mut response = axum::Json(json.ok_or_else(|| Problem::not_found("challenge"))?).into_response();
        let up = format!("<{}>;rel=\"up\"", self.url(&format!("authorization/{id}/{at}")));
        response.headers_mut().extend(HeaderValue::try_from(up).ok().map(|up| (header::LINK, up)));
        Ok(response)
    }

    /// §7.4.2
    fn certificate(&self, id: &str) -> Answer {
        self.read_only()?;
        let chain = self.server.book().order_of(id, &self.account)?.chain.clone();
        let chain = chain.ok_or_else(|| Problem::not_found("certificate"))?;
        let kind = [(header::CONTENT_TYPE, "application/pem-certificate-chain")];
        Ok((kind, chain).into_response())
    }

    fn read_only(&self) -> Result<(), Problem> {
        if self.payload.is_empty() {
            Ok(())
        } else {
            Err(Problem::malformed("this can only be read: POST-as-GET"))
        }
    }
}

fn located(status: StatusCode, url: &str, json: Value) -> Response {
    let mut response = (status, axum::Json(json)).into_response();
    let url = HeaderValue::try_from(url).ok();
    response.headers_mut().extend(url.map(|url| (header::LOCATION, url)));
    response
}
