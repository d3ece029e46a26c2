//! Kustomizations, as sources of Applications and as plain folders, built by the real Kustomize (and the real Helm).
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use portolan_effects::render::{Rendered, Tools, Touched, Tree, render};
use portolan_model::Placed;
use portolan_testkit as testkit;

fn tools(cache: &Path) -> Option<Tools> {
    let (Some(helm), Some(kustomize)) = (testkit::program("helm"), testkit::program("kustomize")) else {
        testkit::skip("effects/kustomize", "helm or kustomize was not found; run scripts/setup demo");
        return None;
    };
    let tools = Tools::new(Some(helm), cache.join("cache")).kustomize(Ok::<_, String>(kustomize));
    Some(tools.through(env!("CARGO_BIN_EXE_portolan-confined")))
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

const REPO: &str = "repoURL: https://git.example.com/p/edge.git";

fn application(name: &str, source: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\n\
         spec:\n  project: default\n  destination: {{server: 'https://kubernetes.default.svc', namespace: shop}}\n  source: {{{REPO}, {source}}}\n"
    )
}

/// A repository with one Application `team` of this source.
fn team(dir: &Path, source: &str, files: &[(&str, &str)]) -> Option<Rendered> {
    let folder = dir.join("repo");
    let (root, team) = (application("root", "path: apps"), application("team", source));
    write(&folder, &[("argocd-bootstrap-apps/dev.yaml", &root), ("apps/team.yaml", &team)]);
    write(&folder, files);
    Some(render(&folder, "dev", None, &tools(dir)?))
}

fn keys(rendered: &Rendered) -> Vec<String> {
    let mut keys: Vec<_> = rendered.objects.iter().map(|object| object.key.to_string()).collect();
    keys.retain(|key| !key.starts_with("Application/"));
    keys.sort();
    keys
}

fn codes(rendered: &Rendered) -> Vec<u16> {
    rendered.problems.iter().map(|problem| problem.code.0).collect()
}

fn place(rendered: &Rendered, name: &str) -> String {
    let object = rendered.objects.iter().find(|object| object.key.name.name.contains(name)).unwrap();
    let source = object.origin.source.as_ref().unwrap();
    format!("{}:{}", source.file, source.line)
}

const BASE: &[(&str, &str)] = &[
    (
        "base/kustomization.yaml",
        "resources: [all.yaml]\nconfigMapGenerator:\n- {name: made, literals: [a=b]}\n",
    ),
    (
        "base/all.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: base}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}], selector: {app: web}}\n",
    ),
];
const OVERLAY: (&str, &str) = (
    "overlays/dev/kustomization.yaml",
    "resources: [../../base]\nnamePrefix: dev-\npatches: [{path: patch.yaml}]\n",
);
const PATCH: (&str, &str) = (
    "overlays/dev/patch.yaml",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: patched}\n",
);

/// From 1.
fn line_of(text: &str, words: &str) -> u32 {
    u32::try_from(text.lines().take_while(|line| !line.contains(words)).count() + 1).unwrap()
}

#[test]
fn an_overlay_is_built_and_each_object_has_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<_> = BASE.iter().copied().chain([OVERLAY, PATCH]).collect();
    let Some(rendered) = team(dir.path(), "path: overlays/dev", &files) else { return };
    assert_eq!(codes(&rendered), [0_u16; 0], "{:?}", rendered.problems);
    let made = rendered.objects.iter().find(|object| object.key.name.name.contains("made")).unwrap();
    assert_eq!(
        keys(&rendered),
        [
            format!("ConfigMap/{}", made.key.name),
            "ConfigMap/shop/dev-one".into(),
            "Service/shop/dev-web".into()
        ]
    );
    let one = rendered.objects.iter().find(|object| &*object.key.name.name == "dev-one").unwrap();
    assert_eq!(one.json["data"]["a"], "patched");
    assert!(one.json["metadata"]["annotations"].is_null(), "nobody asked for origins: {:?}", one.json);
    assert_eq!(place(&rendered, "dev-one"), "base/all.yaml:1");
    assert_eq!(place(&rendered, "dev-web"), "base/all.yaml:6");
    let web = rendered.objects.iter().find(|object| &*object.key.name.name == "dev-web").unwrap();
    assert_eq!(web.origin.line_of("spec.ports[0].port"), Some(9));
    assert_eq!(place(&rendered, "made"), "base/kustomization.yaml:2");
    // What a patch says stands in the patch, and what an option changed is near.
    let at = |field: &str| {
        let place = one.origin.place_of(field).unwrap();
        (place.placed, place.file.to_string(), place.line)
    };
    assert_eq!(at("data.a"), (Placed::Exact, PATCH.0.to_owned(), Some(line_of(PATCH.1, "patched"))));
    assert_eq!(at("metadata.name").0, Placed::Near);
    // Who asks for origins keeps them.
    let dir = tempfile::tempdir().unwrap();
    let asks = format!("{}buildMetadata: [originAnnotations]\n", OVERLAY.1);
    let files: Vec<_> = BASE.iter().copied().chain([(OVERLAY.0, &*asks), PATCH]).collect();
    let rendered = team(dir.path(), "path: overlays/dev", &files).unwrap();
    let one = rendered.objects.iter().find(|object| &*object.key.name.name == "dev-one").unwrap();
    assert!(one.json["metadata"]["annotations"]["config.kubernetes.io/origin"].is_string());
}

