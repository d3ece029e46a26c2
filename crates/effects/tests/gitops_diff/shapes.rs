//! Small repositories in the shapes that teams have. Each is the files of one source and how its Application names it.

/// Paths and texts.
type Files = &'static [(&'static str, &'static str)];

/// Who else renders it.
pub enum Other {
    /// `kustomize build` of the folder.
    Kustomize,
    /// `helm template` of the folder, with Argo CD's arguments and these.
    Helm(&'static [&'static str]),
    /// Argo CD alone: its own options.
    ArgoCd,
}

pub struct Shape {
    pub name: &'static str,
    /// Fields of `spec.source` beside `repoURL` and `path: app`.
    pub source: &'static str,
    pub files: Vec<(&'static str, &'static str)>,
    pub other: Other,
}

const MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, labels: {app: x}}\ndata: {a: 'text', b: 'b'}\n";
const TWO: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two, namespace: other}\ndata: {a: '2'}\n---\n\
    apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: runner}\n";
const WORK: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: web}}\n  \
    template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: c, image: 'nginx:1', envFrom: [{configMapRef: {name: one}}]}]}\n---\n\
    apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n";
const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web}\n\
    spec: {parentRefs: [{name: edge}], hostnames: [web.example.com], rules: [{backendRefs: [{name: web, port: 80}]}]}\n";

