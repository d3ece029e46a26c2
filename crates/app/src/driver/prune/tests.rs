//! What has left for certain, and what may stand in something that could not be read.
#![allow(clippy::unwrap_used)]

use portolan_effects::{render::ApplicationInfo, store::Store};
use portolan_model::{Origin, Source};
use serde_json::json;

use super::*;

/// A store, what is unwanted of it, and what was read.
struct Case {
    store: Store,
    unwanted: BTreeSet<ObjectKey>,
    whole: Whole,
    _dir: tempfile::TempDir,
}

fn key(kind: &str, name: &str) -> ObjectKey {
    ObjectKey::new(
        if kind == "ConfigMap" || kind == "Folder" { "" } else { "argoproj.io" },
        kind,
        "argocd",
        name,
    )
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        Self { store, unwanted: BTreeSet::new(), whole: Whole::default(), _dir: dir }
    }

    /// An unwanted object, applied by `by`, of this file.
    fn left(mut self, object: &ObjectKey, by: &ObjectKey, file: Option<&str>) -> Self {
        let version = if object.kind.group.is_empty() { "v1" } else { "argoproj.io/v1alpha1" };
        let name = &object.name;
        let json = json!({"apiVersion": version, "kind": &*object.kind.kind, "metadata": {"name": &*name.name, "namespace": &*name.namespace}});
        let source = file.map(|file| Source { file: file.into(), line: 1 });
        let origin = Origin { owner: Some(by.clone().into()), source, ..Origin::default() };
        let object = Object::from_json(json, origin).unwrap();
        self.unwanted.insert(object.key.clone());
        self.store.write(vec![Write::Apply(Box::new(object), GIT)], now()).unwrap();
        self
    }

    fn followed(mut self, by: &ObjectKey) -> Self {
        self.whole.applications.push(ApplicationInfo {
            key: by.clone(),
            parent: "".into(),
            namespace: "x".into(),
            wave: 0,
            sources: Vec::new(),
            create_namespace: false,
            policy: Policy::Whole,
            held: false,
        });
        self
    }

    fn unsure(mut self, name: &str) -> Self {
        self.whole.unsure.insert(name.into());
        self
    }

    fn is_gone(&self, object: &ObjectKey) -> bool {
        let doubt = Doubt {
            followed: self.whole.applications.iter().map(|app| &app.key).collect(),
            unwanted: &self.unwanted,
            live: &|key| self.store.get(key).map(|stored| &stored.object.origin),
            refused: &|key| self.whole.refused.contains_key(key),
            unsure: &self.whole.unsure,
            unsure_files: &self.whole.unsure_files,
            elsewhere: &self.whole.elsewhere,
        };
        doubt.is_gone(object, &self.store.get(object).unwrap().object.origin)
    }
}

#[test]
fn what_was_read_whole_and_is_not_there_is_gone() {
    let (map, app, root) = (key("ConfigMap", "a"), key("Application", "app"), key("Folder", "."));
    let case = || Case::new().left(&map, &app, Some("a.yaml")).followed(&app);
    assert!(case().is_gone(&map));
    // Of another that cannot be read it is none; of its own it may be.
    assert!(case().unsure("other").is_gone(&map) && !case().unsure("app").is_gone(&map));
    // Where the root cannot be read, what applied it may still be meant.
    assert!(!Case::new().left(&map, &root, Some("a.yaml")).unsure("").is_gone(&map));
    assert!(Case::new().left(&map, &root, Some("a.yaml")).unsure("other").is_gone(&map));
}

#[test]
fn what_stands_in_a_file_that_cannot_be_read_may_be_there() {
    let (map, app) = (key("ConfigMap", "a"), key("Application", "app"));
    let with = |file: Option<&str>| {
        let mut case = Case::new().left(&map, &app, file).followed(&app);
        case.whole.unsure_files.insert("a.yaml".to_owned());
        case
    };
    assert!(!with(Some("a.yaml")).is_gone(&map) && with(Some("b.yaml")).is_gone(&map));
    assert!(!with(None).is_gone(&map), "where it stood is not known");
    let mut refused = Case::new().left(&map, &app, Some("b.yaml")).followed(&app);
    refused.whole.refused.insert(map.clone(), Origin::default());
    assert!(!refused.is_gone(&map), "an edit that is refused changes nothing");
}

#[test]
fn what_may_stand_in_a_source_that_is_elsewhere_stays() {
    let (map, app) = (key("ConfigMap", "a"), key("Application", "app"));
    let with = |file: Option<&str>, read: &[&str]| {
        let mut case = Case::new().left(&map, &app, file).followed(&app);
        let read = read.iter().map(|path| (*path).to_owned()).collect();
        case.whole.elsewhere.insert(app.clone(), read);
        case
    };
    // It moved to another repository, or may have.
    assert!(!with(Some("app/a.yaml"), &[]).is_gone(&map) && !with(None, &["app"]).is_gone(&map));
    assert!(!with(Some("application/a.yaml"), &["app"]).is_gone(&map));
    // It stood in a source that was read, and is there no more.
    assert!(with(Some("app/a.yaml"), &["app"]).is_gone(&map) && with(Some("a.yaml"), &[""]).is_gone(&map));
}

#[test]
fn what_an_application_brought_that_is_gone_itself_goes_whatever_else_cannot_be_read() {
    let (map, app, root) = (key("ConfigMap", "a"), key("Application", "app"), key("Application", "root"));
    let case =
        || Case::new().left(&map, &app, Some("a.yaml")).left(&app, &root, Some("app.yaml")).followed(&root);
    assert!(case().unsure("other").is_gone(&map) && case().unsure("other").is_gone(&app));
    // It may stand in what cannot be read: then so may all that it brought.
    assert!(!case().unsure("root").is_gone(&app) && !case().unsure("root").is_gone(&map));
    // One that is followed on is there.
    assert!(!case().followed(&app).unsure("app").is_gone(&map));
}

#[test]
fn the_applications_of_a_set_are_as_sure_as_what_brings_the_set() {
    let (app, set, root) =
        (key("Application", "app"), key("ApplicationSet", "set"), key("Application", "root"));
    let mut case =
        Case::new().left(&app, &set, None).left(&set, &root, Some("set.yaml")).followed(&root).unsure("root");
    case.unwanted.remove(&set);
    assert!(!case.is_gone(&app));
    case.whole.unsure = ["other".into()].into();
    assert!(case.is_gone(&app));
    // A set that is gone, and nothing is said of where it stood.
    let lost = Case::new().left(&app, &set, None);
    assert!(lost.is_gone(&app) && !Case::new().left(&app, &set, None).unsure("").is_gone(&app));
}
