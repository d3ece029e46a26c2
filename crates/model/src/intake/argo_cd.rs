//! What Argo CD is told about kinds that are acted on here (`argocd-cm`), and is not followed.
//! Source: argo-cd 3.5 `util/settings/resources_filter.go`, `manifests/base/config/argocd-cm.yaml`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{foreign, node::Root};
use crate::{Severity, yaml};

/// What Argo CD's own list of exclusions has: records of cert-manager are made here, and endpoints have a finding of their own.
const LISTED: [&str; 5] = ["CertificateRequest", "Order", "Challenge", "EndpointSlice", "Endpoints"];
/// The settings of Argo CD.
const SETTINGS: &str = "argocd-cm";
/// Its namespace, where it is not marked as Argo CD's.
const NAMESPACE: &str = "argocd";

/// Names the settings of Argo CD that decide which objects it applies, and how healthy it shows them.
pub(super) fn settings(root: &mut Root<'_>) {
    let name = root.object.key.name.clone();
    let marked = root.labels().get("app.kubernetes.io/part-of").is_some_and(|part| &**part == "argocd");
    if &*name.name != SETTINGS || !(marked || &*name.namespace == NAMESPACE) {
        return;
    }
    for (key, text) in root.node().get("data").map() {
        let field = format!("data[{key}]");
        let mut say = |message: String, hint: &str| root.problem(7, Severity::Warning, &field, message, hint);
        match &*key {
            "resource.exclusions" => {
                let kinds = chosen(&text);
                if !kinds.is_empty() {
                    let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
                    let message = format!("Argo CD is told not to apply {kinds}; here they are acted on");
                    say(message, "judge those in the cluster, or take them out of the list");
                }
            }
            "resource.inclusions" => {
                let message = "Argo CD is told to apply what is listed only; here all kinds are acted on";
                say(message.to_owned(), "judge those that are not listed in the cluster");
            }
            key if key.starts_with("resource.customizations") => {
                let of_ours = |kind: &str| {
                    let (group, kind) = kind.split_once('/').unwrap_or(("", kind));
                    key.contains(&format!("{group}_{kind}")) || text.contains(&format!("{group}/{kind}:"))
                };
                let health = key == "resource.customizations" || key.contains(".health.");
                if let Some(kind) = foreign::ours().into_iter().find(|kind| health && of_ours(kind)) {
                    let message = format!(
                        "the health of {kind} is told by Argo CD's own rule here, and not by this one"
                    );
                    say(message, "look at the health in Argo CD");
                }
            }
            _ => {}
        }
    }
}

/// The kinds that are acted on and that a list of kinds chooses, as `group/kind`. One that cannot be read chooses none: Argo CD does not
/// start with it.
fn chosen(text: &str) -> BTreeSet<String> {
    let (documents, _) = yaml::load(&format!("list:\n{}", indented(text)));
    let entries = documents.first().and_then(|document| document.json["list"].as_array()).cloned();
    let mut found = BTreeSet::new();
    for entry in entries.unwrap_or_default() {
        let any = |field: &str, text: &str| {
            let patterns = entry[field].as_array().map(Vec::as_slice).unwrap_or_default();
            // An empty list chooses all.
            patterns.is_empty() || patterns.iter().filter_map(Value::as_str).any(|one| matches(one, text))
        };
        for kind in foreign::ours() {
            let (group, name) = kind.split_once('/').unwrap_or(("", &kind));
            if !LISTED.contains(&name) && any("apiGroups", group) && any("kinds", name) {
                found.insert(kind);
            }
        }
    }
    found
}

/// The text as what stands below a key.
fn indented(text: &str) -> String {
    format!("  {}\n", text.replace('\n', "\n  "))
}

/// A pattern with `*` and `?`, as `glob.Match` has it for names without separators.
fn matches(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) if matches(&pattern[1..], text) => true,
        (Some('*'), Some(one)) => matches(pattern, &text[one.len_utf8()..]),
        (Some(want), Some(one)) if want == '?' || want == one => {
            matches(&pattern[want.len_utf8()..], &text[one.len_utf8()..])
        }
        _ => false,
    }
}

/// Argo CD leaves lists of endpoints out, unless it is told otherwise: since 3.0 that is its default.
pub(super) fn endpoints(root: &mut Root<'_>) {
    let by = root.object.origin.owner.as_ref().filter(|by| by.kind.is("argoproj.io", "Application"));
    let Some(by) = by.map(ToString::to_string) else { return };
    let kind = root.object.key.kind.kind.clone();
    let message = format!(
        "{by} brings this {kind}, and since 3.0 Argo CD applies none unless resource.exclusions of argocd-cm says otherwise; here it is acted on"
    );
    let hint = "apply it by other means, or set resource.exclusions in argocd-cm";
    root.problem(8, Severity::Warning, "kind", message, hint);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use serde_json::json;

    use crate::{Object, ObjectKey, Origin, intake::intake, yaml};

    fn told(data: &str) -> Vec<String> {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: argocd-cm, namespace: argocd}}\ndata:\n{data}"
        );
        let object = Object::from_json(yaml::load(&text).0.remove(0).json, Origin::default()).unwrap();
        let problems = intake(&object).problems.into_iter().filter(|problem| problem.code.0 == 7);
        problems.map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
    }

    #[test]
    fn kinds_that_argo_cd_leaves_out_are_said() {
        let said = told(
            "  resource.exclusions: |\n    - apiGroups: [gateway.networking.k8s.io]\n      kinds: [GRPC*]\n      clusters: ['*']\n    - {apiGroups: [''], kinds: [Pod?]}\n",
        );
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("not to apply gateway.networking.k8s.io/GRPCRoute;"), "{said:?}");
        assert!(
            told("  resource.exclusions: |\n    - {apiGroups: [coordination.k8s.io], kinds: [Lease]}\n")
                .is_empty()
        );
        assert_eq!(told("  resource.inclusions: |\n    - {kinds: [Service]}\n").len(), 1);
        assert_eq!(told("  resource.exclusions: |\n    - {kinds: ['*']}\n").len(), 1, "every group");
    }

    #[test]
    fn other_health_of_kinds_that_are_shown_is_said() {
        for data in [
            "  resource.customizations.health.cert-manager.io_Certificate: |\n    return {}\n",
            "  resource.customizations: |\n    cert-manager.io/Certificate:\n      health.lua: return {}\n",
        ] {
            assert_eq!(told(data).len(), 1, "{data}");
        }
        assert!(told("  resource.customizations.actions.cert-manager.io_Certificate: x\n").is_empty());
        assert!(told("  resource.customizations.health.apps_Deployment: x\n").is_empty());
    }

    #[test]
    fn endpoints_of_an_application_are_said() {
        let json = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [],
            "metadata": {"name": "s", "namespace": "n", "labels": {"kubernetes.io/service-name": "s"}}});
        let codes = |group: &str, kind: &str| {
            let owner = Some(Arc::new(ObjectKey::new(group, kind, "argocd", "team")));
            let object = Object::from_json(json.clone(), Origin { owner, ..Origin::default() }).unwrap();
            intake(&object).problems.iter().map(|problem| problem.code.0).collect::<Vec<_>>()
        };
        assert_eq!(codes("argoproj.io", "Application"), [8]);
        assert_eq!(codes("kustomize.toolkit.fluxcd.io", "Kustomization"), Vec::<u16>::new());
    }
}
