//! From targets to record sets: an IPv4 target makes A, an IPv6 target AAAA, any other CNAME.

use portolan_model::{
    Name,
    dns::{RecordSet, RecordType},
};

/// Record type that a target asks for.
pub fn target_type(target: &str) -> RecordType {
    match target.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => RecordType::A,
        Ok(std::net::IpAddr::V6(_)) => RecordType::Aaaa,
        Err(_) => RecordType::Cname,
    }
}

/// The sets that publish `name` at `targets`, one a type. A host with both IP and name targets yields both kinds; the
/// planner then drops the CNAME and says so.
#[allow(clippy::needless_pass_by_value, reason = "an iterator is taken, as std does")]
pub fn record_sets<'a>(
    name: &Name,
    targets: &(impl IntoIterator<Item = &'a str> + Clone),
    ttl: Option<u32>,
) -> Vec<RecordSet> {
    [RecordType::A, RecordType::Aaaa, RecordType::Cname]
        .into_iter()
        .filter_map(|r#type| {
            let values: Vec<&str> =
                targets.clone().into_iter().filter(|target| target_type(target) == r#type).collect();
            (!values.is_empty()).then(|| RecordSet::new(name.clone(), r#type, ttl, values))
        })
        .collect()
}
