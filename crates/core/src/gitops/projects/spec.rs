//! What a project says, and its patterns.

use portolan_model::Kind;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::destination::Destination;
use crate::gitops::glob::Glob;

/// Fields that narrow and are not looked at: when is synced, who signed what is synced, and as whom.
const UNREAD: [&str; 4] = ["syncWindows", "signatureKeys", "sourceIntegrity", "destinationServiceAccounts"];

/// `spec` of an AppProject. `roles`, `orphanedResources` and `description` decide nothing about what is applied.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) source_repos: Vec<String>,
    source_namespaces: Vec<String>,
    pub(super) destinations: Vec<Destination>,
    cluster_resource_whitelist: Vec<Restriction>,
    cluster_resource_blacklist: Vec<Restriction>,
    /// Absent it permits everything, empty nothing.
    namespace_resource_whitelist: Option<Vec<Restriction>>,
    namespace_resource_blacklist: Vec<Restriction>,
    pub(super) permit_only_project_scoped_clusters: bool,
    /// Those of [`UNREAD`] that are used.
    #[serde(skip)]
    pub(super) unread: Vec<&'static str>,
}

/// One of the lists of kinds; a name is understood of cluster-scoped ones only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Restriction {
    group: String,
    kind: String,
    name: String,
}

impl Spec {
    pub(super) fn read(project: &Value) -> Option<Self> {
        let json = project.get("spec")?;
        let spec = Self::deserialize(json).ok()?;
        let used = |field: &&str| match json.get(*field) {
            None | Some(Value::Null) => false,
            Some(Value::Array(all)) => !all.is_empty(),
            Some(_) => true,
        };
        Some(Self { unread: UNREAD.into_iter().filter(used).collect(), ..spec })
    }

    /// `IsGroupKindNamePermitted`.
    pub(super) fn kind_permitted(&self, kind: &Kind, name: &str, namespaced: bool) -> bool {
        let within = |list: &[Restriction]| list.iter().any(|item| item.takes(kind, name, !namespaced));
        if namespaced {
            self.namespace_resource_whitelist.as_deref().is_none_or(within)
                && !within(&self.namespace_resource_blacklist)
        } else {
            within(&self.cluster_resource_whitelist) && !within(&self.cluster_resource_blacklist)
        }
    }

    /// `sourceNamespaces`: patterns, or regular expressions between slashes.
    pub(super) fn namespace_permitted(&self, namespace: &str) -> bool {
        self.source_namespaces.iter().any(|pattern| {
            let expression = pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
            let expression = expression.and_then(|text| Regex::new(text).ok());
            expression.is_some_and(|expression| expression.is_match(namespace))
                || Glob::loose(pattern).is_some_and(|glob| glob.matches(namespace))
        })
    }
}

impl Restriction {
    fn takes(&self, kind: &Kind, name: &str, named: bool) -> bool {
        let matches = |pattern: &str, text: &str| Glob::names(pattern).is_some_and(|glob| glob.matches(text));
        matches(&self.kind, &kind.kind)
            && matches(&self.group, &kind.group)
            && (!named || self.name.is_empty() || matches(&self.name, name))
    }
}

/// `IsSourcePermitted`.
pub(super) fn source_permitted(patterns: &[String], repository: &str) -> bool {
    let repository = normalise(repository);
    let mut any = false;
    for pattern in patterns {
        let denial = pattern.strip_prefix('!');
        let pattern = normalise(denial.unwrap_or(pattern));
        let matched = pattern == "*" && denial.is_none()
            || Glob::segments(&pattern).is_some_and(|glob| glob.matches(&repository)) != denial.is_some();
        if !matched && denial.is_some() {
            return false;
        }
        any |= matched;
    }
    any
}

/// `git.NormalizeGitURL`.
fn normalise(url: &str) -> String {
    let url = url.trim().to_lowercase();
    let scheme = url.starts_with("ssh://");
    let rest = url.strip_prefix("ssh://").unwrap_or(&url);
    // `^(ssh://)?([^/:]*?)@[^@]+$`
    let by_ssh = rest
        .split_once('@')
        .is_some_and(|(user, place)| !user.contains(['/', ':']) && !place.is_empty() && !place.contains('@'));
    let url = if by_ssh && !scheme { rest.replacen(':', "/", 1) } else { rest.to_owned() };
    url.strip_suffix(".git").unwrap_or(&url).to_owned()
}

/// `globMatch` with negation: a pattern that is none takes nothing.
pub(super) fn matches(glob: fn(&str) -> Option<Glob>, pattern: &str, text: &str) -> bool {
    let is = |pattern: &str| glob(pattern).is_some_and(|glob| glob.matches(text));
    pattern.strip_prefix('!').map_or_else(|| pattern == "*" || is(pattern), |pattern| !is(pattern))
}

/// `isDenyPattern`.
pub(super) fn is_denial(pattern: &str) -> bool {
    pattern.starts_with('!')
}
