//! The definitions of the kinds that Portolan reads, as their projects publish them: packed into the program, printed, and
//! applied to a cluster. Never a downgrade ([`plan`]), never a removal.

pub mod plan;
mod version;

use std::{io::Read as _, sync::Arc};

use serde_json::Value;

use crate::{
    Api, Failure,
    client::{APPLY, Much},
    door::FIELD_MANAGER,
};
use plan::Plan;

/// As `scripts/setup schemas` packed them; `scripts/schemas/definitions.txt` says from where.
static PACK: &[u8] = include_bytes!(env!("PORTOLAN_DEFINITIONS"));

/// An object of a set of definitions.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The project: `gateway-api`, `cert-manager`.
    pub set: Arc<str>,
    /// `standard` or `experimental` where the project has channels.
    pub channel: Option<Arc<str>>,
    /// Version of the project.
    pub version: Arc<str>,
    /// The object, as it is published.
    pub object: Value,
    /// Its text, likewise.
    pub text: Arc<str>,
}

impl Definition {
    /// `Kind/name`.
    pub fn name(&self) -> String {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text(&self.object["kind"]), text(&self.object["metadata"]["name"]))
    }
}

/// All definitions of a channel, in the order in which they are applied: what guards others comes after them.
///
/// # Panics
/// When the pack is not what `scripts/setup schemas` writes, which a test finds.
pub fn all(channel: &str) -> Vec<Definition> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(PACK).read_to_string(&mut text).expect("the pack was packed whole");
    let of_line = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a line of the pack is JSON");
        let word = |field: &str| -> Arc<str> { line[field].as_str().unwrap_or_default().into() };
        let of = Some(word("channel")).filter(|of| **of != *"-");
        // The text of the other channel is not even read.
        of.as_ref().is_none_or(|of| **of == *channel).then(|| Definition {
            set: word("set"),
            channel: of,
            version: word("version"),
            object: read(&word("text")),
            text: word("text"),
        })
    };
    let mut all: Vec<Definition> = text.lines().filter_map(of_line).collect();
    all.sort_by_key(|definition| definition.object["kind"] != "CustomResourceDefinition");
    all
}

/// What the generator of a definition leaves behind is not taken over: no server takes a status from who applies an object.
fn read(text: &str) -> Value {
    let (mut documents, _) = portolan_model::yaml::load(text);
    let mut object = documents.pop().expect("what a project publishes is YAML").json;
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    object
}

/// What became of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is new in the cluster.
    Created,
    /// An older one was there.
    Replaced,
    /// It was so already.
    Unchanged,
    /// What is there stays, and why.
    Kept(String),
    /// The API server refused it, or could not be asked.
    Failed(String),
}

/// Applies a definition, or with `pretend` says what would become of it.
pub async fn apply(api: &Api, definition: &Definition, pretend: bool) -> Outcome {
    match attempt(api, definition, pretend).await {
        Ok(outcome) => outcome,
        Err(Failure::Refused(_, why) | Failure::Forbidden(why)) => Outcome::Failed(why.to_string()),
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}

async fn attempt(api: &Api, definition: &Definition, pretend: bool) -> Result<Outcome, Failure> {
    let object = &definition.object;
    let path = match object["kind"].as_str() {
        Some("CustomResourceDefinition") => "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        Some("ValidatingAdmissionPolicy") => {
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
        }
        _ => "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    };
    let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap_or_default());
    let live = api.find(&path, Much::Whole).await?;
    let plan = plan::plan(live.as_ref(), definition);
    // What somebody else brings in this moment is not overwritten: the server refuses the older state.
    let seen = |live: &Value| (live["metadata"]["uid"].clone(), live["metadata"]["resourceVersion"].clone());
    let (state, outcome) = match plan {
        Plan::Keep(why) => return Ok(Outcome::Kept(why)),
        Plan::Unchanged => return Ok(Outcome::Unchanged),
        Plan::Create => (None, Outcome::Created),
        Plan::Replace => (live.as_ref().map(seen), Outcome::Replaced),
    };
    if pretend {
        return Ok(outcome);
    }
    let mut body = plan::marked(definition);
    if let Some((uid, version)) = state {
        body["metadata"]["uid"] = uid;
        body["metadata"]["resourceVersion"] = version;
    }
    // Whoever brought the older one has its fields; a newer one is what all of them want.
    let force = live.is_some();
    api.patch(&format!("{path}?fieldManager={FIELD_MANAGER}&force={force}"), APPLY, &body).await?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_packed_is_whole_and_of_one_channel() {
        for channel in ["standard", "experimental"] {
            let all = all(channel);
            let sets: BTreeSet<&str> = all.iter().map(|definition| &*definition.set).collect();
            let wanted = ["cert-manager", "envoy-gateway", "external-dns", "gateway-api", "sealed-secrets"];
            assert_eq!(sets, wanted.into());
            let names: BTreeSet<String> = all.iter().map(Definition::name).collect();
            assert_eq!(names.len(), all.len(), "each once");
            for definition in &all {
                assert!(
                    definition.object.get("status").is_none()
                        && version::parse(&definition.version).is_some()
                );
                let of = &definition.object["metadata"]["annotations"]["gateway.networking.k8s.io/channel"];
                // The policy that guards them is the same in both.
                let guard = definition.object["kind"] != "CustomResourceDefinition";
                assert!(
                    *definition.set != *"gateway-api" || guard || of == channel,
                    "{}: {of}",
                    definition.name()
                );
            }
            let guards =
                all.iter().position(|definition| definition.object["kind"] != "CustomResourceDefinition");
            assert!(guards.is_some_and(|first| {
                all[first..].iter().all(|d| d.object["kind"] != "CustomResourceDefinition")
            }));
        }
    }
}
