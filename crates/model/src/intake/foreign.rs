//! Kinds that are stored and not acted on, where a cluster has somebody who does: what they ask for is said, never silent.

mod built_in;
mod guess;

use std::collections::BTreeSet;

use super::node::Root;
use crate::{ObjectKey, Severity};

/// What objects of a kind do in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Keeps objects out, or changes them, before they are stored.
    Admits,
    /// Decides who may reach what.
    Guards,
    /// Routes requests or serves hosts.
    Routes,
    /// Says how proxies run.
    Shapes,
    /// Makes DNS records.
    Names,
    /// Brings other objects.
    Brings,
    /// Fills Secrets or `ConfigMaps`.
    Fills,
}

/// Group, kinds (none stands for all of the group), what they do.
const KINDS: [(&str, &[&str], Does); 84] = [
    ("kyverno.io", &[], Does::Admits),
    ("policies.kyverno.io", &[], Does::Admits),
    ("constraints.gatekeeper.sh", &[], Does::Admits),
    ("templates.gatekeeper.sh", &[], Does::Admits),
    ("mutations.gatekeeper.sh", &[], Does::Admits),
    ("config.gatekeeper.sh", &[], Does::Admits),
    ("expansion.gatekeeper.sh", &[], Does::Admits),
    ("policies.kubewarden.io", &[], Does::Admits),
    ("policy.cert-manager.io", &[], Does::Admits),
    (
        "admissionregistration.k8s.io",
        &["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"],
        Does::Admits,
    ),
    ("networking.k8s.io", &["NetworkPolicy"], Does::Guards),
    ("policy.networking.k8s.io", &[], Does::Guards),
    (
        "cilium.io",
        &["CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "CiliumCIDRGroup"],
        Does::Guards,
    ),
    ("cilium.io", &["CiliumEnvoyConfig", "CiliumClusterwideEnvoyConfig"], Does::Routes),
    ("crd.projectcalico.org", &["NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy"], Does::Guards),
    ("projectcalico.org", &["NetworkPolicy", "GlobalNetworkPolicy"], Does::Guards),
    ("crd.antrea.io", &["NetworkPolicy", "ClusterNetworkPolicy"], Does::Guards),
    ("security.istio.io", &[], Does::Guards),
    ("extensions.istio.io", &["WasmPlugin"], Does::Guards),
    ("networking.istio.io", &["EnvoyFilter", "Sidecar"], Does::Guards),
    ("networking.istio.io", &[], Does::Routes),
    ("policy.linkerd.io", &[], Does::Guards),
    ("kuadrant.io", &["AuthPolicy", "RateLimitPolicy", "TokenRateLimitPolicy"], Does::Guards),
    ("kuadrant.io", &["DNSPolicy", "DNSRecord"], Does::Names),
    ("kuadrant.io", &[], Does::Routes),
    ("traefik.io", &["Middleware", "MiddlewareTCP", "TLSOption"], Does::Guards),
    ("traefik.io", &[], Does::Routes),
    ("traefik.containo.us", &["Middleware", "MiddlewareTCP", "TLSOption"], Does::Guards),
    ("traefik.containo.us", &[], Does::Routes),
    ("networking.gke.io", &["GCPBackendPolicy", "GCPGatewayPolicy", "FrontendConfig"], Does::Guards),
    ("networking.gke.io", &["ManagedCertificate", "HealthCheckPolicy"], Does::Routes),
    ("gateway.kgateway.dev", &[], Does::Guards),
    ("gateway.nginx.org", &[], Does::Guards),
    ("networking.k8s.io", &["Ingress", "IngressClass"], Does::Routes),
    ("extensions", &["Ingress"], Does::Routes),
    ("gateway.networking.x-k8s.io", &[], Does::Routes),
    ("gateway.envoyproxy.io", &["EnvoyProxy"], Does::Shapes),
    ("gateway.envoyproxy.io", &["Backend", "HTTPRouteFilter"], Does::Routes),
    ("route.openshift.io", &["Route"], Does::Routes),
    ("projectcontour.io", &[], Does::Routes),
    ("getambassador.io", &[], Does::Routes),
    ("configuration.konghq.com", &[], Does::Routes),
    ("k8s.nginx.org", &[], Does::Routes),
    ("serving.knative.dev", &["Service", "DomainMapping", "Route"], Does::Routes),
    ("multicluster.x-k8s.io", &["ServiceImport", "ServiceExport"], Does::Routes),
    ("externaldns.k8s.io", &[], Does::Names),
    ("externaldns.nginx.org", &[], Does::Names),
    ("helm.cattle.io", &["HelmChart", "HelmChartConfig"], Does::Brings),
    ("fleet.cattle.io", &["Bundle", "GitRepo"], Does::Brings),
    ("external-secrets.io", &["ExternalSecret", "ClusterExternalSecret", "PushSecret"], Does::Fills),
    ("kubernetes-client.io", &["ExternalSecret"], Does::Fills),
    ("secrets.hashicorp.com", &[], Does::Fills),
    ("isindir.github.com", &["SopsSecret"], Does::Fills),
    ("onepassword.com", &["OnePasswordItem"], Does::Fills),
    ("secrets.infisical.com", &["InfisicalSecret"], Does::Fills),
    ("secrets.doppler.com", &["DopplerSecret"], Does::Fills),
    ("ricoberger.de", &["VaultSecret"], Does::Fills),
    ("secrets-store.csi.x-k8s.io", &[], Does::Fills),
    ("trust.cert-manager.io", &[], Does::Fills),
    ("certmanager.k8s.io", &[], Does::Fills),
    ("redhatcop.redhat.io", &["VaultSecret", "VaultDynamicSecret", "VaultStaticSecret"], Does::Fills),
    ("secretgen.carvel.dev", &[], Does::Fills),
    ("secretgen.k14s.io", &[], Does::Fills),
    ("k8s.bitwarden.com", &[], Does::Fills),
    // Quotas and tenants refuse objects when they are created; NetworkPolicies of a mesh forbid.
    ("", &["ResourceQuota"], Does::Admits),
    ("capsule.clastix.io", &[], Does::Admits),
    ("kuma.io", &[], Does::Guards),
    ("enterprise.gloo.solo.io", &[], Does::Guards),
    ("ratelimit.solo.io", &[], Does::Guards),
    (
        "gateway.solo.io",
        &["RouteOption", "VirtualHostOption", "ListenerOption", "HttpListenerOption"],
        Does::Guards,
    ),
    ("gateway.solo.io", &[], Does::Routes),
    ("extensions.kuadrant.io", &[], Does::Guards),
    (
        "application-networking.k8s.aws",
        &["IAMAuthPolicy", "AccessLogPolicy", "VpcAssociationPolicy"],
        Does::Guards,
    ),
    ("application-networking.k8s.aws", &[], Does::Routes),
    ("gateway.k8s.aws", &[], Does::Guards),
    ("agentic.networking.x-k8s.io", &[], Does::Guards),
    ("hub.traefik.io", &[], Does::Guards),
    ("appprotect.f5.com", &[], Does::Guards),
    ("cloud.google.com", &["BackendConfig"], Does::Guards),
    ("apisix.apache.org", &[], Does::Guards),
    ("extensions.higress.io", &[], Does::Guards),
    ("oathkeeper.ory.sh", &[], Does::Guards),
    ("ingress.pomerium.io", &[], Does::Routes),
    ("inference.networking.k8s.io", &[], Does::Routes),
];

/// Groups whose kinds have nothing to do with the edge: what they say changes no answer here.
const ELSEWHERE: [&str; 14] = [
    "apiregistration.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "grafana.integreatly.org",
    "keda.sh",
    "monitoring.coreos.com",
    "node.k8s.io",
    "operator.victoriametrics.com",
    "postgresql.cnpg.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "snapshot.storage.k8s.io",
    "velero.io",
    "argoproj.io",
];

/// Groups whose kinds are all known, with those that are acted on.
const OURS: [(&str, &[&str]); 8] = [
    (
        "gateway.networking.k8s.io",
        &[
            "GatewayClass",
            "Gateway",
            "ListenerSet",
            "HTTPRoute",
            "GRPCRoute",
            "TLSRoute",
            "TCPRoute",
            "UDPRoute",
            "ReferenceGrant",
            "BackendTLSPolicy",
        ],
    ),
    ("cert-manager.io", &["Certificate", "CertificateRequest", "Issuer", "ClusterIssuer"]),
    ("acme.cert-manager.io", &["Order", "Challenge"]),
    ("bitnami.com", &["SealedSecret"]),
    ("gateway.envoyproxy.io", &super::restrictions::POLICIES),
    ("discovery.k8s.io", &["EndpointSlice"]),
    ("admissionregistration.k8s.io", &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]),
    ("", &["Secret", "Service", "ConfigMap", "Namespace", "Endpoints"]),
];

