//! Small repositories of Flux. Each is a folder `app`, how a Kustomization or a HelmRelease named `team` takes it, and what that refers
//! to. They are rendered by us and by the packages that Flux' controllers are made of (`rig/flux`).

use std::{fs, path::Path};

use portolan_effects::render::{Tools, render};
use portolan_model::yaml;
use serde_json::Value;

use super::{Objects, Program, different, objects};

/// Paths and texts; a text `-> PATH` is a link.
type Files = &'static [(&'static str, &'static str)];

pub struct Shape {
    name: &'static str,
    /// Further fields of the source.
    source: &'static str,
    /// Kind of the object, and fields of its `spec`.
    object: (&'static str, &'static str),
    /// ConfigMaps and Secrets, in the object's namespace.
    facts: &'static str,
    files: Files,
    /// The cluster's controller has `StrictPostBuildSubstitutions=false`, as all had before kustomize-controller 1.9.
    lenient: bool,
    /// What both say as they refuse it; empty where they build.
    refused: &'static str,
}

const KUSTOMIZATION: &str = "Kustomization";
const RELEASE: &str = "HelmRelease";

const fn folder(name: &'static str, fields: &'static str, files: Files) -> Shape {
    Shape { name, source: "", object: (KUSTOMIZATION, fields), facts: "", files, lenient: false, refused: "" }
}

const fn release(name: &'static str, fields: &'static str, facts: &'static str) -> Shape {
    Shape { object: (RELEASE, fields), facts, ..folder(name, "", &[]) }
}

const ONE: (&str, &str) = (
    "app/one.yaml",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: default, labels: {app: x}}\ndata: {a: 'text', b: 'b'}\n",
);
const TWO: (&str, &str) = (
    "app/deep/two.yaml",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two, namespace: other}\ndata: {a: '2'}\n",
);
const WORK: (&str, &str) = (
    "app/work.yaml",
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: default}\nspec:\n  selector: {matchLabels: {app: web}}\n  \
     template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: c, image: 'nginx:1'}]}\n",
);
const ALL: (&str, &str) =
    ("app/kustomization.yaml", "resources: [one.yaml, work.yaml]\nimages: [{name: nginx, newTag: '2'}]\n");
const FILLED: (&str, &str) = (
    "app/filled.yaml",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: filled, namespace: default}\ndata:\n  a: '${a}'\n  default: '${none:-x}'\n  set: '${other:=z}'\n  \
     replaced: '${a/o/0}'\n  cut: '${a:0:2}'\n  length: 'n${#a}'\n  dollar: '$${a}'\n  plain: '$a'\n  upper: '${a^^}'\n  \
     alone: '$ {a}'\n",
);
const DEFAULTS: (&str, &str) = (
    "app/defaults.yaml",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: defaults, namespace: default}\ndata:\n  default: '${none:-x}'\n  set: '${other:=z}'\n  \
     bare: '${none=v}'\n  nested: '${none:=${other:=deep}}'\n  empty: 'a${none:=}'\n  dollar: '$${a}'\n  plain: '$a'\n",
);
const LENGTH: (&str, &str) = (
    "app/length.yaml",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: length, namespace: default}\ndata: {length: 'n${#none}'}\n",
);
const NESTED: (&str, &str) = (
    "app/nested.yaml",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nested, namespace: default}\ndata: {nested: 'n${b:=${none}}'}\n",
);
/// How the library that fills in says that a variable is not set.
const UNSET: &str = "variable not set (strict mode)";
const KEPT: (&str, &str) = (
    "app/kept.yaml",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, namespace: default, annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}}\ndata: {a: '${a}'}\n",
);
const HIDDEN: (&str, &str) =
    ("app/hidden/h.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hidden, namespace: default}\n");
const CI: (&str, &str) =
    ("app/.github/ci.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ci, namespace: default}\n");
const BUILD: (&str, &str) =
    ("app/cloudbuild.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: build, namespace: default}\n");

