//! ApplicationSets, evaluated as Argo CD's controller does it. What is expected here is what its own tests and documents say
//! (argoproj/argo-cd `applicationset`, `docs/operator-manual/applicationset`).
#![allow(clippy::unwrap_used, missing_docs)]

use std::{fs, path::Path};

use portolan_effects::render::{Rendered, Tools, Touched, Tree, render};
use portolan_testkit as testkit;

fn tools(cache: &Path) -> Option<Tools> {
    let (Some(helm), Some(kustomize)) = (testkit::program("helm"), testkit::program("kustomize")) else {
        testkit::skip("effects/sets", "helm or kustomize was not found; run scripts/setup demo");
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

fn root() -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: root, namespace: argocd}}\nspec:\n  project: default\n  \
         destination: {{server: 'https://kubernetes.default.svc', namespace: argocd}}\n  source: {{{REPO}, path: sets}}\n"
    )
}

/// A set of these generators, whose Applications are called and stand as it is said.
fn set(rest: &str, name: &str, path: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: s, namespace: argocd}}\nspec:\n{rest}  template:\n    \
         metadata: {{name: '{name}'}}\n    spec:\n      project: default\n      destination: {{server: 'https://kubernetes.default.svc', namespace: ns}}\n      \
         source: {{{REPO}, path: '{path}'}}\n"
    )
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n";

fn rendered(env: &str, set: &str, files: &[(&str, &str)], labels: &[(&str, &str)]) -> Option<Rendered> {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("repo");
    let root = root();
    write(&folder, &[(&format!("argocd-bootstrap-apps/{env}.yaml"), &root), ("sets/set.yaml", set)]);
    write(&folder, files);
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Some(render(&folder, env, None, &tools(dir.path())?.cluster_labels(labels)))
}

/// Names of the Applications below the root with the first source of each, and codes of what is wrong.
fn applications(rendered: &Rendered) -> (Vec<String>, Vec<u16>) {
    let below = rendered.whole.applications.iter().filter(|app| !app.parent.is_empty());
    let mut names: Vec<_> =
        below.map(|app| format!("{} {}", app.key.name.name, app.sources.join("+"))).collect();
    names.sort();
    let mut codes: Vec<_> = rendered.problems.iter().map(|problem| problem.code.0).collect();
    codes.sort_unstable();
    (names, codes)
}

const APPS: &[(&str, &str)] = &[
    ("apps/a/m.yaml", MAP),
    ("apps/B_c/m.yaml", MAP),
    ("apps/skip/m.yaml", MAP),
    ("config/a.json", "{\"app\": {\"name\": \"one\", \"folder\": \"apps/a\"}}"),
    ("config/b.yaml", "app: {name: two, folder: apps/B_c}\n"),
];

/// The same sets, in both template languages.
#[test]
fn each_generator_gives_its_parameters() {
    let git = format!(
        "git: {{{REPO}, revision: HEAD, directories: [{{path: 'apps/*'}}, {{path: apps/skip, exclude: true}}]}}"
    );
    let files = format!("git: {{{REPO}, revision: HEAD, files: [{{path: 'config/*'}}]}}");
    let list = "list: {elements: [{name: one, folder: apps/a}, {name: two, folder: apps/B_c}]}";
    let names = "list: {elements: [{env: x}, {env: 'y'}]}";
    let over = "list: {elements: [{name: two, folder: apps/skip}, {name: none, folder: nowhere}]}";
    for (generator, old, new, wanted) in [
        (
            list.to_owned(),
            ("{{name}}", "{{folder}}"),
            ("{{.name}}", "{{ .folder }}"),
            vec!["one apps/a (folder)", "two apps/B_c (folder)"],
        ),
        (
            git.clone(),
            ("x-{{path.basenameNormalized}}-{{path[0]}}", "{{path}}"),
            ("x-{{.path.basename | normalize}}-{{index .path.segments 0}}", "{{.path.path}}"),
            vec!["x-a-apps apps/a (folder)", "x-b-c-apps apps/B_c (folder)"],
        ),
        (
            files,
            ("{{app.name}}-{{path.filenameNormalized}}", "{{app.folder}}"),
            ("{{.app.name}}-{{.path.filenameNormalized}}", "{{.app.folder}}"),
            vec!["one-a.json apps/a (folder)", "two-b.yaml apps/B_c (folder)"],
        ),
        (
            format!("matrix: {{generators: [{{{git}}}, {{{names}}}]}}"),
            ("{{path.basenameNormalized}}-{{env}}", "{{path}}"),
            ("{{.path.basenameNormalized}}-{{.env}}", "{{.path.path}}"),
            vec![
                "a-x apps/a (folder)",
                "a-y apps/a (folder)",
                "b-c-x apps/B_c (folder)",
                "b-c-y apps/B_c (folder)",
            ],
        ),
        (
            format!("merge: {{mergeKeys: [name], generators: [{{{list}}}, {{{over}}}]}}"),
            ("{{name}}", "{{folder}}"),
            ("{{.name}}", "{{.folder}}"),
            vec!["one apps/a (folder)", "two apps/skip (folder)"],
        ),
        (
            format!(
                "{list}, selector: {{matchExpressions: [{{key: name, operator: NotIn, values: [one]}}]}}"
            ),
            ("{{name}}", "{{folder}}"),
            ("{{.name}}", "{{.folder}}"),
            vec!["two apps/B_c (folder)"],
        ),
        (
            "clusters: {values: {folder: apps/a}}".to_owned(),
            ("{{name}}", "{{values.folder}}"),
            ("{{.name}}", "{{.values.folder}}"),
            vec!["dev apps/a (folder)"],
        ),
    ] {
        let generators = format!("  generators: [{{{generator}}}]\n");
        let strict = "  goTemplate: true\n  goTemplateOptions: [missingkey=error]\n";
        for (rest, (name, path)) in [(generators.clone(), old), (format!("{strict}{generators}"), new)] {
            let Some(rendered) = rendered("dev", &set(&rest, name, path), APPS, &[]) else { return };
            let (names, codes) = applications(&rendered);
            assert_eq!(names, wanted, "{generator} {name}: {:?}", rendered.problems);
            // Their objects are one and the same here.
            assert!(codes.iter().all(|code| *code == 611), "{generator} {name}: {:?}", rendered.problems);
        }
    }
}

