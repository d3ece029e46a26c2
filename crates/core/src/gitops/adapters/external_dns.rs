//! external-dns: chart values and flags to DNS settings. Flags are what the program gets in the end, so `extraArgs` win
//! over the chart's own values. Source: kubernetes-sigs/external-dns `charts/external-dns`, `docs/flags.md`.

use portolan_model::{Name, ObjectKey, Severity};

use super::{Reader, arguments};
use crate::dns::{Policy, annotations::go_duration_seconds};

/// What external-dns is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalDns {
    /// What problems are filed on: the Application that brings it, or `File/<chart>` for a root chart.
    pub object: ObjectKey,
    /// Name of that Application; empty for a root chart.
    pub application: Name,
    /// Namespace of the component: where its credential stands.
    pub namespace: Name,
    /// `provider`, such as `google`; empty if not set.
    pub provider: Name,
    /// `sources`, in the order given.
    pub sources: Vec<Name>,
    /// `domainFilters`; empty means every name.
    pub domain_filters: Vec<Name>,
    /// `excludeDomains`.
    pub exclude_domains: Vec<Name>,
    /// `policy`; the chart's default is `upsert-only`. One that cannot be read is `create-only`: nothing is touched.
    pub policy: Policy,
    /// `registry`; `txt` unless set.
    pub registry: Name,
    /// `txtOwnerId`; external-dns' own default is `default`.
    pub owner: Name,
    /// `txtPrefix`; empty if not set.
    pub txt_prefix: Name,
    /// `txtSuffix`; empty if not set.
    pub txt_suffix: Name,
    /// `interval`, seconds; the chart's default is one minute.
    pub interval_seconds: u64,
    /// `--managed-record-types`; empty means external-dns' default (A, AAAA, CNAME).
    pub record_types: Vec<Name>,
    /// `annotationFilter`; empty if not set.
    pub annotation_filter: Name,
    /// `labelFilter`; empty if not set.
    pub label_filter: Name,
    /// Secrets that it takes its credential from: those of `env`, `envFrom` and `extraVolumes`.
    pub credentials: Vec<Name>,
}

pub(super) fn read(reader: &mut Reader<'_>) -> ExternalDns {
    let names = |list: Option<Vec<String>>| list.unwrap_or_default().into_iter().map(Name::from).collect();
    // `provider: google` in older charts, `provider: {name: google}` since.
    let old_form = reader.values.values.get("provider").is_some_and(serde_json::Value::is_string);
    let provider = if old_form { reader.text("provider") } else { reader.text("provider.name") };
    let mut settings = ExternalDns {
        object: reader.values.object.clone(),
        application: reader.values.application.clone(),
        namespace: reader.values.namespace.clone(),
        provider: provider.unwrap_or_default().into(),
        sources: names(reader.list("sources")),
        domain_filters: names(reader.list("domainFilters")),
        exclude_domains: names(reader.list("excludeDomains")),
        policy: Policy::UpsertOnly,
        registry: reader.text("registry").unwrap_or_else(|| "txt".into()).into(),
        owner: reader.text("txtOwnerId").unwrap_or_default().into(),
        txt_prefix: reader.text("txtPrefix").unwrap_or_default().into(),
        txt_suffix: reader.text("txtSuffix").unwrap_or_default().into(),
        interval_seconds: 60,
        record_types: names(reader.list("managedRecordTypes")),
        annotation_filter: reader.text("annotationFilter").unwrap_or_default().into(),
        label_filter: reader.text("labelFilter").unwrap_or_default().into(),
        credentials: credentials(&reader.values.values),
    };
    if let Some(text) = reader.text("policy") {
        policy(reader, &mut settings, "policy", &text);
    }
    if let Some(text) = reader.text("interval") {
        interval(reader, &mut settings, "interval", &text);
    }
    if let Some(value) = reader.take("extraArgs") {
        let (flags, rest) = arguments::flags(value);
        reader.ignored.extend(rest.into_iter().map(|text| format!("extraArgs {text}")));
        apply(reader, &mut settings, flags);
    }
    check(reader, &mut settings);
    settings
}

