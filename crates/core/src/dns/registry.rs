//! The TXT registry of external-dns, format of v0.18 and later: beside each record set stands a TXT set that says who
//! owns it. Written so that external-dns and dnscontrol recognise it (external-dns `registry/mapper`, `endpoint/labels.go`).

use std::{collections::BTreeMap, fmt::Write as _};

use portolan_model::{
    Name, ObjectKey,
    dns::{InvalidName, RecordType, labels, normal_name, text_of},
};

use super::DnsProblem;

const HERITAGE: &str = "external-dns";
const TEMPLATE: &str = "%{record_type}";

/// How registry TXT sets are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    prefix: String,
    suffix: String,
    wildcard_replacement: String,
    /// The apex of a zone has an entry below itself, where its ordinary name would stand outside of the zone.
    apex: bool,
    /// The zone, if it counts.
    zone: Name,
}

impl Registry {
    /// `prefix` and `suffix` may contain `%{record_type}` and exclude each other; `wildcard_replacement` stands for a
    /// first label `*`. Empty means unset; all are lower-cased.
    ///
    /// # Errors
    /// [`DnsProblem::PrefixAndSuffix`] if both are set.
    pub fn new(prefix: &str, suffix: &str, wildcard_replacement: &str) -> Result<Self, DnsProblem> {
        if !prefix.is_empty() && !suffix.is_empty() {
            return Err(DnsProblem::PrefixAndSuffix);
        }
        Ok(Self {
            prefix: prefix.to_lowercase(),
            suffix: suffix.to_lowercase(),
            wildcard_replacement: wildcard_replacement.to_lowercase(),
            ..Self::default()
        })
    }

    /// Where no external-dns is followed: its names, and one for the apex, for which it has none.
    pub fn of_folder() -> Self {
        Self { apex: true, ..Self::default() }
    }

    /// The same in this zone.
    #[must_use]
    pub fn at(&self, zone: &Name) -> Self {
        if self.apex { Self { zone: zone.clone(), ..self.clone() } } else { self.clone() }
    }

    /// Name of the TXT set that belongs to the set `name` of `type`: `a-app.example.com` for A of `app.example.com`.
    ///
    /// # Errors
    /// [`DnsProblem::RegistryNameInvalid`]: the type and the affix can make the label longer than 63 bytes.
    pub fn txt_name(&self, name: &Name, r#type: RecordType) -> Result<Name, DnsProblem> {
        let kind = r#type.as_str().to_ascii_lowercase();
        if self.apex && !name.is_empty() && *name == self.zone {
            let txt = format!("_external-dns-{kind}.{name}");
            return normal_name(&txt).map_err(|why| DnsProblem::RegistryNameInvalid {
                name: name.clone(),
                txt,
                why,
            });
        }
        let (first, rest) = split_first(name);
        let first = if first == "*" && !self.wildcard_replacement.is_empty() {
            self.wildcard_replacement.as_str()
        } else {
            first
        };
        let templated = self.prefix.contains(TEMPLATE) || self.suffix.contains(TEMPLATE);
        let dash = if templated { String::new() } else { format!("{kind}-") };
        let prefix = self.prefix.replace(TEMPLATE, &kind);
        let suffix = self.suffix.replace(TEMPLATE, &kind);
        let dot = if rest.is_empty() { "" } else { "." };
        let txt = format!("{prefix}{dash}{first}{suffix}{dot}{rest}");
        let whole = [&prefix, &suffix, &self.wildcard_replacement]
            .iter()
            .try_for_each(|affix| written(affix).map(drop));
        whole.and_then(|()| normal_name(&txt)).map_err(|why| DnsProblem::RegistryNameInvalid {
            name: name.clone(),
            txt,
            why,
        })
    }