/// The second generator of a matrix may use what the first one gives.
#[test]
fn a_matrix_hands_parameters_on() {
    let generators = format!(
        "  goTemplate: true\n  goTemplateOptions: [missingkey=error]\n  generators:\n  - matrix:\n      generators:\n      \
         - list: {{elements: [{{env: dev}}, {{env: none}}]}}\n      \
         - git: {{{REPO}, revision: HEAD, directories: [{{path: 'envs/{{{{.env}}}}/*'}}], values: {{of: '{{{{.env}}}}'}}}}\n"
    );
    let files = [("envs/dev/a/m.yaml", MAP), ("envs/prod/b/m.yaml", MAP)];
    let Some(rendered) = rendered(
        "dev",
        &set(&generators, "{{.values.of}}-{{.path.basename}}", "{{.path.path}}"),
        &files,
        &[],
    ) else {
        return;
    };
    assert_eq!(
        applications(&rendered),
        (vec!["dev-a envs/dev/a (folder)".to_owned()], vec![]),
        "{:?}",
        rendered.problems
    );
}

#[test]
fn a_template_patch_and_the_template_of_a_generator_are_laid_over() {
    let rest = "  goTemplate: true\n  templatePatch: |\n    spec:\n      source:\n        directory: {exclude: '{{ .exclude }}'}\n      \
                project: other\n{{- if .labels }}\n    metadata:\n      labels:\n{{ toYaml .labels | indent 8 }}\n{{- end }}\n  \
                generators:\n  - list:\n      elements: [{name: one, exclude: 'x*', labels: {a: b}}]\n      \
                template: {metadata: {annotations: {own: 'yes'}}, spec: {project: '', destination: {}}}\n";
    let rest = rest.replace("{{- if .labels }}\n    metadata", "    {{- if .labels }}\n    metadata");
    let rest = rest.replace("{{ toYaml", "    {{ toYaml").replace("\n{{- end }}", "\n    {{- end }}");
    let Some(rendered) = rendered(
        "dev",
        &set(&rest, "{{.name}}", "apps/a"),
        &[("apps/a/m.yaml", MAP), ("apps/a/x.yaml", MAP)],
        &[],
    ) else {
        return;
    };
    let (names, codes) = applications(&rendered);
    assert_eq!((names.len(), codes), (1, vec![]), "{:?}", rendered.problems);
    let app = rendered.objects.iter().find(|object| &*object.key.name.name == "one").unwrap();
    assert_eq!(app.json["spec"]["source"]["directory"]["exclude"], "x*");
    assert_eq!(app.json["metadata"]["labels"]["a"], "b");
    assert_eq!(app.json["metadata"]["annotations"]["own"], "yes");
    assert_eq!(app.json["spec"]["project"], "default", "a patch leads into no other project");
}

#[test]
fn what_is_missing_wrong_or_not_known_is_said() {
    let go = "  goTemplate: true\n  goTemplateOptions: [missingkey=error]\n";
    let list = "  generators: [{list: {elements: [{name: one}]}}]\n";
    for (rest, name, wanted) in [
        // A key that is not there: the whole set.
        (format!("{go}{list}"), "{{.nome}}", (0, vec![619])),
        (format!("{go}{list}"), "{{ if .nome }}a{{ end }}{{ .name }}", (0, vec![619])),
        // Without the option it is empty, and the name is none.
        (format!("  goTemplate: true\n{list}"), "a{{ dig \"x\" \"y\" . }}", (1, vec![])),
        (format!("{go}{list}"), "{{ .name", (0, vec![619])),
        (format!("{go}{list}"), "{{ include \"x\" . }}", (0, vec![619])),
        // Of two of one name neither is made, and the others are.
        (
            "  generators: [{list: {elements: [{name: one}, {name: two}]}}, {list: {elements: [{name: one}]}}]\n".to_owned(),
            "{{name}}",
            (1, vec![625]),
        ),
        (format!("  goTemplate: true\n{list}"), "{{ if .nome }}x{{ end }}", (0, vec![625])),
        // Others are asked for; what stands beside is evaluated.
        (
            "  generators: [{list: {elements: [{name: one}]}}, {pullRequest: {github: {owner: o, repo: r}}}]\n".to_owned(),
            "{{name}}",
            (1, vec![624]),
        ),
        ("  generators: [{clusters: {selector: {matchLabels: {env: dev}}}}]\n".to_owned(), "{{name}}", (0, vec![624])),
        (
            "  generators: [{git: {repoURL: 'https://git.example.com/other.git', revision: HEAD, directories: [{path: '*'}]}}]\n".to_owned(),
            "{{path}}",
            (0, vec![624]),
        ),
    ] {
        let Some(rendered) = rendered("dev", &set(&rest, name, "apps/a"), &[("apps/a/m.yaml", MAP)], &[]) else { return };
        let (names, codes) = applications(&rendered);
        assert_eq!((names.len(), codes), wanted, "{name}: {:?}", rendered.problems);
    }
}