fn apply(reader: &mut Reader<'_>, settings: &mut ExternalDns, flags: Vec<arguments::Flag>) {
    // A repeated flag replaces the chart's list once, then adds to it.
    let mut begun: Vec<String> = Vec::new();
    for (name, value) in flags {
        let field = format!("extraArgs.{name}");
        let list = match name.as_str() {
            "source" => Some(&mut settings.sources),
            "domain-filter" => Some(&mut settings.domain_filters),
            "exclude-domains" => Some(&mut settings.exclude_domains),
            "managed-record-types" => Some(&mut settings.record_types),
            _ => None,
        };
        let Some(value) = value else {
            reader.ignored.push(format!("extraArgs --{name}"));
            continue;
        };
        if let Some(list) = list {
            if !begun.contains(&name) {
                list.clear();
                begun.push(name);
            }
            list.push(value.into());
            continue;
        }
        match name.as_str() {
            "provider" => settings.provider = value.into(),
            "registry" => settings.registry = value.into(),
            "txt-owner-id" => settings.owner = value.into(),
            "txt-prefix" => settings.txt_prefix = value.into(),
            "txt-suffix" => settings.txt_suffix = value.into(),
            "annotation-filter" => settings.annotation_filter = value.into(),
            "label-filter" => settings.label_filter = value.into(),
            "policy" => policy(reader, settings, &field, &value),
            "interval" => interval(reader, settings, &field, &value),
            _ => reader.ignored.push(format!("extraArgs --{name}")),
        }
    }
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

fn policy(reader: &mut Reader<'_>, settings: &mut ExternalDns, field: &str, text: &str) {
    settings.policy = Policy::parse(text).unwrap_or_else(|| {
        let message =
            format!("{field} is {text:?}; it must be sync, upsert-only or create-only; create-only is used");
        reader.unusable(field, &message);
        Policy::CreateOnly
    });
}

fn interval(reader: &mut Reader<'_>, settings: &mut ExternalDns, field: &str, text: &str) {
    match go_duration_seconds(text).filter(|seconds| *seconds > 0) {
        Some(seconds) => settings.interval_seconds = seconds,
        None => reader.unusable(field, &format!("{field} is {text:?}, not a duration such as 5m")),
    }
}

fn check(reader: &mut Reader<'_>, settings: &mut ExternalDns) {
    const WARNING: Severity = Severity::Warning;
    if &*settings.registry != "txt" {
        let message =
            format!("registry {} is not supported; ownership is kept in TXT records", settings.registry);
        reader.problem(642, WARNING, "registry", &message, "set registry: txt");
    }
    if settings.owner.is_empty() {
        settings.owner = "default".into();
        let message = "txtOwnerId is not set, so the owner is \"default\"".to_owned();
        let hint =
            "set txtOwnerId to the cluster's name: clusters with one owner delete each other's records";
        reader.problem(643, WARNING, "txtOwnerId", &message, hint);
    }
    if !settings.txt_prefix.is_empty() && !settings.txt_suffix.is_empty() {
        settings.txt_suffix = Name::default();
        reader.unusable("txtSuffix", "txtPrefix and txtSuffix exclude each other; the prefix is used");
    }
    let unread: Vec<_> = settings
        .sources
        .iter()
        .filter(|source| !matches!(&***source, "gateway-httproute" | "gateway-grpcroute"))
        .map(ToString::to_string)
        .collect();
    if !unread.is_empty() {
        let message = format!("no records are made from these sources yet: {}", unread.join(", "));
        reader.problem(
            644,
            Severity::Info,
            "sources",
            &message,
            "names of HTTPRoutes and GRPCRoutes are published",
        );
    }
}
