//! The same expression in forms that cost the crate less. It resolves `a.b` as a qualified name (a list of its parts and
//! their text) before it looks into `a`, makes the error of `!` and of comparisons before it knows whether there is one, and
//! that of a field that `has` does not find.
//!
//! | written | evaluated |
//! |---|---|
//! | `self.a.b` | `self["a"]["b"]` |
//! | `has(self.a)` | `"a" in self` |
//! | `!x` | `x ? false : true` |
//! | `a < b` | `@less(a, b)` |
//! | `a.contains(b)`, `startsWith`, `endsWith` | `@contains(a, b)` and so on |
//! | `x in ["a", "b"]` | `x == "a" || x == "b"` |

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators},
};

/// Rewrites what can be, from the leaves up.
pub(super) fn rewrite(tree: &mut IdedExpr) {
    Plain { bound: vec!["self".to_owned()] }.expression(tree);
}

struct Plain {
    /// Names that are values, and so no beginnings of qualified names. `oldSelf` may be an optional, for which `has` and a
    /// key are different things.
    bound: Vec<String>,
}

impl Plain {
    fn expression(&mut self, node: &mut IdedExpr) {
        match &mut node.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Map(_) => {}
            Expr::Select(select) => {
                self.expression(&mut select.operand);
                if self.is_value(&select.operand) {
                    node.expr = field(node.id, std::mem::take(select));
                }
            }
            Expr::List(list) => list.elements.iter_mut().for_each(|element| self.expression(element)),
            Expr::Comprehension(loops) => {
                self.expression(&mut loops.iter_range);
                self.expression(&mut loops.accu_init);
                let before = self.bound.len();
                self.bound.push(loops.iter_var.clone());
                self.bound.extend(loops.iter_var2.clone());
                for part in [&mut loops.loop_cond, &mut loops.loop_step, &mut loops.result] {
                    self.expression(part);
                }
                self.bound.truncate(before);
            }
            Expr::Call(call) => {
                for part in call.target.iter_mut().map(|target| &mut **target).chain(&mut call.args) {
                    self.expression(part);
                }
                if let Some(plain) = self.call(node.id, call) {
                    node.expr = plain;
                }
            }
        }
    }

    /// Whether the expression is a value for sure, and not an optional.
    fn is_value(&self, node: &IdedExpr) -> bool {
        match &node.expr {
            Expr::Ident(name) => self.bound.iter().any(|bound| bound == name),
            Expr::Call(call) => {
                call.func_name == operators::INDEX && call.args.first().is_some_and(|of| self.is_value(of))
            }
            _ => false,
        }
    }
}

impl Plain {
    fn call(&self, id: u64, call: &mut CallExpr) -> Option<Expr> {
        if call.target.is_some() {
            return of_text(call);
        }
        match (&*call.func_name, call.args.len()) {
            (operators::LOGICAL_NOT, 1) => {
                let args = vec![call.args.pop()?, boolean(id, false), boolean(id, true)];
                Some(made(operators::CONDITIONAL, args))
            }
            (operators::LESS, 2) => Some(made("@less", std::mem::take(&mut call.args))),
            (operators::LESS_EQUALS, 2) => Some(made("@less_or_equal", std::mem::take(&mut call.args))),
            (operators::GREATER, 2) => Some(made("@greater", std::mem::take(&mut call.args))),
            (operators::GREATER_EQUALS, 2) => Some(made("@greater_or_equal", std::mem::take(&mut call.args))),
            (operators::IN, 2) if self.is_value(&call.args[0]) => one_of(id, call),
            _ => None,
        }
    }
}

/// Most literals that are compared one by one.
const FEW: usize = 4;

/// `x in [literals]`.
fn one_of(id: u64, call: &mut CallExpr) -> Option<Expr> {
    let Expr::List(list) = &mut call.args[1].expr else { return None };
    let plain = list.optional_indices.is_empty()
        && (1..=FEW).contains(&list.elements.len())
        && list.elements.iter().all(|element| matches!(element.expr, Expr::Literal(_)));
    if !plain {
        return None;
    }
    let literals = std::mem::take(&mut list.elements);
    let value = call.args.swap_remove(0);
    let mut all = literals.into_iter().map(|literal| made(operators::EQUALS, vec![value.clone(), literal]));
    let first = all.next()?;
    Some(all.fold(first, |sum, next| {
        let args = [sum, next].map(|expr| IdedExpr { id, expr });
        made(operators::LOGICAL_OR, args.into())
    }))
}

/// What is asked of a text and another one.
fn of_text(call: &mut CallExpr) -> Option<Expr> {
    let function = match (&*call.func_name, call.args.len()) {
        ("contains", 1) => "@contains",
        ("startsWith", 1) => "@starts_with",
        ("endsWith", 1) => "@ends_with",
        _ => return None,
    };
    let text = call.target.take()?;
    Some(made(function, vec![*text, call.args.pop()?]))
}

/// `a.b` or `has(a.b)` of a value.
fn field(id: u64, select: SelectExpr) -> Expr {
    let name = IdedExpr { id, expr: Expr::Literal(LiteralValue::String(select.field.into())) };
    if select.test {
        made(operators::IN, vec![name, *select.operand])
    } else {
        made(operators::INDEX, vec![*select.operand, name])
    }
}

fn boolean(id: u64, is: bool) -> IdedExpr {
    IdedExpr { id, expr: Expr::Literal(LiteralValue::Boolean(is.into())) }
}

fn made(function: &str, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args })
}
