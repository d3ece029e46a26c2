//! What is known of an environment's root and components, over readings and restarts. A source that was not read says what it
//! said when it was read last: settings that are not known are never taken for the defaults, which publish, open and mirror more.

use std::collections::BTreeSet;

use portolan_model::{Name, ObjectKey};
use serde::{Deserialize, Serialize};

use super::adapters::{ComponentValues, Form};

/// What the readings so far have shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// Where the environment started when it was read last; `None` before that.
    pub root: Option<ObjectKey>,
    /// A plain folder is all that there was: its names are published without an external-dns.
    pub is_folder: bool,
    /// Values of the components that Portolan stands in for.
    pub components: Vec<ComponentValues>,
}

/// What one reading has shown.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Where it started; `None` if nothing could be read there.
    pub root: Option<&'a ObjectKey>,
    /// Applications that it came to, and the folder that stands for one.
    pub applications: &'a BTreeSet<&'a ObjectKey>,
    /// Values of components that it came to.
    pub components: &'a [ComponentValues],
    /// Applications (by name; the root has none) that could not be read whole.
    pub unsure: &'a BTreeSet<Name>,
    /// Plain files that could not be read whole: a workload may stand there.
    pub unsure_files: bool,
}

impl Seen<'_> {
    /// Whether a plain folder is all that it came to.
    fn is_folder(&self) -> bool {
        !self.applications.is_empty() && self.applications.iter().all(|key| key.kind.is("", "Folder"))
    }
}

impl Known {
    /// With what a reading has shown.
    #[must_use]
    pub fn after(self, seen: Seen<'_>) -> Self {
        let same = seen.root.is_none() || seen.root == self.root.as_ref();
        let is_folder = if self.root.is_some() && same && !seen.unsure.is_empty() {
            self.is_folder
        } else {
            seen.is_folder()
        };
        let components = still_said(self.components, seen);
        Self { root: seen.root.cloned().or(self.root), is_folder, components }
    }
}

/// What the repository says of components: a source that could not be read still says what it did.
fn still_said(old: Vec<ComponentValues>, seen: Seen<'_>) -> Vec<ComponentValues> {
    let mut all = seen.components.to_vec();
    if seen.unsure.is_empty() && !seen.unsure_files {
        return all;
    }
    let known: BTreeSet<&Name> = seen.applications.iter().map(|key| &key.name.name).collect();
    let is_told = |one: &ComponentValues| {
        seen.components.iter().any(|new| {
            new.application == one.application && new.component == one.component && new.object == one.object
        })
    };
    // An Application that is gone may be the child of one that could not be read.
    let is_unsure = |one: &ComponentValues| {
        let here = seen.unsure.contains(&one.application) || seen.unsure_files && one.form != Form::Chart;
        here || !seen.unsure.is_empty() && !known.contains(&one.application)
    };
    all.extend(old.into_iter().filter(|one| !is_told(one) && is_unsure(one)));
    all.sort_by(|a, b| (&a.component, &a.application).cmp(&(&b.component, &b.application)));
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(kind: &str, name: &str) -> ObjectKey {
        let group = if kind == "Application" { "argoproj.io" } else { "" };
        ObjectKey::new(group, kind, "", name)
    }

    fn values(component: &str, application: &str) -> ComponentValues {
        ComponentValues {
            form: Form::default(),
            component: component.into(),
            object: key("Application", application),
            application: application.into(),
            namespace: Name::default(),
            version: Name::default(),
            values: json!({}),
        }
    }

    fn read(known: Known, root: Option<&ObjectKey>, brings: &[ObjectKey], unsure: &[&str]) -> Known {
        let components = if brings.iter().any(|key| &*key.name.name == "dns") {
            vec![values("external-dns", "dns")]
        } else {
            vec![]
        };
        let unsure = unsure.iter().map(|name| Name::new(name)).collect();
        let applications = brings.iter().collect();
        let (components, unsure_files) = (&components[..], false);
        known.after(Seen { root, applications: &applications, components, unsure: &unsure, unsure_files })
    }

    #[test]
    fn a_root_that_is_not_read_changes_nothing() {
        let root = key("File", "argocd-bootstrap-apps/dev.yaml");
        let apps = [key("Application", "apps"), key("Application", "dns")];
        let known = read(Known::default(), Some(&root), &apps, &[]);
        assert_eq!((known.is_folder, known.components.len()), (false, 1));
        assert_eq!(read(known.clone(), None, &[], &[""]), known);
        // Half of it: what the other half brought is still said.
        assert_eq!(read(known.clone(), Some(&root), &apps[..1], &[""]), known);
        // Over a restart.
        let text = serde_json::to_string(&known).unwrap();
        assert_eq!(serde_json::from_str::<Known>(&text).unwrap(), known);
        // Read whole, it says what it says.
        assert_eq!(read(known, Some(&root), &apps[..1], &[]).components, []);
    }

    #[test]
    fn a_folder_stays_one_and_nothing_becomes_one_that_was_not_read() {
        let root = key("Folder", "");
        let folder = read(Known::default(), Some(&root), std::slice::from_ref(&root), &["a"]);
        assert!(folder.is_folder);
        assert_eq!(read(folder.clone(), None, &[], &[""]), folder);
        assert!(!read(Known::default(), None, &[], &[""]).is_folder);
        // A cluster of Flux is a folder too, and the file of its Kustomizations cannot be read.
        let cluster = key("Folder", "clusters/dev");
        let brings = [cluster.clone(), key("Application", "apps")];
        let known = read(Known::default(), Some(&cluster), &brings, &[]);
        assert!(!read(known, Some(&cluster), &brings[..1], &[""]).is_folder);
        // Another root that was read is what it is.
        let file = key("File", "argocd-bootstrap-apps/dev.yaml");
        assert!(!read(folder, Some(&file), &brings[1..], &["apps"]).is_folder);
    }
}
