//! Small repositories in many shapes, rendered by us and by those that we stand in for: the real Kustomize, the real Helm with Argo
//! CD's arguments, and, where they were built (`make gitops-diff`), the code of Argo CD's repo-server itself and the packages of Flux.
//! All come to the same objects. `GITOPS_REPORT=FILE` writes what was compared.
#![allow(clippy::format_push_string, clippy::unwrap_used, missing_docs)]

#[path = "gitops_diff/flux.rs"]
mod flux;
#[path = "gitops_diff/shapes.rs"]
mod shapes;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use portolan_effects::render::{Tools, render};
use portolan_model::yaml;
use portolan_testkit as testkit;
use serde_json::{Value, json};
use shapes::{Other, Shape};

type Objects = BTreeMap<String, Value>;

/// Kinds without a namespace that the shapes have.
const CLUSTER: [&str; 2] = ["CustomResourceDefinition", "Namespace"];

/// `MORE` stands for further fields of its source.
const APPLICATION: &str = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: team, namespace: argocd}\nspec:\n  \
    project: default\n  destination: {server: 'https://kubernetes.default.svc', namespace: shop}\n  \
    source: {repoURL: 'https://git.example.com/p/p.git', path: appMORE}\n";
const GOOD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: text}\n";

fn application(shape: &Shape) -> String {
    let more = if shape.source.is_empty() { String::new() } else { format!(", {}", shape.source) };
    APPLICATION.replace("MORE", &more)
}

/// Objects by kind, namespace and name, without what a renderer notes of itself.
/// One without a namespace gets this one.
fn objects(documents: impl IntoIterator<Item = Value>, namespace: &str) -> Objects {
    let mut all = Objects::new();
    let mut left: Vec<Value> = documents.into_iter().collect();
    while let Some(mut json) = left.pop() {
        let kind = json["kind"].as_str().unwrap_or_default().to_owned();
        if kind == "List" {
            left.extend(json["items"].as_array().cloned().unwrap_or_default());
            continue;
        }
        if kind.is_empty() || kind == "Application" {
            continue;
        }
        let metadata = json["metadata"].as_object_mut().unwrap();
        if !CLUSTER.contains(&&*kind) {
            metadata.entry("namespace").or_insert_with(|| namespace.into());
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("argocd.argoproj.io/tracking-id");
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
        let name = format!("{kind} {}/{}", metadata.get("namespace").unwrap_or(&"".into()), metadata["name"]);
        assert!(all.insert(name.clone(), json).is_none(), "{name} twice");
    }
    all
}

fn texts(text: &str) -> Objects {
    objects(
        yaml::load(text).0.into_iter().map(|document| document.json).filter(|json| !json.is_null()),
        "shop",
    )
}

/// Whether what `theirs` says stands in `ours`, which has defaults beside it.
fn covers(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => theirs
            .iter()
            .all(|(key, value)| value.is_null() || ours.get(key).is_some_and(|own| covers(own, value))),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(own, value)| covers(own, value))
        }
        (ours, theirs) => ours == theirs,
    }
}

/// A ConfigMap as an API server stores it: in a mapping of texts, null is an empty one.
fn stored(value: &Value) -> Value {
    let mut value = value.clone();
    let data = value.get_mut("data").and_then(Value::as_object_mut);
    data.into_iter().flatten().filter(|(_, text)| text.is_null()).for_each(|(_, text)| *text = "".into());
    value
}

/// What is different; empty where nothing is.
fn different(ours: &Objects, theirs: &Objects) -> String {
    let mut told = String::new();
    for name in ours.keys().filter(|name| !theirs.contains_key(*name)) {
        told += &format!("\n    only ours: {name}");
    }
    for (name, value) in theirs {
        match ours.get(name) {
            None => told += &format!("\n    only theirs: {name}"),
            // A ConfigMap has no defaults.
            Some(own) if name.starts_with("ConfigMap ") && *own != stored(value) => {
                told += &format!("\n    {name}: {own}\n        theirs: {value}");
            }
            Some(own) if !covers(own, value) => {
                told += &format!("\n    {name}: {own}\n        theirs: {value}");
            }
            Some(_) => {}
        }
    }
    told
}

