//! Record sets (RFC 2181 section 5): all records of one name and type, which live and change together.

use std::fmt;

use crate::Name;

/// The types that are managed, and TXT, which carries ownership and challenge tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    #[serde(rename = "AAAA")]
    Aaaa,
    /// Alias of another name; excludes every other type at its name.
    #[serde(rename = "CNAME")]
    Cname,
    /// Text.
    #[serde(rename = "TXT")]
    Txt,
}

impl RecordType {
    /// All of them, in the order in which they compare.
    pub const ALL: [Self; 4] = [Self::A, Self::Aaaa, Self::Cname, Self::Txt];

    /// As in a zone file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Txt => "TXT",
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// All records of one name and type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct RecordSet {
    /// Owner name, in the normal form of [`super::normal_name`]: lower case, no trailing dot.
    pub name: Name,
    /// Type.
    pub r#type: RecordType,
    /// Seconds; `None` in a desired record means the provider's default, and is never compared.
    pub ttl: Option<u32>,
    /// Sorted, without duplicates. Addresses in canonical text, CNAME targets in the normal form of names, TXT values
    /// as their plain content: no quotes, no escapes, not cut at 255 bytes.
    pub values: Vec<String>,
}

impl RecordSet {
    /// A set with its values brought into the form that [`RecordSet::values`] states. Values that are not valid for the
    /// type are kept as they are: the provider refuses them with a reason.
    pub fn new(
        name: impl Into<Name>,
        r#type: RecordType,
        ttl: Option<u32>,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let mut values: Vec<String> = values.into_iter().map(|v| normal_value(r#type, v.into())).collect();
        values.sort_unstable();
        values.dedup();
        Self { name: name.into(), r#type, ttl, values }
    }

    /// Name and type: what identifies the set within its zone.
    pub fn key(&self) -> (Name, RecordType) {
        (self.name.clone(), self.r#type)
    }
}

impl fmt::Display for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} [{}]", self.name, self.r#type, self.values.join(", "))
    }
}

fn normal_value(r#type: RecordType, value: String) -> String {
    match r#type {
        RecordType::A => value.parse::<std::net::Ipv4Addr>().map_or(value, |ip| ip.to_string()),
        RecordType::Aaaa => value.parse::<std::net::Ipv6Addr>().map_or(value, |ip| ip.to_string()),
        RecordType::Cname => super::normal_name(&value).map_or(value, |name| name.as_str().to_owned()),
        RecordType::Txt => value,
    }
}

/// What a zone held at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The zone.
    pub zone: Name,
    /// SOA serial, or the provider's version number.
    pub serial: u32,
    /// Whether the provider proved that nothing is left out (SOA first and last, last page seen). Nothing is planned on an
    /// incomplete snapshot: what is left out would look deleted.
    pub complete: bool,
    /// Every set of the managed types and TXT, sorted by name and type. SOA and NS of the apex are not in it.
    pub sets: Vec<RecordSet>,
}