/// Kinds that bring or define others. Only those of Flux are alone in their groups.
const BRINGS: [(&str, &[&str]); 5] = [
    ("argoproj.io", &["Application", "ApplicationSet", "AppProject"]),
    ("kustomize.toolkit.fluxcd.io", &["Kustomization"]),
    ("helm.toolkit.fluxcd.io", &["HelmRelease"]),
    (
        "source.toolkit.fluxcd.io",
        &["GitRepository", "OCIRepository", "HelmRepository", "HelmChart", "Bucket", "ExternalArtifact"],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
];

/// The kinds that are acted on, as `group/kind`.
pub(super) fn ours() -> Vec<String> {
    let kinds =
        OURS.iter().flat_map(|(group, kinds)| kinds.iter().map(move |kind| format!("{group}/{kind}")));
    kinds.collect()
}

/// Groups of [`OURS`] and [`BRINGS`] in which nobody else has kinds.
const WHOLE: [&str; 8] = [
    "kustomize.toolkit.fluxcd.io",
    "helm.toolkit.fluxcd.io",
    "source.toolkit.fluxcd.io",
    "gateway.networking.k8s.io",
    "cert-manager.io",
    "acme.cert-manager.io",
    "bitnami.com",
    "gateway.envoyproxy.io",
];

/// Groups of Kubernetes itself, whose kinds nobody adds to: a kind that is not in them is refused.
const BUILT_IN: [&str; 14] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apps",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "extensions",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
];

