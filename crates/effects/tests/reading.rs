//! Readings of a work tree that changes: whatever the series of edits, what they add up to is what one fresh reading says;
//! and each costs what it touched.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use portolan_effects::render::{Difference, Tools, Touched, Tree, Whole, render};
use portolan_model::{Name, Object, ObjectKey, Problem};
use portolan_testkit as testkit;
use proptest::prelude::*;

/// What differences add up to.
#[derive(Debug, Default, PartialEq)]
struct Sum {
    objects: BTreeMap<ObjectKey, Object>,
    problems: BTreeMap<ObjectKey, Vec<Problem>>,
    whole: Whole,
}

impl Sum {
    fn add(&mut self, difference: Difference) {
        for key in difference.gone {
            // Of an Application that was held back nobody knows what of it was live.
            let was_there = self.objects.remove(&key).is_some();
            assert!(was_there || self.is_held(), "{key} is gone and was not there");
        }
        self.objects.extend(difference.objects.into_iter().map(|object| (object.key.clone(), object)));
        self.problems.extend(difference.problems);
        self.problems.retain(|_, problems| !problems.is_empty());
        self.whole = difference.whole;
    }

    /// Whether Argo CD would sync an Application as a whole no more: what is live of it stays, and a fresh reading hands nothing of it on.
    fn is_held(&self) -> bool {
        self.problems.values().flatten().any(|problem| problem.message.contains("nothing of it is applied"))
    }

    /// Whether it is what a fresh reading says, but for what stays live.
    fn is(&self, fresh: &Self) -> bool {
        if !fresh.is_held() {
            return self == fresh;
        }
        let handed_on = fresh.objects.iter().all(|(key, object)| self.objects.get(key) == Some(object));
        handed_on && (&self.problems, &self.whole) == (&fresh.problems, &fresh.whole)
    }

    fn fresh(root: &Path, env: &str, tools: &Tools) -> Self {
        let rendered = render(root, env, None, tools);
        let mut problems: BTreeMap<ObjectKey, Vec<Problem>> = BTreeMap::new();
        for problem in rendered.problems {
            problems.entry(problem.object.clone()).or_default().push(problem);
        }
        let objects = rendered.objects.into_iter().map(|object| (object.key.clone(), object)).collect();
        Self { objects, problems, whole: rendered.whole }
    }
}

fn application(name: &str, path: &str, wave: i32) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {name}\n  namespace: argocd\n  annotations: \
         {{argocd.argoproj.io/sync-wave: \"{wave}\"}}\nspec:\n  project: default\n  destination: {{server: 'https://kubernetes.default.svc', namespace: {name}-space}}\n  source:\n    repoURL: \
         https://git.example.com/r.git\n    path: {path}\n    directory: {{recurse: true, exclude: 'skip*'}}\n"
    )
}

fn map(name: &str, namespace: &str, value: u8) -> String {
    let namespace = if namespace.is_empty() { String::new() } else { format!(", namespace: {namespace}") };
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{namespace}}}\ndata: {{v: \"{value}\"}}\n"
    )
}

/// A document: objects with and without namespace (so that some are brought twice), custom kinds and the CRD that decides
/// on their scope, Applications, Jobs, lists, and everything that is wrong.
fn document() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let namespace = prop::sample::select(vec!["", "default", "one-space"]);
    let scope = prop::sample::select(vec!["Cluster", "Namespaced"]);
    let app = prop::sample::select(vec!["one", "two"]);
    let path = prop::sample::select(vec!["one", "two", "none", "x"]);
    prop_oneof![
        6 => (name.clone(), namespace.clone(), 0..3_u8).prop_map(|(n, ns, v)| map(n, ns, v)),
        2 => (name.clone(), namespace).prop_map(|(n, ns)| format!(
            "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {{name: {n}, namespace: \"{ns}\"}}\n")),
        1 => scope.prop_map(|scope| format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: gadgets.example.com}}\nspec: \
             {{group: example.com, scope: {scope}, names: {{kind: Gadget}}}}\n")),
        2 => (app, path, -1..2_i32).prop_map(|(app, path, wave)| application(app, path, wave)),
        1 => name.clone().prop_map(|n| format!("apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {n}}}\n")),
        1 => (name, 0..2_u8).prop_map(|(n, v)| format!(
            "apiVersion: v1\nkind: List\nitems:\n  - {}", map(n, "", v).replace('\n', "\n    ").trim_end())),
        1 => Just("a: [1\n".to_owned()),
        1 => Just("kind: Nameless\napiVersion: v1\nmetadata: {}\n".to_owned()),
    ]
}

