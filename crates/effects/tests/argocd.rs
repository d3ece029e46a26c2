//! What Argo CD does with Applications, and the render has to do as well: each case is a repository with one Application `team`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use portolan_effects::render::{Rendered, Tools, Touched, Tree, render};
use portolan_testkit as testkit;

fn rendered(root: &Path, spec: &str, files: &[(&str, &str)]) -> Option<Rendered> {
    let Some(helm) = testkit::program("helm") else {
        testkit::skip("effects/argocd", "helm was not found; run scripts/setup demo");
        return None;
    };
    let application = |name: &str, spec: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\n\
             spec:\n  project: default\n  destination: {{server: 'https://kubernetes.default.svc', namespace: shop}}\n{spec}"
        )
    };
    let repo = "repoURL: https://git.example.com/p/edge.git";
    let bootstrap = application("root", &format!("  source: {{{repo}, path: apps}}\n"));
    let team = application("team", &spec.replace("REPO", repo));
    let all = [("argocd-bootstrap-apps/dev.yaml", &*bootstrap), ("apps/team.yaml", &*team)];
    let folder = root.join("repo");
    for (path, text) in all.iter().chain(files) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Some(render(&folder, "dev", None, &tools(helm, root)))
}

const CHART: &str = "apiVersion: v2\nname: team\nversion: 0.1.0\n";
/// Shows its values `a` and `b`.
const SHOW: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: show}\ndata: {a: {{ .Values.a | quote }}, b: {{ .Values.b | quote }}}\n";

/// `data` of the ConfigMap `show`, and the codes of what is wrong.
fn shown(spec: &str, files: &[(&str, &str)]) -> Option<(Option<[String; 2]>, Vec<u16>)> {
    let dir = tempfile::tempdir().unwrap();
    let chart = [("charts/team/Chart.yaml", CHART), ("charts/team/templates/show.yaml", SHOW)];
    let all: Vec<_> = chart.iter().chain(files).copied().collect();
    let rendered = rendered(dir.path(), spec, &all)?;
    let map = rendered.objects.iter().find(|object| &*object.key.name.name == "show");
    let data = map.map(|map| ["a", "b"].map(|k| map.json["data"][k].as_str().unwrap_or_default().to_owned()));
    Some((data, rendered.problems.iter().map(|problem| problem.code.0).collect()))
}

fn keys(rendered: &Rendered) -> Vec<String> {
    let mut keys: Vec<_> = rendered.objects.iter().map(|object| object.key.to_string()).collect();
    keys.retain(|key| !key.starts_with("Application/"));
    keys.sort();
    keys
}

fn codes(rendered: &Rendered) -> Vec<(u16, String)> {
    rendered.problems.iter().map(|problem| (problem.code.0, problem.object.to_string())).collect()
}

#[test]
fn value_files_are_patterns_of_doublestar() {
    let source = |files: &str| {
        format!("  source:\n    REPO\n    path: charts/team\n    helm: {{valueFiles: [{files}]}}\n")
    };
    let envs = [
        ("charts/team/envs/10-base.yaml", "a: base\nb: base\n"),
        ("charts/team/envs/20-prod.yaml", "a: prod\nb: prod\n"),
        ("charts/team/envs/30-last.yaml", "a: last\n"),
        ("charts/team/envs/z.yaml", "a: z\n"),
        ("charts/team/envs/nested/c.yaml", "a: nested\n"),
    ];
    for (files, wanted) in [
        ("'envs/[1-3]0-*.yaml'", Some(["last", "prod"])),
        // The files of a folder come before those of its folders.
        ("'envs/**/*.yaml'", Some(["nested", "prod"])),
        // What is named stands where it is named.
        ("'envs/*.yaml', envs/10-base.yaml", Some(["base", "base"])),
        ("envs/20-prod.yaml, 'envs/[12]*.yaml'", Some(["base", "base"])),
        // The first pattern takes a file.
        ("'envs/z.yam?', 'envs/30*.yaml', 'envs/[0-z]*.yaml'", Some(["prod", "prod"])),
        ("'envs/[!0-9].yaml'", Some(["z", ""])),
        ("'envs/[4-9]*.yaml'", None),
    ] {
        let Some((data, codes)) = shown(&source(files), &envs) else { return };
        assert_eq!(data, wanted.map(|data| data.map(str::to_owned)), "{files}");
        assert_eq!(codes, if wanted.is_some() { vec![] } else { vec![604] }, "{files}");
    }
    let ignored = source("'envs/[4-9]*.yaml', 'envs/[1]*.yaml'")
        .replace("helm: {", "helm: {ignoreMissingValueFiles: true, ");
    let Some((data, codes)) = shown(&ignored, &envs) else { return };
    assert_eq!((data.unwrap(), codes), (["base".to_owned(), "base".to_owned()], vec![682]));
}

#[test]
fn variables_of_the_build_environment_are_filled_in() {
    let spec = "  source:\n    REPO\n    path: charts/team\n    helm:\n      ignoreMissingValueFiles: true\n      \
                valueFiles: ['envs/$ARGOCD_APP_NAME/*.yaml']\n      parameters:\n        \
                - {name: b, value: 'in-${ARGOCD_APP_NAMESPACE}'}\n";
    let files = [("charts/team/envs/team/values.yaml", "a: by-name\n")];
    let Some((data, codes)) = shown(spec, &files) else { return };
    assert_eq!((data.unwrap(), codes), (["by-name".to_owned(), "in-shop".to_owned()], vec![]));
    let reference = "  sources:\n    - {REPO, path: charts/team, helm: {valueFiles: ['$own/envs/$ARGOCD_APP_NAME.yaml']}}\n    \
                     - {REPO, ref: own}\n";
    let files = [("envs/team.yaml", "a: by-reference\n")];
    let Some((data, codes)) = shown(reference, &files) else { return };
    assert_eq!((data.unwrap(), codes), (["by-reference".to_owned(), String::new()], vec![]));
}

#[test]
fn a_folder_may_say_how_it_is_rendered() {
    let source = "  source:\n    REPO\n    path: charts/team\n    helm: {parameters: [{name: a, value: spec}, {name: b, value: spec}]}\n";
    let files = [
        ("charts/team/.argocd-source.yaml", "helm: {parameters: [{name: a, value: all}]}\npath: elsewhere\n"),
        ("charts/team/.argocd-source-team.yaml", "helm: {valuesObject: {b: own}}\n"),
        ("charts/team/.argocd-source-other.yaml", "helm: {valuesObject: {b: other}}\n"),
    ];
    let Some((data, codes)) = shown(source, &files) else { return };
    assert_eq!((data.unwrap(), codes), (["all".to_owned(), "own".to_owned()], vec![]));
    // A list is no source, nor a part of one: read in the order of its fields it would say what nobody wrote.
    for broken in
        ["helm: [1]\n", "helm: []\n", "- helm: {parameters: []}\n", "[]\n", "kustomize: {images: x\n"]
    {
        let (data, codes) = shown(source, &[("charts/team/.argocd-source.yaml", broken)]).unwrap();
        assert_eq!((data, codes), (None, vec![602]), "{broken}");
    }
}

#[test]
fn what_a_folder_says_of_its_source_and_nobody_knows_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("charts/team/Chart.yaml", CHART),
        ("charts/team/templates/show.yaml", SHOW),
        (
            "charts/team/.argocd-source.yaml",
            "helm: {paramters: [{name: a, value: all}], values: 'b: x'}\nnothing: 1\n",
        ),
    ];
    let Some(found) = rendered(dir.path(), "  source: {REPO, path: charts/team}\n", &files) else { return };
    let told: Vec<_> =
        found.problems.iter().map(|problem| (problem.code.0, problem.message.clone())).collect();
    let said = |field: &str, meant: &str| {
        (7, format!("{field} of charts/team/.argocd-source.yaml is not known here, and has no effect{meant}"))
    };
    assert_eq!(told, [said("helm.paramters", "; did you mean helm.parameters?"), said("nothing", "")]);
    // One that leads out of the repository may say anything.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("outside.yaml"), "helm: {values: 'b: x'}\n").unwrap();
    let folder = dir.path().join("repo/charts/team");
    fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("../../../outside.yaml", folder.join(".argocd-source.yaml")).unwrap();
    let found = rendered(dir.path(), "  source: {REPO, path: charts/team}\n", &files[..2]).unwrap();
    assert_eq!(codes(&found), [(601, "Application/argocd/team".to_owned())], "{:?}", found.problems);
    assert!(found.whole.unsure.contains("team") && !keys(&found).iter().any(|key| key.contains("show")));
}

