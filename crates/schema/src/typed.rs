//! Objects of Kubernetes itself are decoded into Go's types: a value of another type is no object of the kind at all, null
//! is as if it were not there, and fields that the type does not have are dropped.
//! Source: sigs.k8s.io/json, Go's encoding/json.

use serde_json::{Map, Value};

use crate::{
    cause::quote,
    formats::Format,
    near::nearest,
    path::Path,
    prune::Unknown,
    schema::{Schema, Types},
};

/// The first value that does not fit its type.
pub struct Misfit {
    /// Where it stands.
    pub path: String,
    /// What is there, in Go's words.
    pub words: String,
}

/// Decodes in place.
pub struct Decoder {
    /// Names on the way, without list places and keys of maps.
    fields: Vec<String>,
    /// The innermost type.
    structs: Vec<String>,
    /// Fields that were dropped.
    pub unknown: Vec<Unknown>,
    /// The first value that does not fit: Go goes on and tells that one.
    pub misfit: Option<Misfit>,
    /// A type with a decoder of its own does not fit: Go tells that one and does not go on.
    ended: bool,
}

impl Decoder {
    /// `fields` stand before those of the value that is decoded.
    pub fn new() -> Self {
        Self { fields: Vec::new(), structs: Vec::new(), unknown: Vec::new(), misfit: None, ended: false }
    }

    /// Decodes a value that is not null.
    pub fn decode(&mut self, schema: &Schema, value: &mut Value, path: &Path<'_>) {
        match value {
            Value::Object(map) if schema.types == Types::OBJECT => match schema.additional() {
                Some(each) => {
                    map.retain(|_, value| !value.is_null() || each.types != Types::OBJECT);
                    for (key, value) in map.iter_mut() {
                        self.item(each, value, &path.key(key));
                    }
                }
                None if schema.properties.is_empty() => {}
                None => self.object(schema, map, path),
            },
            Value::Array(items) if schema.types == Types::ARRAY => {
                let Some(each) = &schema.items else { return };
                for (at, item) in items.iter_mut().enumerate() {
                    self.item(each, item, &path.index(at));
                }
            }
            // Types that read any JSON: RawExtension, FieldsV1.
            _ if schema.types.is_any() || (schema.types == Types::OBJECT && is_raw(schema)) => {}
            Value::Number(number) if schema.types.has(Types::INTEGER) || schema.types == Types::NUMBER => {
                let small = schema.format == Some(Format::Int32) || schema.int_or_string;
                let fits = schema.types == Types::NUMBER
                    || number.as_i64().is_some_and(|number| !small || i32::try_from(number).is_ok());
                if !fits {
                    self.misfit(schema, &format!("number {number}"), path);
                }
            }
            Value::String(text) if schema.types.has(Types::STRING) => self.text(schema, text, path),
            Value::Bool(_) if schema.types == Types::BOOLEAN => {}
            // Bytes may be written as a list of numbers.
            Value::Array(items) if schema.format == Some(Format::Byte) => {
                let wrong = items.iter().find(|item| item.as_u64().is_none_or(|item| item > 255));
                let byte = Schema { go_type: Some("uint8".into()), ..Schema::default() };
                if let Some(wrong) = wrong {
                    self.misfit(&byte, kind(wrong), path);
                }
            }
            other => self.misfit(schema, kind(other), path),
        }
    }

    fn object(&mut self, schema: &Schema, map: &mut Map<String, Value>, path: &Path<'_>) {
        // A field that the type does not have is named, be it null or not.
        map.retain(|name, value| !value.is_null() || schema.property(name).is_none());
        if let Some(name) = &schema.go_type {
            self.structs.push(short(name).to_owned());
        }
        let mut lost = Vec::new();
        for (name, value) in map.iter_mut() {
            let Some(property) = schema.property(name) else {
                lost.push(name.clone());
                continue;
            };
            let within = embedded(self.structs.last().map(String::as_str), name);
            self.fields.push(format!("{within}{name}"));
            self.decode(property, value, &path.field(name));
            self.fields.pop();
        }
        if schema.go_type.is_some() {
            self.structs.pop();
        }
        for name in lost {
            map.remove(&name);
            let known = schema.properties.iter().map(|(known, _)| &**known);
            self.unknown.push(Unknown { path: path.field(&name).dotted(), nearest: nearest(&name, known) });
        }
    }

    /// In a list or map, null is the type's zero.
    fn item(&mut self, schema: &Schema, value: &mut Value, path: &Path<'_>) {
        if !value.is_null() {
            return self.decode(schema, value, path);
        }
        *value = match schema.types {
            Types::OBJECT => Value::Object(Map::new()),
            Types::STRING => "".into(),
            Types::BOOLEAN => false.into(),
            Types::INTEGER | Types::NUMBER | Types::INT_OR_STRING => 0.into(),
            _ => return,
        };
    }

    fn text(&mut self, schema: &Schema, text: &str, path: &Path<'_>) {
        let words = match schema.format {
            Some(Format::Byte) => {
                wrong_base64(text).map(|at| format!("illegal base64 data at input byte {at}"))
            }
            Some(Format::DateTime) if !Format::DateTime.fits(text) => {
                let text = quote(text);
                Some(format!(
                    "parsing time {text} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text} as \"2006\""
                ))
            }
            _ => None,
        };
        if let Some(words) = words {
            self.misfit.get_or_insert(Misfit { path: path.text(), words });
        }
    }

