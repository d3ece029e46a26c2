//! Where objects of charts stand: line by line, as far as Helm's text shows it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use portolan_effects::render::{Tools, read};
use portolan_model::{Name, Placed};
use portolan_testkit as testkit;

const CHART: &str = "apiVersion: v2\nname: team\nversion: 0.1.0\n";
const VALUES: &str = "name: web\nsize: 5\nhosts: [a.example, b.example]\nextra: {one: '1', two: '2'}\n";
const HELPERS: &str = "{{- define \"team.name\" -}}\n{{ .Values.name }}\n{{- end }}\n";
/// Line 1 is the first one.
const ROUTE: &str = "{{- range $n, $host := .Values.hosts }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include \"team.name\" $ }}-{{ $n }}
  annotations:
    {{- toYaml $.Values.extra | nindent 4 }}
    # what it is for
    purpose: >-
      shows
      lines
data:
  {{- if $host }}
  host: {{ $host | quote }}
  {{- end }}
  text: |
    name: {{ $host }}
  last: {{- \" x\" }}
  size: {{ $.Values.size | quote }}
  both: {{ $.Values.name }}-{{ $.Values.size }}
{{- end }}
";

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn fields_of_a_chart_stand_at_lines_of_its_templates() {
    let Some(helm) = testkit::program("helm") else {
        return testkit::skip("effects/places", "helm was not found; run scripts/setup demo");
    };
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("repo");
    // One that changes with each run, and one whose text a comment would change.
    let odd =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\ndata:\n  random: {{ randAlphaNum 20 }}\n";
    let quoted = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: quoted}\ndata:\n  a: \"x\n    y\"\n";
    write(
        &folder,
        &[
            ("Chart.yaml", CHART),
            ("values.yaml", VALUES),
            ("templates/_helpers.tpl", HELPERS),
            ("templates/route.yaml", ROUTE),
            ("templates/odd.yaml", odd),
            ("templates/quoted.yaml", quoted),
        ],
    );
    let tools = Tools::new(Some(helm), dir.path().join("cache"));
    let tools = tools.through(env!("CARGO_BIN_EXE_portolan-confined"));
    let (rendered, mut tree) = read(&folder, "dev", None, &tools);
    assert_eq!(rendered.problems, vec![]);
    assert!(rendered.objects.iter().all(|object| object.origin.is_of_file_alone()), "nobody has asked yet");
    let object = |name: &str| {
        rendered.objects.iter().find(|object| *object.key.name.name == *name).unwrap().key.clone()
    };
    let fields =
        [("web-0", "data.host"), ("web-0", "data.size"), ("web-1", "data.size"), ("web-1", "data.both")];
    let fields = fields.map(|(name, field)| (object(name), Name::new(field)));
    let asked: BTreeMap<_, _> = rendered
        .whole
        .applications
        .iter()
        .map(|app| (app.key.clone(), fields.iter().cloned().collect()))
        .collect();
    let places = tree.places(&asked);
    let place = |name: &str, field: &str| {
        let (_, origin) = places.iter().find(|(key, _)| *key.name.name == *name)?;
        let place = origin.place_of(field)?;
        Some((place.placed, place.line.unwrap()))
    };
    for name in ["web-0", "web-1"] {
        for (field, wanted) in [
            ("", (Placed::Exact, 3)),
            ("kind", (Placed::Exact, 4)),
            ("metadata.name", (Placed::Exact, 6)),
            ("data.host", (Placed::Exact, 15)),
            ("data.text", (Placed::Exact, 17)),
            ("data.last", (Placed::Exact, 19)),
            ("metadata.annotations.purpose", (Placed::Exact, 10)),
            // Of what one action prints only the end is at its line.
            ("metadata.annotations.two", (Placed::Exact, 8)),
            ("metadata.annotations.one", (Placed::Near, 7)),
            ("data.none", (Placed::Near, 13)),
            // The one value that its line names, in the chart's own file.
            ("data.size", (Placed::Value, 2)),
            ("data.both", (Placed::Exact, 21)),
        ] {
            assert_eq!(place(name, field), Some(wanted), "{name} {field}");
        }
    }
    // Their documents are not those of the plain text: the file is known.
    assert_eq!((place("odd", "data.random"), place("quoted", "data.a")), (None, None));
    let file = &places[0].1.source.as_ref().unwrap().file;
    assert_eq!(&**file, "templates/route.yaml");
    // What was read stays as it was.
    let again = tree.read(&portolan_effects::render::Touched::Paths(BTreeSet::new()));
    assert_eq!((again.objects.len(), again.gone.len()), (0, 0));
    // What is edited before they are looked for is still told by the next reading: no undone edit stands on.
    write(&folder, &[("values.yaml", &VALUES.replace("size: 5", "size: 6"))]);
    tree.places(&asked);
    let edit = tree.read(&portolan_effects::render::Touched::Paths([folder.join("values.yaml")].into()));
    assert_eq!(edit.objects.len(), rendered.objects.len(), "{:?}", edit.objects);
}

/// A value stands in the last file that has it, or nowhere that is known: never in one that it wins over.
#[test]
fn no_value_is_said_to_stand_where_another_wins_over_it() {
    let Some(helm) = testkit::program("helm") else {
        return testkit::skip("effects/places", "helm was not found; run scripts/setup demo");
    };
    let merged = "base: &b\n  size: 7\nweb:\n  <<: *b\n";
    for (dev, options, wanted) in [
        (
            "web:\n  size: 7\n",
            "valueFiles: [values.dev.yaml]",
            (Placed::Value, "charts/team/values.dev.yaml", 2),
        ),
        ("other: 1\n", "valueFiles: [values.dev.yaml]", (Placed::Value, "charts/team/values.yaml", 2)),
        (merged, "valueFiles: [values.dev.yaml]", (Placed::Exact, "charts/team/templates/m.yaml", 5)),
        ("", "valuesObject: {web: {size: 7}}", (Placed::Exact, "charts/team/templates/m.yaml", 5)),
        ("", "values: 'web: {size: 7}'", (Placed::Exact, "charts/team/templates/m.yaml", 5)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("repo");
        let application = |name: &str, source: &str| {
            format!(
                "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\nspec:\n  project: default\n  \
                 destination: {{server: 'https://kubernetes.default.svc', namespace: ns}}\n  source: {{repoURL: https://git.example.com/p/edge.git, {source}}}\n"
            )
        };
        let team = application("team", &format!("path: charts/team, helm: {{{options}}}"));
        write(
            &folder,
            &[
                ("argocd-bootstrap-apps/dev.yaml", &application("root", "path: apps")),
                ("apps/team.yaml", &team),
                ("charts/team/Chart.yaml", CHART),
                ("charts/team/values.yaml", "web:\n  size: 5\n"),
                ("charts/team/values.dev.yaml", dev),
                (
                    "charts/team/templates/m.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata:\n  size: {{ .Values.web.size | quote }}\n",
                ),
            ],
        );
        let tools = Tools::new(Some(helm.clone()), dir.path().join("cache"));
        let tools = tools.through(env!("CARGO_BIN_EXE_portolan-confined"));
        let (rendered, tree) = read(&folder, "dev", None, &tools);
        let key = &rendered.objects.iter().find(|object| &*object.key.name.name == "m").unwrap().key;
        let field = Name::new("data.size");
        let team = rendered.whole.applications.iter().find(|app| &*app.key.name.name == "team").unwrap();
        let asked = BTreeMap::from([(team.key.clone(), BTreeSet::from([(key.clone(), field)]))]);
        let places = tree.places(&asked);
        let (_, origin) = places.iter().find(|(own, _)| own == key).unwrap();
        let place = origin.place_of("data.size").unwrap();
        assert_eq!((place.placed, place.file.as_str(), place.line.unwrap()), wanted, "{options} {dev}");
    }
}
