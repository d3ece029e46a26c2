//! What stands in the place of matches that cannot be served.
//!
//! A match that is left out must open nothing: in front of each entry of another rule of the same route that would take its
//! requests stands an entry that answers them with an error. Entries of other routes are not touched: each closing takes only
//! what the entry behind it would take. And at the end of the host stands one for requests that nobody takes: else a
//! wider host would.

use portolan_model::input::{LeftOut, PathMatch, RouteMatch, ValueMatch};

use super::Verdict;

/// An entry that answers with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    /// The match that is left out: its rule and its position there.
    pub of: (usize, usize),
    /// Which of the forms in which requests for it may come.
    pub form: usize,
    /// Which requests.
    pub r#match: RouteMatch,
    /// In front of this match of this rule; at the end of the host if none.
    pub before: Option<(usize, usize)>,
}

/// Most pairs of a match that is left out and another one that are looked at. The CRDs allow 64 matches a rule and 128 a route.
const PAIRS: usize = 4096;

/// All closings of a route. `order` is the precedence of a match, smallest first.
pub(crate) fn closings<O: Ord>(rules: &[Verdict<'_>], order: impl Fn(&RouteMatch) -> O) -> Vec<Closing> {
    let left_out =
        || rules.iter().enumerate().flat_map(|(at, v)| forms(v).map(move |(form, l)| (at, form, l)));
    let wider =
        || rules.iter().enumerate().flat_map(|(at, v)| v.matches.iter().map(move |(n, m)| ((at, *n), *m)));
    let mut made: Vec<Closing> = left_out()
        .map(|(rule, form, left_out)| Closing {
            of: (rule, left_out.at),
            form,
            r#match: left_out.rest.clone(),
            before: None,
        })
        .collect();
    let Some(first) = made.first().map(|closing| closing.of) else { return made };
    if made.len().saturating_mul(wider().count()) > PAIRS {
        // Too many to tell them apart: whatever the route has is closed.
        made.extend(wider().map(|(at, m)| Closing {
            of: first,
            form: 0,
            r#match: m.clone(),
            before: Some(at),
        }));
        return made;
    }
    for (rule, form, left_out) in left_out() {
        let of = (rule, left_out.at);
        for (at, m) in wider().filter(|((other, _), _)| *other != rule) {
            if comes_first(m, at, left_out, of, &order) {
                continue;
            }
            if let Some(both) = both(&left_out.rest, m) {
                made.push(Closing { of, form, r#match: both, before: Some(at) });
            }
        }
    }
    made
}

/// The matches of a rule that are left out, each with which of its forms it is.
fn forms<'a>(verdict: &'a Verdict<'_>) -> impl Iterator<Item = (usize, &'a LeftOut)> {
    let all = &verdict.left_out;
    (0..all.len()).map(|n| (all[..n].iter().filter(|other| other.at == all[n].at).count(), &all[n]))
}

/// Whether a match would have come before the one that is left out anyway.
fn comes_first<O: Ord>(
    m: &RouteMatch,
    at: (usize, usize),
    left_out: &LeftOut,
    of: (usize, usize),
    order: &impl Fn(&RouteMatch) -> O,
) -> bool {
    left_out.written.as_ref().is_some_and(|written| (order(m), at) < (order(written), of))
}

/// Requests that both take, or more where that cannot be expressed; `None` if there are none.
fn both(one: &RouteMatch, other: &RouteMatch) -> Option<RouteMatch> {
    let method = match (&one.method, &other.method) {
        (Some(a), Some(b)) if a != b => return None,
        (a, b) => a.clone().or_else(|| b.clone()),
    };
    Some(RouteMatch {
        path: path(&one.path, &other.path)?,
        method,
        headers: values(&one.headers, &other.headers)?,
        query: values(&one.query, &other.query)?,
    })
}

fn values(one: &[ValueMatch], other: &[ValueMatch]) -> Option<Vec<ValueMatch>> {
    let mut all = one.to_vec();
    for value in other.iter().filter(|value| !one.contains(value)) {
        let differs = |known: &ValueMatch| known.name == value.name && !known.regex && !value.regex;
        if one.iter().any(differs) {
            return None;
        }
        all.push(value.clone());
    }
    Some(all)
}

fn path(one: &PathMatch, other: &PathMatch) -> Option<PathMatch> {
    use PathMatch::{Exact, Prefix, Regex};
    match (one, other) {
        (Exact(a), Exact(b)) => (a == b).then(|| one.clone()),
        (Exact(a), Prefix(b)) => within(a, b).then(|| one.clone()),
        (Prefix(a), Exact(b)) => within(b, a).then(|| other.clone()),
        (Prefix(a), Prefix(b)) if within(a, b) => Some(one.clone()),
        (Prefix(a), Prefix(b)) => within(b, a).then(|| other.clone()),
        // The narrower of the two cannot be said; an exact path is the narrowest that there is.
        (Exact(_), Regex(_)) | (Regex(_), Prefix(_)) => Some(one.clone()),
        (_, Regex(_)) | (Regex(_), Exact(_)) => Some(other.clone()),
    }
}

/// Whether `path` begins with the elements of `prefix`.
fn within(path: &str, prefix: &str) -> bool {
    prefix == "/" || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
