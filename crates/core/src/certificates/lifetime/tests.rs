#![allow(clippy::unwrap_used)]
//! No values, and no end of a CA, make certificates without end.

use std::{collections::BTreeMap, fmt::Write as _};

use portolan_engine::Engine;
use portolan_model::{
    Instant, Name, NamespacedName, Object, Origin,
    input::{Maker, Secret, TlsPair},
    intake::intake,
    yaml,
};
use proptest::prelude::*;

use super::words;
use crate::{
    World,
    certificates::{
        ISSUED_AT,
        rows::{CertificateState, IssueWanted},
    },
    world::{self, Finding},
};

const T0: Instant = Instant(1_795_000_000_000);
const SECOND: i64 = 1000;
const HOUR: i64 = 3_600 * SECOND;

fn apply(engine: &mut Engine<World>, text: &str) {
    let (documents, errors) = yaml::load(text);
    assert_eq!(errors, []);
    for document in documents {
        let object = Object::from_json(document.json, Origin::default()).unwrap();
        world::put(engine, &object.key, intake(&object));
    }
}

fn secret(name: &str, pair: TlsPair, annotations: &[(&str, String)]) -> Secret {
    Secret {
        key: NamespacedName::new("shop", name),
        r#type: "kubernetes.io/tls".into(),
        data: BTreeMap::new(),
        annotations: annotations.iter().map(|(key, value)| (Name::new(key), value.clone())).collect(),
        labels: BTreeMap::new(),
        maker: if annotations.is_empty() { Maker::Repository } else { Maker::Issued },
        tls: Some(Ok(TlsPair { key_matches: true, ..pair })),
    }
}

/// A Certificate, by its own key or by a CA that ends at a time.
fn case(spec: &str, ca_end: Option<Instant>) -> Engine<World> {
    let mut engine = world::engine();
    apply(
        &mut engine,
        &format!(
            "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {{name: i, namespace: shop}}\nspec: {}\n---\n\
             apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{name: leaf, namespace: shop}}\n\
             spec: {{secretName: leaf, dnsNames: [leaf.shop.example], issuerRef: {{name: i}}, {spec}}}\n",
            if ca_end.is_some() { "{ca: {secretName: ca}}" } else { "{selfSigned: {}}" }
        ),
    );
    if let Some(end) = ca_end {
        let pair = TlsPair { not_before: T0, not_after: end, is_ca: true, ..TlsPair::default() };
        engine.put(secret("ca", pair, &[]));
    }
    engine
}

/// An issue: when, and when what was issued ends.
type Issue = (Instant, Instant);

/// Issues what is wanted until `until`, back-dated as some CAs do. `most` issues at most: a storm has no end.
fn play(engine: &mut Engine<World>, ca_end: Option<Instant>, until: Instant, most: usize) -> Vec<Issue> {
    let mut now = T0;
    let mut issues: Vec<Issue> = Vec::new();
    while now < until && issues.len() < most {
        let changes = engine.step(now.0);
        assert_eq!((changes.errors, changes.conflicts, changes.held.len()), (vec![], vec![], 0));
        let wanted = engine.rows::<IssueWanted>().next().cloned();
        if let Some(wanted) = wanted {
            let end = now.plus_millis(wanted.request.duration).min(ca_end.unwrap_or(Instant(i64::MAX)));
            let end = Instant(end.seconds() * SECOND);
            issues.push((now, end));
            let pair = TlsPair {
                dns_names: vec!["leaf.shop.example".into()],
                not_before: now.plus_millis(-HOUR),
                not_after: end,
                fingerprint: issues.len().to_string(),
                ..TlsPair::default()
            };
            let notes = [
                (ISSUED_AT, now.timestamp().to_string()),
                ("cert-manager.io/certificate-name", "leaf".to_owned()),
            ];
            engine.put(secret("leaf", pair, &notes));
        } else if let Some(due) = changes.next_due {
            now = Instant(due).max(now.plus_millis(1));
        } else {
            break;
        }
    }
    issues
}

fn findings(engine: &Engine<World>) -> Vec<(u16, String)> {
    engine
        .rows::<Finding>()
        .filter(|finding| (317..=319).contains(&finding.problem.code.0))
        .map(|finding| (finding.problem.code.0, finding.problem.message.clone()))
        .collect()
}

