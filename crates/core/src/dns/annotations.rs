//! The annotations of external-dns on routes and Gateways: under both prefixes at once, `external-dns.kubernetes.io/` (since
//! v0.22) and `external-dns.alpha.kubernetes.io/` (before), or under the one that a component is told. The newer prefix
//! wins where both are set. What has no effect is named ([`family`]).

pub mod family;

use std::{collections::BTreeMap, net::IpAddr};

use portolan_model::{
    Name,
    dns::{InvalidName, normal_name},
    nearest,
};

use super::DnsProblem;

/// Prefix since external-dns v0.22.
pub const STABLE: &str = "external-dns.kubernetes.io/";
/// Prefix before external-dns v0.22.
pub const ALPHA: &str = "external-dns.alpha.kubernetes.io/";

/// The minor version that reads [`STABLE`], and no longer [`ALPHA`].
const RENAMED: u32 = 22;

/// What `controller` says where external-dns is to act.
const CONTROLLER: &str = "dns-controller";

/// Under which prefix annotations are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// Both of external-dns' own.
    #[default]
    Both,
    /// Both, of which the external-dns that is declared, 0.n, reads one: that wins, and what stands under the other alone is
    /// said. Records are not given up for it: with 0.22 whole zones were.
    Declared(u32),
    /// This one alone (`--annotation-prefix`), slash included.
    One(Name),
}

impl Prefix {
    /// The prefixes, the one that wins first.
    pub fn all(&self) -> Vec<&str> {
        match self {
            Self::Declared(minor) if *minor < RENAMED => vec![ALPHA, STABLE],
            Self::Both | Self::Declared(_) => vec![STABLE, ALPHA],
            Self::One(prefix) => vec![prefix],
        }
    }
}

/// Which hostnames of a route are published (`gateway-hostname-source`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostnameSource {
    /// Those of `spec.hostnames` and those of the annotation.
    #[default]
    Both,
    /// `annotation-only`.
    AnnotationOnly,
    /// `defined-hosts-only`.
    DefinedHostsOnly,
}

/// What the annotations of one object say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// `hostname`: further names, in normal form; each must still match the listener.
    pub hostnames: Vec<Name>,
    /// `target` (read on Gateways only): replaces the Gateway's addresses; IP addresses or names, in normal form.
    pub targets: Vec<Name>,
    /// `target` is written and nothing in it can be a target. The Gateway's own addresses are not what was asked for.
    pub no_target: bool,
    /// `ttl`, in seconds, 1 to 2147483647.
    pub ttl: Option<u32>,
    /// `controller` names another controller: the object is not ours to publish.
    pub ignored: bool,
    /// `gateway-hostname-source`.
    pub hostname_source: HostnameSource,
    /// `set-identifier`; empty: none.
    pub set_identifier: Name,
    /// `aws-weight`, with a set identifier.
    pub weight: Option<u32>,
}

/// Annotations, and what is wrong with them.
pub type Read = (Annotations, Vec<DnsProblem>);