/// A root with nothing but a set of which nothing is known is one finding, and no missing root.
#[test]
fn a_root_may_be_a_set_that_is_not_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let folder = dir.path().join("repo");
    let text =
        set("  generators: [{clusters: {selector: {matchLabels: {env: dev}}}}]\n", "{{name}}", "apps/a");
    write(&folder, &[("bootstrap.yaml", &text), ("apps/a/m.yaml", MAP)]);
    let rendered = render(&folder, "dev", Some("bootstrap.yaml"), &tools);
    assert_eq!(applications(&rendered), (vec![], vec![624]), "{:?}", rendered.problems);
}

#[test]
fn a_set_for_many_clusters_gives_those_of_the_environment() {
    let rest = "  generators: [{list: {elements: [{cluster: dev, url: 'https://dev.example:6443'}, {cluster: prod, url: 'https://prod.example:6443'}]}}]\n";
    let text =
        set(rest, "{{cluster}}-app", "apps/{{cluster}}").replace("https://kubernetes.default.svc", "{{url}}");
    let files = [("apps/dev/m.yaml", MAP), ("apps/prod/m.yaml", MAP)];
    for (env, wanted) in [
        ("dev", (vec!["dev-app apps/dev (folder)".to_owned()], vec![])),
        ("prod", (vec!["prod-app apps/prod (folder)".to_owned()], vec![])),
        ("stag", (vec![], vec![626])),
    ] {
        let Some(rendered) = rendered(env, &text, &files, &[]) else { return };
        assert_eq!(applications(&rendered), wanted, "{env}: {:?}", rendered.problems);
    }
    let rest = "  goTemplate: true\n  generators: [{clusters: {selector: {matchLabels: {tier: edge}}}}]\n";
    let text = set(rest, "{{.name}}-{{.metadata.labels.tier}}", "apps/dev");
    for (label, count) in [("edge", 1), ("core", 0)] {
        let rendered = rendered("dev", &text, &files, &[("tier", label)]).unwrap();
        let (names, codes) = applications(&rendered);
        assert_eq!((names.len(), codes), (count, vec![]), "{:?}", rendered.problems);
    }
}

#[test]
fn what_a_template_takes_from_the_secret_of_a_cluster_is_asked_for() {
    let (old, new) = ("{{name}}-{{metadata.annotations.tier}}", "{{.name}}-{{.metadata.annotations.tier}}");
    let generators = "  generators: [{clusters: {}}]\n";
    let go = format!("  goTemplate: true\n  goTemplateOptions: [missingkey=error]\n{generators}");
    for (rest, name) in [(generators, old), (&*go, new)] {
        let text = set(rest, name, "apps/a");
        let Some(asked) = rendered("dev", &text, &[("apps/a/m.yaml", MAP)], &[]) else { return };
        assert_eq!(applications(&asked), (vec![], vec![624]), "{:?}", asked.problems);
        assert!(asked.problems[0].message.contains("--cluster-annotation KEY=VALUE"), "{:?}", asked.problems);
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("repo");
        write(
            &folder,
            &[("argocd-bootstrap-apps/dev.yaml", &root()), ("sets/set.yaml", &text), ("apps/a/m.yaml", MAP)],
        );
        let tools =
            tools(dir.path()).unwrap().cluster_annotations([("tier".to_owned(), "edge".to_owned())].into());
        let told = render(&folder, "dev", None, &tools);
        assert_eq!(
            applications(&told),
            (vec!["dev-edge apps/a (folder)".to_owned()], vec![]),
            "{:?}",
            told.problems
        );
    }
}

/// What is wanted is what gosimple/slug makes of what `SanitizeName` gives (argo-cd `applicationset/utils`, `TestSlugify`).
#[test]
fn slugify_gives_what_argo_cd_gives() {
    let branch =
        "feat/areally+long_pull_request_name_to_test_argo_slugification_and_branch_name_shortening_feature";
    for (template, wanted) in [
        ("{{ slugify .b }}", "feat-areally-long-pull-request-name-to-test-argo"),
        ("{{ slugify 23 .b }}", "feat-areally-long-pull"),
        ("{{ slugify 23 true .b }}", "feat-areally-long-pull"),
        ("{{ slugify 23 false .b }}", "feat-areally-long-pull"),
        ("{{ .b | slugify 22 false }}", "feat-areally-long-pull"),
        ("{{ slugify 20 false .b | printf \"x-%s\" }}", "x-feat-areally-long-pu"),
        ("{{ slugify 20 .long }}", "abcdefghijklmnopqrst"),
        ("{{ slugify 3 true \"ab-c\" }}", "ab"),
        ("{{ slugify 4 true \"ab-c\" }}", "ab-c"),
        ("{{- slugify \"--A..B__c--\" -}}", "a-b-c"),
        ("{{ (slugify .b) | trunc 4 }}", "feat"),
    ] {
        let rest = format!(
            "  goTemplate: true\n  goTemplateOptions: [missingkey=error]\n  generators: [{{list: {{elements: [{{b: '{branch}', long: abcdefghijklmnopqrstuvwxyz}}]}}}}]\n"
        );
        let Some(rendered) = rendered("dev", &set(&rest, template, "apps/a"), &[("apps/a/m.yaml", MAP)], &[])
        else {
            return;
        };
        let (names, codes) = applications(&rendered);
        assert_eq!(
            (names, codes),
            (vec![format!("{wanted} apps/a (folder)")], vec![]),
            "{template}: {:?}",
            rendered.problems
        );
    }
}

