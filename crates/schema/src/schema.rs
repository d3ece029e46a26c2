//! A structural schema, as it is used: of an OpenAPI v3 schema what API servers look at.

use std::sync::{Arc, OnceLock};

use regex::Regex;
use serde_json::Value;

use crate::{formats::Format, pattern};

/// JSON types that a value may have, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Types(u8);

impl Types {
    /// No type is said: any value.
    pub const ANY: Self = Self(0);
    #[allow(missing_docs)]
    pub const OBJECT: Self = Self(1);
    #[allow(missing_docs)]
    pub const ARRAY: Self = Self(2);
    #[allow(missing_docs)]
    pub const STRING: Self = Self(4);
    #[allow(missing_docs)]
    pub const INTEGER: Self = Self(8);
    #[allow(missing_docs)]
    pub const NUMBER: Self = Self(16);
    #[allow(missing_docs)]
    pub const BOOLEAN: Self = Self(32);

    /// The type of a schema's `type`.
    pub fn named(name: &str) -> Self {
        match name {
            "object" => Self::OBJECT,
            "array" => Self::ARRAY,
            "string" => Self::STRING,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            "boolean" => Self::BOOLEAN,
            _ => Self::ANY,
        }
    }

    /// What `x-kubernetes-int-or-string` stands for.
    pub const INT_OR_STRING: Self = Self(8 | 4);

    /// Whether all of `other` are in here.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether any type is said.
    pub fn is_any(self) -> bool {
        self.0 == 0
    }

    /// Just one type.
    pub fn is_one(self) -> bool {
        self.0.is_power_of_two()
    }

    /// As kube-openapi prints them: `integer,string`.
    pub fn names(self) -> String {
        let all = ["object", "array", "string", "integer", "number", "boolean"];
        if self == Self::INT_OR_STRING {
            return "integer,string".to_owned();
        }
        let named = all.iter().enumerate().filter(|(bit, _)| self.0 & (1 << bit) != 0);
        named.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
    }
}

/// Fields that a schema does not name.
#[derive(Clone, Debug, Default)]
pub enum Additional {
    /// Nothing is said of them: pruned.
    #[default]
    Unsaid,
    /// `additionalProperties: true`, or an empty schema.
    Any,
    /// `additionalProperties: false`.
    Refused,
    /// They have this schema.
    Schema(Arc<Schema>),
}

/// `x-kubernetes-list-type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// One value for who owns it.
    #[default]
    Atomic,
    /// No value comes twice.
    Set,
    /// Items are objects, told apart by these fields.
    Map(Vec<Box<str>>),
}

/// Limits of a value.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Bounds {
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub exclusive_minimum: bool,
    pub exclusive_maximum: bool,
    pub multiple_of: Option<f64>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub unique_items: bool,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
}

/// Schemas that are combined.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Unions {
    pub all_of: Vec<Arc<Schema>>,
    pub any_of: Vec<Arc<Schema>>,
    pub one_of: Vec<Arc<Schema>>,
    pub not: Option<Arc<Schema>>,
}

/// A rule of `x-kubernetes-validations`, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Rule {
    pub rule: Box<str>,
    pub message: Box<str>,
    pub message_expression: Box<str>,
    pub reason: Box<str>,
    pub field_path: Box<str>,
    pub optional_old_self: Option<bool>,
}

/// A pattern with its program, which is made when it is asked for first.
#[derive(Debug)]
pub struct Pattern {
    /// As it is written.
    pub text: Box<str>,
    program: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into(), program: OnceLock::new() }
    }

    /// Whether it is found in `text`; `None` if it is no pattern.
    pub fn is_found_in(&self, text: &str) -> Option<bool> {
        let program = self.program.get_or_init(|| pattern::compile(&self.text));
        program.as_ref().map(|program| program.is_match(text))
    }
}

/// A schema.
#[derive(Debug, Default)]
#[allow(missing_docs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the schema")]
pub struct Schema {
    pub types: Types,
    pub nullable: bool,
    pub int_or_string: bool,
    /// `x-kubernetes-embedded-resource`.
    pub embedded: bool,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub preserve: bool,
    /// `None` if there is none, or one that is not checked.
    pub format: Option<Format>,
    /// In order of name.
    pub properties: Box<[(Box<str>, Arc<Schema>)]>,
    pub required: Box<[Box<str>]>,
    pub additional: Additional,
    pub items: Option<Arc<Schema>>,
    pub default: Option<Value>,
    pub values: Box<[Value]>,
    pub bounds: Option<Box<Bounds>>,
    pub pattern: Option<Box<Pattern>>,
    pub list: ListType,
    pub unions: Option<Box<Unions>>,
    pub rules: Box<[Rule]>,
    /// `rules`, compiled when they are needed first.
    pub program: crate::cel::Program,
    /// The Go type that an object of Kubernetes itself is decoded into: `v1.ServicePort`.
    pub go_type: Option<Box<str>>,
}

impl Schema {
    /// The schema of a named field.
    pub fn property(&self, name: &str) -> Option<&Arc<Schema>> {
        let at = self.properties.binary_search_by(|(other, _)| (**other).cmp(name)).ok()?;
        Some(&self.properties[at].1)
    }

    /// The schema of fields that are not named.
    pub fn additional(&self) -> Option<&Arc<Schema>> {
        match &self.additional {
            Additional::Schema(schema) => Some(schema),
            _ => None,
        }
    }
}