#[test]
fn the_last_source_of_an_application_wins() {
    let dir = tempfile::tempdir().unwrap();
    let map = |data: &str, wave: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m, annotations: {{argocd.argoproj.io/sync-wave: '{wave}'}}}}\ndata: {{a: {data}}}\n"
        )
    };
    let (one, two) = (map("one", "0"), map("two", "5"));
    let files = [("one/m.yaml", &*one), ("two/m.yaml", &*two)];
    let spec = "  sources: [{REPO, path: one}, {REPO, path: two}]\n";
    let Some(rendered) = rendered(dir.path(), spec, &files) else { return };
    assert_eq!(keys(&rendered), ["ConfigMap/shop/m"]);
    let taken = rendered.objects.iter().find(|object| &*object.key.name.name == "m").unwrap();
    assert_eq!(taken.json["data"]["a"], "two");
    assert_eq!(codes(&rendered), [(611, "ConfigMap/shop/m".to_owned())]);
}

#[test]
fn hooks_that_stay_are_applied_whatever_their_kind() {
    let dir = tempfile::tempdir().unwrap();
    let of = |kind: &str, name: &str, annotations: &str| {
        // As much of a spec as the kinds need.
        let spec = match kind {
            _ if kind.ends_with("ClusterIssuer") => "spec: {selfSigned: {}}\n",
            _ if kind.ends_with("GatewayClass") => "spec: {controllerName: x.example/y}\n",
            _ => "",
        };
        format!("apiVersion: {kind}\nmetadata: {{{name}, annotations: {{{annotations}}}}}\n{spec}---\n")
    };
    let (issuer, class) =
        ("cert-manager.io/v1\nkind: ClusterIssuer", "gateway.networking.k8s.io/v1\nkind: GatewayClass");
    let (map, job) = ("v1\nkind: ConfigMap", "batch/v1\nkind: Job");
    let text = [
        of(issuer, "name: helm", "helm.sh/hook: 'post-install,post-upgrade'"),
        of(class, "name: argo", "argocd.argoproj.io/hook: PreSync"),
        of(map, "name: test", "helm.sh/hook: test"),
        of(map, "name: fail", "argocd.argoproj.io/hook: SyncFail"),
        of(map, "name: skip", "argocd.argoproj.io/hook: Skip"),
        of(
            map,
            "name: gone",
            "argocd.argoproj.io/hook: Sync, argocd.argoproj.io/hook-delete-policy: HookSucceeded",
        ),
        of(map, "name: kept", "helm.sh/hook: pre-upgrade, helm.sh/hook-delete-policy: before-hook-creation"),
        of(job, "name: job", "argocd.argoproj.io/hook: PreSync"),
        of(job, "generateName: migrate-", "argocd.argoproj.io/hook: PreSync"),
        of(map, "generateName: map-", ""),
        of(map, "generateName: made-", "argocd.argoproj.io/hook: PreSync"),
        of(map, "name: typo", "argocd.argoproj.io/hook: Presync"),
        of(map, "name: helm-typo", "helm.sh/hook: postinstall"),
    ]
    .concat();
    let Some(rendered) = rendered(dir.path(), "  source: {REPO, path: team}\n", &[("team/all.yaml", &text)])
    else {
        return;
    };
    assert_eq!(keys(&rendered), ["ClusterIssuer/helm", "ConfigMap/shop/kept", "GatewayClass/argo"]);
    // Where they stand is known of those that are listed alone, too.
    let place = |kind: &str, name: &str| {
        let mut all = rendered.whole.unapplied.iter();
        let (_, origin) = all.find(|(key, _)| &*key.kind.kind == kind && &*key.name.name == name)?;
        origin.source.as_ref().map(|source| (source.file.to_string(), source.line))
    };
    let line = |what: &str| u32::try_from(text[..text.find(what).unwrap()].lines().count() - 2).unwrap();
    for (kind, name, what) in [("Job", "job", "name: job"), ("ConfigMap", "typo", "name: typo")] {
        assert_eq!(place(kind, name), Some(("team/all.yaml".to_owned(), line(what))));
    }
    let mut codes = codes(&rendered);
    codes.sort();
    let listed = |key: &str| (620, key.to_owned());
    let mut wanted = vec![
        (610, "File/team/all.yaml".to_owned()),
        listed("ConfigMap/shop/test"),
        listed("ConfigMap/shop/fail"),
        listed("ConfigMap/shop/skip"),
        listed("ConfigMap/shop/gone"),
        listed("Job/shop/job"),
        listed("Job/shop/migrate-"),
        listed("ConfigMap/shop/made-"),
        (623, "ConfigMap/shop/typo".to_owned()),
        (623, "ConfigMap/shop/helm-typo".to_owned()),
    ];
    wanted.sort();
    assert_eq!(codes, wanted);
}

#[test]
fn a_namespace_that_is_created_has_the_labels_of_its_application() {
    let policy = "  syncPolicy:\n    syncOptions: [CreateNamespace=true]\n    managedNamespaceMetadata: {labels: {expose: 'yes'}}\n";
    let spec = format!("  source: {{REPO, path: team}}\n{policy}");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n";
    let own = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {own: 'yes'}}\n";
    let label = |rendered: &Rendered, label: &str| {
        let namespace = rendered.objects.iter().find(|object| &*object.key.kind.kind == "Namespace");
        namespace.map(|namespace| namespace.json["metadata"]["labels"][label].clone())
    };
    let dir = tempfile::tempdir().unwrap();
    let Some(made) = rendered(dir.path(), &spec, &[("team/m.yaml", map)]) else { return };
    assert_eq!(keys(&made), ["ConfigMap/shop/m", "Namespace/shop"]);
    assert_eq!((label(&made, "expose").unwrap(), codes(&made)), ("yes".into(), vec![]));
    // The Application's own Namespace wins.
    let dir = tempfile::tempdir().unwrap();
    let made = rendered(dir.path(), &spec, &[("team/m.yaml", map), ("team/n.yaml", own)]).unwrap();
    assert_eq!((label(&made, "own").unwrap(), codes(&made)), ("yes".into(), vec![]));
    // Nobody creates it.
    let dir = tempfile::tempdir().unwrap();
    let spec = spec.replace("CreateNamespace=true", "Validate=false");
    let made = rendered(dir.path(), &spec, &[("team/m.yaml", map)]).unwrap();
    assert_eq!(label(&made, "expose"), None);
}

#[test]
fn charts_see_the_kinds_of_the_components() {
    let asked = [
        "gateway.envoyproxy.io/v1alpha1/SecurityPolicy",
        "gateway.networking.k8s.io/v1beta1/HTTPRoute",
        "gateway.networking.k8s.io/v1/GRPCRoute",
        "cert-manager.io/v1",
    ];
    let has: String =
        asked.map(|kind| format!("{{{{ .Capabilities.APIVersions.Has \"{kind}\" }}}} ")).concat();
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: show}}\ndata: {{a: \"{has}\", b: \"{{{{ .Capabilities.APIVersions.Has \"x.example/v1\" }}}}\"}}\n"
    );
    let files = [("charts/team/templates/show.yaml", &*map)];
    let Some((data, _)) = shown("  source: {REPO, path: charts/team}\n", &files) else { return };
    assert_eq!(data.unwrap(), ["true true true true ".to_owned(), "false".to_owned()]);
}

#[test]
fn a_dependency_that_its_tags_switch_off_is_not_followed() {
    let chart = format!(
        "{CHART}dependencies: [{{name: external-dns, version: 1.20.0, repository: 'https://x.example/', tags: [dns]}}]\n"
    );
    for (tags, followed) in [("{}", true), ("{dns: true}", true), ("{dns: false}", false)] {
        let dir = tempfile::tempdir().unwrap();
        let values = format!("tags: {tags}\nexternal-dns: {{txtOwnerId: dev}}\n");
        let files = [("charts/team/Chart.yaml", &*chart), ("charts/team/values.yaml", &*values)];
        let Some(rendered) = rendered(dir.path(), "  source: {REPO, path: charts/team}\n", &files) else {
            return;
        };
        let versions: Vec<_> = rendered.whole.adapters.iter().map(|c| (&*c.component, &*c.version)).collect();
        assert_eq!(versions, if followed { vec![("external-dns", "1.20.0")] } else { vec![] }, "{tags}");
    }
}

#[test]
fn lists_of_any_kind_stand_for_their_items_and_sets_of_applications_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let route = |name: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\n    kind: HTTPRoute\n    metadata: {{name: {name}}}\n    spec: {{}}\n"
        )
    };
    let text = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRouteList\nitems:\n  - {}---\napiVersion: v1\nkind: List\nitems:\n  - {}---\n\
         apiVersion: x.example/v1\nkind: AllowList\nmetadata: {{name: l}}\n---\n\
         apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: s, namespace: argocd}}\n\
         spec: {{generators: [], template: {{metadata: {{name: x}}, spec: {{project: default, destination: {{}}}}}}}}\n",
        route("typed"),
        route("plain")
    );
    let Some(rendered) = rendered(dir.path(), "  source: {REPO, path: team}\n", &[("team/all.yaml", &text)])
    else {
        return;
    };
    assert_eq!(
        keys(&rendered),
        ["AllowList/shop/l", "ApplicationSet/argocd/s", "HTTPRoute/shop/plain", "HTTPRoute/shop/typed"]
    );
    assert_eq!(codes(&rendered), []);
}

