//! Which field of the object an expression is about, for the place a finding points to: the first one that it names
//! under `spec`, or the first label or annotation.

use cel::{
    IdedExpr,
    common::ast::{EntryExpr, Expr},
};

use super::Scope;

/// Path of the first chain of fields from `object` that says more than what the object is; through variables.
pub fn about(tree: &IdedExpr, scope: &Scope) -> Option<Vec<String>> {
    if let Some(path) = path(tree, scope) {
        let telling = match path.first().map(String::as_str) {
            Some("spec") => true,
            Some("metadata") => path.get(1).is_some_and(|part| part == "labels" || part == "annotations"),
            _ => false,
        };
        return telling.then_some(path);
    }
    match &tree.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) => None,
        Expr::Select(select) => about(&select.operand, scope),
        Expr::List(list) => list.elements.iter().find_map(|element| about(element, scope)),
        Expr::Map(map) => map.entries.iter().find_map(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => about(&entry.value, scope),
            EntryExpr::StructField(field) => about(&field.value, scope),
        }),
        Expr::Comprehension(loops) => about(&loops.iter_range, scope)
            .or_else(|| about(&loops.accu_init, scope))
            .or_else(|| about(&loops.loop_step, scope))
            .or_else(|| about(&loops.result, scope)),
        Expr::Call(call) => call
            .target
            .as_deref()
            .and_then(|target| about(target, scope))
            .or_else(|| call.args.iter().find_map(|argument| about(argument, scope))),
    }
}

fn path(node: &IdedExpr, scope: &Scope) -> Option<Vec<String>> {
    match &node.expr {
        Expr::Ident(name) => (name == "object").then(Vec::new),
        Expr::Select(select) => {
            if matches!(&select.operand.expr, Expr::Ident(name) if name == "variables") {
                let variable = scope.variables.iter().find(|(name, _)| **name == *select.field);
                return variable.and_then(|(_, expression)| expression.about.clone());
            }
            let mut path = path(&select.operand, scope)?;
            path.push(select.field.clone());
            Some(path)
        }
        _ => None,
    }
}

impl super::Expression {
    /// The field in an object as findings write it, as far as it is there.
    pub fn field(&self, object: &serde_json::Value) -> String {
        let mut at = object;
        let mut field = String::new();
        for part in self.about.iter().flatten() {
            let Some(next) = at.get(part) else { break };
            at = next;
            if !field.is_empty() {
                field.push('.');
            }
            field.push_str(part);
        }
        field
    }
}
