//! The ACME client against Pebble, Let's Encrypt's test server, which validates through our embedded DNS server. Pebble
//! rejects every fifth good nonce and checks requests in its strict mode.

#![allow(clippy::unwrap_used)]

mod acme_world;

use std::{
    collections::BTreeSet,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use acme_world::{
    APEX_AND_WILDCARD, Watched, assert_chain, client, csr, cut, issued, order, run, values, zone,
};
use portolan_core::certificates::acme::{OrderState, Reason};
use portolan_effects::{
    acme::{AccountKey, Client, Outcome, Reach, Run, drive},
    dns::EmbeddedDns,
};
use portolan_model::certificate::KeyKind;
use portolan_testkit as testkit;
use serde_json::json;

/// A running Pebble. Ends when dropped.
struct Pebble {
    child: Child,
    address: SocketAddr,
    /// Root of its own TLS certificate.
    tls_root: String,
    /// Root of what it issues; another one at each start.
    root: String,
    zone: Arc<EmbeddedDns>,
    folder: tempfile::TempDir,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
        }
    }
}

impl Pebble {
    /// Starts it with this share of reused authorizations, in per cent. `None`, and counted, where it is missing.
    async fn start(reuse: u8) -> Option<Self> {
        let Some(program) = testkit::program("pebble") else {
            testkit::skip("effects/pebble", "pebble was not found; run scripts/setup test");
            return None;
        };
        let zone = zone().await;
        let folder = tempfile::tempdir().unwrap();
        // Pebble takes no port 0, so a port that was free may be taken when it gets there: then others are tried.
        for _ in 0..5 {
            if let Some(pebble) = try_start(&program, &zone, folder.path(), reuse).await {
                let (child, address, tls_root, root) = pebble;
                return Some(Self { child, address, tls_root, root, zone, folder });
            }
        }
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        panic!("Pebble does not start:\n{log}");
    }

    fn client(&self, kind: KeyKind) -> Arc<Client> {
        client(kind, &self.tls_root, self.address)
    }

    fn order(&self, client: &Client, names: &[&str]) -> OrderState {
        order(&format!("https://{}/dir", self.address), client, names)
    }
}

async fn try_start(
    program: &Path,
    zone: &EmbeddedDns,
    folder: &Path,
    reuse: u8,
) -> Option<(Child, SocketAddr, String, String)> {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (acme, management, http, tls) = (free(), free(), free(), free());
    let at = |listener: &TcpListener| listener.local_addr().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let tls_root = made.cert.pem();
    std::fs::write(folder.join("cert.pem"), &tls_root).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let config = json!({ "pebble": {
        "listenAddress": at(&acme).to_string(),
        "managementListenAddress": at(&management).to_string(),
        "certificate": folder.join("cert.pem"),
        "privateKey": folder.join("key.pem"),
        "httpPort": at(&http).port(),
        "tlsPort": at(&tls).port(),
        // Two labels: a name of fewer labels than an entry makes Pebble 2.10.1 panic.
        "domainBlocklist": ["blocked.test"],
        "retryAfter": { "authz": 1, "order": 1 },
        "keyAlgorithm": "ecdsa",
    } });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let log = File::create(folder.join("log")).unwrap();
    let (address, management_address) = (at(&acme), at(&management));
    drop((acme, management, http, tls));
    let mut child = Command::new(program)
        .args(["-strict", "-dnsserver", &zone.address().to_string(), "-config"])
        .arg(folder.join("config.json"))
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env("PEBBLE_WFE_NONCEREJECT", "20")
        .env("PEBBLE_AUTHZREUSE", reuse.to_string())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let reader = |address| {
        Client::new(AccountKey::generate(KeyKind::P256).unwrap(), &tls_root, Reach::Only(address)).unwrap()
    };
    let (acme, management) = (reader(address), reader(management_address));
    for _ in 0..400 {
        let ready = acme.get(&format!("https://{address}/dir")).await.is_ok_and(|found| found.status == 200);
        if ready && let Ok(root) = management.get(&format!("https://{management_address}/roots/0")).await {
            return Some((child, address, tls_root, String::from_utf8(root.body).unwrap()));
        }
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _ = child.kill();
    let _ = child.wait();
    None
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
        let (state, outcome) = drive(pebble.order(&client, &APEX_AND_WILDCARD), run, |state| {
            seen.insert(state.status());
            rejected += state.tracked.iter().map(|tracked| tracked.bad_nonces).sum::<u32>();
        })
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
        let (_, outcome) = drive(pebble.order(&client, &["example.com"]), run, |_| {}).await;
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
    let (state, outcome) = drive(pebble.order(&client, &["example.com"]), wrong, |_| {}).await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.reason, state.status()), (Reason::Invalid, "invalid"));
    let expected = "example.com is invalid: unauthorized: Correct value not found for DNS challenge";
    assert!(failure.detail.contains(expected), "{}", failure.detail);
    assert_eq!(values(&pebble.zone).await, [""; 0]);

    let blocked = run(&client, &pebble.zone, &["blocked.test"]);
    let (_, outcome) = drive(pebble.order(&client, &["blocked.test"]), blocked, |_| {}).await;
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
            Arc::new(Client::new(key, &pebble.tls_root, Reach::Only(pebble.address)).unwrap())
        };
        let first = client();
        let run = run(&first, &pebble.zone, &APEX_AND_WILDCARD);
        let stored = cut(pebble.order(&first, &APEX_AND_WILDCARD), run.clone(), stop).await.unwrap();
        let state: OrderState = serde_json::from_str(&stored).unwrap();
        let before = state.order.as_ref().map(|order| order.url.clone());
        let (state, outcome) = drive(state, Run { client: client(), ..run }, |_| {}).await;
        assert_chain(&issued(outcome), &pebble.root, "a.example.com");
        let after = state.order.map(|order| order.url);
        assert!(before.is_none() || before == after, "the same order, cut at {stop}");
        assert_eq!(values(&pebble.zone).await, [""; 0], "cut at {stop}");
    }
}