/// Kustomizations over the same two files: name, what the kustomization says, further files.
const KUSTOMIZATIONS: &[(&str, &str, Files)] = &[
    ("prefix", "namePrefix: p-", &[]),
    ("suffix", "nameSuffix: -s", &[]),
    ("namespace", "namespace: elsewhere", &[]),
    ("common-labels", "commonLabels: {team: a}", &[]),
    ("labels", "labels: [{pairs: {team: a}}]", &[]),
    ("labels-selectors", "labels: [{pairs: {team: a}, includeSelectors: true}]", &[]),
    ("labels-templates", "labels: [{pairs: {team: a}, includeTemplates: true}]", &[]),
    ("annotations", "commonAnnotations: {team: a}", &[]),
    ("generator-literals", "configMapGenerator: [{name: made, literals: [a=1, 'b=x=y']}]", &[]),
    (
        "generator-files",
        "configMapGenerator: [{name: made, files: [conf, key=conf]}]",
        &[("app/conf", "x: 1\n")],
    ),
    (
        "generator-envs",
        "configMapGenerator: [{name: made, envs: [vars.env]}]",
        &[("app/vars.env", "A=1\nB=two words\n")],
    ),
    (
        "generator-no-hash",
        "configMapGenerator: [{name: made, literals: [a=1]}]\ngeneratorOptions: {disableNameSuffixHash: true, labels: {x: 'y'}}",
        &[],
    ),
    (
        "generator-merge",
        "configMapGenerator: [{name: made, literals: [a=1, b=1]}]\nresources: [one.yaml, work.yaml, ../base]",
        &[("base/kustomization.yaml", "configMapGenerator: [{name: other, literals: [c=1]}]\n")],
    ),
    (
        "patch-file",
        "patches: [{path: patch.yaml}]",
        &[(
            "app/patch.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: patched, c: new, b: null}\n",
        )],
    ),
    (
        "patch-inline",
        "patches:\n- patch: |-\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: one}\n    data: {a: inline}",
        &[],
    ),
    (
        "patch-json",
        "patches: [{target: {kind: ConfigMap}, patch: '[{\"op\": \"add\", \"path\": \"/data/c\", \"value\": \"c\"}]'}]",
        &[],
    ),
    (
        "patch-by-label",
        "patches: [{target: {labelSelector: app=x}, patch: '[{\"op\": \"replace\", \"path\": \"/data/a\", \"value\": \"by label\"}]'}]",
        &[],
    ),
    (
        "patch-delete",
        "patches: [{patch: '{\"$patch\": delete, apiVersion: v1, kind: Service, metadata: {name: web}}'}]",
        &[],
    ),
    (
        "patch-containers",
        "patches:\n- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: web}\n    spec: {template: {spec: {containers: [{name: c, args: [x]}, {name: d, image: side}]}}}",
        &[],
    ),
    (
        "patches-older",
        "patchesStrategicMerge: [patch.yaml]\npatchesJson6902: [{target: {version: v1, kind: ConfigMap, name: one}, path: more.json}]",
        &[
            ("app/patch.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {c: older}\n"),
            ("app/more.json", "[{\"op\": \"remove\", \"path\": \"/data/a\"}]"),
        ],
    ),
    ("images", "images: [{name: nginx, newName: r.example/nginx, newTag: '2'}]", &[]),
    ("image-digest", "images: [{name: nginx, digest: sha256:00}]", &[]),
    ("replicas", "replicas: [{name: web, count: 3}]", &[]),
    (
        "replacements",
        "replacements: [{source: {kind: ConfigMap, name: one, fieldPath: data.b}, targets: [{select: {kind: Deployment}, fieldPaths: ['metadata.annotations.from'], options: {create: true}}]}]",
        &[],
    ),
    (
        "components",
        "components: [../part]",
        &[(
            "part/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\ncommonAnnotations: {part: c}\n",
        )],
    ),
    (
        "two-bases",
        "resources: [one.yaml, work.yaml, ../base, ../more]\nnamePrefix: all-",
        &[
            ("base/kustomization.yaml", "resources: [r.yaml]\nnamePrefix: base-\n"),
            ("base/r.yaml", ROUTE),
            ("more/kustomization.yml", "resources: [m.yaml]\n"),
            ("more/m.yaml", TWO),
        ],
    ),
    (
        "deep-bases",
        "resources: [one.yaml, work.yaml, ../base]\nnamePrefix: a-",
        &[
            ("base/kustomization.yaml", "resources: [../deeper]\nnamePrefix: b-\ncommonLabels: {x: 'y'}\n"),
            ("deeper/Kustomization", "resources: [r.yaml]\nnamespace: deep\n"),
            ("deeper/r.yaml", ROUTE),
        ],
    ),
    (
        "transformer",
        "transformers: [t.yaml]",
        &[(
            "app/t.yaml",
            "apiVersion: builtin\nkind: PrefixSuffixTransformer\nmetadata: {name: t}\nprefix: t-\nfieldSpecs: [{path: metadata/name}]\n",
        )],
    ),
    (
        "generator-builtin",
        "generators: [g.yaml]",
        &[(
            "app/g.yaml",
            "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: g}\nname: built\nliterals: [k=v]\n",
        )],
    ),
    (
        "list",
        "resources: [one.yaml, work.yaml, list.yaml]",
        &[(
            "app/list.yaml",
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: l1}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: l2}}\n",
        )],
    ),
    (
        "aliases",
        "resources: [one.yaml, work.yaml, alias.yaml]",
        &[(
            "app/alias.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: alias, labels: &l {a: b}, annotations: *l}\n",
        )],
    ),
    ("sorted", "sortOptions: {order: legacy}", &[]),
    (
        "vars",
        "vars: [{name: B, objref: {apiVersion: v1, kind: ConfigMap, name: one}, fieldref: {fieldpath: data.b}}]\npatches: [{target: {kind: Deployment}, patch: '[{\"op\": \"add\", \"path\": \"/spec/template/spec/containers/0/args\", \"value\": [\"$(B)\"]}]'}]",
        &[],
    ),
    (
        "configurations",
        "namePrefix: p-\nconfigurations: [c.yaml]",
        &[(
            "app/c.yaml",
            "nameReference: [{kind: ConfigMap, version: v1, fieldSpecs: [{kind: ServiceAccount, path: metadata/annotations/of}]}]\n",
        )],
    ),
    (
        "immutable",
        "configMapGenerator: [{name: made, literals: [a=1], options: {immutable: true, annotations: {note: 'y'}}}]",
        &[],
    ),
];

