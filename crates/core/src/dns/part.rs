//! Planning some names of a zone instead of all: a changed name costs that name.
//!
//! What a plan does about a name depends on what stands there, on its registry TXT sets, and on the other names that have
//! the same registry TXT (with a wildcard replacement, `*.x` and one more). These are decided together; all others are
//! not looked at. Such a plan says of its names what the plan of the whole zone says of them.

use std::collections::BTreeSet;

use portolan_model::{
    Name,
    dns::{RecordSet, RecordType},
};

use super::rows::DnsSettings;

/// Names of a zone that are decided together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The names.
    pub names: BTreeSet<Name>,
    /// Names of the registry TXT sets that can speak of them.
    pub registry: BTreeSet<Name>,
}

impl Part {
    /// These names of a zone, with all that have a registry TXT in common with one of them under one of the components.
    pub fn of<'n>(
        names: impl IntoIterator<Item = &'n Name>,
        zone: &Name,
        components: &[DnsSettings],
    ) -> Self {
        let registries: Vec<_> =
            components.iter().map(|component| component.plan.registry.at(zone)).collect();
        let mut part = Self::default();
        let mut open: Vec<Name> = names.into_iter().cloned().collect();
        while let Some(name) = open.pop() {
            if !part.names.insert(name.clone()) {
                continue;
            }
            for registry in &registries {
                for txt in
                    RecordType::ALL.into_iter().filter_map(|r#type| registry.txt_name(&name, r#type).ok())
                {
                    if part.registry.insert(txt.clone()) {
                        open.extend(registry.spoken_of(&txt));
                    }
                }
            }
        }
        part
    }

    /// What has to be read for it.
    pub fn read(&self) -> BTreeSet<Name> {
        self.names.union(&self.registry).cloned().collect()
    }

    /// Whether a set that was read belongs to it: all of its names, and of the registry what decides whether an entry can
    /// be there.
    pub fn holds(&self, set: &RecordSet) -> bool {
        let of_registry = matches!(set.r#type, RecordType::Txt | RecordType::Cname);
        self.names.contains(&set.name) || of_registry && self.registry.contains(&set.name)
    }
}
