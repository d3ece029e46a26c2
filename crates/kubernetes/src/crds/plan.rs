//! What to do about a definition, given the one that is in the cluster. Pure.
//!
//! A definition that loses a version or a field loses the data of everybody who uses it, without a word. So what is there is
//! replaced only by what is known to be later, or by what takes nothing away.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Definition, version};

/// Annotation of what we applied: set and version.
const MARK: &str = "portolan.dev/definition-version";
/// The Gateway API's own.
const BUNDLE: &str = "gateway.networking.k8s.io/bundle-version";
const CHANNEL: &str = "gateway.networking.k8s.io/channel";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// None is there.
    Create,
    /// It is there, and so.
    Unchanged,
    /// What is there is older, or has nothing that ours has not.
    Replace,
    /// What is there stays; why.
    Keep(String),
}

/// What to do about a definition.
pub fn plan(live: Option<&Value>, ours: &Definition) -> Plan {
    let Some(live) = live else { return Plan::Create };
    let annotation = |name: &str| live["metadata"]["annotations"][name].as_str();
    if live["metadata"].get("deletionTimestamp").is_some() {
        return Plan::Keep("it is being removed at present".into());
    }
    if let (Some("experimental"), Some("standard")) = (annotation(CHANNEL), ours.channel.as_deref()) {
        return Plan::Keep(
            "it is of the experimental channel, which the standard one would take fields from (--channel experimental)".into(),
        );
    }
    let of_version = annotation(BUNDLE).or_else(|| annotation(MARK));
    let (there, mine) = (of_version.and_then(version::parse), version::parse(&ours.version));
    let known = there.as_ref().zip(mine.as_ref()).map(|(there, mine)| there.cmp(mine));
    if known.is_some_and(std::cmp::Ordering::is_gt) {
        let there = of_version.unwrap_or_default();
        return Plan::Keep(format!("{there} is there, which is later than {}", ours.version));
    }
    if contains(live, &marked(ours)) {
        return Plan::Unchanged;
    }
    // Versions in which objects stand are not taken away by anybody: an API server refuses it too.
    let versions: BTreeSet<&str> = names(&ours.object["spec"]["versions"]).collect();
    let stored = live["status"]["storedVersions"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = stored.into_iter().find(|stored| !versions.contains(stored)) {
        return Plan::Keep(format!(
            "objects are stored in version {missing}, which {} does not have",
            ours.version
        ));
    }
    if !known.is_some_and(std::cmp::Ordering::is_lt)
        && let Some(lost) = lost(live, &ours.object)
    {
        let from = of_version
            .map_or_else(|| "of a version that it does not say".to_owned(), |of| format!("of {of}"));
        return Plan::Keep(format!("it is {from} and has {lost}, which {} does not have", ours.version));
    }
    Plan::Replace
}

/// A definition as it is applied.
pub fn marked(definition: &Definition) -> Value {
    let mut object = definition.object.clone();
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = json!({});
    }
    object["metadata"]["annotations"][MARK] = json!(*definition.version);
    object
}

fn names(versions: &Value) -> impl Iterator<Item = &str> {
    versions.as_array().into_iter().flatten().filter_map(|version| version["name"].as_str())
}

