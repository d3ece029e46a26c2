//! What the expressions of one namespace may cost a shared Envoy, taken together. Routes of the repository's age order keep
//! theirs; of those that come after the budget is spent, matches with an expression are left out.

use std::{collections::BTreeSet, sync::Arc};

use portolan_model::{
    Name,
    input::{Filter, PathMatch, Route, RouteMatch, RouteRule},
    re2,
};

use super::{Partly, Wrong, cors};
use crate::{
    Cx,
    gateway::{
        age::Age,
        rows::{ExpressionUse, OverBudget},
    },
};

/// Instructions of all expressions of a namespace, counted once for each place where they are compiled. RE2 keeps 16
/// bytes for one.
const BUDGET: u64 = 1_048_576;
/// An expression is more than its instructions.
const EACH: u64 = 100;
/// Instructions of the expression of an origin with a wildcard, of the longest name.
const ORIGIN: u64 = 300;
/// Places where the expressions of a wildcard host are compiled: every shard of its table (`portolan_envoy::shards`, which holds
/// its number against this one when it is compiled).
pub const WILDCARD: u64 = 256;

/// What the expressions of a route come to; no row without any.
pub(crate) fn expression_uses(cx: &mut Cx<'_>, route: &Arc<Route>) {
    let matches = route.rules.iter().flat_map(|rule| &rule.matches).flat_map(expressions).map(cost);
    let one: u64 = matches.chain(route.rules.iter().map(of_filters)).sum();
    if one == 0 {
        return;
    }
    let hosts: BTreeSet<&Name> = route.hostnames.iter().collect();
    let copies = |host: &&Name| if host.starts_with('*') { WILDCARD } else { 1 };
    let copies: u64 = if hosts.is_empty() { WILDCARD } else { hosts.iter().map(copies).sum() };
    let key = (route.key.name.namespace.clone(), Age::of(route));
    cx.emit(ExpressionUse { key, cost: one.saturating_mul(copies) });
}

/// Members arrive by age: an old route is never pushed out by a new one.
pub(crate) fn expression_budgets(cx: &mut Cx<'_>, _: &Name, members: &[Arc<ExpressionUse>]) {
    let mut spent: u64 = 0;
    for member in members {
        let with = spent.saturating_add(member.cost);
        if with > BUDGET {
            cx.emit(OverBudget { key: member.key.1.route.clone(), cost: member.cost, left: BUDGET - spent });
        } else {
            spent = with;
        }
    }
}

/// A match of a route that is over the budget.
pub(super) fn judge(m: &RouteMatch, at: usize, over: &OverBudget) -> Result<(), Box<Partly>> {
    if expressions(m).next().is_none() {
        return Ok(());
    }
    let mut rest = m.clone();
    if let PathMatch::Regex(text) = &m.path {
        rest.path = PathMatch::Prefix(re2::literal_prefix(text).into());
    }
    rest.headers.retain(|value| !value.regex);
    rest.query.retain(|value| !value.regex);
    let message = spent(over);
    let hint = "use PathPrefix or Exact where that is enough, or name hosts instead of wildcards";
    Err(Box::new(Partly { wrong: Wrong::new(format!("matches[{at}]"), message, hint), rest: vec![rest] }))
}

/// The filters of a rule of a route that is over the budget.
pub(super) fn filters(rule: &RouteRule, over: &OverBudget) -> Option<Wrong> {
    let hint = "name origins instead of wildcards";
    (of_filters(rule) > 0).then(|| Wrong::new("filters", spent(over), hint))
}

/// What the wildcards among the origins of a rule cost.
fn of_filters(rule: &RouteRule) -> u64 {
    let filters = rule.filters.iter().chain(rule.backends.iter().flat_map(|backend| &backend.filters));
    let wildcards =
        filters.map(|filter| if let Filter::Cors(one) = filter { cors::expressions(one) } else { 0 });
    wildcards.sum::<usize>() as u64 * (EACH + ORIGIN)
}

fn spent(over: &OverBudget) -> String {
    format!(
        "the expressions of this route come to {} instructions, and its namespace has {} left of {BUDGET}",
        over.cost, over.left
    )
}

/// Expressions of a match.
fn expressions(m: &RouteMatch) -> impl Iterator<Item = &Name> {
    let path = if let PathMatch::Regex(text) = &m.path { Some(text) } else { None };
    let values = m.headers.iter().chain(&m.query).filter(|value| value.regex).map(|value| &value.value);
    path.into_iter().chain(values)
}

fn cost(expression: &Name) -> u64 {
    EACH + re2::check(expression).unwrap_or(0)
}