/// Options of Argo CD over one kustomization.
const OPTIONS: &[(&str, &str)] = &[
    ("o-prefix", "namePrefix: p-"),
    ("o-suffix-namespace", "nameSuffix: -s, namespace: other"),
    ("o-images", "images: ['nginx:2', 'side=r.example/side:1']"),
    ("o-labels", "commonLabels: {team: a}"),
    ("o-labels-force", "commonLabels: {app: forced}, forceCommonLabels: true"),
    ("o-labels-selector", "commonLabels: {team: a}, labelWithoutSelector: true"),
    (
        "o-labels-templates",
        "commonLabels: {team: a}, labelWithoutSelector: true, labelIncludeTemplates: true",
    ),
    ("o-annotations", "commonAnnotations: {app: $ARGOCD_APP_NAME, plain: x}"),
    ("o-annotations-filled", "commonAnnotations: {app: $ARGOCD_APP_NAME}, commonAnnotationsEnvsubst: true"),
    ("o-replicas", "replicas: [{name: web, count: 4}]"),
    ("o-components", "components: [../part]"),
    ("o-components-missing", "components: [../part, ../none], ignoreMissingComponents: true"),
    (
        "o-patches",
        "patches: [{target: {kind: ConfigMap}, patch: '[{\"op\": \"replace\", \"path\": \"/data/a\", \"value\": \"app\"}]'}]",
    ),
];

const CHART: &str = "apiVersion: v2\nname: app\nversion: 0.1.0\nappVersion: '7'\n";
const VALUES: &str = "a: chart\nnum: 1\nlist: [x, z]\nmap: {k: v, l: {m: n}}\non: true\n";
const ALL: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}', labels: {chart: '{{ .Chart.Name }}-{{ .Chart.Version }}'}}\n\
    data:\n  values: {{ .Values | toJson | quote }}\n  release: '{{ .Release.Namespace }} {{ .Release.Service }} {{ .Release.IsInstall }}'\n";

