//! Problems of the DNS room: codes 400-499.

use portolan_model::{
    Code, Name, ObjectKey, Problem, Severity,
    dns::{InvalidName, RecordType},
};

/// Everything that the DNS room can find wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DnsProblem {
    /// 400: both annotation prefixes are set, with different values.
    PrefixConflict {
        /// Field of the annotation whose value is used, and the value.
        used: (Name, String),
        /// The same of the one that is not.
        unused: (Name, String),
    },
    /// 406: annotations are read here that the declared version of external-dns does not read.
    OtherPrefix {
        /// Their fields; never empty.
        fields: Vec<Name>,
        /// Minor version that is declared.
        minor: u32,
        /// The prefix that it reads.
        reads: &'static str,
    },
    /// 401: the `ttl` annotation is no duration in range.
    InvalidTtl {
        /// Field of the annotation.
        field: Name,
        /// As written.
        value: String,
    },
    /// 402: a name in the `hostname` or `target` annotation, or a wanted record's name, is not valid.
    InvalidName {
        /// Field; empty where the name comes from elsewhere.
        field: Name,
        /// As written.
        value: String,
        /// Which rule it breaks.
        why: InvalidName,
    },
    /// 403: `gateway-hostname-source` has an unknown value.
    UnknownHostnameSource {
        /// Field of the annotation.
        field: Name,
        /// As written.
        value: String,
    },
    /// 404: an annotation of external-dns has no effect.
    UnusedAnnotation {
        /// Field of the annotation.
        field: Name,
        /// Why.
        why: String,
        /// What to do.
        hint: String,
    },
    /// 405: `controller` names another controller, so that nothing of the object is published.
    OtherController {
        /// Field of the annotation.
        field: Name,
        /// As written.
        value: String,
        /// external-dns itself was most likely meant.
        misspelt: bool,
    },
    /// 436: a filter of external-dns cannot be read.
    InvalidFilter {
        /// Field of the component's values.
        field: Name,
        /// As written.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// 410: the set exists and is somebody else's, or nobody's.
    NotOurs {
        /// Record name.
        name: Name,
        /// Record type of the set that is in the way.
        r#type: RecordType,
        /// Its owner by the registry; `None` without registry TXT.
        owner: Option<String>,
    },
    /// 411: the name of the registry TXT is taken by something that is not our registry entry.
    RegistryNameTaken {
        /// Record name.
        name: Name,
        /// Name of the TXT.
        txt: Name,
    },
    /// 412: the registry TXT of the record would stand outside the zone (the apex without a prefix that ends in a dot).
    RegistryOutsideZone {
        /// Record name.
        name: Name,
        /// Name of the TXT.
        txt: Name,
        /// The zone.
        zone: Name,
    },
    /// 413: the name of the registry TXT is too long or otherwise no domain name.
    RegistryNameInvalid {
        /// Record name.
        name: Name,
        /// Name of the TXT.
        txt: String,
        /// Which rule it breaks.
        why: InvalidName,
    },
    /// 414: prefix and suffix are both set.
    PrefixAndSuffix,
    /// 415: several objects want the same set with different content.
    Conflict {
        /// Record name.
        name: Name,
        /// Record type.
        r#type: RecordType,
        /// Resource label of the one that is taken.
        winner: Name,
    },
    /// 416: a CNAME is wanted at a name for which addresses are wanted too, or other records exist.
    CnameBesideOther {
        /// Record name.
        name: Name,
    },
    /// 417: a CNAME is wanted at the apex of its zone.
    CnameAtApex {
        /// The zone.
        zone: Name,
    },
    /// 418: the policy forbids a change that is needed.
    PolicyForbids {
        /// Record name.
        name: Name,
        /// What would be done.
        what: String,
        /// The policy as external-dns spells it.
        policy: &'static str,
    },
    /// 420: the plan deletes too much at once.
    TooManyDeletions {
        /// The zone.
        zone: Name,
        /// Sets that would be deleted.
        deletions: usize,
        /// Sets that we own in the zone.
        owned: usize,
    },
    /// 421: the provider could not prove that it listed the whole zone.
    IncompleteSnapshot {
        /// The zone.
        zone: Name,
    },
    /// 422: a wanted record lies outside the zone that is planned.
    OutsideZone {
        /// Record name.
        name: Name,
        /// The zone.
        zone: Name,
    },
}

impl DnsProblem {
    /// Code of [`Self::TooManyDeletions`].
    pub const STOPPED: Code = Code(420);

