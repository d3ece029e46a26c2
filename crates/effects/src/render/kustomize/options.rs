//! `source.kustomize` of an Application. Argo CD runs `kustomize edit` in its copy for each option and then builds; the same
//! is written into our copy. Sources: argoproj/argo-cd `util/kustomize/kustomize.go`, kubernetes-sigs/kustomize
//! `kustomize/commands/edit`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// `spec.source.kustomize`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, clippy::struct_excessive_bools)] // the names and switches of the type it mirrors
pub struct Kustomize {
    pub name_prefix: String,
    pub name_suffix: String,
    pub images: Vec<String>,
    pub replicas: Vec<Replica>,
    pub common_labels: BTreeMap<String, String>,
    pub force_common_labels: bool,
    pub label_without_selector: bool,
    pub label_include_templates: bool,
    pub common_annotations: BTreeMap<String, String>,
    pub force_common_annotations: bool,
    pub common_annotations_envsubst: bool,
    pub namespace: String,
    pub patches: Vec<Value>,
    pub components: Vec<String>,
    pub ignore_missing_components: bool,
    pub version: String,
    pub kube_version: String,
    pub api_versions: Vec<String>,
}

/// `kustomize.replicas[]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Replica {
    pub name: String,
    pub count: Value,
}

impl Kustomize {
    /// Writes the options into a kustomization, in Argo CD's order. `fill` fills in variables of the build environment;
    /// `components` are those that are there.
    ///
    /// # Errors
    /// The field and what is wrong with it, as `kustomize edit` would refuse it.
    pub(in super::super) fn write(
        &self,
        own: &mut Map<String, Value>,
        components: &[String],
        fill: impl Fn(&str) -> String,
    ) -> Result<(), (String, String)> {
        for (field, value) in [
            ("namePrefix", &self.name_prefix),
            ("nameSuffix", &self.name_suffix),
            ("namespace", &self.namespace),
        ] {
            if !value.is_empty() {
                own.insert(field.into(), Value::String(value.clone()));
            }
        }
        for image in &self.images {
            let image = image_of(&fill(image)).ok_or_else(|| {
                ("images".to_owned(), format!("{image:?} is none of name=new:tag, name:tag and name@digest"))
            })?;
            replace(own, "images", image)?;
        }
        for Replica { name, count } in &self.replicas {
            let number = count.as_i64().or_else(|| count.as_str()?.parse().ok());
            let number = number
                .ok_or_else(|| ("replicas".to_owned(), format!("count {count} of {name} is no number")))?;
            replace(own, "replicas", json!({"name": name, "count": number}))?;
        }
        self.labels(own, &fill)?;
        let annotations = self.common_annotations.iter().map(|(name, value)| {
            (name.clone(), if self.common_annotations_envsubst { fill(value) } else { value.clone() })
        });
        add(own, "commonAnnotations", annotations, self.force_common_annotations)?;
        if !self.patches.is_empty() {
            list(own, "patches")?.extend(self.patches.iter().cloned());
        }
        for component in components {
            let all = list(own, "components")?;
            if !all.iter().any(|other| other.as_str() == Some(component)) {
                all.push(Value::String(component.clone()));
            }
        }
        Ok(())
    }

    /// `kustomize edit add label`: into `commonLabels`, or an entry of `labels` where selectors stay as they are.
    fn labels(
        &self,
        own: &mut Map<String, Value>,
        fill: &impl Fn(&str) -> String,
    ) -> Result<(), (String, String)> {
        let labels = self.common_labels.iter().map(|(name, value)| (name.clone(), fill(value)));
        if !self.label_without_selector {
            return add(own, "commonLabels", labels, self.force_common_labels);
        }
        if self.common_labels.is_empty() {
            return Ok(());
        }
        let templates = self.label_include_templates;
        let entries = list(own, "labels")?;
        let is_ours = |entry: &Value| {
            let on = |field: &str| entry.get(field).and_then(Value::as_bool).unwrap_or_default();
            !on("includeSelectors") && on("includeTemplates") == templates
        };
        let at = entries.iter().position(is_ours).unwrap_or_else(|| {
            entries.push(json!({"pairs": {}, "includeTemplates": templates}));
            entries.len() - 1
        });
        let Some(entry) = entries[at].as_object_mut() else { return Ok(()) };
        add(entry, "pairs", labels, self.force_common_labels)
    }
}

fn list<'a>(own: &'a mut Map<String, Value>, field: &str) -> Result<&'a mut Vec<Value>, (String, String)> {
    let entry = own.entry(field).or_insert_with(|| json!([]));
    if entry.is_null() {
        *entry = json!([]);
    }
    entry.as_array_mut().ok_or_else(|| (field.to_owned(), format!("{field} of the kustomization is no list")))
}