/// Most letters that a misspelt kind or group differs in.
const MISSPELT: usize = 2;

/// What a kind is to the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is acted on, brings others, or defines kinds.
    Ours,
    /// It has nothing to do with it.
    Elsewhere,
    /// Nobody here knows what it does.
    Unknown,
}

/// What a kind is to the edge, where it has no finding of its own.
pub(super) fn standing(kind: &crate::Kind) -> Standing {
    let group = &*kind.group;
    if is_ours(kind) {
        Standing::Ours
    } else if BUILT_IN.contains(&group) || ELSEWHERE.contains(&group) {
        Standing::Elsewhere
    } else {
        Standing::Unknown
    }
}

fn is_ours(kind: &crate::Kind) -> bool {
    let brings =
        ["argoproj.io", "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io", "source.toolkit.fluxcd.io"];
    brings.contains(&&*kind.group)
        || kind.is("apiextensions.k8s.io", "CustomResourceDefinition")
        || OURS.iter().any(|(group, kinds)| *group == &*kind.group && kinds.contains(&&*kind.kind))
}

/// Says what the object asks for and does not get here.
pub(super) fn foreign(root: &mut Root<'_>) {
    let ObjectKey { kind, .. } = root.object.key.clone();
    let (group, name) = (&*kind.group, &*kind.kind);
    let known =
        KINDS.iter().find(|(of, kinds, _)| *of == group && (kinds.is_empty() || kinds.contains(&name)));
    let of_kubernetes = built_in::wrong(group, &root.object.version, name);
    if let Some(wrong) =
        of_kubernetes.filter(|_| near(group, name).is_none() && misspelt_group(group, name).is_none())
    {
        root.problem(2, Severity::Error, wrong.field, wrong.message, &wrong.hint);
    } else if let Some((_, _, does)) = known {
        said(root, *does, "");
    } else if ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"].contains(&name) {
        if group == "admissionregistration.k8s.io" && concerns_ours(root) {
            said(root, Does::Admits, "");
        }
    } else if BRINGS.iter().any(|(of, kinds)| *of == group && kinds.contains(&name)) {
        // Read where repositories are.
    } else if let Some(near) = near(group, name) {
        let message = format!("there is no kind {name} in {}: nothing is made of the object", spoken(group));
        root.problem(2, Severity::Error, "kind", message, &format!("did you mean {near}?"));
    } else if WHOLE.contains(&group) {
        let message = format!("there is no kind {name} in {group}: nothing is made of the object");
        let hint = "check the spelling of kind and apiVersion; kinds that are acted on are listed in docs/reference/findings.md";
        root.problem(2, Severity::Error, "kind", message, hint);
    } else if let Some(of) = misspelt_group(group, name) {
        let message = format!("there is no kind {name} in {}: nothing is made of the object", spoken(group));
        let hint = format!("did you mean apiVersion {}?", newest(of));
        root.problem(2, Severity::Error, "apiVersion", message, &hint);
    } else if let Some((does, why)) = guess::guess(root.object) {
        said(root, does, &format!(" (nobody here knows the kind: {why})"));
    } else if let Some((of, _)) = elsewhere(name) {
        let message =
            format!("kind {name} of {} is not acted on; the object is stored and left alone", spoken(group));
        root.problem(
            2,
            Severity::Warning,
            "apiVersion",
            message,
            &format!("kind {name} is acted on in {of}"),
        );
    }
}

