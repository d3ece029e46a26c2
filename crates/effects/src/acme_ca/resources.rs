//! What each resource does (RFC 8555 §7).

use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    book::{Account, Proof},
    finalize,
    orders::{NewAccount, NewOrder},
    problem::Problem,
    serve::Server,
    validate,
};
use crate::acme::Jwk;

pub(super) type Answer = Result<Response, Problem>;

/// A request whose signature, nonce and URL are good.
pub(super) struct Request<'a> {
    pub(super) server: &'a Arc<Server>,
    /// Name of the account on the shelf; empty for newAccount.
    pub(super) account: String,
    pub(super) key: Jwk,
    pub(super) payload: Vec<u8>,
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
    pub(super) fn new_account(&self) -> Answer {
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
    pub(super) fn account(&self, id: &str) -> Answer {
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
    pub(super) fn new_order(&self) -> Answer {
        let wanted: NewOrder = self.json()?;
        let (server, now) = (self.server, self.server.now());
        let mut book = server.book();
        let id = wanted.place(&mut book, &self.account, server.settings.new_orders, now)?;
        let json = book.order_of(&id, &self.account)?.json(&id, &server.base, now);
        Ok(located(StatusCode::CREATED, &self.url(&format!("order/{id}")), json))
    }

    /// §7.4
    pub(super) fn order(&self, id: &str) -> Answer {
        self.read_only()?;
        let json = {
            let mut book = self.server.book();
            book.order_of(id, &self.account)?.json(id, &self.server.base, self.server.now())
        };
        Ok(axum::Json(json).into_response())
    }

    /// §7.4
    pub(super) fn finalize(&self, id: &str) -> Answer {
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
    pub(super) fn authorization(&self, id: &str, at: usize) -> Answer {
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
    pub(super) fn challenge(&self, id: &str, at: usize) -> Answer {
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
    pub(super) fn certificate(&self, id: &str) -> Answer {
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
