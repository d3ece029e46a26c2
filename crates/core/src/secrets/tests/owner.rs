//! Who writes a Secret does not depend on who came first: all orders in which five writers of one Secret appear, and all
//! sets of them, are played, with a store that holds what each makes.

use std::collections::BTreeMap;

use portolan_model::{
    Name, NamespacedName, Redacted,
    input::{Maker, SealedSecret, Secret, TlsPair},
};

use super::*;
use crate::{
    certificates::{
        ISSUED_AT,
        rows::{AccountWanted, CertificateState, IssueWanted, IssuerState},
    },
    secrets::{
        AUTO_REFLECTS, REFLECTS,
        rows::{MirrorContent, MirrorUnwanted, MirrorWanted, UnsealWanted},
    },
};

const BASE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: src}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: own, namespace: shop}
spec: {selfSigned: {}}
";

/// The writers of Secret shop/s, those first that stand before others.
const WRITERS: [(Maker, &str); 5] = [
    (
        Maker::Repository,
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData: {own: mine}\n",
    ),
    (
        Maker::Unsealed,
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: s, namespace: shop}\nspec: {encryptedData: {k: AgB4}}\n",
    ),
    (
        Maker::Issued,
        "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: c, namespace: shop}\nspec: {secretName: s, dnsNames: [a.example], issuerRef: {name: own}, secretTemplate: {annotations: {reflector.v1.k8s.emberstack.com/reflects: src/other}}}\n",
    ),
    (
        Maker::Account,
        "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: pub, namespace: shop}\nspec: {acme: {server: https://ca.example/dir, privateKeySecretRef: {name: s}, solvers: [{dns01: {cloudDNS: {project: p}}}]}}\n",
    ),
    (
        Maker::Mirrored,
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: src, annotations: {reflector.v1.k8s.emberstack.com/reflection-allowed: 'true', reflector.v1.k8s.emberstack.com/reflection-auto-enabled: 'true', reflector.v1.k8s.emberstack.com/reflection-auto-namespaces: shop}}\nstringData: {k: mirrored}\n",
    ),
];

fn key() -> NamespacedName {
    NamespacedName::new("shop", "s")
}

fn made(maker: Maker, annotations: &[(&str, &str)], data: &[(&str, &str)]) -> Secret {
    let named = maker == Maker::Issued;
    let pair = TlsPair { dns_names: vec!["a.example".into()], key_matches: true, ..TlsPair::default() };
    Secret {
        key: key(),
        r#type: "Opaque".into(),
        data: data.iter().map(|(key, value)| (Name::new(key), Redacted::from(*value))).collect(),
        annotations: annotations.iter().map(|(key, value)| (Name::new(key), (*value).to_owned())).collect(),
        labels: BTreeMap::new(),
        maker,
        tls: named.then_some(Ok(TlsPair { not_after: portolan_model::Instant(i64::MAX), ..pair })),
    }
}

/// What effects would write, as the store takes it: over what stands behind, and over nothing else.
fn effects(engine: &mut Engine<World>) -> bool {
    let present = engine.get::<Secret>(&key()).map(|secret| secret.maker);
    let leftover = present == Some(Maker::Unsealed) && engine.get::<SealedSecret>(&key()).is_none();
    let unwanted = present == Some(Maker::Mirrored) && engine.rows::<MirrorUnwanted>().next().is_some();
    if leftover || unwanted {
        world::remove(engine, &ObjectKey::new("", "Secret", "shop", "s"));
        return true;
    }
    let mut writes = Vec::new();
    if engine.get::<UnsealWanted>(&key()).is_some() && present != Some(Maker::Unsealed) {
        writes.push(made(Maker::Unsealed, &[], &[("k", "opened")]));
    }
    if let Some(wanted) = engine.rows::<IssueWanted>().next() {
        let mut notes = vec![(ISSUED_AT, "1970-01-01T00:00:00Z"), ("cert-manager.io/certificate-name", "c")];
        notes.extend(wanted.annotations.iter().map(|(key, value)| (&**key, &**value)));
        writes.push(made(Maker::Issued, &notes, &[("tls.crt", "c"), ("tls.key", "k")]));
    }
    if engine.rows::<AccountWanted>().any(|wanted| wanted.fingerprint.is_empty()) {
        writes.push(made(Maker::Account, &[], &[("tls.key", "account")]));
    }
    if let Some(wanted) = engine.rows::<MirrorWanted>().next() {
        assert!(matches!(&*wanted.mirror.content, MirrorContent::Secret { .. }));
        writes.push(made(
            Maker::Mirrored,
            &[(REFLECTS, "src/s"), (AUTO_REFLECTS, "True")],
            &[("k", "mirrored")],
        ));
    }
    for secret in &writes {
        assert!(present.is_none_or(|present| secret.maker <= present), "{:?} over {present:?}", secret.maker);
    }
    let first = writes.into_iter().min_by_key(|secret| secret.maker);
    first.is_some_and(|secret| {
        world::amend_secret(engine, secret);
        true
    })
}

