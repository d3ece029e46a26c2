//! Annotations of the families that the replaced programs read: a misspelt one has no effect, in a cluster neither, and most
//! of them say what is kept, who may read, or when something is removed. Those of external-dns and reflector are told by
//! their rooms.
//!
//! Sources: argo-cd 3.6 (`common`, `pkg/apis/application/v1alpha1`), gitops-engine (`pkg/sync/common`), Helm 4 (`pkg/release`),
//! cert-manager 1.21 (`pkg/apis/certmanager/v1`, `pkg/apis/acme/v1`), sealed-secrets 0.36 (`pkg/apis/sealedsecrets/v1alpha1`),
//! kustomize-controller and helm-controller of August 2026.

use super::{fates::Effect, node::Root};
use crate::{Severity, nearest};

const OF_ARGO_CD: Effect = Effect::Irrelevant("how Argo CD finds, caches and shows its Applications");
const OF_PROVIDERS: Effect =
    Effect::Irrelevant("of issuers that are not built, which block their Certificates");
const OF_RECORDS: Effect = Effect::Irrelevant("written by the program itself");

/// Prefix, and the names behind it by what becomes of them.
const FAMILIES: [(&str, &[(Effect, &str)]); 10] = [
    (
        "argocd.argoproj.io/",
        &[
            (
                Effect::Used,
                "compare-options deletion-approved hook hook-delete-policy ignore-healthcheck skip-reconcile sync-options sync-wave",
            ),
            (
                OF_ARGO_CD,
                "application-set-refresh auto-label-cluster-info client-side-apply-migration-manager hydrate hydrate-timestamp \
                 ignore-default-links ignore-resource-updates installation-id kubernetes-version \
                 managed-by-url manifest-generate-paths refresh refresh-timestamp secret-type tracking-id",
            ),
        ],
    ),
    (
        "helm.sh/",
        &[
            (Effect::Used, "hook hook-delete-policy hook-weight resource-policy"),
            (OF_RECORDS, "chart hook-output-log-policy"),
        ],
    ),
    (
        "cert-manager.io/",
        &[(
            Effect::Used,
            "allow-direct-injection alt-names certificate-name certificate-revision cluster-issuer common-name duration \
                 email-sans ignore-tls-listeners inject-apiserver-ca inject-ca-from inject-ca-from-secret ip-sans \
                 issue-temporary-certificate issuer issuer-group issuer-kind issuer-name next-private-key parent-gateway \
                 private-key-algorithm private-key-encoding private-key-rotation-policy private-key-secret-name \
                 private-key-size renew-before renew-before-percentage revision-history-limit secret-template \
                 subject-countries subject-localities subject-organizationalunits subject-organizations \
                 subject-postalcodes subject-provinces subject-serialnumber subject-streetaddresses uri-sans usages",
        )],
    ),
    (
        "acme.cert-manager.io/",
        &[
            (
                Effect::Refused("about HTTP-01, which is not built"),
                "http01-edit-in-place http01-ingress-class http01-ingress-ingressclassname http01-override-ingress-class \
                 http01-override-ingress-ingressclassname http01-override-ingress-name http01-parentreffallback \
                 http01-parentrefkind http01-parentrefname http01-parentrefnamespace",
            ),
            (OF_RECORDS, "http-domain http-token http01-solver"),
        ],
    ),
    ("venafi.cert-manager.io/", &[(OF_PROVIDERS, "custom-fields pickup-id")]),
    (
        "sealedsecrets.bitnami.com/",
        &[(
            Effect::Used,
            "cluster-wide managed namespace-wide patch sealed-secrets-key skip-set-owner-references",
        )],
    ),
    (
        "kustomize.toolkit.fluxcd.io/",
        &[
            (Effect::Used, "decrypt prune reconcile ssa substitute"),
            (Effect::Irrelevant("nothing here is replaced by force"), "force"),
            (OF_RECORDS, "checksum name namespace revision"),
        ],
    ),
    (
        "helm.toolkit.fluxcd.io/",
        &[
            (
                Effect::Irrelevant("nobody but Portolan writes to its store, so nothing drifts"),
                "driftDetection",
            ),
            (OF_RECORDS, "name namespace"),
        ],
    ),
    (
        "portolan.dev/",
        &[
            (Effect::Used, "renew-at"),
            (
                OF_RECORDS,
                "applied-for certificate-asked certificate-revision definition-version issued-at keystores leaving-becomes \
                 leaving-listeners leaving-names leaving-targets leaving-until",
            ),
        ],
    ),
    (
        "reconcile.fluxcd.io/",
        &[(Effect::Irrelevant("what changes is read at once"), "forceAt requestedAt resetAt watch")],
    ),
];

/// What becomes of an annotation; `None` for one of no family.
pub fn effect(annotation: &str) -> Option<Effect> {
    let (names, name) = family(annotation)?;
    let found = names.iter().find(|(_, names)| names.split(' ').any(|known| known == name));
    Some(found.map_or(Effect::Unknown, |(effect, _)| *effect))
}

fn family(annotation: &str) -> Option<(&'static [(Effect, &'static str)], &str)> {
    FAMILIES.iter().find_map(|(prefix, names)| Some((*names, annotation.strip_prefix(prefix)?)))
}

