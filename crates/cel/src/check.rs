//! What Kubernetes' checker would refuse: unknown names and functions, wrong numbers of arguments, broken patterns.

use std::collections::{BTreeMap, BTreeSet};

use cel::{
    IdedExpr, ParseErrors, Program,
    common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, SourceInfo},
};

use super::{
    Fault, Names, Root, Scope, bounds,
    functions::{self, Call, Style, TYPES},
    patterns,
};

/// What a correct expression uses.
#[derive(Debug, Default)]
pub struct Found {
    pub variables: BTreeSet<String>,
    pub reads: BTreeSet<Root>,
    /// The first function that is not served.
    pub unserved: Option<String>,
    /// The calls that have no value for it, by the number of their node, and the function.
    pub valueless: BTreeMap<u64, String>,
}

/// The first syntax error.
pub fn syntax(errors: &ParseErrors) -> Fault {
    let first = errors.errors.first();
    let (line, column) = first.map_or((1, 1), |e| e.pos);
    let from_one = |n: isize| usize::try_from(n).unwrap_or(1).max(1);
    let mut message = first.map_or_else(|| "it cannot be read".to_owned(), |e| e.msg.clone());
    message.truncate(message.char_indices().nth(200).map_or(message.len(), |(at, _)| at));
    Fault {
        line: from_one(line),
        column: from_one(column),
        message: format!("syntax error: {message}"),
        hint: "correct the CEL expression; brackets and quotes are the usual suspects".to_owned(),
    }
}

/// Checks a parsed expression.
pub fn check(program: &Program, source: &str, scope: &Scope) -> Result<Found, Fault> {
    let mut checker =
        Checker { scope, source, info: program.source_info(), locals: Vec::new(), found: Found::default() };
    checker.expression(program.expression())?;
    Ok(checker.found)
}

struct Checker<'a> {
    scope: &'a Scope,
    source: &'a str,
    info: &'a SourceInfo,
    /// Names of comprehensions around.
    locals: Vec<String>,
    found: Found,
}

type Checked = Result<(), Fault>;

