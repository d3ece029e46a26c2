//! Where the settings of the room come from: the external-dns component of the environment, or defaults.

use portolan_model::{
    LabelSelector, Name, RouteKind,
    dns::{InvalidName, RecordType, in_zone, normal_name},
};

use super::{
    DnsProblem, Registry, Settings,
    annotations::Prefix,
    pattern::Pattern,
    rows::{DnsSettings, Place},
    scope::{Net, Scope},
    selector,
    template::Templates,
};
use crate::gitops::adapters::ExternalDns;

/// Owner id where nothing names one.
pub const OWNER: &str = "portolan";
/// external-dns' own default for `--interval`, in seconds.
const INTERVAL: u64 = 60;
const ADDRESSES: [RecordType; 3] = [RecordType::A, RecordType::Aaaa, RecordType::Cname];

impl DnsSettings {
    /// For a folder without an external-dns component: every name is managed, and owned under the environment's name.
    pub fn of_folder(env: &str) -> Self {
        let owner = if env.is_empty() || env == "default" { OWNER } else { env };
        Self {
            key: Name::default(),
            managed: true,
            sources: RouteKind::ALL.to_vec(),
            scope: Scope { gateway_controller: true, ..Scope::default() },
            interval_seconds: INTERVAL,
            plan: Settings { owner: owner.into(), registry: Registry::of_folder(), ..Settings::default() },
            place: Place::default(),
        }
    }

    /// For an environment without external-dns: nobody asked for records, so none are made.
    pub fn unmanaged() -> Self {
        Self { managed: false, ..Self::of_folder("") }
    }

    /// As external-dns was told; the second part is what cannot be done that way. With a filter that cannot be read nothing
    /// is managed: what stands stays as it is.
    pub fn of_external_dns(from: &ExternalDns) -> (Self, Vec<DnsProblem>) {
        let mut reader = Reader { problems: Vec::new(), closed: from.stopped };
        let registry = Registry::new(&from.txt_prefix, &from.txt_suffix, &from.wildcard_replacement);
        let source = |source: &Name| {
            let kind = source.strip_prefix("gateway-")?;
            RouteKind::ALL.into_iter().find(|known| known.kind().to_ascii_lowercase() == kind)
        };
        let mut settings = Self {
            key: from.application.clone(),
            scope: reader.scope(from),
            sources: from.sources.iter().filter_map(source).collect(),
            interval_seconds: from.interval_seconds,
            plan: Settings {
                owner: from.owner.clone(),
                old_owner: from.old_owner.clone(),
                policy: from.policy,
                domain_filter: reader.domains("domainFilters", &from.domain_filters, false),
                exclude: reader.domains("excludeDomains", &from.exclude_domains, true),
                pattern: reader.pattern("--regex-domain-filter", &from.regex_filter),
                excluded_pattern: reader.pattern("--regex-domain-exclusion", &from.regex_exclusion),
                types: types(from),
                // Both set are a problem of the component, which is stopped.
                registry: registry.unwrap_or_default(),
                allow_mass_deletion: false,
            },
            managed: false,
            place: Place {
                provider: from.provider.clone(),
                namespace: from.namespace.clone(),
                server: from.server.clone(),
            },
        };
        if let Some(server) = &from.server {
            reader.zones(&server.zones, &mut settings.plan.domain_filter);
        }
        settings.managed = !reader.closed;
        (settings, reader.problems)
    }
}

/// Reads filters; one that cannot be read closes the component.
struct Reader {
    problems: Vec<DnsProblem>,
    closed: bool,
}

impl Reader {
    fn close(&mut self, field: &str, value: &str, why: impl Into<String>) {
        self.closed = true;
        let (field, value) = (field.into(), value.to_owned());
        self.problems.push(DnsProblem::InvalidFilter { field, value, why: why.into() });
    }