/// What Argo CD's hydrator writes to a branch is what the dry source comes to (`ApplicationSpec.GetSource`).
#[test]
fn of_a_hydrated_application_the_dry_source_is_rendered() {
    let spec = "  sourceHydrator:\n    drySource: {REPO, path: charts/team, targetRevision: HEAD, helm: {parameters: [{name: a, value: dry}]}}\n    \
                syncSource: {targetBranch: env/dev, path: team}\n";
    let Some((data, codes)) = shown(spec, &[]) else { return };
    assert_eq!((data, codes), (Some(["dry".to_owned(), String::new()]), vec![]));
    let dir = tempfile::tempdir().unwrap();
    let map = [("plain/m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n")];
    let both = "  source: {REPO, path: nowhere}\n  sourceHydrator:\n    drySource: {REPO, path: plain, targetRevision: HEAD}\n    \
                syncSource: {targetBranch: env/dev, path: team}\n";
    let rendered = rendered(dir.path(), both, &map).unwrap();
    assert_eq!((keys(&rendered), codes_of(&rendered)), (vec!["ConfigMap/shop/m".to_owned()], vec![]));
    let said = "what the hydrator would write to env/dev for Application/argocd/team is rendered from its dry source";
    assert!(rendered.whole.substitutions.iter().any(|one| one == said), "{:?}", rendered.whole.substitutions);
}

#[test]
fn an_application_that_is_skipped_is_left_as_it_is() {
    for (value, skipped) in [("true", true), ("1", true), ("no", false), ("false", false)] {
        let dir = tempfile::tempdir().unwrap();
        let application = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: other\n  namespace: argocd\n  \
             annotations: {{argocd.argoproj.io/skip-reconcile: '{value}'}}\nspec:\n  project: default\n  \
             destination: {{server: 'https://kubernetes.default.svc', namespace: shop}}\n  \
             source: {{repoURL: 'https://git.example.com/p/edge.git', path: plain}}\n"
        );
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n";
        let files = [
            ("apps/other.yaml", &*application),
            ("plain/m.yaml", map),
            ("team/k.yaml", &map.replace("name: m", "name: k")),
        ];
        let Some(rendered) = rendered(dir.path(), "  source: {REPO, path: team}\n", &files) else { return };
        let wanted: &[&str] =
            if skipped { &["ConfigMap/shop/k"] } else { &["ConfigMap/shop/k", "ConfigMap/shop/m"] };
        assert_eq!(keys(&rendered), wanted, "{value}: {:?}", rendered.problems);
        assert_eq!(codes_of(&rendered), if skipped { vec![628] } else { vec![] }, "{value}");
        assert_eq!(rendered.whole.unsure.contains("other"), skipped, "what it brought must stay");
    }
}

fn codes_of(rendered: &Rendered) -> Vec<u16> {
    rendered.problems.iter().map(|problem| problem.code.0).collect()
}

#[test]
fn a_root_may_manage_itself() {
    let dir = tempfile::tempdir().unwrap();
    let Some(helm) = testkit::program("helm") else {
        testkit::skip("effects/argocd", "helm was not found; run scripts/setup demo");
        return;
    };
    let folder = dir.path().join("repo");
    fs::create_dir_all(folder.join("argocd/root")).unwrap();
    let root = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: root, namespace: argocd}\nspec:\n  project: default\n  \
                source: {repoURL: https://git.example.com/p.git, path: argocd, directory: {recurse: true}}\n  destination: {server: 'https://kubernetes.default.svc', namespace: argocd}\n";
    fs::write(folder.join("argocd/root/root.yaml"), root).unwrap();
    fs::write(folder.join("argocd/m.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n")
        .unwrap();
    let tools = tools(helm, dir.path());
    let rendered = render(&folder, "dev", Some("argocd/root/root.yaml"), &tools);
    assert_eq!((keys(&rendered), codes(&rendered)), (vec!["ConfigMap/argocd/m".to_owned()], vec![]));
}

fn tools(helm: std::path::PathBuf, folder: &std::path::Path) -> Tools {
    Tools::new(Some(helm), folder.join("helm")).through(env!("CARGO_BIN_EXE_portolan-confined"))
}

#[test]
fn a_file_parameter_is_one_file() {
    let source = |name: &str| {
        format!(
            "  source:\n    REPO\n    path: charts/team\n    helm: {{fileParameters: [{{name: '{name}', path: v}}], parameters: [{{name: b, value: x}}]}}\n"
        )
    };
    let file = [("charts/team/v", "content")];
    let Some((data, codes)) = shown(&source("a"), &file) else { return };
    assert_eq!((data, codes), (Some(["content".into(), "x".into()]), vec![]));
    for name in ["a=/etc/passwd,b", "a=/etc/passwd\\\\,", "a,b"] {
        let (data, codes) = shown(&source(name), &file).unwrap();
        assert_eq!((data, codes), (None, vec![601]), "{name}");
    }
}

/// Secrets whose values somebody else puts in are not brought with what stands in the file, and are no error.
#[test]
fn values_that_are_made_elsewhere_are_withheld() {
    let sops = "apiVersion: v1\nkind: Secret\nmetadata: {name: sops}\ndata: {a: 'ENC[AES256_GCM,data:x,type:str]'}\nsops: {mac: 'ENC[x]', version: 3.9.0}\n";
    let vault = "apiVersion: v1\nkind: Secret\nmetadata: {name: vault}\nstringData: {a: '<path:secret/data/team#password>'}\n";
    let annotated = "apiVersion: v1\nkind: Secret\nmetadata: {name: annotated, annotations: {avp.kubernetes.io/path: secret/data/team}}\nstringData: {a: <password>}\n";
    let plain =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: plain}\nstringData: {a: '<p>no placeholder</p>'}\n";
    let dir = tempfile::tempdir().unwrap();
    let files =
        [("team/a.yaml", sops), ("team/b.yaml", vault), ("team/c.yaml", annotated), ("team/d.yaml", plain)];
    let Some(rendered) = rendered(dir.path(), "  source: {REPO, path: team}\n", &files) else { return };
    assert_eq!(keys(&rendered), ["Secret/shop/plain"]);
    let withheld = ["annotated", "sops", "vault"].map(|name| (671, format!("Secret/shop/{name}")));
    assert_eq!(codes(&rendered), withheld);
    assert!(rendered.problems.iter().all(|problem| !problem.message.contains("ENC[")));
    // What stood there before stays.
    assert_eq!(rendered.whole.refused.len(), 3);
}

/// Argo CD writes what an Application brings under its own name over that Application.
#[test]
fn an_application_that_brings_its_own_name_is_itself_or_refused() {
    let own = |path: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: root, namespace: argocd}}\nspec:\n  project: default\n  destination: {{server: 'https://kubernetes.default.svc', namespace: shop}}\n  source: {{repoURL: https://git.example.com/p/edge.git, path: {path}}}\n  syncPolicy: {{automated: {{prune: true}}}}\n"
        )
    };
    let told = |path: &str| {
        let dir = tempfile::tempdir().unwrap();
        let text = own(path);
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        let files = [("apps/own.yaml", &*text), ("team/a.yaml", map), ("other/b.yaml", map)];
        let rendered = rendered(dir.path(), "  source: {REPO, path: team}\n", &files)?;
        let root = rendered.whole.applications.iter().find(|app| &*app.key.name.name == "root").unwrap();
        Some((
            codes(&rendered).iter().filter(|(code, _)| *code == 672).count(),
            root.policy.shown().to_owned(),
        ))
    };
    let Some(same) = told("apps") else { return };
    // Its own word of pruning counts, as that is what stands in the cluster.
    assert_eq!(same, (0, "goes".to_owned()));
    assert_eq!(told("other").unwrap(), (1, "stays: no syncPolicy.automated".to_owned()));
}

/// A repository of Applications `root`, `team` and `infra`, whose projects are `files`; read again with each change.
struct Judged(tempfile::TempDir, Tree, RefCell<BTreeSet<PathBuf>>);

type Keys = Vec<String>;

impl Judged {
    fn new() -> Option<Self> {
        let Some(helm) = testkit::program("helm") else {
            testkit::skip("effects/argocd", "helm was not found; run scripts/setup demo");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(&dir.path().join("repo"), "dev", None, tools(helm, dir.path()));
        let judged = Self(dir, tree, RefCell::default());
        let application = |name: &str, project: &str, path: &str, namespace: &str| {
            format!(
                "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\nspec:\n  project: {project}\n  \
                 destination: {{server: 'https://kubernetes.default.svc', namespace: {namespace}}}\n  \
                 source: {{repoURL: 'https://git.example.com/p/edge.git', path: {path}}}\n"
            )
        };
        judged.write("argocd-bootstrap-apps/dev.yaml", &application("root", "default", "apps", "argocd"));
        judged.write("apps/team.yaml", &application("team", "team", "team", "shop"));
        // Brings the projects, and is read beside what they judge.
        judged.write("apps/infra.yaml", &application("infra", "infra", "projects", "argocd"));
        let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
        let class =
            "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: high}\nvalue: 1\n";
        judged.write("team/all.yaml", &format!("{}---\n{class}", map("web")));
        judged.project("infra", ANYTHING);
        Some(judged)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join("repo").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.2.borrow_mut().insert(path);
    }

    fn remove(&self, path: &str) {
        let path = self.0.path().join("repo").join(path);
        fs::remove_file(&path).unwrap();
        self.2.borrow_mut().insert(path);
    }

    fn project(&self, name: &str, spec: &str) {
        let text = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        );
        self.write(&format!("projects/{name}.yaml"), &text);
    }

