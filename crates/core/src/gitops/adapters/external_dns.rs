//! external-dns: what it is told by chart values, flags and environment ([`given`]), and which of it is followed. What
//! narrows or changes what it publishes and is not followed, and what would keep it from starting, stops the component: no
//! record of it is made, changed or removed.

mod flags;
mod given;
mod started;
mod text;
mod update_server;
mod values;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_model::{Code, Name, ObjectKey, Severity, nearest};

use super::{ComponentValues, Form, Reader, keys::PODS};
use crate::{
    dns::{Policy, annotations::go_duration_seconds},
    gitops::ledger::Fate,
};

pub use update_server::{TsigSecret, UpdateServer};
pub(super) use values::FLAGS as FLAG_KEYS;

/// Keys of the chart that become no flag.
pub(super) const KEYS: &[(Fate, &str, &str)] = &[
    (
        Fate::Used,
        "",
        "enabled env envFrom extraArgs extraVolumes image.tag provider namespaced sourceNamespace watchReleaseNamespace",
    ),
    (
        Fate::Irrelevant,
        "a provider that is a program of its own; the embedded zones stand for it",
        "provider.webhook",
    ),
    (Fate::Irrelevant, PODS, values::OTHERS),
];

/// Types that external-dns knows; of some routes make none.
const RECORD_TYPES: [&str; 10] = ["A", "AAAA", "CNAME", "TXT", "NS", "SRV", "MX", "PTR", "NAPTR", "DNAME"];

/// Sources that external-dns knows (`allowedSources`, 0.21); with another it does not start.
const SOURCES: [&str; 25] = [
    "service",
    "ingress",
    "node",
    "pod",
    "gateway-httproute",
    "gateway-grpcroute",
    "gateway-tlsroute",
    "gateway-tcproute",
    "gateway-udproute",
    "istio-gateway",
    "istio-virtualservice",
    "contour-httpproxy",
    "gloo-proxy",
    "fake",
    "connector",
    "crd",
    "empty",
    "skipper-routegroup",
    "openshift-route",
    "ambassador-host",
    "kong-tcpingress",
    "f5-virtualserver",
    "f5-transportserver",
    "traefik-proxy",
    "unstructured",
];

/// The component publishes nothing.
const STOPPED: Code = Code(645);

/// What external-dns is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of external-dns")]
pub struct ExternalDns {
    /// What problems are filed on: the Application that brings it, or `File/<chart>` for a root chart.
    pub object: ObjectKey,
    /// Name of that Application; empty for a root chart.
    pub application: Name,
    /// Namespace of the component: where its credential stands.
    pub namespace: Name,
    /// Minor version of external-dns (24 is 0.24), if one is declared: by the image's tag, else by the chart's version.
    pub version: Option<u32>,
    /// Something that it is told is not followed, or would keep it from starting: nothing is published, and findings say so.
    pub stopped: bool,
    /// `--provider`.
    pub provider: Name,
    /// `--source`, in the order given.
    pub sources: Vec<Name>,
    /// `--domain-filter`; empty means every name.
    pub domain_filters: Vec<Name>,
    /// `--exclude-domains`.
    pub exclude_domains: Vec<Name>,
    /// `--regex-domain-filter`; empty if not set.
    pub regex_filter: Name,
    /// `--regex-domain-exclusion`; empty if not set.
    pub regex_exclusion: Name,
    /// `--policy`; before 0.22 the chart's default is `upsert-only`.
    pub policy: Policy,
    /// `--registry`.
    pub registry: Name,
    /// `--txt-owner-id`; external-dns' own default is `default`.
    pub owner: Name,
    /// `--migrate-from-txt-owner`; empty if not set.
    pub old_owner: Name,
    /// `--txt-prefix`; empty if not set.
    pub txt_prefix: Name,
    /// `--txt-suffix`; empty if not set.
    pub txt_suffix: Name,
    /// `--txt-wildcard-replacement`; empty if not set.
    pub wildcard_replacement: Name,
    /// `--interval`, seconds.
    pub interval_seconds: u64,
    /// `--min-ttl`, seconds; 0 if not set.
    pub min_ttl: u64,
    /// `--managed-record-types`; empty means external-dns' default (A, AAAA, CNAME).
    pub record_types: Vec<Name>,
    /// `--exclude-record-types`.
    pub excluded_types: Vec<Name>,
    /// `--annotation-filter`; empty if not set.
    pub annotation_filter: Name,
    /// `--annotation-prefix`; empty if not set: both of external-dns' own are read.
    pub annotation_prefix: Name,
    /// `--label-filter`; empty if not set.
    pub label_filter: Name,
    /// `--namespace`; empty if not set.
    pub namespaces: Vec<Name>,
    /// `--gateway-name`; empty if not set.
    pub gateway_name: Name,
    /// `--gateway-namespace`; empty if not set.
    pub gateway_namespace: Name,
    /// `--gateway-label-filter`; empty if not set.
    pub gateway_label_filter: Name,
    /// `--target-net-filter`.
    pub target_nets: Vec<Name>,
    /// `--exclude-target-net`.
    pub excluded_nets: Vec<Name>,
    /// `--fqdn-template`.
    pub templates: Vec<Name>,
    /// `--combine-fqdn-annotation`.
    pub combine: bool,
    /// `--ignore-hostname-annotation`.
    pub ignore_hostnames: bool,
    /// `--gateway-listener-sets`.
    pub listener_sets: bool,
    /// Secrets that it takes its credential from: those of `env`, `envFrom` and `extraVolumes`.
    pub credentials: Vec<Name>,
    /// Where updates go, if `--provider` is `rfc2136`.
    pub server: Option<UpdateServer>,
}