/// Adds to a mapping; what is there already is only replaced by `force`.
fn add(
    own: &mut Map<String, Value>,
    field: &str,
    pairs: impl Iterator<Item = (String, String)>,
    force: bool,
) -> Result<(), (String, String)> {
    let pairs: Vec<_> = pairs.collect();
    if pairs.is_empty() {
        return Ok(());
    }
    let entry = own.entry(field).or_insert_with(|| json!({}));
    if entry.is_null() {
        *entry = json!({});
    }
    let all = entry
        .as_object_mut()
        .ok_or_else(|| (field.to_owned(), format!("{field} of the kustomization is no mapping")))?;
    for (name, value) in pairs {
        if all.contains_key(&name) && !force {
            let switch =
                if field == "commonAnnotations" { "forceCommonAnnotations" } else { "forceCommonLabels" };
            return Err((
                field.to_owned(),
                format!("{name} is already in the kustomization file; {switch} would replace it"),
            ));
        }
        all.insert(name, Value::String(value));
    }
    Ok(())
}

/// Puts an entry in place of the one of its name. `*` in it stands for what the old one says.
fn replace(own: &mut Map<String, Value>, field: &str, mut entry: Value) -> Result<(), (String, String)> {
    let all = list(own, field)?;
    let at = all.iter().position(|other| other.get("name") == entry.get("name"));
    if let Some(fields) = entry.as_object_mut() {
        let starred: Vec<String> =
            fields.iter().filter(|(_, value)| *value == "*").map(|(field, _)| field.clone()).collect();
        for field in starred {
            match at.and_then(|at| all[at].get(&field)) {
                Some(old) => fields.insert(field, old.clone()),
                None => fields.remove(&field),
            };
        }
    }
    match at {
        Some(at) => all[at] = entry,
        None => all.push(entry),
    }
    Ok(())
}

/// `name=new:tag@digest` and parts of it (`edit/set/setimage.go`). A name alone says nothing.
fn image_of(text: &str) -> Option<Value> {
    let (name, new) = match text.split_once('=') {
        Some((name, new)) => (Some(name), new),
        None => (None, text),
    };
    let (rest, digest) = new.split_once('@').map_or((new, None), |(rest, digest)| (rest, Some(digest)));
    let tagged = rest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    let (base, tag) = tagged.map_or((rest, None), |(base, tag)| (base, Some(tag)));
    if base == text {
        return None;
    }
    let new_name = name.and(Some(base)).filter(|base| !base.is_empty());
    let fields =
        [("name", Some(name.unwrap_or(base))), ("newName", new_name), ("newTag", tag), ("digest", digest)];
    let image = fields.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?.into())));
    Some(Value::Object(image.collect()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn images_as_kustomize_edit_takes_them() {
        for (text, wanted) in [
            ("nginx:1.27", json!({"name": "nginx", "newTag": "1.27"})),
            (
                "nginx=r.example:5000/n:2",
                json!({"name": "nginx", "newName": "r.example:5000/n", "newTag": "2"}),
            ),
            ("nginx=r.example:5000/n", json!({"name": "nginx", "newName": "r.example:5000/n"})),
            ("a/b@sha256:00", json!({"name": "a/b", "digest": "sha256:00"})),
            ("a=b:1@sha256:00", json!({"name": "a", "newName": "b", "newTag": "1", "digest": "sha256:00"})),
            ("a=*:1", json!({"name": "a", "newName": "*", "newTag": "1"})),
        ] {
            assert_eq!(image_of(text).unwrap(), wanted, "{text}");
        }
        assert!(image_of("nginx").is_none() && image_of("").is_none());
    }

    #[test]
    fn options_are_laid_over_what_the_kustomization_says() {
        let mut own = json!({"images": [{"name": "a", "newName": "b", "digest": "sha256:0"}], "commonLabels": {"x": "1"}, "replicas": [{"name": "w", "count": 1}]});
        let own = own.as_object_mut().unwrap();
        let mut options: Kustomize = serde_json::from_value(json!({
            "namePrefix": "p-", "images": ["a=*:2"], "replicas": [{"name": "w", "count": "3"}], "commonLabels": {"y": "$N"},
            "patches": [{"patch": "x"}],
        }))
        .unwrap();
        options.write(own, &["../c".to_owned()], |text| text.replace("$N", "team")).unwrap();
        assert_eq!(
            *own,
            *json!({
                "namePrefix": "p-", "images": [{"name": "a", "newName": "b", "newTag": "2"}], "replicas": [{"name": "w", "count": 3}],
                "commonLabels": {"x": "1", "y": "team"}, "patches": [{"patch": "x"}], "components": ["../c"],
            })
            .as_object()
            .unwrap()
        );
        options.common_labels = [("x".to_owned(), "2".to_owned())].into();
        assert!(options.write(own, &[], str::to_owned).unwrap_err().1.contains("forceCommonLabels"));
        options.force_common_labels = true;
        options.write(own, &[], str::to_owned).unwrap();
        assert_eq!(own["commonLabels"]["x"], "2");
    }
}
