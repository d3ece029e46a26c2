//! A copy of a zone, brought up to date by what changed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use domain::{
    base::{Name as WireName, ParsedName, Record, Rtype, rdata::ComposeRecordData as _},
    rdata::ZoneRecordData,
};
use portolan_model::{
    Name,
    dns::{RecordSet, RecordType, Snapshot, normal_name},
};

use super::super::query::rtype;

/// A record of a transfer.
pub(super) type Received = Record<ParsedName<Bytes>, ZoneRecordData<Bytes, ParsedName<Bytes>>>;

/// One difference between two versions.
pub(super) enum Difference {
    Added(Received),
    Removed(Received),
}

/// A set as the server holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub ttl: u32,
    /// Bytes as they came, with their text: two writers may cut one text at different places.
    pub values: BTreeMap<Vec<u8>, String>,
}

impl Held {
    pub(super) fn set(&self, name: &Name, r#type: RecordType) -> RecordSet {
        RecordSet::new(name.clone(), r#type, Some(self.ttl), self.values.values().cloned())
    }
}

/// What a zone held at one serial.
#[derive(Clone, Debug, Default)]
pub(super) struct Copy {
    pub serial: u32,
    sets: BTreeMap<(Name, RecordType), Held>,
    /// How many records of other types a name has: an alias excludes them too.
    others: BTreeMap<Name, u32>,
    /// Name servers of the apex.
    pub servers: BTreeSet<Name>,
}

impl Copy {
    /// A set.
    pub(super) fn get(&self, name: &Name, r#type: RecordType) -> Option<&Held> {
        self.sets.get(&(name.clone(), r#type))
    }

    /// Whether a name has records of a type that is not managed.
    pub(super) fn has_others(&self, name: &Name) -> bool {
        self.others.contains_key(name)
    }

    /// Everything, or the sets of some names.
    pub(super) fn snapshot(&self, zone: &Name, names: Option<&BTreeSet<Name>>) -> Snapshot {
        let set = |((name, r#type), held): (&(Name, RecordType), &Held)| held.set(name, *r#type);
        let sets = match names {
            None => self.sets.iter().map(set).collect(),
            Some(names) => names
                .iter()
                .flat_map(|name| RecordType::ALL.map(|r#type| (name.clone(), r#type)))
                .filter_map(|key| self.sets.get_key_value(&key))
                .map(set)
                .collect(),
        };
        Snapshot { zone: zone.clone(), serial: self.serial, complete: true, sets }
    }

    /// Takes a record in.
    pub(super) fn add(&mut self, zone: &Name, record: &Received) -> Result<(), String> {
        let name = owner(record)?;
        match managed(record) {
            Some((r#type, raw, text)) => {
                let held = self.sets.entry((name, r#type)).or_default();
                held.ttl = record.ttl().as_secs();
                held.values.insert(raw, text);
            }
            None => match record.data() {
                ZoneRecordData::Ns(ns) if name == *zone => {
                    self.servers.insert(normal(&ns.nsdname().to_string())?);
                }
                _ if excludes(record.rtype()) => *self.others.entry(name).or_default() += 1,
                _ => {}
            },
        }
        Ok(())
    }

    /// Takes a record out; an error if it was not there: then the copy is not what the server takes it for.
    pub(super) fn remove(&mut self, zone: &Name, record: &Received) -> Result<(), String> {
        let name = owner(record)?;
        let missing = || format!("{name} {} goes, and was not there", record.rtype());
        match managed(record) {
            Some((r#type, raw, _)) => {
                let key = (name.clone(), r#type);
                let held = self.sets.get_mut(&key).ok_or_else(missing)?;
                held.values.remove(&raw).ok_or_else(missing)?;
                if held.values.is_empty() {
                    self.sets.remove(&key);
                }
            }
            None => match record.data() {
                ZoneRecordData::Ns(ns) if name == *zone => {
                    self.servers.remove(&normal(&ns.nsdname().to_string())?);
                }
                _ if excludes(record.rtype()) => {
                    let count = self.others.get_mut(&name).ok_or_else(missing)?;
                    *count -= 1;
                    if *count == 0 {
                        self.others.remove(&name);
                    }
                }
                _ => {}
            },
        }
        Ok(())
    }
}

fn normal(text: &str) -> Result<Name, String> {
    normal_name(text).map_err(|why| format!("{text:?} in the transfer: {why}"))
}

fn owner(record: &Received) -> Result<Name, String> {
    normal(&record.owner().to_string())
}

/// Types that may not stand beside an alias. Those of DNSSEC may (RFC 4034).
fn excludes(r#type: Rtype) -> bool {
    !matches!(r#type, Rtype::SOA | Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3 | Rtype::KEY)
}

/// Type, bytes and text of a record of a managed type.
fn managed(record: &Received) -> Option<(RecordType, Vec<u8>, String)> {
    let (r#type, text) = match record.data() {
        ZoneRecordData::A(a) => (RecordType::A, a.addr().to_string()),
        ZoneRecordData::Aaaa(aaaa) => (RecordType::Aaaa, aaaa.addr().to_string()),
        ZoneRecordData::Cname(cname) => (RecordType::Cname, cname.cname().to_string()),
        ZoneRecordData::Txt(txt) => {
            let bytes: Vec<u8> = txt.iter().flatten().copied().collect();
            (RecordType::Txt, String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => return None,
    };
    debug_assert_eq!(rtype(r#type), record.rtype());
    let mut raw = Vec::new();
    match record.data() {
        // As it is written in requests: a name is one name in any case.
        ZoneRecordData::Cname(cname) => {
            let name: WireName<Vec<u8>> = cname.cname().to_string().parse().ok()?;
            raw.extend_from_slice(name.as_slice());
            raw.make_ascii_lowercase();
        }
        data => data.compose_rdata(&mut raw).ok()?,
    }
    Some((r#type, raw, text))
}