/// Something that is there and would be lost.
fn lost(live: &Value, ours: &Value) -> Option<String> {
    for version in live["spec"]["versions"].as_array().into_iter().flatten() {
        let name = version["name"].as_str().unwrap_or_default();
        let mine = ours["spec"]["versions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|mine| mine["name"] == version["name"]);
        let Some(mine) = mine else { return Some(format!("version {name}")) };
        if version["served"] == true && mine["served"] != true {
            return Some(format!("version {name} served"));
        }
        let schema = "/schema/openAPIV3Schema";
        if let (Some(there), Some(mine)) = (version.pointer(schema), mine.pointer(schema))
            && let Some(field) = field(there, mine, "")
        {
            return Some(format!("the field {field} in {name}"));
        }
    }
    None
}

/// A field of one schema that another does not have.
fn field(there: &Value, mine: &Value, path: &str) -> Option<String> {
    if mine["x-kubernetes-preserve-unknown-fields"] == true {
        return None;
    }
    for (name, schema) in there["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let Some(of_mine) = mine["properties"].get(name) else { return Some(path) };
        if let Some(found) = field(schema, of_mine, &path) {
            return Some(found);
        }
    }
    for (inner, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
        if let (Some(there), Some(mine)) = (there.get(inner), mine.get(inner))
            && let Some(found) = field(there, mine, &format!("{path}{mark}"))
        {
            return Some(found);
        }
    }
    None
}

/// Whether all that is wanted stands in what is there; the server has defaults and marks besides. Lists are compared whole,
/// entry by entry.
fn contains(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| there.get(key).is_some_and(|there| contains(there, value)))
        }
        (Value::Array(there), Value::Array(wanted)) => {
            there.len() == wanted.len()
                && there.iter().zip(wanted).all(|(there, wanted)| contains(there, wanted))
        }
        _ => there == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crds::all;

    fn definition(channel: &str, name: &str) -> Definition {
        let name = format!("CustomResourceDefinition/{name}");
        all(channel).into_iter().find(|one| one.name() == name).expect("it is packed")
    }

    /// As a cluster has it: with what the server adds.
    fn there(definition: &Definition) -> Value {
        let mut live = marked(definition);
        live["metadata"]["uid"] = json!("u");
        live["metadata"]["managedFields"] = json!([]);
        live["spec"]["conversion"] = json!({"strategy": "None"});
        let stored: Vec<&str> = names(&definition.object["spec"]["versions"]).take(1).collect();
        live["status"] = json!({"storedVersions": stored});
        live
    }

    fn annotate(live: &mut Value, name: &str, value: &str) {
        live["metadata"]["annotations"][name] = json!(value);
    }

    #[test]
    fn nothing_later_or_larger_is_replaced() {
        let routes = "httproutes.gateway.networking.k8s.io";
        let (standard, experimental) = (definition("standard", routes), definition("experimental", routes));
        assert_eq!(plan(None, &standard), Plan::Create);
        assert_eq!(plan(Some(&there(&standard)), &standard), Plan::Unchanged);
        // From standard to experimental nothing is lost; back it is.
        assert_eq!(plan(Some(&there(&standard)), &experimental), Plan::Replace);
        assert!(
            matches!(plan(Some(&there(&experimental)), &standard), Plan::Keep(why) if why.contains("experimental"))
        );
        let mut later = there(&standard);
        annotate(&mut later, BUNDLE, "v1.10.0");
        assert!(matches!(plan(Some(&later), &standard), Plan::Keep(why) if why.contains("v1.10.0 is there")));
        let mut older = there(&standard);
        annotate(&mut older, BUNDLE, "v1.6.3");
        older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["was"] =
            json!({"type": "string"});
        assert_eq!(
            plan(Some(&older), &standard),
            Plan::Replace,
            "what a later version has given up is given up"
        );
        let mut leaving = older.clone();
        leaving["metadata"]["deletionTimestamp"] = json!("2026-11-29T10:00:00Z");
        assert!(matches!(plan(Some(&leaving), &standard), Plan::Keep(_)));
        older["status"]["storedVersions"] = json!(["v1alpha1", "v1"]);
        assert!(
            matches!(plan(Some(&older), &standard), Plan::Keep(why) if why.contains("stored in version v1alpha1"))
        );
    }

    #[test]
    fn of_a_version_that_is_not_said_nothing_is_taken_away() {
        let certificates = definition("standard", "certificates.cert-manager.io");
        let mut live = there(&certificates);
        live["metadata"]["annotations"] = json!({});
        assert_eq!(plan(Some(&live), &certificates), Plan::Replace, "it is the same, and is marked");
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        let fields = live.pointer_mut(spec).and_then(Value::as_object_mut).expect("fields");
        let secret = fields.remove("secretName");
        assert_eq!(plan(Some(&live), &certificates), Plan::Replace, "it lacks a field");
        let fields = live.pointer_mut(spec).and_then(Value::as_object_mut).expect("fields");
        fields.insert("secretName".into(), secret.expect("it was there"));
        fields["keystores"]["properties"]["later"] = json!({"type": "object"});
        let kept = plan(Some(&live), &certificates);
        assert!(
            matches!(&kept, Plan::Keep(why) if why.contains("the field spec.keystores.later in v1")),
            "{kept:?}"
        );
        let mut more = there(&certificates);
        more["metadata"]["annotations"] = json!({});
        more["spec"]["versions"]
            .as_array_mut()
            .expect("versions")
            .push(json!({"name": "v2", "served": true}));
        assert!(matches!(plan(Some(&more), &certificates), Plan::Keep(why) if why.contains("version v2")));
    }
}