const FILES: [&str; 9] = [
    "argocd-bootstrap-apps/e.yaml",
    "one/a.yaml",
    "one/b.yaml",
    "one/deep/c.yaml",
    "two/a.yaml",
    "two/skip.yaml",
    "two/.hidden.yaml",
    "two/note.txt",
    "other/x.yaml",
];

#[derive(Clone, Debug)]
enum Edit {
    Write(usize, Vec<String>),
    Remove(usize),
    Rename(usize, usize),
    /// A folder goes, or comes back with all that it held.
    Folder(usize),
    Link(usize, usize),
    Unreadable(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let file = 0..FILES.len();
    prop_oneof![
        8 => (file.clone(), prop::collection::vec(document(), 0..4)).prop_map(|(f, d)| Edit::Write(f, d)),
        2 => file.clone().prop_map(Edit::Remove),
        2 => (file.clone(), file.clone()).prop_map(|(a, b)| Edit::Rename(a, b)),
        1 => (0..3_usize).prop_map(Edit::Folder),
        1 => (file.clone(), file.clone()).prop_map(|(a, b)| Edit::Link(a, b)),
        1 => file.prop_map(Edit::Unreadable),
    ]
}

/// Does an edit; gives the paths that a watch would name.
fn apply(root: &Path, edit: &Edit) -> Vec<PathBuf> {
    let at = |file: &usize| root.join(FILES[*file]);
    let place = |path: &Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        }
    };
    match edit {
        Edit::Write(file, documents) => {
            place(&at(file));
            let _ = fs::remove_file(at(file));
            fs::write(at(file), documents.join("---\n")).unwrap();
            vec![at(file)]
        }
        Edit::Remove(file) => {
            let _ = fs::remove_file(at(file));
            vec![at(file)]
        }
        Edit::Rename(from, to) => {
            place(&at(to));
            let _ = fs::rename(at(from), at(to));
            vec![at(from), at(to)]
        }
        Edit::Folder(n) => {
            let name = ["one", "two", "one/deep"][*n];
            let (here, away) = (root.join(name), root.parent().unwrap().join(name.replace('/', "-")));
            if here.exists() {
                let _ = fs::remove_dir_all(&away);
                fs::rename(&here, &away).unwrap();
            } else if here.parent().unwrap().exists() {
                let _ = fs::rename(&away, &here);
            }
            vec![here]
        }
        Edit::Link(from, to) => {
            place(&at(from));
            let _ = fs::remove_file(at(from));
            std::os::unix::fs::symlink(at(to), at(from)).unwrap();
            vec![at(from)]
        }
        Edit::Unreadable(file) => {
            place(&at(file));
            let _ = fs::remove_file(at(file));
            // No text.
            fs::write(at(file), [0xff, 0xfe, 0x00]).unwrap();
            vec![at(file)]
        }
    }
}

/// What a watch would name for a new folder above a path is that folder.
fn touched(before: &BTreeSet<PathBuf>, paths: Vec<PathBuf>, root: &Path) -> Touched {
    let mut all = BTreeSet::new();
    for path in paths {
        let new = path.ancestors().filter(|a| a.starts_with(root) && a.is_dir() && !before.contains(*a));
        all.extend(new.map(Path::to_owned));
        all.insert(path);
    }
    Touched::Paths(all)
}

fn folders(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::from([root.to_owned()]);
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(folders(&entry.path()));
        }
    }
    found
}

fn series(edits: &[Edit], bootstrap: bool, skip: usize) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("repo");
    fs::create_dir(&root).unwrap();
    if bootstrap {
        let both = format!("{}---\n{}", application("one", "one", 0), application("two", "two", 1));
        let edit = Edit::Write(0, vec![both]);
        apply(&root, &edit);
    }
    let tools = Tools::new(None, dir.path().join("cache"));
    let mut tree = Tree::new(&root, "e", None, tools.clone());
    let mut sum = Sum::default();
    sum.add(tree.read(&Touched::All));
    let mut waiting = Touched::default();
    for (n, edit) in edits.iter().enumerate() {
        let before = folders(&root);
        let paths = apply(&root, edit);
        waiting.add(touched(&before, paths, &root));
        // Now and then two edits are read as one, or the watch has lost count.
        if n % 5 == skip {
            continue;
        }
        if n % 7 == skip {
            waiting = Touched::All;
        }
        sum.add(tree.read(&std::mem::take(&mut waiting)));
        let fresh = Sum::fresh(&root, "e", &tools);
        assert!(sum.is(&fresh), "after {n}: {edit:?}\n{sum:?}\n{fresh:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn edits_add_up_to_a_fresh_reading(
        edits in prop::collection::vec(edit(), 1..24),
        bootstrap in any::<bool>(),
        skip in 0..5_usize,
    ) {
        series(&edits, bootstrap, skip);
    }
}