/// Prefixes of families whose rooms tell of what stands behind them.
const OTHERS: [&str; 3] =
    ["external-dns.kubernetes.io/", "external-dns.alpha.kubernetes.io/", "reflector.v1.k8s.emberstack.com/"];

/// The annotation that is meant by one whose prefix is that of no family, and nearly that of one.
fn meant(annotation: &str) -> Option<String> {
    let prefixes = || FAMILIES.iter().map(|(prefix, _)| *prefix).chain(OTHERS);
    if prefixes().any(|prefix| annotation.starts_with(prefix)) {
        return None;
    }
    let Some((written, name)) = annotation.split_once('/') else {
        let meant = prefixes().find(|prefix| prefix.strip_suffix('/') == Some(annotation))?;
        return Some(format!("{meant}NAME"));
    };
    let prefix = nearest(&format!("{written}/"), prefixes())?;
    let whole = format!("{prefix}{name}");
    // Of somebody else's that is only called nearly so.
    let known = OTHERS.contains(&prefix) || effect(&whole).is_some_and(|effect| effect != Effect::Unknown);
    known.then_some(whole)
}

/// Tells of those that nobody knows.
pub(super) fn tell(root: &mut Root<'_>) {
    let Some(annotations) = root.object.json["metadata"]["annotations"].as_object() else { return };
    for annotation in annotations.keys() {
        if let Some(meant) = meant(annotation) {
            let message = format!("no program reads the annotation {annotation}: it has no effect");
            let field = format!("metadata.annotations[{annotation}]");
            root.problem(6, Severity::Warning, &field, message, &format!("write {meant}, or remove it"));
        }
        if effect(annotation) != Some(Effect::Unknown) {
            continue;
        }
        let Some((names, name)) = family(annotation) else { continue };
        let prefix = &annotation[..annotation.len() - name.len()];
        let known = names.iter().flat_map(|(_, names)| names.split(' '));
        let (severity, hint) = match nearest(name, known) {
            // It has a finding of its own.
            Some("issue-temporary-certificate") => continue,
            Some(meant) => (Severity::Warning, format!("write {prefix}{meant}, or remove it")),
            None => (Severity::Info, "remove it if nothing else reads it".to_owned()),
        };
        let message = format!("no program knows the annotation {annotation}: it has no effect");
        let field = format!("metadata.annotations[{annotation}]");
        root.problem(6, severity, &field, message, &hint);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Object, Origin, intake::intake};

    fn told(annotations: &serde_json::Value) -> Vec<(u16, Severity, String)> {
        let json = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "namespace": "b", "annotations": annotations}});
        let object = Object::from_json(json, Origin::default()).unwrap();
        intake(&object).problems.into_iter().map(|p| (p.code.0, p.severity, p.hint)).collect()
    }

    #[test]
    fn a_misspelt_annotation_is_told_and_the_families_are_known() {
        let write = |name: &str| format!("write {name}, or remove it");
        assert_eq!(
            told(
                &json!({"argocd.argoproj.io/sync-option": "Prune=false", "sealedsecrets.bitnami.com/namespacewide": "true",
                "example.com/sync-option": "x", "helm.sh/resource-policy": "keep"})
            ),
            [
                (6, Severity::Warning, write("argocd.argoproj.io/sync-options")),
                (6, Severity::Warning, write("sealedsecrets.bitnami.com/namespace-wide")),
            ]
        );
        let told = told(&json!({"cert-manager.io/nothing-like-it": "x"}));
        assert_eq!((told[0].0, told[0].1), (6, Severity::Info));
    }

    /// Fresh eyes, 2026-11-30: names behind a right prefix were told, prefixes were not.
    #[test]
    fn a_misspelt_prefix_is_told_and_those_of_others_are_not() {
        for (written, meant) in [
            ("external-dns.alpha.kubernets.io/hostname", "external-dns.alpha.kubernetes.io/hostname"),
            ("externaldns.alpha.kubernetes.io/hostname", "external-dns.alpha.kubernetes.io/hostname"),
            ("external-dns.alpha.kubernetes.io", "external-dns.alpha.kubernetes.io/NAME"),
            ("cert-manger.io/duration", "cert-manager.io/duration"),
            ("argocd.argoprj.io/sync-wave", "argocd.argoproj.io/sync-wave"),
        ] {
            let wanted = (6, Severity::Warning, format!("write {meant}, or remove it"));
            assert_eq!(told(&json!({written: "x"})), [wanted], "{written}");
        }
        for other in [
            "external-dns.alpha.kubernetes.io/hostname",
            "reflector.v1.k8s.emberstack.com/reflects",
            "trust.cert-manager.io/bundle",
            "csi.cert-manager.io/issuer-name",
            "heml.sh/colour",
            "image.toolkit.fluxcd.io/name",
            "kubernetes.io/ingress.class",
            "app.kubernetes.io/name",
            "plain",
        ] {
            assert_eq!(told(&json!({other: "x"})), [], "{other}");
        }
    }

    #[test]
    fn each_name_stands_once() {
        for (prefix, names) in FAMILIES {
            let mut all: Vec<&str> = names.iter().flat_map(|(_, names)| names.split_whitespace()).collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{prefix}");
            for (_, names) in names {
                assert!(!names.contains("  "), "{prefix}: {names}");
            }
        }
    }
}
