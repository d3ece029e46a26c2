//! What `portolan run` may do in a cluster: the roles, from what its parts say that they do.
//!
//! Each part names its rights beside its code; nothing else is granted. `portolan rbac` prints them, the chart holds the same, and a test in
//! the rig runs under exactly them and reads in the API server's audit log that none was missing and none unused.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{driver, effects, out};

/// Where something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Where {
    /// In every namespace, and on what stands in none.
    Cluster,
    /// In the namespace of the installation.
    Own,
}

/// One thing that may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// Where.
    pub place: Where,
    /// API group.
    pub group: &'static str,
    /// Resource as the API server calls it, with its part: `gateways/status`.
    pub resource: String,
    /// Verbs.
    pub verbs: &'static [&'static str],
}

impl Right {
    /// In the whole cluster.
    pub fn anywhere(group: &'static str, resource: &str, verbs: &'static [&'static str]) -> Self {
        Self { place: Where::Cluster, group, resource: resource.to_owned(), verbs }
    }

    /// In the namespace of the installation.
    pub fn own(group: &'static str, resource: &str, verbs: &'static [&'static str]) -> Self {
        Self { place: Where::Own, group, resource: resource.to_owned(), verbs }
    }
}

/// Rules of a role: resources of a group that may be done the same to stand together.
fn rules(rights: &[Right], place: Where) -> Vec<Value> {
    let mut verbs: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for right in rights.iter().filter(|right| right.place == place) {
        verbs.entry((right.group, &right.resource)).or_default().extend(right.verbs);
    }
    let mut alike: BTreeMap<(&str, Vec<&str>), Vec<&str>> = BTreeMap::new();
    for ((group, resource), verbs) in verbs {
        alike.entry((group, verbs.into_iter().collect())).or_default().push(resource);
    }
    let rule =
        |((group, verbs), resources)| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    alike.into_iter().map(rule).collect()
}

/// All of them.
pub fn all() -> Vec<Right> {
    let mut all = driver::rights();
    all.extend(effects::rights_of_run());
    all
}

/// Arguments of `rbac`.
#[derive(clap::Args)]
pub struct Rbac {
    /// Name of the roles
    #[arg(long, value_name = "NAME", default_value = "portolan")]
    name: String,
    /// Namespace of the installation
    #[arg(long, value_name = "NAMESPACE", default_value = "portolan-system")]
    namespace: String,
    /// ServiceAccount that gets them
    #[arg(long, value_name = "NAME", default_value = "portolan")]
    account: String,
}

/// A ClusterRole, a Role of a namespace, and their bindings to a ServiceAccount.
pub fn objects(name: &str, namespace: &str, account: &str) -> Vec<Value> {
    let rights = all();
    let version = "rbac.authorization.k8s.io/v1";
    let subjects = json!([{"kind": "ServiceAccount", "name": account, "namespace": namespace}]);
    let role = |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
    vec![
        json!({
            "apiVersion": version, "kind": "ClusterRole", "metadata": {"name": name},
            "rules": rules(&rights, Where::Cluster),
        }),
        json!({
            "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": role("ClusterRole"), "subjects": subjects,
        }),
        json!({
            "apiVersion": version, "kind": "Role", "metadata": {"name": name, "namespace": namespace},
            "rules": rules(&rights, Where::Own),
        }),
        json!({
            "apiVersion": version, "kind": "RoleBinding", "metadata": {"name": name, "namespace": namespace},
            "roleRef": role("Role"), "subjects": subjects,
        }),
    ]
}

/// Runs `rbac`.
///
/// # Errors
/// When it cannot be printed.
pub fn run(args: &Rbac) -> anyhow::Result<u8> {
    for object in objects(&args.name, &args.namespace, &args.account) {
        out::print(&format!("---\n{}", serde_saphyr::to_string(&object)?))?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The rules that the chart holds, as YAML.
    fn of_chart() -> String {
        let rights = all();
        let rules =
            json!({"cluster": rules(&rights, Where::Cluster), "namespace": rules(&rights, Where::Own)});
        let text = serde_saphyr::to_string(&rules).unwrap();
        format!(
            "# Made by the test chart_holds_the_rights of crates/app/src/rights.rs from what the parts of Portolan say that they do.\n{text}"
        )
    }

    #[test]
    fn chart_holds_the_rights() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/chart/portolan/files/rights.yaml");
        let made = of_chart();
        if portolan_testkit::accepting() {
            std::fs::write(path, &made).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), made, "PORTOLAN_ACCEPT=1 writes it");
    }

    #[test]
    fn nothing_is_granted_that_is_more_than_it_says() {
        for Right { group, resource, verbs, place } in all() {
            assert!(!verbs.contains(&"*") && resource != "*" && group != "*", "{group} {resource}");
            assert!(
                !["bind", "escalate", "impersonate", "deletecollection"]
                    .iter()
                    .any(|verb| verbs.contains(verb))
            );
            let secret = resource == "secrets" && place == Where::Cluster;
            assert!(!secret || verbs == ["get", "list", "watch"], "Secrets of others are read only");
        }
    }

    #[test]
    fn what_may_be_done_alike_stands_together() {
        let rights = [
            Right::anywhere("apps", "deployments", &["list"]),
            Right::anywhere("apps", "deployments", &["get", "list"]),
            Right::anywhere("apps", "replicasets", &["get", "list"]),
            Right::own("", "secrets", &["get"]),
        ];
        let made = rules(&rights, Where::Cluster);
        let verbs = ["get", "list"];
        assert_eq!(
            made,
            [json!({"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": verbs})]
        );
    }
}
