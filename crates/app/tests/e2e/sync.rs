//! What leaves the repository goes where Argo CD would prune it, and stays live, and is said to, where it would not.

use std::path::Path;

use serde_json::Value;

use super::{
    backends::{folder, route, service, to},
    instance::{Instance, envoy},
};

pub(super) const PRUNED: &str = "{automated: {prune: true}}";
const KEPT: &str = "{automated: {}}";

fn application(name: &str, policy: &str, metadata: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd{metadata}}}\nspec:\n  project: default\n  source: {{repoURL: 'https://git.example.test/me/edge.git', path: {name}, targetRevision: HEAD}}\n  destination: {{server: 'https://kubernetes.default.svc', namespace: team}}\n  syncPolicy: {policy}\n"
    )
}

pub(super) const CASCADES: &str = ", finalizers: [resources-finalizer.argocd.argoproj.io]";

pub(super) fn put(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text.trim_start_matches("---\n")).unwrap();
}

/// A host of its own, with its Service.
pub(super) fn host(name: &str, more: &str) -> String {
    let text = service(name, "[{name: http, port: 80}]", "") + &route(name, &to(name, 80));
    text.replace("metadata: {", &format!("metadata: {{{more}"))
}

fn kept(instance: &Instance, name: &str) -> Option<String> {
    let status = instance.status();
    let all = status["kept"].as_array()?;
    let one = all.iter().find(|one| one["object"] == format!("HTTPRoute/team/{name}"))?;
    Some(one["why"].as_str()?.to_owned())
}

/// A repository of one root, and children with these policies.
pub(super) fn repository(root_policy: &str, children: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let dir = folder("");
    let root = dir.path();
    std::fs::create_dir(root.join("edge")).unwrap();
    std::fs::rename(root.join("base.yaml"), root.join("edge/base.yaml")).unwrap();
    put(root, "argocd-bootstrap-apps/dev.yaml", &application("apps", root_policy, CASCADES));
    put(root, "apps/edge.yaml", &application("edge", PRUNED, CASCADES));
    for (name, policy, metadata) in children {
        put(root, &format!("apps/{name}.yaml"), &application(name, policy, metadata));
    }
    dir
}

