//! Repositories of Flux: Kustomizations and HelmReleases, built by the real Kustomize and the real Helm.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{fs, path::Path};

use portolan_effects::render::{Rendered, Tools, Touched, Tree, render};
use portolan_testkit as testkit;

fn tools(cache: &Path) -> Option<Tools> {
    let (Some(helm), Some(kustomize)) = (testkit::program("helm"), testkit::program("kustomize")) else {
        testkit::skip("effects/flux", "helm or kustomize was not found; run scripts/setup demo");
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

const SYNC: (&str, &str) = (
    "clusters/dev/flux-system/gotk-sync.yaml",
    "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: flux-system, namespace: flux-system}\n\
     spec: {interval: 1m, ref: {branch: main}, url: 'ssh://git@git.example.com/p/fleet'}\n---\n\
     apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: flux-system, namespace: flux-system}\n\
     spec: {interval: 10m, path: ./clusters/dev, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}\n",
);
const COMPONENTS: (&str, &str) = (
    "clusters/dev/flux-system/kustomization.yaml",
    "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [gotk-sync.yaml]\n",
);

/// A Kustomization `name` with these further fields.
fn kustomization(name: &str, fields: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\n\
         spec: {{interval: 10m, prune: true, sourceRef: {{kind: GitRepository, name: flux-system}}, {fields}}}\n"
    )
}

fn release(name: &str, fields: &str) -> String {
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{interval: 10m, {fields}}}\n"
    )
}

fn config_map(name: &str, data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\ndata: {data}\n")
}

/// The environment `dev` of a repository that Flux set up, with these files.
fn fleet(dir: &Path, files: &[(&str, &str)]) -> Option<Rendered> {
    let folder = dir.join("repo");
    write(&folder, &[SYNC, COMPONENTS]);
    write(&folder, files);
    Some(render(&folder, "dev", None, &tools(dir)?))
}

/// All objects but Flux's own.
fn keys(rendered: &Rendered) -> Vec<String> {
    let own = rendered.objects.iter().filter(|object| !object.key.kind.group.contains("fluxcd.io"));
    let mut keys: Vec<_> = own.map(|object| object.key.to_string()).collect();
    keys.sort();
    keys
}

fn data(rendered: &Rendered, name: &str) -> serde_json::Value {
    let object = rendered.objects.iter().find(|object| &*object.key.name.name == name);
    object.unwrap_or_else(|| panic!("{name} is not among {:?}", keys(rendered))).json["data"].clone()
}

/// Code, object and message of each finding.
fn findings(rendered: &Rendered) -> Vec<(u16, String, String)> {
    let all = rendered.problems.iter();
    all.map(|p| (p.code.0, p.object.to_string(), p.message.clone())).collect()
}

fn applications(rendered: &Rendered) -> Vec<String> {
    let all = rendered.whole.applications.iter();
    all.map(|app| format!("{} < {}: {}", app.key, app.parent, app.sources.join(", "))).collect()
}

const CHART: &[(&str, &str)] = &[
    ("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
    ("charts/web/values.yaml", "host: none\nsize: 1\nlist: [a, b]\n"),
    (
        "charts/web/templates/all.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-web'}\n\
         data: {host: '{{ .Values.host }}', size: '{{ .Values.size }}', list: '{{ join \",\" .Values.list }}'}\n",
    ),
];

#[test]
fn a_fleet_is_followed_from_flux_system_and_each_object_has_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (infra, apps) = (
        kustomization("infra", "path: ./infra"),
        kustomization(
            "apps",
            "path: ./apps/dev, dependsOn: [{name: infra}], targetNamespace: shop, commonMetadata: {labels: {team: edge}}, \
             postBuild: {substitute: {size: three}, substituteFrom: [{kind: ConfigMap, name: settings}]}",
        ),
    );
    let settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: flux-system}\ndata: {domain: dev.example.com, size: '9'}\n";
    let app = format!(
        "# the app\n{}---\n{}",
        config_map("web", "{host: 'app.${domain}', size: '${size}', none: '${none:=x}', kept: '$${domain}'}"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: raw, annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}}\ndata: {host: '${domain}'}\n",
    );
    let Some(rendered) = fleet(
        dir.path(),
        &[
            ("clusters/dev/infra.yaml", &infra),
            ("clusters/dev/apps.yaml", &apps),
            ("infra/settings.yaml", settings),
            ("apps/base/kustomization.yaml", "resources: [app.yaml]\n"),
            ("apps/base/app.yaml", &app),
            ("apps/dev/kustomization.yaml", "resources: [../base]\n"),
        ],
    ) else {
        return;
    };
    assert_eq!(findings(&rendered), []);
    assert_eq!(
        keys(&rendered),
        ["ConfigMap/flux-system/settings", "ConfigMap/shop/raw", "ConfigMap/shop/web"]
    );
    // What stands in place beats what is referred to.
    assert_eq!(
        data(&rendered, "web"),
        serde_json::json!({"host": "app.dev.example.com", "size": "three", "none": "x", "kept": "${domain}"})
    );
    assert_eq!(data(&rendered, "raw")["host"], "${domain}");
    let web = rendered.objects.iter().find(|object| &*object.key.name.name == "web").unwrap();
    assert_eq!(web.json["metadata"]["labels"]["team"], "edge");
    let source = web.origin.source.as_ref().unwrap();
    assert_eq!((&*source.file, source.line, &*web.origin.application), ("apps/base/app.yaml", 2, "apps"));
    assert_eq!(
        applications(&rendered),
        [
            "Kustomization/flux-system/flux-system < : clusters/dev (flux)",
            "Kustomization/flux-system/infra < flux-system: infra (flux)",
            "Kustomization/flux-system/apps < flux-system: apps/dev (flux)",
        ]
    );
    assert_eq!(
        rendered.whole.substitutions,
        ["GitRepository flux-system (ssh://git@git.example.com/p/fleet) is read from the work tree"]
    );
}

#[test]
fn a_folder_without_a_kustomization_is_read_as_flux_makes_one() {
    let dir = tempfile::tempdir().unwrap();
    let apps = kustomization(
        "apps",
        "path: ./apps, namePrefix: p-, components: [../parts], images: [{name: a, newTag: '2'}], \
         patches: [{patch: '[{\"op\": \"add\", \"path\": \"/data/added\", \"value\": \"x\"}]', target: {kind: ConfigMap}}]",
    );
    let Some(rendered) = fleet(
        dir.path(),
        &[
            ("clusters/dev/apps.yaml", &apps),
            ("apps/one.yaml", &config_map("one", "{}")),
            ("apps/deep/two.yml", &config_map("two", "{}")),
            ("apps/deep/README.md", "no YAML: {"),
            ("apps/built/kustomization.yaml", "namePrefix: b-\nresources: [three.yaml]\n"),
            ("apps/built/three.yaml", &config_map("three", "{}")),
            ("apps/built/not-named.yaml", &config_map("four", "{}")),
            (
                "parts/kustomization.yaml",
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nconfigMapGenerator: [{name: part, namespace: default, literals: [a=b], options: {disableNameSuffixHash: true}}]\n",
            ),
        ],
    ) else {
        return;
    };
    assert_eq!(findings(&rendered), []);
    let wanted =
        ["one", "p-b-three", "p-one", "p-part", "p-two"].map(|name| format!("ConfigMap/default/{name}"));
    assert_eq!(keys(&rendered), &wanted[1..]);
    assert_eq!(data(&rendered, "p-one")["added"], "x");
}

