//! `x-kubernetes-validations`: rules in CEL, run over every value whose schema has some (Kubernetes,
//! `apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go`).
//!
//! ```text
//!  schema + object (+ old one) --walk--> value with rules --compile once per schema--> true, or a cause in the server's words
//! ```
//!
//! A rule that reads `oldSelf` runs only where an older value can be told (by name of a field, or by the keys of a list
//! of type `map`). What is as it was before keeps its faults: such an update is let through. Evaluation is bounded.

mod escape;
mod list;
mod program;
#[cfg(test)]
mod tests;
mod value;

use std::collections::HashSet;

pub(crate) use escape::is_reserved;
use portolan_cel::{RuleFault, RuleRun};
use program::Compiled;
pub use program::Program;
use serde_json::{Map, Value};

use crate::{
    cause::Cause,
    path::Path,
    schema::{Additional, ListType, Rule, Schema, Types},
};

/// What all rules of one object may cost, and one rule (`apiserver/pkg/apis/cel/config.go`).
const OBJECT: u64 = 10_000_000;
const RULE: u64 = 1_000_000;

/// Adds what the rules say against an object, or that they were not asked because of what is known of it already.
pub fn validate(schema: &Schema, object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    if causes.iter().any(Cause::blocks_rules) {
        if has_rules(schema, &mut HashSet::new()) {
            let words = "some validation rules were not checked because the object was invalid; correct the existing \
                         errors to complete validation";
            causes.push(Cause::invalid(Path::ROOT.text(), Value::Null, words));
        }
        return;
    }
    walk(schema, object, old, Asked::All, causes);
}

/// Adds what rules that look at the older object too say against an update; all others were asked of `object` alone, and say
/// the same.
pub fn validate_update(schema: &Schema, object: &Value, old: &Value, causes: &mut Vec<Cause>) {
    walk(schema, object, Some(old), Asked::OfUpdates, causes);
}

/// Compiles the rules of a schema.
pub fn prepare(schema: &Schema) {
    schema.program.of(schema);
}

/// Whether any rule looks at the older object.
pub fn judges_updates(schema: &Schema) -> bool {
    schema.program.of_updates(schema)
}

fn walk(schema: &Schema, object: &Value, old: Option<&Value>, asked: Asked, causes: &mut Vec<Cause>) {
    let ratchet = Ratchet { current: old.map(|old| (object, old)), parent: None };
    let place =
        Place { rules: schema, node: schema, value: object, old, path: &Path::ROOT, root: true, ratchet };
    let _ = Walk { causes, left: OBJECT, asked }.value(place);
}

/// Which rules are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    All,
    /// Those that look at the older object.
    OfUpdates,
}

/// Whether any value of this schema has a rule.
fn has_rules(schema: &Schema, seen: &mut HashSet<*const Schema>) -> bool {
    if !schema.rules.is_empty() {
        return true;
    }
    if !seen.insert(std::ptr::from_ref(schema)) {
        return false;
    }
    let properties = schema.properties.iter().map(|(_, child)| child);
    properties.chain(&schema.items).chain(schema.additional()).any(|child| has_rules(child, seen))
}

/// Whether CEL has a type for the values. Those it has none for have no rules either.
fn has_type(schema: &Schema) -> bool {
    if schema.int_or_string {
        return true;
    }
    if schema.types == Types::ARRAY {
        return schema.items.as_deref().is_some_and(has_type);
    }
    if schema.types == Types::OBJECT
        && let Additional::Schema(child) = &schema.additional
    {
        return has_type(child);
    }
    !schema.types.is_any()
}

/// A value and what stood there, where that can be told: here, or nearest above.
#[derive(Clone, Copy)]
struct Ratchet<'v> {
    current: Option<(&'v Value, &'v Value)>,
    parent: Option<(&'v Value, &'v Value)>,
}

