//! cert-manager's kinds.

use std::collections::BTreeMap;

use super::{
    MANAGED_BY,
    node::{Node, Root, duration},
};
use crate::{
    Instant, IssuerKey, Name, NamespacedName, Severity,
    input::{Certificate, CertificateSpec, Issuer, IssuerRef, IssuerSpec, Solver},
};

pub(super) fn issuer(root: &mut Root<'_>) -> Issuer {
    let spec = root.spec();
    root.only(&spec, &["acme", "ca", "selfSigned", "vault", "venafi"]);
    let made = if spec.get("selfSigned").present() {
        IssuerSpec::SelfSigned
    } else if spec.get("ca").present() {
        let secret = spec.get("ca").get("secretName");
        if secret.opt().is_none() {
            root.invalid(
                &secret,
                "ca.secretName is missing",
                "name the Secret that holds the CA's tls.crt and tls.key",
            );
        }
        IssuerSpec::Ca { secret: secret.name() }
    } else if spec.get("acme").present() {
        let acme = spec.get("acme");
        IssuerSpec::Acme {
            server: acme.get("server").name(),
            email: acme.get("email").opt(),
            account_key: acme.get("privateKeySecretRef").get("name").name(),
            entry: acme.get("privateKeySecretRef").get("key").name_or("tls.key"),
            make_key: !acme.get("disableAccountKeyGeneration").flag(),
            solvers: acme.get("solvers").items().iter().map(solver).collect(),
        }
    } else {
        let other = ["vault", "venafi"].iter().find(|k| spec.get(k).present()).copied().unwrap_or("nothing");
        root.problem(
            301,
            Severity::Error,
            "spec",
            format!("the issuer configures {other}, which is not served"),
            "use one of acme, ca, selfSigned",
        );
        IssuerSpec::Unsupported(other.into())
    };
    Issuer { key: IssuerKey(root.object.key.name.clone()), generation: root.object.generation(), spec: made }
}

fn solver(node: &Node<'_>) -> Solver {
    let dns01 = node.get("dns01");
    let provider =
        dns01.value.as_object().and_then(|map| map.keys().find(|k| *k != "cnameStrategy").cloned());
    let mut credentials = Vec::new();
    if let Some(settings) = dns01.value.as_object().and_then(|map| map.get(provider.as_deref()?)?.as_object())
    {
        for value in settings.values() {
            if let Some(name) = value.get("name").and_then(|n| n.as_str()) {
                credentials.push(Name::new(name));
            }
        }
    }
    let labels = node.get("selector").get("matchLabels").map();
    Solver {
        labels: labels.into_iter().map(|(key, value)| (key, value.into())).collect(),
        dns_names: node.get("selector").get("dnsNames").names(),
        dns_zones: node.get("selector").get("dnsZones").names(),
        dns01: provider.map(Name::from),
        credentials,
    }
}

