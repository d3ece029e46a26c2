//! What `portolan run` may do in a cluster: the roles, from what its parts say that they do.
//!
//! Each part names its rights beside its code; nothing else is granted. `portolan rbac` prints them, the chart holds the same, and a test in
//! the rig runs under exactly them and reads in the API server's audit log that none was missing and none unused.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use portolan_core::capability::{Asked, Capability};

use crate::{cli::capability, driver, effects, out};

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
    /// For the sake of what: without it, it is not granted.
    pub capability: Capability,
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
        let capability = Capability::Gateway;
        Self { capability, place: Where::Cluster, group, resource: resource.to_owned(), verbs }
    }

    /// In the namespace of the installation.
    pub fn own(group: &'static str, resource: &str, verbs: &'static [&'static str]) -> Self {
        Self { place: Where::Own, ..Self::anywhere(group, resource, verbs) }
    }

    /// For the sake of another capability than that which every installation has.
    #[must_use]
    pub fn of(self, capability: Capability) -> Self {
        Self { capability, ..self }
    }
}

/// Rules of a role: resources of a group that may be done the same to stand together.
fn rules<'r>(rights: impl IntoIterator<Item = &'r Right>, place: Where) -> Vec<Value> {
    let mut verbs: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for right in rights.into_iter().filter(|right| right.place == place) {
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
    #[arg(long, value_name = "NAME", default_value = "portolan", value_parser = crate::names::object)]
    name: String,
    /// Namespace of the installation
    #[arg(long, value_name = "NAMESPACE", default_value = "portolan-system", value_parser = crate::names::namespace)]
    namespace: String,
    /// ServiceAccount that gets them
    #[arg(long, value_name = "NAME", default_value = "portolan", value_parser = crate::names::object)]
    account: String,
    /// A capability that is off, as CAPABILITY=off: nothing is granted for it. Repeatable
    #[arg(long, value_name = "CAPABILITY=MODE", value_parser = capability)]
    capability: Vec<(Capability, Asked)>,
}

/// A ClusterRole, a Role of a namespace, and their bindings to a ServiceAccount.
pub fn objects(name: &str, namespace: &str, account: &str, off: &BTreeSet<Capability>) -> Vec<Value> {
    let rights: Vec<Right> = all().into_iter().filter(|right| !off.contains(&right.capability)).collect();
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
    let off =
        args.capability.iter().filter(|(_, asked)| *asked == Asked::Off).map(|(name, _)| *name).collect();
    for object in objects(&args.name, &args.namespace, &args.account, &off) {
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
        let of = |capability: Capability| {
            let of = |place| rules(rights.iter().filter(|right| right.capability == capability), place);
            json!({"cluster": of(Where::Cluster), "namespace": of(Where::Own)})
        };
        let built = Capability::ALL.into_iter().filter(|one| one.is_built());
        let rules: BTreeMap<&str, Value> = built.map(|one| (one.name(), of(one))).collect();
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
        for Right { group, resource, verbs, place, capability } in all() {
            assert!(!verbs.contains(&"*") && resource != "*" && group != "*", "{group} {resource}");
            assert!(
                !["bind", "escalate", "impersonate", "deletecollection"]
                    .iter()
                    .any(|verb| verbs.contains(verb))
            );
            let secret = resource == "secrets" && place == Where::Cluster;
            // What is issued is a Secret; none is ever removed.
            let may: &[&str] = match capability {
                Capability::Certificates => &["get", "create", "patch"],
                _ => &["get", "list", "watch"],
            };
            assert!(!secret || verbs == may, "{capability:?}");
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
