//! From a document to an object: its namespace, whether it is applied, and what is wrong with it.

use std::sync::Arc;

use portolan_core::{
    door::{self, Door},
    gitops::{
        projects::{Permit, Ruling},
        sync::flux_leaves,
    },
};
use portolan_model::{Kind, Name, Object, ObjectKey, Origin, Problem};
use portolan_schema::Definitions;
use serde_json::{Map, Value};

use super::{
    flux,
    manifests::{self, Document},
    order::{self, Unapplied},
    part::Change,
    problems,
};

/// What a part brings, with the kinds that are cluster-scoped known.
#[derive(Default)]
pub(crate) struct Placed {
    pub(crate) objects: Vec<Object>,
    /// What the project of the Application lets through.
    permit: Option<Arc<Permit>>,
    /// Objects that an API server would not store, or that the project does not permit.
    pub(super) refused: Vec<(ObjectKey, Origin)>,
    /// Those of them that it might store in the place of older ones with the same faults.
    pub(super) late: Vec<Object>,
    /// Numbers of objects that it would not store either, and that are taken as they say what is to be restricted.
    pub(super) unfit: Vec<usize>,
    /// The project does not permit some of them.
    pub(super) forbidden: bool,
    /// Documents that were judged.
    pub(super) judged: usize,
    pub(crate) problems: Vec<Problem>,
    /// Hooks and Jobs.
    pub(super) unapplied: Vec<(ObjectKey, Origin)>,
    /// A document of a chart could not be read.
    pub(super) unsure: bool,
    /// The plain file could not be read whole.
    pub(super) unsure_file: Option<String>,
    /// The plain file, if it holds something else than objects.
    pub(super) no_manifest: Option<String>,
}

/// What follows for the Application.
const WHOLE: &str = "Argo CD and Flux refuse the whole Application for it, and nothing of it is applied";

/// Places all documents of a part.
pub(crate) fn place(change: Change, definitions: &Definitions) -> Placed {
    let mut out = Placed::default();
    let Some(read) = change.read else { return out };
    (out.problems, out.unsure, out.unsure_file) = (read.problems, read.unsure, read.unsure_file);
    out.no_manifest = read.no_manifest;
    out.forbidden = read.refused;
    out.permit = change.permit;
    let owner = Arc::new(change.owner.unwrap_or_else(|| change.key.application.clone()));
    for Document { json, mut origin } in read.documents {
        origin.owner.get_or_insert_with(|| Arc::clone(&owner));
        let file = origin.source.clone();
        let mut json = json.into_value();
        if change.plain && manifests::is_configuration(&json, definitions) {
            out.no_manifest = file.map(|source| source.file.to_string());
            continue;
        }
        // `SplitYAML` ends there, and so does Helm's own install.
        let kindless = !change.plain
            && super::application::is_kind(&change.key.application)
            && json.get("kind").and_then(Value::as_str).is_none_or(str::is_empty);
        let generated = generated(&mut json);
        match out.object(json, origin, &change.namespace, definitions, generated) {
            Ok(()) => {}
            Err(why) => {
                let (file, line) = file.map_or((String::new(), 0), |s| (s.file.to_string(), s.line));
                let why = if kindless { format!("{why}; {WHOLE}") } else { why };
                out.forbidden |= kindless;
                out.incomplete(&file, change.plain.then_some(line), &why);
            }
        }
    }
    out
}

impl Placed {
    /// Keeps an object as text: whoever looks into it makes its tree again.
    fn take(&mut self, mut object: Object) {
        object.json.pack();
        self.objects.push(object);
    }

    /// A document that is no object any more: what it was before must not be pruned for a slip of the pen. Rendered
    /// documents have no line of their own.
    fn incomplete(&mut self, file: &str, line: Option<u32>, why: &str) {
        let field = line.map(|line| format!("line {line}")).unwrap_or_default();
        let message = format!("a document is no object: {why}");
        let mut problem = problems::not_an_object(&problems::file(file), &field, message);
        if line.is_some() {
            problem.hint = "complete the object; until then what the file held before stays".into();
            self.unsure_file = Some(file.to_owned());
        } else {
            self.unsure = true;
        }
        self.problems.push(problem);
    }