impl Checker<'_> {
    fn fault(&self, id: u64, message: String, hint: impl Into<String>) -> Checked {
        let at = self.info.offset_for(id).map_or(0, |(start, _)| start as usize);
        let (line, column) = bounds::position(self.source, at);
        Err(Fault { line, column, message, hint: hint.into() })
    }

    fn local(&self, name: &str) -> bool {
        self.locals.iter().any(|local| local == name)
    }

    fn expression(&mut self, node: &IdedExpr) -> Checked {
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(node.id, name),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) if name == "variables" && !self.local(name) => {
                    self.variable(node.id, &select.field)
                }
                _ => {
                    self.declared(node.id, &select.operand, &select.field)?;
                    self.expression(&select.operand)
                }
            },
            Expr::Call(call) => self.call(node.id, call),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.expression(element)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&entry.key)?;
                    self.expression(&entry.value)
                }
                EntryExpr::StructField(field) => self.expression(&field.value),
            }),
            Expr::Struct(literal) => {
                let message = format!("undeclared reference to type '{}'", literal.type_name);
                self.fault(node.id, message, "validations make no objects; use a map {'key': value}")
            }
            Expr::Comprehension(loops) => {
                self.expression(&loops.iter_range)?;
                self.expression(&loops.accu_init)?;
                let before = self.locals.len();
                self.locals.push(loops.iter_var.clone());
                self.locals.extend(loops.iter_var2.clone());
                self.locals.push(loops.accu_var.clone());
                self.expression(&loops.loop_cond)?;
                self.expression(&loops.loop_step)?;
                self.expression(&loops.result)?;
                self.locals.truncate(before);
                Ok(())
            }
        }
    }

    fn name(&mut self, id: u64, name: &str) -> Checked {
        if name.starts_with('@') || self.local(name) || TYPES.contains(&name) {
            return Ok(());
        }
        let rule = self.scope.names == Names::Rule;
        let params =
            matches!(self.scope.names, Names::Policy { params: true } | Names::Message { params: true });
        let root = match name {
            "self" if rule => Root::This,
            "oldSelf" if rule => Root::OldThis,
            _ if rule => {
                let message = format!("undeclared reference to '{name}'");
                return self.fault(id, message, "use self or oldSelf");
            }
            "object" => Root::Object,
            "oldObject" => Root::OldObject,
            "request" => Root::Request,
            "namespaceObject" => Root::Namespace,
            "params" if params => Root::Params,
            "params" => {
                let message = "undeclared reference to 'params': the policy has no paramKind".to_owned();
                return self.fault(id, message, "set spec.paramKind, and paramRef in the binding");
            }
            "authorizer" if self.scope.names != (Names::Message { params }) => {
                self.unserved(id, name);
                return Ok(());
            }
            "variables" => {
                let message = "variables can only be used as variables.<name>".to_owned();
                return self.fault(id, message, "name one of spec.variables");
            }
            _ => {
                let message = format!("undeclared reference to '{name}'");
                let hint = "use object, oldObject, request, params, namespaceObject or variables.<name>";
                return self.fault(id, message, hint);
            }
        };
        self.found.reads.insert(root);
        Ok(())
    }

    /// `request` and `namespaceObject` have declared types (`apiserver/pkg/admission/plugin/cel/compile.go`): a field that they do not have
    /// is none, also to `has`.
    fn declared(&self, id: u64, operand: &IdedExpr, field: &str) -> Checked {
        if self.scope.names == Names::Rule {
            return Ok(());
        }
        let Some(known) = self.path(operand).and_then(|path| fields(&path)) else { return Ok(()) };
        let mut known = known.split(' ');
        if known.clone().any(|known| known == field) {
            return Ok(());
        }
        let near = known.find(|known| known.eq_ignore_ascii_case(field));
        let hint = near.map_or_else(
            || "it has the fields that Kubernetes declares, and no others".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        self.fault(id, format!("undefined field '{field}'"), hint)
    }

    /// Names of a chain of selections from a name of the scope, with dots between.
    fn path(&self, node: &IdedExpr) -> Option<String> {
        match &node.expr {
            Expr::Ident(name) => (!self.local(name)).then(|| name.clone()),
            Expr::Select(select) => Some(format!("{}.{}", self.path(&select.operand)?, select.field)),
            _ => None,
        }
    }

    /// Notes a call that Portolan cannot make.
    fn unserved(&mut self, id: u64, name: &str) {
        self.found.unserved.get_or_insert_with(|| name.to_owned());
        self.found.valueless.insert(id, name.to_owned());
    }

    fn variable(&mut self, id: u64, name: &str) -> Checked {
        if self.scope.variables.iter().any(|(known, _)| **known == *name) {
            self.found.variables.insert(name.to_owned());
            return Ok(());
        }
        let message = format!("undefined variable '{name}'");
        self.fault(id, message, "declare it in spec.variables, before everything that uses it")
    }

    fn call(&mut self, id: u64, call: &CallExpr) -> Checked {
        let name = &*call.func_name;
        let operator = name.starts_with(['_', '@']) || matches!(name, "!_" | "-_");
        if !operator {
            let style = match &call.target {
                None => Style::Global,
                Some(target) => match self.qualified(target) {
                    Some(prefix) => {
                        return self.function(id, &format!("{prefix}.{name}"), Style::Qualified, call);
                    }
                    None => Style::Member,
                },
            };
            self.function(id, name, style, call)?;
            if let Some(target) = &call.target {
                self.expression(target)?;
            }
            return Ok(());
        }
        call.target.iter().try_for_each(|target| self.expression(target))?;
        call.args.iter().try_for_each(|argument| self.expression(argument))
    }

    /// The text of a target that is no value but the first half of a function's name: `sets` in `sets.contains(…)`.
    fn qualified(&self, target: &IdedExpr) -> Option<String> {
        const NAMESPACES: [&str; 7] = ["format", "ip", "lists", "math", "optional", "sets", "strings"];
        match &target.expr {
            Expr::Ident(name) if NAMESPACES.contains(&&**name) && !self.local(name) => Some(name.clone()),
            _ => None,
        }
    }

    /// What a call's target comes from, if that is something that only Kubernetes has: nothing is known of its functions.
    fn unserved_target(&self, call: &CallExpr) -> Option<String> {
        let unserved = |name: &str, style, arguments: usize| {
            (functions::find(name, style, arguments) == Call::Unserved).then(|| name.to_owned())
        };
        let mut at = call.target.as_deref();
        while let Some(node) = at {
            at = match &node.expr {
                Expr::Ident(name) => {
                    return (name == "authorizer" && !self.local(name)).then(|| name.clone());
                }
                Expr::Select(select) => Some(&*select.operand),
                Expr::Call(CallExpr { target: Some(target), func_name, args }) => {
                    if let Some(prefix) = self.qualified(target) {
                        let name = format!("{prefix}.{func_name}");
                        return unserved(&name, Style::Qualified, args.len());
                    }
                    if let Some(name) = unserved(func_name, Style::Member, args.len()) {
                        return Some(name);
                    }
                    Some(&**target)
                }
                Expr::Call(call) => return unserved(&call.func_name, Style::Global, call.args.len()),
                _ => return None,
            };
        }
        None
    }

    fn function(&mut self, id: u64, name: &str, style: Style, call: &CallExpr) -> Checked {
        if let Some(name) = self.unserved_target(call) {
            self.unserved(id, &name);
            return call.args.iter().try_for_each(|argument| self.expression(argument));
        }
        match functions::find(name, style, call.args.len()) {
            Call::Served => {}
            Call::Unserved => {
                // Its arguments may be names that only it declares.
                self.unserved(id, name);
                return Ok(());
            }
            Call::Arguments(fewest, most) => {
                let wanted = if fewest == most { fewest.to_string() } else { format!("{fewest} to {most}") };
                let message = format!("{name} takes {wanted} arguments, not {}", call.args.len());
                return self.fault(id, message, "see the CEL functions of Kubernetes");
            }
            Call::Unknown => {
                let message = format!("undeclared reference to function '{name}'");
                let hint = functions::near(name).map_or_else(
                    || "use a function of CEL in Kubernetes; check its spelling".to_owned(),
                    |near| format!("did you mean {near}?"),
                );
                return self.fault(id, message, hint);
            }
        }
        call.args.iter().try_for_each(|argument| self.expression(argument))?;
        if matches!(name, "matches" | "find" | "findAll") {
            let pattern = if style == Style::Global { call.args.get(1) } else { call.args.first() };
            if let Some(IdedExpr { id, expr: Expr::Literal(LiteralValue::String(pattern)) }) = pattern
                && let Err(why) = patterns::compile(pattern.inner())
            {
                return self.fault(*id, why, "correct the regular expression (RE2 syntax)");
            }
        }
        Ok(())
    }
}

/// The fields of what has a declared type.
fn fields(path: &str) -> Option<&'static str> {
    Some(match path {
        "request" => {
            "uid kind resource subResource requestKind requestResource requestSubResource name namespace operation userInfo \
             dryRun options"
        }
        "request.kind" | "request.requestKind" => "group version kind",
        "request.resource" | "request.requestResource" => "group version resource",
        "request.userInfo" => "username uid groups extra",
        "namespaceObject" => "apiVersion kind metadata spec status",
        "namespaceObject.metadata" => {
            "name generateName namespace labels annotations uid UID resourceVersion generation creationTimestamp \
             deletionTimestamp deletionGracePeriodSeconds finalizers"
        }
        "namespaceObject.spec" => "finalizers",
        "namespaceObject.status" => "phase conditions",
        _ => return None,
    })
}
