//! What a server said.

use serde_json::{Map, Value, json};

/// The parts of an answer that count.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// It is a refusal.
    pub refused: bool,
    /// For a refusal without causes.
    pub message: String,
    /// Field and words.
    pub causes: Vec<(String, String)>,
    /// Fields that were dropped, as warnings say.
    pub unknown: Vec<String>,
    /// As it would be stored; null for a refusal.
    pub object: Value,
}

impl Answer {
    /// A line of `rig judge`.
    pub fn read(line: &str) -> Self {
        let line: Value = serde_json::from_str(line).unwrap();
        let code = line["code"].as_u64().unwrap();
        let body = &line["body"];
        let warnings = line["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut unknown: Vec<String> = warnings.filter_map(unknown_field).collect();
        unknown.sort();
        if code < 300 {
            let object = stored(body.clone());
            return Self { refused: false, message: String::new(), causes: Vec::new(), unknown, object };
        }
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let causes = body["details"]["causes"].as_array().into_iter().flatten();
        let mut causes: Vec<_> = causes.map(|cause| (text(cause, "field"), text(cause, "message"))).collect();
        causes.sort();
        Self { refused: true, message: text(body, "message"), causes, unknown, object: Value::Null }
    }

    /// For the record: short keys, and of an object what the server made of what was sent.
    pub fn write(&self, sent: &Value) -> Value {
        let mut out = Map::new();
        if !self.unknown.is_empty() {
            out.insert("unknown".into(), json!(self.unknown));
        }
        if self.refused {
            let known = if self.causes.is_empty() { json!(self.message) } else { json!(self.causes) };
            out.insert("refused".into(), known);
        } else {
            let edits = super::edits::difference(&stored(sent.clone()), &self.object);
            out.insert("made".into(), edits.iter().map(super::edits::Edit::write).collect());
        }
        Value::Object(out)
    }

    pub fn recall(record: &Value, sent: &Value) -> Self {
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let unknown = texts(&record["unknown"]);
        let refused = record.get("refused");
        let mut object = Value::Null;
        if refused.is_none() {
            object = stored(sent.clone());
            for edit in record["made"].as_array().unwrap() {
                super::edits::Edit::read(edit).apply(&mut object);
            }
        }
        let causes = refused.and_then(Value::as_array).into_iter().flatten().map(texts);
        Self {
            refused: refused.is_some(),
            message: refused.and_then(Value::as_str).unwrap_or_default().to_owned(),
            causes: causes.map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
            unknown,
            object,
        }
    }
}

/// `299 - "unknown field \"spec.a\""`
fn unknown_field(warning: &str) -> Option<String> {
    let text = warning.split_once("299 - ")?.1;
    let text: String = serde_json::from_str(text).ok()?;
    Some(text.strip_prefix("unknown field ")?.trim_matches('"').to_owned())
}

/// Without what a server alone knows: who made it when, addresses and ports that it gives, status.
pub fn stored(mut object: Value) -> Value {
    let Some(map) = object.as_object_mut() else { return object };
    map.remove("status");
    if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"]
        {
            metadata.remove(key);
        }
    }
    if map.get("kind").is_some_and(|kind| kind == "Service")
        && let Some(spec) = map.get_mut("spec").and_then(Value::as_object_mut)
    {
        for key in ["clusterIP", "clusterIPs", "healthCheckNodePort"] {
            spec.remove(key);
        }
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            port.as_object_mut().map(|port| port.remove("nodePort"));
        }
    }
    object
}