/// Reads the annotations of an object. What is not valid is reported and left out; the rest counts.
pub fn read(annotations: &BTreeMap<Name, String>, prefix: &Prefix) -> Read {
    let mut problems = Vec::new();
    let mut found = Annotations::default();
    let prefixes = prefix.all();
    let pick = |key: &str, problems: &mut Vec<DnsProblem>| {
        let mut values = prefixes
            .iter()
            .filter_map(|prefix| Some((*prefix, annotations.get(format!("{prefix}{key}").as_str())?)));
        let (prefix, used) = values.next()?;
        if let Some((other, unused)) = values.next().filter(|(_, other)| *other != used) {
            problems.push(DnsProblem::PrefixConflict {
                used: (field(prefix, key), used.clone()),
                unused: (field(other, key), unused.clone()),
            });
        }
        Some((field(prefix, key), used.as_str()))
    };
    if let Some((field, value)) = pick("controller", &mut problems) {
        found.ignored = value != CONTROLLER;
        if found.ignored {
            let misspelt = value.is_empty() || nearest(value, [CONTROLLER]).is_some();
            problems.push(DnsProblem::OtherController { field, value: value.to_owned(), misspelt });
        }
    }
    if let Some((field, value)) = pick("hostname", &mut problems) {
        found.hostnames = list(&field, value, hostname, &mut problems);
    }
    if let Some((field, value)) = pick("target", &mut problems) {
        let before = problems.len();
        found.targets = list(&field, value, target, &mut problems);
        found.no_target = found.targets.is_empty() && problems.len() > before;
    }
    if let Some((field, value)) = pick("ttl", &mut problems) {
        found.ttl = ttl(value);
        if found.ttl.is_none() {
            problems.push(DnsProblem::InvalidTtl { field, value: value.to_owned() });
        }
    }
    if let Some((field, value)) = pick("gateway-hostname-source", &mut problems) {
        found.hostname_source = match value.to_ascii_lowercase().as_str() {
            "annotation-only" => HostnameSource::AnnotationOnly,
            "defined-hosts-only" => HostnameSource::DefinedHostsOnly,
            _ => {
                problems.push(DnsProblem::UnknownHostnameSource { field, value: value.to_owned() });
                HostnameSource::Both
            }
        };
    }
    if let Some((_, value)) = pick("set-identifier", &mut problems) {
        found.set_identifier = value.into();
    }
    if let Some((_, value)) = pick("aws-weight", &mut problems) {
        found.weight = value.parse().ok().filter(|_| !found.set_identifier.is_empty());
    }
    (found, problems)
}

/// Field path of an annotation.
pub(super) fn field(prefix: &str, key: &str) -> Name {
    Name::new(&format!("metadata.annotations[{prefix}{key}]"))
}

/// A comma list; blanks are removed, empty items ignored, duplicates dropped, order kept.
fn list(
    field: &Name,
    value: &str,
    read: fn(&str) -> Result<Name, InvalidName>,
    problems: &mut Vec<DnsProblem>,
) -> Vec<Name> {
    let mut found: Vec<Name> = Vec::new();
    let text: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    for item in text.split(',').filter(|item| !item.is_empty()) {
        match read(item) {
            Ok(name) if !found.contains(&name) => found.push(name),
            Ok(_) => {}
            Err(why) => {
                problems.push(DnsProblem::InvalidName { field: field.clone(), value: item.to_owned(), why });
            }
        }
    }
    found
}

/// A name that a record may have (external-dns `gwHost`): no address, and labels of letters, digits and inner hyphens, the
/// first of which may be `*`.
///
/// # Errors
/// Which rule it breaks.
pub fn hostname(text: &str) -> Result<Name, InvalidName> {
    if text.parse::<IpAddr>().is_ok() {
        return Err(InvalidName::Address);
    }
    let name = normal_name(text)?;
    let host = name.strip_prefix("*.").unwrap_or(&name);
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.split('.').all(label) { Ok(name) } else { Err(InvalidName::NotHost) }
}

/// An address or a name. A CNAME may point below labels with underscores; a last label of digits is an address that went
/// wrong.
fn target(text: &str) -> Result<Name, InvalidName> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Name::new(&ip.to_string()));
    }
    let name = normal_name(text)?;
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if plain && !number { Ok(name) } else { Err(InvalidName::NotHost) }
}

/// Whole seconds, or a duration as Go writes it (`1h30m`, `1.5h`, `90s`), cut to whole seconds.
fn ttl(text: &str) -> Option<u32> {
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => go_duration_seconds(text)?,
    };
    u32::try_from(seconds).ok().filter(|seconds| (1..=0x7fff_ffff).contains(seconds))
}

pub(crate) fn go_duration_seconds(text: &str) -> Option<u64> {
    // Nanoseconds, as Go has them, so that "0.5m500ms" adds up before it is cut.
    let mut total: u128 = 0;
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || whole.len() > 18 || fraction.len() > 18 {
            return None;
        }
        let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u128>().ok() };
        let power = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        total = total.checked_add(digits(whole)? * unit + digits(fraction)? * unit / power)?;
        rest = after;
    }
    u64::try_from(total / 1_000_000_000).ok()
}