fn ours(repo: &Path, tools: &Tools) -> Result<Objects, String> {
    let rendered = render(repo, "dev", Some("root.yaml"), tools);
    let wrong: Vec<String> = rendered
        .problems
        .iter()
        .filter(|problem| (600..640).contains(&problem.code.0) && problem.code.0 != 620)
        .map(|problem| format!("{} {}", problem.code, problem.message))
        .collect();
    if wrong.is_empty() {
        Ok(objects(rendered.objects.iter().map(|object| Value::clone(&object.json)), "shop"))
    } else {
        Err(wrong.join("; "))
    }
}

fn said(command: &mut Command) -> Result<String, String> {
    let done = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}

/// A program of the rig that renders: one repository a line.
pub struct Program {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Program {
    fn start(name: &str) -> Option<Self> {
        let program = testkit::program(name)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let tools = testkit::repository().join(".tools/bin");
        let path = std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path))).unwrap();
        let mut child = Command::new(program)
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Some(Self { child, to, from })
    }

    fn ask(&mut self, question: &Value) -> Result<Vec<Value>, String> {
        writeln!(self.to, "{question}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        match answer["error"].as_str().filter(|why| !why.is_empty()) {
            Some(why) => Err(why.to_owned()),
            None => Ok(answer["objects"].as_array().cloned().unwrap_or_default()),
        }
    }

    /// Of Argo CD's repo-server.
    fn render(&mut self, repo: &Path, application: &str) -> Result<Objects, String> {
        let application = yaml::load(application).0.swap_remove(0).json;
        Ok(objects(self.ask(&json!({"dir": repo, "application": application}))?, "shop"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tools(cache: &Path) -> Option<(Tools, PathBuf, PathBuf)> {
    let (Some(helm), Some(kustomize)) = (testkit::program("helm"), testkit::program("kustomize")) else {
        testkit::skip("effects/gitops_diff", "helm or kustomize was not found; run scripts/setup demo");
        return None;
    };
    let tools =
        Tools::new(Some(helm.clone()), cache.to_owned()).kustomize(Ok::<_, String>(kustomize.clone()));
    Some((tools.through(env!("CARGO_BIN_EXE_portolan-confined")), helm, kustomize))
}

/// A folder with a good file and another one: what we have of it, and what Argo CD says.
fn beside(
    tools: &Tools,
    argo_cd: &mut Program,
    file: &str,
    text: &str,
) -> (Objects, Result<Objects, String>) {
    let dir = tempfile::tempdir().unwrap();
    let repo = dir.path().canonicalize().unwrap();
    let application = APPLICATION.replace("MORE", "");
    fs::create_dir(repo.join("app")).unwrap();
    for (path, text) in [("app/one.yaml", GOOD), (file, text), ("root.yaml", &*application)] {
        fs::write(repo.join(path), text).unwrap();
    }
    let rendered = render(&repo, "dev", Some("root.yaml"), tools);
    let ours = objects(rendered.objects.iter().map(|object| Value::clone(&object.json)), "shop");
    (ours, argo_cd.render(&repo, &application))
}

#[test]
fn every_shape_comes_to_the_objects_of_those_that_we_stand_in_for() {
    let cache = tempfile::tempdir().unwrap();
    let Some((tools, helm, kustomize)) = tools(cache.path()) else { return };
    let mut argo_cd = Program::start("argocd-render");
    let all = shapes::all();
    assert!(all.len() >= 60, "{}", all.len());
    let (mut wrong, mut counts) = (String::new(), BTreeMap::<&str, usize>::new());
    for shape in &all {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().canonicalize().unwrap();
        let application = application(shape);
        for (path, text) in shape.files.iter().copied().chain([("root.yaml", &*application)]) {
            let path = repo.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let ours = match ours(&repo, &tools) {
            Ok(ours) => ours,
            Err(why) => {
                wrong += &format!("\n{}: not rendered: {why}", shape.name);
                continue;
            }
        };
        if ours.is_empty() {
            wrong += &format!("\n{}: nothing was rendered", shape.name);
        }
        let mut theirs: Vec<(&str, Result<Objects, String>)> = Vec::new();
        match &shape.other {
            Other::Kustomize => {
                let text = said(Command::new(&kustomize).args(["build", "app"]).current_dir(&repo));
                theirs.push(("Kustomize", text.map(|text| texts(&text))));
            }
            Other::Helm(more) => {
                let mut args = vec!["template", "."];
                if !more.contains(&"--name-template") {
                    args.extend(["--name-template", "team"]);
                }
                args.extend(["--namespace", "shop"]);
                if !more.contains(&"--skip-crds") {
                    args.push("--include-crds");
                }
                args.extend(*more);
                let mut command = Command::new(&helm);
                let text = said(command.args(args).env("HOME", cache.path()).current_dir(repo.join("app")));
                theirs.push(("Helm", text.map(|text| texts(&text))));
            }
            Other::ArgoCd => {}
        }
        if let Some(argo_cd) = &mut argo_cd {
            theirs.push(("Argo CD", argo_cd.render(&repo, &application)));
        }
        for (who, theirs) in theirs {
            let told = match theirs {
                Ok(theirs) => different(&ours, &theirs),
                Err(why) => format!(" fails: {why}"),
            };
            if !told.is_empty() {
                wrong += &format!("\n{} by {who}:{told}", shape.name);
            }
            *counts.entry(who).or_default() += 1;
        }
    }
    for (file, text, refused) in shapes::BESIDE {
        let name = format!("{file} {text:?}");
        let told = match argo_cd.as_mut().map(|argo_cd| beside(&tools, argo_cd, file, text)) {
            None => continue,
            Some((ours, Ok(theirs))) if !refused => different(&ours, &theirs),
            Some((ours, Err(_))) if *refused && ours.is_empty() => String::new(),
            Some((ours, theirs)) => format!(" we have {:?}, and they {theirs:?}", ours.keys()),
        };
        if !told.is_empty() {
            wrong += &format!("\n{name} by Argo CD:{told}");
        }
        *counts.entry("Argo CD").or_default() += 1;
    }
    let mut flux = Program::start("flux-render");
    let mut of_flux = 0;
    for shape in flux::all() {
        of_flux += 1;
        match shape.compare(&tools, flux.as_mut()) {
            Err(why) => wrong += &format!("\nflux {}: not rendered: {why}", shape.name()),
            Ok(None) => {}
            Ok(Some(told)) => {
                if !told.is_empty() {
                    wrong += &format!("\n{} by Flux:{told}", shape.name());
                }
                *counts.entry("Flux").or_default() += 1;
            }
        }
    }
    assert!(of_flux >= 20, "{of_flux}");
    assert!(wrong.is_empty(), "{wrong}");
    if let Some(report) = std::env::var_os("GITOPS_REPORT") {
        assert!(argo_cd.is_some() && flux.is_some(), "argocd-render or flux-render is not in PATH");
        let mut text = format!(
            "# What is rendered beside those that we stand in for\n\nMade by `make gitops-diff`: {} small repositories of Argo CD and {of_flux} of Flux \
             (`crates/effects/tests/gitops_diff`). The same \
             objects each, or both refuse it; of kinds with defaults of the API server every field that the other has. Argo CD is its repo-server's own code \
             (`rig/argocd`), Flux the packages that its controllers are made of (`rig/flux`: source-controller's archive, the generator, \
             the build and the variables of kustomize-controller, the values of helm-controller); Helm and Kustomize are the programs that \
             `scripts/setup` pins.\n\n| by | repositories | different |\n|---|---|---|\n",
            all.len() + shapes::BESIDE.len()
        );
        for (who, count) in counts {
            text += &format!("| {who} | {count} | 0 |\n");
        }
        fs::write(report, text).unwrap();
    }
}