#[test]
fn what_argo_cd_would_not_prune_stays_live_over_a_restart_and_is_said() {
    let Some(envoy) = envoy("e2e sync") else { return };
    let children = [("pruned", PRUNED, CASCADES), ("kept", KEPT, CASCADES), ("by-hand", "{}", CASCADES)];
    let dir = repository(PRUNED, &children);
    let root = dir.path().to_owned();
    put(&root, "pruned/goes.yaml", &host("goes", ""));
    put(
        &root,
        "pruned/annotated.yaml",
        &host("annotated", "annotations: {argocd.argoproj.io/sync-options: Prune=false}, "),
    );
    put(&root, "pruned/rest.yaml", &host("rest", ""));
    put(&root, "kept/left.yaml", &host("left", ""));
    put(&root, "kept/rest.yaml", &host("stays", ""));
    put(&root, "by-hand/manual.yaml", &host("manual", ""));
    let mut instance = Instance::start_with(dir, envoy, &["--env", "dev"]);
    for name in ["goes", "annotated", "left", "manual"] {
        instance.reach(&format!("{name}.lab.test"), "live");
    }
    for file in ["pruned/goes.yaml", "pruned/annotated.yaml", "kept/left.yaml", "by-hand/manual.yaml"] {
        std::fs::remove_file(root.join(file)).unwrap();
    }
    instance.wait("goes.lab.test to go", || instance.entry("goes.lab.test").is_none().then_some(()));
    let check = |instance: &Instance| {
        for (name, why) in [
            ("annotated", "Prune=false"),
            ("left", "syncPolicy.automated of Application/argocd/kept has no prune"),
            ("manual", "Application/argocd/by-hand is not synced automatically"),
        ] {
            let said = instance.wait(&format!("{name} to be said"), || kept(instance, name));
            assert!(said.contains(why), "{said}");
            instance.reach(&format!("{name}.lab.test"), "live");
        }
        assert!(instance.entry("goes.lab.test").is_none());
    };
    check(&instance);
    let explained = instance.run(&["explain", "left.lab.test"]);
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.contains("ok   kept") && explained.contains("has no prune"), "{explained}");
    let status = instance.status();
    let app = status["applications"]
        .as_array()
        .unwrap()
        .iter()
        .find(|app| app["application"] == "Application/argocd/kept");
    assert!(
        app.unwrap()["outOfSync"].as_array().unwrap().contains(&Value::from("HTTPRoute/team/left")),
        "{app:?}"
    );
    let finding = status["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["code"] == "PTL-0670" && f["object"] == "HTTPRoute/team/left");
    assert_eq!(finding.unwrap()["severity"], "warning");

    // What applied it is kept with it.
    assert_eq!(instance.run(&["down"]).status.code(), Some(0));
    instance.ended();
    instance.up();
    check(&instance);

    // A person may let it go; what another object says of itself stays. A word is no wish for all.
    let refused = instance.run(&["prune", "all"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--all"), "{refused:?}");
    check(&instance);
    assert_eq!(instance.run(&["prune", "HTTPRoute/team/nothing"]).status.code(), Some(2));
    assert_eq!(instance.run(&["prune", "HTTPRoute/team/left"]).status.code(), Some(0));
    instance.wait("left.lab.test to go", || instance.entry("left.lab.test").is_none().then_some(()));
    instance.reach("annotated.lab.test", "live");

    // The whole Application would be empty: that is no wish to lose everything.
    std::fs::remove_file(root.join("pruned/rest.yaml")).unwrap();
    let said = instance.wait("rest to be said", || kept(&instance, "rest"));
    assert!(said.contains("no automated.allowEmpty"), "{said}");
    instance.reach("rest.lab.test", "live");
}

#[test]
fn an_application_that_goes_takes_its_objects_along_if_it_has_the_finalizer() {
    let Some(envoy) = envoy("e2e sync applications") else { return };
    let children = [("cascades", KEPT, CASCADES), ("orphans", PRUNED, "")];
    let dir = repository(PRUNED, &children);
    let root = dir.path().to_owned();
    put(&root, "cascades/a.yaml", &host("cascaded", ""));
    put(&root, "orphans/a.yaml", &host("orphan", ""));
    let instance = Instance::start_with(dir, envoy, &["--env", "dev"]);
    for name in ["cascaded", "orphan"] {
        instance.reach(&format!("{name}.lab.test"), "live");
    }
    for name in ["cascades", "orphans"] {
        std::fs::remove_file(root.join(format!("apps/{name}.yaml"))).unwrap();
    }
    instance.wait("cascaded.lab.test to go", || instance.entry("cascaded.lab.test").is_none().then_some(()));
    let said = instance.wait("orphan to be said", || kept(&instance, "orphan"));
    assert!(said.contains("Application/argocd/orphans"), "{said}");
    instance.reach("orphan.lab.test", "live");
    assert_eq!(instance.run(&["prune", "--all"]).status.code(), Some(0));
    instance.wait("orphan.lab.test to go", || instance.entry("orphan.lab.test").is_none().then_some(()));
}

#[test]
fn an_application_that_its_parent_does_not_prune_is_synced_on() {
    let Some(envoy) = envoy("e2e sync parents") else { return };
    let dir = repository(KEPT, &[("child", PRUNED, CASCADES)]);
    let root = dir.path().to_owned();
    put(&root, "child/a.yaml", &host("first", ""));
    let mut instance = Instance::start_with(dir, envoy, &["--env", "dev"]);
    instance.reach("first.lab.test", "live");
    std::fs::remove_file(root.join("apps/child.yaml")).unwrap();
    let said = |instance: &Instance| {
        let status = instance.status();
        let all = status["kept"].as_array().unwrap().clone();
        (all.len() == 1 && all[0]["object"] == "Application/argocd/child").then_some(())
    };
    instance.wait("the Application to be said", || said(&instance));
    // Its folder counts as before: objects come and go.
    put(&root, "child/b.yaml", &host("second", ""));
    instance.reach("second.lab.test", "live");
    instance.kill_nine();
    instance.up();
    instance.wait("the Application to be said again", || said(&instance));
    std::fs::remove_file(root.join("child/a.yaml")).unwrap();
    instance.wait("first.lab.test to go", || instance.entry("first.lab.test").is_none().then_some(()));
    instance.reach("second.lab.test", "live");
    // The parent prunes from now on: the child goes, and takes along what it brought.
    put(&root, "argocd-bootstrap-apps/dev.yaml", &application("apps", PRUNED, CASCADES));
    instance.wait("second.lab.test to go", || instance.entry("second.lab.test").is_none().then_some(()));
    instance.wait("nothing to stay", || instance.status()["kept"].as_array()?.is_empty().then_some(()));
}

#[test]
fn a_set_that_only_creates_changes_nothing_that_is_there() {
    let Some(envoy) = envoy("e2e sync sets") else { return };
    let dir = repository(PRUNED, &[]);
    let root = dir.path().to_owned();
    let set = |path: &str, names: &str| {
        let template =
            application("'{{.el}}'", PRUNED, "").replace("path: '{{.el}}'", &format!("path: {path}"));
        let template = template.replace("apiVersion: argoproj.io/v1alpha1\nkind: Application\n", "");
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: made, namespace: argocd}}\nspec:\n  goTemplate: true\n  syncPolicy: {{applicationsSync: create-only}}\n  generators: [{{list: {{elements: [{names}]}}}}]\n  template:\n    {}\n",
            template.trim_end().replace(", namespace: argocd}", "}").replace('\n', "\n    ")
        )
    };
    put(&root, "apps/set.yaml", &set("v1", "{el: one}"));
    put(&root, "v1/a.yaml", &host("first", ""));
    put(&root, "v2/a.yaml", &host("second", ""));
    let mut instance = Instance::start_with(dir, envoy, &["--env", "dev"]);
    instance.reach("first.lab.test", "live");
    put(&root, "apps/set.yaml", &set("v2", "{el: one}"));
    put(&root, "edge/b.yaml", &host("beside", ""));
    instance.reach("beside.lab.test", "live");
    let same = |instance: &Instance| {
        instance.reach("first.lab.test", "live");
        assert!(instance.entry("second.lab.test").is_none());
    };
    same(&instance);
    instance.kill_nine();
    instance.up();
    same(&instance);
    // What is not there yet is made as the set says now.
    put(&root, "apps/set.yaml", &set("v2", "{el: one}, {el: two}"));
    instance.reach("second.lab.test", "live");
    instance.reach("first.lab.test", "live");
}

