//! Repositories of many documents: routes with their Services, ten of a kind in each Application.

/// A repository, and an edit of it.
pub struct Shape {
    pub name: &'static str,
    pub root: Option<&'static str>,
    pub files: Vec<(String, String)>,
    pub edit: (String, String),
}

const APPLICATIONS: usize = 10;
const REPO: &str = "repoURL: https://git.example.com/p/edge.git";

/// A route and its Service.
fn host(name: &str, domain: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}}}\nspec:\n  parentRefs: [{{name: edge, namespace: edge}}]\n  \
         hostnames: [{name}.{domain}]\n  rules:\n  - matches: [{{path: {{type: PathPrefix, value: /}}}}]\n    backendRefs: [{{name: {name}, port: 80}}]\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}\n"
    )
}

fn application(name: &str, source: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\nspec:\n  project: default\n  \
         destination: {{server: 'https://kubernetes.default.svc', namespace: {name}}}\n  source: {{{REPO}, {source}}}\n"
    )
}

/// Names of the hosts of each Application.
fn hosts(documents: usize) -> Vec<(usize, String)> {
    (0..documents / 2).map(|n| (n % APPLICATIONS, format!("h{n}"))).collect()
}

pub fn all(documents: usize) -> Vec<Shape> {
    vec![folder(documents), charts(documents), overlays(documents), flux(documents)]
}

fn root() -> (String, String) {
    ("root.yaml".into(), application("root", "path: apps"))
}

fn folder(documents: usize) -> Shape {
    let files = hosts(documents)
        .into_iter()
        .map(|(n, name)| (format!("team{n}/{name}.yaml"), host(&name, "example.com")));
    let edit = ("team0/h0.yaml".to_owned(), host("h0", "example.org"));
    Shape { name: "plain folder", root: None, files: files.collect(), edit }
}

fn charts(documents: usize) -> Shape {
    let mut files = vec![root()];
    for n in 0..APPLICATIONS {
        files.push((
            format!("apps/team{n}.yaml"),
            application(
                &format!("team{n}"),
                &format!("path: charts/team{n}, helm: {{valueFiles: [values.dev.yaml]}}"),
            ),
        ));
        let chart = format!("charts/team{n}");
        files.push((
            format!("{chart}/Chart.yaml"),
            format!("apiVersion: v2\nname: team{n}\nversion: 1.0.0\n"),
        ));
        let names: Vec<String> =
            hosts(documents).into_iter().filter(|(of, _)| *of == n).map(|(_, name)| name).collect();
        files
            .push((format!("{chart}/values.yaml"), format!("domain: none\nhosts: [{}]\n", names.join(", "))));
        files.push((format!("{chart}/values.dev.yaml"), "domain: example.com\n".into()));
        let text = host("{{ . }}", "{{ $.Values.domain }}")
            .replace("name: {{ . }}", "name: \"{{ . }}\"")
            .replace("app: {{ . }}", "app: \"{{ . }}\"");
        let text = text.replace("[{{ . }}.{{ $.Values.domain }}]", "[\"{{ . }}.{{ $.Values.domain }}\"]");
        files.push((
            format!("{chart}/templates/hosts.yaml"),
            format!("{{{{- range .Values.hosts }}}}\n---\n{text}{{{{- end }}}}\n"),
        ));
    }
    Shape {
        name: "Helm, app of apps",
        root: Some("root.yaml"),
        files,
        edit: ("charts/team0/values.dev.yaml".into(), "domain: example.org\n".into()),
    }
}

/// A base of all hosts and an overlay for each Application.
fn kustomizations(documents: usize) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for n in 0..APPLICATIONS {
        let names: Vec<String> =
            hosts(documents).into_iter().filter(|(of, _)| *of == n).map(|(_, name)| name).collect();
        files.extend(
            names.iter().map(|name| (format!("base/team{n}/{name}.yaml"), host(name, "example.com"))),
        );
        let resources: Vec<String> = names.iter().map(|name| format!("{name}.yaml")).collect();
        files.push((
            format!("base/team{n}/kustomization.yaml"),
            format!("resources: [{}]\n", resources.join(", ")),
        ));
        files.push((format!("overlays/dev/team{n}/kustomization.yaml"), overlay(n, "dev")));
    }
    files
}

fn overlay(n: usize, stage: &str) -> String {
    format!(
        "namespace: team{n}\nresources: [../../../base/team{n}]\nlabels: [{{pairs: {{stage: {stage}}}}}]\n"
    )
}

fn overlays(documents: usize) -> Shape {
    let mut files = kustomizations(documents);
    files.push(root());
    for n in 0..APPLICATIONS {
        files.push((
            format!("apps/team{n}.yaml"),
            application(&format!("team{n}"), &format!("path: overlays/dev/team{n}")),
        ));
    }
    Shape {
        name: "Kustomize overlays",
        root: Some("root.yaml"),
        files,
        edit: ("overlays/dev/team0/kustomization.yaml".into(), overlay(0, "other")),
    }
}

fn flux(documents: usize) -> Shape {
    let mut files = kustomizations(documents);
    let system = "metadata: {name: flux-system, namespace: flux-system}";
    let one = |name: &str, path: &str| {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\n\
             spec: {{interval: 10m, prune: true, path: {path}, sourceRef: {{kind: GitRepository, name: flux-system}}, postBuild: {{substitute: {{a: b}}}}}}\n"
        )
    };
    let source = format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\n{system}\nspec: {{interval: 1m, url: 'https://git.example.com/p/edge'}}\n"
    );
    files.push((
        "clusters/dev/flux-system/gotk-sync.yaml".into(),
        format!("{source}---\n{}", one("flux-system", "./clusters/dev")),
    ));
    files
        .push(("clusters/dev/flux-system/kustomization.yaml".into(), "resources: [gotk-sync.yaml]\n".into()));
    for n in 0..APPLICATIONS {
        files.push((
            format!("clusters/dev/team{n}.yaml"),
            one(&format!("team{n}"), &format!("./overlays/dev/team{n}")),
        ));
    }
    Shape {
        name: "Flux",
        root: None,
        files,
        edit: ("overlays/dev/team0/kustomization.yaml".into(), overlay(0, "other")),
    }
}