    /// Reads again, and tells the work.
    fn work(&mut self) -> portolan_effects::render::Work {
        self.1.read(&Touched::Paths(self.2.take())).work
    }

    /// Reads again: what is handed on and what goes, what is said of projects and Applications, and what is unsure.
    fn read(&mut self) -> (Keys, Keys, Vec<(u16, String)>, Keys) {
        let read = self.1.read(&Touched::Paths(self.2.take()));
        let told = |key: &portolan_model::ObjectKey| key.to_string();
        let ours = |key: &String| key.contains("web") || key.contains("high");
        let mut objects: Vec<_> = read.objects.iter().map(|object| told(&object.key)).filter(ours).collect();
        objects.sort();
        let gone = read.gone.iter().map(told).filter(ours).collect();
        let problems = read.problems.values().flatten();
        let problems = problems.map(|problem| (problem.code.0, told(&problem.object))).collect();
        (objects, gone, problems, read.whole.unsure.iter().map(ToString::to_string).collect())
    }
}

/// Of a project that permits everything.
const ANYTHING: &str = "{sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}], clusterResourceWhitelist: [{group: '*', kind: '*'}]}";

#[test]
fn a_project_forbids_applications_and_kinds() {
    let Some(mut judged) = Judged::new() else { return };
    let strings = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (web, high) = ("ConfigMap/shop/web", "PriorityClass/high");
    let none: Vec<String> = Vec::new();

    // A project that nothing brings may be made elsewhere.
    let (objects, gone, problems, unsure) = judged.read();
    let unknown = (676, "AppProject/argocd/team".to_owned());
    assert_eq!(
        (objects, gone, problems, unsure),
        (strings(&[web, high]), vec![], vec![unknown], none.clone())
    );

    // It is found beside what it judges, and permits no kind of the cluster's: nothing of the Application is applied, and what is
    // live of it stays.
    judged.project("team", "{sourceRepos: ['*'], destinations: [{server: '*', namespace: shop}]}");
    let (objects, gone, problems, unsure) = judged.read();
    let refused = (675, high.to_owned());
    assert_eq!((objects, gone, unsure), (none.clone(), strings(&[high]), strings(&["team"])));
    assert!(problems.contains(&refused) && judged.read().0.is_empty(), "{problems:?}");

    // Another namespace: nothing of it is applied, and what was applied may not be pruned.
    judged.project("team", "{sourceRepos: ['*'], destinations: [{server: '*', namespace: '!shop'}]}");
    let (objects, gone, problems, unsure) = judged.read();
    assert_eq!((objects, gone, unsure), (vec![], strings(&[web]), strings(&["team"])));
    assert!(problems.contains(&(674, "Application/argocd/team".to_owned())), "{problems:?}");

    // A slip of the pen opens nothing, nor does an edit that an API server refuses.
    judged.write("projects/team.yaml", "kind: [\n");
    assert_eq!(judged.read().0, none);
    judged.project("team", "{sourceRepos: 7}");
    assert_eq!(judged.read().0, none);

    judged.project("team", ANYTHING);
    let (objects, _, _, unsure) = judged.read();
    assert_eq!((objects, unsure), (strings(&[web, high]), none.clone()));

    // What holds back at times only is said.
    judged.project(
        "team",
        &ANYTHING.replacen('{', "{syncWindows: [{kind: deny, schedule: '* * * * *', duration: 1h}], ", 1),
    );
    let (_, _, problems, _) = judged.read();
    assert!(problems.contains(&(677, "AppProject/argocd/team".to_owned())), "{problems:?}");

    // A project that is taken away is not known any more.
    judged.remove("projects/team.yaml");
    let (_, _, problems, unsure) = judged.read();
    assert!(
        problems.contains(&(676, "AppProject/argocd/team".to_owned())) && unsure.is_empty(),
        "{problems:?}"
    );
}

#[test]
fn a_project_that_forbids_what_brings_it_stays() {
    let Some(mut judged) = Judged::new() else { return };
    judged.project("team", ANYTHING);
    judged.project(
        "infra",
        "{sourceRepos: ['https://git.example.com/p/other'], destinations: [{server: '*', namespace: '*'}]}",
    );
    let (objects, _, problems, unsure) = judged.read();
    assert!(problems.contains(&(674, "Application/argocd/infra".to_owned())), "{problems:?}");
    // The other project of the same folder was applied before it was forbidden.
    assert_eq!((objects.len(), unsure), (2, vec!["infra".to_owned()]));
    assert!(!problems.iter().any(|(code, _)| *code == 676), "{problems:?}");
    let (objects, gone, ..) = judged.read();
    assert!(objects.is_empty() && gone.is_empty(), "{objects:?} {gone:?}");
}

#[test]
fn an_application_that_a_project_does_not_permit_is_not_followed() {
    let Some(mut judged) = Judged::new() else { return };
    judged.project("team", ANYTHING);
    judged.write(
        "projects/inner.yaml",
        &fs::read_to_string(judged.0.path().join("repo/apps/team.yaml")).unwrap(),
    );
    judged.remove("apps/team.yaml");
    assert_eq!(judged.read().0.len(), 2);
    let narrow =
        ANYTHING.replacen('{', "{namespaceResourceBlacklist: [{group: argoproj.io, kind: Application}], ", 1);
    judged.project("infra", &narrow);
    let (objects, _, problems, unsure) = judged.read();
    assert_eq!((objects, unsure), (Vec::new(), vec!["infra".to_owned(), "team".to_owned()]));
    assert!(problems.contains(&(675, "Application/argocd/team".to_owned())), "{problems:?}");
}

#[test]
fn an_application_that_shares_no_object_is_held_back_by_one() {
    let Some(mut judged) = Judged::new() else { return };
    let team = fs::read_to_string(judged.0.path().join("repo/apps/team.yaml")).unwrap();
    let alone = team.replace("name: team", "name: zone").replace("path: team", "path: zone")
        + "  syncPolicy: {syncOptions: [FailOnSharedResource=true]}\n";
    judged.write("apps/zone.yaml", &alone);
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    judged.write("zone/mine.yaml", &map("mine-web"));
    judged.write("zone/web.yaml", &map("web"));
    let (objects, _, problems, unsure) = judged.read();
    assert_eq!(
        (objects, unsure),
        (vec!["ConfigMap/shop/web".to_owned(), "PriorityClass/high".to_owned()], vec!["zone".to_owned()])
    );
    assert!(problems.contains(&(678, "Application/argocd/zone".to_owned())), "{problems:?}");
    // What it does not share comes once nothing is shared, and goes on when something is again.
    judged.remove("zone/web.yaml");
    let (objects, gone, problems, unsure) = judged.read();
    assert_eq!((objects, gone, unsure), (vec!["ConfigMap/shop/mine-web".to_owned()], vec![], vec![]));
    assert!(!problems.iter().any(|(code, _)| *code == 678), "{problems:?}");
    judged.write("zone/web.yaml", &map("web"));
    judged.write("zone/more.yaml", &map("more-web"));
    let (objects, gone, _, unsure) = judged.read();
    assert_eq!((objects, gone, unsure), (vec![], vec![], vec!["zone".to_owned()]));
    // The option alone is what does it.
    judged.write("apps/zone.yaml", &alone.replace("FailOnSharedResource=true", "FailOnSharedResource=false"));
    let (objects, _, problems, unsure) = judged.read();
    assert_eq!(
        (objects, unsure),
        (vec!["ConfigMap/shop/mine-web".to_owned(), "ConfigMap/shop/more-web".to_owned()], vec![])
    );
    assert!(problems.iter().any(|(code, _)| *code == 611), "{problems:?}");
}

#[test]
fn applications_are_judged_at_the_door_when_they_change() {
    let Some(mut judged) = Judged::new() else { return };
    let first = judged.work();
    assert!(first.judged >= 4, "{first:?}");
    judged
        .write("team/web.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {a: other}\n");
    assert_eq!(judged.work().judged, 1, "what is followed is known");
    let team = fs::read_to_string(judged.0.path().join("repo/apps/team.yaml")).unwrap();
    judged.write("apps/team.yaml", &team.replace("project: team", "project: default"));
    assert!(judged.work().judged > 1, "as an object, and as what is followed");
}