#[test]
fn what_fails_costs_its_own_application_and_keeps_what_stood_there() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let folder = dir.path().join("repo");
    write(&folder, BASE);
    write(
        &folder,
        &[OVERLAY, PATCH, ("plain/m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n")],
    );
    let apps = [application("team", "path: overlays/dev"), application("other", "path: plain")].join("---\n");
    write(
        &folder,
        &[("argocd-bootstrap-apps/dev.yaml", &application("root", "path: apps")), ("apps/all.yaml", &apps)],
    );
    let mut tree = Tree::new(&folder, "dev", None, tools);
    let first = tree.read(&Touched::All);
    let names: Vec<_> = first.objects.iter().map(|object| object.key.to_string()).collect();
    assert!(first.problems.is_empty() && names.len() == 7, "{:?} {names:?}", first.problems);
    let edit = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::write(&path, text).unwrap();
        Touched::Paths([path].into())
    };
    let broken = tree
        .read(&edit("overlays/dev/patch.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: none}\n"));
    let said: Vec<_> = broken.problems.values().flatten().collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!((said[0].code.0, said[0].object.to_string().as_str()), (615, "Application/argocd/team"));
    assert!(said[0].message.contains("none"), "{}", said[0].message);
    assert!(!said[0].message.contains("/tmp"), "no path of the copy: {}", said[0].message);
    assert_eq!(broken.whole.unsure.iter().map(ToString::to_string).collect::<Vec<_>>(), ["team"]);
    // One edit of the overlay costs that overlay, and one beside it nothing.
    let mended = tree.read(&edit("overlays/dev/patch.yaml", PATCH.1));
    assert_eq!((mended.work.parts, mended.whole.unsure.len()), (1, 0), "{:?}", mended.problems);
    assert_eq!(tree.read(&edit("base/README.md", "x")).work.parts, 0);
    assert_eq!(tree.read(&edit("base/all.yaml", BASE[1].1.replace("base", "new").as_str())).work.parts, 1);
}

#[test]
fn remote_bases_are_said_and_never_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        (
            "team/kustomization.yaml",
            "resources: [own.yaml, https://x.example/crds.yaml, 'github.com/x/y//base?ref=v1', 'git@x.example:y/z.git']\n\
             components: ['https://x.example/parts?ref=v2']\nhelmCharts: [{name: redis, repo: 'https://x.example/', version: '1'}]\n",
        ),
        ("team/own.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n"),
    ];
    let Some(rendered) = team(dir.path(), "path: team", &files) else { return };
    assert_eq!(keys(&rendered), ["ConfigMap/shop/own"]);
    assert_eq!(codes(&rendered), [607, 607, 607, 607, 636], "{:?}", rendered.problems);
    // What cannot be built without it is not known, and nobody's mistake.
    for text in [
        "resources: [https://x.example/all.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: theirs}\n    data: {a: b}\n",
        "resources: [own.yaml]\nconfigMapGenerator:\n- {name: made, files: ['https://x.example/dashboard.json']}\n",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let rendered =
            team(dir.path(), "path: team", &[("team/kustomization.yaml", text), files[1]]).unwrap();
        assert!(codes(&rendered).iter().all(|code| *code == 607), "{text}: {:?}", rendered.problems);
        assert!(
            rendered
                .problems
                .iter()
                .any(|problem| problem.message.contains("does not build without what it names by a URL"))
        );
        assert!(rendered.whole.unsure.contains("team"), "what it brought must stay");
    }
    // Nor what a chart that is not locked would bring. A file that is missing is missing either way.
    let patched = "helmCharts: [{name: redis, repo: 'https://x.example/', version: '1'}]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: theirs}\n    data: {a: b}\n";
    for (text, wanted) in
        [(patched, [607, 636]), ("resources: [https://x.example/all.yaml, gone.yaml]\n", [607, 615])]
    {
        let dir = tempfile::tempdir().unwrap();
        let rendered = team(dir.path(), "path: team", &[("team/kustomization.yaml", text)]).unwrap();
        let mut found = codes(&rendered);
        found.sort_unstable();
        assert_eq!(found, wanted, "{:?}", rendered.problems);
    }
}

