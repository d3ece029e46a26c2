//! AppProjects of Argo CD: which Applications and which of their objects they let through. Pure: the walk asks with what an
//! Application says, and applies what follows.
//!
//! ```text
//!  AppProject --Project::of--> Project
//!  Application + Project --judge--> permitted | forbidden: nothing of it is applied | unknown: said, and applied
//!  object + Permit --object--> the same for one object
//! ```
//!
//! Sources: argoproj/argo-cd 3.6 `pkg/apis/application/v1alpha1/app_project_types.go`, `util/argo/argo.go`
//! (`ValidatePermissions`, `GetAppProject`), `controller/sync.go` (`validateSyncPermissions`). What stands in Secrets of Argo CD's own
//! (clusters and repositories that belong to one project) is in no repository and not known.

mod destination;
mod spec;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use portolan_model::{Kind, Name, Object, ObjectKey};

pub use destination::Cluster;
use destination::permitted;
use spec::{Spec, source_permitted};

/// What a project says to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It lets it through.
    Permitted,
    /// It does not; in Argo CD's words.
    Forbidden(String),
    /// It depends on what the repository does not say.
    Unknown(String),
}

/// A project that the repository brings.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Its key; without a namespace if nothing says where it is put.
    pub key: ObjectKey,
    /// What applies it: as long as that stands, the project does.
    pub by: ObjectKey,
    /// `None` if no API server would store it.
    spec: Option<Spec>,
}

/// Of an Application what a project is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its name.
    pub name: &'a Name,
    /// Its namespace, if anything says it.
    pub namespace: Option<&'a Name>,
    /// `repoURL` of each of its sources.
    pub repositories: &'a [&'a str],
    /// Where its objects go.
    pub cluster: &'a Cluster,
    /// `destination.namespace`.
    pub into: &'a str,
}

/// A project as it is asked about the objects of one Application.
#[derive(Clone, Debug, PartialEq)]
pub struct Permit {
    /// The Application's project.
    pub project: Arc<Project>,
    /// Where its objects go.
    pub cluster: Cluster,
}

impl Project {
    /// The project of an object that went through the door, or of one that did not.
    pub fn of(key: ObjectKey, by: ObjectKey, stored: Option<&Object>) -> Self {
        Self { key, by, spec: stored.and_then(|object| Spec::read(&object.json)) }
    }

    /// Fields that narrow what is applied, or when, and that are not looked at.
    pub fn not_looked_at(&self) -> &[&'static str] {
        self.spec.as_ref().map_or(&[], |spec| &spec.unread)
    }

    /// Whether an Application may be applied (`ValidatePermissions`, `IsAppNamespacePermitted`).
    pub fn judge(&self, asked: Asked<'_>) -> Ruling {
        let name = &self.key.name.name;
        let Some(spec) = &self.spec else {
            let message =
                format!("project {name} is refused by the API server, so what it permits is not known");
            return Ruling::Forbidden(message);
        };
        let own = &self.key.name.namespace;
        if let Some(namespace) = asked.namespace
            && !own.is_empty()
            && namespace != own
            && !spec.namespace_permitted(namespace)
        {
            let application = asked.name;
            return Ruling::Forbidden(format!(
                "application '{application}' in namespace '{namespace}' is not allowed to use project {name}"
            ));
        }
        if let Some(repository) =
            asked.repositories.iter().find(|repository| !source_permitted(&spec.source_repos, repository))
        {
            return Ruling::Forbidden(format!(
                "application repo {repository} is not permitted in project '{name}'"
            ));
        }
        match permitted(&spec.destinations, asked.cluster, asked.into) {
            Some(false) => Ruling::Forbidden(format!(
                "application destination server '{}' and namespace '{}' do not match any of the allowed destinations in project '{name}'",
                asked.cluster, asked.into,
            )),
            None => Ruling::Unknown(format!(
                "whether project {name} permits cluster {} and namespace '{}' depends on what Argo CD knows of its clusters",
                asked.cluster, asked.into,
            )),
            Some(true) if spec.permit_only_project_scoped_clusters => Ruling::Unknown(format!(
                "project {name} permits clusters of its own only, and whether cluster {} is one stands in a Secret of Argo CD",
                asked.cluster,
            )),
            Some(true) => Ruling::Permitted,
        }
    }
}

impl Permit {
    /// Whether one object may be applied (`validateSyncPermissions`).
    pub fn object(&self, key: &ObjectKey, namespaced: bool) -> Ruling {
        let project = &self.project.key.name.name;
        let Some(spec) = &self.project.spec else { return Ruling::Permitted };
        let Kind { group, kind, .. } = &key.kind;
        if !spec.kind_permitted(&key.kind, &key.name.name, namespaced) {
            return Ruling::Forbidden(format!(
                "resource {group}:{kind} is not permitted in project {project}"
            ));
        }
        let namespace = &key.name.namespace;
        // That the cluster is not known is said of the Application.
        if namespaced && permitted(&spec.destinations, &self.cluster, namespace) == Some(false) {
            return Ruling::Forbidden(format!(
                "namespace {namespace} is not permitted in project '{project}'"
            ));
        }
        Ruling::Permitted
    }
}

/// Projects by their name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Projects(BTreeMap<Name, Vec<Arc<Project>>>);

impl Projects {
    /// Adds one; of several of one key the first counts.
    pub fn add(&mut self, project: Arc<Project>) {
        let all = self.0.entry(project.key.name.name.clone()).or_default();
        if !all.iter().any(|other| other.key == project.key) {
            all.push(project);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Project>> {
        self.0.values().flatten()
    }

    /// The one that an Application means: that of its own namespace, or else the only one.
    pub fn find(&self, name: &str, namespace: &Name) -> Option<&Arc<Project>> {
        let all = self.0.get(name)?;
        let own = all.iter().find(|project| project.key.name.namespace == *namespace);
        own.or(all.first().filter(|_| all.len() == 1))
    }
}