impl<'v> Ratchet<'v> {
    /// Nothing has changed: faults are old ones.
    fn unchanged(&self) -> bool {
        self.current.or(self.parent).is_some_and(|(new, old)| new == old)
    }

    fn child(self, pair: Option<(&'v Value, &'v Value)>) -> Self {
        if self.current.is_none() { self } else { Self { current: pair, parent: self.current } }
    }
}

/// A value with everything that its rules are asked with.
#[derive(Clone, Copy)]
struct Place<'v> {
    /// The schema that has the rules.
    rules: &'v Schema,
    /// The schema that has the types: another one inside of `allOf` only.
    node: &'v Schema,
    value: &'v Value,
    old: Option<&'v Value>,
    path: &'v Path<'v>,
    /// An object with `apiVersion`, `kind` and `metadata`.
    root: bool,
    ratchet: Ratchet<'v>,
}

struct Walk<'c> {
    causes: &'c mut Vec<Cause>,
    left: u64,
    asked: Asked,
}

/// The budget is spent; the cause for it is there.
struct Spent;

type Walked = Result<(), Spent>;

impl Walk<'_> {
    fn value(&mut self, place: Place<'_>) -> Walked {
        if place.value.is_null() || !has_type(place.node) {
            return Ok(());
        }
        if self.asked == Asked::OfUpdates && !place.rules.program.of_updates(place.rules) {
            return Ok(());
        }
        if !place.rules.rules.is_empty() {
            self.rules(place)?;
        }
        for part in place.rules.unions.iter().flat_map(|unions| &unions.all_of) {
            let ratchet = Ratchet { current: None, parent: place.ratchet.parent };
            self.value(Place { rules: part, ratchet, ..place })?;
        }
        match place.value {
            Value::Array(items) => self.list(place, items),
            Value::Object(map) => self.map(place, map),
            _ => Ok(()),
        }
    }

    fn map(&mut self, place: Place<'_>, map: &Map<String, Value>) -> Walked {
        let Place { ratchet, .. } = place;
        let old = place.old.and_then(Value::as_object);
        for (key, value) in map {
            let old = old.and_then(|old| old.get(key));
            let named = (place.rules.property(key), place.node.property(key));
            let each = (place.rules.additional(), place.node.additional());
            let (path, rules, node) = match (named, each) {
                ((Some(rules), Some(node)), _) => (place.path.field(key), rules, node),
                (_, (Some(rules), Some(node))) => (place.path.key(key), rules, node),
                _ => continue,
            };
            let is_type = matches!(key.as_str(), "apiVersion" | "kind");
            let ratchet = if place.root && ratchet.parent.is_none() && is_type {
                Ratchet { current: None, parent: None }
            } else {
                ratchet.child(old.map(|old| (value, old)))
            };
            self.value(Place { rules, node, value, old, path: &path, root: node.embedded, ratchet })?;
        }
        Ok(())
    }

    fn list(&mut self, place: Place<'_>, items: &[Value]) -> Walked {
        let (Some(rules), Some(node)) = (&place.rules.items, &place.node.items) else { return Ok(()) };
        let before = place.old.and_then(Value::as_array);
        for (at, value) in items.iter().enumerate() {
            let old = before.and_then(|before| same_item(place.node, before, value));
            let ratchet = place.ratchet.child(old.map(|old| (value, old)));
            let path = place.path.index(at);
            self.value(Place { rules, node, value, old, path: &path, root: node.embedded, ratchet })?;
        }
        Ok(())
    }

    fn rules(&mut self, place: Place<'_>) -> Walked {
        let Place { rules, node, value, old, path, root, ratchet } = place;
        let spent =
            "validation failed due to running out of cost budget, no further validation rules will be run";
        let typed = |value| value::typed(value, node, root);
        let failed = |words: String| {
            // What the server prints of a rule that has no value is the type of what it judges.
            let name = if node.int_or_string { String::new() } else { node.types.names() };
            Cause::invalid(path.text(), name, words)
        };
        let mut plain = None;
        for (rule, compiled) in rules.rules.iter().zip(rules.program.of(rules)) {
            let Compiled { expression, uses_old, message } = &**compiled;
            let optional = rule.optional_old_self == Some(true);
            if self.asked == Asked::OfUpdates && !*uses_old && !optional {
                continue;
            }
            let expression = match expression {
                Ok(expression) => expression,
                Err(why) => {
                    self.causes.push(failed(format!("rule compile error: {why}")));
                    continue;
                }
            };
            if *uses_old && old.is_none() && !optional {
                continue;
            }
            if let Some(glance) = &expression.glance
                && glance.holds(value::At { value, schema: node, root })
            {
                continue;
            }
            if self.left == 0 {
                self.causes.push(failed(spent.to_owned()));
                return Err(Spent);
            }
            let mut own;
            let run = if optional {
                own = RuleRun::with_optional_old(typed(value), old.map(typed));
                &mut own
            } else {
                plain.get_or_insert_with(|| RuleRun::new(typed(value), old.map(typed)))
            };
            let outcome = run.holds(expression, RULE.min(self.left));
            self.left = self.left.saturating_sub(run.spent());
            match outcome {
                Ok(true) => continue,
                Ok(false) => {}
                Err(RuleFault::Budget) => {
                    self.causes.push(failed(format!(
                        "'operation cancelled: actual cost limit exceeded': no further validation rules will be run \
                         due to call cost exceeds limit for rule: {}",
                        shown(rule)
                    )));
                    return Err(Spent);
                }
                Err(RuleFault::Overload) => {
                    self.causes.push(failed(format!(
                        "'no such overload': call arguments did not match a supported operator, function or macro \
                         signature for rule: {}",
                        shown(rule)
                    )));
                    continue;
                }
                Err(RuleFault::Other(why)) => {
                    self.causes.push(failed(format!("{why} evaluating rule: {}", shown(rule))));
                    continue;
                }
            }
            if !uses_old && ratchet.unchanged() {
                continue;
            }
            let made = message.as_ref().and_then(|message| run.text(message, RULE.min(self.left)));
            let detail = made.filter(|text| usable(text)).unwrap_or_else(|| {
                if rule.message.is_empty() {
                    format!("failed rule: {}", rule.rule.trim())
                } else {
                    rule.message.trim().to_owned()
                }
            });
            let at = program::field_path(&rule.field_path, node, path);
            self.causes.push(cause(rule, at, value, detail));
        }
        Ok(())
    }
}