#[test]
fn a_release_of_a_chart_here_gets_its_values_in_flux_s_order() {
    let dir = tempfile::tempdir().unwrap();
    let apps = kustomization("apps", "path: ./apps");
    let values = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: values, namespace: shop}\n\
                  data: {values.yaml: 'host: from-map\n\nsize: 5', n: '7'}\n";
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: own, namespace: shop}\nstringData: {host: hidden}\n";
    let web = release(
        "web",
        "releaseName: w, targetNamespace: edge, chart: {spec: {chart: ./charts/web, sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}}}, \
         valuesFrom: [{kind: ConfigMap, name: values}, {kind: ConfigMap, name: none, optional: true}, \
         {kind: ConfigMap, name: values, valuesKey: n, targetPath: 'list[0]'}, {kind: Secret, name: own, valuesKey: host, targetPath: host}], \
         values: {size: 6, host: own}, \
         postRenderers: [{kustomize: {patches: [{patch: '[{\"op\": \"add\", \"path\": \"/data/post\", \"value\": \"x\"}]', target: {kind: ConfigMap}}]}}]",
    );
    let files: Vec<_> = CHART
        .iter()
        .copied()
        .chain([
            ("clusters/dev/apps.yaml", &*apps),
            ("apps/values.yaml", values),
            ("apps/secret.yaml", secret),
            ("apps/web.yaml", &*web),
        ])
        .collect();
    let Some(rendered) = fleet(dir.path(), &files) else { return };
    assert_eq!(findings(&rendered), []);
    assert_eq!(
        data(&rendered, "w-web"),
        serde_json::json!({"host": "own", "size": "6", "list": "7", "post": "x"})
    );
    let object = rendered.objects.iter().find(|object| &*object.key.name.name == "w-web").unwrap();
    assert_eq!(&*object.key.name.namespace, "edge");
    assert_eq!(&*object.origin.source.as_ref().unwrap().file, "charts/web/templates/all.yaml");
    assert_eq!(applications(&rendered).last().unwrap(), "HelmRelease/shop/web < apps: charts/web (helm)");
}

#[test]
fn charts_that_are_stood_in_for_say_their_values_and_others_are_one_finding() {
    let dir = tempfile::tempdir().unwrap();
    let sources = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: charts, namespace: shop}\nspec: {url: 'https://charts.example.com'}\n---\n\
                   apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: dns, namespace: shop}\nspec: {url: 'oci://r.example.com/charts/external-dns', ref: {tag: 1.20.0}}\n---\n\
                   apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: other, namespace: flux-system}\nspec: {url: 'https://git.example.com/p/other'}\n";
    let from = |chart: &str| {
        format!(
            "chart: {{spec: {{chart: {chart}, version: 1.x, sourceRef: {{kind: HelmRepository, name: charts}}}}}}"
        )
    };
    let (issuer, redis) = (
        release("issuer", &format!("{}, values: {{installCRDs: true}}", from("cert-manager"))),
        release("redis", &from("redis")),
    );
    let dns = release("dns", "chartRef: {kind: OCIRepository, name: dns}, values: {policy: sync}");
    let other =
        kustomization("other", "path: ./deploy").replace("name: flux-system}, path", "name: other}, path");
    let apps = kustomization("apps", "path: ./apps");
    let Some(rendered) = fleet(
        dir.path(),
        &[
            ("clusters/dev/apps.yaml", &apps),
            ("clusters/dev/other.yaml", &other),
            ("apps/sources.yaml", sources),
            ("apps/issuer.yaml", &issuer),
            ("apps/redis.yaml", &redis),
            ("apps/dns.yaml", &dns),
        ],
    ) else {
        return;
    };
    let told: Vec<_> =
        findings(&rendered).into_iter().map(|(code, object, _)| format!("{code} {object}")).collect();
    assert_eq!(
        told,
        ["636 HelmRelease/shop/redis", "607 Kustomization/flux-system/other"],
        "{:?}",
        rendered.problems
    );
    let said: Vec<_> = rendered
        .whole
        .adapters
        .iter()
        .map(|one| format!("{} {} {}", one.component, one.version, one.values))
        .collect();
    assert_eq!(
        said,
        [r#"cert-manager 1.x {"installCRDs":true}"#, r#"external-dns 1.20.0 {"policy":"sync"}"#]
    );
}

#[test]
fn what_is_made_elsewhere_leaves_out_what_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: vars, namespace: flux-system}\nstringData: {domain: 'ENC[AES256_GCM,data:x]'}\nsops: {mac: 'ENC[x]', version: 3.9.0}\n";
    let vars = "postBuild: {substitute: {own: x}, substituteFrom: [{kind: Secret, name: vars}]}";
    let apps = kustomization("apps", &format!("path: ./apps, {vars}"));
    let one = config_map("one", "{host: 'a.${domain}'}");
    let two = config_map("two", "{host: 'a.${own}'}");
    let keys_of = kustomization("keys", "path: ./keys, decryption: {provider: sops}");
    let external = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: e, namespace: shop}\nspec: {target: {name: made}}\n";
    let web = release(
        "web",
        "chart: {spec: {chart: ./charts/web, sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}}}, valuesFrom: [{kind: Secret, name: made}]",
    );
    let files: Vec<_> = CHART
        .iter()
        .copied()
        .chain([
            ("clusters/dev/apps.yaml", &*apps),
            ("clusters/dev/keys.yaml", &*keys_of),
            ("keys/vars.yaml", secret),
            ("keys/external.yaml", external),
            ("apps/one.yaml", &*one),
            ("apps/two.yaml", &*two),
            ("apps/web.yaml", &*web),
        ])
        .collect();
    let Some(rendered) = fleet(dir.path(), &files) else { return };
    assert_eq!(
        keys(&rendered),
        ["ConfigMap/default/two", "ExternalSecret/shop/e"],
        "{:?}",
        rendered.problems
    );
    let told: Vec<_> =
        findings(&rendered).into_iter().map(|(code, object, _)| format!("{code} {object}")).collect();
    assert_eq!(
        told,
        [
            "633 HelmRelease/shop/web",
            "632 Kustomization/flux-system/apps",
            "630 Kustomization/flux-system/keys"
        ],
        "{:?}",
        rendered.problems
    );
    assert!(findings(&rendered)[1].2.contains("ConfigMap/one (${domain})"), "{:?}", rendered.problems);
}

