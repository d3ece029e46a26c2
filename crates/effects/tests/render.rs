//! Work trees rendered with the real Helm: the example repository as golden files, and every kind of bad input.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{fmt::Write as _, fs, path::Path};

use portolan_effects::render::{Rendered, Tools, Touched, Tree, render};
use portolan_model::Severity;
use portolan_testkit as testkit;

/// The tools, or nothing (said loudly) where Helm is missing.
fn tools(cache: &Path) -> Option<Tools> {
    let Some(helm) = testkit::program("helm") else {
        testkit::skip("effects/render", "helm was not found; run scripts/setup demo");
        return None;
    };
    let kustomize = testkit::program("kustomize").ok_or("kustomize was not found");
    Some(
        Tools::new(Some(helm), cache.join("helm"))
            .kustomize(kustomize)
            .through(env!("CARGO_BIN_EXE_portolan-confined")),
    )
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn summary(rendered: &Rendered) -> String {
    let mut out = String::from("applications\n");
    for a in &rendered.whole.applications {
        let _ =
            writeln!(out, "  {}  wave {}  to {}  from {}", a.key, a.wave, a.namespace, a.sources.join(", "));
    }
    out += "objects\n";
    let mut lines: Vec<_> = rendered
        .objects
        .iter()
        .map(|o| format!("  {}  wave {}  {}", o.key, o.origin.wave, o.origin.application))
        .collect();
    lines.sort();
    out += &lines.join("\n");
    out += "\nhostnames\n";
    for o in &rendered.objects {
        let names = o.json.pointer("/spec/hostnames").and_then(|n| n.as_array());
        for name in names.into_iter().flatten() {
            let _ = writeln!(out, "  {}  {}", name.as_str().unwrap(), o.key);
        }
    }
    out += "components\n";
    for c in &rendered.whole.adapters {
        let _ = writeln!(out, "  {}  {}  {}", c.component, c.application, c.values);
    }
    out += "settings\n";
    for c in &rendered.whole.adapters {
        let made = portolan_core::gitops::adapters::adapt(c);
        let _ = writeln!(out, "  {:?}", made.component.unwrap());
        for p in made.problems {
            let _ = writeln!(out, "    {} {:?} {} {}", p.code, p.severity, p.object, p.message);
        }
    }
    out += "substitutions\n";
    for line in &rendered.whole.substitutions {
        let _ = writeln!(out, "  {line}");
    }
    out += "problems\n";
    for p in &rendered.problems {
        let _ = writeln!(out, "  {} {} {} {}", p.code, p.object, p.field, p.message);
    }
    out
}

#[test]
fn the_example_repository_renders() {
    let cache = tempfile::tempdir().unwrap();
    let Some(tools) = tools(cache.path()) else { return };
    let example = testkit::repository().join("examples/platform");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render");
    for env in ["dev-01", "stag-01", "prod-01", "ops-01"] {
        let cold = summary(&render(&example, env, None, &tools));
        let file = golden.join(format!("{env}.txt"));
        if testkit::accepting() {
            fs::write(&file, &cold).unwrap();
        }
        let wanted = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(cold, wanted, "{} differs; make golden-accept writes it anew", file.display());
        assert_eq!(summary(&render(&example, env, None, &tools)), cold, "{env}: warm differs from cold");
    }
}

#[test]
fn objects_are_written_in_the_order_of_waves() {
    let cache = tempfile::tempdir().unwrap();
    let Some(tools) = tools(cache.path()) else { return };
    let rendered = render(&testkit::repository().join("examples/platform"), "dev-01", None, &tools);
    let at = |key: &str| rendered.objects.iter().position(|o| o.key.to_string() == key).unwrap();
    assert!(at("SealedSecret/cert-manager/clouddns-credentials") < at("ClusterIssuer/letsencrypt-staging"));
    assert!(at("ClusterIssuer/letsencrypt-staging") < at("Gateway/envoy-gateway-system/eg-infra-shared-01"));
    assert!(at("Namespace/team-a") < at("HTTPRoute/team-a/app1"));
    assert!(at("Gateway/envoy-gateway-system/eg-infra-shared-01") < at("HTTPRoute/team-a/app1"));
    let route = &rendered.objects[at("HTTPRoute/team-a/app1")];
    assert_eq!(&*route.origin.source.as_ref().unwrap().file, "charts/team-apps/templates/team-a.yaml");
}

#[test]
fn the_cache_answers_without_helm() {
    let cache = tempfile::tempdir().unwrap();
    let Some(mut tools) = tools(cache.path()) else { return };
    let example = testkit::repository().join("examples/platform");
    let mut tree = Tree::new(&example, "dev-01", None, tools.clone());
    let first = tree.read(&Touched::All);
    let again = tree.read(&Touched::All);
    assert_eq!((again.work.parts, again.objects, again.gone), (0, vec![], vec![]));
    assert_eq!(again.whole, first.whole);
    // No time at all: whatever is not in the cache fails. Texts that may hold Secrets are never in it.
    tools.timeout = std::time::Duration::ZERO;
    let failed = |env: &str| {
        let rendered = render(&example, env, None, &tools);
        rendered
            .problems
            .into_iter()
            .filter(|p| p.code.0 == 606)
            .map(|p| p.object.to_string())
            .collect::<Vec<_>>()
    };
    let names = failed("dev-01");
    assert!(!names.is_empty() && names.len() < first.whole.applications.len() / 2, "{names:?}");
    assert_eq!(failed("prod-01").len(), 1, "the root is not there, so nothing else is");
}

const APPLICATION: &str = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: NAME\n  namespace: argocd\nspec:\n  \
     project: default\n  destination: {server: 'https://kubernetes.default.svc', namespace: here}\n  source:\n    repoURL: https://git.example.com/r.git\n";

fn application(name: &str, rest: &str) -> String {
    format!("{}{rest}", APPLICATION.replace("NAME", name))
}

fn codes(rendered: &Rendered) -> Vec<(u16, String)> {
    rendered.problems.iter().map(|p| (p.code.0, p.object.to_string())).collect()
}

#[test]
fn each_bad_input_costs_only_its_own_source() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let repo = dir.path().join("repo");
    let chart = "apiVersion: v2\nname: c\nversion: 1.0.0\n";
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata: {a: b}\n";
    let root = application("root", "    path: apps\n    directory: {exclude: 'skip*'}\n");
    write(
        &repo,
        &[
            ("argocd-bootstrap-apps/e.yaml", root.as_str()),
            ("apps/skipped.yaml", "not: an object\n"),
            (
                "apps/a-missing-values.yaml",
                &application("missing-values", "    path: good\n    helm: {valueFiles: [v.e.yaml]}\n"),
            ),
            ("apps/b-fails.yaml", &application("fails", "    path: bad\n")),
            ("apps/c-remote.yaml", &application("remote", "    chart: nginx\n").replace("r.git", "charts")),
            ("apps/d-kustomize.yaml", &application("kustomized", "    path: kust\n")),
            ("apps/e-outside.yaml", &application("outside", "    path: ../x\n")),
            ("apps/f-nowhere.yaml", &application("nowhere", "    path: nowhere\n")),
            ("apps/g-folder.yaml", &application("folder", "    path: folder\n")),
            (
                "apps/h-good.yaml",
                &application(
                    "good",
                    "    path: good\n    helm:\n      ignoreMissingValueFiles: true\n      valueFiles: [none.yaml]\n",
                ),
            ),
            ("apps/i-invalid.yaml", &application("invalid", "    path: [1]\n")),
            ("apps/j-self.yaml", &application("self", "    path: selfish\n")),
            ("selfish/x.yaml", &application("self", "    path: selfish\n")),
            (
                "good/Chart.yaml",
                &format!(
                    "{chart}dependencies:\n- {{name: redis, version: 1.2.3, repository: 'https://example.com'}}\n"
                ),
            ),
            ("good/templates/m.yaml", &map.replace("NAME", "good")),
            ("bad/Chart.yaml", chart),
            ("bad/templates/m.yaml", "{{ required \"domain must be set\" .Values.domain }}"),
            ("kust/kustomization.yaml", "resources: [none.yaml]\n"),
            (
                "folder/a.yaml",
                &format!(
                    "{}---\nkind: X\nmetadata: {{name: x}}\n---\n{}",
                    map.replace("NAME", "one"),
                    map.replace("NAME", "two")
                ),
            ),
            ("folder/b.yaml", "apiVersion: [\n"),
            ("folder/c.yaml", &map.replace("NAME", "one")),
            ("folder/job.yaml", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\n"),
            ("folder/sub/not-read.yaml", &map.replace("NAME", "sub")),
        ],
    );
    let rendered = render(&repo, "e", None, &tools);
    let app = |name: &str| format!("Application/argocd/{name}");
    let mut wanted = vec![
        (5, app("invalid")),
        (11, "File/folder/b.yaml".to_owned()),
        (601, app("outside")),
        (603, app("nowhere")),
        (604, app("missing-values")),
        (605, app("fails")),
        (636, app("remote")),
        (609, app("good")),
        (610, "File/folder/a.yaml".into()),
        (611, "ConfigMap/here/one".into()),
        (611, app("self")),
        (615, app("kustomized")),
        (620, "Job/here/migrate".into()),
        (682, app("good")),
    ];
    let mut got = codes(&rendered);
    got.sort();
    wanted.sort();
    assert_eq!(got, wanted, "{:#?}", rendered.problems);
    let failed = rendered.problems.iter().find(|p| p.code.0 == 605).unwrap();
    assert_eq!(failed.severity, Severity::Error);
    for part in ["chart bad", "environment e", "domain must be set"] {
        assert!(failed.message.contains(part), "{}", failed.message);
    }
    assert!(!failed.message.contains("/tmp/"), "{}", failed.message);
    let mut maps: Vec<_> = rendered
        .objects
        .iter()
        .filter(|o| &*o.key.kind.kind == "ConfigMap")
        .map(|o| o.key.to_string())
        .collect();
    maps.sort();
    assert_eq!(maps, ["ConfigMap/here/good", "ConfigMap/here/one", "ConfigMap/here/two"]);
    let unsure: Vec<_> = rendered.whole.unsure.iter().map(ToString::to_string).collect();
    assert_eq!(unsure, ["fails", "invalid", "kustomized", "missing-values", "nowhere", "outside", "remote"]);
}

#[test]
fn values_take_precedence_as_in_argo_cd() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let repo = dir.path().join("repo");
    let source = "    path: c\n    helm:\n      valueFiles: [one.yaml, /shared/two.yaml]\n      values: 'd: ignored'\n      valuesObject: {d: object, e: object, odd: \"a\\u2028b\"}\n      \
                  parameters:\n      - {name: e, value: 'x,y'}\n      - {name: num, value: '5', forceString: true}\n";
    write(
        &repo,
        &[
            ("argocd-bootstrap-apps/e.yaml", &application("root", source)),
            (
                "c/Chart.yaml",
                "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies:\n- {name: external-dns, alias: dns, version: 1.0.0, repository: x, condition: dns.enabled}\n- {name: kyverno, version: 1.0.0, repository: x, condition: kyverno.enabled}\n- {name: lib, version: 0.1.0, repository: 'file://../lib'}\n",
            ),
            (
                "c/values.yaml",
                "a: chart\nb: chart\nc: chart\nd: chart\ne: chart\nnum: 1\ndns: {policy: sync, gone: 1}\nkyverno: {enabled: false}\n",
            ),
            ("c/one.yaml", "b: one\nc: one\ndns: {gone: null}\n"),
            ("shared/two.yaml", "c: two\n"),
            (
                "c/templates/m.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\ndata: {{ set (omit .Values \"dns\" \"kyverno\" \"lib\" \"global\") \"odd\" (b64enc .Values.odd) | toJson }}\n---\n{{ include \"lib.note\" . }}\n{{- if .Capabilities.APIVersions.Has \"gateway.networking.k8s.io/v1/HTTPRoute\" }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: knows-routes}\n{{- end }}\n",
            ),
            // What a replaced dependency would bring must not be rendered even where it is vendored.
            ("c/charts/external-dns/Chart.yaml", "apiVersion: v2\nname: external-dns\nversion: 1.0.0\n"),
            (
                "c/charts/external-dns/templates/x.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: upstream}\n",
            ),
            ("lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 0.1.0\ntype: library\n"),
            (
                "lib/templates/_note.tpl",
                "{{ define \"lib.note\" }}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-library}{{ end }}",
            ),
        ],
    );
    let rendered = render(&repo, "e", None, &tools);
    assert_eq!(codes(&rendered), [], "{:#?}", rendered.problems);
    let names: Vec<_> = rendered.objects.iter().map(|o| o.key.to_string()).collect();
    assert_eq!(
        names,
        [
            "Application/argocd/root",
            "ConfigMap/here/from-library",
            "ConfigMap/here/knows-routes",
            "ConfigMap/here/root"
        ]
    );
    let data = rendered.objects[3].json["data"].to_string();
    assert_eq!(
        data,
        r#"{"a":"chart","b":"one","c":"two","d":"object","e":"x,y","num":"5","odd":"YeKAqGI="}"#
    );
    assert_eq!(rendered.whole.adapters.len(), 1);
    assert_eq!(&*rendered.whole.adapters[0].component, "external-dns");
    assert_eq!(rendered.whole.adapters[0].values.to_string(), r#"{"policy":"sync"}"#);
}

#[test]
fn roots_are_found_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let tools = Tools::new(None, dir.path().join("cache"));
    let repo = dir.path().join("repo");
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: spaces, namespace: wrong}\n";
    write(
        &repo,
        &[
            ("plain/n.yaml", namespace),
            ("plain/app.yaml", &application("a", "    path: plain/deep\n")),
            ("plain/deep/m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n"),
        ],
    );
    // A plain folder: everything below, Applications are not followed.
    let plain = render(&repo, "any", None, &tools);
    assert_eq!(codes(&plain), [(621, "Application/argocd/a".to_owned())], "{:#?}", plain.problems);
    assert!(plain.objects.iter().any(|o| o.key.to_string() == "Namespace/spaces"));
    // A named file is followed, and needs no Helm for folders.
    let named = render(&repo, "any", Some("plain/app.yaml"), &tools);
    let names: Vec<_> = named.objects.iter().map(|o| o.key.to_string()).collect();
    assert_eq!(names, ["Application/argocd/a", "ConfigMap/here/m"], "{:#?}", named.problems);
    assert_eq!(codes(&render(&repo, "any", Some("nowhere"), &tools)), [(600, "File/nowhere".to_owned())]);
    assert_eq!(codes(&render(&repo, "any", Some("../x"), &tools)), [(600, "File/../x".to_owned())]);
    assert_eq!(codes(&render(&repo, "../any", None, &tools))[0].0, 600);
    // A platform repository without this environment is an error, not a plain folder.
    write(&repo, &[("charts/app-of-apps/Chart.yaml", "apiVersion: v2\nname: x\nversion: 1.0.0\n")]);
    assert_eq!(codes(&render(&repo, "prod", None, &tools))[0].0, 600);
    write(&repo, &[("charts/app-of-apps/values.prod.yaml", "a: 1\n")]);
    assert_eq!(codes(&render(&repo, "prod", None, &tools)), [(606, "File/charts/app-of-apps".to_owned())]);
}