/// Longest message that an expression may make, in bytes.
const MESSAGE: usize = 5 * 1024;

fn usable(text: &str) -> bool {
    !text.is_empty() && text.len() <= MESSAGE && !text.contains('\n')
}

/// What stands for a rule in the words for its failure.
fn shown(rule: &Rule) -> &str {
    if rule.message.is_empty() { rule.rule.trim() } else { rule.message.trim() }
}

fn cause(rule: &Rule, path: String, value: &Value, detail: String) -> Cause {
    let value = (!value.is_object() && !value.is_array()).then(|| value.clone());
    match &*rule.reason {
        "FieldValueForbidden" => Cause::forbidden(path, detail),
        "FieldValueRequired" => Cause::required(path, detail),
        "FieldValueDuplicate" => Cause { value, ..Cause::duplicate(path, Value::Null) },
        _ => Cause { value, ..Cause::invalid(path, Value::Null, detail) },
    }
}

/// The item of a list of type `map` that has the same keys; other lists tell nothing.
pub(crate) fn same_item<'v>(schema: &Schema, old: &'v [Value], item: &Value) -> Option<&'v Value> {
    let ListType::Map(keys) = &schema.list else { return None };
    old.iter().find(|other| keys.iter().all(|key| other.get(&**key) == item.get(&**key)))
}
