//! What an ACME server answers (RFC 8555 §7), as trees to be edited.

use std::sync::LazyLock;

use serde_json::{Value, json};

/// Bodies of every kind of resource, and of refusals.
pub static BODIES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let urn = |name: &str| format!("urn:ietf:params:acme:error:{name}");
    let identifier = json!({"type": "dns", "value": "example.com"});
    let problem = json!({"type": urn("rateLimited"), "detail": "later", "status": 429,
        "subproblems": [{"type": urn("dns"), "detail": "none", "identifier": identifier}]});
    let order = |status: &str| {
        json!({"status": status, "expires": "2027-01-20T00:00:00Z", "identifiers": [identifier],
            "authorizations": ["https://ca/authz/1", "https://ca/authz/2"], "finalize": "https://ca/order/1/finalize",
            "certificate": "https://ca/cert/1", "error": problem})
    };
    let authorization = |status: &str, wildcard: bool| {
        json!({"status": status, "identifier": identifier, "wildcard": wildcard, "expires": "2027-01-20T00:00:00Z",
            "challenges": [
                {"type": "http-01", "url": "https://ca/chall/0", "token": "token-000000000000000000000"},
                {"type": "dns-01", "url": "https://ca/chall/1", "status": status, "token": "token-000000000000000000000",
                 "error": problem}]})
    };
    let mut all = vec![
        json!({"newNonce": "https://ca/nonce", "newAccount": "https://ca/acct", "newOrder": "https://ca/order",
            "revokeCert": "https://ca/revoke", "meta": {"termsOfService": "https://ca/terms"}}),
        json!({"status": "valid", "contact": ["mailto:ops@example.com"], "orders": "https://ca/orders"}),
        json!({"type": "dns-01", "status": "processing", "url": "https://ca/chall/1"}),
        json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ];
    all.extend(["pending", "ready", "processing", "valid", "invalid"].map(order));
    all.extend(
        ["pending", "valid", "invalid", "processing", "expired"].map(|status| authorization(status, false)),
    );
    all.push(authorization("pending", true));
    all.extend(
        [
            "badNonce",
            "rateLimited",
            "accountDoesNotExist",
            "orderNotReady",
            "rejectedIdentifier",
            "serverInternal",
        ]
        .map(|name| json!({"type": urn(name), "detail": "no", "status": 400})),
    );
    all.push(problem);
    all
});
