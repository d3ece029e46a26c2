//! What an object of a kind that nobody here knows says of itself. It may route or restrict as well as not; a verdict turns on it
//! where the object itself says that it concerns the edge. Else it is only listed: what it makes in a cluster is missing here,
//! which is told where something asks for it.

use serde_json::Value;

use super::{Does, OURS, Standing, standing};
use crate::{Kind, Object, RouteKind};

/// Fields of `spec` by which something is attached (GEP-713, Gateway API), and what that does.
const REFERENCES: [(&str, Does); 4] = [
    ("targetRef", Does::Guards),
    ("targetRefs", Does::Guards),
    ("parentRef", Does::Routes),
    ("parentRefs", Does::Routes),
];

/// Ends of the names of kinds, and what such kinds do.
const NAMES: [(&str, Does); 19] = [
    ("Route", Does::Routes),
    ("Ingress", Does::Routes),
    ("VirtualService", Does::Routes),
    ("VirtualServer", Does::Routes),
    ("HTTPProxy", Does::Routes),
    ("DomainMapping", Does::Routes),
    ("DNSRecord", Does::Names),
    ("DNSEndpoint", Does::Names),
    ("Secret", Does::Fills),
    ("AccessPolicy", Does::Guards),
    ("AuthPolicy", Does::Guards),
    ("AuthenticationPolicy", Does::Guards),
    ("AuthorizationPolicy", Does::Guards),
    ("FirewallPolicy", Does::Guards),
    ("NetworkPolicy", Does::Guards),
    ("RateLimitPolicy", Does::Guards),
    ("SecurityPolicy", Does::Guards),
    ("TrafficPolicy", Does::Guards),
    ("WAFPolicy", Does::Guards),
];

/// Ends of groups whose kinds are things of a cloud, such as the routes and secrets of its networks.
const CLOUDS: [&str; 6] = [
    "crossplane.io",
    "upbound.io",
    "services.k8s.aws",
    "cnrm.cloud.google.com",
    "azure.com",
    "cluster.x-k8s.io",
];

/// What the object does by its own words, and which these are.
pub(super) fn guess(object: &Object) -> Option<(Does, String)> {
    let kind = &object.key.kind;
    if standing(kind) != Standing::Unknown {
        return None;
    }
    attached(object).or_else(|| named(kind))
}

/// By a reference to something that is served here.
fn attached(object: &Object) -> Option<(Does, String)> {
    let spec = &object.json["spec"];
    REFERENCES.into_iter().find_map(|(field, does)| {
        let one = &spec[field];
        let mut all = one.as_array().map_or(std::slice::from_ref(one), Vec::as_slice).iter();
        let found = all.find(|reference| is_served(reference))?;
        let text = |field: &str| found[field].as_str().unwrap_or_default();
        Some((does, format!("its spec.{field} names {}", [text("kind"), text("name")].join(" ").trim())))
    })
}

fn is_served(reference: &Value) -> bool {
    let text = |field: &str| reference[field].as_str();
    match (text("group"), text("kind")) {
        (Some(group), Some(kind)) => OURS.iter().any(|(of, kinds)| *of == group && kinds.contains(&kind)),
        (Some(group), None) => group == "gateway.networking.k8s.io",
        // Older policies leave the group out.
        (None, Some(kind)) => kind == "Gateway" || kind == "Service" || RouteKind::of(kind).is_some(),
        (None, None) => false,
    }
}

fn named(kind: &Kind) -> Option<(Does, String)> {
    let cloud = CLOUDS.iter().any(|end| kind.group.ends_with(end));
    let (_, does) = NAMES.into_iter().find(|(end, _)| !cloud && kind.kind.ends_with(end))?;
    Some((does, "its name says so".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::Origin;

    fn said(api_version: &str, kind: &str, spec: &Value) -> Option<(Does, String)> {
        let json = json!({
            "apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "n"}, "spec": spec,
        });
        guess(&Object::from_json(json, Origin::default()).unwrap())
    }

    #[test]
    fn what_names_something_that_is_served_concerns_the_edge() {
        let gateway = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"});
        let elsewhere = json!({"group": "apps", "kind": "Deployment", "name": "web"});
        for (spec, does, whom) in [
            (json!({"targetRef": gateway}), Does::Guards, "Gateway edge"),
            (json!({"targetRefs": [elsewhere, gateway]}), Does::Guards, "Gateway edge"),
            (json!({"targetRefs": [{"kind": "HTTPRoute", "name": "web"}]}), Does::Guards, "HTTPRoute web"),
            (json!({"parentRefs": [gateway]}), Does::Routes, "Gateway edge"),
        ] {
            let (found, why) = said("acme.example/v1", "Thing", &spec).unwrap();
            assert_eq!(found, does, "{spec}");
            assert!(why.contains(whom), "{why}");
        }
        for spec in [
            json!({}),
            json!({"targetRef": elsewhere}),
            json!({"targetRef": "edge", "targetRefs": [7], "parentRefs": {"kind": 3}}),
        ] {
            assert_eq!(said("acme.example/v1", "Thing", &spec), None, "{spec}");
        }
    }

    #[test]
    fn names_of_kinds_say_what_they_do_and_clouds_have_their_own() {
        for (api_version, kind, does) in [
            ("acme.example/v1", "AccessPolicy", Some(Does::Guards)),
            ("acme.example/v1", "EdgeRoute", Some(Does::Routes)),
            ("acme.example/v1", "VaultSecret", Some(Does::Fills)),
            ("acme.example/v1", "DNSRecord", Some(Does::Names)),
            ("acme.example/v1", "BackupPolicy", None),
            ("acme.example/v1", "Database", None),
            ("ec2.aws.upbound.io/v1beta1", "Route", None),
            ("monitoring.coreos.com/v1", "AccessPolicy", None),
        ] {
            assert_eq!(
                said(api_version, kind, &json!({})).map(|(does, _)| does),
                does,
                "{api_version} {kind}"
            );
        }
    }
}