/// Charts: name, `helm` of the source, the same for Helm, further files.
const CHARTS: &[(&str, &str, &[&str], Files)] = &[
    ("chart", "", &[], &[]),
    ("values", "helm: {values: 'a: inline'}", &["--set", "a=inline"], &[]),
    (
        "values-object",
        "helm: {valuesObject: {map: {k: object}, list: [z]}}",
        &["--set", "map.k=object", "--set", "list={z}"],
        &[],
    ),
    ("values-null", "helm: {valuesObject: {map: null}}", &["--set", "map=null"], &[]),
    (
        "parameters",
        "helm: {parameters: [{name: a, value: set}, {name: num, value: '2'}]}",
        &["--set", "a=set", "--set", "num=2"],
        &[],
    ),
    (
        "parameters-string",
        "helm: {parameters: [{name: num, value: '2', forceString: true}]}",
        &["--set-string", "num=2"],
        &[],
    ),
    (
        "parameters-paths",
        "helm: {parameters: [{name: 'map.l.m', value: deep}, {name: 'list[1]', value: second}, {name: 'new.a\\.b', value: dot}]}",
        &["--set", "map.l.m=deep", "--set", "list[1]=second", "--set", "new.a\\.b=dot"],
        &[],
    ),
    (
        "parameters-filled",
        "helm: {parameters: [{name: a, value: $ARGOCD_APP_NAME}]}",
        &["--set", "a=team"],
        &[],
    ),
    (
        "files",
        "helm: {valueFiles: [one.yaml, more/two.yaml]}",
        &["--values", "one.yaml", "--values", "more/two.yaml"],
        &[("app/one.yaml", "a: one\nmap: {k: one}\n"), ("app/more/two.yaml", "a: two\n")],
    ),
    (
        "files-missing",
        "helm: {valueFiles: [one.yaml, none.yaml], ignoreMissingValueFiles: true}",
        &["--values", "one.yaml"],
        &[("app/one.yaml", "a: one\n")],
    ),
    (
        "files-and-all",
        "helm: {valueFiles: [one.yaml], values: 'a: inline', parameters: [{name: num, value: '3'}]}",
        &["--values", "one.yaml", "--set", "a=inline", "--set", "num=3"],
        &[("app/one.yaml", "a: one\nlist: []\n")],
    ),
    (
        "file-parameters",
        "helm: {fileParameters: [{name: a, path: text.txt}]}",
        &["--set-file", "a=text.txt"],
        &[("app/text.txt", "some, text\n")],
    ),
    ("release", "helm: {releaseName: named}", &["--name-template", "named"], &[]),
    (
        "crds",
        "",
        &[],
        &[(
            "app/crds/x.yaml",
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.example.com}\n\
        spec: {group: example.com, scope: Namespaced, names: {kind: X, plural: xs}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}\n",
        )],
    ),
    (
        "crds-skipped",
        "helm: {skipCrds: true}",
        &["--skip-crds"],
        &[("app/crds/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: no-crd}\n")],
    ),
    (
        "subchart",
        "helm: {valuesObject: {sub: {a: of-parent}, global: {g: 1}}}",
        &["--set", "sub.a=of-parent", "--set", "global.g=1"],
        &[
            ("app/charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 0.1.0\n"),
            ("app/charts/sub/values.yaml", "a: sub\n"),
            (
                "app/charts/sub/templates/s.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sub}\ndata: {v: '{{ toJson .Values }}'}\n",
            ),
        ],
    ),
    (
        "condition",
        "helm: {valuesObject: {sub: {enabled: false}}}",
        &["--set", "sub.enabled=false"],
        &[
            (
                "app/Chart.yaml",
                "apiVersion: v2\nname: app\nversion: 0.1.0\ndependencies: [{name: sub, version: 0.1.0, condition: sub.enabled}, {name: sub, version: 0.1.0, alias: again}]\n",
            ),
            ("app/charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 0.1.0\n"),
            (
                "app/charts/sub/templates/s.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Chart.Name }}'}\n",
            ),
        ],
    ),
    (
        "helpers",
        "",
        &[],
        &[
            ("app/templates/_h.tpl", "{{- define \"h\" }}{{ . | upper }}{{ end }}"),
            (
                "app/templates/h.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: h}\ndata: {x: '{{ include \"h\" .Values.a }}', y: '{{ tpl \"{{ .Values.num }}\" . }}'}\n",
            ),
        ],
    ),
    (
        "files-of-chart",
        "",
        &[],
        &[
            ("app/extra/t.txt", "hello\n"),
            (
                "app/templates/f.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: f}\ndata:\n{{ (.Files.Glob \"extra/*\").AsConfig | indent 2 }}\n",
            ),
        ],
    ),
    (
        "lookup",
        "",
        &[],
        &[(
            "app/templates/l.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: l}\ndata: {found: '{{ lookup \"v1\" \"Secret\" \"a\" \"b\" | len }}'}\n",
        )],
    ),
    (
        "kube-version",
        "helm: {kubeVersion: 1.30.0}",
        &["--kube-version", "1.30.0"],
        &[(
            "app/templates/k.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: k}\ndata: {v: '{{ .Capabilities.KubeVersion.Version }}'}\n",
        )],
    ),
    (
        "api-versions",
        "helm: {apiVersions: [example.com/v1/X]}",
        &["--api-versions", "example.com/v1/X"],
        &[(
            "app/templates/k.yaml",
            "{{ if .Capabilities.APIVersions.Has \"example.com/v1/X\" }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: has}\n{{ end }}\n",
        )],
    ),
    (
        "empty-and-many",
        "",
        &[],
        &[
            (
                "app/templates/m.yaml",
                "{{ range $i, $x := .Values.list }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'm{{ $i }}'}\ndata: {x: {{ $x }}}\n{{ end }}\n---\n# nothing\n---\n",
            ),
            ("app/templates/e.yaml", "{{ if .Values.none }}x{{ end }}"),
            ("app/templates/NOTES.txt", "notes"),
        ],
    ),
    (
        "schema",
        "helm: {parameters: [{name: num, value: '5'}]}",
        &["--set", "num=5"],
        &[(
            "app/values.schema.json",
            "{\"type\": \"object\", \"properties\": {\"num\": {\"type\": \"integer\"}}}",
        )],
    ),
    ("routes", "", &[], &[("app/templates/r.yaml", ROUTE)]),
];