pub(super) fn read(reader: &mut Reader<'_>) -> ExternalDns {
    let given = given::read(reader);
    let names = |flag: &str| given.list(flag).into_iter().map(Name::from).collect::<Vec<_>>();
    let name = |flag: &str| Name::from(given.text(flag));
    let seconds = |flag: &str| go_duration_seconds(&given.text(flag));
    let version = version(reader.values);
    let mut settings = ExternalDns {
        object: reader.values.object.clone(),
        application: reader.values.application.clone(),
        namespace: reader.values.namespace.clone(),
        version,
        stopped: false,
        provider: name("provider"),
        sources: names("source"),
        domain_filters: names("domain-filter"),
        exclude_domains: names("exclude-domains"),
        regex_filter: name("regex-domain-filter"),
        regex_exclusion: name("regex-domain-exclusion"),
        policy: Policy::parse(&given.text("policy")).unwrap_or(Policy::UpsertOnly),
        registry: name("registry"),
        owner: name("txt-owner-id"),
        old_owner: name("migrate-from-txt-owner"),
        txt_prefix: name("txt-prefix"),
        txt_suffix: name("txt-suffix"),
        wildcard_replacement: name("txt-wildcard-replacement"),
        interval_seconds: seconds("interval").unwrap_or(60).max(1),
        min_ttl: seconds("min-ttl").unwrap_or(0),
        record_types: names("managed-record-types"),
        excluded_types: names("exclude-record-types"),
        annotation_filter: name("annotation-filter"),
        annotation_prefix: name("annotation-prefix"),
        label_filter: name("label-filter"),
        namespaces: names("namespace"),
        gateway_name: name("gateway-name"),
        gateway_namespace: name("gateway-namespace"),
        gateway_label_filter: name("gateway-label-filter"),
        target_nets: names("target-net-filter"),
        excluded_nets: names("exclude-target-net"),
        templates: names("fqdn-template"),
        combine: given.on("combine-fqdn-annotation"),
        ignore_hostnames: given.on("ignore-hostname-annotation"),
        listener_sets: given.on("gateway-listener-sets"),
        credentials: credentials(&reader.values.values),
        server: (given.text("provider") == "rfc2136").then(|| update_server::read(reader, &given)),
    };
    let mut wrong_type = false;
    settings.namespaces.retain(|namespace| !namespace.is_empty());
    if given.text("policy").is_empty() && version.is_some_and(|version| version >= 22) && !given.unread {
        let message = "it would not start: since 0.22 a policy must be chosen";
        stop(reader, "policy", message);
    }
    if given.on("dry-run") {
        stop(reader, &given.field("dry-run"), "--dry-run changes no record");
    }
    if !settings.txt_prefix.is_empty() && !settings.txt_suffix.is_empty() {
        let message = "it would not start: txtPrefix and txtSuffix exclude each other";
        stop(reader, "txtSuffix", message);
    }
    if settings.sources.is_empty() && !given.unread {
        // Also `sources: []` and `null`: the chart then writes no flag. That nothing is read is not that nothing is wanted.
        stop(reader, &given.field_or("source", "sources"), "it would not start: no sources specified");
    }
    encryption(reader, &given);
    started::check(reader, &given);
    for source in settings.sources.iter().filter(|source| !SOURCES.contains(&&***source)) {
        let near = nearest(source, SOURCES).map_or_else(String::new, |near| format!("; {near} may be meant"));
        let message = format!("it would not start: there is no source {source:?}{near}");
        stop(reader, &given.field_or("source", "sources"), &message);
    }
    for (field, affix) in [("txtPrefix", &settings.txt_prefix), ("txtSuffix", &settings.txt_suffix)] {
        let plain = affix.replace("%{record_type}", "");
        if let Some(wrong) =
            plain.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_'))
        {
            let message = format!(
                "{affix:?} holds {wrong:?}, which no DNS name can, so none of its registry's records could be made"
            );
            stop(reader, field, &message);
        }
    }
    if settings.ignore_hostnames && settings.templates.iter().all(|template| template.trim().is_empty()) {
        let message = "it would not start: --ignore-hostname-annotation needs --fqdn-template";
        stop(reader, &given.field("ignore-hostname-annotation"), message);
    }
    for (flag, types) in
        [("managed-record-types", &settings.record_types), ("exclude-record-types", &settings.excluded_types)]
    {
        for text in types.iter().filter(|text| !RECORD_TYPES.contains(&&***text)) {
            let message = format!(
                "{text:?} is no record type; no record of this external-dns is made, changed or removed"
            );
            let hint = "write A, AAAA, CNAME or another type, each as an item of its own";
            reader.problem(641, Severity::Error, &given.field(flag), &message, hint);
            wrong_type = true;
        }
    }
    check(reader, &mut settings);
    settings.stopped = wrong_type || reader.problems.iter().any(|problem| problem.code == STOPPED);
    settings
}