#[test]
fn charts_are_rendered_by_helm_or_stood_in_for() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        (
            "team/kustomization.yaml",
            "namePrefix: p-\nhelmCharts:\n- {name: own, releaseName: r, valuesInline: {a: inline}}\n\
             - {name: external-dns, repo: 'https://x.example', version: 1.20.0, valuesFile: dns.yaml, valuesInline: {txtOwnerId: dev, policy: sync}}\n",
        ),
        ("team/dns.yaml", "txtOwnerId: file\ndomainFilters: [x.test]\n"),
        ("team/charts/own/Chart.yaml", "apiVersion: v2\nname: own\nversion: 0.1.0\n"),
        (
            "team/charts/own/templates/m.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {a: {{ .Values.a }}, \
             has: {{ .Capabilities.APIVersions.Has \"gateway.networking.k8s.io/v1/HTTPRoute\" | quote }}}\n",
        ),
        ("team/charts/own/values.yaml", "a: chart\n"),
    ];
    let Some(rendered) = team(dir.path(), "path: team", &files) else { return };
    assert_eq!(codes(&rendered), [0_u16; 0], "{:?}", rendered.problems);
    assert_eq!(keys(&rendered), ["ConfigMap/shop/p-r"]);
    let map = rendered.objects.iter().find(|object| &*object.key.name.name == "p-r").unwrap();
    assert_eq!((&map.json["data"]["a"], &map.json["data"]["has"]), (&"inline".into(), &"true".into()));
    assert!(map.json["metadata"]["annotations"].is_null(), "{:?}", map.json);
    assert_eq!(place(&rendered, "p-r"), "team/kustomization.yaml:2");
    let [dns] = &rendered.whole.adapters[..] else { panic!("{:?}", rendered.whole.adapters) };
    assert_eq!((&*dns.component, &*dns.version), ("external-dns", "1.20.0"));
    assert_eq!(dns.values["txtOwnerId"], "dev");
    assert_eq!(dns.values["domainFilters"][0], "x.test");
}