/// A repository of `hosts` routes and Services in a plain folder, ten in a file.
fn hosts(root: &Path, hosts: usize) {
    for file in 0..hosts.div_ceil(10) {
        write_hosts(root, file, 0);
    }
}

fn write_hosts(root: &Path, file: usize, edit: usize) {
    let mut text = String::new();
    for n in file * 10..file * 10 + 10 {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}, namespace: t}}\nspec: {{ports: [{{port: 80}}]}}\n---\napiVersion: \
             gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: h{n}, namespace: t, labels: {{edit: \"{edit}\"}}}}\nspec: \
             {{hostnames: [h{n}.example.com]}}\n"
        );
    }
    fs::write(root.join(format!("{file:04}.yaml")), text).unwrap();
}

#[test]
fn an_edit_costs_the_same_in_a_small_and_in_a_large_repository() {
    let work = |size: usize| {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        hosts(&root, size);
        let mut tree = Tree::new(&root, "e", None, Tools::new(None, dir.path().join(".cache")));
        let first = tree.read(&Touched::All);
        assert_eq!((first.work.parts, first.work.objects), (size / 10, size * 2));
        let idle = tree.read(&Touched::default());
        assert_eq!((idle.work.parts, idle.work.objects), (0, 0));
        write_hosts(&root, 3, 1);
        let edit = tree.read(&Touched::Paths([root.join("0003.yaml")].into_iter().collect()));
        assert!(edit.gone.is_empty() && edit.problems.is_empty());
        edit.work
    };
    assert_eq!(work(50), work(500));
}

#[test]
fn the_other_one_is_taken_when_the_last_of_two_goes() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let write = |file: &str, text: &str| fs::write(root.join(file), text).unwrap();
    let paths = |names: &[&str]| Touched::Paths(names.iter().map(|name| root.join(name)).collect());
    write("a.yaml", &map("m", "default", 1));
    write("b.yaml", &format!("{}---\n{}", map("other", "default", 0), map("m", "default", 2)));
    let mut tree = Tree::new(&root, "e", None, Tools::new(None, root.join(".cache")));
    let first = tree.read(&Touched::All);
    assert_eq!(first.objects.len(), 2);
    assert_eq!(first.problems.len(), 1);
    // What is left out is not kept: its file is read again.
    let taken = |read: &Difference| {
        let object = read.objects.iter().find(|object| &*object.key.name.name == "m").unwrap();
        object.json["data"]["v"].clone()
    };
    assert_eq!(taken(&first), "2");
    fs::remove_file(root.join("b.yaml")).unwrap();
    let second = tree.read(&paths(&["b.yaml"]));
    let gone: Vec<_> = second.gone.iter().map(|key| key.name.name.as_str()).collect();
    assert_eq!((gone, taken(&second)), (vec!["other"], "1".into()));
    assert_eq!(second.problems.into_values().collect::<Vec<_>>(), [vec![]]);
}

/// What is misspelt replaces nothing in a cluster, so a component that stood there goes on with what it was told.
#[test]
fn a_component_whose_kind_is_misspelt_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let file = root.join("dns.yaml");
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: external-dns, namespace: gw}\nspec:\n  selector: {matchLabels: {a: b}}\n  template:\n    \
                metadata: {labels: {a: b}}\n    spec:\n      containers:\n      - {name: external-dns, image: 'registry.k8s.io/external-dns/external-dns:v0.21.0', args: [--source=gateway-httproute, --provider=google, --registry=txt, --txt-owner-id=me]}\n";
    fs::write(&file, text).unwrap();
    let mut tree = Tree::new(&root, "dev", None, Tools::new(None, dir.path().join("cache")));
    let before = tree.read(&Touched::All).whole.adapters;
    assert_eq!(before.len(), 1);
    let mut edited = |kind: &str| {
        fs::write(&file, text.replace("kind: Deployment", kind)).unwrap();
        tree.read(&Touched::Paths([file.clone()].into())).whole.adapters
    };
    assert_eq!(edited("kind: Deploymnt"), before);
    assert_eq!(edited("kind: Deploymnt"), before, "and stays so");
    assert_eq!(edited("kind: ConfigMap").len(), 0, "another kind is no slip");
}

