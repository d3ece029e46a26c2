//! Rules whose truth can be seen without evaluating them in full: fields, literals, `has`, `in`, comparisons, `&&`, `||`, `!`, `?:`,
//! sizes, parts of texts, and loops over these. Rules of schemas run for every object that is read, most hold, and most look like
//! this; a glance makes nothing on the heap.
//!
//! A glance only ever says that a rule holds. Whatever it does not see (an error, a type that it does not expect, a rule that does
//! not hold) is left to the evaluation, with its words and its budget.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue},
};
use regex::Regex;

use super::patterns;

/// A value that can be looked into where it stands.
pub trait Seen: Copy {
    /// What it is.
    fn is(self) -> Shape;
    /// A text.
    fn text<'v>(self) -> Option<&'v str>
    where
        Self: 'v;
    /// The field or key of this name, as CEL writes it; `None` also of what has no fields.
    fn field(self, name: &str) -> Option<Self>;
    /// The item at this place of a list.
    fn item(self, at: usize) -> Option<Self>;
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text without a format that makes something else of it.
    Text,
    /// A whole number.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// A list of so many items.
    List(usize),
    /// An object or a map of so many fields or keys.
    Map(usize),
    /// Anything else.
    Other,
}

/// Most loops in one another.
const LOOPS: usize = 4;
/// Most items of a list that is looped over at a glance: longer ones pay for their loops.
const ITEMS: usize = 64;

/// A rule that can be glanced at.
#[derive(Debug)]
pub struct Glance(Plain);

