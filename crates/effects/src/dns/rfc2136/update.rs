//! Update messages (RFC 2136): what must hold, and what holds afterwards.

use std::collections::BTreeMap;

use domain::base::{
    Name as WireName, Rtype, Ttl,
    iana::{Class, Opcode},
    message_builder::{AdditionalBuilder, PushError},
    rdata::UnknownRecordData,
};
use portolan_model::{
    Name,
    dns::{Change, Content, Precondition, RecordSet, RecordType, in_zone},
};

use super::{
    super::{embedded::bytes_of, query::rtype},
    exchange::message,
    zone::{Copy, Held},
};
use crate::dns::embedded::wire_name;

/// What sets are after the groups that were made of late, by what is known: `None`: nothing is there.
pub(super) type Made = BTreeMap<(Name, RecordType), Option<Held>>;

/// A group as a message, and what it makes of each set.
pub(super) struct Update {
    pub message: AdditionalBuilder<Vec<u8>>,
    pub makes: Made,
}

struct Sections {
    zone: WireName<Vec<u8>>,
    prerequisites: Vec<Entry>,
    updates: Vec<Entry>,
}

/// A record of a section that is no plain record of the zone.
struct Entry {
    name: WireName<Vec<u8>>,
    class: Class,
    r#type: Rtype,
    ttl: u32,
    bytes: Vec<u8>,
}

