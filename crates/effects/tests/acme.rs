//! The ACME client against the embedded development CA, with DNS-01 through the embedded DNS server: real sockets, real
//! TLS, real signatures, all on loopback.

#![allow(clippy::unwrap_used)]

mod acme_world;

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use acme_world::{
    APEX_AND_WILDCARD, Watched, assert_chain, client, csr, cut, issued, limits, now, order, other_client,
    run, shown, values, zone,
};
use portolan_core::certificates::acme::{Limits, OrderState, OrderStatus, Reason};
use portolan_effects::{
    acme::{AccountKey, Challenges, Client, Outcome, ProviderChallenges, Reach, Run, drive, drive_until},
    acme_ca::{DevCa, Handle, NewOrders, Settings, serve},
    dns::{EmbeddedDns, embedded::Contents},
};
use portolan_model::certificate::KeyKind;

struct World {
    zone: Arc<EmbeddedDns>,
    ca: Handle,
    root: String,
}

async fn world(change: impl FnOnce(&mut Settings)) -> World {
    let zone = zone().await;
    let ca = DevCa::generate(now()).unwrap();
    let root = ca.root_pem();
    let mut settings = Settings::new("127.0.0.1:0".parse().unwrap(), vec![zone.address()]);
    change(&mut settings);
    let ca = serve(ca, settings, Arc::new(now)).await.unwrap();
    World { zone, ca, root }
}

impl World {
    fn client(&self, kind: KeyKind) -> Arc<Client> {
        client(kind, &self.root, self.ca.client_addr())
    }

    fn order(&self, client: &Client, names: &[&str]) -> OrderState {
        order(&self.ca.directory_url(), client, names)
    }
}

#[tokio::test]
async fn apex_and_wildcard_are_proven_side_by_side_by_accounts_of_every_kind() {
    let world = world(|_| {}).await;
    for account in [KeyKind::Rsa2048, KeyKind::P256, KeyKind::P384] {
        for key in [KeyKind::Rsa2048, KeyKind::P256, KeyKind::P384] {
            let client = world.client(account);
            let watched = Arc::new(Watched::new(&world.zone));
            let run = Run {
                csr: csr(key, &APEX_AND_WILDCARD),
                challenges: Arc::clone(&watched) as _,
                ..run(&client, &world.zone, &APEX_AND_WILDCARD)
            };
            let mut seen = BTreeSet::new();
            let state = world.order(&client, &APEX_AND_WILDCARD);
            let (state, outcome) = drive(
                state,
                run,
                shown(|state| {
                    seen.insert(state.status());
                }),
            )
            .await;
            let chain = issued(outcome);
            for name in ["example.com", "anything.example.com"] {
                assert_chain(&chain, &world.root, name);
            }
            assert_eq!(watched.most.load(Ordering::SeqCst), 2, "both values stood at once");
            assert_eq!(values(&world.zone).await, [""; 0], "and are gone");
            assert_eq!(seen, BTreeSet::from(["", "pending", "ready", "processing", "valid"]));
            assert_eq!((state.status(), state.presented.len()), ("valid", 0));
        }
    }
}