#[test]
fn an_application_of_a_name_that_comes_twice_stays_as_it_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let folder = dir.path().canonicalize().unwrap().join("repo");
    let text = |elements: &str| {
        set(&format!("  generators: [{{list: {{elements: [{elements}]}}}}]\n"), "{{name}}", "apps/{{at}}")
    };
    let map = |name: &str| MAP.replace("name: m", &format!("name: {name}"));
    let (one, two) = ("{name: one, at: a}", "{name: two, at: b}");
    write(
        &folder,
        &[
            ("argocd-bootstrap-apps/dev.yaml", &root()),
            ("sets/set.yaml", &text(&format!("{one}, {two}"))),
            ("apps/a/m.yaml", &map("a")),
            ("apps/b/m.yaml", &map("b")),
        ],
    );
    let mut tree = Tree::new(&folder, "dev", None, tools);
    tree.read(&Touched::All);
    write(&folder, &[("sets/set.yaml", &text(&format!("{one}, {{name: one, at: b}}")))]);
    let second = tree.read(&Touched::Paths([folder.join("sets/set.yaml")].into()));
    let gone: Vec<_> = second.gone.iter().map(ToString::to_string).collect();
    // What is gone and what stays is decided by who removes it: one is in doubt, two is not.
    assert!(second.whole.unsure.contains("one") && !second.whole.unsure.contains("two"), "{gone:?}");
    assert!(second.problems.values().flatten().any(|problem| problem.code.0 == 625), "{:?}", second.problems);
}

#[test]
fn a_folder_that_comes_or_goes_brings_or_takes_its_application() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let folder = dir.path().canonicalize().unwrap().join("repo");
    let generators =
        format!("  generators: [{{git: {{{REPO}, revision: HEAD, directories: [{{path: 'apps/*'}}]}}}}]\n");
    let text = set(&generators, "{{path.basename}}", "{{path}}");
    let map = |name: &str| MAP.replace("name: m", &format!("name: {name}"));
    write(
        &folder,
        &[
            ("argocd-bootstrap-apps/dev.yaml", &root()),
            ("sets/set.yaml", &text),
            ("apps/a/m.yaml", &map("a")),
        ],
    );
    let mut tree = Tree::new(&folder, "dev", None, tools);
    let touched = |path: &str| Touched::Paths([folder.join(path)].into());
    let names = |objects: &[portolan_model::Object]| {
        let mut names: Vec<_> = objects.iter().map(|object| object.key.to_string()).collect();
        names.sort();
        names
    };
    let first = tree.read(&Touched::All);
    assert_eq!(
        names(&first.objects),
        ["Application/argocd/a", "Application/argocd/root", "ApplicationSet/argocd/s", "ConfigMap/ns/a"],
        "{:?}",
        first.problems
    );
    write(&folder, &[("apps/b/m.yaml", &map("b"))]);
    let second = tree.read(&touched("apps/b/m.yaml"));
    assert_eq!(names(&second.objects), ["Application/argocd/a", "Application/argocd/b", "ConfigMap/ns/b"]);
    // An edit in a folder that is known costs that folder.
    write(&folder, &[("apps/b/m.yaml", &map("c"))]);
    let third = tree.read(&touched("apps/b/m.yaml"));
    assert_eq!((names(&third.objects), third.work.parts), (vec!["ConfigMap/ns/c".to_owned()], 1));
    fs::remove_dir_all(folder.join("apps/b")).unwrap();
    let fourth = tree.read(&touched("apps/b"));
    let mut gone: Vec<_> = fourth.gone.iter().map(ToString::to_string).collect();
    gone.sort();
    assert_eq!(gone, ["Application/argocd/b", "ConfigMap/ns/c"]);
    fs::remove_file(folder.join("sets/set.yaml")).unwrap();
    assert_eq!(tree.read(&touched("sets/set.yaml")).gone.len(), 3);
}

/// The patch is one of Kubernetes' strategic merge patches: finalizers are added, directives are followed.
#[test]
fn a_template_patch_is_a_strategic_merge_patch() {
    let rest = "  goTemplate: true\n  templatePatch: |\n    metadata: {finalizers: [team.example/extra]}\n    \
                spec: {source: {directory: {$patch: delete}}}\n  generators: [{list: {elements: [{name: one}]}}]\n";
    let set = set(rest, "{{.name}}", "apps/a");
    let set = set.replace(
        "metadata: {name: '{{.name}}'}",
        "metadata: {name: '{{.name}}', finalizers: [resources-finalizer.argocd.argoproj.io]}",
    );
    let set = set.replace("path: 'apps/a'}", "path: 'apps/a', directory: {exclude: '*'}}");
    let Some(rendered) = rendered("dev", &set, &[("apps/a/m.yaml", MAP)], &[]) else { return };
    let app = rendered.objects.iter().find(|object| &*object.key.name.name == "one").unwrap();
    assert_eq!(
        app.json["metadata"]["finalizers"],
        serde_json::json!(["resources-finalizer.argocd.argoproj.io", "team.example/extra"])
    );
    assert!(rendered.objects.iter().any(|object| &*object.key.name.name == "m"), "{:?}", rendered.problems);
}

