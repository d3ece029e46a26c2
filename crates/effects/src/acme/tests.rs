#![allow(clippy::unwrap_used)]

use std::{net::SocketAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portolan_model::{Redacted, certificate::KeyKind};
use serde_json::{Value, json};

use super::{AccountKey, Algorithm, Challenges as _, Client, ClientError, Jwk, ProviderChallenges, Reach};
use crate::{
    acme_ca::DevCa,
    dns::{EmbeddedDns, embedded::Contents},
    issue::KeyError,
};

const KINDS: [KeyKind; 4] = [KeyKind::Rsa2048, KeyKind::Rsa3072, KeyKind::P256, KeyKind::P384];
const LOOPBACK: &str = "127.0.0.1:1";

/// The key of RFC 7638 §3.1.
fn rfc_key() -> Value {
    json!({
        "kty": "RSA",
        "n": concat!(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn",
            "jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6q",
            "MQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awap",
            "JzKnqDKgw"
        ),
        "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"
    })
}

#[test]
fn thumbprints_are_those_of_rfc_7638() {
    let key = Jwk::from_json(&rfc_key()).unwrap();
    assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(key.algorithm(), Algorithm::Rs256);
}

#[test]
fn signatures_are_those_of_rfc_7515() {
    // Appendix A.3.
    let key = Jwk::from_json(&json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }))
    .unwrap();
    let message = concat!(
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0",
        "cnVlfQ"
    );
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(key.verifies(message.as_bytes(), &signature));
    signature[7] ^= 1;
    assert!(!key.verifies(message.as_bytes(), &signature));
}

#[test]
fn keys_sign_and_keep_through_pem_and_json() {
    for kind in KINDS {
        let key = AccountKey::generate(kind).unwrap();
        let pem = key.to_pem().unwrap();
        let again = AccountKey::from_pem(&pem).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(Jwk::from_json(&key.public().to_json()).as_ref(), Some(key.public()));
        assert_eq!(again.thumbprint(), key.thumbprint());

        let jws = again.sign(json!({ "url": "https://ca/x" }), b"payload").unwrap();
        let text = |name: &str| jws[name].as_str().unwrap().to_owned();
        let message = format!("{}.{}", text("protected"), text("payload"));
        let signature = URL_SAFE_NO_PAD.decode(text("signature")).unwrap();
        assert!(key.public().verifies(message.as_bytes(), &signature), "{kind:?}");
        assert!(!key.public().verifies(b"another", &signature), "{kind:?}");
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text("protected")).unwrap()).unwrap();
        assert_eq!(header["alg"], key.public().algorithm().name());

        let shown = format!("{key:?}");
        assert!(shown.contains("[redacted]") && shown.len() < 64, "{shown}");
        let secret = String::from_utf8(pem.expose().to_vec()).unwrap();
        assert!(secret.contains(if matches!(kind, KeyKind::P256 | KeyKind::P384) {
            "BEGIN EC PRIVATE KEY"
        } else {
            "BEGIN RSA PRIVATE KEY"
        }));
    }
}

#[test]
fn keys_that_no_ca_takes_are_refused() {
    for kind in [KeyKind::P521, KeyKind::Ed25519] {
        assert_eq!(AccountKey::generate(kind).unwrap_err(), KeyError::Unsupported);
    }
    assert_eq!(AccountKey::from_pem(&Redacted::from("no key")).unwrap_err(), KeyError::NotPem);
    let mut short = rfc_key();
    short["n"] = "AQAB".into();
    let mut even = rfc_key();
    even["e"] = "AQAC".into();
    let mut padded = rfc_key();
    padded["e"] = "AAEAAQ".into();
    for json in [
        short,
        even,
        padded,
        json!({ "kty": "oct", "k": "AAAA" }),
        json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }),
        json!([]),
        Value::Null,
    ] {
        assert_eq!(Jwk::from_json(&json), None, "{json}");
    }
}

#[test]
fn clients_reach_loopback_only_and_need_a_root() {
    let root = DevCa::generate(portolan_model::Instant(1_800_000_000_000)).unwrap().root_pem();
    let make = |root: &str, address: &str| {
        let key = AccountKey::generate(KeyKind::P256).unwrap();
        Client::new(key, root, Reach::Only(address.parse::<SocketAddr>().unwrap()))
    };
    assert!(make(&root, LOOPBACK).is_ok());
    assert!(make(&root, "[::1]:1").is_ok());
    for address in ["192.0.2.1:443", "0.0.0.0:443", "[2001:db8::1]:443"] {
        assert!(matches!(make(&root, address), Err(ClientError::OffLoopback(_))), "{address}");
    }
    let bad = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    for root in ["", "no certificate", bad] {
        assert!(matches!(make(root, LOOPBACK), Err(ClientError::Root(_))), "{root:?}");
    }
}

#[tokio::test]
async fn nothing_but_https_is_asked_and_reasons_are_whole() {
    let root = DevCa::generate(portolan_model::Instant(1_800_000_000_000)).unwrap().root_pem();
    let key = AccountKey::generate(KeyKind::P256).unwrap();
    // Nobody listens there: the port was ours a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::new(key, &root, Reach::Only(free)).unwrap();
    let plain = client.get("http://ca.example/directory").await.unwrap_err();
    assert!(plain.contains("https only"), "{plain}");
    let refused = client.get("https://ca.example/directory").await.unwrap_err();
    assert!(refused.contains("refused"), "{refused}");
    let odd = client.get("https://a b/").await.unwrap_err();
    assert!(odd.contains("unusable URL"), "{odd}");
}

#[tokio::test]
async fn challenges_go_to_the_longest_zone_and_say_who_is_behind() {
    let zones = ["example.com".into(), "dev.example.com".into()];
    let dns = EmbeddedDns::start("127.0.0.1:0".parse().unwrap(), &zones, &Contents::default()).await;
    let dns = Arc::new(dns.unwrap());
    let challenges = ProviderChallenges::new(Arc::clone(&dns) as _);
    let name = "_acme-challenge.dev.example.com";
    let behind = challenges.visible(name, "one").await.unwrap_err();
    assert!(behind.contains(&dns.address().to_string()) && behind.contains("NXDOMAIN"), "{behind}");
    for value in ["one", "two", "two"] {
        challenges.present(name, value).await.unwrap();
    }
    challenges.visible(name, "one").await.unwrap();
    challenges.visible(name, "two").await.unwrap();
    let sets: Vec<_> = dns.export().zones.into_iter().map(|zone| (zone.zone, zone.sets.len())).collect();
    assert_eq!(sets, [("dev.example.com".into(), 1), ("example.com".into(), 0)]);
    challenges.clean_up(name, "one").await.unwrap();
    challenges.clean_up(name, "one").await.unwrap();
    challenges.visible(name, "two").await.unwrap();
    assert!(challenges.visible(name, "one").await.unwrap_err().contains("does not have it yet"));
    for name in ["_acme-challenge.example.org", "_acme-challenge.badexample.com"] {
        let nowhere = challenges.present(name, "one").await.unwrap_err();
        assert!(nowhere.contains("no zone of provider embedded"), "{nowhere}");
        assert!(challenges.visible(name, "one").await.unwrap_err().contains("REFUSED"));
    }
}