const MAPS: [(&str, &str); 2] = [
    ("m/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: seen}\n"),
    ("m/.extra/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hidden}\n"),
];

/// What Argo CD reads of a folder that an Application names: also what is hidden and links to files, but not what says that it is
/// to be passed over (`getPotentiallyValidManifests`).
#[test]
fn a_folder_of_an_application_is_read_as_argo_cd_walks_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("repo");
    fs::create_dir_all(folder.join("m")).unwrap();
    fs::create_dir_all(folder.join("shared/d")).unwrap();
    for (link, to) in [("l.yaml", "../shared/l.yaml"), ("d", "../shared/d"), ("gone.yaml", "../none.yaml")] {
        std::os::unix::fs::symlink(to, folder.join("m").join(link)).unwrap();
    }
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let skipped = format!("# +argocd:skip-file-rendering\n{}", map("skipped"));
    let (linked, below, other) = (map("linked"), map("below"), map("other"));
    let files: Vec<_> = MAPS
        .into_iter()
        .chain([
            ("shared/l.yaml", &*linked),
            ("shared/d/x.yaml", &*below),
            ("m/skip.yaml", &*skipped),
            ("m/o.k8s", &*other),
        ])
        .collect();
    let source = "  source:\n    REPO\n    path: m\n    directory: {recurse: true}\n";
    let Some(read) = rendered(dir.path(), source, &files) else { return };
    let wanted = ["ConfigMap/shop/hidden", "ConfigMap/shop/linked", "ConfigMap/shop/seen"];
    assert_eq!(keys(&read), wanted, "{:?}", read.problems);
    assert!(read.problems.is_empty(), "{:?}", read.problems);
    // Since 3.6 files of any name may be asked for.
    let any = dir.path().join("any");
    fs::create_dir(&any).unwrap();
    let source =
        "  source:\n    REPO\n    path: m\n    directory: {disableExtensionFilter: true, include: '*.k8s'}\n";
    let Some(read) = rendered(&any, source, &files) else { return };
    assert_eq!((keys(&read), codes(&read)), (vec!["ConfigMap/shop/other".to_owned()], Vec::new()));
    // A change of what a link leads to is seen.
    let tools = tools(testkit::program("helm").unwrap(), dir.path());
    let mut tree = Tree::new(&folder, "dev", None, tools);
    tree.read(&Touched::All);
    fs::write(folder.join("shared/l.yaml"), map("changed")).unwrap();
    let path = folder.canonicalize().unwrap().join("shared/l.yaml");
    let second = tree.read(&Touched::Paths([path].into()));
    assert!(second.objects.iter().any(|object| &*object.key.name.name == "changed"), "{:?}", second.problems);
}

