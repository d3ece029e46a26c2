//! What `helm dependency build` says of a chart. Argo CD runs it where `charts/` lacks something that the chart depends on, and with what it
//! refuses nothing of the Application is rendered. Whether the lock is of these dependencies is a hash (`internal/resolver.HashReq`); whether the
//! charts of the same repository (`file://`) have a version that is asked for, the real Helm is asked: of charts that hold nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use portolan_model::yaml;
use serde_json::{Value, json};

/// Charts of the same repository that one depends on, as Helm is asked about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subcharts {
    /// Files of the chart that depends on them, and of theirs what says their version.
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
    /// Where they are asked for there, and where they stand.
    pub(super) places: Vec<(String, String)>,
}

/// Folder of the chart that depends on the others.
const TOP: &str = "build/chart";

impl Subcharts {
    /// What Helm is asked: `work` holds the files.
    pub(super) fn arguments(work: &Path) -> Vec<OsString> {
        let chart = work.join(TOP);
        ["dependency".into(), "build".into(), "--skip-refresh".into(), chart.into()].into()
    }

    /// Its words, about the charts as they stand in the repository.
    pub(super) fn said(&self, said: &str) -> String {
        let said = self.places.iter().fold(said.to_owned(), |said, (here, there)| said.replace(here, there));
        format!("helm dependency build: {said}")
    }
}

/// What a chart depends on.
pub(super) struct Requirements<'a> {
    /// `apiVersion: v1`: they stand in a file of their own.
    pub(super) is_old: bool,
    /// As the chart says them.
    pub(super) wanted: &'a [Value],
    /// Chart.lock, if there is one.
    pub(super) lock: Option<&'a Value>,
    /// Names of charts that lie in `charts/`.
    pub(super) vendored: &'a BTreeSet<String>,
}