/// Another branch of the repository does not stand in the work tree: what it holds is not known, and not missing.
#[test]
fn a_path_that_stands_on_another_branch_is_not_known() {
    for (branch, code) in [("{branch: team}", 607), ("{branch: main}", 603), ("{}", 603)] {
        let dir = tempfile::tempdir().unwrap();
        let source = format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: team, namespace: flux-system}}\n\
             spec: {{interval: 1m, url: 'ssh://git@git.example.com/p/fleet', ref: {branch}}}\n"
        );
        let team =
            kustomization("team", "path: ./team").replace("name: flux-system}, path", "name: team}, path");
        let files = [("clusters/dev/source.yaml", &*source), ("clusters/dev/team.yaml", &*team)];
        let git = [(".git/HEAD", "ref: refs/heads/main\n"), (".git/config", "")];
        let all: Vec<_> = files.into_iter().chain(git).collect();
        let Some(rendered) = fleet(dir.path(), &all) else { return };
        let told: Vec<_> = findings(&rendered).into_iter().map(|(code, object, _)| (code, object)).collect();
        assert_eq!(
            told,
            [(code, "Kustomization/flux-system/team".to_owned())],
            "{branch}: {:?}",
            rendered.problems
        );
        assert!(rendered.whole.unsure.contains("team"), "what it brought must stay");
    }
}

/// A chart whose schema refuses the values is taken where the release says so, as Flux does.
#[test]
fn a_release_may_ask_no_schema() {
    for (install, wanted) in [("{}", 1), ("{disableSchemaValidation: true}", 0)] {
        let dir = tempfile::tempdir().unwrap();
        let release = format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: web, namespace: flux-system}}\nspec:\n  \
             interval: 1m\n  install: {install}\n  values: {{port: none}}\n  \
             chart: {{spec: {{chart: ./chart, sourceRef: {{kind: GitRepository, name: flux-system}}}}}}\n"
        );
        let Some(rendered) = fleet(
            dir.path(),
            &[
                ("clusters/dev/web.yaml", &release),
                ("chart/Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\n"),
                ("chart/values.schema.json", "{\"properties\": {\"port\": {\"type\": \"integer\"}}}"),
                ("chart/templates/m.yaml", &config_map("m", "{}")),
            ],
        ) else {
            return;
        };
        let codes: Vec<u16> = findings(&rendered).into_iter().map(|(code, ..)| code).collect();
        assert_eq!(codes, vec![605; wanted], "{install}: {:?}", rendered.problems);
    }
}

#[test]
fn mistakes_are_found_once_and_cost_only_their_own() {
    for (fields, code, words) in [
        ("path: ../..", 601, "leads outside the repository"),
        ("path: ./none", 603, "./none does not exist"),
        ("path: 7", 5, "spec.path in body must be of type string: \"integer\""),
        ("path: ./apps, suspend: 'true'", 5, "spec.suspend in body must be of type boolean: \"string\""),
        ("path: ./apps, commonMetadata: [{a: b}]", 5, "spec.commonMetadata in body must be of type object"),
        (
            "path: ./apps, dependsOn: [[Kustomization, good]]",
            5,
            "spec.dependsOn[0] in body must be of type object",
        ),
        ("path: ./apps, dependsOn: [{name: flux-systen}]", 634, "did you mean flux-system?"),
        (
            "path: ./apps, dependsOn: [{name: good, namespace: other}]",
            634,
            "one of this name stands in namespace flux-system",
        ),
        ("path: ./apps, dependsOn: [{name: bad}]", 634, "depends on itself"),
        ("path: ./apps, suspend: true", 628, "is suspended"),
        ("path: ./apps, patches: [x]", 5, "spec.patches[0] in body must be of type object"),
        ("path: ./apps, components: ['https://x.example/c']", 615, "must be local and relative"),
        (
            "path: ./apps, postBuild: {substituteFrom: [{kind: ConfigMap, name: gone}]}",
            629,
            "ConfigMap gone in namespace flux-system",
        ),
        (
            "path: ./apps, postBuild: {substituteFrom: [{kind: ConfigMap, name: one}]}",
            629,
            "brings it itself (apps/one.yaml), which is too late",
        ),
        (
            "path: ./apps, postBuild: {substituteFrom: [{kind: Pod, name: gone}]}",
            602,
            "neither ConfigMap nor Secret",
        ),
        ("path: ./apps, postBuild: {substitute: {a-b: x}}", 615, "is no name of a variable"),
        (
            "path: ./apps, postBuild: {substitute: {other: x}}",
            615,
            "variable not set (strict mode): \"host\"",
        ),
        ("path: ./apps, postBuild: {substitute: {host: \"\\u001b[2J\"}}", 615, "no YAML"),
        ("path: ./apps, postBuild: {substitute: {host: 'x: y: z'}}", 615, "no YAML"),
        ("path: ./wrong, postBuild: {substitute: {host: x}}", 615, "unable to parse variable name"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (bad, good) = (kustomization("bad", fields), kustomization("good", "path: ./good"));
        let Some(rendered) = fleet(
            dir.path(),
            &[
                ("clusters/dev/bad.yaml", &bad),
                ("clusters/dev/good.yaml", &good),
                (
                    "apps/one.yaml",
                    &config_map("one", "{host: ${host}}").replace("{host: ${host}}", "\n  host: ${host}"),
                ),
                ("wrong/one.yaml", &config_map("one", "{host: '${{ x }}'}")),
                ("good/good.yaml", &config_map("good", "{}")),
            ],
        ) else {
            return;
        };
        let told = findings(&rendered);
        assert_eq!(told.len(), 1, "{fields}: {told:?}");
        assert_eq!((told[0].0, &*told[0].1), (code, "Kustomization/flux-system/bad"), "{fields}: {told:?}");
        assert!(told[0].2.contains(words) && !told[0].2.contains('\u{1b}'), "{fields}: {told:?}");
        assert_eq!(keys(&rendered), ["ConfigMap/default/good"], "{fields}");
        assert!(rendered.whole.unsure.contains("bad"), "{fields}: what it brought must stay");
    }
}

/// Which source is meant says its kind and namespace too: one of the name of flux-system's is not the repository for that.
#[test]
fn a_source_is_this_repository_only_by_what_the_repository_says() {
    let from = |source: &str| {
        kustomization("apps", "path: ./apps").replace("{kind: GitRepository, name: flux-system}", source)
    };
    let tenant =
        |text: String| text.replace("name: apps, namespace: flux-system", "name: apps, namespace: tenant");
    let own = "{kind: GitRepository, name: flux-system, namespace: flux-system}";
    let theirs = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: flux-system, namespace: tenant}\n\
                  spec: {url: 'https://git.example.com/p/other'}\n";
    let again = theirs.replace("https://git.example.com/p/other", "https://git.example.com/p/fleet.git");
    for (text, source, wanted) in [
        (from(own), "", ""),
        (tenant(from(own)), "", ""),
        (
            from("{kind: GitRepository, name: flux-system, namespace: nope}"),
            "",
            "629 one of this name stands in namespace flux-system",
        ),
        (
            tenant(from("{kind: GitRepository, name: flux-system}")),
            "",
            "629 one of this name stands in namespace flux-system",
        ),
        (from("{kind: Bucket, name: flux-system}"), "", "629 GitRepository/flux-system/flux-system is there"),
        (from("{kind: GitRepository, name: flux-sytem}"), "", "629 did you mean flux-system?"),
        (
            tenant(from("{kind: GitRepository, name: flux-system}")),
            theirs,
            "607 https://git.example.com/p/other",
        ),
        (tenant(from("{kind: GitRepository, name: flux-system}")), &*again, ""),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut files = vec![
            ("clusters/dev/apps.yaml", &*text),
            ("apps/one.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: default}\n"),
        ];
        if !source.is_empty() {
            files.push(("clusters/dev/source.yaml", source));
        }
        let Some(rendered) = fleet(dir.path(), &files) else { return };
        let told: Vec<_> =
            findings(&rendered).into_iter().map(|(code, _, said)| format!("{code} {said}")).collect();
        let Some((code, words)) = wanted.split_once(' ') else {
            assert_eq!(told, [] as [String; 0], "{text}");
            assert_eq!(keys(&rendered), ["ConfigMap/default/one"], "{text}");
            continue;
        };
        assert!(told.len() == 1 && told[0].starts_with(code) && told[0].contains(words), "{text}: {told:?}");
        assert_eq!(keys(&rendered), [] as [String; 0], "{text}");
        assert!(code == "607" || rendered.whole.unsure.contains("apps"), "{text}: what it brought must stay");
    }
}