#[test]
fn a_field_that_an_application_ignores_keeps_its_live_value() {
    let Some(envoy) = envoy("e2e sync ignored differences") else { return };
    let policy = "{automated: {prune: true}, syncOptions: [RespectIgnoreDifferences=true]}\n  ignoreDifferences: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: first, jsonPointers: [/spec/hostnames]}]";
    let dir = repository(PRUNED, &[("team", policy, CASCADES)]);
    let root = dir.path().to_owned();
    put(&root, "team/a.yaml", &host("first", ""));
    put(&root, "team/b.yaml", &host("second", ""));
    let instance = Instance::start_with(dir, envoy, &["--env", "dev"]);
    for name in ["first", "second"] {
        instance.reach(&format!("{name}.lab.test"), "live");
    }
    for name in ["first", "second"] {
        let text = host(name, "").replace(&format!("[{name}.lab.test]"), &format!("[other-{name}.lab.test]"));
        put(&root, if name == "first" { "team/a.yaml" } else { "team/b.yaml" }, &text);
    }
    instance.reach("other-second.lab.test", "live");
    instance.reach("first.lab.test", "live");
    assert!(instance.entry("other-first.lab.test").is_none());
}

#[test]
fn what_an_application_applied_stays_live_when_its_project_forbids_it() {
    let Some(envoy) = envoy("e2e sync projects") else { return };
    let dir = repository(PRUNED, &[("shop", PRUNED, CASCADES)]);
    let root = dir.path().to_owned();
    let own = application("shop", PRUNED, CASCADES).replace("project: default", "project: shop");
    put(&root, "apps/shop.yaml", &own);
    let project = |namespace: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {{name: shop, namespace: argocd}}\nspec:\n  \
             sourceRepos: ['https://git.example.test/me/*']\n  destinations: [{{name: in-cluster, namespace: {namespace}}}]\n  \
             namespaceResourceBlacklist: [{{group: '', kind: ConfigMap}}]\n"
        )
    };
    put(&root, "apps/project.yaml", &project("team"));
    put(&root, "shop/first.yaml", &host("first", ""));
    let instance = Instance::start_with(dir, envoy, &["--env", "dev"]);
    instance.reach("first.lab.test", "live");
    let said = |code: &str, object: &str| {
        let status = instance.status();
        let findings = status["findings"].as_array().unwrap();
        findings.iter().any(|f| f["code"] == code && f["object"] == object)
    };
    // One object that is not permitted holds back the whole Application.
    put(&root, "shop/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\n");
    instance.wait("the object to be refused", || said("PTL-0675", "ConfigMap/team/map").then_some(()));
    put(&root, "shop/held.yaml", &host("held", ""));
    put(&root, "edge/beside.yaml", &host("beside", ""));
    instance.reach("beside.lab.test", "live");
    instance.reach("first.lab.test", "live");
    assert!(instance.entry("held.lab.test").is_none());
    std::fs::remove_file(root.join("shop/map.yaml")).unwrap();
    instance.reach("held.lab.test", "live");

    // In Argo CD nothing is synced then: what is live stays, and what is new does not come.
    put(&root, "apps/project.yaml", &project("'!team'"));
    instance
        .wait("the Application to be refused", || said("PTL-0674", "Application/argocd/shop").then_some(()));
    std::fs::remove_file(root.join("shop/first.yaml")).unwrap();
    put(&root, "shop/second.yaml", &host("second", ""));
    put(&root, "edge/third.yaml", &host("third", ""));
    instance.reach("third.lab.test", "live");
    instance.reach("first.lab.test", "live");
    assert!(instance.entry("second.lab.test").is_none());

    put(&root, "apps/project.yaml", &project("team"));
    instance.reach("second.lab.test", "live");
    instance.wait("first.lab.test to go", || instance.entry("first.lab.test").is_none().then_some(()));
}