/// `guessed`: by what it is told of a kind that is not known; else empty.
fn said(root: &mut Root<'_>, does: Does, guessed: &str) {
    let kind = root.object.key.kind.to_string();
    let (code, what, hint) = match does {
        Does::Admits => (
            510,
            "decides what is admitted and is not evaluated: what it would deny or change is not denied or changed here, and every verdict is incomplete",
            "judge it in the cluster; ValidatingAdmissionPolicies are evaluated here",
        ),
        Does::Guards => (
            510,
            "restricts who may reach what and is not enforced: what it forbids is open here",
            "keep the hosts that it covers on loopback",
        ),
        Does::Routes => (
            4,
            "routes requests and is not acted on: its hosts are not served here",
            "write Gateways and routes of the Gateway API for the hosts that are to be served",
        ),
        Does::Shapes => (
            4,
            "says how the proxies of Gateways run and is not acted on: what it asks of them is not so here",
            "nothing to do, unless a host relies on it",
        ),
        Does::Names => (
            4,
            "makes DNS records and is not acted on: its names are not published here",
            "names of routes of the Gateway API are published",
        ),
        Does::Brings => (
            4,
            "brings other objects and is not acted on: what it would bring is missing here",
            "bring the objects by an Argo CD Application, or put them into the folder",
        ),
        Does::Fills => (
            4,
            "fills Secrets or ConfigMaps and is not acted on: they stay as the repository has them",
            "bring the Secret as a SealedSecret, or by a Certificate of cert-manager.io",
        ),
    };
    let hint = match elsewhere(&root.object.key.kind.kind).filter(|_| !guessed.is_empty()) {
        Some((of, _)) => format!("kind {} is acted on in {of}", root.object.key.kind.kind),
        None => hint.to_owned(),
    };
    root.problem(code, Severity::Warning, "", format!("{kind} {what}{guessed}"), &hint);
}

