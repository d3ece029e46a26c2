//! What of a status is in one namespace: `status -n`.

use std::collections::BTreeSet;

use portolan_model::nearest;
use serde_json::Value;

use crate::client::Client;

/// The same status with the hostnames of routes, the listeners of Gateways, the Applications and the findings of objects of
/// this namespace, and whether there are any.
pub fn only(mut status: Value, namespace: &str) -> (Value, bool) {
    let mut some = false;
    for (list, field) in [
        ("entryPoints", "route"),
        ("listeners", "gateway"),
        ("applications", "application"),
        ("findings", "object"),
    ] {
        let Some(rows) = status.get_mut(list).and_then(Value::as_array_mut) else { continue };
        rows.retain(|row| of(row[field].as_str().unwrap_or_default(), list == "listeners") == namespace);
        some |= !rows.is_empty();
    }
    (status, some)
}

/// That there is such a namespace.
///
/// # Errors
/// A sentence if there is none, or the instance does not answer.
pub async fn exists(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let answer = client.get(&["namespaces"]).await?;
    let all = answer["items"].as_array().into_iter().flatten().filter_map(Value::as_str);
    known(namespace, &all.collect::<BTreeSet<_>>()).map_err(anyhow::Error::msg)
}

fn known(namespace: &str, all: &BTreeSet<&str>) -> Result<(), String> {
    if all.contains(namespace) {
        return Ok(());
    }
    let near = nearest(namespace, all.iter().copied());
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let all = all.iter().copied().collect::<Vec<_>>().join(", ");
    let all = if all.is_empty() { "there are none yet".to_owned() } else { format!("there are {all}") };
    Err(format!("there is no namespace {namespace}, and nothing stands in it{near} ({all})"))
}

/// Kinds of what a finding is about and that is no object: what stands after them is a path, or a word.
const NO_OBJECTS: [&str; 9] =
    ["Capability", "Chart", "File", "Folder", "Program", "Row", "Rule", "SealingKey", "Zone"];

/// The namespace in `KIND/NAMESPACE/NAME` (or `NAMESPACE/NAME`); empty of an object that stands in none.
fn of(object: &str, bare: bool) -> &str {
    let parts: Vec<&str> = object.split('/').collect();
    match parts[..] {
        [namespace, _] if bare => namespace,
        [kind, namespace, _] if !bare && !NO_OBJECTS.contains(&kind) => namespace,
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
            "findings": [{"object": "HTTPRoute/a/web"}, {"object": "ClusterIssuer/ca"}, {"object": "Service.serving.knative.dev/b/x"},
                {"object": "SealingKey/examples/platform/keys.pem"}, {"object": "File/charts/x.yaml"}],
            "run": {"env": "dev"},
        });
        let of = |namespace: &str| only(status.clone(), namespace);
        let (b, some) = of("b");
        assert!(some);
        assert_eq!(b["entryPoints"], json!([{"route": "HTTPRoute/b/web"}]));
        assert_eq!(b["findings"], json!([{"object": "Service.serving.knative.dev/b/x"}]));
        assert_eq!((&b["listeners"], &b["run"]["env"]), (&json!([]), &json!("dev")));
        assert_eq!(of("infra").0["listeners"].as_array().unwrap().len(), 1);
        assert_eq!(of("argocd").0["applications"].as_array().unwrap().len(), 1);
        // Paths of keys and files have no namespace.
        for word in ["examples", "charts", "inrfa", ""] {
            assert!(!of(word).1 || word.is_empty(), "{word}");
        }
    }

    #[test]
    fn a_namespace_is_known_or_the_near_one_is_named() {
        let all = BTreeSet::from(["infra", "shop"]);
        assert_eq!(known("shop", &all), Ok(()));
        let wrong = known("inrfa", &all).unwrap_err();
        assert!(wrong.contains("did you mean infra?") && wrong.contains("there are infra, shop"), "{wrong}");
        assert!(known("a", &BTreeSet::new()).unwrap_err().contains("there are none yet"));
    }
}
