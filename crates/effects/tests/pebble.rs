//! The ACME client against Pebble, Let's Encrypt's test server, which validates through our embedded DNS server. Pebble
//! rejects every fifth good nonce and checks requests in its strict mode.

#![allow(clippy::unwrap_used)]

mod acme_world;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use acme_world::{
    APEX_AND_WILDCARD, Watched, assert_chain, client, csr, cut, issued, order, run, shown, values, zone,
};
use portolan_core::certificates::acme::{OrderState, Reason};
use portolan_effects::{
    acme::{AccountKey, Client, Outcome, PlacedChallenges, Reach, Run, drive},
    dns::{
        EmbeddedDns, query,
        rfc2136::{Algorithm, Key, TxtUpdates},
    },
};
use portolan_model::{Redacted, certificate::KeyKind, dns::RecordType};
use portolan_testkit::{self as testkit, Bind, BindZone, PebbleOptions};

/// A running Pebble that validates through a zone of ours.
struct Pebble {
    server: testkit::Pebble,
    /// Root of what it issues; another one at each start.
    root: String,
    zone: Arc<EmbeddedDns>,
}

impl Pebble {
    /// Starts it with this share of reused authorizations, in per cent. `None`, and counted, where it is missing.
    async fn start(reuse: u8) -> Option<Self> {
        let zone = zone().await;
        let server = started(zone.address(), PebbleOptions { reuse, ..PebbleOptions::default() })?;
        let root = root(&server).await;
        Some(Self { server, root, zone })
    }

    fn client(&self, kind: KeyKind) -> Arc<Client> {
        client(kind, &self.server.tls_root, self.server.address)
    }

    fn order(&self, client: &Client, names: &[&str]) -> OrderState {
        order(&self.server.directory(), client, names)
    }
}

fn started(dns: SocketAddr, options: PebbleOptions) -> Option<testkit::Pebble> {
    let server = testkit::Pebble::start(dns, options);
    if server.is_none() {
        testkit::skip("effects/pebble", "pebble was not found; run scripts/setup test");
    }
    server
}

/// Root of what it issues.
async fn root(server: &testkit::Pebble) -> String {
    let key = AccountKey::generate(KeyKind::P256).unwrap();
    let reader = Client::new(key, &server.tls_root, Reach::Only(server.management)).unwrap();
    let root = reader.get(&format!("https://{}/roots/0", server.management)).await.unwrap();
    String::from_utf8(root.body).unwrap()
}

#[tokio::test]
async fn apex_and_wildcard_are_issued_to_accounts_of_every_kind() {
    let Some(pebble) = Pebble::start(0).await else { return };
    let mut rejected = 0;
    for (account, key) in
        [(KeyKind::Rsa2048, KeyKind::Rsa2048), (KeyKind::P256, KeyKind::P256), (KeyKind::P384, KeyKind::P384)]
    {
        let client = pebble.client(account);
        let watched = Arc::new(Watched::new(&pebble.zone));
        let run = Run {
            csr: csr(key, &APEX_AND_WILDCARD),
            challenges: Arc::clone(&watched) as _,
            ..run(&client, &pebble.zone, &APEX_AND_WILDCARD)
        };
        let mut seen = BTreeSet::new();
        let (state, outcome) = drive(
            pebble.order(&client, &APEX_AND_WILDCARD),
            run,
            shown(|state| {
                seen.insert(state.status());
                rejected += state.tracked.iter().map(|tracked| tracked.bad_nonces).sum::<u32>();
            }),
        )
        .await;
        let chain = issued(outcome);
        for name in ["example.com", "anything.example.com"] {
            assert_chain(&chain, &pebble.root, name);
        }
        assert_eq!(watched.most.load(Ordering::SeqCst), 2, "both values stood at once");
        assert_eq!(values(&pebble.zone).await, [""; 0], "and are gone");
        assert!(seen.is_superset(&BTreeSet::from(["pending", "processing", "valid"])), "{seen:?}");
        assert_eq!(state.presented.len(), 0);
    }
    // Over 36 signed requests; that none of them meets the fifth is one chance in 3,000.
    assert!(rejected > 0, "Pebble rejected no nonce");
}

#[tokio::test]
async fn proven_names_need_no_second_proof() {
    let Some(pebble) = Pebble::start(100).await else { return };
    let client = pebble.client(KeyKind::P256);
    for looks in [1, 0] {
        let watched = Arc::new(Watched::new(&pebble.zone));
        let run =
            Run { challenges: Arc::clone(&watched) as _, ..run(&client, &pebble.zone, &["example.com"]) };
        let (_, outcome) = drive(pebble.order(&client, &["example.com"]), run, shown(|_| {})).await;
        assert_chain(&issued(outcome), &pebble.root, "example.com");
        assert_eq!(watched.most.load(Ordering::SeqCst), looks);
    }
}

#[tokio::test]
async fn a_wrong_value_and_a_blocked_name_fail_in_pebbles_words() {
    let Some(pebble) = Pebble::start(0).await else { return };
    let client = pebble.client(KeyKind::P256);
    let watched = Watched { instead: Some("not-the-right-value"), ..Watched::new(&pebble.zone) };
    let wrong = Run { challenges: Arc::new(watched), ..run(&client, &pebble.zone, &["example.com"]) };
    let (state, outcome) = drive(pebble.order(&client, &["example.com"]), wrong, shown(|_| {})).await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.reason, state.status()), (Reason::Invalid, "invalid"));
    let expected = "example.com is invalid: unauthorized: Correct value not found for DNS challenge";
    assert!(failure.detail.contains(expected), "{}", failure.detail);
    assert_eq!(values(&pebble.zone).await, [""; 0]);

    let blocked = run(&client, &pebble.zone, &["blocked.test"]);
    let (_, outcome) = drive(pebble.order(&client, &["blocked.test"]), blocked, shown(|_| {})).await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.reason, Reason::Refused);
    assert!(failure.detail.contains("newOrder: rejectedIdentifier"), "{}", failure.detail);
}

