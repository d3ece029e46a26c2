//! Thirty repositories of more than forty documents in the shapes that teams have, made by rule, with three mistakes each: every
//! mistake is found once, at its place, and nothing else is said; of the twin without them nothing is.

#[path = "planted/mistakes.rs"]
mod mistakes;

use std::{collections::BTreeMap, fs, path::Path};

use portolan_testkit::suites;
use serde_json::Value;

use crate::instance::portolan;
use mistakes::{MISTAKES, Mistake};

/// Files by path.
type Files = BTreeMap<String, String>;

/// How a repository says which files are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Plain,
    Applications,
    Set,
    Kustomize,
    Flux,
    Chart,
}

const SHAPES: [Shape; 6] =
    [Shape::Plain, Shape::Applications, Shape::Set, Shape::Kustomize, Shape::Flux, Shape::Chart];

const EDGE: &str = "apiVersion: v1
kind: Namespace
metadata: {name: edge}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: edge}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: edge}
spec:
  gatewayClassName: edge
  listeners:
  - name: https
    port: 8443
    protocol: HTTPS
    hostname: '*.example.com'
    tls: {certificateRefs: [{name: edge-tls}]}
    allowedRoutes: {namespaces: {from: All}}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: selfsigned}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: edge-tls, namespace: edge}
spec:
  secretName: edge-tls
  dnsNames: ['*.example.com']
  issuerRef: {kind: ClusterIssuer, name: selfsigned}
";

/// One host of a team: its Service, its route, and a certificate of its own.
fn host(team: usize, name: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: team-{team}
spec:
  ports:
  - port: 80
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: {name}
  namespace: team-{team}
spec:
  parentRefs:
  - name: edge
    namespace: edge
    sectionName: https
  hostnames:
  - {name}-{team}.example.com
  rules:
  - matches:
    - path:
        type: PathPrefix
        value: /
    backendRefs:
    - name: {name}
      port: 80
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {name}
  namespace: team-{team}
spec:
  secretName: {name}-tls
  dnsNames:
  - {name}.team-{team}.example.com
  issuerRef:
    kind: ClusterIssuer
    name: selfsigned
"
    )
}

fn documents(teams: usize) -> Files {
    let mut files = Files::from([("edge/edge.yaml".to_owned(), EDGE.to_owned())]);
    for team in 0..teams {
        let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: team-{team}\n");
        files.insert(format!("team-{team}/team.yaml"), namespace);
        for name in ["a", "b"] {
            files.insert(format!("team-{team}/{name}.yaml"), host(team, name));
        }
    }
    files
}

fn application(name: &str, path: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: '{name}', namespace: argocd}}\n\
         spec: {{project: default, destination: {{server: 'https://kubernetes.default.svc', namespace: default}}, \
         source: {{repoURL: 'https://git.example.com/p/p.git', targetRevision: HEAD, path: '{path}'}}}}\n"
    )
}

impl Shape {
    /// Folder in which the documents stand.
    fn folder(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Applications | Self::Set => "apps/",
            Self::Kustomize => "base/",
            Self::Flux => "all/",
            Self::Chart => "chart/templates/",
        }
    }

    /// What stands beside the documents.
    fn beside(self, documents: &Files) -> Files {
        let files = |all: &[(&str, String)]| {
            all.iter().map(|(path, text)| ((*path).to_owned(), text.clone())).collect()
        };
        let root = |text: String| ("root.yaml", text);
        match self {
            Self::Plain => Files::new(),
            Self::Applications => {
                let mut folders: Vec<&str> =
                    documents.keys().filter_map(|path| Some(path.split_once('/')?.0)).collect();
                folders.dedup();
                let all = folders.iter().map(|folder| application(folder, &format!("apps/{folder}")));
                files(&[root(all.collect::<Vec<_>>().join("---\n"))])
            }
            Self::Set => {
                let one = application("{{ .path.basename }}", "{{ .path.path }}");
                let (_, spec) = one.split_once("spec: ").unwrap();
                files(&[root(format!(
                    "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: all, namespace: argocd}}\nspec:\n  goTemplate: true\n  \
                     generators: [{{git: {{repoURL: 'https://git.example.com/p/p.git', revision: HEAD, directories: [{{path: 'apps/*'}}]}}}}]\n  \
                     template:\n    metadata: {{name: '{{{{ .path.basename }}}}'}}\n    spec: {spec}"
                ))])
            }
            Self::Kustomize => {
                let list: String = documents.keys().map(|path| format!("- {path}\n")).collect();
                files(&[
                    root(application("all", "overlays/dev")),
                    ("base/kustomization.yaml", format!("resources:\n{list}")),
                    (
                        "overlays/dev/kustomization.yaml",
                        "resources: [../../base]\nlabels: [{pairs: {env: dev}}]\n".to_owned(),
                    ),
                ])
            }
            Self::Flux => {
                let kustomization = |name: &str, path: &str| {
                    format!(
                        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\n\
                         spec: {{interval: 10m, path: {path}, prune: true, sourceRef: {{kind: GitRepository, name: flux-system}}}}\n"
                    )
                };
                let source = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: flux-system, namespace: flux-system}\n\
                    spec: {interval: 1m, ref: {branch: main}, url: 'ssh://git@git.example.com/p/fleet'}\n---\n";
                files(&[
                    (
                        "clusters/dev/flux-system/gotk-sync.yaml",
                        format!("{source}{}", kustomization("flux-system", "./clusters/dev")),
                    ),
                    ("clusters/dev/all.yaml", kustomization("all", "./all")),
                ])
            }
            Self::Chart => files(&[
                root(application("all", "chart")),
                ("chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 0.1.0\n".to_owned()),
            ]),
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Flux => &["--env", "dev"],
            _ => &["--root", "root.yaml"],
        }
    }
}