const FOLDERS: &[Shape] = &[
    folder("made", "path: ./app", &[ONE, TWO, WORK]),
    folder(
        "made-above-another",
        "path: ./app",
        &[
            ONE,
            ("app/sub/kustomization.yaml", "resources: [s.yaml]\nnamePrefix: s-\n"),
            (
                "app/sub/s.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sub, namespace: default}\n",
            ),
            (
                "app/sub/not.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: unlisted, namespace: default}\n",
            ),
        ],
    ),
    folder("names", "path: app, targetNamespace: shop, namePrefix: p-, nameSuffix: -s", &[ONE, TWO, WORK]),
    folder(
        "patches",
        "path: ./app, patches: [{patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {a: patched, b: null}}'}, \
        {target: {kind: Deployment}, patch: '[{\"op\": \"add\", \"path\": \"/spec/replicas\", \"value\": 3}]'}]",
        &[ONE, WORK],
    ),
    folder(
        "images-over-images",
        "path: ./app, images: [{name: nginx, newName: r.example/nginx}, {name: other, newTag: '1'}]",
        &[ONE, WORK, ALL],
    ),
    folder("image-digest", "path: ./app, images: [{name: nginx, digest: 'sha256:00'}]", &[ONE, WORK, ALL]),
    folder(
        "components",
        "path: ./app, components: [../part, ../none], ignoreMissingComponents: true",
        &[
            ONE,
            WORK,
            ALL,
            (
                "part/kustomization.yaml",
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\n",
            ),
        ],
    ),
    folder(
        "files-above",
        "path: ./app",
        &[
            ONE,
            ("app/kustomization.yaml", "resources: [one.yaml, ../base/b.yaml]\n"),
            ("base/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base, namespace: default}\n"),
        ],
    ),
    folder("substitute", "path: ./app, postBuild: {substitute: {a: word}}", &[ONE, FILLED, KEPT]),
    folder("substitute-always", "path: ./app, postBuild: {substituteStrategy: Always}", &[DEFAULTS, KEPT]),
    Shape {
        refused: UNSET,
        ..folder("substitute-always-unset", "path: ./app, postBuild: {substituteStrategy: Always}", &[FILLED])
    },
    Shape {
        lenient: true,
        ..folder(
            "substitute-always-lenient",
            "path: ./app, postBuild: {substituteStrategy: Always}",
            &[FILLED, DEFAULTS, KEPT],
        )
    },
    Shape {
        refused: UNSET,
        ..folder("substitute-unset", "path: ./app, postBuild: {substitute: {b: word}}", &[ONE, FILLED])
    },
    Shape {
        refused: UNSET,
        ..folder("substitute-unset-length", "path: ./app, postBuild: {substitute: {b: word}}", &[LENGTH])
    },
    Shape {
        refused: UNSET,
        ..folder(
            "substitute-unset-in-a-default",
            "path: ./app, postBuild: {substitute: {b: word}}",
            &[NESTED],
        )
    },
    Shape {
        lenient: true,
        ..folder(
            "substitute-unset-lenient",
            "path: ./app, postBuild: {substitute: {b: word}}",
            &[ONE, FILLED, LENGTH, NESTED],
        )
    },
    folder("substitute-nothing", "path: ./app, postBuild: {substitute: {}}", &[FILLED]),
    Shape {
        facts: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vars, namespace: flux-system}\ndata: {a: \"from\\nmap\", none: map}\n---\n\
        apiVersion: v1\nkind: Secret\nmetadata: {name: hidden, namespace: flux-system}\nstringData: {none: secret}\n",
        object: (
            KUSTOMIZATION,
            "path: ./app, postBuild: {substitute: {other: own}, substituteFrom: [{kind: ConfigMap, name: vars}, \
            {kind: Secret, name: hidden}, {kind: ConfigMap, name: lost, optional: true}]}",
        ),
        ..folder("substitute-from", "", &[FILLED, KEPT])
    },
    folder(
        "common-metadata",
        "path: ./app, commonMetadata: {labels: {team: a}, annotations: {by: flux}}",
        &[ONE, TWO],
    ),
    folder(
        "sourceignore",
        "path: ./app",
        &[ONE, WORK, HIDDEN, (".sourceignore", "# not yet\nhidden/\n*.md\n"), ("app/README.md", "x")],
    ),
    folder(
        "sourceignore-below",
        "path: ./app",
        &[
            ONE,
            TWO,
            HIDDEN,
            WORK,
            (".sourceignore", "work.yaml\n"),
            ("app/.sourceignore", "/hidden/*\n/deep\n!work.yaml\n"),
        ],
    ),
    folder(
        "sourceignore-from-the-top",
        "path: ./app",
        &[ONE, TWO, HIDDEN, (".sourceignore", "/two.yaml\n/app/**/h.yaml\n")],
    ),
    folder(
        "sourceignore-brought-back",
        "path: ./app",
        &[ONE, TWO, HIDDEN, (".sourceignore", "app/deep/\napp/hidden/\n!app/hidden/h.yaml\n")],
    ),
    folder(
        "sourceignore-listed-folder",
        "path: ./app",
        &[
            ONE,
            WORK,
            ("app/sub/kustomization.yaml", "resources: [s.yaml]\n"),
            (
                "app/sub/s.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sub, namespace: default}\n",
            ),
            (".sourceignore", "sub/kustomization.yaml\n"),
        ],
    ),
    Shape {
        source: ", ignore: \"/*\\n!/app\\n\"",
        ..folder("ignore-all-but", "path: ./app", &[ONE, TWO, CI])
    },
    Shape {
        source: ", ignore: '!hidden/'",
        ..folder("ignore-over-sourceignore", "path: ./app", &[ONE, HIDDEN, (".sourceignore", "hidden/\n")])
    },
    folder("flux-own-list", "path: ./app", &[ONE, CI, BUILD]),
    folder("no-list-beside-a-pattern", "path: ./app", &[ONE, CI, BUILD, ("docs/.sourceignore", "x\n")]),
    folder(
        "links",
        "path: ./app",
        &[
            ONE,
            ("app/link.yaml", "-> deep/two.yaml"),
            TWO,
            ("app/linked", "-> ../other"),
            (
                "other/o.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: linked, namespace: default}\n",
            ),
        ],
    ),
    folder(
        "nothing-listed",
        "path: ./app, targetNamespace: shop",
        &[ONE, ("app/kustomization.yaml", "configMapGenerator: [{name: made, literals: [a=1]}]\n")],
    ),
];