/// A release in another namespace than the source's has to say the source's.
#[test]
fn a_release_names_its_source_with_its_namespace_and_one_of_two_places() {
    let apps = kustomization("apps", "path: ./apps");
    for (fields, wanted) in [
        ("chart: {spec: {chart: ./charts/web, sourceRef: {kind: GitRepository, name: flux-system}}}", 629),
        (
            "chart: {spec: {chart: ./charts/wb, sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}}}",
            603,
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let web = release("web", fields);
        let files =
            CHART.iter().copied().chain([("clusters/dev/apps.yaml", &*apps), ("apps/web.yaml", &*web)]);
        let Some(rendered) = fleet(dir.path(), &files.collect::<Vec<_>>()) else { return };
        let told = &rendered.problems;
        assert!(told.len() == 1 && told[0].code.0 == wanted, "{fields}: {told:?}");
        assert!(wanted != 603 || told[0].hint.contains("spec.chart.spec.chart"), "{told:?}");
    }
}

/// Whole numbers at a `targetPath` are such to Helm, and those of files are not.
#[test]
fn a_whole_number_at_a_path_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let apps = kustomization("apps", "path: ./apps");
    let values = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: values, namespace: shop}\n\
                  data: {big: '123456789012', text: \"'880444307210'\", list: '{7,b}'}\n";
    let from = [
        "big, targetPath: account",
        "big, targetPath: 'deep.a\\.b[1].n'",
        "text, targetPath: text",
        "list, targetPath: list",
        "big, targetPath: over",
    ]
    .map(|one| format!("{{kind: ConfigMap, name: values, valuesKey: {one}}}"));
    let web = release(
        "web",
        &format!(
            "chart: {{spec: {{chart: ./charts/n, sourceRef: {{kind: GitRepository, name: flux-system, namespace: flux-system}}}}}}, \
             valuesFrom: [{}], values: {{own: 880444307210, over: 1}}",
            from.join(", ")
        ),
    );
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: numbers}\ndata:\n  account: 'a-{{ .Values.account }}'\n  \
                    deep: '{{ (index (index .Values.deep \"a.b\") 1).n }}'\n  text: '{{ .Values.text }} {{ kindOf .Values.text }}'\n  \
                    list: '{{ kindOf (index .Values.list 0) }} {{ index .Values.list 1 }}'\n  own: '{{ .Values.own }}'\n  over: '{{ kindOf .Values.over }}'\n";
    let files = [
        ("clusters/dev/apps.yaml", &*apps),
        ("apps/values.yaml", values),
        ("apps/web.yaml", &*web),
        ("charts/n/Chart.yaml", "apiVersion: v2\nname: n\nversion: 1.0.0\n"),
        ("charts/n/templates/a.yaml", template),
    ];
    let Some(rendered) = fleet(dir.path(), &files) else { return };
    assert_eq!(findings(&rendered), []);
    assert_eq!(
        data(&rendered, "numbers"),
        serde_json::json!({
            "account": "a-123456789012", "deep": "123456789012", "text": "880444307210 string", "list": "int64 b",
            "own": "8.8044430721e+11", "over": "float64",
        })
    );
}

/// Argo CD and Flux on one cluster: the one that is not read is said, unless the other brings it.
#[test]
fn a_folder_of_flux_beside_a_root_of_argo_cd_is_said_not_to_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let folder = dir.path().join("repo");
    let root = |path: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: root, namespace: argocd}}\nspec:\n  project: default\n  \
             destination: {{server: 'https://kubernetes.default.svc', namespace: default}}\n  \
             source: {{repoURL: 'https://git.example.com/p/fleet', path: {path}}}\n"
        )
    };
    let apps = kustomization("apps", "path: ./other");
    write(
        &folder,
        &[
            ("argocd-bootstrap-apps/dev.yaml", &root("apps")),
            ("apps/one.yaml", &config_map("one", "{}")),
            ("clusters/dev/apps.yaml", &apps),
            ("other/two.yaml", &config_map("two", "{}")),
        ],
    );
    let rendered = render(&folder, "dev", None, &tools);
    let told = findings(&rendered);
    assert!(told.len() == 1 && told[0].0 == 621 && told[0].1 == "File/clusters/dev", "{told:?}");
    assert!(told[0].2.contains("argocd-bootstrap-apps/dev.yaml"), "{told:?}");
    assert_eq!(
        findings(&render(&folder, "dev", Some("argocd-bootstrap-apps/dev.yaml"), &tools)),
        [],
        "it was named"
    );
    // What Argo CD reads as well is the same platform in another form.
    write(&folder, &[("argocd-bootstrap-apps/dev.yaml", &root("other"))]);
    let same = render(&folder, "dev", None, &tools);
    assert_eq!(findings(&same), []);
    assert!(
        same.whole
            .substitutions
            .iter()
            .any(|one| one.contains("clusters/dev of Flux is taken for another form"))
    );
    write(&folder, &[("argocd-bootstrap-apps/dev.yaml", &root("clusters/dev"))]);
    let brought = render(&folder, "dev", None, &tools);
    assert!(findings(&brought).iter().all(|(code, ..)| *code != 621), "{:?}", findings(&brought));
}