fn codes(engine: &Engine<World>) -> Vec<u16> {
    findings(engine).into_iter().map(|(code, _)| code).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn issues_are_bounded_whatever_is_asked_for(
        hours in 1..5000_i64,
        before in prop::option::of(0..20_000_000_i64),
        percentage in prop::option::of(0..101_u8),
        ca in prop::option::of(prop_oneof![1..300_i64, 1..20_000_i64, 1..20_000_000_i64]),
    ) {
        let mut spec = format!("duration: {hours}h");
        // Around what leaves little or nothing, too.
        let seconds = before.map(|n| if n % 3 == 0 { hours * 3600 - n % 300 + 100 } else { n });
        if let Some(seconds) = seconds {
            let _ = write!(spec, ", renewBefore: {seconds}s");
        }
        if let Some(percentage) = percentage {
            let _ = write!(spec, ", renewBeforePercentage: {percentage}");
        }
        let ca_end = ca.map(|seconds| T0.plus_millis(seconds * SECOND));
        let mut engine = case(&spec, ca_end);
        let until = T0.plus_millis(2 * hours * HOUR);
        let issues = play(&mut engine, ca_end, until, 1000);
        // What cert-manager's webhook refuses is not issued at all.
        let refused = engine.rows::<portolan_model::input::Certificate>().any(|row| row.refused.is_some());
        prop_assert_eq!(issues.is_empty(), refused);
        for (at, end) in &issues {
            prop_assert!(end > at, "expired when it was made");
            prop_assert!(ca_end.is_none_or(|ca_end| *at < ca_end && *end <= ca_end), "by a CA that has ended");
        }
        for pair in issues.windows(2) {
            let lifetime = pair[0].1.0 - pair[0].0.0;
            let gap = pair[1].0.0 - pair[0].0.0;
            prop_assert!(gap >= 60 * SECOND && gap >= lifetime / 100, "{gap} after one that lasts {lifetime}");
        }
    }
}

/// The values of the storms that were seen.
#[test]
fn the_storms_that_were_seen_are_none_and_are_said() {
    let mut tight = case("duration: 1h, renewBefore: 59m", None);
    let issues = play(&mut tight, None, T0.plus_millis(HOUR), 1000);
    assert_eq!(issues.len(), 60, "each minute, as is asked for");
    let wrong = "a certificate that lasts 1h is made every 1m: spec.renewBefore leaves no more";
    assert_eq!(findings(&tight), [(319, wrong.to_owned())]);

    for (left, before, most) in [(7215, "2h", 1), (100, "24h", 1), (7215, "10m", 1)] {
        let end = Some(T0.plus_millis(left * SECOND));
        let mut dying = case(&format!("duration: 2160h, renewBefore: {before}"), end);
        dying.step(T0.0);
        let first = findings(&dying);
        let issues = play(&mut dying, end, T0.plus_millis(left * SECOND - 1), 1000);
        assert_eq!(issues.len(), most, "another would end with the CA too");
        assert!(first.iter().any(|(code, _)| *code == 317), "before: {first:?}");
        assert_eq!(codes(&dying)[0], 317, "after");
        dying.step(T0.0 + left * SECOND);
        assert_eq!(codes(&dying), [318, 318], "the CA has expired: its issuer, and the certificate");
        assert_eq!(dying.rows::<IssueWanted>().count(), 0);
        let state = dying.rows::<CertificateState>().next().unwrap();
        assert!(!state.ready && state.detail.contains("has expired"), "{}", state.detail);
    }
}

#[test]
fn what_is_reasonable_says_nothing() {
    for (spec, ca) in [
        ("duration: 2160h", None),
        ("duration: 2160h, renewBefore: 360h", Some(9000 * HOUR)),
        ("duration: 1h", Some(9000 * HOUR)),
        ("duration: 24h, renewBeforePercentage: 80", None),
    ] {
        let ca_end = ca.map(|millis| T0.plus_millis(millis));
        let mut engine = case(spec, ca_end);
        let issues = play(&mut engine, ca_end, T0.plus_millis(10 * HOUR), 1000);
        assert!((1..=15).contains(&issues.len()), "{spec}: {}", issues.len());
        assert_eq!(findings(&engine), [], "{spec}");
    }
    assert_eq!(words(90_061_000), "25h1m1s");
}

#[test]
fn a_lifetime_that_the_signer_shortened_is_held_against_renew_before() {
    let mut engine = case("duration: 2160h, renewBefore: 100h", None);
    let pair = TlsPair {
        dns_names: vec!["leaf.shop.example".into()],
        not_before: T0,
        not_after: T0.plus_millis(90 * HOUR),
        ..TlsPair::default()
    };
    engine.put(secret("leaf", pair, &[("cert-manager.io/certificate-name", "leaf".to_owned())]));
    engine.step(T0.0);
    let said = findings(&engine);
    assert!(said[0].1.contains("not shorter than the 90h that the present certificate lasts"), "{said:?}");
    assert_eq!(engine.rows::<CertificateState>().next().unwrap().renewal, Some(T0.plus_millis(60 * HOUR)));
}