/// Folders of plain files: name, `directory` of the source, files.
const FOLDERS: &[(&str, &str, Files)] = &[
    (
        "folder",
        "",
        &[("app/one.yaml", MAP), ("app/two.yml", TWO), ("app/README.md", "# no"), ("app/sub/no.yaml", WORK)],
    ),
    (
        "recurse",
        "directory: {recurse: true}",
        &[("app/one.yaml", MAP), ("app/sub/work.yaml", WORK), ("app/sub/deep/r.yaml", ROUTE)],
    ),
    (
        "include",
        "directory: {recurse: true, include: '*.yaml'}",
        &[("app/one.yaml", MAP), ("app/two.yml", TWO), ("app/sub/work.yaml", WORK)],
    ),
    (
        "include-some",
        "directory: {recurse: true, include: '{one.yaml,sub/*}'}",
        &[("app/one.yaml", MAP), ("app/two.yml", TWO), ("app/sub/work.yaml", WORK)],
    ),
    (
        "exclude",
        "directory: {recurse: true, exclude: 'sub/*'}",
        &[("app/one.yaml", MAP), ("app/sub/work.yaml", WORK)],
    ),
    (
        "exclude-of-include",
        "directory: {recurse: true, include: '*.yaml', exclude: 'one*'}",
        &[("app/one.yaml", MAP), ("app/work.yaml", WORK)],
    ),
    (
        "json",
        "",
        &[(
            "app/j.json",
            "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"j\"}, \"data\": {\"a\": \"1\"}}",
        )],
    ),
    (
        "documents",
        "",
        &[(
            "app/all.yaml",
            "---\n# first\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: d1}\n---\n\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: d2}\n...\n",
        )],
    ),
    (
        "list-kind",
        "",
        &[(
            "app/l.yaml",
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: l1}}\n- {apiVersion: v1, kind: ServiceAccount, metadata: {name: l2}}\n",
        )],
    ),
    (
        "anchors",
        "",
        &[(
            "app/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: &x 'text', y: *x}\n",
        )],
    ),
    (
        "scalars",
        "",
        &[
            (
                "app/s.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, annotations: {y: 'yes', n: \"1\", e: ''}}\n",
            ),
            (
                "app/t.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: t}\ndata:\n  block: |\n    a\n     b\n  fold: >-\n    a\n    b\n  quoted: \"\\u00e9\\n\"\n",
            ),
        ],
    ),
];

/// All of them.
/// What stands beside a good file in a folder, and whether Argo CD refuses the whole Application for it.
pub const BESIDE: &[(&str, &str, bool)] = &[
    ("app/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n---\nhosts: [a\n", true),
    ("app/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [b}\n", true),
    ("app/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n---\nvalues: {a: 1}\n", true),
    ("app/values.yaml", "hosts: [a\n", false),
    ("app/values.yaml", "replicas: 1\n", false),
    ("app/values.yaml", "extra:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: e\n", true),
    ("app/notes.yaml", "{% if apiVersion %}\na: b\n{% endif %}\n", false),
    ("app/empty.yaml", "# nothing\n---\n", false),
    ("app/tsconfig.json", "{\"a\": 1 // as there\n}", true),
    ("app/two.json", "{\"kind\": \"A\"}\n{\"kind\": \"B\"}", true),
    ("app/list.json", "[{\"title\": \"x\"}]", true),
    (
        "app/skipped.yaml",
        "# +argocd:skip-file-rendering\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: [b}\n",
        false,
    ),
];

pub fn all() -> Vec<Shape> {
    let mut all = vec![];
    for (name, says, more) in KUSTOMIZATIONS {
        let own = if says.contains("resources:") {
            (*says).to_owned()
        } else {
            format!("resources: [one.yaml, work.yaml]\n{says}")
        };
        let files = [
            ("app/kustomization.yaml", &*format!("{own}\n").leak()),
            ("app/one.yaml", MAP),
            ("app/work.yaml", WORK),
        ];
        let files = files.into_iter().chain(more.iter().copied()).collect();
        all.push(Shape { name, source: "", files, other: Other::Kustomize });
    }
    for (name, options) in OPTIONS {
        let files = vec![
            ("app/kustomization.yaml", "resources: [one.yaml, work.yaml]\nlabels: [{pairs: {own: a}}]\n"),
            ("app/one.yaml", MAP),
            ("app/work.yaml", WORK),
            (
                "part/kustomization.yaml",
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\n",
            ),
        ];
        all.push(Shape {
            name,
            source: format!("kustomize: {{{options}}}").leak(),
            files,
            other: Other::ArgoCd,
        });
    }
    for (name, source, args, more) in CHARTS {
        let files = [("app/Chart.yaml", CHART), ("app/values.yaml", VALUES), ("app/templates/all.yaml", ALL)];
        let files = files.into_iter().chain(more.iter().copied()).collect();
        all.push(Shape { name, source, files, other: Other::Helm(args) });
    }
    for (name, source, files) in FOLDERS {
        all.push(Shape { name, source, files: files.to_vec(), other: Other::ArgoCd });
    }
    all
}
