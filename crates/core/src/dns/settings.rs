//! What a plan may do: owner, policy, filters.

use portolan_model::{Name, dns::in_zone};

use super::Registry;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Our owner id (`txtOwnerId`).
    pub owner: Name,
    /// What is allowed.
    pub policy: Policy,
    /// Only names at or below these; `.x` means below `x` only. Empty: all names.
    pub domain_filter: Vec<Name>,
    /// Never names at or below these; checked first.
    pub exclude: Vec<Name>,
    /// How registry TXT sets are named.
    pub registry: Registry,
    /// One-shot approval of a plan that deletes more than 10 sets and more than 30 % of what we own.
    pub allow_mass_deletion: bool,
}

impl Settings {
    /// Whether a name is in scope, by `exclude` and `domain_filter`.
    pub fn in_scope(&self, name: &str) -> bool {
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