/// `newRegistry` of `registry/txt`: a key that does not fit ends it, also where nothing is encrypted.
fn encryption(reader: &mut Reader<'_>, given: &given::Given) {
    const VARIABLE: &str = "EXTERNAL_DNS_TXT_ENCRYPT_AES_KEY";
    let key = given.text("txt-encrypt-aes-key");
    let field = given.field("txt-encrypt-aes-key");
    let fits = |bytes: &[u8]| bytes.len() == 32;
    // From a Secret, whose value nobody here knows.
    let values = &reader.values.values;
    let variables = values.get("env").and_then(serde_json::Value::as_array);
    let named = variables.into_iter().flatten().any(|variable| variable["name"] == VARIABLE);
    let elsewhere = named || values.get("envFrom").is_some_and(|from| !from.is_null());
    if key.contains("$(") || (key.is_empty() && elsewhere) {
        return;
    }
    if key.is_empty() {
        if given.on("txt-encrypt-enabled") {
            let message = "it would not start: the AES Encryption key must be set when TXT record encryption is enabled";
            stop(reader, &given.field("txt-encrypt-enabled"), message);
        }
    } else if !fits(key.as_bytes()) && !STANDARD.decode(&key).is_ok_and(|bytes| fits(&bytes)) {
        let message = "it would not start: the AES Encryption key must be 32 bytes long, in either plain text or base64-encoded format";
        stop(reader, &field, message);
    }
}

/// Files that the component publishes nothing because of a field.
fn stop(reader: &mut Reader<'_>, field: &str, message: &str) {
    stop_with(reader, Severity::Error, field, message);
}

fn stop_with(reader: &mut Reader<'_>, severity: Severity, field: &str, message: &str) {
    let message = format!("{message}; no record of this external-dns is made, changed or removed");
    let hint = match reader.values.form {
        Form::Workload => "correct it, or leave the workload out for this environment",
        Form::Chart | Form::File => "correct it, or leave it out of the values for this environment",
    };
    reader.problem(STOPPED.0, severity, field, &message, hint);
}