#[test]
fn two_that_depend_on_each_other_and_two_that_bring_one_object_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let Some(rendered) = fleet(
        dir.path(),
        &[
            ("clusters/dev/a.yaml", &kustomization("a", "path: ./apps, dependsOn: [{name: b}]")),
            ("clusters/dev/b.yaml", &kustomization("b", "path: ./apps, dependsOn: [{name: a}]")),
            ("clusters/dev/c.yaml", &kustomization("c", "path: ./apps")),
            ("clusters/dev/d.yaml", &kustomization("d", "path: ./apps, targetNamespace: default")),
            ("clusters/dev/e.yaml", &kustomization("e", "path: ./apps/more, dependsOn: [{name: a}]")),
            ("apps/one.yaml", &config_map("one", "{}")),
        ],
    ) else {
        return;
    };
    let told: Vec<_> = findings(&rendered)
        .into_iter()
        .map(|(code, object, said)| format!("{code} {object}: {said}"))
        .collect();
    assert_eq!(told.len(), 4, "{told:#?}");
    for words in [
        "(Kustomization/flux-system/a → Kustomization/flux-system/b → Kustomization/flux-system/a)",
        "(Kustomization/flux-system/b → Kustomization/flux-system/a → Kustomization/flux-system/b)",
        "611 ConfigMap/default/one: ConfigMap/default/one is brought by Kustomization/flux-system/c",
        "634 Kustomization/flux-system/e: Kustomization/flux-system/e depends on Kustomization/flux-system/a, which is not applied",
    ] {
        assert!(told.iter().any(|one| one.contains(words)), "{words}: {told:#?}");
    }
    let hint = |name: &str| {
        rendered.problems.iter().find(|one| &*one.object.name.name == name).unwrap().hint.clone()
    };
    assert!(
        hint("a").starts_with("correct spec.dependsOn")
            && hint("e").starts_with("correct what it depends on")
    );
}

#[test]
fn an_environment_that_there_is_not_names_those_that_are() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let folder = dir.path().join("repo");
    write(&folder, &[SYNC, COMPONENTS]);
    let rendered = render(&folder, "dve", None, &tools);
    assert_eq!(findings(&rendered)[0].0, 600);
    assert!(findings(&rendered)[0].2.ends_with("environments here: dev"), "{:?}", rendered.problems);
}

#[test]
fn an_edit_is_read_where_it_stands_and_a_variable_reaches_what_uses_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tools) = tools(dir.path()) else { return };
    let folder = dir.path().join("repo");
    let settings = |domain: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: flux-system}}\ndata: {{domain: {domain}}}\n"
        )
    };
    write(
        &folder,
        &[
            SYNC,
            COMPONENTS,
            ("clusters/dev/settings.yaml", &settings("a.example")),
            (
                "clusters/dev/one.yaml",
                &kustomization(
                    "one",
                    "path: ./one, postBuild: {substituteFrom: [{kind: ConfigMap, name: settings}]}",
                ),
            ),
            ("clusters/dev/two.yaml", &kustomization("two", "path: ./two")),
            ("one/one.yaml", &config_map("one", "{host: '${domain}'}")),
            ("two/two.yaml", &config_map("two", "{a: b}")),
        ],
    );
    let mut tree = Tree::new(&folder, "dev", None, tools);
    let first = tree.read(&Touched::All);
    assert!(first.problems.values().all(Vec::is_empty), "{:?}", first.problems);
    let names = |read: &portolan_effects::render::Difference| {
        let mut names: Vec<_> = read.objects.iter().map(|object| object.key.name.name.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&first), ["flux-system", "flux-system", "one", "one", "settings", "two", "two"]);
    let real = folder.canonicalize().unwrap();
    let mut edit = |path: &str, text: &str| {
        fs::write(folder.join(path), text).unwrap();
        tree.read(&Touched::Paths([real.join(path)].into()))
    };
    let read = edit("two/two.yaml", &config_map("two", "{a: c}"));
    assert_eq!((names(&read), read.work.parts), (vec!["two".to_owned()], 1));
    let read = edit("clusters/dev/settings.yaml", &settings("b.example"));
    let one = read
        .objects
        .iter()
        .find(|object| object.key.kind.kind.as_str() == "ConfigMap" && &*object.key.name.name == "one")
        .unwrap();
    assert_eq!(one.json["data"]["host"], "b.example");
    assert!(!names(&read).contains(&"two".to_owned()) || read.work.parts == 2, "{:?}", names(&read));
    let gone = {
        fs::remove_file(folder.join("clusters/dev/two.yaml")).unwrap();
        tree.read(&Touched::Paths([real.join("clusters/dev/two.yaml")].into())).gone
    };
    let gone: Vec<_> = gone.iter().map(ToString::to_string).collect();
    assert_eq!(gone, ["ConfigMap/default/two", "Kustomization/flux-system/two"]);
}

/// What Flux is told to leave alone is not applied: it is not made, and what is live of it is not in doubt of being removed.
#[test]
fn what_flux_is_told_to_leave_alone_is_not_brought() {
    let dir = tempfile::tempdir().unwrap();
    let map = |name: &str, says: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop, annotations: {{kustomize.toolkit.fluxcd.io/{says}}}}}\n"
        )
    };
    let all = [
        map("unreconciled", "reconcile: disabled"),
        map("ignored", "ssa: Ignore"),
        map("merged", "ssa: Merge"),
        map("once", "ssa: IfNotPresent"),
        map("unpruned", "prune: disabled"),
    ]
    .join("---\n");
    let (apps, all) = (kustomization("apps", "path: ./apps"), &*all);
    let Some(rendered) = fleet(dir.path(), &[("clusters/dev/apps.yaml", &apps), ("apps/a.yaml", all)]) else {
        return;
    };
    assert_eq!(keys(&rendered), ["ConfigMap/shop/merged", "ConfigMap/shop/once", "ConfigMap/shop/unpruned"]);
    let left: Vec<String> = rendered.whole.refused.keys().map(ToString::to_string).collect();
    assert_eq!(left, ["ConfigMap/shop/ignored", "ConfigMap/shop/unreconciled"]);
    assert_eq!(rendered.problems.iter().filter(|problem| problem.code.0 == 673).count(), 2);
}

/// A repository without flux-system: which of its sources it is itself Git says, and not which folders it has.
#[test]
fn the_repository_is_the_one_that_git_says() {
    let dir = tempfile::tempdir().unwrap();
    let source = |name: &str, url: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: {name}, namespace: flux-system}}\n\
             spec: {{interval: 1m, url: '{url}'}}\n---\n"
        )
    };
    let of = |name: &str, source: &str, path: &str| {
        let text = kustomization(name, &format!("path: {path}"));
        text.replace(
            "{kind: GitRepository, name: flux-system}",
            &format!("{{kind: GitRepository, name: {source}}}"),
        )
    };
    let all = [
        source("app", "https://git.example.com/p/app"),
        source("fleet", "ssh://git@git.example.com/p/fleet"),
        of("app", "app", "./deploy"),
        "---\n".to_owned(),
        of("own", "fleet", "./own"),
    ]
    .concat();
    let folder = dir.path().join("repo");
    write(
        &folder,
        &[
            ("clusters/dev/all.yaml", &all),
            ("deploy/a.yaml", &config_map("of-another", "{}")),
            ("own/a.yaml", &config_map("own", "{}")),
            (".git/config", "[remote \"origin\"]\n\turl = https://me@git.example.com/p/fleet.git\n"),
        ],
    );
    let Some(tools) = tools(dir.path()) else { return };
    let rendered = render(&folder, "dev", None, &tools);
    assert_eq!(keys(&rendered), ["ConfigMap/default/own"], "{:?}", rendered.problems);
    let told: Vec<_> =
        findings(&rendered).into_iter().map(|(code, object, _)| format!("{code} {object}")).collect();
    assert_eq!(told, ["607 Kustomization/flux-system/app"]);
}

