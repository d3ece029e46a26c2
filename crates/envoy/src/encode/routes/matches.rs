//! Which requests a route takes.

use envoy_types::pb::envoy::{
    config::route::v3::{
        HeaderMatcher, QueryParameterMatcher, RouteMatch, header_matcher::HeaderMatchSpecifier,
        query_parameter_matcher::QueryParameterMatchSpecifier, route_match::PathSpecifier,
    },
    r#type::matcher::v3::{RegexMatcher, StringMatcher, string_matcher::MatchPattern},
};
use portolan_model::input::{PathMatch, RouteMatch as Wanted};

pub(super) fn regex(text: &str) -> RegexMatcher {
    RegexMatcher { regex: text.to_owned(), ..Default::default() }
}

fn text(value: &str, is_regex: bool) -> StringMatcher {
    StringMatcher {
        match_pattern: Some(if is_regex {
            MatchPattern::SafeRegex(regex(value))
        } else {
            MatchPattern::Exact(value.to_owned())
        }),
        ..Default::default()
    }
}

pub(super) fn header(name: &str, value: &str, is_regex: bool) -> HeaderMatcher {
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(text(value, is_regex))),
        ..Default::default()
    }
}

pub(super) fn route_match(wanted: &Wanted) -> RouteMatch {
    let path = match &wanted.path {
        PathMatch::Exact(path) => PathSpecifier::Path(path.to_string()),
        PathMatch::Prefix(path) if &**path == "/" => PathSpecifier::Prefix("/".into()),
        PathMatch::Prefix(path) => PathSpecifier::PathSeparatedPrefix(path.to_string()),
        PathMatch::Regex(path) => PathSpecifier::SafeRegex(regex(path)),
    };
    let mut headers: Vec<HeaderMatcher> =
        wanted.method.iter().map(|method| header(":method", method, false)).collect();
    headers.extend(wanted.headers.iter().map(|h| header(&h.name, &h.value, h.regex)));
    RouteMatch {
        headers,
        query_parameters: wanted
            .query
            .iter()
            .map(|q| QueryParameterMatcher {
                name: q.name.to_string(),
                query_parameter_match_specifier: Some(QueryParameterMatchSpecifier::StringMatch(text(
                    &q.value, q.regex,
                ))),
            })
            .collect(),
        path_specifier: Some(path),
        ..Default::default()
    }
}