/// The selector of a generator in a matrix is taken as it stands; of several types in one entry each counts, but not in a matrix;
/// numbers are Go's floats.
#[test]
fn selectors_types_and_numbers_are_those_of_argo_cd() {
    let two = "list: {elements: [{env: dev}]}";
    let matrix = |second: &str| {
        format!("  goTemplate: true\n  generators: [{{matrix: {{generators: [{{{two}}}, {{{second}}}]}}}}]\n")
    };
    let git = format!("git: {{{REPO}, revision: HEAD, files: [{{path: cfg/a.yaml}}]}}");
    let cfg = [("cfg/a.yaml", "name: g\naccount: 123456789012\nsmall: 12\n"), ("apps/a/m.yaml", MAP)];
    for (rest, name, wanted, codes) in [
        (
            matrix("list: {elements: [{name: a, of: dev}]}, selector: {matchLabels: {of: '{{.env}}'}}"),
            "{{.env}}-{{.name}}",
            vec![],
            vec![],
        ),
        (
            matrix("list: {elements: [{name: a, of: dev}]}, selector: {matchLabels: {of: dev}}"),
            "{{.env}}-{{.name}}",
            vec!["dev-a"],
            vec![],
        ),
        (
            matrix(
                "list: {elements: [{name: a}]}, selector: {matchExpressions: [{key: '{{ .env }}', operator: Exists}]}",
            ),
            "{{.env}}-{{.name}}",
            vec![],
            vec![619],
        ),
        (
            format!("  goTemplate: true\n  generators: [{{list: {{elements: [{{name: l}}]}}, {git}}}]\n"),
            "{{.name}}",
            vec!["g", "l"],
            vec![611],
        ),
        (matrix(&format!("list: {{elements: [{{name: l}}]}}, {git}")), "{{.name}}", vec![], vec![619]),
    ] {
        let Some(rendered) = rendered("dev", &set(&rest, name, "apps/a"), &cfg, &[]) else { return };
        let (apps, said) = applications(&rendered);
        let names: Vec<_> = apps.iter().map(|app| app.split(' ').next().unwrap_or_default()).collect();
        assert_eq!(names, wanted, "{rest}: {:?}", rendered.problems);
        let said: Vec<_> = said.into_iter().filter(|code| *code < 700).collect();
        assert_eq!(said, codes, "{rest}: {:?}", rendered.problems);
    }
    let set = set(&format!("  generators: [{{{git}}}]\n"), "{{name}}", "apps/{{account}}-{{small}}");
    let Some(rendered) = rendered("dev", &set, &cfg, &[]) else { return };
    let said = rendered
        .problems
        .iter()
        .any(|problem| problem.message.contains("apps/1.23456789012e+11-12 does not"));
    assert!(said, "{:?}", rendered.problems);
}

/// A selector that Argo CD refuses is not one that takes nothing: what the set made stays.
#[test]
fn a_selector_or_an_element_that_argo_cd_refuses_makes_the_set_invalid() {
    let labels = [("tier", "edge")];
    let selector = |how: &str| {
        format!(
            "  generators: [{{list: {{elements: [{{nm: a}}, {{nm: b}}]}}, selector: {{matchExpressions: [{{key: nm, {how}}}]}}}}]\n"
        )
    };
    let clusters = |how: &str| {
        format!("  generators: [{{clusters: {{selector: {{matchExpressions: [{{key: tier, {how}}}]}}}}}}]\n")
    };
    let yaml = |text: &str| format!("  generators: [{{list: {{elements: [], elementsYaml: {text}}}}}]\n");
    for (rest, count, code) in [
        (selector("operator: In, values: [a]"), 1, None),
        (selector("operator: NotIn, values: [a]"), 1, None),
        (selector("operator: Exists"), 2, None),
        (selector("operator: in, values: [a]"), 0, Some(619)),
        (selector("operator: In"), 0, Some(619)),
        (selector("operator: Exists, values: [a]"), 0, Some(619)),
        (clusters("operator: In, values: [edge]"), 1, None),
        (clusters("operator: in, values: [edge]"), 0, Some(619)),
        (yaml("\"- nm: a\\n- nm: b\\n\""), 2, None),
        (yaml("\"- nm: a\\n- b\\n- [c]\\n\""), 0, Some(619)),
        (yaml("\"# none yet\\nnull\\n\""), 0, None),
    ] {
        let (name, path) =
            if rest.contains("clusters") { ("{{name}}-x", "apps/a") } else { ("{{nm}}-x", "apps/{{nm}}") };
        let other = MAP.replace("name: m", "name: other");
        let files = [("apps/a/m.yaml", MAP), ("apps/b/m.yaml", &*other)];
        let Some(rendered) = rendered("dev", &set(&rest, name, path), &files, &labels) else { return };
        let (names, codes) = applications(&rendered);
        assert_eq!((names.len(), codes), (count, Vec::from_iter(code)), "{rest}: {:?}", rendered.problems);
        assert_eq!(rendered.whole.unsure.contains("root"), code.is_some(), "{rest}");
    }
}

#[test]
fn an_application_of_a_set_that_no_api_server_would_store_is_not_followed() {
    let rest = "  generators: [{list: {elements: [{nm: Set_a}, {nm: set-b}]}}]\n";
    let other = MAP.replace("name: m", "name: other");
    let files = [("apps/Set_a/m.yaml", MAP), ("apps/set-b/m.yaml", &*other)];
    let Some(rendered) = rendered("dev", &set(rest, "{{nm}}", "apps/{{nm}}"), &files, &[]) else { return };
    assert_eq!(
        applications(&rendered),
        (vec!["set-b apps/set-b (folder)".to_owned()], vec![5]),
        "{:?}",
        rendered.problems
    );
    let maps = rendered.objects.iter().filter(|object| &*object.key.kind.kind == "ConfigMap");
    assert_eq!(maps.map(|map| map.key.name.name.to_string()).collect::<Vec<_>>(), ["other"]);
    assert!(rendered.whole.unsure.contains("Set_a"), "what one of its name brought stays");
}

/// Go templates have more ways to the labels of a cluster than their path.
#[test]
fn labels_of_a_cluster_are_asked_for_however_a_template_takes_them() {
    for name in [
        r#"x-{{ if (index .metadata.labels "tier") }}a{{ else }}b{{ end }}"#,
        r#"x-{{ index .metadata "labels" "tier" }}"#,
        "x-{{ range $k, $v := .metadata.labels }}{{ $v }}{{ end }}",
    ] {
        let text = set("  goTemplate: true\n  generators: [{clusters: {}}]\n", name, "apps/a");
        let Some(asked) = rendered("dev", &text, &[("apps/a/m.yaml", MAP)], &[]) else { return };
        assert_eq!(applications(&asked), (vec![], vec![624]), "{name}: {:?}", asked.problems);
    }
}

