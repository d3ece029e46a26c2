//! Evaluation of the rules of a schema over one value.

use std::sync::Arc;

use cel::{
    Context, ExecutionError, IdedExpr, Value,
    common::{
        ast::Expr,
        types::{CelBool, CelOptional, CelString},
        value::{CowVal, Val},
    },
    context::VariableResolver,
};

use super::{ENV, Expression, budget, evaluate};

/// Why a rule has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleFault {
    /// It costs more than it may.
    Budget,
    /// Values of types that do not go together.
    Overload,
    /// In cel-go's words.
    Other(String),
}

/// Evaluations over one `self` and `oldSelf`.
pub struct RuleRun<'v> {
    roots: Roots<'v>,
    spent: u64,
}

/// What the names of a rule stand for. Asked by the crate for each name: a context of its own would be made on the heap for
/// every value that has rules.
struct Roots<'v> {
    this: Box<dyn Val + 'v>,
    old: Option<Box<dyn Val + 'v>>,
}

impl VariableResolver for Roots<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let value = match name {
            "self" => &self.this,
            "oldSelf" => self.old.as_ref()?,
            _ => return None,
        };
        Some(CowVal::Borrowed(value.as_ref()))
    }
}

impl<'v> RuleRun<'v> {
    /// `old` is what rules that read `oldSelf` may read.
    pub fn new(this: Box<dyn Val + 'v>, old: Option<Box<dyn Val + 'v>>) -> Self {
        Self { roots: Roots { this, old }, spent: 0 }
    }

    /// For rules with `optionalOldSelf`: theirs is an optional.
    pub fn with_optional_old(this: Box<dyn Val + 'v>, old: Option<Box<dyn Val + 'v>>) -> Self {
        let old: CelOptional<'v> = old.map_or_else(CelOptional::none, CelOptional::of);
        Self::new(this, Some(Box::new(old)))
    }

    /// What the last evaluation cost.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// Whether the rule holds.
    ///
    /// # Errors
    /// It has no value.
    pub fn holds(&mut self, rule: &Expression, limit: u64) -> Result<bool, RuleFault> {
        let value = self.value(rule, limit)?;
        // Kubernetes takes a rule that gives something else for one that does not hold; its compiler refuses it before.
        Ok(value.downcast_ref::<CelBool>().is_some_and(|flag| *flag.inner()))
    }

    /// The text that a message expression makes, trimmed; `None` if it makes none.
    pub fn text(&mut self, message: &Expression, limit: u64) -> Option<String> {
        let value = self.value(message, limit).ok()?;
        value.downcast_ref::<CelString<'_>>().map(|text| text.inner().trim().to_owned())
    }

    fn value(&mut self, expression: &Expression, limit: u64) -> Result<Box<dyn Val + '_>, RuleFault> {
        if let Some(function) = &expression.unserved {
            return Err(RuleFault::Other(format!("{function} is not served by Portolan")));
        }
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(&self.roots);
        budget::open(limit);
        let value = evaluate::resolve(expression, &context);
        let (left, overdrawn) = budget::state();
        self.spent = limit.saturating_sub(left);
        if overdrawn {
            return Err(RuleFault::Budget);
        }
        value.map_err(|error| {
            budget::open(limit);
            fault(&blame(&context, &expression.tree, error))
        })
    }
}

/// cel-go tells the first of two faults around `||` and `&&`, the crate the second.
fn blame(context: &Context<'_, '_>, tree: &IdedExpr, error: ExecutionError) -> ExecutionError {
    let Expr::Call(call) = &tree.expr else { return error };
    let value = |part| Value::resolve_val(part, context);
    match (&*call.func_name, &call.args[..]) {
        ("_||_" | "_&&_", [left, right]) => match value(left) {
            Err(first) => blame(context, left, first),
            Ok(_) => blame(context, right, error),
        },
        ("_?_:_", [condition, then, otherwise]) => match value(condition) {
            Err(first) => blame(context, condition, first),
            Ok(held) => {
                let held = held.downcast_ref::<CelBool>().is_some_and(|held| *held.inner());
                blame(context, if held { then } else { otherwise }, error)
            }
        },
        _ => error,
    }
}

/// In cel-go's words.
fn fault(error: &ExecutionError) -> RuleFault {
    RuleFault::Other(match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::NoSuchOverload(_)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::ValuesNotComparable(..) => return RuleFault::Overload,
        ExecutionError::IndexOutOfBounds(index) => match index {
            cel::Value::Int(index) => format!("index out of bounds: {index}"),
            _ => "index out of bounds".to_owned(),
        },
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::FunctionError { function, message } => match function.as_str() {
            "duration" => "type conversion error from 'string' to 'google.protobuf.Duration'".to_owned(),
            "timestamp" => "type conversion error from 'string' to 'google.protobuf.Timestamp'".to_owned(),
            _ => message.clone(),
        },
        other => evaluate::describe(other),
    })
}
