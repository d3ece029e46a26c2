//! From the work tree to the store. Reading (Helm included) is done on a thread of its own, one at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_core::{
    certificates::rows::Settings,
    gitops::adapters::{Component, adapt},
};
use portolan_effects::{
    render::{ApplicationInfo, Rendered, Tools, render},
    store::{Stored, Write},
};
use portolan_model::{Name, Object, ObjectKey, Origin, Problem, input::SourceProblems, intake::MANAGED_BY};
use serde_json::json;

use super::{Driver, Event, GIT, OURS};

/// The work tree as it was read last, and the reading that is under way.
pub struct Reading {
    tools: Arc<Tools>,
    pub env: String,
    start: Option<String>,
    /// `--cluster-resource-namespace`: wins over what the repository says.
    cluster_resource_namespace: Option<Name>,
    running: bool,
    /// Something changed while a reading was under way.
    again: bool,
    /// What was taken for something else.
    pub substitutions: Vec<String>,
    /// What the repository says of the components that Portolan stands in for.
    pub components: Vec<Component>,
    /// Applications, parents first.
    pub applications: Vec<ApplicationInfo>,
}

impl Reading {
    /// Nothing is read yet.
    pub fn new(
        tools: Tools,
        env: String,
        start: Option<String>,
        cluster_resource_namespace: Option<Name>,
    ) -> Self {
        Self {
            tools: Arc::new(tools),
            env,
            start,
            cluster_resource_namespace,
            running: false,
            again: false,
            substitutions: Vec::new(),
            components: Vec::new(),
            applications: Vec::new(),
        }
    }

    /// Whether the store may still be behind the work tree.
    pub fn is_running(&self) -> bool {
        self.running
    }
}

impl Driver {
    /// Starts a reading of the work tree, or notes that one more is due after the one that runs.
    pub(super) fn reload(&mut self) {
        if self.reading.running {
            self.reading.again = true;
            return;
        }
        self.reading.running = true;
        let (tools, env, start) =
            (Arc::clone(&self.reading.tools), self.reading.env.clone(), self.reading.start.clone());
        let (root, events) = (self.root.clone(), self.events.clone());
        tokio::task::spawn_blocking(move || {
            let rendered = render(&root, &env, start.as_deref(), &tools);
            let _ = events.send(Event::Read(Box::new(rendered)));
        });
    }

    /// Brings the store to what was read.
    pub(super) fn take_reading(&mut self, mut read: Rendered) {
        self.reading.running = false;
        if std::mem::take(&mut self.reading.again) {
            self.reload();
        }
        self.take_components(&mut read);
        self.dns_settings(&mut read);
        let mut problems: BTreeMap<ObjectKey, Vec<Problem>> = BTreeMap::new();
        for problem in std::mem::take(&mut read.problems) {
            problems.entry(problem.object.clone()).or_default().push(problem);
        }
        let mut writes = Vec::with_capacity(read.objects.len());
        let mut wanted = BTreeSet::new();
        let mut namespaces: BTreeSet<Name> = BTreeSet::new();
        for object in std::mem::take(&mut read.objects) {
            let object = self.admitted(object, &mut problems);
            wanted.insert(object.key.clone());
            namespaces.insert(object.key.name.namespace.clone());
            writes.push(Write::Apply(Box::new(object), GIT));
        }
        for namespace in namespaces.into_iter().filter(|n| !n.is_empty()) {
            let key = ObjectKey::new("", "Namespace", "", namespace.clone());
            if !wanted.contains(&key) && self.store.get(&key).is_none() {
                writes.insert(0, Write::Apply(Box::new(namespace_object(&namespace)), OURS));
            }
        }
        let gone = self.store.list().filter(|s| s.manager == GIT && !wanted.contains(&s.object.key));
        let gone: Vec<_> = gone.filter(|s| may_prune(s, &read)).map(|s| s.object.key.clone()).collect();
        writes.extend(gone.into_iter().map(|key| Write::Delete(key, GIT)));
        self.reading.substitutions = read.substitutions;
        self.reading.applications = read.applications;
        let writes = self.in_order(writes);
        for problem in self.write(writes) {
            problems.entry(problem.object.clone()).or_default().push(problem);
        }
        self.source_problems(problems);
    }

    /// Replaces all problems of the source by these.
    fn source_problems(&mut self, problems: BTreeMap<ObjectKey, Vec<Problem>>) {
        let old: Vec<ObjectKey> = self
            .engine
            .rows::<SourceProblems>()
            .filter(|row| !problems.contains_key(&row.key))
            .map(|row| row.key.clone())
            .collect();
        for key in old {
            self.engine.remove::<SourceProblems>(&key);
        }
        for (key, problems) in problems {
            self.engine.put(SourceProblems { key, problems });
        }
        self.facts = true;
    }

    /// Settings that the repository gives to the components which Portolan stands in for.
    fn take_components(&mut self, read: &mut Rendered) {
        // A component whose source could not be read keeps its settings.
        if read.unsure.is_empty() || self.reading.components.is_empty() {
            self.reading.components.clear();
            for values in &read.adapters {
                let (component, problems) = adapt(values);
                self.reading.components.extend(component);
                read.problems.extend(problems);
            }
        }
        self.take_credentials();
        let said = self.reading.components.iter().find_map(|component| match component {
            Component::CertManager(settings) => Some(settings.cluster_resource_namespace.clone()),
            _ => None,
        });
        let namespace = self.reading.cluster_resource_namespace.clone().or(said);
        self.engine.put(Settings {
            key: Name::default(),
            cluster_resource_namespace: namespace.unwrap_or_else(|| "cert-manager".into()),
        });
    }
}

/// Whether an object that is no longer wanted may go: not if it may stand in something that could not be read.
fn may_prune(stored: &Stored, read: &Rendered) -> bool {
    let Some(source) = &stored.object.origin.source else {
        // Where it stood is not known since the last start.
        return read.unsure.is_empty() && read.unsure_files.is_empty();
    };
    if read.unsure_files.iter().any(|file| *file == *source.file) {
        return false;
    }
    let application = &stored.object.origin.application;
    let known = application.is_empty() || read.applications.iter().any(|a| a.key.name.name == *application);
    // An Application that is gone may be the child of one that could not be read.
    read.unsure.is_empty() || (known && !read.unsure.contains(application))
}

fn namespace_object(name: &str) -> Object {
    let json = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/metadata.name": name, MANAGED_BY.0: MANAGED_BY.1},
        },
    });
    Object::from_json(json, Origin::default()).expect("kind and name are set above")
}
