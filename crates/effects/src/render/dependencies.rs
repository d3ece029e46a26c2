//! Which dependencies of a chart stay, which Portolan stands in for, and which are left out.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

/// Upstream charts whose work Portolan does itself.
pub const REPLACED: [&str; 6] =
    ["cert-manager", "gateway-helm", "external-dns", "sealed-secrets", "reflector", "kyverno"];

/// One entry of `dependencies` in `Chart.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// Name of the chart.
    pub name: String,
    /// Name that its values stand under, if not the chart's own.
    pub alias: Option<String>,
    /// Version constraint.
    pub version: String,
    /// Where it would come from.
    pub repository: String,
    /// Comma-separated paths of values; the first that is set decides.
    pub condition: Option<String>,
    /// Names under `tags` of the values: one that is true keeps it, else one that is false takes it out.
    pub tags: Vec<String>,
}

impl Dependency {
    /// The key of its values.
    pub fn values_key(&self) -> &str {
        self.alias.as_deref().filter(|alias| !alias.is_empty()).unwrap_or(&self.name)
    }

    /// Whether `values` switch it on (Helm `pkg/chart/v2/util/dependencies.go`): the first path of `condition` that holds a
    /// boolean decides, else the tags, else it is on.
    pub fn enabled(&self, values: &Value) -> bool {
        let paths = self.condition.as_deref().unwrap_or("").split(',').map(str::trim);
        let condition = paths
            .filter(|path| !path.is_empty())
            .find_map(|path| path.split('.').try_fold(values, |at, part| at.get(part))?.as_bool());
        let tags: Vec<bool> =
            self.tags.iter().filter_map(|tag| values.get("tags")?.get(tag)?.as_bool()).collect();
        condition.unwrap_or_else(|| tags.is_empty() || tags.contains(&true))
    }
}

/// What becomes of a chart's dependencies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Portolan does their work.
    pub replaced: Vec<Dependency>,
    /// Neither replaced nor in the repository.
    pub left_out: Vec<Dependency>,
    /// `repository: file://…`: copied in.
    pub local: Vec<Dependency>,
    /// Locked, and fetched before: copied in.
    pub locked: Vec<Dependency>,
    /// Names of dependencies that are rendered from `charts/`.
    pub vendored: BTreeSet<String>,
}

/// Takes out of `chart` (the content of `Chart.yaml` or `requirements.yaml`) what is not rendered. `vendored` holds the
/// names of the charts found in the chart's `charts/` folder; `locked` says which of other places are there.
pub fn split(
    chart: &mut Value,
    vendored: &BTreeSet<String>,
    mut locked: impl FnMut(&Dependency) -> bool,
) -> Split {
    let mut split = Split::default();
    let Some(Value::Array(entries)) = chart.get_mut("dependencies") else { return split };
    entries.retain(|entry| {
        let Ok(dependency) = crate::typed::read::<Dependency>(entry) else {
            // Helm itself says best what is wrong with it.
            return true;
        };
        if REPLACED.contains(&dependency.name.as_str()) {
            split.replaced.push(dependency);
            false
        } else if vendored.contains(&dependency.name) {
            split.vendored.insert(dependency.name);
            true
        } else if dependency.repository.starts_with("file://") {
            split.local.push(dependency);
            true
        } else if locked(&dependency) {
            split.locked.push(dependency);
            true
        } else {
            split.left_out.push(dependency);
            false
        }
    });
    split
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn replaced_vendored_local_and_left_out() {
        let mut chart = json!({"name": "x", "dependencies": [
            {"name": "gateway-helm", "alias": "gatewayprovider", "version": "v1.7.1"},
            {"name": "redis", "version": "1"}, {"name": "valkey"}, {"name": "nats"}, {"name": "common", "repository": "file://../common"}]});
        let split = split(&mut chart, &["redis".to_owned()].into(), |dependency| dependency.name == "nats");
        assert_eq!(split.replaced[0].values_key(), "gatewayprovider");
        assert_eq!(split.left_out[0].name, "valkey");
        let kept: Vec<_> =
            chart["dependencies"].as_array().into_iter().flatten().map(|d| &d["name"]).collect();
        assert_eq!(kept, ["redis", "nats", "common"]);
    }

    #[test]
    fn tags_decide_where_no_condition_does() {
        let tagged = |condition: Option<&str>| Dependency {
            condition: condition.map(str::to_owned),
            tags: vec!["dns".into(), "edge".into()],
            ..Dependency::default()
        };
        assert!(tagged(None).enabled(&json!({})));
        assert!(!tagged(None).enabled(&json!({"tags": {"dns": false}})));
        assert!(tagged(None).enabled(&json!({"tags": {"dns": false, "edge": true}})));
        assert!(tagged(Some("on")).enabled(&json!({"on": true, "tags": {"dns": false}})));
        assert!(!tagged(Some("on")).enabled(&json!({"on": false, "tags": {"dns": true}})));
        assert!(!tagged(Some("on")).enabled(&json!({"tags": {"dns": false}})));
    }

    #[test]
    fn conditions() {
        let dependency = Dependency { condition: Some("a.on, b.on".into()), ..Dependency::default() };
        assert!(!dependency.enabled(&json!({"b": {"on": false}})));
        assert!(dependency.enabled(&json!({"a": {"on": true}, "b": {"on": false}})));
        assert!(dependency.enabled(&json!({"a": {"on": "no boolean"}})));
    }
}
