//! Options of Argo CD that are text in a list: what it does not know it takes for nothing, whether that would keep an object
//! or remove it.
//!
//! Sources: argo-cd 3.6 (`docs/user-guide/sync-options.md`, `compare-options.md`), gitops-engine (`pkg/sync/common/types.go`,
//! `pkg/sync/syncwaves`).

use super::node::Root;
use crate::{Severity, nearest};

const WAVE: &str = "argocd.argoproj.io/sync-wave";
const SWITCH: &[&str] = &["true", "false"];

/// Options, what they may be (an empty list is one without a value), and where they have an effect.
type Options = &'static [(&'static str, &'static [&'static str], On)];

/// Where an option stands or has an effect.
#[derive(Clone, Copy)]
enum On {
    /// `spec.syncPolicy.syncOptions` of an Application.
    Application,
    /// The annotation of an Application that says how it is compared.
    Compared,
    /// The annotation of any object.
    Object,
    Both,
}

const SYNC: Options = &[
    ("ApplyOutOfSyncOnly", SWITCH, On::Application),
    ("ClientSideApplyMigration", SWITCH, On::Application),
    ("CreateNamespace", SWITCH, On::Application),
    ("Delete", &["true", "false", "confirm"], On::Both),
    ("FailOnSharedResource", SWITCH, On::Application),
    ("Force", SWITCH, On::Object),
    ("Prune", &["true", "false", "confirm"], On::Both),
    ("PruneLast", SWITCH, On::Both),
    ("PrunePropagationPolicy", &["foreground", "background", "orphan"], On::Application),
    ("Replace", SWITCH, On::Both),
    ("RespectIgnoreDifferences", SWITCH, On::Application),
    ("ServerSideApply", SWITCH, On::Both),
    ("SkipDryRunOnMissingResource", SWITCH, On::Both),
    ("Validate", SWITCH, On::Both),
];
const COMPARE: Options = &[
    ("IgnoreExtraneous", &[], On::Both),
    ("IncludeMutationWebhook", SWITCH, On::Compared),
    ("ServerSideDiff", SWITCH, On::Compared),
];

/// Tells of options that nobody knows, and of waves that are no number.
pub(super) fn tell(root: &mut Root<'_>) {
    let json = &root.object.json;
    let annotations = &json["metadata"]["annotations"];
    let mut wrong = Vec::new();
    let application = root.object.key.kind.is("argoproj.io", "Application");
    // What an Application is compared by stands in its annotations, and what it is synced by does not.
    let compared = if application { On::Compared } else { On::Object };
    for (name, known, on) in [("sync-options", SYNC, On::Object), ("compare-options", COMPARE, compared)] {
        let name = format!("argocd.argoproj.io/{name}");
        let Some(text) = annotations[&*name].as_str() else { continue };
        for option in text.split(',').map(str::trim).filter(|option| !option.is_empty()) {
            let why = judge(option, known, on);
            wrong.extend(why.map(|(meant, why)| (format!("metadata.annotations[{name}]"), meant, why)));
        }
    }
    if application {
        let options = json["spec"]["syncPolicy"]["syncOptions"].as_array();
        for (n, option) in options.into_iter().flatten().enumerate() {
            let why = option.as_str().and_then(|option| judge(option, SYNC, On::Application));
            wrong.extend(why.map(|(meant, why)| (format!("spec.syncPolicy.syncOptions[{n}]"), meant, why)));
        }
    }
    if let Some(text) = annotations[WAVE].as_str().filter(|text| text.trim().parse::<i64>().is_err()) {
        let why = format!("{text:?} is no whole number: Argo CD takes wave 0");
        wrong.push((
            format!("metadata.annotations[{WAVE}]"),
            Some("write a whole number, as \"-1\"".to_owned()),
            why,
        ));
    }
    for (field, meant, why) in wrong {
        let severity = if meant.is_some() { Severity::Warning } else { Severity::Info };
        let hint = meant.unwrap_or_else(|| "remove it if nothing else reads it".to_owned());
        root.problem(6, severity, &field, why, &hint);
    }
}

