//! What a plan may do: owner, policy, filters.

use portolan_model::{
    Name,
    dns::{RecordType, in_zone},
};

use super::{Registry, pattern::Pattern};

/// What is allowed on sets that we own (external-dns `--policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// `sync`: create, update, delete.
    #[default]
    Sync,
    /// `upsert-only`: nothing is deleted.
    UpsertOnly,
    /// `create-only`: nothing that exists is touched.
    CreateOnly,
}

impl Policy {
    /// external-dns' spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::UpsertOnly => "upsert-only",
            Self::CreateOnly => "create-only",
        }
    }

    /// From external-dns' spelling.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "sync" => Some(Self::Sync),
            "upsert-only" => Some(Self::UpsertOnly),
            "create-only" => Some(Self::CreateOnly),
            _ => None,
        }
    }
}

/// Settings of one plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Our owner id (`txtOwnerId`).
    pub owner: Name,
    /// Whose records become ours (`--migrate-from-txt-owner`); empty: nobody's.
    pub old_owner: Name,
    /// What is allowed.
    pub policy: Policy,
    /// Only names at or below these; `.x` means below `x` only. Empty: all names.
    pub domain_filter: Vec<Name>,
    /// Never names at or below these; checked first.
    pub exclude: Vec<Name>,
    /// Only names in which this is found; then the lists do not count.
    pub pattern: Option<Pattern>,
    /// Never names in which this is found.
    pub excluded_pattern: Option<Pattern>,
    /// Record types that are managed; sets of others are not touched.
    pub types: Vec<RecordType>,
    /// How registry TXT sets are named.
    pub registry: Registry,
    /// One-shot approval of a plan that deletes more than 10 sets and more than 30 % of what we own.
    pub allow_mass_deletion: bool,
}

impl Default for Settings {
    /// Every name, addresses and aliases, and no owner.
    fn default() -> Self {
        Self {
            owner: Name::default(),
            old_owner: Name::default(),
            policy: Policy::default(),
            domain_filter: Vec::new(),
            exclude: Vec::new(),
            pattern: None,
            excluded_pattern: None,
            types: vec![RecordType::A, RecordType::Aaaa, RecordType::Cname],
            registry: Registry::default(),
            allow_mass_deletion: false,
        }
    }
}

impl Settings {
    /// Whether a name is in scope. An expression alone that excludes leaves the lists in force, as before external-dns 0.21.
    pub fn in_scope(&self, name: &str) -> bool {
        if self.excluded_pattern.as_ref().is_some_and(|pattern| pattern.is_in(name)) {
            return false;
        }
        if let Some(pattern) = &self.pattern {
            return pattern.is_in(name);
        }
        !self.exclude.iter().any(|filter| matches(name, filter))
            && (self.domain_filter.is_empty()
                || self.domain_filter.iter().any(|filter| matches(name, filter)))
    }
}

fn matches(name: &str, filter: &Name) -> bool {
    let filter = filter.trim().trim_end_matches('.').to_ascii_lowercase();
    match filter.strip_prefix('.') {
        Some(below) => name != below && in_zone(name, below),
        None => in_zone(name, &filter),
    }
}