#[tokio::test]
async fn many_orders_of_one_account_run_at_once() {
    let world = world(|_| {}).await;
    let client = world.client(KeyKind::P256);
    let orders = (0..24).map(|number| {
        let name = format!("host-{number}.example.com");
        let run = run(&client, &world.zone, &[&name]);
        let state = world.order(&client, &[&name]);
        let root = world.root.clone();
        tokio::spawn(async move {
            let (_, outcome) = drive(state, run, shown(|_| {})).await;
            assert_chain(&issued(outcome), &root, &name);
        })
    });
    for one in orders.collect::<Vec<_>>() {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_txt_value_fails_the_order_in_the_servers_words() {
    let world = world(|_| {}).await;
    let client = world.client(KeyKind::P256);
    let watched = Watched { instead: Some("not-the-right-value"), ..Watched::new(&world.zone) };
    let run = Run { challenges: Arc::new(watched), ..run(&client, &world.zone, &APEX_AND_WILDCARD) };
    let (state, outcome) = drive(world.order(&client, &APEX_AND_WILDCARD), run, shown(|_| {})).await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.reason, Reason::Invalid);
    let expected =
        "unauthorized: incorrect TXT record \"not-the-right-value\" found at _acme-challenge.example.com";
    assert!(failure.detail.contains(expected), "{}", failure.detail);
    assert_eq!(state.status(), "invalid");
    assert_eq!(values(&world.zone).await, [""; 0]);
}

#[tokio::test]
async fn a_zone_that_no_resolver_serves_fails_in_the_servers_words() {
    // The CA asks a server that does not hold the zone; the client's own look-up goes to the right one.
    let any = "127.0.0.1:0".parse().unwrap();
    let other = EmbeddedDns::start(any, &["example.org".into()], &Contents::default()).await.unwrap();
    let world = world(|settings| settings.resolvers = vec![other.address()]).await;
    let client = world.client(KeyKind::P256);
    let run = run(&client, &world.zone, &["example.com"]);
    let (_, outcome) = drive(world.order(&client, &["example.com"]), run, shown(|_| {})).await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    let expected = "dns: no resolver of this CA serves _acme-challenge.example.com";
    assert!(failure.detail.contains(expected), "{}", failure.detail);
}

#[tokio::test]
async fn rejected_nonces_are_retried() {
    let world = world(|settings| settings.reject_nonces = 50).await;
    let client = world.client(KeyKind::P256);
    let mut state = world.order(&client, &APEX_AND_WILDCARD);
    // A bound that half of all requests do not reach by chance.
    state.limits.bad_nonces = 60;
    let mut rejected = 0;
    let run = run(&client, &world.zone, &APEX_AND_WILDCARD);
    let (_, outcome) = drive(
        state,
        run,
        shown(|state| {
            rejected += state.tracked.iter().map(|tracked| tracked.bad_nonces).sum::<u32>();
        }),
    )
    .await;
    issued(outcome);
    assert!(rejected > 0);

    let world = self::world(|settings| settings.reject_nonces = 100).await;
    let client = world.client(KeyKind::P256);
    let run = self::run(&client, &world.zone, &APEX_AND_WILDCARD);
    let (_, outcome) = drive(world.order(&client, &APEX_AND_WILDCARD), run, shown(|_| {})).await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.reason, Reason::BadNonce);
}

#[tokio::test]
async fn an_order_is_taken_up_again_wherever_it_was_cut_off() {
    let world = world(|_| {}).await;
    let account = AccountKey::generate(KeyKind::P256).unwrap().to_pem().unwrap();
    let mut cuts = 0;
    for stop in 1.. {
        let client = || {
            let key = AccountKey::from_pem(&account).unwrap();
            Arc::new(Client::new(key, &world.root, Reach::Only(world.ca.client_addr())).unwrap())
        };
        let first = client();
        let run = run(&first, &world.zone, &APEX_AND_WILDCARD);
        let state = world.order(&first, &APEX_AND_WILDCARD);
        let stored = match cut(state, run.clone(), stop).await {
            Ok(stored) => stored,
            Err(outcome) => {
                issued(outcome);
                break;
            }
        };
        cuts += 1;
        let state: OrderState = serde_json::from_str(&stored).unwrap();
        if state.end.is_some() {
            continue;
        }
        let before = state.order.as_ref().map(|order| order.url.clone());
        let (state, outcome) = drive(state, Run { client: client(), ..run }, shown(|_| {})).await;
        assert_chain(&issued(outcome), &world.root, "a.example.com");
        let after = state.order.map(|order| order.url);
        assert!(before.is_none() || before == after, "the same order, cut at {stop}");
        assert_eq!(values(&world.zone).await, [""; 0], "cut at {stop}");
    }
    assert!(cuts > 12, "{cuts}");
}

