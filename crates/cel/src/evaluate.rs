//! Evaluation of compiled expressions over one object.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cel::{
    Context, ExecutionError, Value,
    common::{
        types::{CelBool, CelNull, CelString},
        value::{CowVal, Val},
    },
};

use super::{ENV, Expression, STACK, budget, rewrite, value::from_json};

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

/// What expressions may read. Absent ones are null.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'v> {
    /// `object`
    pub object: &'v serde_json::Value,
    /// `oldObject`
    pub old: Option<&'v serde_json::Value>,
    /// `request`
    pub request: Option<&'v serde_json::Value>,
    /// `params`
    pub params: Option<&'v serde_json::Value>,
    /// `namespaceObject`
    pub namespace: Option<&'v serde_json::Value>,
}

/// Evaluations over the same inputs, out of one budget. Variables are evaluated when the first expression needs them;
/// their failures show where they are used.
pub struct Run<'v> {
    context: Context<'v, 'v>,
    variables: &'v [(Arc<str>, Arc<Expression>)],
    done: BTreeSet<usize>,
    failed: BTreeMap<String, Failure>,
}

impl<'v> Run<'v> {
    /// A run with a full budget.
    pub fn new(inputs: Inputs<'v>, variables: &'v [(Arc<str>, Arc<Expression>)]) -> Self {
        Self::with_budget(inputs, variables, budget::LIMIT)
    }

    pub(super) fn with_budget(
        inputs: Inputs<'v>,
        variables: &'v [(Arc<str>, Arc<Expression>)],
        limit: u64,
    ) -> Self {
        budget::open(limit);
        let mut context = Context::with_env(Arc::clone(&ENV));
        let roots = [
            ("object", Some(inputs.object)),
            ("oldObject", inputs.old),
            ("request", inputs.request),
            ("params", inputs.params),
            ("namespaceObject", inputs.namespace),
        ];
        for (name, json) in roots {
            let value: Box<dyn Val + 'v> = json.map_or_else(|| Box::new(CelNull) as Box<dyn Val>, from_json);
            context.add_variable_as_val(name, value);
        }
        Self { context, variables, done: BTreeSet::new(), failed: BTreeMap::new() }
    }

    /// The value of a condition.
    ///
    /// # Errors
    /// It has no value, or one that is not true or false.
    pub fn truth(&mut self, expression: &Expression) -> Result<bool, Failure> {
        let value = self.value(expression)?;
        value.downcast_ref::<CelBool>().map(|flag| *flag.inner()).ok_or_else(|| {
            let r#type = value.get_type().name();
            Failure(format!("expression '{}' gives {type}, not bool", short(&expression.source)))
        })
    }

    /// The value of a message; `None` if it is no text or fails.
    pub fn text(&mut self, expression: &Expression) -> Option<String> {
        let value = self.value(expression).ok()?;
        value.downcast_ref::<CelString<'_>>().map(|text| text.inner().to_owned())
    }

    /// The value of what may be a text or null.
    ///
    /// # Errors
    /// It has none, or with `true` one that is neither.
    pub fn annotation(&mut self, expression: &Expression) -> Result<Option<String>, (bool, Failure)> {
        let value = self.value(expression).map_err(|failure| (false, failure))?;
        if let Some(text) = value.downcast_ref::<CelString<'_>>() {
            return Ok(Some(text.inner().to_owned()));
        }
        match value.get_type().name() {
            "null_type" => Ok(None),
            r#type => {
                let source = short(&expression.source);
                let says = format!(
                    "valueExpression '{source}' resulted in unsupported return type: {type}. Return type must be either string or null."
                );
                Err((true, Failure(says)))
            }
        }
    }

    /// The value of any expression.
    ///
    /// # Errors
    /// It has none.
    pub(super) fn value(&mut self, expression: &Expression) -> Result<Box<dyn Val + 'v>, Failure> {
        for &position in &expression.needs {
            if self.done.insert(position) {
                let (name, variable) = &self.variables[position];
                let name = rewrite::variable(name);
                match self.one(variable) {
                    Ok(value) => self.context.add_variable_as_val(name, value),
                    Err(failure) => {
                        self.failed.insert(name, failure);
                    }
                }
            }
        }
        self.one(expression)
    }

    fn one(&self, expression: &Expression) -> Result<Box<dyn Val + 'v>, Failure> {
        let failure =
            |why: String| Failure(format!("expression '{}' fails: {why}", short(&expression.source)));
        let value = resolve(expression, &self.context);
        if budget::spent() {
            return Err(failure(format!("it takes more than {} steps", budget::LIMIT)));
        }
        value.map_err(|error| match &error {
            ExecutionError::UndeclaredReference(name) if self.failed.contains_key(&**name) => {
                self.failed[&**name].clone()
            }
            error => failure(describe(error)),
        })
    }
}

/// The value of an expression out of the open budget; a deep one gets a stack of its own.
pub(crate) fn resolve<'v>(
    expression: &Expression,
    context: &Context<'v, 'v>,
) -> Result<Box<dyn Val + 'v>, ExecutionError> {
    let resolve = || Value::resolve_val(&expression.tree, context).map(CowVal::into_owned);
    if !expression.deep {
        return resolve();
    }
    let account = budget::state();
    let deep = move || {
        budget::resume(account);
        (resolve(), budget::state())
    };
    let ended = std::thread::scope(|threads| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(threads, deep);
        thread.ok().and_then(|thread| thread.join().ok())
    });
    let Some((value, account)) = ended else {
        return Err(ExecutionError::function_error("cel", "no thread, or a bug of the evaluation"));
    };
    budget::resume(account);
    value
}

/// In one line and without values that have no fixed order.
pub(crate) fn describe(error: &ExecutionError) -> String {
    let text = match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::NoSuchOverload(overload) => overload.to_string(),
        ExecutionError::UndeclaredReference(name) => format!("undeclared reference to '{name}'"),
        ExecutionError::UnexpectedType { got, want } => format!("{got} where {want} is needed"),
        ExecutionError::FunctionError { function, message } if function == rewrite::UNSERVED => {
            message.clone()
        }
        ExecutionError::FunctionError { function, message } => format!("{function}: {message}"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".into(),
        ExecutionError::Overflow(..) => "number too large".into(),
        ExecutionError::IndexOutOfBounds(_) => "index out of bounds".into(),
        ExecutionError::DuplicateKey(_) => "a key stands twice in a map".into(),
        ExecutionError::ValuesNotComparable(..) => "the values cannot be compared".into(),
        _ => "the operation is not defined for these types".into(),
    };
    short(&text.replace('\n', " "))
}

/// At most 200 characters.
fn short(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}
