//! The server against requests that no honest client sends; honest ones are in `tests/acme.rs`.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Method;
use portolan_core::certificates::acme::{KeyId, Response};
use portolan_model::{Instant, Redacted, certificate::KeyKind};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use x509_parser::prelude::parse_x509_certificate;

use super::{DevCa, DevCaError, Handle, Settings, nonces::Nonces, serve};
use crate::{
    acme::{AccountKey, Client, Reach},
    issue::PrivateKey,
};

fn now() -> Instant {
    Instant(jiff::Timestamp::now().as_millisecond())
}

struct Peer {
    handle: Handle,
    root: String,
    client: Client,
    base: String,
    clock: Arc<Mutex<Instant>>,
}

async fn peer(change: impl FnOnce(&mut Settings)) -> Peer {
    let ca = DevCa::generate(now()).unwrap();
    let root = ca.root_pem();
    let mut settings = Settings::new("127.0.0.1:0".parse().unwrap(), vec![]);
    change(&mut settings);
    let clock = Arc::new(Mutex::new(now()));
    let read = Arc::clone(&clock);
    let handle = serve(ca, settings, Arc::new(move || *read.lock().unwrap())).await.unwrap();
    let client = client(&root, &handle, KeyKind::P256);
    let base = handle.directory_url().trim_end_matches("/directory").to_owned();
    Peer { handle, root, client, base, clock }
}

fn client(root: &str, handle: &Handle, kind: KeyKind) -> Client {
    Client::new(AccountKey::generate(kind).unwrap(), root, Reach::Only(handle.client_addr())).unwrap()
}

impl Peer {
    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    async fn post_as(&self, client: &Client, path: &str, key: &KeyId, payload: &Value) -> Response {
        let payload = if payload.is_null() { Vec::new() } else { payload.to_string().into_bytes() };
        client.post(&self.url(path), &self.url("new-nonce"), key, &payload).await.unwrap()
    }

    async fn account_of(&self, client: &Client) -> KeyId {
        let made = self.post_as(client, "new-account", &KeyId::Jwk, &json!({})).await;
        assert_eq!(made.status, 201);
        KeyId::Account(made.location.unwrap())
    }

    /// A new account and an order for a name, as the path of the order and its JSON.
    async fn order(&self, name: &str) -> (KeyId, String, Value) {
        let key = self.account_of(&self.client).await;
        let wanted = json!({ "identifiers": [{ "type": "dns", "value": name }] });
        let made = self.post_as(&self.client, "new-order", &key, &wanted).await;
        assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
        let path = made.location.unwrap().strip_prefix(&format!("{}/", self.base)).unwrap().to_owned();
        (key, path, body(&made.body))
    }

    /// A JWS with any header.
    async fn raw(&self, path: &str, key: &AccountKey, header: Value, payload: &[u8]) -> Response {
        let jws = key.sign(header, payload).unwrap();
        self.client.send(Method::POST, &self.url(path), jws.to_string().into()).await.unwrap()
    }

    async fn nonce(&self) -> String {
        self.client.new_nonce(&self.url("new-nonce")).await.unwrap()
    }
}