/// Each option of `spec.source.kustomize` gives what `kustomize edit` and `kustomize build` give, which is what Argo CD runs.
#[test]
fn options_are_those_of_kustomize_edit() {
    let workload = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {app: web}}\nspec:\n  replicas: 1\n  \
                    selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
                    spec: {containers: [{name: c, image: 'nginx:1'}, {name: d, image: 'r.example/side@sha256:00'}]}\n";
    let base = [
        (
            "team/kustomization.yaml",
            "resources: [web.yaml]\nimages: [{name: nginx, newName: kept, newTag: '5'}]\nlabels: [{pairs: {own: a}, includeTemplates: true}]\n",
        ),
        ("team/web.yaml", workload),
        (
            "parts/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\n",
        ),
    ];
    let kustomize = testkit::program("kustomize");
    for (options, edits) in [
        ("namePrefix: p-", vec![vec!["set", "nameprefix", "--", "p-"]]),
        (
            "nameSuffix: -s, namespace: other",
            vec![vec!["set", "namesuffix", "--", "-s"], vec!["set", "namespace", "--", "other"]],
        ),
        (
            "images: ['nginx:2', 'r.example/side=x:3']",
            vec![vec!["set", "image", "nginx:2", "r.example/side=x:3"]],
        ),
        ("images: ['nginx=*:2']", vec![vec!["set", "image", "nginx=*:2"]]),
        ("images: ['nginx=y@sha256:11']", vec![vec!["set", "image", "nginx=y@sha256:11"]]),
        ("replicas: [{name: web, count: 3}]", vec![vec!["set", "replicas", "web=3"]]),
        ("commonLabels: {team: x}", vec![vec!["add", "label", "team:x"]]),
        (
            "commonLabels: {team: x}, labelWithoutSelector: true",
            vec![vec!["add", "label", "--without-selector", "team:x"]],
        ),
        (
            "commonLabels: {own: b}, labelWithoutSelector: true, labelIncludeTemplates: true, forceCommonLabels: true",
            vec![vec!["add", "label", "--force", "--without-selector", "--include-templates", "own:b"]],
        ),
        ("commonAnnotations: {note: x}", vec![vec!["add", "annotation", "note:x"]]),
        ("components: [../parts]", vec![vec!["add", "component", "../parts"]]),
        (
            "components: [../parts, ../none], ignoreMissingComponents: true",
            vec![vec!["add", "component", "../parts"]],
        ),
    ] {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let Some(rendered) = team(ours.path(), &format!("path: team, kustomize: {{{options}}}"), &base)
        else {
            return;
        };
        assert_eq!(codes(&rendered), [0_u16; 0], "{options}: {:?}", rendered.problems);
        write(theirs.path(), &base);
        let run = |args: &[&str], at: PathBuf| {
            let done = Command::new(kustomize.as_ref().unwrap()).args(args).current_dir(at).output().unwrap();
            assert!(done.status.success(), "{options}: {}", String::from_utf8_lossy(&done.stderr));
            String::from_utf8(done.stdout).unwrap()
        };
        for edit in edits {
            run(&[&["edit"], &edit[..]].concat(), theirs.path().join("team"));
        }
        let text = run(&["build", "team"], theirs.path().to_owned());
        let mut wanted = portolan_model::yaml::load(&text).0.swap_remove(0).json;
        let object = rendered.objects.iter().find(|object| &*object.key.kind.kind == "Deployment").unwrap();
        let namespace = object.json["metadata"]["namespace"].clone();
        wanted["metadata"].as_object_mut().unwrap().entry("namespace").or_insert(namespace);
        for field in ["metadata", "spec"] {
            // Defaults of the API server come on top.
            assert!(holds(&object.json[field], &wanted[field]), "{options}\n{}\n{wanted}", *object.json);
        }
    }
}

/// Whether all of `part` stands in `whole`.
fn holds(whole: &serde_json::Value, part: &serde_json::Value) -> bool {
    match (whole, part) {
        (serde_json::Value::Object(whole), serde_json::Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|found| holds(found, value)))
        }
        (serde_json::Value::Array(whole), serde_json::Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| holds(whole, part))
        }
        _ => whole == part,
    }
}

#[test]
fn patches_and_variables_of_the_application_are_laid_over() {
    let dir = tempfile::tempdir().unwrap();
    let options = "commonAnnotations: {app: '$ARGOCD_APP_NAME'}, commonAnnotationsEnvsubst: true, \
                   patches: [{target: {kind: ConfigMap, name: one}, patch: '[{\"op\": \"replace\", \"path\": \"/data/a\", \"value\": \"x\"}]'}]";
    let Some(rendered) = team(dir.path(), &format!("path: base, kustomize: {{{options}}}"), BASE) else {
        return;
    };
    assert_eq!(codes(&rendered), [0_u16; 0], "{:?}", rendered.problems);
    let one = rendered.objects.iter().find(|object| &*object.key.name.name == "one").unwrap();
    assert_eq!(
        (&one.json["data"]["a"], &one.json["metadata"]["annotations"]["app"]),
        (&"x".into(), &"team".into())
    );
    // What `kustomize edit` would refuse.
    let dir = tempfile::tempdir().unwrap();
    let rendered = team(dir.path(), "path: base, kustomize: {images: [nginx]}", BASE).unwrap();
    assert_eq!(codes(&rendered), [602]);
}

fn plain(env: &str, files: &[(&str, &str)]) -> Option<Rendered> {
    let dir = tempfile::tempdir().unwrap();
    let tools = tools(dir.path())?;
    write(&dir.path().join("repo"), files);
    Some(render(&dir.path().join("repo"), env, None, &tools))
}