#[tokio::test]
async fn an_order_that_was_finalized_for_a_lost_key_is_made_anew() {
    let world = world(|_| {}).await;
    let client = world.client(KeyKind::P256);
    let first = run(&client, &world.zone, &APEX_AND_WILDCARD);
    let mut finalized = None;
    let state = world.order(&client, &APEX_AND_WILDCARD);
    let (_, outcome) = drive(
        state,
        first,
        shown(|state| {
            if state.order.as_ref().is_some_and(|order| order.status == OrderStatus::Valid)
                && state.end.is_none()
            {
                finalized = Some(state.clone());
            }
        }),
    )
    .await;
    issued(outcome);
    let finalized = finalized.unwrap();
    let again = run(&client, &world.zone, &APEX_AND_WILDCARD);
    let (state, outcome) = drive(finalized.clone(), again, shown(|_| {})).await;
    assert_chain(&issued(outcome), &world.root, "example.com");
    assert_ne!(state.order.unwrap().url, finalized.order.unwrap().url);
}

#[tokio::test]
async fn an_order_of_another_account_key_is_made_anew() {
    let world = world(|_| {}).await;
    let (old, new) = (world.client(KeyKind::P256), world.client(KeyKind::Rsa2048));
    let run = run(&old, &world.zone, &APEX_AND_WILDCARD);
    let stored = cut(world.order(&old, &APEX_AND_WILDCARD), run.clone(), 9).await.unwrap();
    let state: OrderState = serde_json::from_str(&stored).unwrap();
    let (state, outcome) = drive(state, Run { client: Arc::clone(&new), ..run }, shown(|_| {})).await;
    issued(outcome);
    assert_eq!(state.wanted.thumbprint, new.thumbprint());
    assert_eq!(values(&world.zone).await, [""; 0]);
}

