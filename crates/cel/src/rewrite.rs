//! The tree that is evaluated: variables become names of the context, and everything whose cost depends on the data pays
//! for it first.
//!
//! - A loop pays its range times the size of its body before it begins: `@range(list, body)`. It also gives the keys of a
//!   map in order, so that no result depends on a hash.
//! - Calls and `+` pay for what they made, comparisons for what they compare: `@made(value)`.
//! - `replace` and `join`, whose result may be the product of their arguments, pay before they make it.
//!
//! A call that is not served becomes `@unserved(name)`, which fails when it is reached: `true || semver(…)` is true.
//!
//! Rules of schemas run for every object that is read, so they get the forms that the crate evaluates without making anything
//! on the heap (`plain`).

mod plain;

use std::collections::BTreeMap;

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue},
};

use super::Names;

/// Prefix of the names that the policy's variables have in the evaluation's context; no expression can write it.
const VARIABLE: &str = "@variable_";

/// What stands in place of a call that is not served.
pub const UNSERVED: &str = "@unserved";

/// Name of a variable of the policy in the evaluation's context.
pub fn variable(name: &str) -> String {
    format!("{VARIABLE}{name}")
}

/// Rewrites a checked expression.
///
/// `valueless`: the nodes that are calls which are not served, with the function of each.
pub fn rewrite(mut tree: IdedExpr, names: Names, valueless: &BTreeMap<u64, String>) -> IdedExpr {
    let rule = names == Names::Rule;
    Rewriter { shadowed: 0, rule, valueless }.expression(&mut tree);
    if rule {
        plain::rewrite(&mut tree);
    }
    tree
}

struct Rewriter<'a> {
    valueless: &'a BTreeMap<u64, String>,
    /// Values have types of ours, which the crate's own do not know how to compare with themselves.
    rule: bool,
    /// Loops around that call their variable `variables`.
    shadowed: usize,
}

impl Rewriter<'_> {
    fn expression(&mut self, node: &mut IdedExpr) {
        if let Some(name) = self.valueless.get(&node.id) {
            let name =
                IdedExpr { id: node.id, expr: Expr::Literal(LiteralValue::String(name.clone().into())) };
            let call = CallExpr { func_name: UNSERVED.to_owned(), target: None, args: vec![name] };
            node.expr = Expr::Call(call);
            return;
        }
        match &mut node.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
            Expr::Select(select) => {
                let of_policy = matches!(&select.operand.expr, Expr::Ident(name) if name == "variables");
                if of_policy && self.shadowed == 0 {
                    node.expr = if select.test {
                        Expr::Literal(LiteralValue::Boolean(true.into()))
                    } else {
                        Expr::Ident(variable(&select.field))
                    };
                } else {
                    self.expression(&mut select.operand);
                }
            }
            Expr::List(list) => list.elements.iter_mut().for_each(|element| {
                self.expression(element);
                weigh(element);
            }),
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.expression(&mut entry.key);
                        self.expression(&mut entry.value);
                        weigh(&mut entry.value);
                    }
                }
            }
            Expr::Comprehension(loops) => self.loops(loops),
            Expr::Call(call) if self.rule && matches!(&*call.func_name, "_==_" | "_!=_") => {
                let unequal = call.func_name == "_!=_";
                for part in &mut call.args {
                    self.expression(part);
                }
                // The crate's own values compare themselves with anything.
                let simple = call.args.iter().any(|part| matches!(part.expr, Expr::Literal(_)));
                if simple {
                    return;
                }
                "@equals".clone_into(&mut call.func_name);
                if unequal {
                    wrap(node, "!_", None);
                }
            }
            Expr::Call(call) => {
                for part in call.target.iter_mut().map(|target| &mut **target).chain(&mut call.args) {
                    self.expression(part);
                }
                if self.pays(call) {
                    wrap(node, "@made", None);
                }
            }
        }
    }

    /// Gives a call its paying form; whether its result is to be paid for.
    fn pays(&self, call: &mut CallExpr) -> bool {
        match &*call.func_name {
            "_==_" | "_!=_" => {
                call.args.iter_mut().take(1).for_each(weigh);
                false
            }
            "@in" => {
                call.args.iter_mut().skip(1).for_each(weigh);
                false
            }
            // What a loop appends to its result: the crate knows this form and appends in place.
            "_+_" => {
                !matches!(call.args.first(), Some(IdedExpr { expr: Expr::Ident(name), .. }) if name.starts_with('@') && !name.starts_with(VARIABLE))
            }
            "matches" | "replace" | "join" => {
                call.func_name.insert(0, '@');
                true
            }
            // What they make has one size.
            "size" | "startsWith" | "endsWith" | "contains" | "isIP" | "isCIDR" | "isURL" if self.rule => {
                false
            }
            name => !(name.starts_with(['_', '@']) || matches!(name, "!_" | "-_")),
        }
    }

    fn loops(&mut self, loops: &mut ComprehensionExpr) {
        self.expression(&mut loops.iter_range);
        self.expression(&mut loops.accu_init);
        let shadows = loops.iter_var == "variables" || loops.iter_var2.as_deref() == Some("variables");
        self.shadowed += usize::from(shadows);
        let mut body = 0;
        for part in [&mut loops.loop_cond, &mut loops.loop_step, &mut loops.result] {
            self.expression(part);
            body += size(part);
        }
        self.shadowed -= usize::from(shadows);
        wrap(&mut loops.iter_range, "@range", Some(i64::try_from(body).unwrap_or(i64::MAX)));
    }
}

/// A name or field that is copied or compared whole is paid for.
fn weigh(node: &mut IdedExpr) {
    if matches!(node.expr, Expr::Ident(_) | Expr::Select(_)) {
        wrap(node, "@made", None);
    }
}

fn wrap(node: &mut IdedExpr, function: &str, number: Option<i64>) {
    let id = node.id;
    let mut args = vec![std::mem::take(node)];
    args.extend(number.map(|n| IdedExpr { id, expr: Expr::Literal(LiteralValue::Int(n.into())) }));
    *node =
        IdedExpr { id, expr: Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args }) };
}

/// Nodes of a tree.
fn size(node: &IdedExpr) -> u64 {
    1 + children(node).into_iter().map(size).sum::<u64>()
}

/// Nodes on the longest path through a tree.
pub fn depth(node: &IdedExpr) -> usize {
    1 + children(node).into_iter().map(depth).max().unwrap_or(0)
}

fn children(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => Vec::new(),
        Expr::Select(select) => vec![&*select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
                EntryExpr::StructField(field) => vec![&field.value],
            })
            .collect(),
        Expr::Comprehension(l) => vec![&l.iter_range, &l.accu_init, &l.loop_cond, &l.loop_step, &l.result],
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
    }
}