#[test]
fn an_application_whose_deletion_waits_for_a_confirmation_waits_in_one_state() {
    let Some(envoy) = envoy("e2e sync confirmation") else { return };
    let dir = repository(PRUNED, &[("team", PRUNED, CASCADES)]);
    let root = dir.path().to_owned();
    let asks = "annotations: {argocd.argoproj.io/sync-options: Delete=confirm}, ";
    put(&root, "team/a.yaml", &host("asks", asks));
    let mut instance = Instance::start_with(dir, envoy, &["--env", "dev"]);
    instance.reach("asks.lab.test", "live");
    std::fs::remove_file(root.join("apps/team.yaml")).unwrap();
    let waits = |instance: &Instance| {
        instance.wait("the confirmation to be waited for", || kept(instance, "asks"));
        // Whoever looks sees the same, each time.
        for _ in 0..20 {
            let status = instance.status();
            let all: Vec<&str> =
                status["kept"].as_array().unwrap().iter().filter_map(|one| one["object"].as_str()).collect();
            assert_eq!(all.len(), 3, "{all:?}");
            assert!(all.contains(&"Application/argocd/team"), "{all:?}");
            assert!(kept(instance, "asks").unwrap().contains("waits for deletion confirmation"), "{status}");
        }
        instance.reach("asks.lab.test", "live");
    };
    waits(&instance);
    // It is being deleted, and no longer synced.
    put(&root, "team/b.yaml", &host("new", ""));
    put(&root, "edge/c.yaml", &host("beside", ""));
    instance.reach("beside.lab.test", "live");
    assert!(instance.entry("new.lab.test").is_none());
    instance.kill_nine();
    instance.up();
    waits(&instance);
    assert_eq!(instance.run(&["prune", "--all"]).status.code(), Some(0));
    instance.wait("asks.lab.test to go", || instance.entry("asks.lab.test").is_none().then_some(()));
    instance.wait("nothing to stay", || instance.status()["kept"].as_array()?.is_empty().then_some(()));
}