/// A few lines that multiply, or repeat what they are given, come to no more than a bounded set.
#[test]
fn a_set_that_would_fill_the_memory_is_refused() {
    let elements = |key: &str, count: usize| {
        let all: Vec<String> = (0..count).map(|n| format!("{{{key}: '{n}'}}")).collect();
        format!("{{list: {{elements: [{}]}}}}", all.join(","))
    };
    let matrix = |go: bool| {
        let (first, second) = (elements("a", 3000), elements("b", 3000));
        format!("  goTemplate: {go}\n  generators: [{{matrix: {{generators: [{first}, {second}]}}}}]\n")
    };
    let large = "y".repeat(1 << 16);
    let repeated = format!("  generators: [{{list: {{elements: [{{a: x, large: {large}}}]}}}}]\n");
    for (rest, name, path, said) in [
        (matrix(true), "{{.a}}-{{.b}}", "x".to_owned(), "more than 10000 sets of parameters"),
        (matrix(false), "{{a}}-{{b}}", "x".to_owned(), "more than 10000 sets of parameters"),
        (repeated, "{{a}}", "{{large}}".repeat(2_000), "come to more than 64 MiB"),
        (
            format!("  generators: [{}]\n", elements("a", 3000)),
            "{{a}}",
            "z".repeat(1 << 16),
            "come to more than 64 MiB",
        ),
    ] {
        let Some(rendered) = rendered("dev", &set(&rest, name, &path), &[], &[]) else { return };
        let (apps, codes) = applications(&rendered);
        assert_eq!((apps.len(), codes), (0, vec![619]), "{said}");
        let problem = &rendered.problems[0];
        assert!(problem.message.contains(said), "{}", problem.message.chars().take(500).collect::<String>());
    }
}

/// Fields of what a set makes stand in its template, and so does what is wrong with them.
#[test]
fn findings_of_a_template_stand_in_it() {
    let of =
        |go: &str, element: &str| format!("{go}  generators: [{{list: {{elements: [{{{element}}}]}}}}]\n");
    let go = "  goTemplate: true\n  goTemplateOptions: [missingkey=error]\n";
    let Some(read) = rendered("dev", &set(&of("", "nm: Foo_Bar"), "{{nm}}", "apps/a"), APPS, &[]) else {
        return;
    };
    let (_, origin) = read.whole.refused.iter().find(|(key, _)| &*key.name.name == "Foo_Bar").unwrap();
    assert_eq!(["metadata.name", "spec.source.path"].map(|field| origin.line_of(field)), [Some(7), Some(11)]);
    for (text, field, says) in [
        (
            set(&of("", "nm: a"), "x-{{.nm}}", "apps/a"),
            "spec.template.metadata.name",
            "spec.goTemplate is not true",
        ),
        (
            set(&of(go, "nm: a"), "x-{{.none}}", "apps/a"),
            "spec.template",
            "map has no entry for key \"none\"",
        ),
        (
            set(&of(go, "n: a"), "x-{{.n}}", "apps/a"),
            "spec.template",
            "n is a boolean to YAML 1.1: write \"n\"",
        ),
        (set(&of(go, "nm: a"), "x-{{env `A`}}", "apps/a"), "spec.template", "function \"env\" not defined"),
        (set(&of("", "nm: 1"), "x", "apps/a"), "spec.generators[0]", "error parsing value as string"),
    ] {
        let read = rendered("dev", &text, APPS, &[]).unwrap();
        assert_eq!(applications(&read), (vec![], vec![619]), "{text}: {:?}", read.problems);
        let problem = &read.problems[0];
        assert_eq!(&*problem.field, field, "{problem:?}");
        assert!(problem.message.contains(says) && !problem.message.contains(".yaml:"), "{problem:?}");
        assert!(read.whole.unsure.contains("root"), "what it made must stay: {text}");
    }
}

/// A repository that is named by another form of its URL is the same one.
#[test]
fn a_set_may_name_its_repository_as_it_is_cloned() {
    let generator =
        format!("  generators: [{{git: {{{REPO}, revision: HEAD, directories: [{{path: apps/a}}]}}}}]\n");
    for (url, wanted) in [
        ("git@git.example.com:p/edge.git", (vec!["x-a apps/a (folder)".to_owned()], vec![])),
        ("https://me@git.example.com/p/edge/", (vec!["x-a apps/a (folder)".to_owned()], vec![])),
        ("https://git.example.com/q/edge.git", (vec![], vec![624])),
    ] {
        let text = set(&generator, "x-{{path.basename}}", "{{path}}");
        let text = text.replace(REPO, &format!("repoURL: '{url}'"));
        let Some(read) = rendered("dev", &text, APPS, &[]) else { return };
        assert_eq!(applications(&read), wanted, "{url}: {:?}", read.problems);
    }
}

/// dario.cat/mergo with override: an entry of a map counts also when it is empty.
#[test]
fn parameters_are_overridden_also_by_what_is_empty() {
    let go = |generator: &str| format!("  goTemplate: true\n  generators: [{generator}]\n");
    let merge = "{merge: {mergeKeys: [name], generators: [\
        {list: {elements: [{name: a, p: true, t: x, l: [1, 2], k: 5, m: {u: 1, deep: {q: 1}}}]}}, \
        {list: {elements: [{name: a, p: false, t: '', l: [], k: 0, m: {deep: {q: 2}}}]}}]}}";
    let matrix = "{matrix: {generators: [{list: {elements: [{name: a, p: false, s: ''}]}}, {list: {elements: [{p: true, s: x}]}}]}}";
    for (generator, name, wanted) in [
        (merge, "{{.name}}-{{.p}}-{{.t}}{{len .l}}-{{.k}}-{{.m.u}}-{{.m.deep.q}}", "a-false-0-0-1-2"),
        (matrix, "{{.name}}-{{.p}}-{{.s}}z", "a-false-z"),
    ] {
        let Some(rendered) = rendered("dev", &set(&go(generator), name, "apps/a"), APPS, &[]) else { return };
        let (names, codes) = applications(&rendered);
        assert_eq!((names, codes), (vec![format!("{wanted} apps/a (folder)")], vec![]), "{generator}");
    }
}