#[test]
fn a_plain_folder_with_kustomizations_builds_what_is_meant_and_says_the_rest() {
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let (base, loose) = (map("base"), map("loose"));
    let files = [
        ("kustomization-less/loose.yaml", &*loose),
        ("base/kustomization.yaml", "resources: [m.yaml]\n"),
        ("base/m.yaml", &*base),
        (
            "overlays/dev/kustomization.yaml",
            "resources: [../../base]\nnamePrefix: dev-\npatches: [{path: patch.yaml}]\n",
        ),
        ("overlays/dev/patch.yaml", &*base),
        ("overlays/prod/kustomization.yaml", "resources: [../../base]\nnamePrefix: prod-\n"),
    ];
    let Some(dev) = plain("dev", &files) else { return };
    assert_eq!(
        (keys(&dev), codes(&dev)),
        (vec!["ConfigMap/default/dev-base".into(), "ConfigMap/default/loose".into()], vec![])
    );
    let other = plain("default", &files).unwrap();
    assert_eq!((keys(&other), codes(&other)), (vec!["ConfigMap/default/loose".to_owned()], vec![617]));
    assert!(
        other.problems[0].message.contains("overlays/dev, overlays/prod"),
        "{}",
        other.problems[0].message
    );
    // The only one that is not a part of another, and one at the top.
    let one = plain("default", &files[..5]).unwrap();
    assert_eq!(
        (keys(&one), codes(&one)),
        (vec!["ConfigMap/default/dev-base".into(), "ConfigMap/default/loose".into()], vec![])
    );
    let top = plain(
        "default",
        &[
            ("kustomization.yaml", "namePrefix: p-\nresources: [m.yaml]\n"),
            ("m.yaml", &base),
            ("other.yaml", &loose),
        ],
    );
    assert_eq!(keys(&top.unwrap()), ["ConfigMap/default/p-base"]);
}

#[test]
fn what_is_no_manifest_is_counted_and_no_error() {
    let files = [
        ("values.yaml", "replicas: 1\nkind: small\n"),
        (".github/workflows/ci.yaml", "on: push\n"),
        ("ci.yml", "stages: [a]\nkind: pipeline\n"),
        ("package.json", "{\"name\": \"x\"}"),
        ("tsconfig.json", "{ // a comment\n \"a\": 1 }"),
        ("kind.yaml", "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: []\n"),
        ("templates.yaml", "a: {{ .Values.a }}\n{{- end }}\n"),
        ("chart/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        ("chart/templates/m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .x }}}\n{{ end }}"),
        ("m.json", "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"m\"}}"),
        ("slip.yaml", "apiVersion: v1\nmetadata: {name: slip}\n"),
    ];
    let Some(rendered) = plain("default", &files) else { return };
    assert_eq!(keys(&rendered), ["ConfigMap/default/m"]);
    let mut said: Vec<_> =
        rendered.problems.iter().map(|p| (p.code.0, p.object.name.name.to_string())).collect();
    said.sort();
    assert_eq!(said, [(610, "slip.yaml".to_owned()), (618, ".".to_owned())]);
    let counted: Vec<_> = rendered.whole.no_manifests.iter().map(String::as_str).collect();
    assert_eq!(
        counted,
        ["ci.yml", "kind.yaml", "package.json", "templates.yaml", "tsconfig.json", "values.yaml"]
    );
}

#[test]
fn a_kustomization_that_leads_to_what_has_no_end_is_said_and_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let folder = dir.path().join("repo");
    write(&folder, &[("argocd-bootstrap-apps/dev.yaml", &application("root", "path: overlays/dev"))]);
    write(&folder, &[("overlays/dev/m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n")]);
    let path = folder.join("overlays/dev/kustomization.yaml");
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let read = |env: &str| Tree::new(&folder, env, None, tools.clone()).read(&Touched::All);
    let codes = |env: &str| read(env).problems.values().flatten().map(|p| p.code.0).collect::<Vec<_>>();
    assert_eq!(codes("dev"), [615]);
    // A pipe would be waited for.
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(codes("dev"), [615]);
    // In a plain folder it is looked into for what it lists as patches.
    let plain = dir.path().join("plain");
    write(&plain, &[("m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n")]);
    for name in ["kustomization.yaml", "sub/kustomization.yml"] {
        fs::create_dir_all(plain.join("sub")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", plain.join(name)).unwrap();
    }
    write(&plain, &[("sub/n.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: n}\n")]);
    let rendered = Tree::new(&plain, "", None, tools).read(&Touched::All);
    assert!(!rendered.problems.is_empty(), "a link that leads outside is said");
}