#[tokio::test]
async fn an_order_is_taken_up_again_at_pebble() {
    let Some(pebble) = Pebble::start(0).await else { return };
    for stop in [4, 7, 9, 11, 13] {
        // A new account each time: even at 0 per cent Pebble reuses a proof now and then.
        let account = AccountKey::generate(KeyKind::Rsa2048).unwrap().to_pem().unwrap();
        let client = || {
            let key = AccountKey::from_pem(&account).unwrap();
            Arc::new(Client::new(key, &pebble.server.tls_root, Reach::Only(pebble.server.address)).unwrap())
        };
        let first = client();
        let run = run(&first, &pebble.zone, &APEX_AND_WILDCARD);
        let stored = cut(pebble.order(&first, &APEX_AND_WILDCARD), run.clone(), stop).await.unwrap();
        let state: OrderState = serde_json::from_str(&stored).unwrap();
        let before = state.order.as_ref().map(|order| order.url.clone());
        let (state, outcome) = drive(state, Run { client: client(), ..run }, shown(|_| {})).await;
        assert_chain(&issued(outcome), &pebble.root, "a.example.com");
        let after = state.order.map(|order| order.url);
        assert!(before.is_none() || before == after, "the same order, cut at {stop}");
        assert_eq!(values(&pebble.zone).await, [""; 0], "cut at {stop}");
    }
}

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// The server that the URL names is asked, and the TXT records stand in a real zone that the key may change in its challenges alone:
/// it can transfer nothing.
#[tokio::test]
async fn challenges_stand_in_a_real_zone_whose_key_may_do_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let options = "update-policy { grant acme name _acme-challenge.example.com. TXT; };";
    let zone = BindZone { name: "example.com", options, records: "by-hand TXT stays" };
    let Some(bind) = Bind::start(folder.path(), &[("acme", "hmac-sha512", SECRET)], &[zone]) else {
        return testkit::skip("effects/pebble", "named is missing; run scripts/setup test");
    };
    let Some(pebble) = started(bind.address(), PebbleOptions::default()) else { return };
    let root = root(&pebble).await;
    let account = AccountKey::generate(KeyKind::P256).unwrap();
    let client = Arc::new(Client::new(account, &pebble.tls_root, Reach::Named).unwrap());
    let key = Key::new("acme", Algorithm::parse("HMACSHA512").unwrap(), &Redacted::from(SECRET)).unwrap();
    let server = Arc::new(TxtUpdates::new(bind.address().to_string().into(), Some(&key)).unwrap());
    let fqdn = "_acme-challenge.example.com";
    let challenges = PlacedChallenges::new(BTreeMap::from([(fqdn.to_owned(), Arc::clone(&server))]));
    let run = Run {
        client: Arc::clone(&client),
        csr: csr(KeyKind::P256, &APEX_AND_WILDCARD),
        challenges: Arc::new(challenges),
        bounds: portolan_effects::acme::Bounds::default(),
    };
    let mut most = 0;
    let order = order(&pebble.directory(), &client, &APEX_AND_WILDCARD);
    let (_, outcome) = drive(order, run, shown(|state| most = most.max(state.presented.len()))).await;
    assert_chain(&issued(outcome), &root, "anything.example.com");
    assert_eq!(most, 2, "both values stood at once");
    let left = query::ask(bind.address(), fqdn, RecordType::Txt).await.unwrap();
    assert_eq!(left.sets, [], "and are gone");

    // What the key may not do is said in the server's words, and nothing is left.
    let refused = server.add("_acme-challenge.other.example.com", "x").await.unwrap_err();
    assert!(refused.contains("REFUSED") && refused.contains("update-policy"), "{refused}");
    let elsewhere = server.add("_acme-challenge.example.org", "x").await.unwrap_err();
    assert!(elsewhere.contains("holds no zone for it"), "{elsewhere}");
    let other = Key::new("acme", Algorithm::Sha512, &Redacted::from("QUJDREVGR0hJSktMTU5PUA==")).unwrap();
    let wrong = TxtUpdates::new(bind.address().to_string().into(), Some(&other)).unwrap();
    assert!(wrong.add(fqdn, "x").await.unwrap_err().contains("BADSIG"));
    let unsigned = TxtUpdates::new(bind.address().to_string().into(), None).unwrap();
    assert!(unsigned.add(fqdn, "x").await.unwrap_err().contains("REFUSED"));
    assert!(server.visible(fqdn, "x").await.unwrap_err().contains("does not have it yet"));
}

/// Nobody is believed but who the issuer trusts.
#[tokio::test]
async fn a_server_with_another_certificate_is_not_spoken_to() {
    let zone = zone().await;
    let Some(pebble) = started(zone.address(), PebbleOptions::default()) else { return };
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap().cert.pem();
    let client = client_named(&other);
    // A server that has only just begun resets a connection now and then.
    let mut why = String::new();
    for _ in 0..20 {
        why = client.get(&pebble.directory()).await.unwrap_err();
        if !why.contains("reset") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(why.contains("invalid peer certificate"), "{why}");
    let why = client.get(&format!("http://{}/dir", pebble.address)).await.unwrap_err();
    assert!(why.contains("https only"), "{why}");
}

fn client_named(root: &str) -> Client {
    Client::new(AccountKey::generate(KeyKind::P256).unwrap(), root, Reach::Named).unwrap()
}
