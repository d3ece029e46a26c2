//! Which resources the API server serves a kind as.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use portolan_model::{Kind, Name};
use serde_json::Value;

use crate::{Api, Failure};

/// What a kind is served as.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: Name,
    /// API version without the group.
    pub version: Name,
    /// Kind.
    pub kind: Name,
    /// Name in paths: `httproutes`.
    pub plural: Name,
    /// Whether its objects stand in namespaces.
    pub namespaced: bool,
    /// Whether its status has a path of its own.
    pub status: bool,
}

impl Resource {
    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Group and kind.
    pub fn kind(&self) -> Kind {
        Kind { group: self.group.clone(), kind: self.kind.clone() }
    }

    /// Name of the CustomResourceDefinition that defines it, if it is one.
    pub fn definition(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }
}

/// The resources of a group and version, from its `APIResourceList`.
fn resources(group: &str, version: &str, list: &Value) -> Vec<Resource> {
    let all: Vec<&Value> = list["resources"].as_array().into_iter().flatten().collect();
    let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
    let names: Vec<String> = all.iter().map(|one| name(one)).collect();
    let of_list = all.iter().filter(|one| one["name"].as_str().is_some_and(|name| !name.contains('/')));
    of_list
        .filter_map(|one| {
            Some(Resource {
                group: group.into(),
                version: version.into(),
                kind: one["kind"].as_str()?.into(),
                plural: one["name"].as_str()?.into(),
                namespaced: one["namespaced"].as_bool()?,
                status: names.contains(&format!("{}/status", name(one))),
            })
        })
        .collect()
}

/// Versions under which a kind is served, by group and kind.
type Known = BTreeMap<(Name, Name), Vec<Resource>>;

/// Asks what is served. What was found for writes is remembered until the server says that it is not there.
#[derive(Clone)]
pub(crate) struct Discovery {
    api: Api,
    known: Arc<Mutex<Known>>,
}

impl Discovery {
    pub fn new(api: Api) -> Self {
        Self { api, known: Arc::default() }
    }

    /// The resources of a group and version at present; empty if it is not served.
    async fn ask(&self, group: &Name, version: &Name) -> Result<Vec<Resource>, Failure> {
        let path =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let found = match self.api.get(&path).await {
            Ok(list) => resources(group, version, &list),
            Err(Failure::NotFound(_)) => Vec::new(),
            Err(failure) => return Err(failure),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((group.clone(), version.clone()), found.clone());
        Ok(found)
    }

    /// What a kind is served as, in the first of these versions that is.
    pub async fn serves(&self, kind: &Kind, versions: &[Name]) -> Result<Option<Resource>, Failure> {
        for version in versions {
            let all = self.ask(&kind.group, version).await?;
            if let Some(found) = all.into_iter().find(|resource| resource.kind == kind.kind) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The same for an object that is to be written.
    ///
    /// # Errors
    /// Also when it is not served.
    pub async fn resource(&self, kind: &Kind, version: &Name) -> Result<Resource, Failure> {
        let key = (kind.group.clone(), version.clone());
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let of = |all: Vec<Resource>| all.into_iter().find(|resource| resource.kind == kind.kind);
        if let Some(found) = known.and_then(of) {
            return Ok(found);
        }
        let found = of(self.ask(&kind.group, version).await?);
        found.ok_or_else(|| Failure::NotFound(format!("{kind} is not served in version {version}").into()))
    }

    /// What was known of a kind does not hold any more.
    pub fn forget(&self, kind: &Kind) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(group, _), _| *group != kind.group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn subresources_are_no_resources() {
        let list = json!({"resources": [
            {"name": "gateways", "kind": "Gateway", "namespaced": true},
            {"name": "gateways/status", "kind": "Gateway", "namespaced": true},
            {"name": "gatewayclasses", "kind": "GatewayClass", "namespaced": false},
            {"name": "odd"},
        ]});
        let found = resources("gateway.networking.k8s.io", "v1", &list);
        let told: Vec<_> = found.iter().map(|r| (&*r.plural, r.namespaced, r.status)).collect();
        assert_eq!(told, [("gateways", true, true), ("gatewayclasses", false, false)]);
        assert_eq!(found[0].path("shop"), "/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways");
        assert_eq!(found[0].path(""), "/apis/gateway.networking.k8s.io/v1/gateways");
        assert_eq!(found[1].object("", "edge"), "/apis/gateway.networking.k8s.io/v1/gatewayclasses/edge");
        assert_eq!(found[0].definition(), "gateways.gateway.networking.k8s.io");
    }
}
