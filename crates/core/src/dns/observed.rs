//! A snapshot as the planner reads it: sets by name and type, and whose they are.

use std::collections::BTreeMap;

use portolan_model::{
    Name,
    dns::{RecordSet, RecordType, Snapshot},
};

use super::{Ownership, Registry, Settings};

/// What the registry says about a set.
#[derive(Clone, Debug)]
pub(super) enum Entry<'a> {
    /// There is no TXT of that name.
    Free,
    /// There is something else at that name: no registry TXT, or one that belongs to another set.
    Taken,
    /// A registry TXT.
    Of(&'a RecordSet, Ownership),
}

/// The sets of a zone, indexed.
pub(super) struct Observed<'a> {
    sets: BTreeMap<(Name, RecordType), &'a RecordSet>,
    /// Registry TXT name to the one set that it speaks of. With a wildcard replacement two names can map to one TXT; nobody
    /// can say then which of the two it means (`None`), so neither counts as ours.
    speaks_of: BTreeMap<Name, Option<(Name, RecordType)>>,
    /// How registry TXT sets are named in this zone.
    pub registry: Registry,
}

impl<'a> Observed<'a> {
    pub fn new(snapshot: &'a Snapshot, settings: &Settings) -> Self {
        let sets: BTreeMap<_, _> = snapshot.sets.iter().map(|set| (set.key(), set)).collect();
        let registry = settings.registry.at(&snapshot.zone);
        let mut speaks_of = BTreeMap::new();
        for ((name, r#type), set) in &sets {
            if is_registry(set) {
                continue;
            }
            if let Ok(txt) = registry.txt_name(name, *r#type) {
                speaks_of
                    .entry(txt)
                    .and_modify(|one| *one = None)
                    .or_insert_with(|| Some((name.clone(), *r#type)));
            }
        }
        Self { sets, speaks_of, registry }
    }

    pub fn set(&self, name: &Name, r#type: RecordType) -> Option<&'a RecordSet> {
        self.sets.get(&(name.clone(), r#type)).copied()
    }

    /// All sets of a name, registry TXT included.
    pub fn at<'s>(&'s self, name: &'s Name) -> impl Iterator<Item = &'a RecordSet> + 's {
        RecordType::ALL.into_iter().filter_map(|r#type| self.set(name, r#type))
    }

    /// All sets that are not registry TXT.
    pub fn data(&self) -> impl Iterator<Item = &'a RecordSet> {
        self.sets.values().copied().filter(|set| !is_registry(set))
    }

    /// What stands at the registry name `txt` of the set `name` `type`.
    pub fn entry(&self, name: &Name, r#type: RecordType, txt: &Name) -> Entry<'a> {
        let of_another =
            self.speaks_of.get(txt).is_some_and(|one| one.as_ref() != Some(&(name.clone(), r#type)));
        if of_another || self.set(txt, RecordType::Cname).is_some() {
            return Entry::Taken;
        }
        let Some(found) = self.set(txt, RecordType::Txt) else { return Entry::Free };
        let ownership = found.values.first().and_then(|value| Ownership::parse(value));
        ownership.map_or(Entry::Taken, |ownership| Entry::Of(found, ownership))
    }

    /// Owner of an observed set by the registry, with its TXT.
    pub fn owner(&self, set: &RecordSet) -> Option<(&'a RecordSet, Ownership)> {
        let txt = self.registry.txt_name(&set.name, set.r#type).ok()?;
        match self.entry(&set.name, set.r#type, &txt) {
            Entry::Of(txt, ownership) => Some((txt, ownership)),
            Entry::Free | Entry::Taken => None,
        }
    }

    /// As [`Observed::owner`], if it is us.
    pub fn ours(&self, set: &RecordSet, settings: &Settings) -> Option<(&'a RecordSet, Ownership)> {
        self.owner(set).filter(|(_, ownership)| is_owner(ownership, settings))
    }
}

/// Whether an entry names our owner, or the one whose records become ours. An empty owner id owns nothing.
pub(super) fn is_owner(ownership: &Ownership, settings: &Settings) -> bool {
    ownership.owner().is_some_and(|owner| owner == &*settings.owner || owner == &*settings.old_owner)
}

fn is_registry(set: &RecordSet) -> bool {
    set.r#type == RecordType::Txt && set.values.first().is_some_and(|value| Ownership::parse(value).is_some())
}