/// Files that a kustomization lists as patches are no objects, however they change places.
#[test]
fn patches_of_a_kustomization_are_no_objects() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let write = |file: &str, text: &str| {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), text).unwrap();
    };
    let listing =
        |lists: &str| format!("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{lists}");
    // A folder of an Application: Argo CD reads all files of it, and knows no kustomization below its top.
    write(
        "argocd-bootstrap-apps/e.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: all, namespace: argocd}\nspec:\n  \
         destination: {server: 'https://kubernetes.default.svc', namespace: default}\n  project: default\n  \
         source: {repoURL: 'https://git.example.com/x.git', path: ., directory: {recurse: true, exclude: 'argocd-bootstrap-apps/*'}}\n",
    );
    write("base/kustomization.yaml", "resources: [m.yaml]\n");
    write("base/m.yaml", &map("m", "default", 1));
    write("a/kustomization.yaml", &listing("resources: [../base]\npatches: [{path: ./m.yaml}]\n"));
    write("a/m.yaml", &map("m", "default", 2));
    write(
        "a/flux/kustomization.yaml",
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: f, namespace: default}\n",
    );
    let tools = Tools::new(None, root.join(".cache"));
    let mut tree = Tree::new(&root, "e", None, tools.clone());
    let mut sum = Sum::default();
    let first = tree.read(&Touched::All);
    let codes: Vec<_> = first.problems.values().flatten().map(|p| (p.code.0, p.object.to_string())).collect();
    assert_eq!(
        codes.iter().filter(|(code, _)| *code == 608).map(|(_, object)| &**object).collect::<Vec<_>>(),
        ["File/a/kustomization.yaml", "File/base/kustomization.yaml"],
        "{codes:?}"
    );
    // Flux has it followed, and it says nothing of what to read.
    assert_eq!(codes.last().unwrap(), &(602, "Kustomization/default/f".to_owned()), "{codes:?}");
    assert_eq!(codes.len(), 3, "{codes:?}");
    let values = |objects: &[portolan_model::Object]| {
        let values = objects.iter().filter_map(|object| object.json["data"]["v"].as_str().map(str::to_owned));
        values.collect::<Vec<_>>()
    };
    assert_eq!(values(&first.objects), ["1"]);
    assert_eq!(first.objects.len(), 3, "Flux's Kustomization is an object, and so is the Application");
    sum.add(first);
    for (file, text) in [
        ("a/kustomization.yaml", listing("resources: [../base]\npatchesStrategicMerge: [other.yaml]\n")),
        ("a/kustomization.yaml", listing("configMapGenerator: [{name: x, files: [k=m.yaml]}]\n")),
        ("a/m.yaml", map("m", "default", 3)),
        ("a/kustomization.yaml", listing("patches: [{path: n.yaml}]\n")),
    ] {
        write(file, &text);
        sum.add(tree.read(&Touched::Paths([root.join(file)].into_iter().collect())));
        assert_eq!(sum, Sum::fresh(&root, "e", &tools), "{text}");
    }
    fs::remove_file(root.join("a/kustomization.yaml")).unwrap();
    sum.add(tree.read(&Touched::Paths([root.join("a/kustomization.yaml")].into_iter().collect())));
    assert_eq!(sum, Sum::fresh(&root, "e", &tools), "without it");
}

