//! Where the settings of the room come from: the external-dns component of the environment, or defaults.

use portolan_model::{
    LabelSelector, Name, RouteKind,
    dns::{RecordType, normal_name},
};

use super::{DnsProblem, Registry, Settings, rows::DnsSettings, selector};
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
            sources: vec![RouteKind::Http, RouteKind::Grpc],
            labels: LabelSelector::default(),
            annotations: LabelSelector::default(),
            types: ADDRESSES.to_vec(),
            interval_seconds: INTERVAL,
            plan: Settings { owner: owner.into(), ..Settings::default() },
        }
    }

    /// For an environment without external-dns: nobody asked for records, so none are made.
    pub fn unmanaged() -> Self {
        Self { managed: false, ..Self::of_folder("") }
    }

    /// As external-dns was told; the second part is what cannot be done that way. `wildcard_replacement` is left unset:
    /// the adapter lists it among the values without effect. With a filter of routes that cannot be read nothing is managed:
    /// external-dns does not start with one, so what stands stays as it is.
    pub fn of_external_dns(from: &ExternalDns) -> (Self, Vec<DnsProblem>) {
        let mut problems = Vec::new();
        let registry = Registry::new(&from.txt_prefix, &from.txt_suffix, "").unwrap_or_else(|problem| {
            problems.push(problem);
            Registry::default()
        });
        let source = |source: &Name| match &**source {
            "gateway-httproute" => Some(RouteKind::Http),
            "gateway-grpcroute" => Some(RouteKind::Grpc),
            _ => None,
        };
        let known = |text: &Name| ADDRESSES.into_iter().find(|known| known.as_str() == &**text);
        let types: Vec<RecordType> = from.record_types.iter().filter_map(known).collect();
        let mut filters = |field: &str, list: &[Name]| -> Vec<Name> {
            let mut kept = Vec::new();
            for text in list {
                let name = text.trim();
                let (dot, rest) = name.strip_prefix('.').map_or(("", name), |rest| (".", rest));
                match normal_name(rest) {
                    Ok(name) => kept.push(format!("{dot}{name}").into()),
                    Err(why) => {
                        problems.push(DnsProblem::InvalidName {
                            field: field.into(),
                            value: text.to_string(),
                            why,
                        });
                        // A filter that cannot be read matches nothing: dropping it could widen the scope to every name.
                        kept.push(text.clone());
                    }
                }
            }
            kept
        };
        let domain_filter = filters("domainFilters", &from.domain_filters);
        let exclude = filters("excludeDomains", &from.exclude_domains);
        let labels = selector::parse(&from.label_filter);
        let annotations = selector::parse_plain(&from.annotation_filter);
        let managed = labels.is_ok() && annotations.is_ok();
        let mut selects = |field: &str, text: &Name, selector: Result<LabelSelector, String>| {
            selector.unwrap_or_else(|why| {
                let (field, value) = (field.into(), text.to_string());
                problems.push(DnsProblem::InvalidSelector { field, value, why });
                LabelSelector::default()
            })
        };
        let settings = Self {
            key: from.application.clone(),
            managed,
            labels: selects("labelFilter", &from.label_filter, labels),
            annotations: selects("annotationFilter", &from.annotation_filter, annotations),
            sources: from.sources.iter().filter_map(source).collect(),
            types: if from.record_types.is_empty() { ADDRESSES.to_vec() } else { types },
            interval_seconds: from.interval_seconds,
            plan: Settings {
                owner: from.owner.clone(),
                policy: from.policy,
                domain_filter,
                exclude,
                registry,
                allow_mass_deletion: false,
            },
        };
        (settings, problems)
    }
}
