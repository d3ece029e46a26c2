//! Judges what Envoy judges, so that nothing is sent that it would refuse: one refused rule would freeze every host beside
//! it. Pure functions over the rows of the intake; what they refuse is left out of what is served, with a finding each.
//! Source: Envoy 1.40, the `validate.rules` of its API and what its code checks beside (each limit is tried against a real
//! one in `crates/envoy/tests/differential.rs`); Gateway API v1.7, the patterns of its CRDs.

mod budget;
mod closings;
mod cors;
mod filters;
mod headers;
mod matches;
mod text;
mod traffic;

pub use budget::WILDCARD;
pub(crate) use budget::{expression_budgets, expression_uses};
pub(crate) use closings::closings;
use portolan_model::input::{Filter, LeftOut, Route, RouteMatch, RouteRule};

use super::rows::OverBudget;
use crate::Cx;

/// A value that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where it stands, below the rule (`filters[0].urlRewrite.hostname`).
    pub field: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

impl Wrong {
    fn new(field: impl Into<String>, message: impl Into<String>, hint: &'static str) -> Self {
        Self { field: field.into(), message: message.into(), hint }
    }
}

/// A match that cannot be served.
#[derive(Debug)]
struct Partly {
    wrong: Wrong,
    /// What of it can be expressed, by each form in which a request for it may come; never empty.
    rest: Vec<RouteMatch>,
}

/// What is served of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// Matches that are served, with their position among those that are written.
    pub matches: Vec<(usize, &'a RouteMatch)>,
    /// Matches that are not.
    pub left_out: Vec<LeftOut>,
    /// A value for each that is not, beside those that the intake has named.
    pub wrong: Vec<Wrong>,
    /// A filter, backend or timeout cannot be expressed: all requests of the rule get an error.
    pub closed: bool,
}

/// Judges the rules of a route. `over` says that its namespace has spent its budget of expressions.
pub(crate) fn rules<'a>(cx: &mut Cx<'_>, route: &'a Route) -> Vec<Verdict<'a>> {
    let over = cx.get::<OverBudget>(&route.key);
    route.rules.iter().map(|one| judge(one, over.as_deref())).collect()
}

/// Judges a rule by itself.
pub fn rule(rule: &RouteRule) -> Verdict<'_> {
    judge(rule, None)
}

fn judge<'a>(rule: &'a RouteRule, over: Option<&OverBudget>) -> Verdict<'a> {
    let mut left_out = Vec::new();
    for known in &rule.left_out {
        // Beside what the intake could not read stands what only the judge refuses: none of it is sent.
        match matches::judge(&known.rest, known.at) {
            Ok(()) => left_out.push(known.clone()),
            Err(partly) => {
                left_out.extend(partly.rest.into_iter().map(|rest| LeftOut { rest, ..known.clone() }));
            }
        }
    }
    let (mut matches, mut wrong) = (Vec::new(), Vec::new());
    let gaps: Vec<usize> = rule.left_out.iter().map(|left_out| left_out.at).collect();
    let mut positions = (0..).filter(|at| !gaps.contains(at));
    for m in &rule.matches {
        let at = positions.next().unwrap_or(0);
        match matches::judge(m, at).and_then(|()| over.map_or(Ok(()), |over| budget::judge(m, at, over))) {
            Ok(()) => matches.push((at, m)),
            Err(partly) => {
                wrong.push(partly.wrong);
                let written = |rest| LeftOut { at, rest, written: Some(m.clone()) };
                left_out.extend(partly.rest.into_iter().map(written));
            }
        }
    }
    let mut closing = filters::judge(rule);
    closing.extend(over.and_then(|over| budget::filters(rule, over)));
    let closed = !closing.is_empty();
    wrong.extend(closing);
    Verdict { matches, left_out, wrong, closed }
}

/// What stands in the place of the filters of a rule that is answered with an error.
pub(crate) fn error() -> Vec<Filter> {
    vec![Filter::Unsupported("a value that cannot be served".into())]
}

#[cfg(test)]
mod tests;