#[tokio::test]
async fn a_ca_that_forgot_everything_is_told_again() {
    let zone = zone().await;
    let pem = DevCa::generate(now()).unwrap().to_pem().unwrap();
    let mut settings = Settings::new("127.0.0.1:0".parse().unwrap(), vec![zone.address()]);
    let ca = DevCa::from_pem(&pem).unwrap();
    let root = ca.root_pem();
    let handle = serve(ca, settings.clone(), Arc::new(now)).await.unwrap();
    settings.listen = handle.local_addr();
    let client = client(KeyKind::P256, &root, handle.client_addr());
    let run = run(&client, &zone, &APEX_AND_WILDCARD);
    let state = order(&handle.directory_url(), &client, &APEX_AND_WILDCARD);
    let stored = cut(state, run.clone(), 9).await.unwrap();
    drop(handle);
    let mut again = Err(String::new());
    for _ in 0..100 {
        match serve(DevCa::from_pem(&pem).unwrap(), settings.clone(), Arc::new(now)).await {
            Ok(handle) => {
                again = Ok(handle);
                break;
            }
            // The socket of the first closes when its task is gone.
            Err(error) => again = Err(error.to_string()),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let _again = again.unwrap();
    let state: OrderState = serde_json::from_str(&stored).unwrap();
    assert!(state.account.is_some() && state.order.is_some());
    let (_, outcome) = drive(state, run, shown(|_| {})).await;
    assert_chain(&issued(outcome), &root, "example.com");
    assert_eq!(values(&zone).await, [""; 0]);
}

#[tokio::test]
async fn a_short_rate_limit_is_waited_for_and_a_long_one_handed_back() {
    let world = world(|settings| settings.new_orders = NewOrders { count: 1, window: 1_500 }).await;
    let client = world.client(KeyKind::P256);
    for _ in 0..2 {
        let run = run(&client, &world.zone, &["example.com"]);
        let (_, outcome) = drive(world.order(&client, &["example.com"]), run, shown(|_| {})).await;
        issued(outcome);
    }

    let window = 3 * 3_600_000;
    let world = self::world(|settings| settings.new_orders = NewOrders { count: 1, window }).await;
    let client = world.client(KeyKind::P256);
    let run = || run(&client, &world.zone, &["example.com"]);
    let begun = now();
    let (_, outcome) = drive(world.order(&client, &["example.com"]), run(), shown(|_| {})).await;
    issued(outcome);
    let (state, outcome) = drive(world.order(&client, &["example.com"]), run(), shown(|_| {})).await;
    let Outcome::Waiting { until } = outcome else { panic!("{outcome:?}") };
    assert!(
        until >= begun.plus_millis(window - 1_000) && until <= now().plus_millis(window + 2_000),
        "{until}"
    );
    let stored = serde_json::to_string(&state).unwrap();
    let (again, outcome) = drive(serde_json::from_str(&stored).unwrap(), run(), shown(|_| {})).await;
    assert_eq!(outcome, Outcome::Waiting { until }, "a restart does not ask before the time");
    assert!(again.end.is_none());
}

#[tokio::test]
async fn every_host_is_sought_at_the_one_address_and_must_prove_its_name() {
    let world = world(|_| {}).await;
    let client = world.client(KeyKind::P256);
    let mut state = order("https://acme.example.net/directory", &client, &["example.com"]);
    state.limits = Limits { failures: 0, ..limits() };
    let run = run(&client, &world.zone, &["example.com"]);
    let (_, outcome) = drive(state, run.clone(), shown(|_| {})).await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.reason, Reason::Unavailable);
    // It did meet the CA at its address, and did not believe it.
    assert!(
        failure.detail.contains("acme.example.net") && failure.detail.contains("certificate"),
        "{}",
        failure.detail
    );

    let stranger =
        self::client(KeyKind::P256, &DevCa::generate(now()).unwrap().root_pem(), world.ca.client_addr());
    let mut state = world.order(&stranger, &["example.com"]);
    state.limits.failures = 0;
    let (_, outcome) = drive(state, Run { client: stranger, ..run }, shown(|_| {})).await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert!(failure.detail.contains("certificate"), "{}", failure.detail);
}

#[tokio::test]
async fn what_cannot_be_cleaned_up_stays_noted_until_it_can() {
    let world = world(|_| {}).await;
    let client = world.client(KeyKind::P256);
    let watched = Watched::new(&world.zone);
    watched.failing.store(usize::MAX, Ordering::SeqCst);
    let watched = Arc::new(watched);
    let run = Run { challenges: Arc::clone(&watched) as _, ..run(&client, &world.zone, &["example.com"]) };
    let (state, outcome) = drive(world.order(&client, &["example.com"]), run.clone(), shown(|_| {})).await;
    issued(outcome);
    assert_eq!(state.presented.len(), 1);
    assert_eq!(values(&world.zone).await.len(), 1);
    watched.failing.store(0, Ordering::SeqCst);
    let (state, outcome) = drive(state, run, shown(|_| {})).await;
    issued(outcome);
    assert_eq!(state.presented.len(), 0);
    assert_eq!(values(&world.zone).await, [""; 0]);
}

#[tokio::test]
async fn what_does_not_fit_together_is_refused_in_the_servers_words() {
    let world = world(|_| {}).await;
    let client = world.client(KeyKind::P256);
    let bad = [
        (csr(KeyKind::P256, &["other.example.com"]), "badCSR: the CSR asks for [other.example.com]"),
        (csr(KeyKind::Ed25519, &["example.com"]), "badPublicKey"),
        (b"nonsense".to_vec(), "badCSR"),
    ];
    for (csr, expected) in bad {
        let run = Run { csr, ..run(&client, &world.zone, &["example.com"]) };
        let (_, outcome) = drive(world.order(&client, &["example.com"]), run, shown(|_| {})).await;
        let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
        assert_eq!(failure.reason, Reason::Refused);
        assert!(
            failure.detail.contains("finalize") && failure.detail.contains(expected),
            "{}",
            failure.detail
        );
    }
    let run = run(&client, &world.zone, &["localhost"]);
    let (_, outcome) = drive(world.order(&client, &["localhost"]), run, shown(|_| {})).await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert!(failure.detail.contains("rejectedIdentifier"), "{}", failure.detail);
}

#[tokio::test]
async fn an_order_that_is_given_up_leaves_no_value_behind() {
    let world = world(|_| {}).await;
    let client = world.client(KeyKind::P256);
    let mut left = 0;
    for stop in 1.. {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let (mut sender, mut seen) = (Some(sender), 0);
        let state = world.order(&client, &APEX_AND_WILDCARD);
        let (state, outcome) = drive_until(
            state,
            run(&client, &world.zone, &APEX_AND_WILDCARD),
            shown(|_| {
                seen += 1;
                if seen == stop {
                    let _ = sender.take().map(|sender| sender.send(()));
                }
            }),
            async {
                // Without a message the order goes on.
                if receiver.await.is_err() {
                    std::future::pending::<()>().await;
                }
            },
        )
        .await;
        assert_eq!(values(&world.zone).await, [""; 0], "given up at {stop}");
        assert_eq!(state.presented.len(), 0, "given up at {stop}");
        match outcome {
            None => left += 1,
            Some(outcome) => {
                issued(outcome);
                break;
            }
        }
    }
    assert!(left > 12, "{left}");
}

#[tokio::test]
async fn somebody_elses_client_is_served_too() {
    let world = world(|_| {}).await;
    let challenges = ProviderChallenges::new(Arc::clone(&world.zone) as _);
    let csr = csr(KeyKind::Rsa2048, &APEX_AND_WILDCARD);
    let address = world.ca.client_addr();
    let chain = other_client::order(address, &world.root, &challenges, &APEX_AND_WILDCARD, &csr).await;
    for name in ["example.com", "anything.example.com"] {
        assert_chain(&chain, &world.root, name);
    }
}

/// One lock, handed on in turn, as a store has it whose writes are one after the other.
struct InTurn {
    zone: ProviderChallenges,
    lock: tokio::sync::Mutex<()>,
    taken_away: std::sync::atomic::AtomicUsize,
}

#[async_trait::async_trait]
impl Challenges for InTurn {
    async fn present(&self, fqdn: &str, value: &str) -> Result<(), String> {
        let _turn = self.lock.lock().await;
        // The last name comes late: others are proven, and their values taken away, while it is being written.
        let late = if fqdn.contains("late") { 400 } else { 1 };
        tokio::time::sleep(std::time::Duration::from_millis(late)).await;
        self.zone.present(fqdn, value).await
    }
    async fn visible(&self, fqdn: &str, value: &str) -> Result<(), String> {
        self.zone.visible(fqdn, value).await
    }
    async fn clean_up(&self, fqdn: &str, value: &str) -> Result<(), String> {
        self.taken_away.fetch_add(1, Ordering::SeqCst);
        let _turn = self.lock.lock().await;
        self.zone.clean_up(fqdn, value).await
    }
}

#[tokio::test]
async fn taking_a_value_away_does_not_stop_what_is_being_written() {
    let world = world(|_| {}).await;
    let client = world.client(KeyKind::P256);
    let names = ["a.example.com", "b.example.com", "late.example.com"];
    let challenges = Arc::new(InTurn {
        zone: ProviderChallenges::new(Arc::clone(&world.zone) as _),
        lock: tokio::sync::Mutex::default(),
        taken_away: 0.into(),
    });
    let mut run = Run { challenges: Arc::clone(&challenges) as _, ..run(&client, &world.zone, &names) };
    run.bounds.dns = std::time::Duration::from_secs(2);
    let (_, outcome) = drive(world.order(&client, &names), run, shown(|_| {})).await;
    assert_chain(&issued(outcome), &world.root, "late.example.com");
    assert_eq!(challenges.taken_away.load(Ordering::SeqCst), names.len(), "none is tried again");
    assert_eq!(values(&world.zone).await, [""; 0]);
}