fn body(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[track_caller]
fn refused(response: &Response, status: u16, name: &str) {
    let problem = body(&response.body);
    let shown = (response.status, problem["type"].as_str().unwrap().to_owned(), problem["status"].clone());
    let expected = (status, format!("urn:ietf:params:acme:error:{name}"), json!(status));
    assert_eq!(shown, expected, "{problem}");
    assert!(!problem["detail"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_request_is_good_once_for_one_url() {
    let peer = peer(|_| {}).await;
    let key = AccountKey::generate(KeyKind::P256).unwrap();
    let url = peer.url("new-account");
    let header =
        |nonce: &str, url: &str| json!({ "nonce": nonce, "url": url, "jwk": key.public().to_json() });
    let nonce = peer.nonce().await;
    let made = peer.raw("new-account", &key, header(&nonce, &url), b"{}").await;
    assert_eq!(made.status, 201);
    refused(&peer.raw("new-account", &key, header(&nonce, &url), b"{}").await, 400, "badNonce");
    refused(&peer.raw("new-account", &key, header("invented", &url), b"{}").await, 400, "badNonce");
    let elsewhere = header(&peer.nonce().await, &peer.url("new-order"));
    refused(&peer.raw("new-account", &key, elsewhere, b"{}").await, 403, "unauthorized");
    let again = peer.raw("new-account", &key, header(&peer.nonce().await, &url), b"{}").await;
    assert_eq!((again.status, again.location), (200, made.location), "one account a key");
}

#[tokio::test]
async fn signatures_and_headers_are_checked() {
    let peer = peer(|_| {}).await;
    let [key, other] = [(); 2].map(|()| AccountKey::generate(KeyKind::P256).unwrap());
    let url = peer.url("new-account");
    let nonce = peer.nonce().await;
    let forged = json!({ "nonce": nonce, "url": url, "jwk": other.public().to_json() });
    refused(&peer.raw("new-account", &key, forged, b"{}").await, 403, "unauthorized");
    let rsa = AccountKey::generate(KeyKind::Rsa2048).unwrap();
    let confused = json!({ "nonce": peer.nonce().await, "url": url, "jwk": rsa.public().to_json() });
    let answer = peer.raw("new-account", &key, confused, b"{}").await;
    refused(&answer, 400, "badSignatureAlgorithm");
    assert_eq!(body(&answer.body)["algorithms"], json!(["RS256", "ES256", "ES384"]));
    let jwk = key.public().to_json();
    for (header, name) in [
        (json!({ "nonce": nonce, "url": url }), "malformed"),
        (json!({ "nonce": nonce, "url": url, "jwk": jwk, "kid": url }), "malformed"),
        (json!({ "nonce": nonce, "url": url, "jwk": { "kty": "oct", "k": "AA" } }), "badPublicKey"),
        (json!({ "nonce": nonce, "url": url, "jwk": jwk, "crit": ["x"] }), "malformed"),
        (json!({ "nonce": nonce, "jwk": jwk }), "malformed"),
        (json!({ "url": url, "jwk": jwk }), "badNonce"),
        (json!({ "nonce": nonce, "url": url, "kid": peer.url("account/nobody") }), "malformed"),
    ] {
        refused(&peer.raw("new-account", &key, header, b"{}").await, 400, name);
    }
    let order = peer.url("new-order");
    for (header, name) in [
        (json!({ "nonce": nonce, "url": order, "jwk": jwk }), "malformed"),
        (json!({ "nonce": nonce, "url": order, "kid": peer.url("account/nobody") }), "accountDoesNotExist"),
        (
            json!({ "nonce": nonce, "url": order, "kid": "https://other.example/account/1" }),
            "accountDoesNotExist",
        ),
    ] {
        refused(&peer.raw("new-order", &key, header, b"{}").await, 400, name);
    }
}

#[tokio::test]
async fn bodies_are_bounded_and_of_one_form() {
    let peer = peer(|_| {}).await;
    let send = |method, path: &str, body: &'static str| {
        let (url, client) = (peer.url(path), &peer.client);
        async move { client.send(method, &url, Bytes::from_static(body.as_bytes())).await.unwrap() }
    };
    let mut jws = peer.client.key().sign(json!({}), b"").unwrap();
    jws["header"] = json!({ "kid": "x" });
    for body in ["", "{}", "[1,2]", r#"{"protected":"!","payload":"","signature":""}"#] {
        refused(&send(Method::POST, "new-account", body).await, 400, "malformed");
    }
    let unprotected = Bytes::from(jws.to_string());
    let unprotected = peer.client.send(Method::POST, &peer.url("new-account"), unprotected).await.unwrap();
    refused(&unprotected, 400, "malformed");
    let large = Bytes::from(vec![b' '; 65 * 1024]);
    let large = peer.client.send(Method::POST, &peer.url("new-account"), large).await.unwrap();
    refused(&large, 413, "malformed");
    refused(&send(Method::GET, "order/1", "").await, 405, "malformed");
    // The client sends the content type with POST alone, so PUT shows that it is looked at after the method.
    refused(&send(Method::PUT, "new-account", "{}").await, 405, "malformed");
    assert_eq!(send(Method::HEAD, "new-nonce", "").await.status, 200);
    assert_eq!(send(Method::GET, "new-nonce", "").await.status, 204);
    let directory = body(&send(Method::GET, "directory", "").await.body);
    assert_eq!(directory["newOrder"], peer.url("new-order"));
}

#[tokio::test]
async fn accounts_are_looked_up_changed_and_closed() {
    let peer = peer(|_| {}).await;
    let existing = json!({ "onlyReturnExisting": true });
    let none = peer.post_as(&peer.client, "new-account", &KeyId::Jwk, &existing).await;
    refused(&none, 400, "accountDoesNotExist");
    for (contact, name) in [
        (json!(["tel:+1"]), "unsupportedContact"),
        (json!(["mailto:a@example.com,b@example.com"]), "invalidContact"),
        (json!(["mailto:"]), "invalidContact"),
        (json!(vec!["mailto:a@example.com"; 11]), "invalidContact"),
    ] {
        let wanted = json!({ "contact": contact });
        refused(&peer.post_as(&peer.client, "new-account", &KeyId::Jwk, &wanted).await, 400, name);
    }
    let key = peer.account_of(&peer.client).await;
    let KeyId::Account(url) = &key else { panic!("{key:?}") };
    let path = url.strip_prefix(&format!("{}/", peer.base)).unwrap();
    let changed = json!({ "contact": ["mailto:ops@example.com"] });
    let changed = peer.post_as(&peer.client, path, &key, &changed).await;
    assert_eq!(body(&changed.body), json!({ "status": "valid", "contact": ["mailto:ops@example.com"] }));
    let stranger = client(&peer.root, &peer.handle, KeyKind::P384);
    let foreign = peer.account_of(&stranger).await;
    refused(&peer.post_as(&stranger, path, &foreign, &Value::Null).await, 403, "unauthorized");
    let closed = peer.post_as(&peer.client, path, &key, &json!({ "status": "deactivated" })).await;
    assert_eq!(body(&closed.body)["status"], "deactivated");
    refused(&peer.post_as(&peer.client, path, &key, &Value::Null).await, 403, "unauthorized");
    refused(&peer.post_as(&peer.client, "new-account", &KeyId::Jwk, &json!({})).await, 403, "unauthorized");
}

#[tokio::test]
async fn orders_are_read_without_trust() {
    let peer = peer(|_| {}).await;
    let key = peer.account_of(&peer.client).await;
    let dns = |value: &str| json!([{ "type": "dns", "value": value }]);
    let long = format!("{}.example.com", "a".repeat(64));
    for (identifiers, name) in [
        (dns("no-dot"), "rejectedIdentifier"),
        (dns("a..example.com"), "rejectedIdentifier"),
        (dns("*.*.example.com"), "rejectedIdentifier"),
        (dns("a.*.example.com"), "rejectedIdentifier"),
        (dns("exämple.com"), "rejectedIdentifier"),
        (dns(&long), "rejectedIdentifier"),
        (json!([{ "type": "ip", "value": "192.0.2.1" }]), "unsupportedIdentifier"),
        (json!([]), "malformed"),
        (json!("x"), "malformed"),
    ] {
        let wanted = json!({ "identifiers": identifiers });
        refused(&peer.post_as(&peer.client, "new-order", &key, &wanted).await, 400, name);
    }
    for (field, value, name) in
        [("notAfter", "2030-01-01T00:00:00Z", "malformed"), ("profile", "shortlived", "invalidProfile")]
    {
        let wanted = json!({ "identifiers": dns("example.com"), field: value });
        refused(&peer.post_as(&peer.client, "new-order", &key, &wanted).await, 400, name);
    }
    let twice = json!({ "identifiers": [
        { "type": "dns", "value": "EXAMPLE.com" }, { "type": "dns", "value": "example.com" } ] });
    let order = body(&peer.post_as(&peer.client, "new-order", &key, &twice).await.body);
    assert_eq!(order["identifiers"], dns("example.com"));
    assert_eq!(order["authorizations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_order_belongs_to_its_account_and_is_finalized_when_ready_only() {
    let peer = peer(|_| {}).await;
    let (key, order, json) = peer.order("*.example.com").await;
    let path =
        |url: &Value| url.as_str().unwrap().strip_prefix(&format!("{}/", peer.base)).unwrap().to_owned();
    let authorization = path(&json["authorizations"][0]);
    let stranger = client(&peer.root, &peer.handle, KeyKind::P256);
    let foreign = peer.account_of(&stranger).await;
    for path in [&order, &authorization] {
        refused(&peer.post_as(&stranger, path, &foreign, &Value::Null).await, 404, "malformed");
    }
    let shown = body(&peer.post_as(&peer.client, &authorization, &key, &Value::Null).await.body);
    assert_eq!(shown["identifier"]["value"], "example.com");
    assert_eq!(shown["wildcard"], true);
    assert_eq!(shown["challenges"][0]["status"], "pending");
    let csr = json!({ "csr": "AAAA" });
    let early = peer.post_as(&peer.client, &format!("{order}/finalize"), &key, &csr).await;
    refused(&early, 403, "orderNotReady");
    refused(&peer.post_as(&peer.client, &order, &key, &json!({})).await, 400, "malformed");
    let none = order.replace("order/", "certificate/");
    refused(&peer.post_as(&peer.client, &none, &key, &Value::Null).await, 404, "malformed");
    refused(
        &peer.post_as(&peer.client, &format!("{authorization}9"), &key, &Value::Null).await,
        404,
        "malformed",
    );
    refused(&peer.post_as(&peer.client, "order/1/2/3", &key, &Value::Null).await, 404, "malformed");

    // No resolver at all: nothing can be proven, and an authorization has one try.
    let challenge = path(&shown["challenges"][0]["url"]);
    let begun = body(&peer.post_as(&peer.client, &challenge, &key, &json!({})).await.body);
    assert_ne!(begun["status"], "pending");
    let settled = loop {
        let shown = body(&peer.post_as(&peer.client, &authorization, &key, &Value::Null).await.body);
        if shown["status"] != "pending" {
            break shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!(settled["challenges"][0]["error"]["type"], "urn:ietf:params:acme:error:dns");
    let again = body(&peer.post_as(&peer.client, &challenge, &key, &json!({})).await.body);
    assert_eq!(again["status"], "invalid");
    let ended = body(&peer.post_as(&peer.client, &order, &key, &Value::Null).await.body);
    assert_eq!(
        (&ended["status"], &ended["error"]["type"]),
        (&json!("invalid"), &settled["challenges"][0]["error"]["type"])
    );
}

#[tokio::test]
async fn orders_expire_and_authorizations_can_be_given_up() {
    let peer = peer(|_| {}).await;
    let (key, order, json) = peer.order("example.com").await;
    let authorization =
        json["authorizations"][0].as_str().unwrap().strip_prefix(&format!("{}/", peer.base)).unwrap();
    *peer.clock.lock().unwrap() = now().plus_millis(25 * 3_600_000);
    let shown = body(&peer.post_as(&peer.client, &order, &key, &Value::Null).await.body);
    assert_eq!(shown["status"], "invalid");
    let shown = body(&peer.post_as(&peer.client, authorization, &key, &Value::Null).await.body);
    assert_eq!(shown["status"], "expired");
    let challenge = authorization.replace("authorization/", "challenge/");
    refused(&peer.post_as(&peer.client, &challenge, &key, &json!({})).await, 400, "malformed");
    let given_up = json!({ "status": "deactivated" });
    let given_up = body(&peer.post_as(&peer.client, authorization, &key, &given_up).await.body);
    assert_eq!(given_up["status"], "deactivated");
}

#[test]
fn nonces_are_bounded_and_the_newest_kept() {
    let mut nonces = Nonces::default();
    let first = nonces.make().unwrap();
    let last = (0..5000).map(|_| nonces.make().unwrap()).last().unwrap();
    assert!(!nonces.spend(&first));
    assert!(nonces.spend(&last) && !nonces.spend(&last));
}

#[test]
fn a_ca_is_kept_as_pem_and_issues_within_its_life() {
    let made = Instant(1_800_000_000_000);
    let ca = DevCa::generate(made).unwrap();
    let pem = ca.to_pem().unwrap();
    let again = DevCa::from_pem(&pem).unwrap();
    assert_eq!(again.root_pem(), ca.root_pem());
    assert_eq!(again.not_after(), ca.not_after());
    assert!(!format!("{again:?}").contains("PRIVATE"));
    let other = DevCa::generate(made).unwrap();
    assert_ne!(other.root_pem(), ca.root_pem());

    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let late = ca.not_after().plus_millis(-86_400_000);
    let chain = again.issue(&["a.example.com".to_owned()], key.pair(), late, 90 * 86_400_000).unwrap();
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().unwrap();
    let (_, leaf) = parse_x509_certificate(&certificates[0]).unwrap();
    let (_, intermediate) = parse_x509_certificate(&certificates[1]).unwrap();
    assert_eq!(certificates.len(), 2, "the root stays out");
    leaf.verify_signature(Some(intermediate.public_key())).unwrap();
    assert!(!leaf.is_ca() && intermediate.is_ca());
    assert_eq!(leaf.validity().not_after, intermediate.validity().not_after, "it does not outlive its CA");
    let (_, second) = {
        let chain = again.issue(&["a.example.com".to_owned()], key.pair(), late, 1).unwrap();
        let der = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap().to_vec();
        let serial = parse_x509_certificate(&der).unwrap().1.raw_serial().to_vec();
        (der, serial)
    };
    assert_ne!(leaf.raw_serial(), &*second, "serial numbers differ though the key is the same");
}

#[test]
fn damaged_material_is_refused() {
    let text = |ca: &DevCa| String::from_utf8(ca.to_pem().unwrap().expose().to_vec()).unwrap();
    let [one, two] = [(); 2].map(|()| text(&DevCa::generate(Instant(1_800_000_000_000)).unwrap()));
    let parts = |text: &str| {
        text.split_inclusive("-----\n").collect::<Vec<_>>().chunks(2).map(<[_]>::concat).collect::<Vec<_>>()
    };
    let (one, two) = (parts(&one), parts(&two));
    assert_eq!(one.len(), 3);
    let read = |parts: &[&String]| {
        let text = parts.iter().map(|part| part.as_str()).collect::<String>();
        DevCa::from_pem(&Redacted::from(text.as_str())).map(|_| ())
    };
    assert!(read(&[&one[0], &one[1], &one[2]]).is_ok());
    assert!(matches!(read(&[&one[0], &one[2]]), Err(DevCaError::Incomplete)));
    assert!(matches!(read(&[&one[0], &one[1]]), Err(DevCaError::Key(_))));
    assert!(matches!(read(&[&two[0], &one[1], &one[2]]), Err(DevCaError::Mismatch(_))));
    assert!(matches!(read(&[&one[0], &one[1], &two[2]]), Err(DevCaError::Mismatch(_))));
    assert!(matches!(read(&[]), Err(DevCaError::Incomplete)));
}
