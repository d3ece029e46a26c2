//! cert-manager's kinds.

mod refusals;
mod tls;

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
pub use refusals::Refusal;
use serde_json::Value;
pub(super) use tls::tls_source;

use super::{
    MANAGED_BY,
    node::{Node, Root},
};
use crate::{
    Instant, IssuerKey, Name, NamespacedName, ObjectKey, Severity,
    input::{
        Certificate, CertificateSpec, ConstrainedNames, Issuer, IssuerRef, IssuerSpec, Keystore,
        NameConstraints, OutputFormats, OwnServer, Pkcs12Profile, Points, Solver, StoreForm, StorePassword,
        Subject, UpdateSolver,
    },
    nearest,
    schedule::{self, Windows},
};

/// What cert-manager's webhook has against an object that fits its kind's schema: such an object is refused. Of other kinds
/// nothing.
pub fn webhook(key: &ObjectKey, object: &Value) -> Vec<Refusal> {
    let spec = Node::of(object).get("spec");
    match (&*key.kind.group, &*key.kind.kind) {
        ("cert-manager.io", "Certificate") => refusals::certificate(&spec),
        ("cert-manager.io", "Issuer" | "ClusterIssuer") => refusals::issuer(&spec),
        _ => Vec::new(),
    }
}

pub(super) fn issuer(root: &mut Root<'_>) -> Issuer {
    let spec = root.spec();
    let made = if spec.get("selfSigned").present() {
        IssuerSpec::SelfSigned { points: points(&spec.get("selfSigned")) }
    } else if spec.get("ca").present() {
        let ca = spec.get("ca");
        IssuerSpec::Ca { secret: ca.get("secretName").name(), points: points(&ca) }
    } else if spec.get("acme").present() {
        let acme = spec.get("acme");
        IssuerSpec::Acme {
            server: acme.get("server").name(),
            email: acme.get("email").opt(),
            account_key: acme.get("privateKeySecretRef").get("name").name(),
            entry: acme.get("privateKeySecretRef").get("key").name_or("tls.key"),
            make_key: !acme.get("disableAccountKeyGeneration").flag(),
            solvers: acme.get("solvers").items().iter().map(solver).collect(),
            own: Box::new(own(&acme)),
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

/// What counts at the issuer's own server only: which is asked is not known here (`certificates/issuers.rs` of the core says what becomes
/// of it).
fn own(acme: &Node<'_>) -> OwnServer {
    // Without these orders would be other ones than are asked for, or go to a server that is not the one that is meant.
    const NEEDED: [&str; 4] = ["externalAccountBinding", "preferredChain", "profile", "skipTLSVerify"];
    const ASIDE: [&str; 2] = ["enableDurationFeature", "renewalInformationSource"];
    let written = |field: &&str| {
        let node = acme.get(field);
        node.present() && node.value.as_bool() != Some(false) && node.value.as_str() != Some("")
    };
    let needed = NEEDED.iter().filter(|field| written(field)).map(|field| (Name::from(*field), false));
    let aside = ASIDE.iter().filter(|field| written(field)).map(|field| (Name::from(*field), true));
    let mut fields: Vec<(Name, bool)> = needed.collect();
    if written(&"caBundle") {
        fields.push(("caBundle".into(), true));
    }
    fields.extend(aside);
    let trusts = acme.get("caBundle").text().filter(|text| !text.is_empty()).map(|text| {
        let bytes = STANDARD.decode(text.split_ascii_whitespace().collect::<String>());
        let bytes = bytes.map_err(|_| "it is no Base64".to_owned())?;
        let pem = String::from_utf8(bytes).map_err(|_| "it holds no PEM certificate".to_owned())?;
        if pem.contains("-----BEGIN CERTIFICATE-----") {
            Ok(Name::from(pem))
        } else {
            Err("it holds no PEM certificate".to_owned())
        }
    });
    OwnServer { trusts, fields }
}

fn points(issuer: &Node<'_>) -> Points {
    Points {
        crl: issuer.get("crlDistributionPoints").names(),
        ocsp: issuer.get("ocspServers").names(),
        issuing: issuer.get("issuingCertificateURLs").names(),
    }
}

fn solver(node: &Node<'_>) -> Solver {
    let dns01 = node.get("dns01");
    let provider = dns01.keys().into_iter().find(|key| *key != "cnameStrategy");
    let settings = provider.map(|provider| dns01.get(provider));
    // References to Secrets, under whatever name the provider gives them.
    let fields =
        settings.iter().flat_map(|settings| settings.keys().into_iter().map(|key| settings.get(key)));
    let references = fields.filter(|field| field.value.is_object()).map(|field| field.get("name"));
    let credentials = references.filter_map(|name| name.opt()).collect();
    let labels = node.get("selector").get("matchLabels").map();
    let unserved = [
        (dns01.get("cnameStrategy").value == "Follow").then_some("dns01.cnameStrategy"),
        node.get("waitInsteadOfSelfCheck").present().then_some("waitInsteadOfSelfCheck"),
    ];
    Solver {
        labels: labels.into_iter().map(|(key, value)| (key, value.into())).collect(),
        dns_names: node.get("selector").get("dnsNames").names(),
        dns_zones: node.get("selector").get("dnsZones").names(),
        dns01: provider.map(Name::from),
        credentials,
        unserved: unserved.into_iter().flatten().map(Name::from).collect(),
        update: (provider == Some("rfc2136")).then(|| Box::new(update(&dns01.get("rfc2136")))),
    }
}

fn update(rfc2136: &Node<'_>) -> UpdateSolver {
    let reference = rfc2136.get("tsigSecretSecretRef");
    UpdateSolver {
        nameserver: rfc2136.get("nameserver").name(),
        key_name: rfc2136.get("tsigKeyName").name(),
        algorithm: rfc2136.get("tsigAlgorithm").name_or("HMACMD5"),
        secret: reference.present().then(|| (reference.get("name").name(), reference.get("key").name())),
        protocol: rfc2136.get("protocol").opt(),
    }
}

/// Whether a temporary certificate is asked for, as cert-manager reads it: `true` and nothing else.
fn temporary(root: &mut Root<'_>, is_ca: bool) -> bool {
    const ASKED: &str = "cert-manager.io/issue-temporary-certificate";
    let field = format!("metadata.annotations[{ASKED}]");
    let annotations = root.annotations();
    for key in annotations.keys().filter(|key| key.starts_with("cert-manager.io/") && **key != ASKED) {
        if nearest(key, [ASKED]).is_some() {
            let message = format!("annotation {key} is not known and has no effect");
            let hint = "cert-manager.io/issue-temporary-certificate may be meant";
            root.problem(339, Severity::Warning, &format!("metadata.annotations[{key}]"), message, hint);
        }
    }
    let Some(value) = annotations.get(ASKED) else { return false };
    if !["true", "false"].contains(&value.as_str()) {
        let message = format!("{value:?} is not \"true\", so no temporary certificate is asked for");
        let hint = "write \"true\" or \"false\", or remove the annotation";
        root.problem(339, Severity::Warning, &field, message, hint);
    }
    if value == "true" && is_ca {
        let message = "no temporary certificate is made of a CA: what it signed nobody could verify";
        let hint = "nothing to do here: the Secret is there once the issuer has signed";
        root.problem(339, Severity::Info, &field, message.to_owned(), hint);
    }
    value == "true"
}

pub(super) fn certificate(root: &mut Root<'_>) -> Certificate {
    let spec = root.spec();
    let temporary = temporary(root, spec.get("isCA").flag());
    let refused = unbuilt(root, &spec);
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
    let formats = spec.get("additionalOutputFormats").items();
    let format = |kind: &str| formats.iter().any(|format| format.get("type").text() == Some(kind));
    Certificate {
        key: root.object.key.name.clone(),
        generation: root.object.generation(),
        passed_on: Box::new(passed_on(root)),
        labels: root.labels(),
        revisions: spec.get("revisionHistoryLimit").u32().unwrap_or(1).max(1),
        secret: spec.get("secretName").name(),
        issuer,
        request: request(&spec),
        renew_before: time(&spec, "renewBefore"),
        renew_before_percentage: percentage(&spec),
        rotate_key: key.get("rotationPolicy").text() != Some("Never"),
        refused,
        renewal_disabled: spec.get("renewal").get("policy").text() == Some("Disabled"),
        windows: windows(root, &spec),
        keystores: keystores(&spec),
        formats: OutputFormats { der: format("DER"), combined: format("CombinedPEM") },
        secret_annotations: template.get("annotations").map(),
        secret_labels: template.get("labels").map().into_iter().map(|(k, v)| (k, v.into())).collect(),
        renew_at,
        temporary,
        made_for: controller(root),
    }
}

/// The percentage; one that leaves nothing, or everything, counts as none (`desiredRenewalTime`): without a duration the webhook
/// lets it pass.
fn percentage(spec: &Node<'_>) -> Option<u8> {
    let written = spec.get("renewBeforePercentage").whole()?;
    u8::try_from(written).ok().filter(|percent| (1..100).contains(percent))
}

/// The object that controls this one, by `metadata.ownerReferences`.
fn controller(root: &Root<'_>) -> Option<ObjectKey> {
    let owners = root.node().get("metadata").get("ownerReferences").items();
    let owner = owners.into_iter().find(|owner| owner.get("controller").flag())?;
    let version = owner.get("apiVersion");
    let group = version.text().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
    let namespace = root.object.key.name.namespace.clone();
    Some(ObjectKey::new(group, owner.get("kind").name(), namespace, owner.get("name").name()))
}

/// What a certificate must say.
fn request(spec: &Node<'_>) -> CertificateSpec {
    const HOUR: i64 = 3_600_000;
    let key = spec.get("privateKey");
    let algorithm = key.get("algorithm").name_or("RSA");
    let dns_names: Vec<Name> =
        spec.get("dnsNames").names().iter().map(|n| Name::from(n.to_ascii_lowercase())).collect();
    CertificateSpec {
        common_name: spec.get("commonName").text().unwrap_or_default().to_owned(),
        dns_names,
        ip_addresses: spec.get("ipAddresses").names(),
        uris: spec.get("uris").names(),
        emails: spec.get("emailAddresses").names(),
        other_names: spec
            .get("otherNames")
            .items()
            .iter()
            .map(|one| (one.get("oid").name(), one.get("utf8Value").text().unwrap_or_default().to_owned()))
            .collect(),
        subject: subject(&spec.get("subject")),
        literal_subject: spec.get("literalSubject").text().unwrap_or_default().to_owned(),
        duration: time(spec, "duration").unwrap_or(2160 * HOUR).max(HOUR),
        name_constraints: constraints(&spec.get("nameConstraints")),
        is_ca: spec.get("isCA").flag(),
        usages: spec.get("usages").names(),
        signature_algorithm: spec.get("signatureAlgorithm").name(),
        plain_request: spec.get("encodeUsagesInRequest").set_flag() == Some(false),
        size: size(&key, &algorithm),
        algorithm,
        pkcs8: key.get("encoding").text() == Some("PKCS8"),
    }
}

/// The size of a key; none, and what is no size, is the default (`GeneratePrivateKeyForCertificate` looks at sizes above 0).
fn size(key: &Node<'_>, algorithm: &str) -> u32 {
    let default = if algorithm == "ECDSA" { 256 } else { 2048 };
    let written = key.get("size").whole().filter(|size| *size > 0);
    written.map_or(default, |size| u32::try_from(size).unwrap_or(u32::MAX))
}

/// The windows of `renewal`; the webhook has refused what cannot be read.
fn windows(root: &mut Root<'_>, spec: &Node<'_>) -> Vec<Windows> {
    let one = |node: &Node<'_>| {
        let text = |field| node.get(field).text().unwrap_or_default().to_owned();
        let length = node.get("windowDuration").millis().unwrap_or_default();
        Windows::new(&text("cron"), &text("timezone"), length)
    };
    let windows = spec.get("renewal").get("windows").items();
    if windows.len() > schedule::MOST {
        // Those that are left are windows that were asked for.
        let message =
            format!("{} windows: it is renewed in the first {} only", windows.len(), schedule::MOST);
        let hint = "write one window for several hours or days, such as 0 1-5 * * sat,sun";
        root.problem(323, Severity::Warning, "spec.renewal.windows", message, hint);
    }
    windows.iter().take(schedule::MOST).map(one).collect()
}

/// The keystores that are to be created.
fn keystores(spec: &Node<'_>) -> Vec<Keystore> {
    let jks = |store: &Node<'_>| StoreForm::Jks { alias: store.get("alias").name_or("certificate") };
    let pkcs12 = |store: &Node<'_>| match store.get("profile").text() {
        Some("Modern2023") => StoreForm::Pkcs12(Pkcs12Profile::Modern2023),
        Some("Modern2026") => StoreForm::Pkcs12(Pkcs12Profile::Modern2026),
        _ => StoreForm::Pkcs12(Pkcs12Profile::Legacy),
    };
    let one = |field: &str, form: &dyn Fn(&Node<'_>) -> StoreForm| {
        let store = spec.get("keystores").get(field);
        let reference = store.get("passwordSecretRef");
        let password = match reference.get("name").opt() {
            Some(name) => StorePassword::Secret { name, key: reference.get("key").name() },
            None => StorePassword::Written(store.get("password").text().unwrap_or_default().into()),
        };
        let form = form(&store);
        store.get("create").flag().then_some(Keystore { form, password })
    };
    [one("jks", &jks), one("pkcs12", &pkcs12)].into_iter().flatten().collect()
}

/// The profiles of PKCS#12 that are made: all of cert-manager 1.21.
const PROFILES: [&str; 5] = ["", "LegacyRC2", "LegacyDES", "Modern2023", "Modern2026"];

/// What is not built: the certificate is not made without it. Only a definition that the repository brings allows such a profile.
fn unbuilt(root: &mut Root<'_>, spec: &Node<'_>) -> Option<String> {
    let store = spec.get("keystores").get("pkcs12");
    let profile = store.get("profile");
    let built =
        !store.get("create").flag() || profile.text().is_none_or(|profile| PROFILES.contains(&profile));
    if built {
        return None;
    }
    let written = profile.text().map(|text| format!(" {text}")).unwrap_or_default();
    let message =
        format!("{}{written} is not built, and the certificate is not made without it", profile.path);
    let hint = "write Modern2026 or Modern2023, the strongest profiles that are made here";
    root.problem(336, Severity::Error, &profile.path, message.clone(), hint);
    Some(message)
}

fn time(spec: &Node<'_>, field: &str) -> Option<i64> {
    spec.get(field).millis()
}

fn subject(node: &Node<'_>) -> Subject {
    let list = |field: &str| node.get(field).names().iter().map(ToString::to_string).collect();
    Subject {
        organizations: list("organizations"),
        countries: list("countries"),
        organizational_units: list("organizationalUnits"),
        localities: list("localities"),
        provinces: list("provinces"),
        street_addresses: list("streetAddresses"),
        postal_codes: list("postalCodes"),
        serial_number: node.get("serialNumber").text().unwrap_or_default().to_owned(),
    }
}

fn constraints(node: &Node<'_>) -> Option<NameConstraints> {
    let names = |node: Node<'_>| ConstrainedNames {
        dns_domains: node.get("dnsDomains").names(),
        ip_ranges: node.get("ipRanges").names(),
        email_addresses: node.get("emailAddresses").names(),
        uri_domains: node.get("uriDomains").names(),
    };
    node.present().then(|| NameConstraints {
        critical: node.get("critical").flag(),
        permitted: names(node.get("permitted")),
        excluded: names(node.get("excluded")),
    })
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