/// What was meant by an option that stands `on`, as a hint, and what is wrong with it.
fn judge(option: &str, known: Options, on: On) -> Option<(Option<String>, String)> {
    let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
    let Some((_, values, effect)) = known.iter().find(|(own, ..)| *own == name) else {
        let meant = nearest(name, known.iter().map(|(own, ..)| *own));
        let meant = meant.map(|meant| match value {
            Some(value) => format!("write {meant}={value}"),
            None => format!("write {meant}"),
        });
        return Some((meant, format!("no program knows the option {option}: it has no effect")));
    };
    let nowhere = match (effect, on) {
        (On::Compared, On::Object) => {
            Some(("an Application", "any other object", "write it into the annotation of the Application"))
        }
        (On::Application, On::Object) => Some((
            "spec.syncPolicy.syncOptions of an Application",
            "an annotation",
            "write it into spec.syncPolicy.syncOptions of the Application that brings the object",
        )),
        (On::Object, On::Application) => Some((
            "the annotation argocd.argoproj.io/sync-options of an object",
            "an Application",
            "annotate the objects that are meant",
        )),
        _ => None,
    };
    match value {
        None if values.is_empty() => None,
        Some(value) if values.contains(&value) => nowhere.map(|(there, here, meant)| {
            (
                Some(meant.to_owned()),
                format!("the option {option} has an effect in {there}, and none in {here}"),
            )
        }),
        _ if values.is_empty() => Some((
            Some(format!("write {name}")),
            format!("the option {name} has no value: {option} has no effect"),
        )),
        _ => {
            let all: Vec<String> = values.iter().map(|value| format!("{name}={value}")).collect();
            Some((
                Some(format!("write {}", all.join(" or "))),
                format!(
                    "Argo CD does not know this value of the option {name}: {option} is as if it were not there"
                ),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::{Object, Origin, intake::intake};

    fn told(
        kind: &str,
        options: &serde_json::Value,
        annotations: &serde_json::Value,
    ) -> Vec<(u16, String, Severity, String)> {
        let json = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": kind,
            "metadata": {"name": "a", "namespace": "b", "annotations": annotations}, "spec": {"syncPolicy": {"syncOptions": options}}});
        let object = Object::from_json(json, Origin::default()).unwrap();
        let of_options = intake(&object).problems.into_iter().filter(|problem| problem.code.0 == 6);
        of_options.map(|p| (p.code.0, p.field.to_string(), p.severity, p.hint)).collect()
    }

    #[test]
    fn options_that_have_no_effect_where_they_stand_are_told() {
        let annotations = json!({
            "argocd.argoproj.io/sync-options": "CreateNamespace=true,Prune=false,Force=true",
            "argocd.argoproj.io/compare-options": "ServerSideDiff=true,IgnoreExtraneous",
        });
        let at = |name: &str| format!("metadata.annotations[argocd.argoproj.io/{name}]");
        let told = |kind, options| {
            let all = told(kind, options, &annotations).into_iter();
            all.map(|(_, field, severity, _)| (field, severity)).collect::<Vec<_>>()
        };
        let of_sync = (at("sync-options"), Severity::Warning);
        assert_eq!(
            told("Secret", &Value::Null),
            [of_sync.clone(), (at("compare-options"), Severity::Warning)]
        );
        let own = json!(["Force=true", "CreateNamespace=true", "Prune=false"]);
        let force = ("spec.syncPolicy.syncOptions[0]".to_owned(), Severity::Warning);
        assert_eq!(told("Application", &own), [of_sync, force]);
    }

    #[test]
    fn options_that_argo_cd_takes_for_nothing_are_told() {
        let at = |n: usize| format!("spec.syncPolicy.syncOptions[{n}]");
        assert_eq!(
            told(
                "Application",
                &json!(["Prune=False", "CreateNamespaces=true", "CreateNamespace=true", "Nothing=like-it"]),
                &json!({})
            ),
            [
                (6, at(0), Severity::Warning, "write Prune=true or Prune=false or Prune=confirm".to_owned()),
                (6, at(1), Severity::Warning, "write CreateNamespace=true".to_owned()),
                (6, at(3), Severity::Info, "remove it if nothing else reads it".to_owned()),
            ]
        );
        let annotation = |name: &str| format!("metadata.annotations[argocd.argoproj.io/{name}]");
        assert_eq!(
            told(
                "AppProject",
                &json!(["Prune=False"]),
                &json!({"argocd.argoproj.io/sync-options": "Prun=false, Delete=confirm",
                "argocd.argoproj.io/compare-options": "IgnoreExtraneous,ServerSideDiff", "argocd.argoproj.io/sync-wave": "one"})
            ),
            [
                (6, annotation("sync-options"), Severity::Warning, "write Prune=false".to_owned()),
                (
                    6,
                    annotation("compare-options"),
                    Severity::Warning,
                    "write ServerSideDiff=true or ServerSideDiff=false".to_owned()
                ),
                (6, annotation("sync-wave"), Severity::Warning, "write a whole number, as \"-1\"".to_owned()),
            ]
        );
        assert_eq!(
            told(
                "Application",
                &json!(["Prune=confirm", "Validate=false"]),
                &json!({"argocd.argoproj.io/sync-wave": "-5"})
            ),
            Vec::new()
        );
    }
}
