//! What Kustomize's words may not say: where it refuses something it quotes literals, lines of files and whole patches.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use portolan_model::{
    veil::{self, Veil},
    yaml,
};
use serde_json::Value;

use super::{super::kustomization, files::normal};

/// Of all that a kustomization is built from.
pub(super) fn of(files: &BTreeMap<PathBuf, Vec<u8>>) -> Veil {
    let mut veil = Veil::default();
    for (path, content) in files {
        let folder = path.parent().unwrap_or(Path::new(""));
        let is_own = kustomization::is_one(path);
        for document in yaml::load(&String::from_utf8_lossy(content)).0 {
            let json = &document.json;
            veil.join(Veil::of_patch(json, false));
            // What is neither an object nor a kustomization may be the values of a chart.
            let inline = list(json, "helmCharts").filter_map(|chart| chart.get("valuesInline"));
            let values = (!is_own && json.get("kind").is_none()).then_some(json);
            veil.join(Veil::of_values(inline.chain(values)));
            for generator in list(json, "secretGenerator") {
                generated(generator, folder, files, &mut veil);
            }
            for field in ["patches", "patchesJson6902", "patchesStrategicMerge"] {
                for entry in list(json, field) {
                    let kind = entry["target"]["kind"].as_str().unwrap_or_default();
                    let text = entry.as_str().or_else(|| entry["patch"].as_str()).unwrap_or_default();
                    patch(text, veil::is_secret_kind(kind), &mut veil);
                }
            }
        }
    }
    veil
}

fn list<'v>(json: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    json.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// Literals of a Secret, and lines of the files that hold such.
fn generated(generator: &Value, folder: &Path, files: &BTreeMap<PathBuf, Vec<u8>>, veil: &mut Veil) {
    let mut add = |text: &str| {
        veil.add_secret(text);
        if let Some((_, value)) = text.split_once('=') {
            veil.add_secret(value);
            veil.add_secret(value.trim_matches(['"', '\'']));
        }
    };
    list(generator, "literals").filter_map(Value::as_str).for_each(&mut add);
    let named = list(generator, "envs").chain(generator.get("env")).filter_map(Value::as_str);
    for name in named {
        let content = files.get(&normal(&folder.join(name))).map(|bytes| String::from_utf8_lossy(bytes));
        content.iter().flat_map(|text| text.lines()).for_each(&mut add);
    }
}

/// A patch that is written out. Of one that is no YAML all is hidden, if it may be one of a Secret.
fn patch(text: &str, of_secret: bool, veil: &mut Veil) {
    let (documents, errors) = yaml::load(text);
    let lower = text.to_ascii_lowercase();
    if !errors.is_empty() && (of_secret || lower.contains("secret") || lower.contains("stringdata")) {
        veil.add_secret(text);
    }
    for document in documents {
        veil.join(Veil::of_patch(&document.json, of_secret));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_secret_that_is_generated_or_patched_is_said() {
        let files = [
            (
                "k/kustomization.yaml",
                "secretGenerator: [{name: a, literals: ['alone-1', 'k=\"value-2\"'], envs: [../e]}]\nconfigMapGenerator: \
                 [{name: b, literals: [plain=shown]}]\npatches:\n- {target: {kind: Secret}, patch: '[{op: add, path: /x, value: \
                 patched-3}]'}\n- {patch: '[{op: add, path: /stringData/a, value: patched-4}]'}\n- {patch: \"kind: \
                 Secret\\nstringData: {a: [broken-5\"}\n- {patch: '{kind: ConfigMap, data: {a: public}}'}\n",
            ),
            ("e", "K=line-6\nline-7\n"),
            ("k/s.yaml", "kind: Secret\ndata: {a: data-8}\n"),
            ("k/charts/c/values.yaml", "{db: {adminPassword: default-10}}"),
            ("k/p.yaml", "- {op: replace, path: /data/a, value: {b: data-9}}\n"),
        ];
        let files = files.map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()));
        let said = "[alone-1 k=\"value-2\" plain=shown] patched-3 patched-4 stringData: {a: [broken-5 public line-6 line-7 data-8 \
                    data-9 default-10";
        let covered = of(&files.into()).cover(said).into_owned();
        for n in 1..=10 {
            assert!(!covered.contains(&format!("-{n}")), "{covered}");
        }
        assert!(covered.contains("plain=shown") && covered.contains("public"), "{covered}");
    }
}
