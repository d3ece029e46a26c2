//! One zone in memory: a tree of names kept as a sorted map, so that "is there anything below" is one look-up.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Bound,
};

use domain::{
    base::{Name as WireName, rdata::ComposeRecordData as _},
    rdata::Txt,
};
use portolan_model::{
    Name,
    dns::{Change, Content, Group, Precondition, RecordSet, RecordType, labels, text_of},
};

/// Labels from the root down, lower case: all names below a name follow it in the order of paths.
pub type Path = Vec<Vec<u8>>;

/// Host label of the name server that every zone gets, with the server's address.
pub const NAME_SERVER: &str = "portolan-ns";
/// TTL of sets that ask for none, in seconds; also of SOA and NS.
pub const DEFAULT_TTL: u32 = 300;
/// How long a missing name may be remembered, in seconds (SOA MINIMUM, RFC 2308). Short: tokens and hosts appear often here.
pub const NEGATIVE_TTL: u32 = 30;
/// Highest TTL (RFC 2181 section 8).
pub const MAX_TTL: u32 = 0x7fff_ffff;
/// Longest TXT value: with its length bytes (one for each 255), it must fit a message of 65,535 bytes with its question.
pub const MAX_TEXT: usize = 60_000;

/// A value as it is answered. A set is kept as text alone, which was found to be valid when it was written: of a hundred
/// thousand names few are asked for.
#[derive(Clone, Debug)]
pub enum Value {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(WireName<Vec<u8>>),
    Txt(Txt<Vec<u8>>),
}

/// The sets of one name by type. Most names have one, of which a map would make room for eleven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node(Vec<RecordSet>);

impl Node {
    fn place(&self, r#type: RecordType) -> Result<usize, usize> {
        self.0.binary_search_by_key(&r#type, |set| set.r#type)
    }

    /// The set of a type.
    pub fn get(&self, r#type: RecordType) -> Option<&RecordSet> {
        self.place(r#type).ok().map(|at| &self.0[at])
    }

    /// All sets, by type.
    pub fn sets(&self) -> impl Iterator<Item = &RecordSet> {
        self.0.iter()
    }

    fn put(&mut self, set: RecordSet) {
        match self.place(set.r#type) {
            Ok(at) => self.0[at] = set,
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, set);
            }
        }
    }

    fn remove(&mut self, r#type: RecordType) {
        if let Ok(at) = self.place(r#type) {
            self.0.remove(at);
        }
    }
}

/// TTL of a set that is served.
pub fn ttl(set: &RecordSet) -> u32 {
    set.ttl.unwrap_or(DEFAULT_TTL)
}