    /// Stable code.
    pub const fn code(&self) -> Code {
        Code(match self {
            Self::PrefixConflict { .. } => 400,
            Self::OtherPrefix { .. } => 406,
            Self::InvalidTtl { .. } => 401,
            Self::InvalidName { .. } => 402,
            Self::UnknownHostnameSource { .. } => 403,
            Self::UnusedAnnotation { .. } => 404,
            Self::OtherController { .. } => 405,
            Self::NotOurs { .. } => 410,
            Self::RegistryNameTaken { .. } => 411,
            Self::RegistryOutsideZone { .. } => 412,
            Self::RegistryNameInvalid { .. } => 413,
            Self::PrefixAndSuffix => 414,
            Self::Conflict { .. } => 415,
            Self::CnameBesideOther { .. } => 416,
            Self::CnameAtApex { .. } => 417,
            Self::PolicyForbids { .. } => 418,
            Self::InvalidFilter { .. } => 436,
            Self::TooManyDeletions { .. } => 420,
            Self::IncompleteSnapshot { .. } => 421,
            Self::OutsideZone { .. } => 422,
        })
    }

    /// How bad.
    pub fn severity(&self) -> Severity {
        match self {
            // external-dns drops them, and goes on.
            Self::InvalidName { field, .. } if field.starts_with("metadata.annotations") => Severity::Warning,
            Self::OtherController { misspelt: false, .. } => Severity::Info,
            Self::PrefixConflict { .. }
            | Self::OtherPrefix { .. }
            | Self::OtherController { .. }
            | Self::UnusedAnnotation { .. }
            | Self::PolicyForbids { .. }
            | Self::InvalidTtl { .. }
            | Self::UnknownHostnameSource { .. }
            | Self::Conflict { .. }
            | Self::CnameBesideOther { .. }
            | Self::IncompleteSnapshot { .. } => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// Field of the object, where the problem stands in one; else empty.
    pub fn field(&self) -> Name {
        match self {
            Self::OtherPrefix { fields, .. } => fields.first().cloned().unwrap_or_default(),
            Self::PrefixConflict { unused: (field, _), .. }
            | Self::InvalidTtl { field, .. }
            | Self::InvalidName { field, .. }
            | Self::UnusedAnnotation { field, .. }
            | Self::OtherController { field, .. }
            | Self::InvalidFilter { field, .. }
            | Self::UnknownHostnameSource { field, .. } => field.clone(),
            _ => Name::default(),
        }
    }

    /// What is wrong, one sentence.
    pub fn message(&self) -> String {
        match self {
            Self::PrefixConflict { used, unused } => format!(
                "Annotation {} says {:?}, which is used, and {} says {:?}.",
                bare(&used.0),
                used.1,
                bare(&unused.0),
                unused.1
            ),
            Self::OtherPrefix { fields, minor, reads } => {
                let names: Vec<&str> = fields.iter().map(|field| bare(field)).collect();
                format!(
                    "external-dns 0.{minor}, which is declared, reads annotations under {reads} only; here these count too: {}.",
                    names.join(", ")
                )
            }
            Self::InvalidTtl { value, .. } => {
                format!(
                    "TTL {value:?} is neither whole seconds nor a duration between 1s and 2147483647s; the default TTL is used."
                )
            }
            Self::InvalidName { value, why, field } => {
                let then = if field.starts_with("metadata.annotations") { " It is left out." } else { "" };
                format!("{value:?} is not a domain name: {why}.{then}")
            }
            Self::UnusedAnnotation { field, why, .. } => {
                let name = bare(field);
                format!("Annotation {name} has no effect: {why}.")
            }
            Self::OtherController { value, .. } => {
                format!(
                    "The controller annotation names {value:?}: external-dns publishes nothing of this object."
                )
            }
            Self::UnknownHostnameSource { value, .. } => {
                format!(
                    "Hostname source {value:?} is not known; both the annotation and the route's hostnames are used."
                )
            }
            Self::NotOurs { name, r#type, owner: Some(owner) } => {
                format!("{name} {type} belongs to owner {owner:?} and is left as it is.")
            }
            Self::NotOurs { name, r#type, owner: None } => {
                format!(
                    "{name} {type} exists without a registry entry: somebody else made it, and it is left as it is."
                )
            }
            Self::RegistryNameTaken { name, txt } => {
                format!(
                    "The registry TXT of {name} would be {txt}, which holds something that is not our entry."
                )
            }
            Self::RegistryOutsideZone { name, txt, zone } => {
                format!(
                    "The registry TXT of {name} would be {txt}, outside zone {zone}; the record is not made."
                )
            }
            Self::RegistryNameInvalid { name, txt, why } => {
                format!("The registry TXT of {name} would be {txt}, which is not a domain name: {why}.")
            }
            Self::PrefixAndSuffix => {
                "The TXT registry has a prefix and a suffix; they exclude each other.".to_owned()
            }
            Self::Conflict { name, r#type, winner } => {
                format!("{name} {type} is wanted differently by {winner}, which is taken.")
            }
            Self::CnameBesideOther { name } => {
                format!("A CNAME at {name} cannot stand beside other records of that name; it is not made.")
            }
            Self::CnameAtApex { zone } => {
                format!(
                    "A CNAME cannot stand at {zone}, the apex of its zone, beside SOA and NS; it is not made."
                )
            }
            Self::PolicyForbids { name, what, policy } => {
                format!("Policy {policy} forbids to {what} at {name}; what stands stays as it is.")
            }
            Self::TooManyDeletions { zone, deletions, owned } => {
                format!(
                    "The plan would delete {deletions} of the {owned} record sets that we own in zone {zone}; none is deleted."
                )
            }
            Self::IncompleteSnapshot { zone } => {
                format!("Zone {zone} could not be read to its end; nothing is changed in it.")
            }
            Self::OutsideZone { name, zone } => format!("{name} is not in zone {zone}."),
            Self::InvalidFilter { field, value, why } => {
                format!(
                    "{field} {value:?} cannot be read: {why}. No record of this external-dns is made, changed or removed."
                )
            }
        }
    }

    /// What to do about it, one sentence.
    pub fn hint(&self) -> &str {
        match self {
            Self::PrefixConflict { .. } => "Remove the annotation that is not used.",
            Self::OtherPrefix { .. } => {
                "Write them under both prefixes, and remove the older ones once no version before 0.22 runs."
            }
            Self::InvalidTtl { .. } => "Write whole seconds such as \"300\", or a duration such as \"5m\".",
            Self::InvalidName { .. } => "Write a name such as app.example.com; separate several by commas.",
            Self::UnknownHostnameSource { .. } => {
                "Use annotation-only or defined-hosts-only, or remove the annotation."
            }
            Self::NotOurs { owner: Some(_), .. } => {
                "Remove the route in the other cluster first, or give both the same txtOwnerId if they are one."
            }
            Self::NotOurs { owner: None, .. } => {
                "Delete the record by hand if this object should have the name."
            }
            Self::RegistryNameTaken { .. } => "Delete that TXT record, or set another txtPrefix.",
            Self::RegistryOutsideZone { .. } => {
                "Set txtPrefix to a template that ends in a dot, such as \"x-%{record_type}.\"."
            }
            Self::RegistryNameInvalid { .. } => {
                "Use a shorter host label, or a txtPrefix that ends in a dot."
            }
            Self::PrefixAndSuffix => "Keep one of txtPrefix and txtSuffix.",
            Self::Conflict { .. } => "Give the objects the same targets and TTL, or different hostnames.",
            Self::CnameBesideOther { .. } => "Use IP targets for this name, or remove the other records.",
            Self::CnameAtApex { .. } => "Use IP targets for the apex.",
            Self::PolicyForbids { .. } => "Set policy: sync, or change the record by hand.",
            Self::TooManyDeletions { .. } => {
                "Check that nothing was lost; if it is meant, start once with --allow-mass-deletion."
            }
            Self::IncompleteSnapshot { .. } => {
                "It is read again by itself; see the provider's errors if this stays."
            }
            Self::UnusedAnnotation { hint, .. } => hint,
            Self::OtherController { misspelt: true, .. } => {
                "Write dns-controller, which may be meant, or remove the annotation."
            }
            Self::OtherController { .. } => "Nothing to do, if that controller publishes its names.",
            Self::InvalidFilter { .. } => "Correct the value, or remove it.",
            Self::OutsideZone { .. } => "Add the zone to the provider, or change the hostname.",
        }
    }

    /// The same as a problem of an object.
    pub fn on(&self, object: ObjectKey) -> Problem {
        Problem {
            object,
            code: self.code(),
            field: self.field(),
            severity: self.severity(),
            message: self.message(),
            hint: self.hint().to_owned(),
        }
    }
}

/// The annotation of a field.
fn bare(field: &str) -> &str {
    field.trim_start_matches("metadata.annotations[").trim_end_matches(']')
}
