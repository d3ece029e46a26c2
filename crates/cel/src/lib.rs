//! CEL as Kubernetes has it: the language of the `cel` crate with Kubernetes' functions, checked when it is compiled and
//! bounded when it runs.
//!
//! ```text
//!  source --bounds--> parse --check--> rewrite --> Expression --evaluate (budget)--> value or failure
//! ```
//!
//! The crate has no type checker and no cost limit. So names, functions and numbers of arguments are checked here (what
//! Kubernetes' checker would refuse), and each expression is rewritten so that it pays for its work out of a budget.
//! Everything in here is pure. Policies (`portolan-core`) and the rules of schemas
//! (`portolan-schema`) share it.

mod bounds;
pub mod budget;
mod check;
mod evaluate;
mod field;
mod functions;
pub mod glance;
mod kind;
#[allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "the crate's signature of a function"
)]
mod library;
mod patterns;
mod rewrite;
mod rule;
#[cfg(test)]
mod tests;
mod value;

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use cel::{Env, IdedExpr};
pub use evaluate::{Failure, Inputs, Run};
pub use rule::{RuleFault, RuleRun};
pub use value::items;

/// One environment for all expressions: making one costs more than an evaluation.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(library::env()));

/// Bytes of stack for parsing, and for evaluating deep trees; only what is used is ever touched. The crate's generated
/// parser takes 40 KiB a bracket and its evaluation 50 KiB an operation in an unoptimised build.
const STACK: usize = 64 << 20;
/// Deepest tree that is evaluated on the caller's stack: of 2 MiB it takes a small part. An unoptimised build needs twenty
/// times as much.
const SHALLOW: usize = if cfg!(debug_assertions) { 20 } else { 100 };

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    /// As written, trimmed.
    pub source: String,
    tree: IdedExpr,
    /// The tree is so deep that it is evaluated on a stack of its own.
    deep: bool,
    /// Positions of the policy's variables that it needs, those of other variables included, in order.
    needs: Vec<usize>,
    /// What it reads of the world.
    pub reads: BTreeSet<Root>,
    /// A function that Kubernetes has and we do not: the expression fails whenever it runs.
    pub unserved: Option<String>,
    /// The type that it gives, in CEL's words, if that is sure without values.
    pub kind: Option<&'static str>,
    /// Path of the field that it is about, such as `spec.hostnames`.
    about: Option<Vec<String>>,
    /// Of a rule that can be seen to hold without evaluating it.
    pub glance: Option<glance::Glance>,
}

/// Roots that an expression may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Root {
    /// `object`
    Object,
    /// `oldObject`
    OldObject,
    /// `request`
    Request,
    /// `params`
    Params,
    /// `namespaceObject`
    Namespace,
    /// `self`
    This,
    /// `oldSelf`
    OldThis,
}

/// Why an expression does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line in the expression, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Fault {
    /// As cel-go prints it, with the line of the expression.
    pub fn cel_go(&self, source: &str) -> String {
        let Self { line, column, message, .. } = self;
        let message = match message.strip_prefix("syntax error: ") {
            Some(syntax) => syntax.to_owned(),
            None if message.starts_with("undeclared reference") => format!("{message} (in container '')"),
            None => message.replace("undefined variable", "undefined field"),
        };
        let text = source.lines().nth(line - 1).unwrap_or_default();
        format!("ERROR: <input>:{line}:{column}: {message}\n | {text}\n | {}^", ".".repeat(column - 1))
    }

    /// Where it is in the expression, and what is wrong.
    pub fn text(&self) -> String {
        format!("line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// The roots that an expression knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// An expression of a ValidatingAdmissionPolicy: `object`, `oldObject`, `request`, `namespaceObject`.
    Policy {
        /// The policy has a `paramKind`, so there is `params`.
        params: bool,
    },
    /// What makes the message of one: the same without `authorizer`.
    Message {
        /// The policy has a `paramKind`.
        params: bool,
    },
    /// A rule of a schema: `self` and `oldSelf`.
    Rule,
}

impl Default for Names {
    fn default() -> Self {
        Self::Policy { params: false }
    }
}

/// What an expression may name.
#[derive(Debug, Default)]
pub struct Scope {
    /// Roots that it knows.
    pub names: Names,
    /// Variables that stand before it, compiled.
    pub variables: Vec<(Arc<str>, Arc<Expression>)>,
}

impl Expression {
    /// Compiles `source`.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its position.
    pub fn compile(source: &str, scope: &Scope) -> Result<Self, Fault> {
        let source = source.trim();
        if source.is_empty() {
            let (message, hint) = ("the expression is empty".to_owned(), "write a CEL expression".to_owned());
            return Err(Fault { line: 1, column: 1, message, hint });
        }
        bounds::check(source)?;
        let parse = || Self::parse(source, scope);
        let parsed = std::thread::scope(|threads| {
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(threads, parse);
            thread.ok().and_then(|thread| thread.join().ok())
        });
        parsed.unwrap_or_else(|| {
            let message =
                "the expression cannot be parsed here: no thread, or a bug of the parser".to_owned();
            Err(Fault { line: 1, column: 1, message, hint: "simplify the expression".to_owned() })
        })
    }

    fn parse(source: &str, scope: &Scope) -> Result<Self, Fault> {
        let program = ENV.compile(source).map_err(|errors| check::syntax(&errors))?;
        let found = check::check(&program, source, scope)?;
        // Of a rule its schema says where it stands.
        let of_policy = scope.names != Names::Rule;
        let about = of_policy.then(|| field::about(program.expression(), scope)).flatten();
        let mut needs = BTreeSet::new();
        let mut reads = found.reads;
        let mut unserved = found.unserved;
        for name in &found.variables {
            let position = scope.variables.iter().rposition(|(known, _)| **known == **name);
            let Some(position) = position else { continue };
            let variable = &scope.variables[position].1;
            needs.insert(position);
            needs.extend(&variable.needs);
            reads.extend(&variable.reads);
            unserved = unserved.or_else(|| variable.unserved.clone());
        }
        let glance = (scope.names == Names::Rule && unserved.is_none())
            .then(|| glance::Glance::of(program.expression()))
            .flatten();
        let tree = rewrite::rewrite(program.expression().clone(), scope.names, &found.valueless);
        Ok(Self {
            deep: rewrite::depth(&tree) > SHALLOW,
            source: source.to_owned(),
            kind: kind::surely(program.expression()),
            tree,
            needs: needs.into_iter().collect(),
            reads,
            unserved,
            about,
            glance,
        })
    }
}