#[test]
fn what_a_removed_application_brought_goes_whatever_else_cannot_be_read() {
    let Some(envoy) = envoy("e2e sync doubt") else { return };
    let children = [("gone", PRUNED, CASCADES), ("later", PRUNED, CASCADES), ("broken", PRUNED, CASCADES)];
    let dir = repository(PRUNED, &children);
    let root = dir.path().to_owned();
    put(&root, "gone/a.yaml", &host("gone", ""));
    put(&root, "later/a.yaml", &host("later", ""));
    put(&root, "broken/Chart.yaml", "apiVersion: v2\nname: broken\nversion: 1.0.0\n");
    put(&root, "broken/templates/a.yaml", &host("broken", ""));
    let mut instance = Instance::start_with(dir, envoy, &["--env", "dev"]);
    for name in ["gone", "later", "broken"] {
        instance.reach(&format!("{name}.lab.test"), "live");
    }
    // From now on the chart cannot be rendered, and nothing says what it brings.
    put(&root, "broken/templates/b.yaml", "{{ fail \"no\" }}\n");
    std::fs::remove_file(root.join("apps/gone.yaml")).unwrap();
    instance.wait("gone.lab.test to go", || instance.entry("gone.lab.test").is_none().then_some(()));
    assert_eq!(instance.run(&["down"]).status.code(), Some(0));
    instance.ended();
    std::fs::remove_file(root.join("apps/later.yaml")).unwrap();
    instance.up();
    // Where objects stood is not known since the start; who applied them is.
    instance.wait("later.lab.test to go", || instance.entry("later.lab.test").is_none().then_some(()));
    instance.reach("broken.lab.test", "live");
    instance.wait("nothing to stay", || instance.status()["kept"].as_array()?.is_empty().then_some(()));
}

