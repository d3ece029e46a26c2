//! The rules of a schema, compiled when the first value needs them.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak},
};

use portolan_cel::{Expression, Names, Root, Scope};

use crate::{
    path::Path,
    schema::{Rule, Schema},
};

/// Text of a rule and of its message.
type Written = (Box<str>, Box<str>);

/// Compiled rules that are in use: kinds, and versions of a kind, have many in common.
static RULES: LazyLock<Mutex<HashMap<Written, Weak<Compiled>>>> = LazyLock::new(Mutex::default);
/// Rules that are known; at one more all are forgotten, and stay where they are used.
const KNOWN: usize = 4096;

/// The compiled rules of one schema.
#[derive(Debug, Default)]
pub struct Program {
    rules: OnceLock<Box<[Arc<Compiled>]>>,
    of_updates: OnceLock<bool>,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Or why it does not compile: such a definition would not have been taken by an API server.
    pub expression: Result<Expression, String>,
    /// It reads `oldSelf`.
    pub uses_old: bool,
    /// `messageExpression`.
    pub message: Option<Expression>,
}

impl Program {
    /// Compiles on first use.
    pub(super) fn of(&self, schema: &Schema) -> &[Arc<Compiled>] {
        self.rules.get_or_init(|| schema.rules.iter().map(shared).collect())
    }

    /// Whether a rule of the schema, or of one in it, looks at the older value. Of most kinds none does. Told by the text:
    /// nothing is compiled for it.
    pub(super) fn of_updates(&self, schema: &Schema) -> bool {
        *self.of_updates.get_or_init(|| {
            let mut own = schema.rules.iter();
            let properties = schema.properties.iter().map(|(_, child)| child);
            let parts = schema.unions.iter().flat_map(|unions| &unions.all_of);
            own.any(|rule| rule.optional_old_self == Some(true) || rule.rule.contains("oldSelf"))
                || properties
                    .chain(&schema.items)
                    .chain(schema.additional())
                    .chain(parts)
                    .any(|child| child.program.of_updates(child))
        })
    }
}

/// The program of a rule that is compiled for another schema already, or a new one.
fn shared(rule: &Rule) -> Arc<Compiled> {
    let rules = || RULES.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (rule.rule.clone(), rule.message_expression.clone());
    if let Some(known) = rules().get(&key).and_then(Weak::upgrade) {
        return known;
    }
    // Not under the lock: it takes a thread of its own, and some tenths of a millisecond.
    let made = Arc::new(compile(rule));
    let mut rules = rules();
    if rules.len() >= KNOWN {
        rules.clear();
    }
    rules.insert(key, Arc::downgrade(&made));
    made
}

fn compile(rule: &Rule) -> Compiled {
    let scope = Scope { names: Names::Rule, ..Scope::default() };
    let expression = Expression::compile(&rule.rule, &scope).map_err(|fault| fault.text());
    let message = Some(&rule.message_expression).filter(|source| !source.is_empty());
    Compiled {
        uses_old: expression.as_ref().is_ok_and(|expression| expression.reads.contains(&Root::OldThis)),
        expression,
        message: message.and_then(|source| Expression::compile(source, &scope).ok()),
    }
}

/// `path` with a rule's `fieldPath` (`.spec.host`, `.labels['a']`) behind it.
pub(super) fn field_path(field_path: &str, schema: &Schema, path: &Path<'_>) -> String {
    let mut out = path.text();
    if field_path.is_empty() {
        return out;
    }
    if out == Path::ROOT.text() {
        out.clear();
    }
    let mut at = Some(schema);
    let mut rest = field_path;
    while !rest.is_empty() {
        let (name, after) = if let Some(quoted) = rest.strip_prefix("['") {
            quoted.split_once("']").unwrap_or((quoted, ""))
        } else {
            let plain = rest.strip_prefix('.').unwrap_or(rest);
            plain.split_at(plain.find(['.', '[']).unwrap_or(plain.len()))
        };
        if name.is_empty() {
            break;
        }
        let is_key = at.is_some_and(|schema| schema.properties.is_empty() && schema.additional().is_some());
        if is_key {
            out.extend(["[", name, "]"]);
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(name);
        }
        at = at
            .and_then(|schema| schema.property(name).or_else(|| schema.additional()))
            .map(|schema| &**schema);
        rest = after;
    }
    out
}