/// Whether a webhook is asked about kinds that are acted on here. One for the kinds of its own program is nobody's concern.
fn concerns_ours(root: &Root<'_>) -> bool {
    let hooks = root.node().get("webhooks").items();
    let rules = hooks.iter().flat_map(|hook| hook.get("rules").items());
    let mut groups = rules.flat_map(|rule| rule.get("apiGroups").names_and_empty());
    groups.any(|group| &*group == "*" || OURS.iter().any(|(ours, _)| !ours.is_empty() && *ours == &*group))
}

/// The kind of the group that was most likely meant.
fn near(group: &str, name: &str) -> Option<&'static str> {
    let (_, kinds) = OURS.iter().chain(&BRINGS).find(|(of, _)| *of == group)?;
    let distance = |kind: &str| strsim::levenshtein(&kind.to_ascii_lowercase(), &name.to_ascii_lowercase());
    let nearest = kinds.iter().copied().min_by_key(|kind| distance(kind))?;
    (distance(nearest) <= MISSPELT).then_some(nearest)
}

/// The group that was meant, where the written one is Kubernetes' own and has no such kind, or is nearly one that has: a
/// letter off, or with parts of the name missing, added or exchanged.
fn misspelt_group(group: &str, name: &str) -> Option<&'static str> {
    let parts = |group: &'static str| group.split('.').collect::<BTreeSet<_>>();
    let written: BTreeSet<&str> = group.split('.').collect();
    let nearly = |of: &'static str| {
        let (of_it, letters) = (parts(of), strsim::levenshtein(of, group));
        letters <= MISSPELT
            || (written.len() > 1 && (written.is_superset(&of_it) || written.is_subset(&of_it)))
    };
    // Kinds of these names are in use elsewhere: the group has to be the same but for letters or order.
    let exchanged = |of: &'static str| strsim::levenshtein(of, group) <= MISSPELT || parts(of) == written;
    let holding = |table: &[(&'static str, &'static [&'static str])]| {
        let all = table.iter().filter(|(of, kinds)| *of != group && kinds.contains(&name));
        all.map(|(of, _)| *of).collect::<Vec<_>>()
    };
    let ours =
        holding(&OURS).into_iter().find(|of| BUILT_IN.contains(&group) || (!of.is_empty() && nearly(of)));
    ours.or_else(|| holding(&BRINGS).into_iter().find(|of| BUILT_IN.contains(&group) || exchanged(of)))
}

/// The `apiVersion` that is written for kinds of a group of [`OURS`].
fn newest(group: &str) -> String {
    match group {
        "" => "v1".to_owned(),
        "bitnami.com" | "gateway.envoyproxy.io" | "argoproj.io" => format!("{group}/v1alpha1"),
        "helm.toolkit.fluxcd.io" => format!("{group}/v2"),
        _ => format!("{group}/v1"),
    }
}

/// The group in which a kind of this very name is acted on, if the name says that it was meant.
fn elsewhere(name: &str) -> Option<(&'static str, &'static [&'static str])> {
    let telling = |(group, kinds): &&(&'static str, &'static [&'static str])| {
        !group.is_empty()
            && name != "Certificate"
            && name != "Gateway"
            && name != "Order"
            && kinds.contains(&name)
    };
    OURS.iter().find(telling).copied()
}

fn spoken(group: &str) -> &str {
    if group.is_empty() { "the core group" } else { group }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use crate::{Object, Origin, Severity, intake::intake};

    /// Code, severity and hint of the findings for an object.
    fn findings(api_version: &str, kind: &str, more: &Value) -> Vec<(u16, Severity, String)> {
        let mut json = json!({
            "apiVersion": api_version, "kind": kind, "metadata": {"name": "p", "namespace": "ns"}, "spec": {},
        });
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let taken = intake(&Object::from_json(json, Origin::default()).unwrap());
        taken.problems.into_iter().map(|p| (p.code.0, p.severity, p.hint)).collect()
    }

    #[test]
    fn what_restricts_and_is_not_evaluated_is_said_once() {
        for (api_version, kind) in [
            ("kyverno.io/v1", "ClusterPolicy"),
            ("policies.kyverno.io/v1", "ValidatingPolicy"),
            ("constraints.gatekeeper.sh/v1beta1", "K8sAllowedHosts"),
            ("templates.gatekeeper.sh/v1", "ConstraintTemplate"),
            ("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicy"),
            ("networking.k8s.io/v1", "NetworkPolicy"),
            ("cilium.io/v2", "CiliumNetworkPolicy"),
            ("security.istio.io/v1", "AuthorizationPolicy"),
            ("security.istio.io/v1", "RequestAuthentication"),
            ("security.istio.io/v1", "PeerAuthentication"),
            ("v1", "ResourceQuota"),
            ("kuma.io/v1alpha1", "MeshTrafficPermission"),
            ("capsule.clastix.io/v1beta2", "Tenant"),
        ] {
            let found = findings(api_version, kind, &json!({}));
            assert_eq!(
                found.iter().map(|f| (f.0, f.1)).collect::<Vec<_>>(),
                [(510, Severity::Warning)],
                "{kind}"
            );
        }
    }

    #[test]
    fn what_routes_names_brings_or_fills_is_said_once() {
        for (api_version, kind) in [
            ("networking.k8s.io/v1", "Ingress"),
            ("networking.istio.io/v1", "VirtualService"),
            ("externaldns.k8s.io/v1alpha1", "DNSEndpoint"),
            ("helm.cattle.io/v1", "HelmChart"),
            ("external-secrets.io/v1", "ExternalSecret"),
            ("trust.cert-manager.io/v1alpha1", "Bundle"),
            ("trust.cert-manager.io/v1alpha2", "ClusterBundle"),
            ("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass"),
            ("certmanager.k8s.io/v1alpha1", "Certificate"),
        ] {
            let found = findings(api_version, kind, &json!({}));
            assert_eq!(
                found.iter().map(|f| (f.0, f.1)).collect::<Vec<_>>(),
                [(4, Severity::Warning)],
                "{kind}"
            );
        }
        for (api_version, kind) in
            [("apps/v1", "Deployment"), ("v1", "Pod"), ("v1", "ServiceAccount"), ("v1", "Event")]
        {
            assert_eq!(findings(api_version, kind, &json!({})), [], "{kind}");
        }
    }

    #[test]
    fn a_misspelt_kind_is_no_kind() {
        for (api_version, kind, meant) in [
            ("gateway.networking.k8s.io/v1", "HttpRoute", "did you mean HTTPRoute?"),
            ("gateway.networking.k8s.io/v1", "HTTPRoutes", "did you mean HTTPRoute?"),
            ("cert-manager.io/v1", "Certficate", "did you mean Certificate?"),
            ("v1", "Sercet", "did you mean Secret?"),
            ("v1", "Configmap", "did you mean ConfigMap?"),
            ("argoproj.io/v1alpha1", "Aplication", "did you mean Application?"),
            ("argoproj.io/v1alpha1", "Applicationset", "did you mean ApplicationSet?"),
            ("kustomize.toolkit.fluxcd.io/v1", "Kustomizaton", "did you mean Kustomization?"),
            ("helm.toolkit.fluxcd.io/v2", "HelmRelase", "did you mean HelmRelease?"),
            (
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinitions",
                "did you mean CustomResourceDefinition?",
            ),
        ] {
            assert_eq!(
                findings(api_version, kind, &json!({})),
                [(2, Severity::Error, meant.to_owned())],
                "{kind}"
            );
        }
        for api_version in ["gateway.networking.k8s.io/v1", "source.toolkit.fluxcd.io/v1"] {
            let found = findings(api_version, "Nonsense", &json!({}));
            assert_eq!((found.len(), found[0].0, found[0].1), (1, 2, Severity::Error));
        }
        // Argo's other programs have kinds of their own.
        for kind in [
            "Workflow",
            "Rollout",
            "EventSource",
            "AnalysisTemplate",
            "Application",
            "ApplicationSet",
            "AppProject",
        ] {
            assert_eq!(findings("argoproj.io/v1alpha1", kind, &json!({})), [], "{kind}");
        }
        assert_eq!(findings("kustomize.toolkit.fluxcd.io/v1", "Kustomization", &json!({})), []);
        assert_eq!(findings("apiextensions.k8s.io/v1", "CustomResourceDefinition", &json!({})), []);
    }

    #[test]
    fn a_misspelt_group_has_no_such_kind() {
        for (api_version, kind, meant) in [
            ("gateway.networking.k8s.oi/v1", "HTTPRoute", "gateway.networking.k8s.io/v1"),
            ("gatway.networking.k8s.io/v1", "Gateway", "gateway.networking.k8s.io/v1"),
            ("networking.k8s.io/v1", "HTTPRoute", "gateway.networking.k8s.io/v1"),
            ("networking.gateway.k8s.io/v1", "GRPCRoute", "gateway.networking.k8s.io/v1"),
            ("gateway.k8s.io/v1", "ReferenceGrant", "gateway.networking.k8s.io/v1"),
            ("v1", "HTTPRoute", "gateway.networking.k8s.io/v1"),
            ("v1", "Gateway", "gateway.networking.k8s.io/v1"),
            ("v1", "Certificate", "cert-manager.io/v1"),
            ("certmanager.io/v1", "ClusterIssuer", "cert-manager.io/v1"),
            ("cert-manager.k8s.io/v1", "Certificate", "cert-manager.io/v1"),
            ("bitnami.io/v1alpha1", "SealedSecret", "bitnami.com/v1alpha1"),
            ("apps/v1", "Service", "v1"),
            ("networking.k8s.io/v1", "Secret", "v1"),
            ("argoproj.oi/v1alpha1", "Application", "argoproj.io/v1alpha1"),
            ("apps/v1", "ApplicationSet", "argoproj.io/v1alpha1"),
            ("kustomize.toolkit.fluxcd.oi/v1", "Kustomization", "kustomize.toolkit.fluxcd.io/v1"),
            ("toolkit.helm.fluxcd.io/v2", "HelmRelease", "helm.toolkit.fluxcd.io/v2"),
        ] {
            let found = findings(api_version, kind, &json!({}));
            let hint = format!("did you mean apiVersion {meant}?");
            assert_eq!(found, [(2, Severity::Error, hint)], "{api_version} {kind}");
        }
        // Kinds of others with these names.
        for (api_version, kind) in [
            ("certmanager.step.sm/v1beta1", "ClusterIssuer"),
            ("cert-manager.ncm.nokia.com/v1", "Issuer"),
            ("example.com/v1", "ReferenceGrant"),
        ] {
            let found = findings(api_version, kind, &json!({}));
            assert_eq!(
                (found.len(), found[0].0, found[0].1),
                (1, 2, Severity::Warning),
                "{api_version} {kind}"
            );
        }
        let found = findings("example.com/v1", "HTTPRoute", &json!({}));
        let hint = "kind HTTPRoute is acted on in gateway.networking.k8s.io".to_owned();
        assert_eq!(found, [(4, Severity::Warning, hint)], "by its name it routes, whoever serves it");
        for (api_version, kind) in [("serving.example.com/v1", "Service"), ("example.com/v1", "Gateway")] {
            assert_eq!(findings(api_version, kind, &json!({})), [], "{api_version} {kind}");
        }
    }

    #[test]
    fn a_webhook_is_said_where_it_is_asked_about_our_kinds() {
        let hook = |group: &str| json!({"webhooks": [{"name": "a", "rules": [{"apiGroups": [group]}]}]});
        let kind = "ValidatingWebhookConfiguration";
        let said = |group: &str| findings("admissionregistration.k8s.io/v1", kind, &hook(group)).len();
        assert_eq!(["*", "gateway.networking.k8s.io", "monitoring.coreos.com"].map(said), [1, 1, 0]);
    }
}