/// A Kustomization of the folder of its name.
/// An API server takes no such edit: the sync of what brings it fails before anything is removed. What moves to another repository is there.
#[test]
fn a_slip_in_what_brings_others_removes_nothing() {
    let Some(envoy) = envoy("e2e slips") else { return };
    let all = "{automated: {prune: true, allowEmpty: true}}";
    let dir = repository(all, &[("a", all, CASCADES)]);
    let root = dir.path().to_owned();
    let set = "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: set, namespace: argocd}\nspec:\n  generators:\n  - list: {elements: [{name: b}]}\n  template:\n    metadata: {name: '{{name}}'}\n    spec:\n      project: default\n      source: {repoURL: 'https://git.example.test/me/edge.git', path: '{{name}}', targetRevision: HEAD}\n      destination: {server: 'https://kubernetes.default.svc', namespace: team}\n      syncPolicy: {automated: {prune: true, allowEmpty: true}}\n";
    put(&root, "apps/set.yaml", set);
    put(&root, "a/host.yaml", &host("one", ""));
    put(&root, "b/host.yaml", &host("two", ""));
    let instance = Instance::start_with(dir, envoy, &["--env", "dev"]);
    let reach = || {
        for name in ["one", "two"] {
            instance.reach(&format!("{name}.lab.test"), "live");
        }
    };
    reach();
    let app = std::fs::read_to_string(root.join("apps/a.yaml")).unwrap();
    let says = |code: &str| {
        let status = instance.status();
        let mut findings = status["findings"].as_array().into_iter().flatten();
        findings.any(|finding| finding["code"] == code)
    };
    for (file, text, right, wrong, code) in [
        ("apps/a.yaml", &*app, "kind: Application", "kind: Aplication", "PTL-0002"),
        ("apps/a.yaml", &*app, "argoproj.io/", "argoproj.oi/", "PTL-0002"),
        ("apps/a.yaml", &*app, "me/edge.git", "others/edge.git", "PTL-0607"),
        ("apps/set.yaml", set, "kind: ApplicationSet", "kind: Applicationset", "PTL-0002"),
        ("apps/set.yaml", set, "elements:", "elments:", "PTL-0005"),
        ("apps/set.yaml", set, "project: default", "project: 5", "PTL-0005"),
    ] {
        put(&root, file, &text.replacen(right, wrong, 1));
        instance.wait(&format!("{code} of {wrong}"), || says(code).then_some(()));
        reach();
        put(&root, file, text);
        instance.wait(&format!("{code} of {wrong} to go"), || (!says(code)).then_some(()));
        reach();
    }
    // Nothing was applied anew either.
    for name in ["one", "two"] {
        let output = instance.run(&["get", "httproute", &format!("team/{name}"), "--output", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["metadata"]["generation"], 1, "{name}");
    }
}

/// A root that is a set or a chart, and fails, says nothing of what it brings: nothing goes, also if it broke while nobody looked.
#[test]
fn a_root_that_is_a_set_or_a_chart_and_fails_removes_nothing() {
    let Some(envoy) = envoy("e2e roots that fail") else { return };
    let template = "metadata: {name: 'x-{{.name}}'}\n    spec:\n      project: default\n      source: {repoURL: 'https://git.example.test/me/edge.git', path: '{{.name}}', targetRevision: HEAD}\n      destination: {server: 'https://kubernetes.default.svc', namespace: team}\n      syncPolicy: {automated: {prune: true, allowEmpty: true}}\n";
    let set = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: set, namespace: argocd}}\nspec:\n  goTemplate: true\n  goTemplateOptions: [missingkey=error]\n  generators:\n  - git: {{repoURL: 'https://git.example.test/me/edge.git', revision: HEAD, files: [{{path: 'conf/*.yaml'}}]}}\n  template:\n    {template}"
    );
    let app = application("{{ .Values.name }}", "{automated: {prune: true, allowEmpty: true}}", CASCADES);
    let app = app.replace("path: {{ .Values.name }}", "path: a");
    let chart = format!("{app}---\n{}", application("edge", PRUNED, CASCADES));
    let (conf, values) = ("conf/two.yaml", "charts/app-of-apps/values.dev.yaml");
    let chart_files = [
        ("charts/app-of-apps/Chart.yaml", "apiVersion: v2\nname: apps\nversion: 1.0.0\n"),
        ("charts/app-of-apps/templates/a.yaml", &*chart),
        (values, "name: a\n"),
    ];
    let set_files = [
        ("argocd-bootstrap-apps/dev.yaml", &*set),
        ("conf/one.yaml", "name: a\n"),
        ("conf/base.yaml", "name: edge\n"),
    ];
    for (files, damages) in [
        (
            &set_files[..],
            [
                (conf, "name: [\n", "PTL-0619"),
                (conf, "nome: a\n", "PTL-0619"),
                (conf, "name: a\n", "PTL-0625"),
            ],
        ),
        (
            &chart_files,
            [
                (values, "name: [\n", "PTL-0605"),
                ("charts/app-of-apps/Chart.yaml", "apiVersion: v2\n", "PTL-0605"),
                ("charts/app-of-apps/templates/b.yaml", "{{ fail \"no\" }}\n", "PTL-0605"),
            ],
        ),
    ] {
        let dir = repository(PRUNED, &[]);
        let root = dir.path().to_owned();
        std::fs::remove_dir_all(root.join("argocd-bootstrap-apps")).unwrap();
        std::fs::remove_dir_all(root.join("apps")).unwrap();
        for (file, text) in files {
            put(&root, file, text);
        }
        put(&root, "a/host.yaml", &host("one", ""));
        let mut instance = Instance::start_with(dir, envoy.clone(), &["--env", "dev"]);
        instance.reach("one.lab.test", "live");
        let says = |instance: &Instance, code: &str| {
            let status = instance.status();
            let mut findings = status["findings"].as_array().into_iter().flatten();
            findings.any(|finding| finding["code"] == code)
        };
        for (file, text, code) in damages {
            let before = std::fs::read_to_string(root.join(file)).ok();
            for restart in [false, true] {
                if restart {
                    instance.kill_nine();
                }
                put(&root, file, text);
                if restart {
                    instance.up();
                }
                instance.wait(&format!("{code} of {text}"), || says(&instance, code).then_some(()));
                std::thread::sleep(std::time::Duration::from_secs(1));
                instance.reach("one.lab.test", "live");
                assert!(!says(&instance, "PTL-0613"));
                match &before {
                    Some(before) => put(&root, file, before),
                    None => std::fs::remove_file(root.join(file)).unwrap(),
                }
                instance.wait(&format!("{code} of {text} to go"), || (!says(&instance, code)).then_some(()));
                instance.reach("one.lab.test", "live");
            }
        }
        // Nothing was applied anew either.
        let output = instance.run(&["get", "httproute", "team/one", "--output", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["metadata"]["generation"], 1);
    }
}