    fn scope(&mut self, from: &ExternalDns) -> Scope {
        let prefix = match &*from.annotation_prefix {
            "" => from.version.map_or(Prefix::Both, Prefix::Declared),
            prefix if prefix.ends_with('/') => Prefix::One(prefix.into()),
            prefix => {
                self.close("--annotation-prefix", prefix, "it does not end with a slash");
                Prefix::Both
            }
        };
        let mut templates = Templates::default();
        for template in from.templates.iter().filter(|template| !template.trim().is_empty()) {
            if let Err(why) = templates.add(template) {
                self.close("--fqdn-template", template, why);
            }
        }
        Scope {
            labels: self.selects("labelFilter", &from.label_filter, selector::parse),
            annotations: self.selects("annotationFilter", &from.annotation_filter, selector::parse_plain),
            namespaces: from.namespaces.clone(),
            gateway_name: from.gateway_name.clone(),
            gateway_namespace: from.gateway_namespace.clone(),
            gateway_labels: self.selects(
                "--gateway-label-filter",
                &from.gateway_label_filter,
                selector::parse_plain,
            ),
            gateway_controller: from.version.is_none_or(|version| version >= 23),
            listener_sets: from.listener_sets,
            nets: self.nets("--target-net-filter", &from.target_nets),
            excluded_nets: self.nets("--exclude-target-net", &from.excluded_nets),
            prefix,
            ignore_hostnames: from.ignore_hostnames,
            templates,
            combine: from.combine,
            always_listener: from.version.is_some_and(|version| version < 24),
            one_route: from.version.is_some_and(|version| version < 21),
            ttl: u32::try_from(from.min_ttl).ok().filter(|seconds| *seconds > 0),
        }
    }

    fn selects(
        &mut self,
        field: &str,
        text: &Name,
        parse: fn(&str) -> Result<LabelSelector, String>,
    ) -> LabelSelector {
        parse(text).unwrap_or_else(|why| {
            self.close(field, text, format!("it is no label selector: {why}"));
            LabelSelector::default()
        })
    }

    fn nets(&mut self, field: &str, texts: &[Name]) -> Vec<Net> {
        let mut nets = Vec::new();
        for text in texts.iter().filter(|text| !text.trim().is_empty()) {
            match Net::parse(text) {
                Some(net) => nets.push(net),
                None => self.close(field, text, "it is no network such as 10.0.0.0/8"),
            }
        }
        nets
    }

    fn pattern(&mut self, field: &str, text: &Name) -> Option<Pattern> {
        if text.is_empty() {
            return None;
        }
        Pattern::new(text).map_err(|why| self.close(field, text, why)).ok()
    }

    /// What lies in the zones of the server: names outside of them are not published. Filters and zones that have nothing in common
    /// close.
    fn zones(&mut self, zones: &[Name], filter: &mut Vec<Name>) {
        let zones = self.domains("--rfc2136-zone", zones, true);
        if zones.is_empty() || filter.is_empty() {
            *filter = if zones.is_empty() { std::mem::take(filter) } else { zones };
            return;
        }
        let mut both: Vec<Name> = Vec::new();
        for zone in &zones {
            for one in filter.iter() {
                let suffix = one.trim_start_matches('.');
                if in_zone(suffix, zone) {
                    both.push(one.clone());
                } else if in_zone(zone, suffix) {
                    both.push(zone.clone());
                }
            }
        }
        if both.is_empty() {
            self.close("--rfc2136-zone", &zones[0], "no domain filter lies in a zone of the server");
            return;
        }
        both.sort();
        both.dedup();
        *filter = both;
    }

    /// Suffixes; blank ones count as none. One that cannot be read matches nothing; as an exclusion it closes.
    fn domains(&mut self, field: &str, list: &[Name], exclusion: bool) -> Vec<Name> {
        let mut kept = Vec::new();
        for text in list {
            let name = text.trim();
            // The name of a wildcard record is compared like any other: there is nothing below it.
            let (dot, rest) = ["*.", "."]
                .into_iter()
                .find_map(|start| Some((start, name.strip_prefix(start)?)))
                .unwrap_or(("", name));
            if name.is_empty() || name == "." {
                continue;
            }
            match suffix(rest) {
                Ok(name) => kept.push(format!("{dot}{name}").into()),
                Err(why) if exclusion => self.close(field, text, why.to_string()),
                Err(why) => {
                    let (field, value) = (field.into(), text.to_string());
                    self.problems.push(DnsProblem::InvalidName { field, value, why });
                    // Dropping it could widen the scope to every name.
                    kept.push(text.clone());
                }
            }
        }
        kept
    }
}

/// The types that are managed. One that is none has stopped the component.
fn types(from: &ExternalDns) -> Vec<RecordType> {
    let known = |text: &Name| ADDRESSES.into_iter().find(|known| known.as_str() == &**text);
    let excluded: Vec<RecordType> = from.excluded_types.iter().filter_map(known).collect();
    let mut types: Vec<RecordType> = from.record_types.iter().filter_map(known).collect();
    if from.record_types.is_empty() {
        types = ADDRESSES.to_vec();
    }
    types.retain(|r#type| !excluded.contains(r#type));
    types
}

/// A name as a suffix of others: it cannot hold what no name below it holds.
fn suffix(text: &str) -> Result<Name, InvalidName> {
    let name = normal_name(text)?;
    let holds = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.chars().all(holds) { Ok(name) } else { Err(InvalidName::NotHost) }
}
