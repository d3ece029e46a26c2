//! The walk and AppProjects: which are brought, and what they say of the Applications that are found.
//!
//! A project may stand after what it judges. Then the walk is gone once more with what was found; it ends when no answer would be
//! another one. A project that is brought by an Application that it forbids stays, as what was applied does.

use std::{collections::BTreeMap, sync::Arc};

use portolan_core::{
    door::Door,
    gitops::projects::{Asked, Cluster, Permit, Project, Projects, Ruling},
};
use portolan_model::{Name, Object, ObjectKey, nearest};

use super::{
    application::{self, Application},
    kept::{Kept, Pending},
    problems,
    walk::{Walk, told},
};

/// Projects of a walk, and what they were asked.
#[derive(Default)]
pub(super) struct Consulted {
    /// Brought by what was read so far.
    found: Projects,
    /// By name and the namespace of who asks: the project that answered.
    asked: BTreeMap<(Name, Name), Option<Arc<Project>>>,
    /// Applications of projects that nothing brings, with the namespace of the first.
    unknown: BTreeMap<Name, (Name, Vec<String>)>,
}

/// An Application that its project forbids.
pub(super) struct Forbidden;

impl Pending {
    /// Whether its project lets through an object that it brings.
    pub(super) fn permits(&self, object: &Object) -> bool {
        let Some(permit) = &self.permit else { return true };
        let mut key = object.key.clone();
        if key.name.namespace.is_empty() {
            key.name.namespace = self.namespace();
        }
        !matches!(permit.object(&key, true), Ruling::Forbidden(_))
    }
}

impl Walk<'_> {
    /// Projects that an Application or a root brings.
    pub(super) fn learn_projects(&mut self, kept: &Kept) {
        let by = &kept.pending.application.key;
        let namespace = kept.pending.namespace();
        let objects = kept.sources.iter().flat_map(|source| source.applications.values().flatten());
        for object in objects.filter(|object| application::is_project(&object.key)) {
            if !kept.pending.permits(object) {
                continue;
            }
            let mut key = object.key.clone();
            if key.name.namespace.is_empty() && application::is_kind(by) {
                key.name.namespace = namespace.clone();
            }
            let stored = match self.at_the_door(object, &namespace) {
                Ok(Door::Taken(stored)) => Some(stored),
                _ => None,
            };
            // An edit that is refused changes nothing.
            let before = self.ask.projects.iter().find(|old| old.key == key).filter(|_| stored.is_none());
            let project = before.cloned();
            let project = project.unwrap_or_else(|| Arc::new(Project::of(key, by.clone(), stored.as_ref())));
            self.projects.found.add(project);
        }
    }

    /// Judges an Application by its project. That it is forbidden is said here. `stated`: its namespace is known.
    pub(super) fn permit(
        &mut self,
        application: &Application,
        stated: bool,
    ) -> Result<Option<Arc<Permit>>, Forbidden> {
        let key = &application.key;
        let (name, namespace) = (&key.name.name, &key.name.namespace);
        let project =
            Name::new(if application.project.is_empty() { "default" } else { &application.project });
        let found = self.projects.found.find(&project, namespace);
        let found = found.or_else(|| self.ask.projects.find(&project, namespace)).cloned();
        self.projects.asked.insert((project.clone(), namespace.clone()), found.clone());
        let Some(found) = found else {
            // One of another namespace than Argo CD's has to be let in by name (`IsAppNamespacePermitted`).
            if &*project == "default"
                && stated
                && let Some(argo) = self.argo.as_ref().filter(|argo| *argo != namespace)
            {
                let message = format!(
                    "application '{name}' in namespace '{namespace}' is not permitted to use project 'default': Argo CD is in {argo}, where its projects or most of its Applications are, \
                     and no AppProject default with sourceNamespaces is in the repository"
                );
                self.out.problems.push(problems::forbidden(key, "spec.project", message));
                self.out.unsure.insert(name.clone());
                return Err(Forbidden);
            }
            // Argo CD makes `default`, which permits everything.
            if &*project != "default" {
                let unknown = self.projects.unknown.entry(project);
                unknown.or_insert_with(|| (namespace.clone(), Vec::new())).1.push(name.to_string());
            }
            return Ok(None);
        };
        let destination = &application.destination;
        let cluster = Cluster::of(&destination.server, &destination.name);
        let repositories: Vec<&str> = application.sources.iter().map(|source| &*source.repo_url).collect();
        let asked = Asked {
            name,
            namespace: Some(namespace).filter(|_| stated),
            repositories: &repositories,
            cluster: &cluster,
            into: &destination.namespace,
        };
        match found.judge(asked) {
            Ruling::Permitted => {}
            Ruling::Unknown(message) => {
                self.out.problems.push(problems::project_unknown(key, "spec.destination", message));
            }
            Ruling::Forbidden(message) => {
                self.out.problems.push(problems::forbidden(key, "spec.project", message));
                self.out.unsure.insert(name.clone());
                return Err(Forbidden);
            }
        }
        Ok(Some(Arc::new(Permit { project: found, cluster })))
    }

    /// Ends the walk: what is not known of projects, and which there are.
    pub(super) fn end_projects(&mut self) {
        let Consulted { mut found, asked, unknown } = std::mem::take(&mut self.projects);
        for (project, (namespace, applications)) in unknown {
            let near = nearest(&project, found.iter().map(|one| &*one.key.name.name));
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let message = format!(
                "project {project} is not in the repository, so whether it permits {} is not known; Argo CD refuses an Application of a project that does not exist{near}",
                told(&applications)
            );
            let key = ObjectKey::new("argoproj.io", "AppProject", namespace, project);
            self.out.problems.push(problems::project_unknown(&key, "", message));
        }
        let projects = asked.values().flatten().map(|project| (&project.key, &**project));
        let projects: BTreeMap<&ObjectKey, &Project> = projects.collect();
        for (key, project) in projects.into_iter().filter(|(_, project)| !project.not_looked_at().is_empty())
        {
            let fields = project.not_looked_at().join(", ");
            let message = format!("of project {} is not looked at: {fields}", key.name.name);
            self.out.problems.push(problems::project_unread(key, "spec", message));
        }
        for old in self.ask.projects.iter() {
            let by = if application::is_kind(&old.by) { old.by.name.name.clone() } else { Name::default() };
            if self.out.unsure.contains(&by) {
                found.add(Arc::clone(old));
            }
        }
        let other = |((name, namespace), answered): (&(Name, Name), &Option<Arc<Project>>)| {
            found.find(name, namespace) != answered.as_ref()
        };
        self.out.again |= asked.iter().any(other);
        self.out.projects = found;
    }
}