#[test]
fn an_application_that_is_refused_is_not_followed() {
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    for (bad, code) in [
        (application("Bad_Name", "path: bad"), 5),
        (
            application("typo", "path: bad")
                .replace("  project: default\n", "  project: default\n  sorce: {}\n"),
            5,
        ),
        (application("absolute", "path: /bad"), 602),
        (
            application("both", "path: bad")
                .replace("{server: 'https://kubernetes.default.svc',", "{name: a, server: https://b,"),
            602,
        ),
        (application("nowhere", "path: bad").replace("server: 'https://kubernetes.default.svc', ", ""), 602),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let Some(tools) = tools(dir.path()) else { return };
        let folder = dir.path().join("repo");
        let apps = [bad, application("good", "path: good")].join("---\n");
        write(
            &folder,
            &[
                ("argocd-bootstrap-apps/dev.yaml", &application("root", "path: apps")),
                ("apps/all.yaml", &apps),
                ("bad/m.yaml", &map("bad")),
                ("good/m.yaml", &map("good")),
            ],
        );
        let rendered = Tree::new(&folder, "dev", None, tools).read(&Touched::All);
        let maps: Vec<_> =
            rendered.objects.iter().filter(|object| &*object.key.kind.kind == "ConfigMap").collect();
        assert!(maps.iter().all(|object| &*object.key.name.name == "good") && maps.len() == 1, "{apps}");
        let codes: Vec<_> = rendered.problems.values().flatten().map(|problem| problem.code.0).collect();
        assert_eq!(codes, [code], "{apps}");
    }
}

/// Kustomize takes the first document of its file, so what it names is followed, and the others name nothing.
#[test]
fn of_a_kustomization_with_several_documents_the_first_counts() {
    let dir = tempfile::tempdir().unwrap();
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let several = "resources: [in.yaml]\nnamePrefix: p-\n---\nresources: [two.yaml]\n";
    let (one, two) = (map("one"), map("two"));
    let files = [("team/kustomization.yaml", several), ("team/in.yaml", &*one), ("team/two.yaml", &*two)];
    let Some(rendered) = team(dir.path(), "path: team", &files) else { return };
    assert_eq!(keys(&rendered), ["ConfigMap/shop/p-one"], "{:?}", rendered.problems);
    assert_eq!(codes(&rendered), [0; 0], "{:?}", rendered.problems);
}

/// Kustomize quotes what it cannot read or lay over another; of Secrets none of it is told on.
#[test]
fn what_kustomize_says_tells_no_secret() {
    let secret = "hunter2-canary-Zr8";
    let of = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
    for (kustomization, more) in [
        (format!("secretGenerator: [{{name: s, literals: [{secret}, 'a b={secret}']}}]\n"), String::new()),
        (
            format!(
                "resources: [more.txt]\npatches: [{{patch: 'kind: Secret\n\n  stringData: {{a: {secret}'}}]\n"
            ),
            of.to_owned(),
        ),
        (
            format!(
                "resources: [more.txt]\npatches: [{{target: {{kind: Secret}}, patch: '[{{op: ad, value: {secret}}}'}}]\n"
            ),
            of.to_owned(),
        ),
        ("resources: [more.txt]\n".to_owned(), format!("{of}data: {{a: {secret}: b}}\n")),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let files = [("k/kustomization.yaml", &*kustomization), ("k/more.txt", &more)];
        let Some(rendered) = team(dir.path(), "path: k", &files) else { return };
        let problem = rendered.problems.iter().find(|problem| problem.code.0 == 615);
        let problem = problem.unwrap_or_else(|| panic!("{kustomization}: {:?}", rendered.problems));
        assert!(!problem.message.contains("hunter2"), "{kustomization}: {}", problem.message);
    }
}

/// Options of Kustomize say what a folder is, also where there is no kustomization in it.
#[test]
fn options_without_a_kustomization_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let map = [("app/m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n")];
    let Some(read) = team(dir.path(), "path: app, kustomize: {namePrefix: k-}", &map) else { return };
    assert_eq!((keys(&read), codes(&read)), (vec![], vec![615]));
    let problem = &read.problems[0];
    let says = "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory 'app'";
    assert!(problem.message.starts_with(says) && &*problem.field == "spec.source.kustomize", "{problem:?}");
    assert!(read.whole.unsure.contains("team"));
}