    /// The names whose sets can have this registry TXT.
    pub fn spoken_of(&self, txt: &Name) -> Vec<Name> {
        let mut found = Vec::new();
        for r#type in RecordType::ALL {
            if self.apex && self.txt_name(&self.zone, r#type).as_ref() == Ok(txt) {
                found.push(self.zone.clone());
            }
            let mut names = self.split(txt, r#type);
            // A dot with which an affix or the stand-in for a wildcard ends is cut where it comes to stand at the end of
            // the whole name: there it says root.
            if [&self.prefix, &self.suffix, &self.wildcard_replacement]
                .iter()
                .any(|affix| affix.ends_with('.'))
            {
                names.extend(self.split(&format!("{txt}."), r#type));
                names.retain(|name| normal_name(name).as_ref() == Ok(name));
            }
            found.extend(names.into_iter().filter(|name| self.txt_name(name, r#type).as_ref() == Ok(txt)));
        }
        found.sort();
        found.dedup();
        found
    }

    /// The names that are left of a registry TXT without what may stand around them in that of a set of this type.
    fn split(&self, txt: &str, r#type: RecordType) -> Vec<Name> {
        let templated = self.prefix.contains(TEMPLATE) || self.suffix.contains(TEMPLATE);
        let kind = r#type.as_str().to_ascii_lowercase();
        let affixes = [&self.prefix, &self.suffix].map(|affix| written(&affix.replace(TEMPLATE, &kind)));
        let ([Ok(prefix), Ok(suffix)], Ok(stands)) = (affixes, written(&self.wildcard_replacement)) else {
            return Vec::new();
        };
        let dash = if templated { String::new() } else { format!("{kind}-") };
        let Some(named) = txt.strip_prefix(&*prefix).and_then(|rest| rest.strip_prefix(&*dash)) else {
            return Vec::new();
        };
        // A suffix may hold dots: every place at which the first label can end.
        let ends: Vec<usize> = match &*suffix {
            "" => vec![split_first(named).0.len()],
            suffix => named.match_indices(suffix).map(|(at, _)| at).collect(),
        };
        let plain = ends.into_iter().map(|at| (&named[..at], &named[at + suffix.len()..]));
        // What stands for a wildcard may hold dots as well.
        let stands = Some(stands).filter(|stands| !stands.is_empty());
        let wildcard = stands.and_then(|stands| named.strip_prefix(&*stands)?.strip_prefix(&*suffix));
        let names = plain.chain(wildcard.map(|rest| ("*", rest)));
        names.map(|(first, rest)| Name::from(format!("{first}{rest}"))).collect()
    }
}

/// An affix as it stands in the normal form of a name (see [`normal_name`]); its dots part labels.
///
/// # Errors
/// [`InvalidName::Escape`] where an escape is cut: what comes after the affix would end it.
fn written(affix: &str) -> Result<String, InvalidName> {
    let mut text = String::with_capacity(affix.len());
    let mut rest = affix;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match c {
            '\\' => {
                length = if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) { 4 } else { 2 };
                text.push_str(&text_of(labels(rest.get(..length).ok_or(InvalidName::Escape)?)?));
            }
            ' ' => text.push_str("\\ "),
            // Writing to a String cannot fail.
            c if c.is_ascii_control() => _ = write!(text, "\\{:03}", u32::from(c)),
            // No name has what is not ASCII, and those who ask for one are told so.
            c => text.push(c),
        }
        rest = &rest[length..];
    }
    Ok(text)
}

/// First label and the rest, at the first dot that is not escaped.
fn split_first(name: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'.' => return (&name[..at], &name[at + 1..]),
            _ => {}
        }
    }
    (name, "")
}

/// What a registry TXT says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Everything after `external-dns/`, by key: `owner`, `resource`, and what other tools add.
    pub labels: BTreeMap<String, String>,
}

impl Ownership {
    /// An entry of `owner` for `resource` (see [`resource_label`]).
    pub fn new(owner: &str, resource: &str) -> Self {
        let labels = [("owner", owner), ("resource", resource)];
        Self { labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into() }
    }

    /// Reads the first value of a TXT set. `None` if it is not an entry of this registry: no `heritage`, or another one.
    pub fn parse(value: &str) -> Option<Self> {
        let mut labels = BTreeMap::new();
        let mut found = false;
        for token in value.trim_matches('"').split(',') {
            let Some((key, value)) = token.split_once('=') else { continue };
            if key == "heritage" {
                if value != HERITAGE {
                    return None;
                }
                found = true;
            } else if key.starts_with(HERITAGE) {
                let key = key.strip_prefix("external-dns/").unwrap_or(key);
                labels.insert(key.to_owned(), value.to_owned());
            }
        }
        found.then_some(Self { labels })
    }

    /// The TXT value, without quotes: `heritage=external-dns,external-dns/owner=…,external-dns/resource=…`.
    pub fn text(&self) -> String {
        let mut text = format!("heritage={HERITAGE}");
        for (key, value) in &self.labels {
            text.push_str(",external-dns/");
            text.push_str(key);
            text.push('=');
            text.push_str(value);
        }
        text
    }

    /// Who owns the record set; `None` if the entry does not say.
    pub fn owner(&self) -> Option<&str> {
        self.labels.get("owner").map(String::as_str).filter(|owner| !owner.is_empty())
    }

    /// Resource label of the object that asked for the set; empty if the entry does not say.
    pub fn resource(&self) -> &str {
        self.labels.get("resource").map_or("", String::as_str)
    }
}

/// Resource label of an object: `httproute/namespace/name`.
pub fn resource_label(object: &ObjectKey) -> Name {
    let kind = object.kind.kind.to_lowercase();
    Name::new(&format!("{kind}/{}/{}", object.name.namespace, object.name.name))
}