/// Values of a set that is served.
pub fn values(set: &RecordSet) -> impl Iterator<Item = Value> {
    set.values.iter().filter_map(|text| value(set.r#type, text).ok())
}

/// What stands at a name.
pub enum Found<'z> {
    /// Sets: of the name itself, or of the wildcard that covers it. Empty for an empty non-terminal.
    Node(&'z Node),
    /// Neither the name nor anything below it, nor a wildcard that covers it.
    Missing,
}

/// A zone.
#[derive(Clone, Debug)]
pub struct Zone {
    pub name: Name,
    pub serial: u32,
    pub apex: Path,
    nodes: BTreeMap<Path, Node>,
    /// The name server's own host: served, but not part of the content.
    host: Path,
}

static EMPTY: Node = Node(Vec::new());

impl Zone {
    /// An empty zone that is served from `address` (no address record is made for an unspecified one).
    pub fn new(name: &Name, address: IpAddr) -> Result<Self, String> {
        let apex = path(name)?;
        if apex.is_empty() {
            return Err("the root cannot be a zone here".to_owned());
        }
        let mut host = apex.clone();
        host.push(NAME_SERVER.as_bytes().to_vec());
        let mut nodes = BTreeMap::new();
        if !address.is_unspecified() {
            let r#type = if address.is_ipv4() { RecordType::A } else { RecordType::Aaaa };
            let host_name = format!("{NAME_SERVER}.{name}");
            let stored = stored(&RecordSet::new(host_name, r#type, None, [address.to_string()]))?;
            nodes.insert(host.clone(), Node(vec![stored]));
        }
        Ok(Self { name: name.clone(), serial: 1, apex, nodes, host })
    }

    /// Whether a name lies in the zone.
    pub fn holds(&self, path: &[Vec<u8>]) -> bool {
        path.starts_with(&self.apex)
    }

    /// The content, sorted by name and type.
    pub fn sets(&self) -> Vec<RecordSet> {
        let content = self.nodes.iter().filter(|(path, _)| **path != self.host);
        let mut sets: Vec<_> = content.flat_map(|(_, node)| node.sets().cloned()).collect();
        sets.sort_unstable();
        sets
    }

    /// The content of one name.
    pub fn sets_of(&self, path: &[Vec<u8>]) -> impl Iterator<Item = &RecordSet> {
        let node = self.nodes.get(path).filter(|_| path != self.host);
        node.into_iter().flat_map(Node::sets)
    }

    /// One set.
    pub fn set(&self, path: &[Vec<u8>], r#type: RecordType) -> Option<&RecordSet> {
        self.nodes.get(path)?.get(r#type)
    }

    /// Looks a name up by RFC 1034 section 4.3.2 and RFC 4592: the name itself, else the wildcard at its closest encloser.
    pub fn find(&self, path: &[Vec<u8>]) -> Found<'_> {
        if self.exists(path) {
            return Found::Node(self.nodes.get(path).unwrap_or(&EMPTY));
        }
        let encloser = (self.apex.len()..path.len()).rev().find(|depth| self.exists(&path[..*depth]));
        let mut wildcard = path[..encloser.unwrap_or(self.apex.len())].to_vec();
        wildcard.push(b"*".to_vec());
        if self.exists(&wildcard) {
            return Found::Node(self.nodes.get(&wildcard).unwrap_or(&EMPTY));
        }
        Found::Missing
    }

    /// Whether the name has sets, or something stands below it (an empty non-terminal exists, RFC 4592 section 2.2.2).
    fn exists(&self, path: &[Vec<u8>]) -> bool {
        if path.len() <= self.apex.len() {
            return self.holds(path);
        }
        let from = (Bound::Included(path), Bound::Unbounded);
        self.nodes.range::<[Vec<u8>], _>(from).next().is_some_and(|(found, _)| found.starts_with(path))
    }

    /// Makes a group, all of it or nothing. `Ok(false)` if the zone held it already.
    ///
    /// # Errors
    /// What is wrong with the group, one sentence; the zone is unchanged.
    pub fn apply(&mut self, group: &Group) -> Result<bool, String> {
        let mut staged: BTreeMap<Path, Node> = BTreeMap::new();
        for change in &group.changes {
            let (name, r#type) = change.key();
            let at = path(&name)?;
            self.check_name(&at, &name)?;
            self.check_precondition(change, &at)?;
            let node =
                staged.entry(at.clone()).or_insert_with(|| self.nodes.get(&at).cloned().unwrap_or_default());
            match &change.content {
                Content::Set(set) => node.put(stored(set)?),
                Content::Nothing { .. } => node.remove(r#type),
            }
        }
        for (at, node) in &staged {
            if node.0.len() > 1 && node.get(RecordType::Cname).is_some() {
                return Err(format!(
                    "{} would hold a CNAME beside other records (RFC 1034 section 3.6.2)",
                    text_of(at.iter().rev())
                ));
            }
        }
        let mut changed = false;
        for (at, node) in staged {
            if *self.nodes.get(&at).unwrap_or(&EMPTY) == node {
                continue;
            }
            changed = true;
            if node.0.is_empty() {
                self.nodes.remove(&at);
            } else {
                self.nodes.insert(at, node);
            }
        }
        if changed {
            // RFC 1982: the serial wraps; zero is left out, some secondaries take it for "none".
            self.serial = self.serial.wrapping_add(1).max(1);
        }
        Ok(changed)
    }

    fn check_name(&self, at: &[Vec<u8>], name: &Name) -> Result<(), String> {
        if !self.holds(at) {
            return Err(format!("{name} is not in zone {}", self.name));
        }
        if at == self.host {
            return Err(format!("{name} is kept for the zone's name server; use another host name"));
        }
        Ok(())
    }

    fn check_precondition(&self, change: &Change, at: &[Vec<u8>]) -> Result<(), String> {
        let (name, r#type) = change.key();
        if let Content::Set(set) = &change.content
            && r#type == RecordType::Cname
            && at == self.apex
        {
            return Err(format!("a CNAME cannot stand at the apex {}: it would hide SOA and NS", set.name));
        }
        let present = self.set(at, r#type);
        match (&change.precondition, present) {
            (Precondition::Any, _) | (Precondition::Absent, None) => Ok(()),
            (Precondition::Absent, Some(present)) => Err(format!("{name} {type} exists already: {present}")),
            (Precondition::Equals(expected), None) => {
                Err(format!("{name} {type} is gone; expected {expected}"))
            }
            (Precondition::Equals(expected), Some(present)) => {
                let same = (present.ttl, &present.values) == (expected.ttl, &expected.values);
                if same {
                    Ok(())
                } else {
                    Err(format!("{name} {type} has changed: {present}, expected {expected}"))
                }
            }
        }
    }
}

/// Path of a name.
pub fn path(name: &str) -> Result<Path, String> {
    let mut path = labels(name).map_err(|why| format!("{name:?} is not a domain name: {why}"))?;
    path.reverse();
    Ok(path)
}

/// A set in the form in which it is served: valid values, a TTL, the name in normal form.
fn stored(set: &RecordSet) -> Result<RecordSet, String> {
    let ttl = set.ttl.unwrap_or(DEFAULT_TTL);
    if ttl > MAX_TTL {
        return Err(format!("{}: TTL {ttl} is above {MAX_TTL}", set.name));
    }
    let name =
        text_of(labels(&set.name).map_err(|why| format!("{:?} is not a domain name: {why}", set.name))?);
    let set = RecordSet::new(name, set.r#type, Some(ttl), set.values.iter().map(String::as_str));
    for text in &set.values {
        value(set.r#type, text).map_err(|why| format!("{} {}: {why}", set.name, set.r#type))?;
    }
    match (set.values.len(), set.r#type) {
        (0, _) => Err(format!("{} {}: a set needs a value", set.name, set.r#type)),
        (2.., RecordType::Cname) => Err(format!("{} CNAME: an alias has one target", set.name)),
        _ => Ok(set),
    }
}

fn value(r#type: RecordType, text: &str) -> Result<Value, String> {
    match r#type {
        RecordType::A => text.parse().map(Value::A).map_err(|_| format!("{text:?} is not an IPv4 address")),
        RecordType::Aaaa => {
            text.parse().map(Value::Aaaa).map_err(|_| format!("{text:?} is not an IPv6 address"))
        }
        RecordType::Cname => wire_name(text).map(Value::Cname),
        RecordType::Txt if text.len() > MAX_TEXT => {
            Err(format!("a text of {} bytes is longer than {MAX_TEXT}", text.len()))
        }
        // RFC 1035 section 3.3.14: one or more strings of at most 255 bytes; the reader joins them.
        RecordType::Txt => {
            let mut strings = Vec::with_capacity(text.len() + text.len() / 255 + 1);
            for chunk in text.as_bytes().chunks(255) {
                strings.push(u8::try_from(chunk.len()).unwrap_or(u8::MAX));
                strings.extend_from_slice(chunk);
            }
            if strings.is_empty() {
                strings.push(0);
            }
            Txt::from_octets(strings)
                .map(Value::Txt)
                .map_err(|why| format!("the text cannot be written: {why}"))
        }
    }
}

/// A value as it stands in messages, uncompressed.
///
/// # Errors
/// Why it is no value of the type.
pub fn bytes_of(r#type: RecordType, text: &str) -> Result<Vec<u8>, String> {
    Ok(match value(r#type, text)? {
        Value::A(ip) => ip.octets().to_vec(),
        Value::Aaaa(ip) => ip.octets().to_vec(),
        Value::Cname(name) => name.into_octets(),
        Value::Txt(text) => {
            let mut bytes = Vec::new();
            text.compose_rdata(&mut bytes).map_err(|why| why.to_string())?;
            bytes
        }
    })
}

/// A name as it stands in messages.
pub fn wire_name(name: &str) -> Result<WireName<Vec<u8>>, String> {
    let labels = labels(name).map_err(|why| format!("{name:?} is not a domain name: {why}"))?;
    let mut wire = Vec::new();
    for label in labels {
        wire.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        wire.extend(label);
    }
    wire.push(0);
    WireName::from_octets(wire).map_err(|why| format!("{name:?} is not a domain name: {why}"))
}
