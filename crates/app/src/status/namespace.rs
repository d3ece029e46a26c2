//! What of a status is in one namespace: `status -n`.

use std::collections::BTreeSet;

use serde_json::Value;

/// The same status with the hostnames of routes, the listeners of Gateways, the Applications and the findings of objects of
/// this namespace.
///
/// # Errors
/// A sentence if there is nothing.
pub fn only(mut status: Value, namespace: &str) -> Result<Value, String> {
    let mut there = BTreeSet::new();
    let mut some = false;
    for (list, field) in [
        ("entryPoints", "route"),
        ("listeners", "gateway"),
        ("applications", "application"),
        ("findings", "object"),
    ] {
        let Some(rows) = status.get_mut(list).and_then(Value::as_array_mut) else { continue };
        rows.retain(|row| {
            let of = of(row[field].as_str().unwrap_or_default(), list == "listeners");
            let is = of == namespace;
            there.extend((!of.is_empty()).then(|| of.to_owned()));
            is
        });
        some |= !rows.is_empty();
    }
    if some || there.contains(namespace) {
        return Ok(status);
    }
    let there = there.into_iter().collect::<Vec<_>>().join(", ");
    let there = if there.is_empty() { "there are none".to_owned() } else { format!("there are {there}") };
    Err(format!(
        "no hostname, listener or finding is in namespace {namespace}; of namespaces that have some {there}"
    ))
}

/// The namespace in `KIND/NAMESPACE/NAME` (or `NAMESPACE/NAME`); empty of an object that stands in none.
fn of(object: &str, bare: bool) -> &str {
    let mut parts = object.split('/');
    if !bare {
        parts.next();
    }
    match (parts.next(), parts.next()) {
        (Some(namespace), Some(_)) => namespace,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_namespace_has_its_own_rows() {
        let status = json!({
            "entryPoints": [{"route": "HTTPRoute/a/web"}, {"route": "HTTPRoute/b/web"}],
            "listeners": [{"gateway": "infra/gw"}],
            "applications": [{"application": "Application/argocd/root"}],
            "findings": [{"object": "HTTPRoute/a/web"}, {"object": "ClusterIssuer/ca"}, {"object": "Service.serving.knative.dev/b/x"}],
            "run": {"env": "dev"},
        });
        let b = only(status.clone(), "b").unwrap();
        assert_eq!(b["entryPoints"], json!([{"route": "HTTPRoute/b/web"}]));
        assert_eq!(b["findings"], json!([{"object": "Service.serving.knative.dev/b/x"}]));
        assert_eq!((&b["listeners"], &b["run"]["env"]), (&json!([]), &json!("dev")));
        assert_eq!(only(status.clone(), "infra").unwrap()["listeners"].as_array().unwrap().len(), 1);
        assert_eq!(only(status.clone(), "argocd").unwrap()["applications"].as_array().unwrap().len(), 1);
        let wrong = only(status, "inrfa").unwrap_err();
        assert!(wrong.ends_with("there are a, argocd, b, infra"), "{wrong}");
    }
}