/// A Helm of the test's own that tries what no chart may: it reads a file of the user, connects, and shows what it was
/// given.
#[test]
fn helm_reads_no_file_of_the_user_reaches_nobody_and_is_told_nothing() {
    use landlock::{Access as _, Compatible as _, RulesetAttr as _};
    let outside = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (secret, helm) = (outside.path().join("secret"), outside.path().join("helm"));
    fs::write(&secret, "of the user").unwrap();
    let script = format!(
        "#!/bin/bash\n\
         case $1 in version) echo v4.0.0; exit 0;; esac\n\
         file=closed; {{ read -r x <{secret} && file=read; }} 2>/dev/null\n\
         net=closed; {{ : >/dev/tcp/127.0.0.1/{port} && net=open; }} 2>/dev/null\n\
         out=closed; {{ echo x >{outside}/written && out=open; }} 2>/dev/null\n\
         shopt -s nullglob; plugins=; for f in $HELM_PLUGINS/*; do plugins+=$f; done\n\
         compgen -e >$TMPDIR/names; seen=\n\
         while read -r name; do case $name in HOME|HELM_*|TMPDIR|*_PROXY|PWD|OLDPWD|SHLVL|_) ;; *) seen+=$name;; esac; done <$TMPDIR/names\n\
         echo \"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: seen, namespace: ns}}, data: {{file: $file, net: $net, out: $out, env: '$seen', plugins: '$plugins'}}}}\"\n",
        secret = secret.display(),
        outside = outside.path().display(),
    );
    fs::write(&helm, script).unwrap();
    fs::set_permissions(&helm, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"), ("templates/a.yaml", "")],
    );
    let tools =
        Tools::new(Some(helm), outside.path().join("cache")).through(env!("CARGO_BIN_EXE_portolan-confined"));
    let rendered = render(dir.path(), "dev-01", Some("."), &tools);
    let seen = rendered.objects.iter().find(|o| &*o.key.name.name == "seen");
    let data = &seen.unwrap_or_else(|| panic!("{:?}", rendered.problems)).json["data"];
    assert_eq!((&data["env"], &data["plugins"]), (&"".into(), &"".into()), "{data}");
    assert_eq!(data["net"], "closed", "{data}");
    let abi = landlock::ABI::V6;
    let able = landlock::Ruleset::default()
        .set_compatibility(landlock::CompatLevel::HardRequirement)
        .handle_access(landlock::AccessNet::from_all(abi))
        .and_then(|rules| rules.handle_access(landlock::AccessFs::from_all(abi)));
    if able.is_err() {
        testkit::skip_optional("effects/render confinement", "this kernel has no Landlock");
        return;
    }
    assert_eq!((&data["file"], &data["out"]), (&"closed".into(), &"closed".into()));
    assert!(!outside.path().join("written").exists());
}

