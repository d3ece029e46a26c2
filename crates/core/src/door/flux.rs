//! What an API server has against objects of Flux' kinds, whose definitions are not packed: versions that there never were, and the types
//! of every field that is read here. A text where a boolean belongs would be taken for unset otherwise.
//! Sources: `config/crd/bases` of kustomize-controller, helm-controller and source-controller of August 2026.

use portolan_model::{ObjectKey, nearest};
use portolan_schema::Cause;
use serde_json::Value;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text,
    Boolean,
    Object,
}

use Type::{Boolean, Object, Text};

/// Versions that Flux has served.
const VERSIONS: [(&str, &[&str]); 3] = [
    ("kustomize.toolkit.fluxcd.io", &["v1", "v1beta2", "v1beta1"]),
    ("helm.toolkit.fluxcd.io", &["v2", "v2beta2", "v2beta1"]),
    ("source.toolkit.fluxcd.io", &["v1", "v1beta2", "v1beta1"]),
];

/// A kind with its fields: `[]` stands for the items of a list, `*` for the values of a mapping.
type Fields = &'static [(Type, &'static str)];

const KUSTOMIZATION: Fields = &[
    (Boolean, "prune suspend ignoreMissingComponents postBuild.substituteFrom[].optional"),
    (
        Text,
        "components[] commonMetadata.labels.* commonMetadata.annotations.* decryption.provider \
         decryption.secretRef.name decryption.serviceAccountName deletionPolicy dependsOn[].name dependsOn[].namespace \
         images[].name images[].newName images[].newTag images[].digest namePrefix nameSuffix patches[].patch \
         patches[].target.group patches[].target.version patches[].target.kind patches[].target.name \
         patches[].target.namespace patches[].target.labelSelector patches[].target.annotationSelector path \
         postBuild.substitute.* postBuild.substituteStrategy postBuild.substituteFrom[].kind \
         postBuild.substituteFrom[].name sourceRef.apiVersion sourceRef.kind sourceRef.name sourceRef.namespace \
         targetNamespace",
    ),
];

const RELEASE: Fields = &[
    (Object, "values"),
    (
        Boolean,
        "suspend chart.spec.ignoreMissingValuesFiles install.createNamespace install.disableHooks \
         install.disableSchemaValidation install.skipCRDs upgrade.disableHooks valuesFrom[].optional \
         valuesFrom[].literal",
    ),
    (
        Text,
        "chart.spec.chart chart.spec.version chart.spec.sourceRef.apiVersion chart.spec.sourceRef.kind \
         chart.spec.sourceRef.name chart.spec.sourceRef.namespace chart.spec.valuesFiles[] chartRef.apiVersion \
         chartRef.kind chartRef.name chartRef.namespace commonMetadata.labels.* commonMetadata.annotations.* \
         dependsOn[].name dependsOn[].namespace install.crds postRenderers[].kustomize.images[].name \
         postRenderers[].kustomize.images[].newName postRenderers[].kustomize.images[].newTag \
         postRenderers[].kustomize.images[].digest postRenderers[].kustomize.patches[].patch \
         postRenderers[].kustomize.patches[].target.group postRenderers[].kustomize.patches[].target.version \
         postRenderers[].kustomize.patches[].target.kind postRenderers[].kustomize.patches[].target.name \
         postRenderers[].kustomize.patches[].target.namespace \
         postRenderers[].kustomize.patches[].target.labelSelector \
         postRenderers[].kustomize.patches[].target.annotationSelector releaseName targetNamespace valuesFrom[].kind \
         valuesFrom[].name valuesFrom[].valuesKey valuesFrom[].targetPath",
    ),
];

const GIT: Fields = &[
    (Boolean, "suspend"),
    (Text, "ignore include[].fromPath include[].repository.name include[].toPath sparseCheckout[] url"),
];

const CHARTS: Fields = &[(Text, "type url")];

const OCI: Fields = &[(Text, "ignore ref.tag ref.semver ref.digest url")];

const CHART: Fields = &[
    (Boolean, "ignoreMissingValuesFiles"),
    (
        Text,
        "chart sourceRef.apiVersion sourceRef.kind sourceRef.name sourceRef.namespace valuesFiles[] version",
    ),
];

const ARTIFACT: Fields = &[(Text, "sourceRef.apiVersion sourceRef.kind sourceRef.name sourceRef.namespace")];

const KINDS: [(&str, Fields); 7] = [
    ("Kustomization", KUSTOMIZATION),
    ("HelmRelease", RELEASE),
    ("GitRepository", GIT),
    ("HelmRepository", CHARTS),
    ("OCIRepository", OCI),
    ("HelmChart", CHART),
    ("ExternalArtifact", ARTIFACT),
];

/// Everything of it that is wrong.
pub(super) fn wrong(key: &ObjectKey, json: &Value) -> Vec<Cause> {
    let group = &*key.kind.group;
    let Some((_, versions)) = VERSIONS.iter().find(|(known, _)| *known == group) else { return Vec::new() };
    let written = json.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let version = written.rsplit('/').next().unwrap_or_default();
    if !versions.contains(&version) {
        let words = format!("no matches for kind \"{}\" in version \"{written}\"", key.kind.kind);
        let meant = nearest(version, versions.iter().copied()).unwrap_or(versions[0]);
        let hint = Some(format!("write {group}/{meant}"));
        return vec![Cause { path: "apiVersion".into(), hint, ..Cause::decode(words) }];
    }
    let Some((_, fields)) = KINDS.iter().find(|(kind, _)| *kind == &*key.kind.kind) else {
        return Vec::new();
    };
    let mut causes = Vec::new();
    let Some(spec) = json.get("spec") else { return causes };
    for (of, paths) in *fields {
        for path in paths.split_whitespace() {
            look(spec, path, *of, "spec", &mut causes);
        }
    }
    causes.sort_by(|a, b| a.path.cmp(&b.path));
    causes.dedup_by(|a, b| a.path == b.path);
    causes
}