/// Code, object, file and line of each finding that is more than information, and how many objects there are.
fn findings(folder: &Path, shape: Shape) -> (Vec<String>, usize) {
    let output = portolan()
        .current_dir(folder)
        .args(["render", ".", "--output", "json"])
        .args(shape.arguments())
        .output()
        .unwrap();
    let json: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{shape:?}: {}", String::from_utf8_lossy(&output.stderr)));
    let mut all: Vec<String> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["severity"] != "info")
        .map(|finding| {
            let text = |field: &str| finding[field].as_str().unwrap_or_default().to_owned();
            // Helm tells the template and not the line.
            let line = if shape == Shape::Chart { "-".to_owned() } else { finding["line"].to_string() };
            format!("{} {} {}:{line}", text("code"), text("object"), text("file"))
        })
        .collect();
    all.sort();
    (all, json["objects"].as_array().unwrap().len())
}

fn write(folder: &Path, files: &Files) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Puts a mistake into a file; gives how it is told.
fn plant(mistake: &Mistake, team: usize, name: &str, shape: Shape, files: &mut Files) -> String {
    let path = format!("{}team-{team}/{name}.yaml", shape.folder());
    let own = |text: &str| text.replace("NAME", name).replace("TEAM", &team.to_string());
    let text = files.get_mut(&path).unwrap();
    let (right, wrong) = (own(mistake.right), own(mistake.wrong));
    let at = text.find(&right).unwrap_or_else(|| panic!("{} is not in {path}", mistake.what));
    text.replace_range(at..at + right.len(), &wrong);
    // Where it is told: the first line with these words in what was written, or from there on.
    let from = text[at..].find(&own(mistake.told)).unwrap() + at;
    let line = text[..from].matches('\n').count() + 1;
    let object = own(mistake.object).replace("FILE", &path);
    let line = if shape == Shape::Chart { "-".to_owned() } else { line.to_string() };
    format!("{} {object} {path}:{line}", mistake.code)
}

#[test]
fn every_planted_mistake_is_found_once_and_nothing_is_said_of_the_twin() {
    if suites::program("helm").is_none() || suites::program("kustomize").is_none() {
        suites::skip("e2e planted", "Helm or Kustomize is missing; run scripts/setup demo");
        return;
    }
    let (mut wrong, mut planted) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for n in 0..30 {
        let shape = SHAPES[n % SHAPES.len()];
        let teams = 8 + n % 5;
        let documents = documents(teams);
        let mut files: Files = documents
            .iter()
            .map(|(path, text)| (format!("{}{path}", shape.folder()), text.clone()))
            .chain(shape.beside(&documents))
            .collect();
        let twin = tempfile::tempdir().unwrap();
        write(twin.path(), &files);
        let (said, objects) = findings(twin.path(), shape);
        assert!(objects >= 40, "{n} {shape:?}: {objects}");
        if !said.is_empty() {
            wrong.push(format!("{n} {shape:?}: the twin: {said:?}"));
        }
        // What breaks a file breaks a whole build: that is one finding of the build, and tested with it.
        let whole = matches!(shape, Shape::Kustomize | Shape::Flux | Shape::Chart);
        let fit: Vec<&Mistake> = MISTAKES.iter().filter(|mistake| !(whole && mistake.breaks)).collect();
        let mut wanted = Vec::new();
        for k in 0..3 {
            let mistake = fit[(n / SHAPES.len() * 3 + k + n % SHAPES.len() * 5) % fit.len()];
            *planted.entry(mistake.what).or_default() += 1;
            let name = if k == 1 { "b" } else { "a" };
            wanted.push(plant(mistake, (n + k * 3) % teams, name, shape, &mut files));
        }
        wanted.sort();
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &files);
        let (said, _) = findings(dir.path(), shape);
        if said != wanted {
            wrong.push(format!("{n} {shape:?}:\n  said   {said:?}\n  wanted {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(planted.len() == MISTAKES.len(), "never planted: {:?}", {
        MISTAKES
            .iter()
            .map(|mistake| mistake.what)
            .filter(|what| !planted.contains_key(what))
            .collect::<Vec<_>>()
    });
}
