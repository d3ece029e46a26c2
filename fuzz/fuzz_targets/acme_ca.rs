//! The development CA's HTTP side: requests of strangers, and of a client that signs whatever it likes.
#![no_main]

use std::{
    cell::RefCell,
    sync::{Arc, LazyLock},
    task::{Context, Poll, Waker},
};

use axum::{Router, body::Body};
use http::{Request, header};
use http_body_util::BodyExt as _;
use portolan_effects::{
    acme::AccountKey,
    acme_ca::{DevCa, Settings},
    fuzzing::{acme_ca, jws},
};
use portolan_fuzz::{
    arbitrary::{Result, Unstructured},
    target, tree,
};
use portolan_model::{Instant, certificate::KeyKind};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tower_service::Service as _;

const NOW: Instant = Instant(1_790_000_000_000);
const BASE: &str = "https://127.0.0.1:1";
const PATHS: [&str; 10] = [
    "new-account",
    "new-order",
    "account/ID",
    "order/ID",
    "order/ID/finalize",
    "authorization/ID/0",
    "challenge/ID/0",
    "certificate/ID",
    "new-nonce",
    "directory",
];

/// A CSR of nobody, so that its parts are there to be changed.
const CSR: &str = "MIHmMIGNAgEAMBYxFDASBgNVBAMMC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";

/// For the time-outs of requests, none of which comes.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

thread_local! {
    static CA: RefCell<(Router, Box<dyn Send>)> = RefCell::new({
        let ca = DevCa::generate(NOW).expect("there is randomness");
        let settings = Settings::new(([127, 0, 0, 1], 0).into(), Vec::new());
        let (router, jobs) = acme_ca(ca, settings, Arc::new(|| NOW));
        (router, Box::new(jobs) as Box<dyn Send>)
    });
    static KEY: AccountKey = AccountKey::generate(KeyKind::P256).expect("there is randomness");
}

/// Sends a request; status, the next nonce, where it was made, and the body. Nothing in there waits.
fn send(request: Request<Body>) -> (u16, String, String, Vec<u8>) {
    CA.with_borrow_mut(|(router, _)| {
        let _inside = RUNTIME.enter();
        let mut context = Context::from_waker(Waker::noop());
        let mut answer = std::pin::pin!(async {
            let response = router.call(request).await.unwrap_or_else(|never| match never {});
            let (parts, body) = response.into_parts();
            let text = |name: &str| {
                let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
                value.unwrap_or_default().to_owned()
            };
            let (nonce, location) = (text("replay-nonce"), text("location"));
            let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
            (parts.status.as_u16(), nonce, location, body)
        });
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("a request waits for something"),
        }
    })
}

fn post(path: &str, body: Vec<u8>) -> (u16, String, String, Vec<u8>) {
    let request = Request::post(format!("/{path}")).header(header::CONTENT_TYPE, "application/jose+json");
    match request.body(Body::from(body)) {
        Ok(request) => send(request),
        Err(_) => (0, String::new(), String::new(), Vec::new()),
    }
}

fn signed(path: &str, nonce: &str, account: &str, payload: &[u8]) -> Option<Value> {
    KEY.with(|key| {
        let mut header = json!({"nonce": nonce, "url": format!("{BASE}/{path}")});
        if account.is_empty() {
            header["jwk"] = key.public().to_json();
        } else {
            header["kid"] = account.into();
        }
        jws(key, header, payload)
    })
}

/// What a client says at a path, before it is edited.
fn payload(path: &str) -> Value {
    match path.split('/').next().unwrap_or_default() {
        "new-account" | "account" => {
            json!({"contact": ["mailto:ops@example.com"], "termsOfServiceAgreed": true, "status": null})
        }
        "new-order" => json!({"identifiers": [{"type": "dns", "value": "a.example.com"}], "notBefore": null}),
        "order" => json!({"csr": CSR}),
        _ => json!({}),
    }
}

/// A conversation: an account, an order, and what the bytes do with them.
fn conversation(bytes: &mut Unstructured<'_>) -> Result<()> {
    let request = Request::head("/new-nonce").body(Body::empty()).expect("a request");
    let (_, mut nonce, ..) = send(request);
    let (mut account, mut id) = (String::new(), "none".to_owned());
    for _ in 0..6 {
        let how: u8 = bytes.arbitrary()?;
        let path = PATHS[usize::from(how) % PATHS.len()].replace("ID", &id);
        let plain = payload(&path);
        let edited = if how & 16 == 0 { plain } else { tree::edited(plain, bytes, &[]) };
        let content = if how & 32 == 0 { edited.to_string().into_bytes() } else { Vec::new() };
        let with = if path == "new-account" { "" } else { &*account };
        let Some(jws) = signed(&path, &nonce, with, &content) else { return Ok(()) };
        let jws = if how & 64 == 0 { jws } else { tree::edited(jws, bytes, &[]) };
        let (status, next, location, body) = post(&path, jws.to_string().into_bytes());
        assert!(status < 500, "{path}: {status} {}", String::from_utf8_lossy(&body));
        nonce = next;
        if let Some(made) = location.strip_prefix(&format!("{BASE}/order/")) {
            id = made.to_owned();
        } else if location.starts_with(&format!("{BASE}/account/")) {
            account = location;
        }
    }
    Ok(())
}

target!(|bytes| {
    let Some(([how], rest)) = bytes.split_first_chunk() else { return };
    match how % 3 {
        0 => {
            let (status, ..) = post(PATHS[usize::from(how / 3) % PATHS.len()], rest.to_vec());
            assert!(status < 500, "{status}");
        }
        1 => {
            let mut parts = rest.splitn(2, |byte| *byte == 0);
            let path = String::from_utf8_lossy(parts.next().unwrap_or_default());
            let (status, ..) = post(&path, parts.next().unwrap_or_default().to_vec());
            assert!(status < 500, "{status}");
        }
        _ => drop(conversation(&mut Unstructured::new(rest))),
    }
});