#[test]
fn a_chart_is_rendered_again_only_for_what_it_was_rendered_from() {
    let dir = tempfile::tempdir().unwrap();
    let Some(helm) = testkit::program("helm") else {
        testkit::skip("effects/reading", "helm was not found; run scripts/setup demo");
        return;
    };
    let root = dir.path().canonicalize().unwrap().join("repo");
    let write = |file: &str, text: &str| {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let source = "    path: charts/c\n    helm: {valueFiles: [v.yaml, /shared/v.yaml, none.yaml], ignoreMissingValueFiles: true}\n";
    let app = application("app", "charts/c", 0);
    write("argocd-bootstrap-apps/e.yaml", &format!("{}{source}", app.split("    path:").next().unwrap()));
    write(
        "charts/c/Chart.yaml",
        "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies:\n- {name: lib, version: 0.1.0, repository: 'file://../lib'}\n",
    );
    write("charts/c/values.yaml", "a: chart\n");
    write("charts/c/v.yaml", "b: one\n");
    write("shared/v.yaml", "c: two\n");
    write("charts/lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 0.1.0\n");
    write("charts/lib/values.yaml", "deep: 1\n");
    write(
        "charts/c/templates/m.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {all: {{ .Values | toJson | quote }}}\n---\napiVersion: \
         example.com/v1\nkind: Gadget\nmetadata: {name: g}\n",
    );
    write("charts/c/templates/n.yaml", &map("second", "", 0));
    let tools =
        Tools::new(Some(helm), dir.path().join("cache")).through(env!("CARGO_BIN_EXE_portolan-confined"));
    let mut tree = Tree::new(&root, "e", None, tools.clone());
    let mut sum = Sum::default();
    sum.add(tree.read(&Touched::All));
    assert_eq!(sum.objects.len(), 4, "{sum:#?}");
    let mut step = |file: &str, text: &str, parts: usize| {
        write(file, text);
        let difference = tree.read(&Touched::Paths([root.join(file)].into_iter().collect()));
        assert_eq!(difference.work.parts, parts, "{file}");
        sum.add(difference);
        assert_eq!(sum, Sum::fresh(&root, "e", &tools), "{file}");
    };
    step("charts/c/v.yaml", "b: two\n", 1);
    step("shared/v.yaml", "c: three\n", 1);
    step("charts/c/none.yaml", "d: there\n", 1);
    step("charts/lib/values.yaml", "deep: 2\n", 1);
    step("charts/c/templates/n.yaml", &map("second", "", 1), 1);
    // The same content again, and what no source looks at.
    step("charts/c/v.yaml", "b: two\n", 0);
    step("charts/other/Chart.yaml", "apiVersion: v2\n", 0);
    step("shared/w.yaml", "c: 4\n", 0);
    // Broken, and mended.
    step("charts/c/templates/n.yaml", "{{ fail \"no\" }}", 0);
    step("charts/c/templates/n.yaml", &map("second", "", 2), 1);
    // A second Application brings the CRD that takes the Gadget's namespace away: the chart is rendered
    // once more for it. With the root's file and the CRD's that is three.
    let crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: gadgets.example.com}\nspec: {group: \
               example.com, scope: Cluster, names: {kind: Gadget}}\n";
    write("crds/c.yaml", crd);
    let both = fs::read_to_string(root.join("argocd-bootstrap-apps/e.yaml")).unwrap();
    step("argocd-bootstrap-apps/e.yaml", &format!("{both}---\n{}", application("crds", "crds", 1)), 3);
}

/// A root that goes is named; what lies further down was never meant, over a restart too, unless somebody says so.
#[test]
fn a_root_that_is_gone_is_not_taken_for_one_that_lies_further_down() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("repo");
    let cache = dir.path().join("cache");
    let tools = || Tools::new(None, cache.clone());
    let write = |file: &str, text: &str| {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), text).unwrap();
    };
    let start = "argocd-bootstrap-apps/e.yaml";
    write(start, &application("one", "one", 0));
    write("one/a.yaml", &map("m", "default", 1));
    let mut tree = Tree::new(&root, "e", None, tools());
    let known = tree.read(&Touched::All).whole.root;
    assert_eq!(known.as_ref().map(ToString::to_string).as_deref(), Some("File/argocd-bootstrap-apps/e.yaml"));
    let whole = fs::read_to_string(root.join(start)).unwrap();
    fs::remove_dir_all(root.join("argocd-bootstrap-apps")).unwrap();
    for chart in [false, true] {
        if chart {
            write("charts/app-of-apps/Chart.yaml", "apiVersion: v2\nname: app-of-apps\nversion: 1.0.0\n");
            write("charts/app-of-apps/values.e.yaml", "a: 1\n");
        }
        let restarted = &mut Tree::new(&root, "e", None, tools()).started(known.clone());
        for tree in [&mut tree, restarted] {
            let read = tree.read(&Touched::All);
            assert_eq!((read.whole.root, read.whole.applications.len(), read.objects.len()), (None, 0, 0));
            assert!(read.whole.unsure.contains(&Name::default()));
            let told: Vec<_> = read.problems.into_values().flatten().collect();
            assert!(
                told.iter().any(|problem| problem.code.0 == 600 && problem.object.name.name == start),
                "{told:?}"
            );
        }
    }
    fs::remove_dir_all(root.join("charts")).unwrap();
    let said = Tree::new(&root, "e", Some("one"), tools()).started(known).read(&Touched::All);
    assert_eq!(said.objects.len(), 1, "{:?}", said.problems);
    write(start, &whole);
    assert!(tree.read(&Touched::All).objects.iter().any(|object| object.key.name.name == "m"));
}
