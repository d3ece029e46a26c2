//! Annotations of external-dns that have no effect: misspelt ones, those of another kind of object, those of a provider.

use std::collections::BTreeMap;

use portolan_model::{Name, intake::fates::Effect, nearest};

use super::{super::DnsProblem, ALPHA, Prefix, RENAMED, STABLE, field};

/// What an annotation stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A route.
    Route,
    /// A Gateway.
    Gateway,
}

/// Read on routes.
const ROUTES: [&str; 4] = ["hostname", "ttl", "controller", "gateway-hostname-source"];
/// Read on routes as far as it goes here.
const SETS: [&str; 2] = ["set-identifier", "aws-weight"];
/// Read on Gateways.
const GATEWAYS: [&str; 2] = ["target", "controller"];
/// Read on Services, Pods, Ingresses and the like only.
const OTHERS: [&str; 5] =
    ["access", "endpoints-type", "internal-hostname", "ingress", "ingress-hostname-source"];
/// About the provider's kind of record.
const PROVIDERS: [&str; 3] = ["alias", "record-type", "azure-tags"];
const PROVIDER_PREFIXES: [&str; 5] = ["aws-", "scw-", "webhook-", "coredns-", "cloudflare-"];
/// Those that external-dns knows under `cloudflare-`.
const CLOUDFLARE: [&str; 5] = [
    "cloudflare-proxied",
    "cloudflare-custom-hostname",
    "cloudflare-region-key",
    "cloudflare-record-comment",
    "cloudflare-tags",
];

/// A problem for each annotation under these prefixes that has no effect.
pub fn unused(annotations: &BTreeMap<Name, String>, prefix: &Prefix, on: On) -> Vec<DnsProblem> {
    let mut problems = Vec::new();
    for prefix in prefix.all() {
        for (key, _) in annotations.range(Name::new(prefix)..).take_while(|(key, _)| key.starts_with(prefix))
        {
            let Some(key) = key.strip_prefix(prefix) else { continue };
            if let Some((why, hint)) = judge(key, on, annotations, prefix) {
                problems.push(DnsProblem::UnusedAnnotation { field: field(prefix, key), why, hint });
            }
        }
    }
    problems
}

/// Annotations that count here and are not read by the external-dns that is declared.
pub fn other_prefix(annotations: &BTreeMap<Name, String>, prefix: &Prefix, on: On) -> Option<DnsProblem> {
    let Prefix::Declared(minor) = *prefix else { return None };
    let (reads, other) = if minor < RENAMED { (ALPHA, STABLE) } else { (STABLE, ALPHA) };
    let known: Vec<&str> = match on {
        On::Route => ROUTES.into_iter().chain(SETS).collect(),
        On::Gateway => GATEWAYS.to_vec(),
    };
    let has = |prefix: &str, key: &str| annotations.contains_key(format!("{prefix}{key}").as_str());
    let counts = known.into_iter().filter(|key| has(other, key) && !has(reads, key));
    let fields: Vec<Name> = counts.map(|key| field(other, key)).collect();
    (!fields.is_empty()).then_some(DnsProblem::OtherPrefix { fields, minor, reads })
}

/// What becomes of an annotation of external-dns, whatever it stands on; `None` for one of another program.
pub fn effect(annotation: &str) -> Option<Effect> {
    let key = [STABLE, ALPHA].iter().find_map(|prefix| annotation.strip_prefix(prefix))?;
    Some(if ROUTES.contains(&key) || SETS.contains(&key) || GATEWAYS.contains(&key) {
        Effect::Used
    } else if OTHERS.contains(&key) {
        Effect::Irrelevant("of Services, Pods and Ingresses, whose names are not published here")
    } else if is_providers(key) {
        Effect::Irrelevant("about the records of a cloud provider, which the zones here do not have")
    } else {
        Effect::Unknown
    })
}

fn is_providers(key: &str) -> bool {
    let below = |prefix: &&str| key.strip_prefix(*prefix).is_some_and(|rest| !rest.is_empty());
    let provider = PROVIDER_PREFIXES.iter().any(below);
    provider && (!key.starts_with("cloudflare-") || CLOUDFLARE.contains(&key)) || PROVIDERS.contains(&key)
}

fn judge(key: &str, on: On, annotations: &BTreeMap<Name, String>, prefix: &str) -> Option<(String, String)> {
    let said = |why: &str, hint: &str| Some((why.to_owned(), hint.to_owned()));
    let known = match on {
        On::Route => &ROUTES[..],
        On::Gateway => &GATEWAYS[..],
    };
    if SETS.contains(&key) && on == On::Route {
        let weight =
            key == "aws-weight" && annotations.get(format!("{prefix}{key}").as_str())?.parse::<u8>().is_err();
        if weight {
            return said("it is no whole number from 0 to 255", "write a number such as \"100\"");
        }
        return said(
            "only the provider in the cloud chooses among several record sets of a name, which are one here (without those of \
             weight 0)",
            "nothing to do, if that is meant",
        );
    }
    if known.contains(&key) {
        return None;
    }
    if GATEWAYS.contains(&key) {
        return said(
            "it is read on Gateways only, so the route's names point to the addresses of its Gateways",
            "set it on the Gateway, or on a Gateway of its own",
        );
    }
    if ROUTES.contains(&key) || SETS.contains(&key) {
        return said("it is read on routes only, so it has no effect on a Gateway", "set it on the routes");
    }
    if OTHERS.contains(&key) {
        return said("it is about Services, Pods or Ingresses, and has no effect here", "remove it");
    }
    if is_providers(key) {
        return said(
            "it is about the records of a cloud provider, which the zones here do not have: an ordinary record is made",
            "nothing to do, if only the provider in the cloud is to act on it",
        );
    }
    let all = ROUTES.iter().chain(&SETS).chain(&GATEWAYS).chain(&OTHERS).chain(&PROVIDERS).chain(&CLOUDFLARE);
    let meant = nearest(key, all.copied());
    Some((
        "external-dns does not know it".to_owned(),
        meant.map_or_else(|| "remove it".to_owned(), |meant| format!("{meant} may be meant")),
    ))
}