/// What Argo CD refuses a whole Application for costs all of it, and takes nothing away.
#[test]
fn what_is_no_manifest_may_cost_the_whole_application() {
    let values = "extraObjects:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: e}\n";
    let values = values.replace("metadata: {name: e}", "metadata:\n    name: e");
    let good = MAPS[0].1;
    let second = format!("{good}---\nvalues: {{a: 1}}\n");
    let bracket = format!("{good}---\nhosts: [a\n");
    let only = good.replace("{name: ", "{name: [");
    for (file, text, refused) in [
        ("m/dash.json", "[{\"title\": \"x\"}]", true),
        ("m/two.json", "{\"kind\": \"A\"}\n{\"kind\": \"B\"}", true),
        ("m/dash.json", "{\"title\": \"x\"}", false),
        ("m/b.yaml", &*second, true),
        ("m/values.yaml", &*values, true),
        ("m/values.yaml", "replicas: 1\n", false),
        ("m/empty.yaml", "# nothing\n---\n", false),
        // What is no YAML counts if it follows an object, or looks like one.
        ("m/b.yaml", &*bracket, true),
        ("m/b.yaml", &*only, true),
        ("m/values.yaml", "hosts: [a\n", false),
        // JSON does in any case.
        ("m/tsconfig.json", "{\"a\": 1 // as there\n}", true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let source = "  source:\n    REPO\n    path: m\n";
        let Some(read) = rendered(dir.path(), source, &[MAPS[0], (file, text)]) else { return };
        assert_eq!(keys(&read).len(), usize::from(!refused), "{file} {text}: {:?}", read.problems);
        let errors: Vec<_> =
            read.problems.iter().filter(|p| p.severity == portolan_model::Severity::Error).collect();
        assert_eq!(errors.len(), usize::from(refused), "{file} {text}: {:?}", read.problems);
        assert_eq!(read.whole.unsure.contains("team"), refused, "{file} {text}");
    }
    // What is live of the others stays as it is until the file is mended, also what is edited meanwhile.
    let dir = tempfile::tempdir().unwrap();
    let source = "  source:\n    REPO\n    path: m\n";
    if rendered(dir.path(), source, &[MAPS[0], ("m/b.yaml", good)]).is_none() {
        return;
    }
    let folder = dir.path().join("repo").canonicalize().unwrap();
    let mut tree = Tree::new(&folder, "dev", None, tools(testkit::program("helm").unwrap(), dir.path()));
    let first = tree.read(&Touched::All);
    let (own, other) = (folder.join(MAPS[0].0), folder.join("m/b.yaml"));
    fs::write(&own, format!("{good}data: {{edited: 'yes'}}\n")).unwrap();
    fs::write(&other, &bracket).unwrap();
    let broken = tree.read(&Touched::Paths([own, other.clone()].into()));
    assert!(first.objects.len() > 2 && broken.objects.is_empty() && broken.gone.is_empty(), "{broken:?}");
    fs::write(&other, "").unwrap();
    fs::remove_file(&other).unwrap();
    let mended = tree.read(&Touched::Paths([other].into()));
    let edited: Vec<_> = mended.objects.iter().filter(|object| object.key.kind.is("", "ConfigMap")).collect();
    assert_eq!(edited.len(), 1, "{:?}", mended.problems);
    assert_eq!(edited[0].json["data"]["edited"], "yes");
    // So does a link that leads outside the repository.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("repo/m")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.path().join("repo/m/out.yaml")).unwrap();
    let Some(read) = rendered(dir.path(), "  source:\n    REPO\n    path: m\n", &[MAPS[0]]) else { return };
    assert_eq!(codes(&read), [(601, "File/m/out.yaml".to_owned())]);
    assert!(keys(&read).is_empty() && read.whole.unsure.contains("team"));
}

/// Which type a source is: options that say nothing are none, two are refused, and of a folder that is a chart and a kustomization
/// the kustomization counts.
#[test]
fn the_type_of_a_source_is_argo_cd_s() {
    let chart = [
        ("both/Chart.yaml", CHART),
        ("both/templates/show.yaml", SHOW),
        ("both/kustomization.yaml", "resources: []\n"),
    ];
    for (options, shown, code) in [
        ("", "both (kustomize)", None),
        ("helm: {}", "both (kustomize)", None),
        ("directory: {recurse: false}", "both (kustomize)", None),
        ("kustomize: {}, helm: {releaseName: x}", "both (helm)", None),
        ("directory: {exclude: 'x*'}", "both (folder)", None),
        ("kustomize: {namePrefix: p-}, helm: {releaseName: x}", "", Some(602)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let source = format!("  source:\n    {{REPO, path: both, {options}}}\n").replace(", }", "}");
        let Some(read) = rendered(dir.path(), &source, &chart) else { return };
        let team = read.whole.applications.iter().find(|app| &*app.key.name.name == "team").unwrap();
        assert_eq!(team.sources.join(", "), shown, "{options}: {:?}", read.problems);
        if let Some(code) = code {
            assert_eq!(codes(&read), [(code, "Application/argocd/team".to_owned())], "{options}");
        }
    }
}

/// Argo CD evaluates every file of jsonnet in a folder (`findManifests`), which is not done here.
#[test]
fn a_file_of_jsonnet_is_not_passed_over() {
    let source = |more: &str| format!("  source:\n    REPO\n    path: m\n    directory: {{{more}}}\n");
    let jsonnet = ("m/sub/x.jsonnet", "{apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'j'}}\n");
    let marked = ("m/sub/x.jsonnet", "# +argocd:skip-file-rendering\n{}\n");
    for (options, file, found) in [
        ("recurse: true", jsonnet, true),
        ("recurse: true", marked, false),
        ("recurse: true, exclude: '*.jsonnet'", jsonnet, false),
        ("recurse: true, include: '*.yaml'", jsonnet, false),
        ("", jsonnet, false),
        // As the user interface of Argo CD writes it.
        ("recurse: true, jsonnet: {}", ("m/sub/x.libsonnet", "{}"), false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let Some(read) = rendered(dir.path(), &source(options), &[MAPS[0], file]) else { return };
        let wanted = if found { vec![(608, "File/m/sub/x.jsonnet".to_owned())] } else { Vec::new() };
        assert_eq!(
            (codes(&read), keys(&read)),
            (wanted, vec!["ConfigMap/shop/seen".to_owned()]),
            "{options}"
        );
        assert_eq!(read.whole.unsure.contains("team"), found, "what it brought must stay: {options}");
    }
}

/// gobwas/glob, which Argo CD asks: what is no pattern includes nothing and excludes nothing (`util/glob.Match`).
#[test]
fn an_include_that_is_no_pattern_lets_nothing_in() {
    let files = [MAPS[0], ("m/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n")];
    let (seen, other) = ("ConfigMap/shop/seen", "ConfigMap/shop/other");
    for (options, wanted, code) in [
        ("include: '[ab.yaml'", &[][..], Some(602)),
        ("include: '[a-z0-9].yaml'", &[], Some(602)),
        ("include: '{a.yaml'", &[seen], None),
        ("include: '{a,b}.yaml'", &[other, seen], None),
        ("exclude: '[ab.yaml'", &[other, seen], None),
        ("exclude: '{b.yaml'", &[seen], None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let source = format!("  source:\n    REPO\n    path: m\n    directory: {{{options}}}\n");
        let Some(read) = rendered(dir.path(), &source, &files) else { return };
        assert_eq!(keys(&read), wanted, "{options}");
        assert_eq!(codes_of(&read), code.into_iter().collect::<Vec<_>>(), "{options}");
        let problem = read.problems.first();
        assert!(
            problem.is_none_or(|problem| problem.field == "spec.source.directory.include"),
            "{problem:?}"
        );
        assert_eq!(read.whole.unsure.contains("team"), code.is_some(), "{options}");
    }
}

/// What is not merely missing is not passed over (`getResolvedValueFiles`).
#[test]
fn a_values_file_that_is_not_known_costs_the_chart() {
    let of = |name: &str, ignore: bool, more: &str| {
        format!(
            "  sources:\n    - {{REPO, path: charts/team, helm: {{valueFiles: ['{name}'], ignoreMissingValueFiles: {ignore}}}}}\n{more}"
        )
    };
    let foreign = "    - {repoURL: 'https://other.example/v.git', ref: v}\n";
    let files = [("charts/team/values-prod.yaml", "a: b\n"), ("charts/team/envs/x.yaml", "a: b\n")];
    for (spec, code) in [
        (of("../../../etc.yaml", false, ""), 601),
        (of("../../../etc.yaml", true, ""), 601),
        (of("../../../*.yaml", true, ""), 601),
        (of("/../etc.yaml", true, ""), 601),
        (of("envs", true, ""), 604),
        (of("values-prd.yaml", false, ""), 604),
        (of("$v/env/prod.yaml", false, foreign), 607),
        (of("$v/env/prod.yaml", true, foreign), 607),
        (of("$v/env/*.yaml", true, foreign), 607),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let chart = [("charts/team/Chart.yaml", CHART), ("charts/team/templates/show.yaml", SHOW)];
        let all: Vec<_> = chart.into_iter().chain(files).collect();
        let Some(read) = rendered(dir.path(), &spec, &all) else { return };
        assert_eq!((keys(&read), codes_of(&read)), (Vec::new(), vec![code]), "{spec}: {:?}", read.problems);
        let problem = &read.problems[0];
        assert!(problem.field.ends_with(".helm.valueFiles[0]"), "{problem:?}");
        assert_eq!(
            problem.message.contains("did you mean values-prod.yaml?"),
            spec.contains("prd"),
            "{problem:?}"
        );
        assert!(read.whole.unsure.contains("team"), "{spec}");
    }
    // A source that only lends its files, of which none is wanted, takes nothing away.
    let (data, codes) = shown(&of("values-prod.yaml", false, foreign), &files).unwrap();
    assert_eq!((data, codes), (Some(["b".to_owned(), String::new()]), vec![]));
}

/// What Argo CD refuses before it renders (`GetRefSources`, `util/app/path.Path`, `util/helm.NewCmd`).
#[test]
fn what_a_source_says_may_be_refused() {
    let chart = [
        ("charts/team/Chart.yaml", CHART),
        ("charts/team/templates/show.yaml", SHOW),
        ("m/a.yaml", MAPS[0].1),
    ];
    let refs = |refs: &str| format!("  sources:\n    - {{REPO, path: m}}\n{refs}");
    let one = |source: &str| format!("  source:\n    {{REPO, {source}}}\n");
    for (spec, wanted) in [
        (refs("    - {REPO, ref: v}\n    - {REPO, ref: v}\n"), Some((602, "spec.sources"))),
        (refs("    - {REPO, ref: v.x}\n"), Some((602, "spec.sources"))),
        (refs("    - {REPO, ref: v}\n    - {REPO, ref: V_-1}\n"), None),
        (one("path: m/a.yaml"), Some((603, "spec.source.path"))),
        (one("path: charts/team, helm: {version: v2}"), Some((602, "spec.source.helm.version"))),
        (one("path: charts/team, helm: {version: v3}"), None),
        (one("path: charts/team, helm: {kubeVersion: abc}"), Some((605, "spec.source.helm.kubeVersion"))),
        (one("path: charts/team, helm: {values: 'a: [b'}"), Some((605, "spec.source.helm.values"))),
        (
            one("path: charts/team, helm: {valueFiles: [../../m/a.yaml, bad.yaml]}"),
            Some((605, "spec.source.helm.valueFiles[1]")),
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let all: Vec<_> = chart.into_iter().chain([("charts/team/bad.yaml", "a: [b\n")]).collect();
        let Some(read) = rendered(dir.path(), &spec, &all) else { return };
        let told: Vec<_> = read.problems.iter().map(|p| (p.code.0, p.field.to_string())).collect();
        let is: Vec<_> = wanted.iter().map(|(code, field)| (*code, (*field).to_owned())).collect();
        assert_eq!(told, is, "{spec}: {:?}", read.problems);
        assert_eq!(keys(&read).len(), usize::from(wanted.is_none()), "{spec}");
        assert_eq!(read.whole.unsure.contains("team"), wanted.is_some(), "{spec}");
    }
}

/// Bytes and documents as Argo CD reads them (`utfutil.UTF8`, `YAMLOrJSONDecoder`), and what it refuses for how it is cut.
#[test]
fn files_are_decoded_and_cut_as_argo_cd_does() {
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let json = |name: &str| {
        map(name)
            .replace("apiVersion: v1\n", "{\"apiVersion\": \"v1\",\n")
            .replace(
                "kind: ConfigMap\nmetadata: {name: ",
                "\"kind\": \"ConfigMap\",\n\"metadata\": {\"name\": \"",
            )
            .replace("}\n", "\"}}\n")
    };
    let utf16: Vec<u8> =
        [0xfeff].into_iter().chain(map("a").encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let latin = [map("a").as_bytes(), b"data: {x: \"caf\xe9\"}\n"].concat();
    let stream = json("a") + &json("b");
    let (a, b) = ("ConfigMap/shop/a", "ConfigMap/shop/b");
    for (file, bytes, wanted, code) in [
        ("m/a.yaml", utf16.clone(), &[a][..], None),
        ("m/a.json", json("a").encode_utf16().flat_map(u16::to_be_bytes).collect(), &[], Some(610)),
        ("m/a.yaml", latin, &[a], None),
        ("m/a.yaml", stream.clone().into_bytes(), &[a, b], None),
        ("m/a.yaml", stream.replace("}\n{", "}{").into_bytes(), &[a, b], None),
        ("m/a.json", stream.into_bytes(), &[], Some(610)),
        ("m/a.yaml", (json("a") + "---\n" + &map("b")).into_bytes(), &[a, b], None),
        ("m/a.yaml", format!("# c\n%YAML 1.1\n---\n{}", map("a")).into_bytes(), &[], Some(11)),
        ("m/a.yaml", format!("--- {}---\n{}", json("a"), map("b")).into_bytes(), &[], Some(11)),
        // Of what looks like no object the same costs nothing, and nothing of it is read.
        ("m/a.yaml", format!("%YAML 1.1\n---\n{}", json("a")).into_bytes(), &[], None),
        ("m/a.yaml", format!("--- # c\n{}", map("a")).into_bytes(), &[a], None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("repo/m")).unwrap();
        fs::write(dir.path().join("repo").join(file), &bytes).unwrap();
        let Some(read) = rendered(dir.path(), "  source:\n    REPO\n    path: m\n", &[]) else { return };
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(keys(&read), wanted, "{text}: {:?}", read.problems);
        assert_eq!(codes_of(&read), code.into_iter().collect::<Vec<_>>(), "{text}");
    }
}

/// Messages of one code.
fn said(rendered: &Rendered, code: u16) -> Vec<&str> {
    let all = rendered.problems.iter().filter(|problem| problem.code.0 == code);
    all.map(|problem| problem.message.as_str()).collect()
}

/// Argo CD's words (`runManifestGenAsync`); of a single `source` the same text is a variable of the build environment.
#[test]
fn files_of_other_sources_are_found_as_argo_cd_finds_them() {
    let files = [("values/v.yaml", "a: lent\n"), ("charts/team/v.yaml", "a: own\n")];
    let team = |helm: &str| format!("  sources:\n    - {{REPO, path: charts/team, helm: {{{helm}}}}}\n");
    let value = |file: &str| format!("valueFiles: ['{file}']");
    for (spec, wanted) in [
        (team(&value("$vals/values/v.yaml")) + "    - {REPO, ref: vals}\n", Ok("lent")),
        (
            team(&value("$vv/values/v.yaml")) + "    - {REPO, ref: v}\n    - {REPO, ref: w}\n",
            Err("source referenced \"$vv\", which is not one of the available sources ($v, $w)"),
        ),
        (
            team(&format!("{}, ignoreMissingValueFiles: true", value("$vv/v.yaml")))
                + "    - {REPO, ref: v}\n",
            Err("not one of the available sources ($v)"),
        ),
        // One source in `sources` is several too.
        (
            team(&value("$v/values/v.yaml")),
            Err("source referenced \"$v\", but no source has a 'ref' field defined"),
        ),
        (
            team("fileParameters: [{name: a, path: $v/values/v.yaml}]") + "    - {REPO, ref: w}\n",
            Err("source referenced \"$v\""),
        ),
        (
            team("valueFiles: [$two/values/v.yaml, $one/values/v.yaml]")
                + "    - {REPO, ref: one, targetRevision: main}\n    - {REPO, ref: two, targetRevision: dev}\n",
            Err(
                "cannot reference multiple revisions for the same repository ($one references \"main\" while $two references \"dev\")",
            ),
        ),
        (
            team(&value("$c/v.yaml"))
                + "    - {repoURL: 'https://charts.example.com', chart: c, targetRevision: 1.0.0, ref: c}\n",
            Err("source \"$c\" has a 'chart' field defined"),
        ),
        // The path of what lends its files does not count.
        (
            team(&value("$vals/v.yaml")) + "    - {REPO, path: values, ref: vals}\n",
            Err("path values of the source with ref vals does not count"),
        ),
        (
            team(&value("$vals/none/*.yaml")) + "    - {REPO, ref: vals}\n",
            Err("no file matches the pattern $vals/none/*.yaml"),
        ),
        (
            "  source:\n    REPO\n    path: charts/team\n    helm: {valueFiles: ['${none}v.yaml']}\n"
                .to_owned(),
            Ok("own"),
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let chart = [("charts/team/Chart.yaml", CHART), ("charts/team/templates/show.yaml", SHOW)];
        let all: Vec<_> = chart.iter().chain(&files).copied().collect();
        let Some(rendered) = rendered(dir.path(), &spec, &all) else { return };
        let map = rendered.objects.iter().find(|object| &*object.key.name.name == "show");
        match wanted {
            Ok(a) => assert_eq!(map.unwrap().json["data"]["a"], a, "{spec}"),
            Err(words) => {
                assert!(map.is_none(), "{spec}");
                assert!(
                    rendered.problems.iter().any(|p| p.message.contains(words)),
                    "{spec}: {:?}",
                    rendered.problems
                );
                assert!(rendered.whole.unsure.contains("team"), "{spec}");
            }
        }
    }
}

/// Argo CD makes the manifests of all sources or of none, and of none where one of them has no kind.
#[test]
fn what_one_source_lacks_holds_back_the_others() {
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let (one, two) = (map("one"), map("two"));
    let two_sources = |second: &str| format!("  sources:\n    - {{REPO, path: one}}\n    - {{{second}}}\n");
    let kindless = format!("{two}---\napiVersion: v1\nmetadata: {{name: none}}\n");
    for (spec, template, wanted) in [
        (two_sources("REPO, path: two"), &two, Some(&["ConfigMap/shop/one", "ConfigMap/shop/two"][..])),
        (two_sources("REPO, path: missing"), &two, None),
        (two_sources("REPO"), &two, None),
        (two_sources("REPO, path: charts/team, helm: {valueFiles: [none.yaml]}"), &two, None),
        // What is elsewhere is not broken.
        (
            two_sources("repoURL: 'https://git.example.com/other.git', path: two"),
            &two,
            Some(&["ConfigMap/shop/one"]),
        ),
        ("  source:\n    REPO\n    path: charts/team\n".to_owned(), &kindless, None),
        ("  source:\n    REPO\n    path: charts/team\n".to_owned(), &two, Some(&["ConfigMap/shop/two"])),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("one/m.yaml", &*one),
            ("two/m.yaml", &*two),
            ("charts/team/Chart.yaml", CHART),
            ("charts/team/templates/m.yaml", template),
        ];
        let Some(rendered) = rendered(dir.path(), &spec, &files) else { return };
        assert_eq!(keys(&rendered), wanted.unwrap_or_default(), "{spec}: {:?}", rendered.problems);
        let team = rendered.whole.applications.iter().find(|one| &*one.key.name.name == "team").unwrap();
        assert_eq!(
            (team.held, rendered.whole.unsure.contains("team")),
            (wanted.is_none(), wanted.is_none()),
            "{spec}"
        );
    }
}

/// A source that is mended lets the others go, and one that breaks holds what is there as it is.
#[test]
fn a_source_that_is_mended_lets_the_others_go() {
    let dir = tempfile::tempdir().unwrap();
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let spec = "  sources:\n    - {REPO, path: one}\n    - {REPO, path: two}\n";
    if rendered(dir.path(), spec, &[("one/m.yaml", &map("one"))]).is_none() {
        return;
    }
    let folder = dir.path().canonicalize().unwrap().join("repo");
    let mut tree = Tree::new(&folder, "dev", None, tools(testkit::program("helm").unwrap(), dir.path()));
    let names = |objects: &[portolan_model::Object]| -> Vec<String> {
        let maps = objects.iter().filter(|object| &*object.key.kind.kind == "ConfigMap");
        maps.map(|object| object.key.name.name.to_string()).collect()
    };
    assert_eq!(names(&tree.read(&Touched::All).objects), Vec::<String>::new());
    fs::create_dir(folder.join("two")).unwrap();
    fs::write(folder.join("two/m.yaml"), map("two")).unwrap();
    let mended = tree.read(&Touched::Paths([folder.join("two")].into()));
    assert_eq!(names(&mended.objects), ["one", "two"], "{:?}", mended.problems);
    fs::remove_dir_all(folder.join("two")).unwrap();
    fs::write(folder.join("one/m.yaml"), map("edited")).unwrap();
    let broken = tree.read(&Touched::Paths([folder.join("two"), folder.join("one/m.yaml")].into()));
    assert_eq!(names(&broken.objects), Vec::<String>::new());
    assert!(broken.whole.unsure.contains("team"), "{:?}", broken.whole.unsure);
}

/// An Application of this name, with this in its metadata and this destination, of the folder of its name.
fn one(name: &str, metadata: &str, destination: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}{metadata}}}\nspec:\n  project: default\n  \
         destination: {{{destination}, namespace: shop}}\n  source: {{repoURL: 'https://git.example.com/p/edge.git', path: {name}}}\n"
    )
}

#[test]
fn applications_for_several_clusters_are_those_of_the_environments() {
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let argo = ", namespace: argocd";
    let here = "server: 'https://kubernetes.default.svc'";
    let team = "  source: {REPO, path: team}\n";
    let (a, b, c) = (map("a"), map("b"), map("c"));
    for (destinations, wanted, code) in [
        (["name: dev", "name: prod", here], &["ConfigMap/shop/a", "ConfigMap/shop/c"][..], None),
        (["name: prod", "name: dev", "name: prod"], &["ConfigMap/shop/b"], None),
        // One other is the environment, whatever it is called.
        (
            ["name: spoke", "name: in-cluster", here],
            &["ConfigMap/shop/a", "ConfigMap/shop/b", "ConfigMap/shop/c"],
            None,
        ),
        (["server: 'https://one'", "server: 'https://two'", here], &["ConfigMap/shop/c"], Some(626)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let apps = ["a", "b", "c"].iter().zip(destinations).map(|(name, to)| one(name, argo, to));
        let apps = apps.collect::<Vec<_>>().join("---\n");
        let files = [
            ("apps/x.yaml", &*apps),
            ("a/m.yaml", &a),
            ("b/m.yaml", &b),
            ("c/m.yaml", &c),
            ("team/m.yaml", ""),
        ];
        let Some(rendered) = rendered(dir.path(), team, &files) else { return };
        assert_eq!(keys(&rendered), wanted, "{destinations:?}: {:?}", rendered.problems);
        let unknown = said(&rendered, 626);
        assert_eq!(unknown.len(), code.map_or(0, |_| 2), "{unknown:?}");
        assert_eq!(rendered.whole.unsure.contains("a"), code.is_some());
        let told = rendered
            .whole
            .substitutions
            .iter()
            .any(|line| line.contains("cluster prod is another environment's"));
        assert_eq!(told, destinations.contains(&"name: prod"), "{:?}", rendered.whole.substitutions);
    }
}

/// `RepeatedResourceWarning`: as of any object.
#[test]
fn of_two_applications_of_one_name_the_last_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let (argo, here) = (", namespace: argocd", "server: 'https://kubernetes.default.svc'");
    let first = one("a", argo, here);
    let last = first.replace("path: a", "path: b");
    let files = [
        ("apps/a1.yaml", &*first),
        ("apps/a2.yaml", &last),
        ("a/m.yaml", &map("a")),
        ("b/m.yaml", &map("b")),
        ("team/m.yaml", ""),
    ];
    let Some(rendered) = rendered(dir.path(), "  source: {REPO, path: team}\n", &files) else { return };
    assert_eq!(keys(&rendered), ["ConfigMap/shop/b"], "{:?}", rendered.problems);
    let message = said(&rendered, 611).join(" ");
    assert!(
        message.contains("apps/a1.yaml:1 is left out") && message.contains("apps/a2.yaml:1, is followed"),
        "{message}"
    );
    assert_eq!(codes_of(&rendered), [611]);
}

/// `IsAppNamespacePermitted`, of the project that Argo CD makes itself.
#[test]
fn the_project_default_is_of_the_namespace_of_argo_cd() {
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let here = "server: 'https://kubernetes.default.svc'";
    let project = "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: default, namespace: argocd}\nspec: {sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}], \
                   clusterResourceWhitelist: [{group: '*', kind: '*'}], sourceNamespaces: [other]}\n";
    let (apps, a, b) = (
        one("a", ", namespace: other", here) + "---\n" + &one("b", ", namespace: argocd", here),
        map("a"),
        map("b"),
    );
    for (more, wanted) in [
        ("", &["ConfigMap/shop/b"][..]),
        (project, &["AppProject/argocd/default", "ConfigMap/shop/a", "ConfigMap/shop/b"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("apps/x.yaml", &*apps),
            ("apps/p.yaml", more),
            ("a/m.yaml", &a),
            ("b/m.yaml", &b),
            ("team/m.yaml", ""),
        ];
        let Some(rendered) = rendered(dir.path(), "  source: {REPO, path: team}\n", &files) else { return };
        assert_eq!(keys(&rendered), wanted, "{:?}", rendered.problems);
        let forbidden = said(&rendered, 674);
        let words = "application 'a' in namespace 'other' is not permitted to use project 'default'";
        assert_eq!(forbidden.len(), usize::from(more.is_empty()), "{forbidden:?}");
        assert!(forbidden.iter().all(|message| message.contains(words)), "{forbidden:?}");
    }
}

/// `--max-combined-directory-manifests-size` of the repo-server: 10M.
#[test]
fn a_folder_of_more_than_argo_cd_reads_is_refused() {
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let filled = |bytes: usize| {
        let line = format!("# {}\n", "x".repeat(997));
        map("big") + &line.repeat((bytes - 100) / 1000)
    };
    let (one, below, above) = (map("one"), filled(9_900_000), filled(10_001_000));
    for (big, name, wanted) in [
        (&below, "team/big.yaml", &["ConfigMap/shop/big", "ConfigMap/shop/one"][..]),
        (&above, "team/big.yaml", &[]),
        // What is left out does not count.
        (&above, "team/big.txt", &["ConfigMap/shop/one"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let files = [("team/one.yaml", &*one), (name, big)];
        let Some(rendered) = rendered(dir.path(), "  source: {REPO, path: team}\n", &files) else { return };
        assert_eq!(keys(&rendered), wanted, "{name}: {:?}", rendered.problems);
        let refused = said(&rendered, 602);
        assert_eq!(refused.len(), usize::from(wanted.is_empty()), "{refused:?}");
        assert!(refused.iter().all(|message| message.contains("exceeded max combined manifest file size")));
        assert_eq!(rendered.whole.unsure.contains("team"), wanted.is_empty());
    }
}

/// What the real Helm says to versions of charts of the same repository, and to a lock of other dependencies.
#[test]
fn dependencies_are_built_as_helm_builds_them() {
    const SUB: &str = "apiVersion: v2\nname: sub\nversion: 0.1.0\n";
    // Written by `helm dependency update` for the version 0.1.0.
    const LOCK: &str = "dependencies:\n- {name: sub, repository: 'file://../sub', version: 0.1.0}\ndigest: sha256:da78b009933aa7e175d98d822bcf1735d3fa0f46623dfbde83c224af9de5f952\n";
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let chart = |version: &str| {
        format!("{CHART}dependencies:\n- {{name: sub, version: '{version}', repository: 'file://../sub'}}\n")
    };
    let nested = format!("{SUB}dependencies: [{{name: deep, version: 1.x, repository: 'file://../deep'}}]\n");
    let deep = SUB.replace("sub", "deep").replace("0.1.0", "1.0.0");
    let both = ["ConfigMap/shop/own", "ConfigMap/shop/sub"];
    for (chart, sub, lock, wanted) in [
        (chart("0.1.0"), SUB, None, Ok(&both[..])),
        (chart("^0.1"), SUB, None, Ok(&both)),
        (
            chart("9.9.9"),
            SUB,
            None,
            Err(
                "can't get a valid version for 1 subchart(s): \"sub\" (repository \"file://../sub\", version \"9.9.9\")",
            ),
        ),
        (chart("x!!"), SUB, None, Err("dependency \"sub\" has an invalid version/constraint format")),
        (chart("0.1.0"), SUB, Some(LOCK), Ok(&both)),
        // The lock was made of other dependencies, and the chart that it names has another version by now.
        (
            chart(">=0.1.0"),
            SUB,
            Some(LOCK),
            Err("the lock file (Chart.lock) is out of sync with the dependencies file (Chart.yaml)"),
        ),
        (
            chart("0.1.0"),
            "apiVersion: v2\nname: sub\nversion: 0.2.0\n",
            Some(LOCK),
            Err("can't get a valid version for dependency sub"),
        ),
        // What a dependency depends on is not built with it.
        (chart("0.1.0"), &nested, None, Ok(&both)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (own, of_sub, of_deep) = (map("own"), map("sub"), map("deep"));
        let mut files = vec![
            ("charts/team/Chart.yaml", &*chart),
            ("charts/team/templates/m.yaml", &*own),
            ("charts/sub/Chart.yaml", sub),
            ("charts/sub/templates/m.yaml", &of_sub),
            ("charts/deep/Chart.yaml", &deep),
            ("charts/deep/templates/m.yaml", &of_deep),
        ];
        files.extend(lock.map(|lock| ("charts/team/Chart.lock", lock)));
        let Some(rendered) = rendered(dir.path(), "  source: {REPO, path: charts/team}\n", &files) else {
            return;
        };
        match wanted {
            Ok(keys) => assert_eq!(self::keys(&rendered), keys, "{chart} {sub}: {:?}", rendered.problems),
            Err(words) => {
                let said = said(&rendered, 605).join(" ");
                assert!(
                    said.contains(words) && !said.contains("portolan-0"),
                    "{chart}: {:?}",
                    rendered.problems
                );
                assert_eq!(keys(&rendered), Vec::<String>::new(), "{chart}");
                assert!(rendered.whole.unsure.contains("team"));
            }
        }
        let told = rendered
            .whole
            .substitutions
            .iter()
            .any(|line| line.contains("dependency deep of charts/sub is left out"));
        assert_eq!(told, sub == nested, "{:?}", rendered.whole.substitutions);
    }
    // One chart twice, under names of their own.
    let twice = format!(
        "{CHART}dependencies:\n- {{name: sub, version: 0.1.0, repository: 'file://../sub', alias: a}}\n\
         - {{name: sub, version: 0.1.0, repository: 'file://../sub', alias: b}}\n"
    );
    let named = map("'sub-{{ .Values.x }}'");
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("charts/team/Chart.yaml", &*twice),
        ("charts/team/values.yaml", "a: {x: one}\nb: {x: two}\n"),
        ("charts/sub/Chart.yaml", SUB),
        ("charts/sub/templates/m.yaml", &named),
    ];
    let aliased = rendered(dir.path(), "  source: {REPO, path: charts/team}\n", &files).unwrap();
    assert_eq!(
        keys(&aliased),
        ["ConfigMap/shop/sub-one", "ConfigMap/shop/sub-two"],
        "{:?}",
        aliased.problems
    );
    // Where all lie in charts/, nothing is built and nothing compared.
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("charts/team/Chart.yaml", &*chart("9.9.9")),
        ("charts/team/Chart.lock", LOCK),
        ("charts/team/charts/sub/Chart.yaml", SUB),
        ("charts/team/charts/sub/templates/m.yaml", &map("sub")),
        ("charts/team/templates/m.yaml", &map("own")),
    ];
    let Some(rendered) = rendered(dir.path(), "  source: {REPO, path: charts/team}\n", &files) else {
        return;
    };
    assert_eq!(keys(&rendered), both, "{:?}", rendered.problems);
}