#[test]
fn what_argo_cd_makes_nothing_of_makes_nothing_here() {
    let list = |name: &str| format!("list: {{elements: [{{{name}: '1'}}]}}");
    let two = |first: &str, second: &str| format!("matrix: {{generators: [{{{first}}}, {{{second}}}]}}");
    let inner = two(&list("b"), &list("c"));
    let merge = "merge: {mergeKeys: [name], generators: [{clusters: {values: {rev: one}}}, {list: {elements: [{name: dev, values: {rev: two}}]}}]}";
    for (generator, says) in [
        (two(&list("a"), &two(&list("d"), &inner)), "child generator generated no parameters"),
        (merge.to_owned(), "is not assignable to type string"),
    ] {
        let text = set(&format!("  goTemplate: true\n  generators: [{{{generator}}}]\n"), "x", "apps/a");
        let Some(rendered) = rendered("dev", &text, APPS, &[]) else { return };
        assert_eq!(applications(&rendered).0, Vec::<String>::new());
        let said = rendered.problems.iter().any(|problem| problem.message.contains(says));
        assert!(said, "{:?}", rendered.problems);
    }
    // Two levels are taken, and each may be in the other.
    let base = "list: {elements: [{name: one}, {name: two}]}";
    let over = "list: {elements: [{name: two, v: '2'}]}";
    let both = format!(
        "merge: {{mergeKeys: [name], generators: [{{{}}}, {{{over}}}]}}",
        two(base, "list: {elements: [{v: '1'}]}")
    );
    let names = ["x-{{.a}}-{{.b}}{{.c}}", "x-{{.name}}-{{.v}}"];
    for (generator, name) in [two(&list("a"), &inner), both].into_iter().zip(names) {
        let text = set(&format!("  goTemplate: true\n  generators: [{{{generator}}}]\n"), name, "apps/a");
        let Some(rendered) = rendered("dev", &text, APPS, &[]) else { return };
        // Two of them bring the one ConfigMap.
        let codes = applications(&rendered).1;
        assert!(codes.iter().all(|code| *code == 611), "{generator}: {:?}", rendered.problems);
    }
}

fn application(name: &str, url: &str, path: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\nspec:\n  project: default\n  \
         destination: {{server: 'https://kubernetes.default.svc', namespace: ns}}\n  source: {{repoURL: '{url}', path: {path}}}\n"
    )
}

/// Without a root Application it is Git's origin that says which repository this is, whoever comes first.
#[test]
fn the_work_tree_is_what_git_says() {
    const OTHER: &str = "https://other.example/x.git";
    const OWN: &str = "https://git.example.com/p/edge.git";
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("repo");
    let Some(tools) = tools(dir.path()) else { return };
    let config = "[remote \"origin\"]\n\turl = git@git.example.com:p/edge.git\n";
    let generated = set(
        &format!("  generators: [{{git: {{repoURL: '{OTHER}', directories: [{{path: 'apps/*'}}]}}}}]\n"),
        "s-{{path.basename}}",
        "{{path}}",
    );
    write(&folder, &[(".git/config", config), ("roots/a.yaml", &application("aa", OTHER, "."))]);
    write(&folder, &[("roots/b.yaml", &application("bb", OWN, "apps/a")), ("roots/set.yaml", &generated)]);
    write(&folder, APPS);
    let mut tree = Tree::new(&folder, "dev", Some("roots"), tools.clone());
    let sources = |whole: &portolan_effects::render::Whole| {
        let all = whole.applications.iter().filter(|app| !app.sources.is_empty());
        let mut all: Vec<_> =
            all.map(|app| format!("{} {}", app.key.name.name, app.sources.join("+"))).collect();
        all.retain(|line| !line.starts_with("roots"));
        all
    };
    let read = tree.read(&Touched::All);
    let wanted = [format!("aa {OTHER} . (remote, not fetched)"), "bb apps/a (folder)".to_owned()];
    assert_eq!(sources(&read.whole), wanted);
    let said = read
        .problems
        .values()
        .flatten()
        .any(|problem| problem.object.kind.is("argoproj.io", "ApplicationSet"));
    assert!(said, "the set's generator reads another repository: {:?}", read.problems);
    // Nobody else can read what it brings: what it brought may stand there.
    let elsewhere: Vec<_> = read.whole.elsewhere.keys().map(|key| key.name.name.as_str()).collect();
    assert_eq!(elsewhere, ["aa"]);
    // Where Git says nothing it is what most name, and it stays that when others come.
    fs::remove_dir_all(folder.join(".git")).unwrap();
    fs::remove_file(folder.join("roots/set.yaml")).unwrap();
    let mut tree = Tree::new(&folder, "dev", Some("roots"), tools);
    write(&folder, &[("roots/c.yaml", &application("cc", "git@git.example.com:p/edge", "apps/skip"))]);
    let wanted = [wanted[0].clone(), wanted[1].clone(), "cc apps/skip (folder)".to_owned()];
    assert_eq!(sources(&tree.read(&Touched::All).whole), wanted);
    for n in ["d", "e", "f"] {
        write(&folder, &[(&format!("roots/0{n}.yaml"), &application(n, OTHER, "."))]);
    }
    assert_eq!(sources(&tree.read(&Touched::All).whole)[..3], wanted);
}