impl Requirements<'_> {
    /// Whether Argo CD lets Helm build them: `helm template` says that one is missing.
    pub(super) fn are_built(&self) -> bool {
        self.wanted.iter().any(|one| !self.vendored.contains(text(one, "name")))
    }

    fn locked(&self) -> Option<&[Value]> {
        Some(self.lock?["dependencies"].as_array().map_or(&[], Vec::as_slice))
    }

    /// Why Helm takes the lock for one of other dependencies.
    pub(super) fn out_of_sync(&self) -> Option<String> {
        let (lock, locked) = (self.lock?, self.locked()?);
        // A repository by its alias is what Helm's own settings say.
        let alias = |one: &Value| ["@", "alias:"].iter().any(|by| text(one, "repository").starts_with(by));
        if self.wanted.iter().any(alias) {
            return None;
        }
        let has = text(lock, "digest");
        let both = json!([
            list(self.wanted)?,
            if lock["dependencies"].is_array() { list(locked)? } else { Value::Null }
        ]);
        let old = json!({"dependencies": list(self.wanted)?});
        if has == sum(&both) || self.is_old && has == sum(&old) {
            return None;
        }
        let (lock, file) = if self.is_old {
            ("requirements.lock", "requirements.yaml")
        } else {
            ("Chart.lock", "Chart.yaml")
        };
        Some(format!(
            "the lock file ({lock}) is out of sync with the dependencies file ({file}). Please update the dependencies with 'helm dependency update'"
        ))
    }

    /// Charts of the same repository, as Helm is asked about them. `read`: the file that says what a chart is, at `file://…`.
    ///
    /// # Errors
    /// Those of `read`.
    pub(super) fn subcharts(
        &self,
        read: impl Fn(&str, &str) -> Result<Vec<u8>, String>,
    ) -> Result<Option<Subcharts>, String> {
        let mut all = Subcharts::default();
        let mut asked = Vec::new();
        for one in self.locked().unwrap_or(self.wanted) {
            let (name, repository) = (text(one, "name"), text(one, "repository"));
            let (true, Some(version)) = (repository.starts_with("file://"), one["version"].as_str()) else {
                continue;
            };
            let folder = format!("portolan-{}", asked.len());
            all.files
                .insert(PathBuf::from("build").join(&folder).join("Chart.yaml"), read(name, repository)?);
            let place = format!("file://../{folder}");
            // Helm takes one name twice where each has a name of its own.
            let alias = format!("portolan{}", asked.len());
            asked.push(json!({"name": name, "version": version, "repository": place, "alias": alias}));
            all.places.push((place, repository.to_owned()));
        }
        if asked.is_empty() {
            return Ok(None);
        }
        let chart = json!({"apiVersion": "v2", "name": "chart", "version": "0.0.0", "dependencies": asked});
        let mut put = |file: &str, content: &Value| {
            all.files.insert(Path::new(TOP).join(file), yaml::of_json(content).into_bytes());
        };
        put("Chart.yaml", &chart);
        if self.lock.is_some() {
            let digest = sum(&json!([list(&asked).unwrap_or_default(), list(&asked).unwrap_or_default()]));
            put(
                "Chart.lock",
                &json!({"dependencies": asked, "digest": digest, "generated": "2020-01-01T00:00:00Z"}),
            );
        }
        Ok(Some(all))
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Dependencies as Helm's type holds them; `None` where it would not read one.
fn list(all: &[Value]) -> Option<Value> {
    let one = |one: &Value| -> Option<Value> {
        let fields = one.as_object()?;
        let mut out: Vec<Value> = Vec::new();
        // In the order of the type, and without what is Go's zero value but for two.
        for (field, always) in
            [("name", true), ("version", false), ("repository", true), ("condition", false)]
        {
            let text = match fields.get(field) {
                None | Some(Value::Null) => "",
                Some(value) => value.as_str()?,
            };
            if always || !text.is_empty() {
                out.push(json!([field, text]));
            }
        }
        for field in ["tags", "enabled", "import-values", "alias"] {
            let value = fields.get(field).unwrap_or(&Value::Null);
            let zero = match value {
                Value::Null | Value::Bool(false) => true,
                Value::String(text) => text.is_empty(),
                Value::Array(all) => all.is_empty(),
                _ => false,
            };
            if !zero {
                out.push(json!([field, value]));
            }
        }
        // Kept as pairs: a mapping would be sorted.
        Some(Value::Array(out))
    };
    all.iter().map(one).collect()
}

/// Digest of `[2][]*Dependency` or `map[string][]*Dependency`, whose dependencies are those of `list`.
fn sum(value: &Value) -> String {
    let mut text = String::new();
    let dependencies = |text: &mut String, all: &Value| match all {
        Value::Array(all) => {
            text.push('[');
            for (n, one) in all.iter().enumerate() {
                text.push_str(if n == 0 { "{" } else { ",{" });
                for (n, pair) in one.as_array().into_iter().flatten().enumerate() {
                    text.push_str(if n == 0 { "" } else { "," });
                    go(text, &pair[0]);
                    text.push(':');
                    go(text, &pair[1]);
                }
                text.push('}');
            }
            text.push(']');
        }
        _ => text.push_str("null"),
    };
    match value {
        Value::Array(both) => {
            text.push('[');
            for (n, all) in both.iter().enumerate() {
                text.push_str(if n == 0 { "" } else { "," });
                dependencies(&mut text, all);
            }
            text.push(']');
        }
        other => {
            text.push_str("{\"dependencies\":");
            dependencies(&mut text, &other["dependencies"]);
            text.push('}');
        }
    }
    let mut out = "sha256:".to_owned();
    for byte in digest::digest(&digest::SHA256, text.as_bytes()).as_ref() {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// JSON as Go writes it: keys sorted, and characters of HTML as numbers.
fn go(out: &mut String, value: &Value) {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            out.push('{');
            for (n, (key, value)) in sorted.into_iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                go(out, &Value::String(key.clone()));
                out.push(':');
                go(out, value);
            }
            out.push('}');
        }
        Value::Array(all) => {
            out.push('[');
            for (n, value) in all.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                go(out, value);
            }
            out.push(']');
        }
        Value::String(text) => {
            let plain = Value::String(text.clone()).to_string();
            for c in plain.chars() {
                match c {
                    '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                        let _ = write!(out, "\\u{:04x}", u32::from(c));
                    }
                    c => out.push(c),
                }
            }
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What `helm dependency update` (4.3) wrote for these.
    #[test]
    fn a_lock_is_of_its_dependencies() {
        let wanted = json!([
            {"name": "sub", "version": ">=0.1.0 <2", "repository": "file://../sub", "alias": "other", "tags": ["a", "b"],
             "import-values": ["data", {"parent": "p", "child": "c"}], "condition": "sub.enabled"},
        ]);
        let lock = json!({
            "dependencies": [{"name": "sub", "repository": "file://../sub", "version": "0.1.0"}],
            "digest": "sha256:c5041a5271f535b274a431ec033c9884f03e966d3be78f20c58e3becf937f10b",
        });
        let vendored = BTreeSet::new();
        let said = |wanted: &Value, lock: &Value| {
            let wanted = wanted.as_array().unwrap();
            let requirements = Requirements { is_old: false, wanted, lock: Some(lock), vendored: &vendored };
            requirements.out_of_sync()
        };
        assert_eq!(said(&wanted, &lock), None);
        let mut edited = wanted;
        edited[0]["version"] = "0.2.0".into();
        assert!(said(&edited, &lock).unwrap().contains("(Chart.lock) is out of sync"));
    }
}