/// The image's tag (`v0.20.0`), else the chart's version: that of the chart 1.N is 0.N.
fn version(values: &ComponentValues) -> Option<u32> {
    let tag = values.values.pointer("/image/tag").and_then(serde_json::Value::as_str);
    let minor = |text: &str, major: &str| {
        let text = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        text.strip_prefix(major)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    tag.and_then(|tag| minor(tag, "0.")).or_else(|| minor(&values.version, "1."))
}

/// Names of Secrets in the places where the chart takes them. The values have no effect here, and are listed as such.
fn credentials(values: &serde_json::Value) -> Vec<Name> {
    let mut names = Vec::new();
    for (field, path) in [
        ("env", "/valueFrom/secretKeyRef/name"),
        ("envFrom", "/secretRef/name"),
        ("extraVolumes", "/secret/secretName"),
    ] {
        let items = values.get(field).and_then(serde_json::Value::as_array);
        names.extend(
            items.into_iter().flatten().filter_map(|item| Some(Name::new(item.pointer(path)?.as_str()?))),
        );
    }
    names.sort();
    names.dedup();
    names
}

fn check(reader: &mut Reader<'_>, settings: &mut ExternalDns) {
    const WARNING: Severity = Severity::Warning;
    if &*settings.registry != "txt" {
        let (message, hint) = if settings.registry.eq_ignore_ascii_case("txt") {
            let message = format!(
                "registry {} is not known to external-dns, which writes it in small letters; txt is taken here",
                settings.registry
            );
            (message, "write registry: txt")
        } else {
            let message = format!(
                "registry {} is not built here: who owns a record is kept in TXT records instead",
                settings.registry
            );
            (message, "set registry: txt, or know that a cluster keeps it elsewhere")
        };
        reader.problem(642, WARNING, "registry", &message, hint);
    }
    if settings.owner.is_empty() {
        settings.owner = "default".into();
        let message = "txtOwnerId is not set, so the owner is \"default\"".to_owned();
        let hint =
            "set txtOwnerId to the cluster's name: clusters with one owner delete each other's records";
        reader.problem(643, WARNING, "txtOwnerId", &message, hint);
    }
    // `matchRegex` of `endpoint/domain_filter.go`: where there was an exclusion, it alone decided.
    let both = !settings.regex_filter.is_empty() && !settings.regex_exclusion.is_empty();
    if let Some(minor) = settings.version.filter(|version| both && *version < 21) {
        let message = format!(
            "regexDomainFilter and regexDomainExclusion are both set: external-dns 0.{minor} looks at the exclusion alone, and since 0.21, as here, a name has to match the filter too"
        );
        let hint = "check that the filter matches all names that are meant, or leave it out";
        reader.problem(649, WARNING, "regexDomainFilter", &message, hint);
    }
    // Fewer names are published here than there, in either version.
    let alone = settings.regex_filter.is_empty() && !settings.regex_exclusion.is_empty();
    let lists =
        settings.domain_filters.iter().chain(&settings.exclude_domains).any(|one| !one.trim().is_empty());
    if alone && settings.version.is_some_and(|minor| minor < 21) {
        let message = "regexDomainExclusion without regexDomainFilter is not looked at before external-dns 0.21, and here it is";
        let hint = "write the names in excludeDomains, or add a regexDomainFilter";
        reader.problem(649, WARNING, "regexDomainExclusion", message, hint);
    } else if alone && lists {
        let message = "with regexDomainExclusion external-dns does not look at domainFilters and excludeDomains, and here a name has to pass all of them";
        let hint = "write what the lists say as a regexDomainFilter";
        reader.problem(649, WARNING, "regexDomainExclusion", message, hint);
    }
    let unread: Vec<_> = settings
        .sources
        .iter()
        .filter(|source| SOURCES.contains(&&***source))
        .filter(|source| !source.starts_with("gateway-"))
        .map(ToString::to_string)
        .collect();
    if !unread.is_empty() {
        let message = format!("no records are made from these sources yet: {}", unread.join(", "));
        reader.problem(
            644,
            Severity::Info,
            "sources",
            &message,
            "names of routes of the Gateway API are published",
        );
    }
}