/// Looks at what stands at a path below `at`; what leads there has to be a mapping or a list. A null is as if nothing stood there,
/// but for items.
fn look(value: &Value, path: &str, of: Type, at: &str, out: &mut Vec<Cause>) {
    let mut must = |wanted: &str, fits: bool| {
        if !fits {
            let detail = format!("{at} in body must be of type {wanted}: \"{}\"", name(value));
            out.push(Cause::type_invalid(at, name(value), detail));
        }
        fits
    };
    if let Some(rest) = path.strip_prefix("[]") {
        if must("array", value.is_array()) {
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                look(item, rest, of, &format!("{at}[{n}]"), out);
            }
        }
        return;
    }
    if path.is_empty() {
        match of {
            Text => must("string", value.is_string()),
            Boolean => must("boolean", value.is_boolean()),
            Object => must("object", value.is_object()),
        };
        return;
    }
    if !must("object", value.is_object()) {
        return;
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (field, rest) = path.split_at(end);
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    let below = value.as_object().into_iter().flatten().filter(|(key, _)| field == "*" || *key == field);
    for (key, value) in below.filter(|(_, value)| field == "*" || !value.is_null()) {
        look(value, rest, of, &format!("{at}.{key}"), out);
    }
}

/// The type of a value, as the API server names it.
fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use portolan_model::{Kind, intake::fates};
    use serde_json::json;

    use super::*;

    fn said(version: &str, kind: &str, spec: &Value) -> Vec<String> {
        let group = version.split('/').next().unwrap_or_default();
        let key = ObjectKey::new(group, kind, "flux-system", "a");
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": spec});
        wrong(&key, &object).iter().map(ToString::to_string).collect()
    }

    /// Peers' reports, P11: a text was read as `false`, and a version that nobody has ever served was taken.
    #[test]
    fn another_type_and_a_version_that_there_is_not_are_refused_as_by_an_api_server() {
        let kustomize = "kustomize.toolkit.fluxcd.io/v1";
        let wrong = |path: &str, wanted: &str, is: &str| {
            format!("{path}: Invalid value: \"{is}\": {path} in body must be of type {wanted}: \"{is}\"")
        };
        for (spec, told) in [
            (json!({"prune": "true"}), vec![wrong("spec.prune", "boolean", "string")]),
            (
                json!({"prune": true, "path": 7, "suspend": null}),
                vec![wrong("spec.path", "string", "integer")],
            ),
            (json!({"commonMetadata": [1]}), vec![wrong("spec.commonMetadata", "object", "array")]),
            (json!({"dependsOn": [["a"]]}), vec![wrong("spec.dependsOn[0]", "object", "array")]),
            (json!({"dependsOn": {"name": "a"}}), vec![wrong("spec.dependsOn", "array", "object")]),
            (
                json!({"postBuild": {"substitute": {"a": 1, "b": "x", "c": true}}}),
                vec![
                    wrong("spec.postBuild.substitute.a", "string", "integer"),
                    wrong("spec.postBuild.substitute.c", "string", "boolean"),
                ],
            ),
            (json!("x"), vec![wrong("spec", "object", "string")]),
            (
                json!({"prune": true, "path": "./a", "components": ["b"], "interval": "1h", "wait": true}),
                vec![],
            ),
        ] {
            assert_eq!(said(kustomize, "Kustomization", &spec), told, "{spec}");
        }
        assert_eq!(
            said(
                "helm.toolkit.fluxcd.io/v2",
                "HelmRelease",
                &json!({"values": "x", "valuesFrom": [{"optional": 1}]})
            ),
            [
                wrong("spec.values", "object", "string"),
                wrong("spec.valuesFrom[0].optional", "boolean", "integer")
            ]
        );
        assert_eq!(said("source.toolkit.fluxcd.io/v1beta2", "GitRepository", &json!({"url": "x"})), [""; 0]);
        assert_eq!(
            said("helm.toolkit.fluxcd.io/v2beta9", "HelmRelease", &json!({})),
            ["no matches for kind \"HelmRelease\" in version \"helm.toolkit.fluxcd.io/v2beta9\""]
        );
        assert_eq!(said("notification.toolkit.fluxcd.io/v9", "Alert", &json!({"prune": "x"})), [""; 0]);
    }

    /// A field that is read and has no type here would be taken whatever stands in it.
    #[test]
    fn every_field_that_is_read_has_a_type() {
        for (kind, fields) in KINDS {
            let paths =
                VERSIONS.iter().flat_map(|(group, _)| fates::paths(group, kind).map(|path| (*group, path)));
            let used = paths.filter(|(group, path)| {
                path.starts_with("spec")
                    && fates::effect(&Kind::new(*group, kind), path) == Some(fates::Effect::Used)
            });
            let used: Vec<&str> = used.map(|(_, path)| path).collect();
            assert!(!used.is_empty(), "{kind}");
            let typed: Vec<String> = fields
                .iter()
                .flat_map(|(_, paths)| paths.split_whitespace())
                .map(|path| format!("spec.{}", path.replace("[]", "").trim_end_matches(".*")))
                .collect();
            for path in used {
                let is = |typed: &String| typed == path || typed.starts_with(&format!("{path}."));
                // Patches of older forms are lists of whatever Kustomize takes.
                let old = ["spec.patchesJson6902", "spec.patchesStrategicMerge"]
                    .iter()
                    .any(|old| path.starts_with(old));
                assert!(old || typed.iter().any(is), "{kind} {path}");
            }
        }
    }
}