const CHART: Files = &[
    ("app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\n"),
    ("app/values.yaml", "text: chart\nboth: {chart: 1}\nlist: [a, b]\n"),
    (
        "app/templates/all.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}', namespace: '{{ .Release.Namespace }}'}\ndata:\n  \
        values: {{ .Values | toJson | quote }}\n",
    ),
    ("app/templates/left-out.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: left-out}\n"),
    (".sourceignore", "left-out.yaml\n"),
];

const FACTS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map, namespace: flux-system}\ndata:\n  \
    values.yaml: \"text: map\\nboth: {map: 1, a: map}\\nmap: {x: 1}\\n\"\n  number: '7'\n  word: path\n  quoted: \"'7'\"\n  odd: 'a,b={c}[d]'\n  many: '{a,7,True, b}'\n  escaped: 'a\\,b'\n  truth: 'True'\n  two: 'a,b'\n---\n\
    apiVersion: v1\nkind: Secret\nmetadata: {name: secret, namespace: flux-system}\nstringData: {values.yaml: 'text: secret', word: hidden}\n";

const RELEASES: &[Shape] = &[
    release("values", "values: {text: own, both: {own: 1}}", ""),
    release(
        "values-from",
        "valuesFrom: [{kind: ConfigMap, name: map}, {kind: Secret, name: secret}], values: {both: {own: 1}}",
        FACTS,
    ),
    release(
        "values-from-optional",
        "valuesFrom: [{kind: ConfigMap, name: none, optional: true}, {kind: ConfigMap, name: map, valuesKey: none, optional: true}], values: {text: own}",
        FACTS,
    ),
    release(
        "path-of-a-text",
        "valuesFrom: [{kind: ConfigMap, name: map, valuesKey: word, targetPath: text}], values: {text: own}",
        FACTS,
    ),
    release(
        "path-of-nobody",
        "valuesFrom: [{kind: ConfigMap, name: map, valuesKey: number, targetPath: new.deep}], values: {text: own}",
        FACTS,
    ),
    release(
        "path-below-own",
        "valuesFrom: [{kind: Secret, name: secret, valuesKey: word, targetPath: own.a}], values: {own: {a: own}}",
        FACTS,
    ),
    release(
        "path-below-both",
        "valuesFrom: [{kind: ConfigMap, name: map}, {kind: ConfigMap, name: map, valuesKey: word, targetPath: both.a}], values: {both: {a: own}}",
        FACTS,
    ),
    release(
        "path-before-a-mapping",
        "valuesFrom: [{kind: ConfigMap, name: map, valuesKey: word, targetPath: both.a}, {kind: ConfigMap, name: map}], values: {both: {b: own}}",
        FACTS,
    ),
    release(
        "path-of-a-list",
        "valuesFrom: [{kind: ConfigMap, name: map, valuesKey: word, targetPath: 'list[1]'}], values: {list: [x, y]}",
        FACTS,
    ),
    release(
        "path-beyond-a-list",
        "valuesFrom: [{kind: ConfigMap, name: map, valuesKey: word, targetPath: 'list[2].name'}], values: {list: [x]}",
        FACTS,
    ),
    release(
        "path-in-a-list",
        "valuesFrom: [{kind: ConfigMap, name: map, valuesKey: word, targetPath: 'list[0].name'}], values: {list: [{a: 1}]}",
        FACTS,
    ),
    release(
        "path-quoted",
        "valuesFrom: [{kind: ConfigMap, name: map, valuesKey: quoted, targetPath: 'a\\.b'}]",
        FACTS,
    ),
    release(
        "path-list",
        "valuesFrom: [{kind: ConfigMap, name: map, valuesKey: many, targetPath: own.list}], values: {own: {list: [x], c: 1}}",
        FACTS,
    ),
    release(
        "path-escaped",
        "valuesFrom: [{kind: ConfigMap, name: map, valuesKey: escaped, targetPath: text}, {kind: ConfigMap, name: map, valuesKey: truth, targetPath: truth}]",
        FACTS,
    ),
    Shape {
        refused: "has no value",
        ..release(
            "path-of-two-values",
            "valuesFrom: [{kind: ConfigMap, name: map, valuesKey: two, targetPath: text}]",
            FACTS,
        )
    },
    release(
        "path-literal",
        "valuesFrom: [{kind: ConfigMap, name: map, valuesKey: odd, targetPath: odd, literal: true}]",
        FACTS,
    ),
    release(
        "two-paths",
        "valuesFrom: [{kind: ConfigMap, name: map, valuesKey: word, targetPath: own.a}, {kind: ConfigMap, name: map, valuesKey: number, targetPath: own.b}], values: {own: {c: 1}}",
        FACTS,
    ),
    release("names", "releaseName: named, targetNamespace: shop, values: {text: own}", ""),
    release("target-namespace", "targetNamespace: shop", ""),
];