    fn misfit(&mut self, schema: &Schema, is: &str, path: &Path<'_>) {
        if self.ended || (self.misfit.is_some() && !schema.int_or_string) {
            return;
        }
        self.ended = schema.int_or_string;
        let into = match self.structs.last() {
            Some(name) => format!("Go struct field {name}.{}", self.fields.join(".")),
            None => "Go value".to_owned(),
        };
        let field = self.fields.last().map(String::as_str).unwrap_or_default();
        let named = self.structs.last().and_then(|of| named(of, field));
        let go_type = match (go_type(schema), named) {
            (plain, Some(named)) if plain.ends_with("string") => plain.replace("string", named),
            (plain, _) => plain,
        };
        let words = format!("json: cannot unmarshal {is} into {into} of type {go_type}");
        self.misfit = Some(Misfit { path: path.text(), words });
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Structs without a name of their own between a struct and its field, which Go prints all the same.
fn embedded(of: Option<&str>, field: &str) -> &'static str {
    match (of, field) {
        (Some("IngressRule"), "http") => "IngressRuleValue.",
        (Some("NamedRuleWithOperations"), "operations") => "RuleWithOperations.",
        (Some("NamedRuleWithOperations"), "apiGroups" | "apiVersions" | "resources" | "scope") => {
            "RuleWithOperations.Rule."
        }
        _ => "",
    }
}

/// Types of Go that are texts and have names of their own.
fn named(of: &str, field: &str) -> Option<&'static str> {
    let field = field.rsplit('.').next().unwrap_or(field);
    Some(match (of, field) {
        ("EndpointSlice", "addressType") => "v1.AddressType",
        ("EndpointPort" | "NetworkPolicyPort" | "ServicePort", "protocol") => "v1.Protocol",
        ("HTTPIngressPath", "pathType") => "v1.PathType",
        ("LabelSelectorRequirement", "operator") => "v1.LabelSelectorOperator",
        ("MatchResources", "matchPolicy") => "v1.MatchPolicyType",
        ("NamedRuleWithOperations", "operations") => "v1.OperationType",
        ("NamedRuleWithOperations", "scope") => "v1.ScopeType",
        ("NamespaceSpec", "finalizers") => "v1.FinalizerName",
        ("NetworkPolicySpec", "policyTypes") => "v1.PolicyType",
        ("ObjectMeta" | "ObjectReference" | "OwnerReference", "uid") => "types.UID",
        ("ParamRef", "parameterNotFoundAction") => "v1.ParameterNotFoundActionType",
        ("Secret", "type") => "v1.SecretType",
        ("ServiceSpec", "externalTrafficPolicy") => "v1.ServiceExternalTrafficPolicy",
        ("ServiceSpec", "internalTrafficPolicy") => "v1.ServiceInternalTrafficPolicy",
        ("ServiceSpec", "ipFamilies") => "v1.IPFamily",
        ("ServiceSpec", "ipFamilyPolicy") => "v1.IPFamilyPolicy",
        ("ServiceSpec", "sessionAffinity") => "v1.ServiceAffinity",
        ("ServiceSpec", "type") => "v1.ServiceType",
        ("Validation", "reason") => "v1.StatusReason",
        ("ValidatingAdmissionPolicyBindingSpec", "validationActions") => "v1.ValidationAction",
        ("ValidatingAdmissionPolicySpec", "failurePolicy") => "v1.FailurePolicyType",
        _ => return None,
    })
}

/// As Go names what is in JSON.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        _ => "object",
    }
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn is_raw(schema: &Schema) -> bool {
    schema.go_type.as_deref().is_some_and(|name| matches!(short(name), "RawExtension" | "FieldsV1"))
}

/// As Go prints a type.
fn go_type(schema: &Schema) -> String {
    if let Some(name) = schema.go_type.as_ref().filter(|_| !schema.int_or_string) {
        return name.to_string();
    }
    match schema.types {
        Types::OBJECT => match schema.additional() {
            Some(each) => format!("map[string]{}", go_type(each)),
            None => "map[string]interface {}".to_owned(),
        },
        Types::ARRAY => format!("[]{}", schema.items.as_deref().map_or_else(String::new, go_type)),
        Types::STRING if schema.format == Some(Format::Byte) => "[]uint8".to_owned(),
        Types::STRING => "string".to_owned(),
        Types::BOOLEAN => "bool".to_owned(),
        Types::INTEGER if schema.format == Some(Format::Int32) => "int32".to_owned(),
        Types::INTEGER => "int64".to_owned(),
        Types::NUMBER => "float64".to_owned(),
        // `intstr.IntOrString` reads what is no text as a number.
        _ => "int32".to_owned(),
    }
}

/// Where Go's decoder of base 64 gives up; line breaks are passed over.
fn wrong_base64(text: &str) -> Option<usize> {
    let bytes: Vec<(usize, u8)> =
        text.bytes().enumerate().filter(|(_, byte)| !matches!(byte, b'\r' | b'\n')).collect();
    let body = bytes.iter().position(|(_, byte)| *byte == b'=').unwrap_or(bytes.len());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if let Some((at, _)) = bytes[..body].iter().find(|(_, byte)| !plain(*byte)) {
        return Some(*at);
    }
    let padding = bytes.len() - body;
    match (body % 4, padding) {
        (0, 0) | (2, 2) | (3, 1) => None,
        (_, 0) => Some(text.len() - body % 4),
        (0 | 1, _) => Some(bytes[body].0),
        (2, 1) => Some(text.len()),
        _ => Some(bytes.get(body + 4 - body % 4).map_or(text.len(), |(at, _)| *at)),
    }
}