/// What is not evaluated here, or not included for a slip of the pen, is not gone.
#[test]
fn a_folder_that_is_read_otherwise_removes_nothing() {
    let Some(envoy) = envoy("e2e folders") else { return };
    let all = "{automated: {prune: true, allowEmpty: true}}";
    let dir = repository(all, &[("a", all, CASCADES)]);
    let root = dir.path().to_owned();
    put(&root, "a/one.yaml", &host("one", ""));
    put(&root, "a/two.yaml", &host("two", ""));
    let instance = Instance::start_with(dir, envoy, &["--env", "dev"]);
    let reach = || {
        for name in ["one", "two"] {
            instance.reach(&format!("{name}.lab.test"), "live");
        }
    };
    let says = |code: &str| {
        let status = instance.status();
        let mut findings = status["findings"].as_array().into_iter().flatten();
        findings.any(|finding| finding["code"] == code)
    };
    reach();
    let app = std::fs::read_to_string(root.join("apps/a.yaml")).unwrap();
    for (wrong, code) in
        [("path: a/one.yaml", "PTL-0603"), ("directory: {include: '[one.yaml'}, path: a", "PTL-0602")]
    {
        put(&root, "apps/a.yaml", &app.replacen("path: a", wrong, 1));
        instance.wait(&format!("{code} of {wrong}"), || says(code).then_some(()));
        reach();
        put(&root, "apps/a.yaml", &app);
        instance.wait(&format!("{code} of {wrong} to go"), || (!says(code)).then_some(()));
        reach();
    }
    std::fs::rename(root.join("a/one.yaml"), root.join("a/one.jsonnet")).unwrap();
    instance.wait("jsonnet to be told of", || says("PTL-0608").then_some(()));
    reach();
    std::fs::rename(root.join("a/one.jsonnet"), root.join("a/one.yaml")).unwrap();
    instance.wait("jsonnet to be gone", || (!says("PTL-0608")).then_some(()));
    reach();
    for name in ["one", "two"] {
        let output = instance.run(&["get", "httproute", &format!("team/{name}"), "--output", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["metadata"]["generation"], 1, "{name}");
    }
}

fn kustomization(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\nspec: {{interval: 10m0s, path: ./{name}, sourceRef: {{kind: GitRepository, name: flux-system}}, {spec}}}\n"
    )
}

#[test]
fn what_a_kustomization_has_let_go_it_never_deletes() {
    let Some(envoy) = envoy("e2e sync inventory") else { return };
    let dir = folder("");
    let root = dir.path().to_owned();
    std::fs::create_dir(root.join("edge")).unwrap();
    std::fs::rename(root.join("base.yaml"), root.join("edge/base.yaml")).unwrap();
    let own = kustomization("flux-system", "prune: true").replace("./flux-system", "./clusters/dev");
    let source = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: flux-system, namespace: flux-system}\nspec: {interval: 1m0s, url: 'https://git.example.test/me/edge.git', ref: {branch: main}}\n---\n";
    put(&root, "clusters/dev/flux-system/gotk-sync.yaml", &format!("{source}{own}"));
    let cluster = |name: &str, spec: &str| {
        put(&root, &format!("clusters/dev/{name}.yaml"), &kustomization(name, spec));
    };
    cluster("edge", "prune: true");
    cluster("flips", "prune: false");
    cluster("leaves", "prune: false, deletionPolicy: Delete");
    for name in ["flips", "leaves"] {
        put(&root, &format!("{name}/a.yaml"), &host(name, ""));
        put(&root, &format!("{name}/b.yaml"), &host(&format!("{name}-still"), ""));
    }
    let mut instance = Instance::start_with(dir, envoy, &["--env", "dev"]);
    for name in ["flips", "leaves", "flips-still", "leaves-still"] {
        instance.reach(&format!("{name}.lab.test"), "live");
    }
    for name in ["flips", "leaves"] {
        std::fs::remove_file(root.join(format!("{name}/a.yaml"))).unwrap();
    }
    let stay = |instance: &Instance| {
        for name in ["flips", "leaves"] {
            let said = instance.wait(&format!("{name} to be said"), || kept(instance, name));
            assert!(
                said.contains(&format!("spec.prune of Kustomization/flux-system/{name} was false")),
                "{said}"
            );
            instance.reach(&format!("{name}.lab.test"), "live");
        }
    };
    stay(&instance);
    instance.kill_nine();
    instance.up();
    stay(&instance);
    cluster("flips", "prune: true");
    std::fs::remove_file(root.join("clusters/dev/leaves.yaml")).unwrap();
    std::fs::remove_file(root.join("flips/b.yaml")).unwrap();
    // What it had until then goes with it, or is pruned.
    for name in ["flips-still.lab.test", "leaves-still.lab.test"] {
        instance.wait(&format!("{name} to go"), || instance.entry(name).is_none().then_some(()));
    }
    stay(&instance);
    assert_eq!(instance.run(&["prune", "--all"]).status.code(), Some(0));
    instance.wait("flips.lab.test to go", || instance.entry("flips.lab.test").is_none().then_some(()));
}