#[test]
fn what_a_source_leaves_out_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let own = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: own, namespace: flux-system}\n\
               spec: {interval: 1m, url: 'ssh://git@git.example.com/p/fleet', ignore: /infra}\n";
    let of_own = |name: &str, path: &str| {
        kustomization(name, &format!("path: {path}")).replace("name: flux-system}, path", "name: own}, path")
    };
    let (apps, lost, listed) =
        (of_own("apps", "./apps"), of_own("lost", "./infra"), of_own("listed", "./listed"));
    let files = [
        ("clusters/dev/own.yaml", own),
        ("clusters/dev/apps.yaml", &*apps),
        ("clusters/dev/lost.yaml", &*lost),
        ("clusters/dev/listed.yaml", &*listed),
        (".sourceignore", "*.draft.yaml\n"),
        ("apps/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n"),
        ("apps/b.draft.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: default}\n"),
        ("listed/kustomization.yaml", "resources: [c.draft.yaml]\n"),
        ("listed/c.draft.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\n"),
        ("infra/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\n"),
    ];
    let folder = dir.path().join("repo");
    write(&folder, &[SYNC, COMPONENTS]);
    write(&folder, &files);
    let Some(tools) = tools(dir.path()) else { return };
    let mut tree = Tree::new(&folder, "dev", None, tools);
    let maps = |read: &portolan_effects::render::Difference| {
        let maps = read.objects.iter().filter(|object| &*object.key.kind.kind == "ConfigMap");
        maps.map(|object| object.key.name.name.to_string()).collect::<Vec<_>>()
    };
    let told = |read: &portolan_effects::render::Difference| {
        let all = read
            .problems
            .values()
            .flatten()
            .filter(|problem| problem.severity == portolan_model::Severity::Error);
        all.map(|p| (p.code.0, p.object.name.name.to_string(), p.message.clone())).collect::<Vec<_>>()
    };
    let first = tree.read(&Touched::All);
    assert_eq!(maps(&first), ["a"]);
    let said = told(&first);
    let of =
        |name: &str| said.iter().find(|(_, object, _)| object == name).unwrap_or_else(|| panic!("{said:#?}"));
    assert!(
        of("lost").2.starts_with("./infra does not stand in what the source takes of the work tree"),
        "{said:#?}"
    );
    assert!(of("listed").2.contains("the source does not take listed/c.draft.yaml"), "{said:#?}");
    // What says it is read again when it changes, and everything that hangs on it.
    write(&folder, &[(".sourceignore", "# nothing\n")]);
    let second = tree.read(&Touched::Paths([folder.canonicalize().unwrap().join(".sourceignore")].into()));
    let mut both = maps(&second);
    both.sort();
    assert_eq!(both, ["a", "b", "c"]);
    // What cannot be read is not taken for what is not there.
    write(
        &folder,
        &[(".sourceignore", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")],
    );
    let third = tree.read(&Touched::Paths([folder.canonicalize().unwrap().join(".sourceignore")].into()));
    let said = told(&third);
    let apps = said.iter().find(|(_, object, _)| object == "apps").unwrap_or_else(|| panic!("{said:#?}"));
    assert!(apps.2.starts_with(".sourceignore cannot be read, so what Flux takes"), "{said:#?}");
    assert!(third.whole.unsure.contains("apps"), "what it brought must stay");
}

#[test]
fn flux_s_objects_that_argo_cd_brings_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("repo");
    let root = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: root, namespace: argocd}\nspec:\n  project: default\n  \
                destination: {server: 'https://kubernetes.default.svc', namespace: flux-system}\n  \
                source: {repoURL: 'https://git.example.com/p/fleet.git', path: bootstrap}\n";
    let source = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: fleet}\n\
                  spec: {interval: 1m, url: 'https://git.example.com/p/fleet'}\n";
    let apps =
        kustomization("apps", "path: ./apps, postBuild: {substituteFrom: [{kind: ConfigMap, name: vars}]}")
            .replace("name: flux-system}, path", "name: fleet}, path");
    write(
        &folder,
        &[
            ("root.yaml", root),
            ("bootstrap/source.yaml", source),
            (
                "bootstrap/vars.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vars}\ndata: {word: filled}\n",
            ),
            ("bootstrap/apps.yaml", &apps),
            (
                "apps/a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\ndata: {a: '${word}'}\n",
            ),
        ],
    );
    let Some(tools) = tools(dir.path()) else { return };
    let mut tree = Tree::new(&folder, "dev", Some("root.yaml"), tools);
    let first = tree.read(&Touched::All);
    let problems: Vec<_> =
        first.problems.values().flatten().filter(|p| (600..640).contains(&p.code.0)).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    let found = |read: &portolan_effects::render::Difference| {
        let one = read.objects.iter().find(|object| &*object.key.name.name == "a");
        one.map(|object| object.json["data"]["a"].clone())
    };
    assert_eq!(found(&first), Some("filled".into()));
    let owner =
        first.objects.iter().find(|object| &*object.key.name.name == "a").unwrap().origin.owner.clone();
    assert_eq!(owner.unwrap().to_string(), "Kustomization/flux-system/apps");
    // An edit costs what it touches, and a variable reaches what uses it.
    write(
        &folder,
        &[(
            "bootstrap/vars.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vars}\ndata: {word: other}\n",
        )],
    );
    let second =
        tree.read(&Touched::Paths([folder.canonicalize().unwrap().join("bootstrap/vars.yaml")].into()));
    assert_eq!(found(&second), Some("other".into()));
    assert_eq!(second.work.parts, 2, "the file, and what is built with it");
}

#[test]
fn an_artifact_that_is_copied_from_the_repository_is_read_where_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let generator = |to: &str| {
        format!(
            "apiVersion: source.extensions.fluxcd.io/v1beta1\nkind: ArtifactGenerator\nmetadata: {{name: all, namespace: flux-system}}\nspec:\n  \
             sources: [{{alias: repo, kind: GitRepository, name: flux-system}}]\n  artifacts:\n  - name: apps\n    copy:\n    - {{from: '@repo/apps/base/**', to: '@artifact/base/'}}\n    \
             - {{from: '@repo/apps/dev/**', to: '@artifact/{to}/'}}\n"
        )
    };
    let of_artifact = |name: &str| {
        kustomization(name, "path: ./dev")
            .replace("GitRepository, name: flux-system", "ExternalArtifact, name: apps")
    };
    let files = |generator: &str| {
        let folder = dir.path().join("repo");
        let _ = fs::remove_dir_all(&folder);
        write(
            &folder,
            &[
                // Its path ends as the cluster's folder does, and it is no root.
                ("clusters/dev/apps.yaml", &of_artifact("apps")),
                ("clusters/dev/artifacts.yaml", generator),
                ("apps/base/kustomization.yaml", "resources: [a.yaml]\n"),
                (
                    "apps/base/a.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n",
                ),
                ("apps/dev/kustomization.yaml", "resources: [../base]\nnamePrefix: dev-\n"),
            ],
        );
        folder
    };
    let Some(tools) = tools(dir.path()) else { return };
    let rendered = render(&files(&generator("dev")), "dev", None, &tools);
    assert_eq!(findings(&rendered), []);
    let own: Vec<_> = keys(&rendered).into_iter().filter(|key| key.starts_with("ConfigMap")).collect();
    assert_eq!(own, ["ConfigMap/default/dev-a"]);
    // What is put elsewhere in it is not what stands here.
    let rendered = render(&files(&generator("other")), "dev", None, &tools);
    assert_eq!(findings(&rendered).iter().map(|(code, ..)| *code).collect::<Vec<_>>(), [607]);
}