    /// Gives a namespaced object without a namespace the one of its Application, and takes it from a cluster-scoped one, as
    /// the API server and Argo CD do. Then it is judged.
    fn object(
        &mut self,
        mut json: Value,
        mut origin: Origin,
        namespace: &Name,
        definitions: &Definitions,
        generated: bool,
    ) -> Result<(), String> {
        origin.wave = order::wave(&json);
        let text = |name: &str| json.get(name).and_then(Value::as_str);
        let version = text("apiVersion").ok_or("apiVersion is missing or not text")?;
        let kind = text("kind").ok_or("kind is missing or not text")?;
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let kind = Kind::new(group, kind);
        let metadata =
            json.get("metadata").and_then(Value::as_object).ok_or("metadata is missing or no mapping")?;
        let scoped = !order::cluster_scoped(&kind, definitions);
        let named = metadata.get("namespace");
        let empty = named.is_none_or(|n| n.is_null() || n.as_str() == Some(""));
        let (add, remove) = (scoped && empty, !scoped && named.is_some());
        // Of a kind that nobody knows it is not known whether it has one.
        let nowhere = add && namespace.is_empty() && order::is_namespaced(&kind, definitions);
        if add && !namespace.is_empty() {
            edit(&mut json, |metadata| {
                metadata.insert("namespace".into(), Value::String(namespace.to_string()))
            });
        } else if remove {
            edit(&mut json, |metadata| metadata.remove("namespace"));
        }
        let (key, _) = Object::identity(&json)?;
        let flux = origin
            .owner
            .as_ref()
            .is_some_and(|by| by.kind.is("kustomize.toolkit.fluxcd.io", "Kustomization"));
        if let Some(why) = flux.then(|| flux_leaves(&json)).flatten() {
            let message =
                format!("Flux does not apply {key}, which says {why}: what is live of it stays as it is");
            self.problems.push(problems::not_reconciled(&key, "metadata.annotations", message));
            self.refused.push((key, origin));
            return Ok(());
        }
        if nowhere {
            self.problems.push(nameless(&key, &origin));
            self.forbidden = true;
            self.refused.push((key, origin));
            return Ok(());
        }
        let permit = self.permit.as_ref();
        if let Some(Ruling::Forbidden(why)) = permit.map(|permit| permit.object(&key, scoped)) {
            let by = origin.owner.as_ref().map(ToString::to_string).unwrap_or_default();
            let message = format!(
                "{key} is not permitted: {why}; nothing of {by} is applied then, and what is live of it stays"
            );
            self.problems.push(problems::not_permitted(&key, "", message));
            self.forbidden = true;
            self.refused.push((key, origin));
            return Ok(());
        }
        if let Some(how) = withheld(&key, &json) {
            let message = format!(
                "the values of {key} are not in the repository: they {how}; what needs them is unknown"
            );
            self.problems.push(problems::made_elsewhere(&key, "", message));
            self.refused.push((key, origin));
            return Ok(());
        }
        if let Some(why) = order::unapplied(&key, &json, generated) {
            self.problems.push(match why {
                Unapplied::Listed(why) => problems::not_applied(&key, "", format!("{key} {why}")),
                Unapplied::Misspelt(why) => {
                    problems::hook_misspelt(&key, "metadata.annotations", format!("{key} {why}"))
                }
            });
            self.unapplied.push((key, origin));
            return Ok(());
        }
        if generated {
            return Err(
                "metadata.name is missing, and generateName is understood of hooks and Jobs only".into()
            );
        }
        self.judged += 1;
        let (door, late) = door::enter_late(definitions, json, origin.clone())?;
        self.late.extend(late);
        match door {
            Door::Taken(object) => self.take(object),
            Door::Restricts(object, problem) => {
                self.problems.push(problem);
                self.unfit.push(self.objects.len());
                self.take(object);
            }
            Door::Refused(key, mut problem) => {
                // A number or a boolean to YAML, where all are texts.
                let texts = ["metadata.annotations[", "metadata.labels["];
                if texts.iter().any(|field| problem.field.starts_with(field))
                    && problem.message.contains("of type string")
                {
                    problem.hint = problem.hint.replacen("correct the object", "put the value in quotes", 1);
                }
                self.problems.push(problem);
                self.refused.push((key, origin));
            }
        }
        Ok(())
    }
}

/// That an object has no namespace, where what brings it names none either.
fn nameless(key: &ObjectKey, origin: &Origin) -> Problem {
    let by = origin.owner.as_ref();
    let argo = by.is_some_and(|by| by.kind.is("argoproj.io", "Application"));
    let (field, fails) = if argo {
        ("spec.destination.namespace", "Argo CD refuses the sync (\"Namespace is missing\")")
    } else {
        ("spec.targetNamespace", "Flux fails the apply (\"namespace not specified\")")
    };
    let by = by.map(ToString::to_string).unwrap_or_default();
    let message = format!(
        "it has no namespace, and {by} has no {field}: {fails}, so that nothing of {by} is applied, and what is live of it stays"
    );
    problems::without_namespace(key, "metadata.namespace", message)
}

/// Why the values of an object are not what stands in the file: somebody else puts them in before it is applied.
fn withheld(key: &ObjectKey, json: &Value) -> Option<&'static str> {
    if flux::is_encrypted(json) {
        return Some("are encrypted by SOPS");
    }
    let secret = key.kind.is("", "Secret");
    let fields = ["data", "stringData"].into_iter().filter_map(|field| json.get(field)?.as_object());
    let placeholder = |value: &Value| value.as_str().is_some_and(|text| text.contains("<path:"));
    // argocd-vault-plugin: `<path:secret/data/x#key>`, or `<key>` with the path in an annotation.
    let path = json.pointer("/metadata/annotations/avp.kubernetes.io~1path").is_some();
    let vault = secret && (path || fields.flat_map(|all| all.values()).any(placeholder));
    vault.then_some("are placeholders of argocd-vault-plugin")
}

/// Gives an object that the API server would name the name that it begins with, so that it can be listed.
fn generated(json: &mut Value) -> bool {
    let text = |name: &str| json.pointer(&format!("/metadata/{name}")).and_then(Value::as_str);
    let Some(prefix) = text("generateName").filter(|_| text("name").is_none_or(str::is_empty)) else {
        return false;
    };
    let prefix = prefix.to_owned();
    edit(json, |metadata| metadata.insert("name".into(), Value::String(prefix)));
    true
}

fn edit(json: &mut Value, change: impl FnOnce(&mut Map<String, Value>) -> Option<Value>) {
    if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) {
        change(metadata);
    }
}
