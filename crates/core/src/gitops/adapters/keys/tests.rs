#![allow(clippy::unwrap_used)]
use super::*;

/// Keys and flags as upstream has them, one a line. A new version of a chart that is added here shows what is new in it.
const CHARTS: [(&str, &str); 5] = [
    ("cert-manager", include_str!("../testdata/cert-manager-1.21.txt")),
    ("gateway-helm", include_str!("../testdata/gateway-helm-1.9.txt")),
    ("sealed-secrets", include_str!("../testdata/sealed-secrets-2.18.txt")),
    ("reflector", include_str!("../testdata/reflector-10.txt")),
    ("kyverno", include_str!("../testdata/kyverno-3.txt")),
];

#[test]
fn every_key_of_every_chart_is_used_refused_irrelevant_or_not_looked_at() {
    for (chart, keys) in CHARTS {
        let known = of(chart).unwrap();
        let mut count = 0;
        for key in keys.lines() {
            let Some((fate, why)) = known.fate(key) else {
                panic!("{key} of {chart} is in none of the four")
            };
            assert!(fate == Fate::Used || !why.is_empty(), "{key} of {chart}: nothing says why");
            count += 1;
        }
        assert!(count > 50, "{chart}: {count} keys");
    }
}

#[test]
fn every_flag_has_a_fate() {
    let known = of("cert-manager").unwrap();
    for flag in include_str!("../testdata/cert-manager-flags-1.21.txt").lines() {
        let key = cert_manager_flag(flag).unwrap_or_else(|| panic!("--{flag} is in none of the four"));
        assert!(known.fate(key).is_some(), "--{flag}: {key}");
    }
    for flag in include_str!("../testdata/sealed-secrets-flags-0.36.txt").lines() {
        assert!(sealed_secrets_flag(flag).is_some(), "--{flag} is in none of the four");
    }
}

/// An entry for a key that the chart does not have would hide a misspelt one.
#[test]
fn no_key_stands_twice_and_a_stranger_is_known_to_none() {
    for (chart, _) in CHARTS {
        let mut keys: Vec<&str> = of(chart).unwrap().all.into_iter().map(|(key, ..)| key).collect();
        keys.sort_unstable();
        for pair in keys.windows(2) {
            assert_ne!(pair[0], pair[1], "{chart}");
        }
        assert!(of(chart).unwrap().fate("excludeNamespaces").is_none(), "{chart}");
    }
    assert!(of("grafana").is_none());
}

#[test]
fn the_longest_key_decides() {
    let known = of("cert-manager").unwrap();
    assert_eq!(known.fate("config.controllers").unwrap().0, Fate::NotLookedAt);
    assert_eq!(known.fate("config.logging.format").unwrap().0, Fate::Irrelevant);
    assert_eq!(known.fate("config.somethingNew").unwrap().0, Fate::NotLookedAt);
    assert!(known.is_default("config.controllers", &serde_json::json!(["*"])));
    assert!(!known.is_default("config.controllers", &serde_json::json!(["*", "-orders"])));
    assert!(known.is_default("disableAutoApproval", &serde_json::json!(false)));
}