#[test]
fn a_secret_that_nothing_brings_is_put_there_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let from = |name: &str| {
        kustomization(
            "apps",
            &format!("path: ./apps, postBuild: {{substituteFrom: [{{kind: Secret, name: {name}}}]}}"),
        )
    };
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: settings, namespace: flux-system}\nstringData: {a: b}\n";
    for (name, code) in [("by-hand", 632), ("setings", 629)] {
        let _ = fs::remove_dir_all(dir.path().join("repo"));
        let Some(rendered) = fleet(
            dir.path(),
            &[
                ("clusters/dev/apps.yaml", &from(name)),
                ("clusters/dev/secret.yaml", secret),
                (
                    "apps/a.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\ndata: {a: '${unknown}'}\n",
                ),
                ("apps/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: default}\n"),
            ],
        ) else {
            return;
        };
        let told = findings(&rendered);
        assert_eq!(told.iter().map(|(code, ..)| *code).collect::<Vec<_>>(), [code], "{told:?}");
        assert_eq!(keys(&rendered).contains(&"ConfigMap/default/b".to_owned()), code == 632);
    }
}

/// Where the controller of the repository is of before 1.9, or told so, what is not set stands for nothing.
#[test]
fn a_variable_that_is_not_set_fails_the_build_unless_the_controller_says_otherwise() {
    let controller = |image: &str, args: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: kustomize-controller, namespace: flux-system}}\n\
             spec: {{selector: {{matchLabels: {{a: b}}}}, template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: manager, image: '{image}', args: [{args}]}}]}}}}}}\n"
        )
    };
    for (image, args, builds) in [
        ("ghcr.io/fluxcd/kustomize-controller:v1.9.0", "'--log-level=info'", false),
        ("ghcr.io/fluxcd/kustomize-controller:v1.8.2", "", true),
        (
            "ghcr.io/fluxcd/kustomize-controller:v1.2.0",
            "'--feature-gates=A=false,StrictPostBuildSubstitutions=true'",
            false,
        ),
        (
            "mirror.example/kustomize-controller@sha256:0",
            "'--feature-gates=StrictPostBuildSubstitutions=false'",
            true,
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let Some(rendered) = fleet(
            dir.path(),
            &[
                (
                    "clusters/dev/flux-system/kustomization.yaml",
                    "resources: [gotk-components.yaml, gotk-sync.yaml]\n",
                ),
                ("clusters/dev/flux-system/gotk-components.yaml", &controller(image, args)),
                (
                    "clusters/dev/apps.yaml",
                    &kustomization("apps", "path: ./apps, postBuild: {substitute: {a: b}}"),
                ),
                ("apps/a.yaml", &config_map("a", "{host: 'x${none}'}")),
                ("apps/b.yaml", &config_map("b", "{}")),
            ],
        ) else {
            return;
        };
        let told: Vec<u16> = findings(&rendered).iter().map(|(code, ..)| *code).collect();
        assert_eq!(told.contains(&615), !builds, "{image} {args}: {:?}", rendered.problems);
        assert_eq!(keys(&rendered).contains(&"ConfigMap/default/b".to_owned()), builds, "{image} {args}");
        assert_eq!(rendered.whole.unsure.contains("apps"), !builds, "{image} {args}");
    }
}