/// What a chart's schema refers to is not fetched: Helm would ask from the machine that renders.
#[test]
fn a_schema_that_leads_out_of_the_chart_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/schema.json", listener.local_addr().unwrap());
    let root = dir.path().join("repo");
    let chart = [
        ("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        ("values.yaml", "a: 1\n"),
        (
            "templates/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made, namespace: ns}\ndata: {a: '{{ .Values.a }}'}\n",
        ),
    ];
    write(&root, &chart);
    let with = |schema: &str| {
        write(&root, &[("values.schema.json", schema)]);
        let rendered = render(&root, "dev-01", Some("."), &tools);
        (rendered.objects.iter().any(|o| &*o.key.name.name == "made"), rendered.problems)
    };
    for to in [&url, "file:///etc/hostname"] {
        let (made, problems) = with(&format!("{{\"properties\": {{\"a\": {{\"$ref\": \"{to}\"}}}}}}"));
        let problem = problems.iter().find(|p| p.code.to_string() == "PTL-0605").unwrap();
        assert!(!made && problem.message.contains(to), "{problem:?}");
    }
    assert!(listener.accept().is_err(), "somebody was asked");
    let (made, problems) = with(
        "{\"$defs\": {\"n\": {\"type\": \"integer\"}}, \"properties\": {\"a\": {\"$ref\": \"#/$defs/n\"}}}",
    );
    assert!(made, "{problems:?}");
    let (made, problems) = with("{\"properties\": {\"a\": {\"type\": \"string\"}}}");
    assert!(!made && problems.iter().any(|p| p.code.to_string() == "PTL-0605"), "Helm judges: {problems:?}");
}

