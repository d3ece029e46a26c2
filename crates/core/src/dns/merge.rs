//! What is desired, and how equal desired records of several objects become one.

use std::collections::BTreeMap;

use portolan_model::{
    Name,
    dns::{RecordSet, RecordType},
};

/// A record set that an object asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WantedRecord {
    /// The set.
    pub set: RecordSet,
    /// Resource label of the object ([`super::registry::resource_label`]).
    pub resource: Name,
}

/// Unites desired records with equal name, type and TTL: their values together, under the label that sorts first. CNAMEs are not
/// united (they have one target). This is what external-dns' Gateway sources do before planning; desired records that still
/// differ afterwards are decided by [`super::plan`].
pub fn merge(wanted: impl IntoIterator<Item = WantedRecord>) -> Vec<WantedRecord> {
    let mut by_key: BTreeMap<(Name, RecordType, Option<u32>), WantedRecord> = BTreeMap::new();
    let mut result = Vec::new();
    for desired in wanted {
        if desired.set.r#type == RecordType::Cname {
            result.push(desired);
            continue;
        }
        match by_key.entry((desired.set.name.clone(), desired.set.r#type, desired.set.ttl)) {
            std::collections::btree_map::Entry::Vacant(free) => _ = free.insert(desired),
            std::collections::btree_map::Entry::Occupied(mut taken) => {
                let one = taken.get_mut();
                one.resource = one.resource.clone().min(desired.resource);
                one.set.values.extend(desired.set.values);
                one.set.values.sort_unstable();
                one.set.values.dedup();
            }
        }
    }
    result.extend(by_key.into_values());
    result.sort();
    result.dedup();
    result
}
