//! A policy with its expressions compiled.

use std::{collections::BTreeSet, sync::Arc};

use portolan_cel::{Expression, Fault, Names, Root, Scope};
use portolan_model::{Name, input::AdmissionPolicy};

/// The expressions of a policy.
#[derive(Debug)]
pub struct Program {
    /// `matchConditions`.
    pub conditions: Vec<(Name, Expression)>,
    /// `variables`, in their order.
    pub variables: Vec<(Arc<str>, Arc<Expression>)>,
    /// `validations`.
    pub validations: Vec<Validation>,
    /// `auditAnnotations`.
    pub audits: Vec<Expression>,
    /// Everything that any expression reads.
    pub reads: BTreeSet<Root>,
    /// An expression looks at who writes (`request.userInfo`).
    pub asks_who: bool,
}

/// One of `validations`.
#[derive(Debug)]
pub struct Validation {
    /// True admits.
    pub expression: Expression,
    /// Fixed message, trimmed; empty if there is none.
    pub message: String,
    /// Makes the message.
    pub message_expression: Option<Expression>,
}

/// An expression that does not compile, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Field of the policy.
    pub field: String,
    /// What is wrong.
    pub fault: Fault,
}

/// An expression that has to give a type: one that surely gives another is refused, in Kubernetes' words.
fn giving(kind: &str, source: &str, scope: &Scope) -> Result<Expression, Fault> {
    let made = Expression::compile(source, scope)?;
    match made.kind.filter(|given| *given != kind) {
        None => Ok(made),
        Some(given) => Err(Fault {
            line: 1,
            column: 1,
            message: format!("must evaluate to {kind}"),
            hint: format!("it gives a value of type {given}: write what gives a {kind}"),
        }),
    }
}

/// The same for what may be a text or null.
fn text_or_null(source: &str, scope: &Scope) -> Result<Expression, Fault> {
    let made = Expression::compile(source, scope)?;
    match made.kind.filter(|given| !["string", "null_type"].contains(given)) {
        None => Ok(made),
        Some(given) => Err(Fault {
            line: 1,
            column: 1,
            message: "must evaluate to one of [string null_type]".to_owned(),
            hint: format!(
                "it gives a value of type {given}: write what gives a string, or null for no annotation"
            ),
        }),
    }
}

impl Program {
    /// Compiles a policy.
    ///
    /// # Errors
    /// Every expression that does not compile.
    pub fn compile(policy: &AdmissionPolicy) -> Result<Self, Vec<Misfit>> {
        let mut misfits = Vec::new();
        let mut keep = |field: String, result: Result<Expression, Fault>| match result {
            Ok(expression) => Some(expression),
            Err(fault) => {
                misfits.push(Misfit { field, fault });
                None
            }
        };
        let mut scope =
            Scope { names: Names::Policy { params: policy.param_kind.is_some() }, variables: Vec::new() };
        // Conditions are evaluated first and know no variables (Kubernetes, `matchConditions`).
        let mut conditions = Vec::new();
        for (at, (name, source)) in policy.conditions.iter().enumerate() {
            let made = giving("bool", source, &scope);
            let made = keep(format!("spec.matchConditions[{at}].expression"), made);
            conditions.extend(made.map(|expression| (name.clone(), expression)));
        }
        for (at, (name, source)) in policy.variables.iter().enumerate() {
            let made = keep(format!("spec.variables[{at}].expression"), Expression::compile(source, &scope));
            // One that does not compile is declared all the same: its users are not to blame.
            let made = made.or_else(|| Expression::compile("null", &Scope::default()).ok());
            scope.variables.extend(made.map(|expression| (Arc::from(name.as_str()), Arc::new(expression))));
        }
        let mut validations = Vec::new();
        for (at, validation) in policy.validations.iter().enumerate() {
            let field = format!("spec.validations[{at}]");
            let made = keep(format!("{field}.expression"), giving("bool", &validation.expression, &scope));
            let message = validation.message_expression.as_ref().and_then(|source| {
                keep(format!("{field}.messageExpression"), giving("string", source, &scope))
            });
            validations.extend(made.map(|expression| Validation {
                expression,
                message: validation.message.as_deref().unwrap_or_default().trim().to_owned(),
                message_expression: message,
            }));
        }
        let mut audits = Vec::new();
        for (at, (_, source)) in policy.audits.iter().enumerate() {
            let field = format!("spec.auditAnnotations[{at}].valueExpression");
            audits.extend(keep(field, text_or_null(source, &scope)));
        }
        if !misfits.is_empty() {
            return Err(misfits);
        }
        let sources = policy.conditions.iter().chain(&policy.variables).chain(&policy.audits);
        let sources = sources.map(|(_, source)| source);
        let validated = policy.validations.iter();
        let validated = validated.flat_map(|one| [Some(&one.expression), one.message_expression.as_ref()]);
        let asks_who = sources.chain(validated.flatten()).any(|source| source.contains("userInfo"));
        let mut reads = BTreeSet::new();
        let parts = conditions.iter().map(|(_, expression)| expression);
        let parts = parts.chain(validations.iter().map(|v| &v.expression)).chain(&audits);
        for part in parts.chain(validations.iter().filter_map(|v| v.message_expression.as_ref())) {
            reads.extend(&part.reads);
        }
        Ok(Self { conditions, variables: scope.variables, validations, audits, reads, asks_who })
    }

    /// Functions of Kubernetes that it uses and Portolan does not have, with the first expression that does.
    pub fn unserved(&self) -> Option<(String, String)> {
        let conditions = self.conditions.iter().enumerate();
        let conditions = conditions.map(|(at, (_, e))| (format!("spec.matchConditions[{at}].expression"), e));
        let validations = self.validations.iter().enumerate();
        let validations =
            validations.map(|(at, v)| (format!("spec.validations[{at}].expression"), &v.expression));
        let audits = self.audits.iter().enumerate();
        let audits = audits.map(|(at, e)| (format!("spec.auditAnnotations[{at}].valueExpression"), e));
        conditions.chain(validations).chain(audits).find_map(|(field, e)| Some((field, e.unserved.clone()?)))
    }
}