/// Helm takes no DEL, U+FEFF or U+FFFE in YAML; what our own template prints of a chart's values must not fail the chart for them.
#[test]
fn a_value_may_hold_characters_that_yaml_does_not_print() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let root = dir.path().join("repo");
    write(
        &root,
        &[
            ("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
            ("values.yaml", r#"{a: "x\x7f\uFEFF\uFFFE\uFFFFy"}"#),
            (
                "templates/a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made, namespace: ns}\ndata: {a: '{{ len .Values.a }}'}\n",
            ),
        ],
    );
    let rendered = render(&root, "dev-01", Some("."), &tools);
    let made = rendered.objects.iter().find(|o| &*o.key.name.name == "made");
    let made = made.unwrap_or_else(|| panic!("{:?}", rendered.problems));
    assert_eq!(made.json["data"]["a"], "12");
    assert!(rendered.problems.is_empty(), "{:?}", rendered.problems);
}

#[test]
fn a_submodule_that_is_not_checked_out_and_pointers_of_lfs_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let repo = dir.path().join("repo");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";
    write(
        &repo,
        &[
            ("argocd-bootstrap-apps/e.yaml", application("root", "    path: apps\n").as_str()),
            ("apps/a.yaml", &application("module", "    path: vendor/app/deploy\n")),
            ("apps/b.yaml", &application("pointers", "    path: plain\n")),
            (
                "apps/c.yaml",
                &application("values", "    path: chart\n    helm: {valueFiles: [large.yaml]}\n"),
            ),
            (
                ".gitmodules",
                "[submodule \"app\"]\n\tpath = vendor/app\n\turl = https://git.example.com/app.git\n",
            ),
            ("plain/large.yaml", pointer),
            ("plain/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\n"),
            ("chart/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
            ("chart/large.yaml", pointer),
        ],
    );
    std::fs::create_dir_all(repo.join("vendor/app")).unwrap();
    let rendered = render(&repo, "e", None, &tools);
    let said = |object: &str, words: &str| {
        rendered.problems.iter().any(|p| {
            p.severity == Severity::Error && p.object.to_string() == object && p.message.contains(words)
        })
    };
    assert!(said("Application/argocd/module", "git submodule update --init"), "{:#?}", rendered.problems);
    assert!(said("File/plain/large.yaml", "git lfs pull"), "{:#?}", rendered.problems);
    assert!(said("Application/argocd/values", "git lfs pull"), "{:#?}", rendered.problems);
    assert!(rendered.objects.iter().any(|object| &*object.key.name.name == "map"));
    assert!(rendered.whole.unsure.iter().any(|name| &**name == "module"));
    // Checked out, it is read.
    write(
        &repo,
        &[("vendor/app/deploy/m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-module}\n")],
    );
    let rendered = render(&repo, "e", None, &tools);
    assert!(rendered.objects.iter().any(|object| &*object.key.name.name == "of-module"));
}

#[test]
fn of_5000_applications_an_edit_costs_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let repo = dir.path().canonicalize().unwrap().join("repo");
    let root = application("root", "    path: apps\n");
    write(&repo, &[("argocd-bootstrap-apps/e.yaml", root.as_str())]);
    for n in 0..5000 {
        let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: map{n}}}\n");
        write(
            &repo,
            &[
                (&*format!("apps/a{n}.yaml"), &*application(&format!("a{n}"), &format!("    path: t/{n}\n"))),
                (&*format!("t/{n}/m.yaml"), &*map),
            ],
        );
    }
    let mut tree = Tree::new(&repo, "e", None, tools);
    let first = tree.read(&Touched::All);
    assert_eq!((first.whole.applications.len(), first.work.parts), (5001, 10_001));
    write(&repo, &[("t/77/m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n")]);
    let second = tree.read(&Touched::Paths([repo.join("t/77/m.yaml")].into()));
    assert_eq!((second.work.parts, second.work.judged, second.work.objects), (1, 1, 1));
    assert_eq!(second.gone.len(), 1);
}

#[test]
fn a_template_of_another_program_in_a_plain_folder_is_no_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let repo = dir.path().join("repo");
    let jinja = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: t}\ndata:\n{% for x in y %}\n  a: b\n{% endfor %}\n";
    write(
        &repo,
        &[
            ("roles/t.yaml", jinja),
            ("broken.yaml", "apiVersion: v1\nmetadata: [\n"),
            ("map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\n"),
            // Items of a list of one kind, and what has another name each time.
            ("list.yaml", "apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: listed}\n"),
            (
                "run.yaml",
                "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: run-}\nspec: {}\n",
            ),
        ],
    );
    let rendered = render(&repo, "default", None, &tools);
    let mut told: Vec<_> = codes(&rendered).into_iter().map(|(code, _)| code).collect();
    told.sort_unstable();
    assert_eq!(told, [11, 620], "{:#?}", rendered.problems);
    let maps = rendered.objects.iter().filter(|object| &*object.key.kind.kind == "ConfigMap");
    assert_eq!(maps.map(|object| object.key.name.name.to_string()).collect::<Vec<_>>(), ["listed", "map"]);
    assert!(rendered.whole.no_manifests.contains("roles/t.yaml"));
}