pub(super) fn certificate(root: &mut Root<'_>) -> Certificate {
    const HOUR: i64 = 3_600_000;
    let spec = root.spec();
    root.only(
        &spec,
        &[
            "secretName",
            "secretTemplate",
            "issuerRef",
            "commonName",
            "dnsNames",
            "ipAddresses",
            "uris",
            "emailAddresses",
            "otherNames",
            "subject",
            "literalSubject",
            "duration",
            "renewBefore",
            "renewBeforePercentage",
            "renewal",
            "isCA",
            "usages",
            "privateKey",
            "signatureAlgorithm",
            "keystores",
            "additionalOutputFormats",
            "encodeUsagesInRequest",
            "nameConstraints",
            "revisionHistoryLimit",
        ],
    );
    if spec.get("secretName").opt().is_none() {
        root.invalid(
            &spec.get("secretName"),
            "secretName is missing",
            "name the Secret that receives the certificate",
        );
    }
    let mut time = |field: &str| {
        let node = spec.get(field);
        let parsed = node.text().map(duration);
        if parsed == Some(None) {
            root.invalid(
                &node,
                format!("{field} is not a duration"),
                "write it like 2160h or 30m (days are not a unit)",
            );
        }
        parsed.flatten()
    };
    let (lifetime, renew_before) = (time("duration"), time("renewBefore"));
    let reference = spec.get("issuerRef");
    let group = reference.get("group").name_or("cert-manager.io");
    let kind = reference.get("kind").name_or("Issuer");
    let issuer = match (&*group, &*kind) {
        ("cert-manager.io", "ClusterIssuer") => {
            IssuerRef::Known(IssuerKey(NamespacedName::new("", reference.get("name").name())))
        }
        ("cert-manager.io", "Issuer") => IssuerRef::Known(IssuerKey(NamespacedName::new(
            root.object.key.name.namespace.clone(),
            reference.get("name").name(),
        ))),
        (group, kind) => IssuerRef::External(Name::from(format!("{kind}.{group}"))),
    };
    let key = spec.get("privateKey");
    let algorithm = key.get("algorithm").name_or("RSA");
    let template = spec.get("secretTemplate");
    let renew_at = root.annotations().get("portolan.dev/renew-at").cloned();
    let renew_at = renew_at.and_then(|text| {
        let at = Instant::parse(&text);
        if at.is_none() {
            root.problem(
                302,
                Severity::Warning,
                "metadata.annotations.portolan.dev/renew-at",
                format!("{text} is not an RFC 3339 time"),
                "write it like 2026-11-24T10:00:00Z",
            );
        }
        at
    });
    let dns_names: Vec<Name> =
        spec.get("dnsNames").names().iter().map(|n| Name::from(n.to_ascii_lowercase())).collect();
    if dns_names.is_empty()
        && spec.get("commonName").opt().is_none()
        && spec.get("ipAddresses").items().is_empty()
    {
        root.invalid(&spec, "the certificate names nothing", "set dnsNames, commonName or ipAddresses");
    }
    Certificate {
        key: root.object.key.name.clone(),
        generation: root.object.generation(),
        passed_on: Box::new(passed_on(root)),
        labels: root.labels(),
        revisions: spec.get("revisionHistoryLimit").u32().unwrap_or(1).max(1),
        secret: spec.get("secretName").name(),
        issuer,
        request: CertificateSpec {
            common_name: spec.get("commonName").text().unwrap_or_default().to_owned(),
            dns_names,
            ip_addresses: spec.get("ipAddresses").names(),
            organizations: spec
                .get("subject")
                .get("organizations")
                .names()
                .iter()
                .map(ToString::to_string)
                .collect(),
            duration: lifetime.unwrap_or(2160 * HOUR).max(HOUR),
            is_ca: spec.get("isCA").flag(),
            usages: spec.get("usages").names(),
            size: key.get("size").u32().unwrap_or(if algorithm == "ECDSA" { 256 } else { 2048 }),
            algorithm,
            pkcs8: key.get("encoding").text() == Some("PKCS8"),
        },
        renew_before,
        renew_before_percentage: spec.get("renewBeforePercentage").u32().and_then(|n| u8::try_from(n).ok()),
        rotate_key: key.get("rotationPolicy").text() != Some("Never"),
        secret_annotations: template.get("annotations").map(),
        secret_labels: template.get("labels").map().into_iter().map(|(k, v)| (k, v.into())).collect(),
        renew_at,
    }
}

/// What cert-manager copies from a Certificate to its CertificateRequest and Order: all labels, and all annotations but
/// those of kubectl, Flux and Argo CD (`BuildAnnotationsToCopy`). Labels by which Argo CD and Flux track objects stay
/// behind too.
fn passed_on(root: &Root<'_>) -> (BTreeMap<Name, Name>, BTreeMap<Name, String>) {
    const TOOLS: [&str; 4] = ["kubectl.kubernetes.io/", "fluxcd.io/", "argocd.argoproj.io/", "portolan.dev/"];
    const TRACKING: [&str; 5] = [
        "argocd.argoproj.io/",
        "app.kubernetes.io/instance",
        "kustomize.toolkit.fluxcd.io/",
        "helm.toolkit.fluxcd.io/",
        "app.kubernetes.io/managed-by",
    ];
    let mut labels = root.labels();
    labels.retain(|key, _| !TRACKING.iter().any(|prefix| key.starts_with(prefix)));
    let mut annotations = root.annotations();
    annotations.retain(|key, _| !TOOLS.iter().any(|prefix| key.starts_with(prefix)));
    (labels, annotations)
}

/// A CertificateRequest, Order or Challenge. Those that Portolan makes are records of what it does; none is ever acted
/// on, since whoever can create one could otherwise use an issuer's credentials (GHSA-8rvj-mm4h-c258).
pub(super) fn record(root: &mut Root<'_>) {
    if root.labels().get(MANAGED_BY.0).is_some_and(|by| *by == MANAGED_BY.1) {
        return;
    }
    let kind = root.object.key.kind.kind.clone();
    root.problem(
        303,
        Severity::Warning,
        "kind",
        format!("this {kind} comes from outside and is never acted on: it could use an issuer's credentials"),
        "remove it, and write a Certificate: its request, order and challenges are made from it",
    );
}
