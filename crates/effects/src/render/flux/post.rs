//! What Flux does with the text of a build: variables are filled in object by object, and everything gets common labels and
//! annotations.

use portolan_model::yaml;
use serde_json::Value;

use super::{
    super::{cache::Key, manifests::Manifests, problems},
    Flux, facts,
    substitute::{self, Failed, Variable},
};
use portolan_model::ObjectKey;

/// An object with this as label or annotation stays as it is.
const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";

impl Flux {
    /// Names all that changes what is made of a build.
    pub(in super::super) fn key(&self) -> String {
        let mut key = Key::new("portolan flux 1");
        key.part(format!("{:?} {} {:?}", self.metadata, self.decrypts, self.without_hooks).as_bytes());
        if let Some(variables) = &self.variables {
            key.part(
                format!("{} {} {:?}", variables.always, variables.lenient, variables.elsewhere).as_bytes(),
            );
            for (name, value) in &variables.known {
                key.part(name.as_bytes());
                key.part(value.as_bytes());
            }
        }
        key.text()
    }

    /// Fills variables in. Gives the text, and what was left out as it needs a variable that is not known.
    ///
    /// # Errors
    /// A sentence, without the text: it may hold what is secret.
    pub(super) fn fill(&self, text: &str) -> Result<(String, Vec<String>), String> {
        let Some(variables) = &self.variables else { return Ok((text.to_owned(), Vec::new())) };
        if variables.known.is_empty() && variables.elsewhere.is_empty() && !variables.always {
            return Ok((text.to_owned(), Vec::new()));
        }
        if let Some(name) = variables.known.keys().find(|name| !is_name(name)) {
            return Err(format!("'{name}' is no name of a variable: letters, digits and _ are"));
        }
        let value = |name: &str| match variables.known.get(name) {
            Some(value) => Variable::Is(value),
            None if !variables.elsewhere.is_empty() => Variable::Unknown,
            None if variables.lenient => Variable::Unset,
            None => Variable::Missing,
        };
        let (mut out, mut left_out) = (String::with_capacity(text.len()), Vec::new());
        for part in documents(text) {
            let before = yaml::load(part).0.into_iter().next().map(|document| document.json);
            let shown = before.as_ref().map_or_else(|| "a document".to_owned(), shown);
            if !part.contains('$') || before.as_ref().is_some_and(is_disabled) {
                out.push_str(part);
                continue;
            }
            match substitute::fill(part, &value) {
                Ok(filled) => {
                    // Of the text that came out nothing is quoted.
                    let (documents, errors) = yaml::load(&filled);
                    if let Some(error) = errors.first() {
                        return Err(format!(
                            "with its variables filled in {shown} is no YAML at line {}",
                            error.line
                        ));
                    }
                    if documents.len() > 1 {
                        return Err(format!(
                            "with its variables filled in {shown} is more than one document"
                        ));
                    }
                    out.push_str(&filled);
                }
                Err(Failed::Unknown(name)) => left_out.push(format!("{shown} (${{{name}}})")),
                Err(Failed::Missing(name)) => {
                    return Err(format!(
                        "the variables of {shown}: variable not set (strict mode): \"{name}\"; write ${{{name}:=}} if nothing is meant \
                         (kustomize-controller before 1.9, or with StrictPostBuildSubstitutions=false, takes nothing)"
                    ));
                }
                Err(Failed::Wrong(why)) => return Err(format!("the variables of {shown}: {why}")),
            }
        }
        Ok((out, left_out))
    }

    /// Takes hooks out that no action of a HelmRelease creates (`spec.install.disableHooks`, `spec.upgrade.disableHooks`).
    pub(super) fn drop_hooks(&self, read: &mut Manifests, key: &ObjectKey) {
        if self.without_hooks.is_empty() {
            return;
        }
        let is_created = |json: &Value| {
            let hook = json["metadata"]["annotations"]["helm.sh/hook"]
                .as_str()
                .filter(|hook| *hook != "crd-install");
            hook.is_none_or(|hook| {
                // What runs in other actions is no object of the release either way, and told where it is placed.
                let mut actions = hook
                    .split(',')
                    .map(|phase| phase.trim().split_once('-').map_or("", |(_, action)| action));
                actions.any(|action| !self.without_hooks.contains(&action))
            })
        };
        let mut dropped = Vec::new();
        read.documents.retain(|document| {
            let stays = is_created(&document.json);
            if !stays {
                dropped.push(shown(&document.json));
            }
            stays
        });
        if dropped.is_empty() {
            return;
        }
        let fields: Vec<String> =
            self.without_hooks.iter().map(|action| format!("spec.{action}.disableHooks")).collect();
        let message =
            format!("{} are hooks, which {} keeps from being created", told(&dropped), fields.join(" and "));
        read.problems.push(problems::not_applied(key, &fields[0], message));
    }

    /// Takes what is encrypted out, and lays common labels and annotations on the rest.
    pub(super) fn finish(&self, read: &mut Manifests, key: &ObjectKey, left_out: &[String]) {
        let (withheld, documents) = std::mem::take(&mut read.documents)
            .into_iter()
            .partition(|document| facts::is_encrypted(&document.json));
        (read.withheld, read.documents) = (withheld, documents);
        let encrypted: Vec<String> = read.withheld.iter().map(|document| shown(&document.json)).collect();
        // What stood there of objects that are not read now is not known to be gone.
        read.unsure |= !encrypted.is_empty() || !left_out.is_empty();
        if !encrypted.is_empty() {
            let (what, problem) = if self.decrypts {
                ("are decrypted by Flux, which has the key", problems::encrypted as fn(&_, &str, _) -> _)
            } else {
                (
                    "need spec.decryption, without which Flux applies nothing of it",
                    problems::not_decrypted as _,
                )
            };
            let message = format!(
                "{} are encrypted by SOPS and {what}: their values are not known here",
                told(&encrypted)
            );
            read.problems.push(problem(key, "spec.decryption", message));
        }
        if let Some(variables) = self.variables.as_ref().filter(|_| !left_out.is_empty()) {
            let message = format!(
                "{} need variables that {} would bring and that are not known here: they are left out",
                told(left_out),
                variables.elsewhere.join(", "),
            );
            read.problems.push(problems::variables_unknown(key, "spec.postBuild.substituteFrom", message));
        }
        if self.metadata.labels.is_empty() && self.metadata.annotations.is_empty() {
            return;
        }
        for document in &mut read.documents {
            document.json.edit(|json| {
                let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) else { return };
                for (field, pairs) in
                    [("labels", &self.metadata.labels), ("annotations", &self.metadata.annotations)]
                {
                    let all = metadata.entry(field).or_insert(Value::Null);
                    if all.is_null() {
                        *all = Value::Object(serde_json::Map::new());
                    }
                    let Some(all) = all.as_object_mut().filter(|_| !pairs.is_empty()) else { continue };
                    all.extend(
                        pairs.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))),
                    );
                }
            });
        }
    }
}

/// The documents of what Kustomize prints, each with the line that ends it.
fn documents(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find("\n---\n").map_or(rest.len(), |at| at + "\n---\n".len());
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_disabled(json: &Value) -> bool {
    ["labels", "annotations"].iter().any(|field| json["metadata"][*field][SUBSTITUTE] == "disabled")
}

fn shown(json: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!("{}/{}", text(&json["kind"]), text(&json["metadata"]["name"]))
}

/// Some names, and how many more.
fn told(names: &[String]) -> String {
    const MOST: usize = 8;
    let some = names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => some,
        more => format!("{some} and {more} more"),
    }
}