/// Flux does not come to what depends on something that fails.
#[test]
fn what_depends_on_what_does_not_build_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("clusters/dev/base.yaml", kustomization("base", "path: ./base")),
        ("clusters/dev/apps.yaml", kustomization("apps", "path: ./apps, dependsOn: [{name: base}]")),
        ("clusters/dev/more.yaml", kustomization("more", "path: ./more, dependsOn: [{name: apps}]")),
        ("clusters/dev/free.yaml", kustomization("free", "path: ./free")),
        ("base/kustomization.yaml", "resources: [missing.yaml]\n".to_owned()),
        ("apps/a.yaml", config_map("a", "{}")),
        ("more/m.yaml", config_map("m", "{}")),
        ("free/f.yaml", config_map("f", "{}")),
    ];
    let folder = dir.path().join("repo");
    write(&folder, &[SYNC, COMPONENTS]);
    write(&folder, &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let Some(tools) = tools(dir.path()) else { return };
    let mut tree = Tree::new(&folder, "dev", None, tools);
    let first = tree.read(&Touched::All);
    let maps = |read: &portolan_effects::render::Difference| {
        let maps = read.objects.iter().filter(|object| &*object.key.kind.kind == "ConfigMap");
        maps.map(|object| object.key.name.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(maps(&first), ["f"], "{:?}", first.problems);
    for name in ["base", "apps", "more"] {
        assert!(first.whole.unsure.contains(name), "{name}: what it brought must stay");
    }
    let mut told: Vec<_> =
        first.problems.values().flatten().map(|p| (p.code.0, p.object.name.name.to_string())).collect();
    told.sort();
    assert_eq!(told, [(615, "base".to_owned()), (634, "apps".to_owned()), (634, "more".to_owned())]);
    // Mended, all of them come.
    write(&folder, &[("base/missing.yaml", &config_map("b", "{}"))]);
    let path = folder.canonicalize().unwrap().join("base/missing.yaml");
    let second = tree.read(&Touched::Paths([path.clone()].into()));
    let mut all = maps(&second);
    all.sort();
    assert_eq!(
        (all, second.whole.unsure.len()),
        (["a", "b", "m"].map(str::to_owned).to_vec(), 0),
        "{:?}",
        second.problems
    );
    // And broken again, nothing of them is taken away.
    fs::remove_file(&path).unwrap();
    let third = tree.read(&Touched::Paths([path].into()));
    assert!(
        ["base", "apps", "more"].iter().all(|name| third.whole.unsure.contains(*name)),
        "{:?}",
        third.problems
    );
}

/// A patch on what a remote base holds: whether it builds is not known, and holds back nothing.
#[test]
fn a_patch_on_a_remote_base_is_nobodys_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let patch = "resources: ['github.com/x/y//base?ref=v1']\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: theirs}\n    data: {a: b}\n";
    let files = [
        ("clusters/dev/base.yaml", kustomization("base", "path: ./base")),
        ("clusters/dev/apps.yaml", kustomization("apps", "path: ./apps, dependsOn: [{name: base}]")),
        ("base/kustomization.yaml", patch.to_owned()),
        ("apps/a.yaml", config_map("a", "{}")),
    ];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let Some(rendered) = fleet(dir.path(), &files) else { return };
    assert!(keys(&rendered).iter().any(|key| key.ends_with("/a")), "{:?}", rendered.problems);
    let found = findings(&rendered);
    assert_eq!(found.iter().map(|(code, ..)| *code).collect::<Vec<_>>(), [607, 607], "{found:?}");
    assert!(rendered.whole.unsure.contains("base"), "what it brought must stay");
}

/// helm-controller's `release.ShortenName`.
#[test]
fn a_long_name_of_a_release_is_made_shorter() {
    let dir = tempfile::tempdir().unwrap();
    let web = release(
        "kube-prometheus-stack-for-everybody",
        "targetNamespace: observability-of-all-teams-here, chart: {spec: {chart: ./charts/web, sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}}}",
    );
    let files: Vec<_> = CHART.iter().copied().chain([("clusters/dev/web.yaml", &*web)]).collect();
    let Some(rendered) = fleet(dir.path(), &files) else { return };
    assert_eq!(
        keys(&rendered),
        [
            "ConfigMap/observability-of-all-teams-here/observability-of-all-teams-here-kube-pro-4c8c29fb5be4-web"
        ],
        "{:?}",
        rendered.problems
    );
}

/// What Helm creates as a hook is not there where the release says that it runs none.
#[test]
fn hooks_that_a_release_disables_are_not_created() {
    let hook = |name: &str, phases: &str| {
        let annotated = format!("metadata: {{annotations: {{helm.sh/hook: '{phases}'}}, ");
        config_map(name, "{}").replace(", namespace: default", "").replace("metadata: {", &annotated)
    };
    let (install, both) = (hook("install", "post-install"), hook("both", "pre-install, pre-upgrade"));
    let upgrade = hook("upgrade", "post-upgrade");
    let files = [
        ("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        ("charts/web/templates/a.yaml", &*install),
        ("charts/web/templates/b.yaml", &*both),
        ("charts/web/templates/c.yaml", &*upgrade),
        ("charts/web/templates/d.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n"),
    ];
    let chart = "chart: {spec: {chart: ./charts/web, sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}}}";
    for (said, wanted) in [
        ("install: {}", vec!["both", "install", "plain", "upgrade"]),
        ("install: {disableHooks: true}", vec!["both", "plain", "upgrade"]),
        ("upgrade: {disableHooks: true}", vec!["both", "install", "plain"]),
        ("install: {disableHooks: true}, upgrade: {disableHooks: true}", vec!["plain"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let release = release("web", &format!("{chart}, {said}"));
        let all: Vec<_> = files.iter().copied().chain([("clusters/dev/web.yaml", &*release)]).collect();
        let Some(rendered) = fleet(dir.path(), &all) else { return };
        let maps = keys(&rendered).into_iter();
        let maps: Vec<_> =
            maps.filter_map(|key| Some(key.strip_prefix("ConfigMap/shop/")?.to_owned())).collect();
        assert_eq!(maps, wanted, "{said}: {:?}", rendered.problems);
        let told = findings(&rendered).into_iter().filter(|(code, ..)| *code == 620).count();
        assert_eq!(told, usize::from(said.contains("true")), "{said}: {:?}", rendered.problems);
    }
}

/// Flux applies nothing of a Kustomization with an object that has no namespace; of kinds that have none, and of those that nobody
/// knows, it is no fault.
#[test]
fn an_object_without_a_namespace_holds_its_kustomization_back() {
    let dir = tempfile::tempdir().unwrap();
    let bare = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bare}\ndata: {a: b}\n";
    let after = kustomization("after", "path: ./after, dependsOn: [{name: bad}]");
    let (bad, good, wide) = (
        kustomization("bad", "path: ./bad"),
        kustomization("good", "path: ./bad, targetNamespace: shop"),
        kustomization("wide", "path: ./wide"),
    );
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web}\n\
                   spec: {interval: 10m, chart: {spec: {chart: ./charts/web, sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}}}}\n";
    let files = [
        ("clusters/dev/bad.yaml", &*bad),
        ("clusters/dev/good.yaml", &*good),
        ("clusters/dev/after.yaml", &*after),
        ("after/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: after, namespace: shop}\n"),
        ("clusters/dev/wide.yaml", &*wide),
        ("bad/bare.yaml", bare),
        ("bad/release.yaml", release),
        ("wide/namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: wide}\n"),
        ("wide/class.yaml", "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: thing}\n"),
    ];
    let files: Vec<_> = CHART.iter().copied().chain(files).collect();
    let Some(rendered) = fleet(dir.path(), &files) else { return };
    assert_eq!(
        keys(&rendered),
        ["ConfigMap/shop/bare", "ConfigMap/shop/web-web", "Namespace/wide", "Thing/thing"]
    );
    let told: Vec<_> = findings(&rendered).into_iter().filter(|(code, ..)| *code == 680).collect();
    let objects: Vec<_> = told.iter().map(|(_, object, _)| &**object).collect();
    assert_eq!(objects, ["ConfigMap/bare", "HelmRelease/web"]);
    assert!(
        told.iter()
            .all(|(.., why)| why.contains("Kustomization/flux-system/bad has no spec.targetNamespace"))
    );
    assert!(rendered.whole.unsure.contains("bad") && !rendered.whole.unsure.contains("good"));
    // What depends on it is never applied.
    let never: Vec<_> = findings(&rendered).into_iter().filter(|(code, ..)| *code == 634).collect();
    assert_eq!(never.len(), 1, "{:?}", findings(&rendered));
    assert!(never[0].1.ends_with("/after") && rendered.whole.unsure.contains("after"), "{never:?}");
}

/// What is depended on is taken to be ready once it builds, and that an expression says otherwise is not unseen.
#[test]
fn an_expression_that_says_when_something_is_ready_is_said_to_be_unread() {
    let dir = tempfile::tempdir().unwrap();
    let (infra, apps) = (
        kustomization("infra", "path: ./infra"),
        kustomization(
            "apps",
            "path: ./apps, dependsOn: [{name: infra, readyExpr: 'dep.status.phase == \"x\"'}]",
        ),
    );
    let files = [
        ("clusters/dev/infra.yaml", &*infra),
        ("clusters/dev/apps.yaml", &*apps),
        ("infra/i.yaml", &config_map("i", "{}")),
        ("apps/a.yaml", &config_map("a", "{}")),
    ];
    let Some(rendered) = fleet(dir.path(), &files) else { return };
    assert_eq!(keys(&rendered), ["ConfigMap/default/a", "ConfigMap/default/i"]);
    let apps =
        rendered.objects.iter().find(|object| object.key.to_string() == "Kustomization/flux-system/apps");
    let problems = portolan_model::intake::intake(apps.unwrap()).problems;
    let told: Vec<_> = problems.iter().map(|problem| (problem.code.0, &*problem.field)).collect();
    assert_eq!(told, [(7, "spec.dependsOn.readyExpr")], "{problems:?}");
    assert!(portolan_core::gitops::verdict::left_out(problems[0].code).is_some());
}