#[derive(Debug)]
enum Plain {
    This,
    /// The variable of the loop of this depth.
    Item(usize),
    Field(Box<Plain>, Box<str>),
    Has(Box<Plain>, Box<str>),
    Text(Box<str>),
    Int(i64),
    Bool(bool),
    Not(Box<Plain>),
    And(Box<[Plain; 2]>),
    Or(Box<[Plain; 2]>),
    If(Box<[Plain; 3]>),
    Compare(Order, Box<[Plain; 2]>),
    In(Box<Plain>, Vec<Plain>),
    Size(Box<Plain>),
    Sum(Box<[Plain; 2]>),
    /// An item at a place that is written.
    At(Box<Plain>, usize),
    /// Whether a pattern that is written is found.
    Matches(Box<Plain>, Regex),
    /// How many items a filter leaves.
    Left(usize, Box<[Plain; 2]>),
    Part(Part, Box<[Plain; 2]>),
    Loop(Every, usize, Box<[Plain; 2]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Starts,
    Ends,
    Contains,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Every {
    All,
    Exists,
    ExistsOne,
}

impl Glance {
    /// Of a checked expression that reads `self` alone; `None` if there is something in it that a glance does not see.
    pub(super) fn of(tree: &IdedExpr) -> Option<Self> {
        plain(tree, &mut Vec::new()).map(Self)
    }

    /// Whether the rule surely holds for a value.
    pub fn holds(&self, this: impl Seen) -> bool {
        self.0.truth(this, &mut [None; LOOPS]) == Some(true)
    }
}

fn plain(node: &IdedExpr, names: &mut Vec<String>) -> Option<Plain> {
    Some(match &node.expr {
        Expr::Ident(name) if name == "self" => Plain::This,
        Expr::Ident(name) => Plain::Item(names.iter().rposition(|known| known == name)?),
        Expr::Literal(LiteralValue::Boolean(flag)) => Plain::Bool(*flag.inner()),
        Expr::Literal(LiteralValue::Int(number)) => Plain::Int(*number.inner()),
        Expr::Literal(LiteralValue::String(text)) => Plain::Text(text.inner().into()),
        Expr::Select(select) => {
            let of = Box::new(plain(&select.operand, names)?);
            let field = select.field.as_str().into();
            if select.test { Plain::Has(of, field) } else { Plain::Field(of, field) }
        }
        Expr::Call(call) => called(call, names)?,
        Expr::Comprehension(loops) => looped(loops, names)?,
        _ => return None,
    })
}

fn called(call: &CallExpr, names: &mut Vec<String>) -> Option<Plain> {
    if let Some(special) = special(call, names) {
        return Some(special);
    }
    let mut parts = Vec::with_capacity(3);
    for part in call.target.iter().map(|target| &**target).chain(&call.args) {
        if call.func_name == "@in" && parts.len() == 1 {
            let Expr::List(list) = &part.expr else { return None };
            let items: Option<Vec<Plain>> = list.elements.iter().map(|item| plain(item, names)).collect();
            return Some(Plain::In(Box::new(parts.pop()?), items?));
        }
        parts.push(plain(part, names)?);
    }
    let mut parts = parts.into_iter();
    let mut next = || parts.next();
    let order = match &*call.func_name {
        "_==_" => Some(Order::Equal),
        "_!=_" => Some(Order::Unequal),
        "_<_" => Some(Order::Less),
        "_<=_" => Some(Order::LessOrEqual),
        "_>_" => Some(Order::Greater),
        "_>=_" => Some(Order::GreaterOrEqual),
        _ => None,
    };
    let part = match &*call.func_name {
        "startsWith" => Some(Part::Starts),
        "endsWith" => Some(Part::Ends),
        "contains" => Some(Part::Contains),
        _ => None,
    };
    let made = match &*call.func_name {
        "!_" => Plain::Not(Box::new(next()?)),
        "_&&_" => Plain::And(Box::new([next()?, next()?])),
        "_||_" => Plain::Or(Box::new([next()?, next()?])),
        "_?_:_" => Plain::If(Box::new([next()?, next()?, next()?])),
        "size" => Plain::Size(Box::new(next()?)),
        "_+_" => Plain::Sum(Box::new([next()?, next()?])),
        _ => match (order, part) {
            (Some(order), _) => Plain::Compare(order, Box::new([next()?, next()?])),
            (_, Some(part)) => Plain::Part(part, Box::new([next()?, next()?])),
            _ => return None,
        },
    };
    next().is_none().then_some(made)
}

/// Calls of which a part is written out: a place in a list, a pattern, the size of what a filter leaves.
fn special(call: &CallExpr, names: &mut Vec<String>) -> Option<Plain> {
    let parts: Vec<&IdedExpr> = call.target.iter().map(|target| &**target).chain(&call.args).collect();
    match (&*call.func_name, &parts[..]) {
        ("_[_]", [list, IdedExpr { expr: Expr::Literal(LiteralValue::Int(at)), .. }]) => {
            Some(Plain::At(Box::new(plain(list, names)?), usize::try_from(*at.inner()).ok()?))
        }
        ("matches", [text, IdedExpr { expr: Expr::Literal(LiteralValue::String(pattern)), .. }]) => {
            let (pattern, _) = patterns::compile(pattern.inner()).ok()?;
            Some(Plain::Matches(Box::new(plain(text, names)?), (*pattern).clone()))
        }
        ("size", [IdedExpr { expr: Expr::Comprehension(loops), .. }]) => filtered(loops, names),
        _ => None,
    }
}

/// What `filter` makes.
fn filtered(loops: &ComprehensionExpr, names: &mut Vec<String>) -> Option<Plain> {
    let accumulated = |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if *name == loops.accu_var);
    let empty = matches!(&loops.accu_init.expr, Expr::List(list) if list.elements.is_empty());
    let Expr::Call(step) = &loops.loop_step.expr else { return None };
    let ("_?_:_", [body, more, same]) = (&*step.func_name, &step.args[..]) else { return None };
    let Expr::Call(more) = &more.expr else { return None };
    let ("_+_", [before, one]) = (&*more.func_name, &more.args[..]) else { return None };
    let item = matches!(&one.expr, Expr::List(list)
        if matches!(&list.elements[..], [IdedExpr { expr: Expr::Ident(name), .. }] if *name == loops.iter_var));
    let is_filter = empty && item && accumulated(before) && accumulated(same) && accumulated(&loops.result);
    let (depth, parts) = within(loops, body, names).filter(|_| is_filter)?;
    Some(Plain::Left(depth, parts))
}

/// Range and body of a loop, with the depth of its variable.
fn within(
    loops: &ComprehensionExpr,
    body: &IdedExpr,
    names: &mut Vec<String>,
) -> Option<(usize, Box<[Plain; 2]>)> {
    if loops.iter_var2.is_some() || names.len() == LOOPS || loops.iter_var == "self" {
        return None;
    }
    let range = plain(&loops.iter_range, names)?;
    names.push(loops.iter_var.clone());
    let depth = names.len() - 1;
    let body = plain(body, names);
    names.pop();
    Some((depth, Box::new([range, body?])))
}

/// `all`, `exists` and `exists_one`, by what their macros make.
fn looped(loops: &ComprehensionExpr, names: &mut Vec<String>) -> Option<Plain> {
    let accumulated = |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if *name == loops.accu_var);
    let Expr::Call(step) = &loops.loop_step.expr else { return None };
    let (every, body) = match (&loops.accu_init.expr, &*step.func_name, &step.args[..]) {
        (Expr::Literal(LiteralValue::Boolean(flag)), "_&&_", [accu, body])
            if *flag.inner() && accumulated(accu) && accumulated(&loops.result) =>
        {
            (Every::All, body)
        }
        (Expr::Literal(LiteralValue::Boolean(flag)), "_||_", [accu, body])
            if !*flag.inner() && accumulated(accu) && accumulated(&loops.result) =>
        {
            (Every::Exists, body)
        }
        (Expr::Literal(LiteralValue::Int(_)), "_?_:_", [body, one, same])
            if accumulated(same)
                && counts(one, &loops.accu_var)
                && is_one(&loops.result, &loops.accu_var) =>
        {
            (Every::ExistsOne, body)
        }
        _ => return None,
    };
    let (depth, parts) = within(loops, body, names)?;
    Some(Plain::Loop(every, depth, parts))
}