/// The controller as `flux bootstrap` writes it, with its gate off.
const LENIENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: kustomize-controller, namespace: flux-system}\nspec:\n  \
    selector: {matchLabels: {app: kustomize-controller}}\n  template:\n    metadata: {labels: {app: kustomize-controller}}\n    \
    spec: {containers: [{name: manager, image: 'ghcr.io/fluxcd/kustomize-controller:v1.9.0', \
    args: ['--watch-all-namespaces=true', '--feature-gates=StrictPostBuildSubstitutions=false']}]}\n";

pub fn all() -> impl Iterator<Item = &'static Shape> {
    FOLDERS.iter().chain(RELEASES)
}

impl Shape {
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn cluster(&self) -> Vec<(String, String)> {
        let (kind, fields) = self.object;
        let reference = "sourceRef: {kind: GitRepository, name: team}";
        let object = if kind == KUSTOMIZATION {
            format!(
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: team, namespace: flux-system}}\n\
                 spec: {{interval: 10m, prune: true, {reference}, {fields}}}\n"
            )
        } else {
            format!(
                "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: team, namespace: flux-system}}\n\
                 spec: {{interval: 10m, chart: {{spec: {{chart: ./app, {reference}}}}}, {fields}}}\n"
            )
        };
        let url = "url: 'ssh://git@git.example.com/p/fleet'";
        let repository = |name: &str, more: &str| {
            format!(
                "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: {name}, namespace: flux-system}}\n\
                 spec: {{interval: 1m, {url}{more}}}\n"
            )
        };
        let sync = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: flux-system, namespace: flux-system}\n\
                    spec: {interval: 10m, path: ./clusters/dev, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}\n";
        let system = "clusters/dev/flux-system";
        let mut listed = "resources: [gotk-sync.yaml]\n";
        let mut files = Vec::new();
        if self.lenient {
            listed = "resources: [gotk-sync.yaml, gotk-components.yaml]\n";
            files.push((format!("{system}/gotk-components.yaml"), LENIENT.to_owned()));
        }
        files.extend([
            (
                format!("{system}/gotk-sync.yaml"),
                format!("{}---\n{sync}", repository("flux-system", ", ignore: '!*.yaml'")),
            ),
            (format!("{system}/kustomization.yaml"), listed.to_owned()),
            (
                "clusters/dev/team.yaml".to_owned(),
                format!("{}---\n{object}", repository("team", self.source)),
            ),
        ]);
        if !self.facts.is_empty() {
            files.push(("clusters/dev/facts.yaml".to_owned(), self.facts.to_owned()));
        }
        files
    }

    /// What is different; empty where nothing is. `None` without the others' program.
    pub fn compare(&self, tools: &Tools, flux: Option<&mut Program>) -> Result<Option<String>, String> {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().canonicalize().unwrap();
        let cluster = self.cluster();
        let own = self.files.iter().chain(if self.object.0 == RELEASE { CHART } else { &[] });
        let files = own.copied().chain(cluster.iter().map(|(path, text)| (&**path, &**text)));
        for (path, text) in files {
            let path = repo.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text.strip_prefix("-> ") {
                Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
                None => fs::write(path, text).unwrap(),
            }
        }
        let ours = self.ours(&repo, tools);
        let is_refused = |said: &str| !self.refused.is_empty() && said.contains(self.refused);
        let ours = match ours {
            Err(why) if is_refused(&why) => None,
            Err(why) => return Err(why),
            Ok(_) if !self.refused.is_empty() => return Err("it is not refused".to_owned()),
            Ok(ours) => Some(ours),
        };
        let Some(flux) = flux else { return Ok(None) };
        let texts = cluster.iter().filter(|(path, _)| !path.contains("flux-system"));
        let asked: Vec<Value> =
            texts.flat_map(|(_, text)| yaml::load(text).0).map(|document| document.json).collect();
        let theirs = flux.ask(&serde_json::json!({"dir": repo, "objects": asked, "lenient": self.lenient}));
        Ok(Some(match (ours, theirs) {
            (Some(ours), Ok(theirs)) => different(&ours, &objects(theirs, "default")),
            (None, Err(why)) if is_refused(&why) => String::new(),
            (None, Ok(_)) => " it is not refused".to_owned(),
            (_, Err(why)) => format!(" fails: {why}"),
        }))
    }

    fn ours(&self, repo: &Path, tools: &Tools) -> Result<Objects, String> {
        let rendered = render(repo, "dev", None, tools);
        let wrong = rendered.problems.iter().filter(|problem| (600..640).contains(&problem.code.0));
        let wrong: Vec<String> = wrong.map(|p| format!("{} {} {}", p.code, p.object, p.message)).collect();
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        let team = |object: &&portolan_model::Object| {
            object
                .origin
                .owner
                .as_ref()
                .is_some_and(|by| &*by.name.name == "team" && &*by.kind.kind == self.object.0)
        };
        let ours = rendered.objects.iter().filter(team);
        Ok(objects(ours.map(|object| Value::clone(&object.json)), "default"))
    }
}
