//! Several external-dns components over one zone: each plans the names that it has won.

use std::collections::BTreeSet;

use portolan_model::{
    Name,
    dns::{RecordType, Snapshot},
};

use super::{
    Part, Plan, WantedRecord,
    plan::{plan, plan_part},
    rows::{DnsSettings, WantedName},
};

/// What one component does about a zone. The owner in the registry keeps components apart. Where two have one owner, what
/// the other wants is hidden from this one: else each would delete what the other has made. Of a part of the zone, with the
/// number of its sets that are the component's, only that part is planned.
pub fn plan_of<'a>(
    component: &DnsSettings,
    all: &[DnsSettings],
    wanted: impl IntoIterator<Item = &'a WantedName>,
    observed: &Snapshot,
    part: Option<(&Part, usize)>,
) -> Plan {
    let decide = |records: &[WantedRecord], observed: &Snapshot| match part {
        None => plan(records, observed, &component.plan),
        Some((part, owned)) => plan_part(records, observed, &component.plan, part, owned),
    };
    let mut records: Vec<WantedRecord> = Vec::new();
    let mut own: BTreeSet<&Name> = BTreeSet::new();
    let mut hidden: BTreeSet<Name> = BTreeSet::new();
    for row in wanted {
        if row.component == component.key {
            own.insert(&row.key);
            records.extend(row.records.iter().cloned());
            continue;
        }
        let other = all.iter().find(|other| other.key == row.component);
        let Some(other) = other.filter(|other| other.plan.owner == component.plan.owner) else { continue };
        let registry = other.plan.registry.at(&observed.zone);
        let entry = |r#type| registry.txt_name(&row.key, r#type).ok();
        hidden.extend(RecordType::ALL.into_iter().filter_map(entry));
        hidden.insert(row.key.clone());
    }
    // One that cannot be followed desires nothing at the moment: what stands in its scope stays.
    let broken = |other: &&DnsSettings| !other.managed && other.plan.owner == component.plan.owner;
    for other in all.iter().filter(broken) {
        let names = observed.sets.iter().map(|set| &set.name);
        hidden.extend(names.filter(|name| other.plan.in_scope(name) && !own.contains(name)).cloned());
    }
    if hidden.is_empty() {
        return decide(&records, observed);
    }
    let sets = observed.sets.iter().filter(|set| !hidden.contains(&set.name)).cloned().collect();
    let seen = Snapshot { sets, zone: observed.zone.clone(), ..*observed };
    decide(&records, &seen)
}