/// `accumulated + 1`.
fn counts(node: &IdedExpr, accumulated: &str) -> bool {
    binary(node, "_+_", accumulated)
}

/// `accumulated == 1`.
fn is_one(node: &IdedExpr, accumulated: &str) -> bool {
    binary(node, "_==_", accumulated)
}

fn binary(node: &IdedExpr, function: &str, accumulated: &str) -> bool {
    let Expr::Call(call) = &node.expr else { return false };
    let [left, right] = &call.args[..] else { return false };
    let one = matches!(&right.expr, Expr::Literal(LiteralValue::Int(number)) if *number.inner() == 1);
    call.func_name == function && one && matches!(&left.expr, Expr::Ident(name) if name == accumulated)
}

/// What a part of a rule stands for.
#[derive(Clone, Copy)]
enum Value<'p, S> {
    Seen(S),
    Text(&'p str),
    Int(i64),
    Bool(bool),
}

impl<'p, S: Seen + 'p> Value<'p, S> {
    fn shape(self) -> Shape {
        match self {
            Self::Seen(seen) => seen.is(),
            Self::Text(_) => Shape::Text,
            Self::Int(number) => Shape::Int(number),
            Self::Bool(flag) => Shape::Bool(flag),
        }
    }

    fn text(self) -> Option<&'p str> {
        match self {
            Self::Seen(seen) if seen.is() == Shape::Text => seen.text(),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Plain {
    /// What it stands for; `None` if that is not seen.
    fn value<'p, S: Seen + 'p>(&'p self, this: S, items: &mut [Option<S>; LOOPS]) -> Option<Value<'p, S>> {
        Some(match self {
            Self::This => Value::Seen(this),
            Self::Item(depth) => Value::Seen(items[*depth]?),
            Self::Field(of, name) => match of.value(this, items)? {
                Value::Seen(seen) => Value::Seen(seen.field(name)?),
                _ => return None,
            },
            Self::Text(text) => Value::Text(text),
            Self::Int(number) => Value::Int(*number),
            Self::Size(of) => {
                let value = of.value(this, items)?;
                let size = match value.shape() {
                    Shape::Text => value.text()?.chars().count(),
                    Shape::List(size) | Shape::Map(size) => size,
                    _ => return None,
                };
                Value::Int(i64::try_from(size).ok()?)
            }
            Self::Sum(parts) => {
                let [left, right] = &**parts;
                match (left.value(this, items)?.shape(), right.value(this, items)?.shape()) {
                    (Shape::Int(left), Shape::Int(right)) => Value::Int(left.checked_add(right)?),
                    _ => return None,
                }
            }
            Self::At(of, at) => match of.value(this, items)? {
                Value::Seen(seen) => Value::Seen(seen.item(*at)?),
                _ => return None,
            },
            Self::Left(depth, parts) => {
                let (holds, unseen, _) = Self::each(*depth, parts, this, items)?;
                Value::Int(i64::try_from(holds).ok().filter(|_| !unseen)?)
            }
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                return if condition.truth(this, items)? { then } else { otherwise }.value(this, items);
            }
            truth => Value::Bool(truth.truth(this, items)?),
        })
    }

    /// Whether it is true; `None` if that is not seen.
    fn truth<'p, S: Seen + 'p>(&'p self, this: S, items: &mut [Option<S>; LOOPS]) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            Self::Has(of, name) => match of.value(this, items)? {
                Value::Seen(seen) if matches!(seen.is(), Shape::Map(_)) => Some(seen.field(name).is_some()),
                _ => None,
            },
            Self::Not(of) => of.truth(this, items).map(|truth| !truth),
            // One that decides does so whatever becomes of the other.
            Self::And(parts) => decided(parts, false, this, items),
            Self::Or(parts) => decided(parts, true, this, items),
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                if condition.truth(this, items)? { then } else { otherwise }.truth(this, items)
            }
            Self::Compare(order, parts) => {
                let [left, right] = &**parts;
                compared(*order, left.value(this, items)?, right.value(this, items)?)
            }
            Self::In(of, list) => {
                let value = of.value(this, items)?;
                let mut found = false;
                for item in list {
                    found |= compared(Order::Equal, value, item.value(this, items)?)?;
                }
                Some(found)
            }
            Self::Part(part, parts) => {
                let [text, of] = &**parts;
                let (text, of) = (text.value(this, items)?.text()?, of.value(this, items)?.text()?);
                Some(match part {
                    Part::Starts => text.starts_with(of),
                    Part::Ends => text.ends_with(of),
                    Part::Contains => text.contains(of),
                })
            }
            Self::Loop(every, depth, parts) => {
                let (holds, unseen, size) = Self::each(*depth, parts, this, items)?;
                match every {
                    Every::All if holds == size => Some(true),
                    Every::Exists if holds > 0 => Some(true),
                    _ if unseen => None,
                    Every::All | Every::Exists => Some(false),
                    Every::ExistsOne => Some(holds == 1),
                }
            }
            Self::Matches(of, pattern) => Some(pattern.is_match(of.value(this, items)?.text()?)),
            Self::This | Self::Item(_) | Self::Field(..) | Self::At(..) => {
                match self.value(this, items)?.shape() {
                    Shape::Bool(flag) => Some(flag),
                    _ => None,
                }
            }
            Self::Text(_) | Self::Int(_) | Self::Size(_) | Self::Sum(_) | Self::Left(..) => None,
        }
    }

    /// For how many items of a list a condition holds, whether it is not seen for one, and how many there are.
    fn each<'p, S: Seen + 'p>(
        depth: usize,
        parts: &'p [Plain; 2],
        this: S,
        items: &mut [Option<S>; LOOPS],
    ) -> Option<(usize, bool, usize)> {
        let [range, body] = parts;
        let Value::Seen(list) = range.value(this, items)? else { return None };
        let Shape::List(size) = list.is() else { return None };
        if size > ITEMS {
            return None;
        }
        let (mut holds, mut unseen) = (0, false);
        for at in 0..size {
            items[depth] = Some(list.item(at)?);
            match body.truth(this, items) {
                Some(true) => holds += 1,
                Some(false) => {}
                None => unseen = true,
            }
        }
        Some((holds, unseen, size))
    }
}

fn decided<'p, S: Seen + 'p>(
    parts: &'p [Plain; 2],
    by: bool,
    this: S,
    items: &mut [Option<S>; LOOPS],
) -> Option<bool> {
    let first = parts[0].truth(this, items);
    if first == Some(by) {
        return first;
    }
    match parts[1].truth(this, items) {
        Some(second) if second == by => Some(by),
        second => first.and(second),
    }
}

fn compared<'p, S: Seen + 'p>(order: Order, left: Value<'p, S>, right: Value<'p, S>) -> Option<bool> {
    let ordering = match (left.shape(), right.shape()) {
        (Shape::Int(left), Shape::Int(right)) => left.cmp(&right),
        (Shape::Text, Shape::Text) => left.text()?.cmp(right.text()?),
        (Shape::Bool(left), Shape::Bool(right)) => left.cmp(&right),
        _ => return None,
    };
    Some(match order {
        Order::Equal => ordering.is_eq(),
        Order::Unequal => ordering.is_ne(),
        Order::Less => ordering.is_lt(),
        Order::LessOrEqual => ordering.is_le(),
        Order::Greater => ordering.is_gt(),
        Order::GreaterOrEqual => ordering.is_ge(),
    })
}