fn settle(engine: &mut Engine<World>) {
    for _ in 0..20 {
        step(engine);
        if !effects(engine) {
            return;
        }
    }
    panic!("it never comes to rest");
}

/// All that can be seen in the end.
#[derive(Debug, PartialEq)]
struct Seen {
    secret: Option<Secret>,
    findings: Vec<(u16, Severity, String, String)>,
    certificates: Vec<(bool, Name, String)>,
    issuers: Vec<Option<portolan_model::Condition>>,
}

fn seen(engine: &Engine<World>) -> Seen {
    let states = engine.rows::<CertificateState>();
    Seen {
        secret: engine.get::<Secret>(&key()).map(|secret| (*secret).clone()),
        findings: findings(engine),
        certificates: states.map(|s| (s.ready, s.reason.clone(), s.detail.clone())).collect(),
        issuers: engine.rows::<IssuerState>().map(|state| state.ready.clone()).collect(),
    }
}

fn play(order: &[usize]) -> Engine<World> {
    let mut engine = world::engine();
    apply(&mut engine, BASE);
    for writer in order {
        apply(&mut engine, WRITERS[*writer].1);
        settle(&mut engine);
    }
    engine
}

/// All orders of all sets of the writers.
fn orders() -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = vec![vec![]];
    let mut at = 0;
    while at < all.len() {
        let more = (0..WRITERS.len()).filter(|writer| !all[at].contains(writer));
        let longer: Vec<Vec<usize>> = more.map(|writer| [&all[at][..], &[writer]].concat()).collect();
        all.extend(longer);
        at += 1;
    }
    all
}

#[test]
fn the_owner_of_a_secret_does_not_depend_on_who_came_first() {
    let mut by_set: BTreeMap<Vec<usize>, Seen> = BTreeMap::new();
    let orders = orders();
    assert_eq!(orders.len(), 326);
    for order in orders {
        let mut set = order.clone();
        set.sort_unstable();
        let now = seen(&play(&order));
        let owner = set.first().map(|first| WRITERS[*first].0);
        assert_eq!(now.secret.as_ref().map(|secret| secret.maker), owner, "{order:?}");
        // Everybody else who wanted the name is told why not. (An issuer uses the key that another brings.)
        let losers =
            set.iter().skip(1).filter(|w| WRITERS[**w].0 != Maker::Account || owner == Some(Maker::Issued));
        let told = now.findings.iter().filter(|f| [152, 160, 311, 355].contains(&f.0)).count();
        let denied = set.contains(&2) && set.contains(&3) && owner != Some(Maker::Issued);
        assert_eq!(told, losers.count() + usize::from(denied), "{order:?} {:#?}", now.findings);
        match by_set.get(&set) {
            None => {
                by_set.insert(set, now);
            }
            Some(first) => assert_eq!(now, *first, "{order:?}"),
        }
    }
    assert_eq!(by_set.len(), 32);
}

/// Who goes leaves the name to the next: as if it had never been there.
#[test]
fn a_writer_that_goes_leaves_the_name_to_the_next() {
    for order in orders().into_iter().filter(|order| (2..=3).contains(&order.len())) {
        for gone in [0, 1, 4].into_iter().filter(|gone| order.contains(gone)) {
            let mut engine = play(&order);
            match gone {
                0 => remove(&mut engine, "Secret", "shop", "s"),
                1 => world::remove(&mut engine, &ObjectKey::new("bitnami.com", "SealedSecret", "shop", "s")),
                _ => remove(&mut engine, "Secret", "src", "s"),
            }
            settle(&mut engine);
            let rest: Vec<usize> = order.iter().copied().filter(|writer| *writer != gone).collect();
            assert_eq!(seen(&engine), seen(&play(&rest)), "{order:?} without {gone}");
        }
    }
}

/// `reflection-allowed` that is taken back takes what it allowed along, from Certificates' templates too.
#[test]
fn a_permission_that_is_taken_back_removes_its_mirrors_at_once() {
    let mut engine = play(&[4]);
    assert_eq!(engine.get::<Secret>(&key()).unwrap().maker, Maker::Mirrored);
    apply(&mut engine, &WRITERS[4].1.replace("reflection-allowed: 'true'", "reflection-allowed: 'false'"));
    settle(&mut engine);
    assert_eq!(engine.get::<Secret>(&key()), None);
}