/// `validateGeneratedApplications` finds fault with one Application after the other.
#[test]
fn an_element_that_argo_cd_refuses_costs_itself_alone() {
    let here = "https://kubernetes.default.svc";
    let elements =
        format!("[{{a: a, server: '{here}'}}, {{a: B_c, server: ''}}, {{a: skip, server: '{here}'}}]");
    let rest = format!("  goTemplate: true\n  generators: [{{list: {{elements: {elements}}}}}]\n");
    let text =
        set(&rest, "x-{{.a | lower | replace \"_\" \"-\"}}", "apps/{{.a}}").replace(here, "{{.server}}");
    let text = text.replace("server: '{{.server}}'}, {a: B_c", &format!("server: '{here}'}}, {{a: B_c"));
    let text = text.replace("skip, server: '{{.server}}'", &format!("skip, server: '{here}'"));
    let map = |name: &str| MAP.replace("name: m", &format!("name: {name}"));
    let (a, skip) = (map("a"), map("skip"));
    let files = [("apps/a/m.yaml", &*a), ("apps/B_c/m.yaml", MAP), ("apps/skip/m.yaml", &skip)];
    let Some(one) = rendered("dev", &text, &files, &[]) else { return };
    let wanted = vec!["x-a apps/a (folder)".to_owned(), "x-skip apps/skip (folder)".to_owned()];
    assert_eq!(applications(&one), (wanted, vec![619]), "{:?}", one.problems);
    let message = &one.problems[0].message;
    assert!(
        message.contains("x-b-c: application destination spec is invalid: Destination server missing"),
        "{message}"
    );
    for name in ["x-b-c", "s"] {
        assert!(one.whole.unsure.contains(name), "{:?}", one.whole.unsure);
    }
    assert!(!one.whole.unsure.contains("x-a") && !one.whole.unsure.contains("root"));
}

#[test]
fn an_option_that_go_does_not_know_changes_nothing_and_an_empty_entry_is_passed_over() {
    let list = "{list: {elements: [{name: one}]}}";
    for (rest, count, code, says) in [
        (
            format!("  goTemplate: true\n  goTemplateOptions: [missingkey=eror]\n  generators: [{list}]\n"),
            0,
            619,
            "unrecognized option: missingkey=eror",
        ),
        (
            format!(
                "  goTemplate: true\n  goTemplateOptions: [missingkey=error]\n  generators: [{{}}, {list}]\n"
            ),
            1,
            683,
            "passes over it",
        ),
        (
                "  goTemplate: true\n  generators: [{list: {elements: [{name: one}]}, selector: {}}, {selector: {matchLabels: {a: b}}}]\n".to_owned(),
            1,
            683,
            "passes over it",
        ),
        (
            format!("  goTemplate: true\n  generators: [{list}]\n  templatePatch: '{{a: '\n"),
            0,
            619,
            "templatePatch of one: line 1",
        ),
    ] {
        let Some(rendered) =
            rendered("dev", &set(&rest, "{{.name}}", "apps/a"), &[("apps/a/m.yaml", MAP)], &[])
        else {
            return;
        };
        let (names, codes) = applications(&rendered);
        assert_eq!((names.len(), codes), (count, vec![code]), "{rest}: {:?}", rendered.problems);
        assert!(rendered.problems[0].message.contains(says), "{:?}", rendered.problems);
        assert_eq!(rendered.whole.unsure.contains("s"), count == 0);
    }
}

/// What a root that is a set made stays while it is not known what it makes, and so does what one of its generators made that asks elsewhere.
#[test]
fn a_root_that_is_a_set_takes_nothing_away_while_it_fails() {
    let good = "  goTemplate: true\n  goTemplateOptions: [missingkey=error]\n  generators: [{list: {elements: [{name: one, server: 'https://kubernetes.default.svc'}]}}]\n";
    for (right, wrong, code, whole) in [
        ("missingkey=error", "missingkey=none", 619, true),
        ("{name: one,", "{nome: one,", 619, true),
        (
            "{name: one, server: 'https://kubernetes.default.svc'}",
            "{name: one, server: 'https://a'}, {name: two, server: 'https://b'}",
            626,
            true,
        ),
        ("{name: one,", "{name: one, server: 'https://kubernetes.default.svc'}, {name: one,", 625, true),
        (
            "{list: {elements: [{name: one, server: 'https://kubernetes.default.svc'}]}}",
            "{git: {repoURL: 'https://git.example.com/other.git', revision: HEAD, directories: [{path: '*'}]}}",
            624,
            false,
        ),
        ("server: 'https://kubernetes.default.svc'", "server: ''", 619, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let Some(tools) = tools(dir.path()) else { return };
        let folder = dir.path().canonicalize().unwrap().join("repo");
        let text = |rest: &str| {
            set(rest, "{{.name}}", "apps/a")
                .replace("'https://kubernetes.default.svc', namespace", "'{{.server}}', namespace")
        };
        write(&folder, &[("argocd-bootstrap-apps/dev.yaml", &text(good)), ("apps/a/m.yaml", MAP)]);
        let mut tree = Tree::new(&folder, "dev", None, tools);
        let first = tree.read(&Touched::All);
        assert!(first.whole.unsure.is_empty() && first.whole.applications.len() == 1, "{:?}", first.problems);
        assert_eq!(&*first.whole.applications[0].parent, "", "a file is the parent of nothing");
        write(&folder, &[("argocd-bootstrap-apps/dev.yaml", &text(&good.replacen(right, wrong, 1)))]);
        let second = tree.read(&Touched::Paths([folder.join("argocd-bootstrap-apps/dev.yaml")].into()));
        assert!(
            second.problems.values().flatten().any(|problem| problem.code.0 == code),
            "{wrong}: {:?}",
            second.problems
        );
        assert!(second.whole.unsure.contains("s"), "{wrong}: {:?}", second.whole.unsure);
        assert_eq!(second.whole.unsure.contains(""), whole, "{wrong}: {:?}", second.whole.unsure);
    }
}