/// Makes the message of a group. What is known to contradict its preconditions is refused at once, and the server is told to look
/// again.
///
/// # Errors
/// One sentence: what the server would refuse, or do by halves.
pub(super) fn of_group(
    zone: &Name,
    changes: &[Change],
    copy: &Copy,
    made: &Made,
    default_ttl: u32,
) -> Result<Update, String> {
    let mut sections = Sections { zone: wire_name(zone)?, prerequisites: Vec::new(), updates: Vec::new() };
    let mut makes = Made::new();
    for change in changes {
        let (name, r#type) = change.key();
        if !in_zone(&name, zone) {
            return Err(format!("{name} is not in zone {zone}"));
        }
        let held = match made.get(&(name.clone(), r#type)) {
            Some(held) => held.as_ref(),
            None => copy.get(&name, r#type),
        };
        sections.precondition(&change.precondition, &name, r#type, held)?;
        makes.insert((name, r#type), after(&change.content, default_ttl)?);
    }
    for (name, r#type) in makes.keys() {
        sections.alias_stands_alone(zone, (name, *r#type), copy, (made, &makes))?;
    }
    // Removals first: an alias gives way to addresses within one message.
    for (name, r#type) in makes.keys() {
        sections.update(name, Class::ANY, rtype(*r#type), 0, Vec::new())?;
    }
    for ((name, r#type), held) in &makes {
        for bytes in held.iter().flat_map(|held| held.values.keys()) {
            let ttl = held.as_ref().map(|held| held.ttl).unwrap_or_default();
            sections.update(name, Class::IN, rtype(*r#type), ttl, bytes.clone())?;
        }
    }
    let message = sections.message().map_err(|_| "the group does not fit into one message".to_owned())?;
    Ok(Update { message, makes })
}

/// Adds one value to what stands, or takes it out.
pub(super) fn of_value(
    zone: &Name,
    (name, r#type): (&Name, RecordType),
    bytes: Vec<u8>,
    add: Option<u32>,
) -> Result<AdditionalBuilder<Vec<u8>>, String> {
    let mut sections = Sections { zone: wire_name(zone)?, prerequisites: Vec::new(), updates: Vec::new() };
    match add {
        Some(ttl) => {
            // A server leaves a record beside an alias out in silence (RFC 2136 section 3.4.2.2).
            sections.require(name, Class::NONE, Rtype::CNAME, Vec::new())?;
            sections.update(name, Class::IN, rtype(r#type), ttl, bytes)?;
        }
        None => sections.update(name, Class::NONE, rtype(r#type), 0, bytes)?,
    }
    sections.message().map_err(|_| "the value does not fit into one message".to_owned())
}

/// A set as it will be held.
fn after(content: &Content, default_ttl: u32) -> Result<Option<Held>, String> {
    let Content::Set(set) = content else { return Ok(None) };
    if set.values.is_empty() {
        return Err(format!("{} {} has no values", set.name, set.r#type));
    }
    if set.r#type == RecordType::Cname && set.values.len() > 1 {
        return Err(format!("{} is an alias of {} names; it can be one of one", set.name, set.values.len()));
    }
    Ok(Some(Held { ttl: set.ttl.unwrap_or(default_ttl), values: encode(set)? }))
}

fn encode(set: &RecordSet) -> Result<BTreeMap<Vec<u8>, String>, String> {
    set.values.iter().map(|text| Ok((bytes_of(set.r#type, text)?, text.clone()))).collect()
}

impl Sections {
    fn precondition(
        &mut self,
        precondition: &Precondition,
        name: &Name,
        r#type: RecordType,
        held: Option<&Held>,
    ) -> Result<(), String> {
        match precondition {
            Precondition::Any => Ok(()),
            Precondition::Absent => {
                if let Some(held) = held {
                    return Err(format!("{} is there already", held.set(name, r#type)));
                }
                self.require(name, Class::NONE, rtype(r#type), Vec::new())
            }
            Precondition::Equals(old) => {
                let Some(held) = held else { return Err(format!("{old} is not there")) };
                let stands = held.set(name, r#type);
                if stands.values != old.values {
                    return Err(format!("{stands} stands there, not [{}]", old.values.join(", ")));
                }
                // The protocol compares values only, so a TTL is what it was when the zone was read.
                if old.ttl.is_some_and(|ttl| ttl != held.ttl) {
                    let ttl = old.ttl.unwrap_or_default();
                    return Err(format!("{stands} has a TTL of {} s, not {ttl}", held.ttl));
                }
                for bytes in held.values.keys() {
                    self.require(name, Class::IN, rtype(r#type), bytes.clone())?;
                }
                Ok(())
            }
        }
    }

    /// A server leaves out in silence what would stand beside an alias: so it is looked for here, and by the server.
    fn alias_stands_alone(
        &mut self,
        zone: &Name,
        (name, r#type): (&Name, RecordType),
        copy: &Copy,
        (made, makes): (&Made, &Made),
    ) -> Result<(), String> {
        let key = |r#type| (name.clone(), r#type);
        if !makes.get(&key(r#type)).is_some_and(Option::is_some) {
            return Ok(());
        }
        let stands = |r#type| match makes.get(&key(r#type)).or_else(|| made.get(&key(r#type))) {
            Some(held) => held.is_some(),
            None => copy.get(name, r#type).is_some(),
        };
        let alias = r#type == RecordType::Cname;
        if alias && name == zone {
            return Err(format!(
                "{name} is the apex of its zone, where SOA and NS stand, and an alias stands alone"
            ));
        }
        if alias && copy.has_others(name) {
            return Err(format!("{name} has records of other types, and an alias stands alone"));
        }
        for other in RecordType::ALL {
            let excluded = other != r#type && (alias || other == RecordType::Cname);
            if !excluded {
                continue;
            }
            if stands(other) {
                return Err(format!("{name} would have {type} and {other}, and an alias stands alone"));
            }
            if !makes.contains_key(&key(other)) {
                self.require(name, Class::NONE, rtype(other), Vec::new())?;
            }
        }
        Ok(())
    }

    fn require(&mut self, name: &Name, class: Class, r#type: Rtype, bytes: Vec<u8>) -> Result<(), String> {
        let entry = Entry { name: wire_name(name)?, class, r#type, ttl: 0, bytes };
        self.prerequisites.push(entry);
        Ok(())
    }

    fn update(
        &mut self,
        name: &Name,
        class: Class,
        r#type: Rtype,
        ttl: u32,
        bytes: Vec<u8>,
    ) -> Result<(), String> {
        self.updates.push(Entry { name: wire_name(name)?, class, r#type, ttl, bytes });
        Ok(())
    }

    fn message(&self) -> Result<AdditionalBuilder<Vec<u8>>, PushError> {
        let mut question = message(Opcode::UPDATE).question();
        question.push((&self.zone, Rtype::SOA))?;
        let mut prerequisites = question.answer();
        for entry in &self.prerequisites {
            prerequisites.push(entry.record()?)?;
        }
        let mut updates = prerequisites.authority();
        for entry in &self.updates {
            updates.push(entry.record()?)?;
        }
        Ok(updates.additional())
    }
}

impl Entry {
    #[allow(clippy::type_complexity, reason = "a record as the library composes it")]
    fn record(&self) -> Result<(&WireName<Vec<u8>>, Class, Ttl, UnknownRecordData<&[u8]>), PushError> {
        let data = UnknownRecordData::from_octets(self.r#type, self.bytes.as_slice());
        Ok((&self.name, self.class, Ttl::from_secs(self.ttl), data.map_err(|_| PushError::ShortBuf)?))
    }
}
