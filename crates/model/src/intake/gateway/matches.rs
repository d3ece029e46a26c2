//! Matches of routes.

use super::super::node::{Node, Root};
use crate::{
    Name,
    input::{ANY_SERVICE, PathMatch, RouteMatch, ValueMatch},
    re2,
};

fn regex(root: &mut Root<'_>, node: &Node<'_>) -> bool {
    let wrong = match node.text() {
        None => Some("it is not text".to_owned()),
        Some(text) => re2::check(text).err(),
    };
    if let Some(why) = &wrong {
        let hint =
            "correct the expression; requests that the match may be meant for are answered with an error";
        root.invalid(node, format!("this is not a regular expression that RE2 takes: {why}"), hint);
    }
    wrong.is_none()
}

/// Matches of headers or query parameters: those that can be served, and all that are written.
fn values(root: &mut Root<'_>, node: &Node<'_>, lower: bool) -> (Vec<ValueMatch>, Vec<ValueMatch>) {
    let (mut out, mut written) = (Vec::<ValueMatch>::new(), Vec::new());
    for entry in node.items() {
        let name = entry.get("name").text().unwrap_or_default();
        let name = Name::from(if lower { name.to_ascii_lowercase() } else { name.to_owned() });
        let (regex, good) = match &*entry.get("type").name_or("Exact") {
            "Exact" => (false, true),
            "RegularExpression" => (true, regex(root, &entry.get("value"))),
            other => {
                let hint = "use Exact or RegularExpression; the match is left out";
                root.invalid(&entry.get("type"), format!("match type {other} is not known"), hint);
                (true, false)
            }
        };
        let value = ValueMatch { name, value: entry.get("value").name(), regex };
        // The first of a name counts.
        if !written.iter().any(|known: &ValueMatch| known.name == value.name) {
            if good {
                out.push(value.clone());
            }
            written.push(value);
        }
    }
    (out, written)
}

pub(super) fn http_match(root: &mut Root<'_>, node: &Node<'_>) -> Result<RouteMatch, Partly> {
    let path = node.get("path");
    let value = path.get("value").name_or("/");
    let (path, wrong) = match &*path.get("type").name_or("PathPrefix") {
        "Exact" => (Some(PathMatch::Exact(value)), None),
        "RegularExpression" => {
            let begin = PathMatch::Prefix(re2::literal_prefix(&value).into());
            let good = regex(root, &path.get("value"));
            (Some(PathMatch::Regex(value)), (!good).then_some(begin))
        }
        "PathPrefix" => {
            // Two slashes at the end are no spelling of one: they stay, to be refused.
            let cut = if value.contains("//") { &value } else { value.trim_end_matches('/') };
            (Some(PathMatch::Prefix(if cut.is_empty() { "/".into() } else { cut.into() })), None)
        }
        other => {
            let hint = "use Exact, PathPrefix or RegularExpression; the match is left out";
            root.invalid(&path.get("type"), format!("path type {other} is not known"), hint);
            (None, Some(PathMatch::Prefix("/".into())))
        }
    };
    let headers = values(root, &node.get("headers"), true);
    let query = values(root, &node.get("queryParams"), false);
    left_out(path, wrong, node.get("method").opt(), headers, query)
}

/// What can be expressed of a match that cannot be served, and the match as written if that is known.
pub(super) type Partly = Box<(RouteMatch, Option<RouteMatch>)>;

/// The match, or what can be expressed of it. `path` is the path as written, `wrong` what stands for one that cannot be
/// served; of headers and query parameters those that can be served, and all.
fn left_out(
    path: Option<PathMatch>,
    wrong: Option<PathMatch>,
    method: Option<Name>,
    headers: (Vec<ValueMatch>, Vec<ValueMatch>),
    query: (Vec<ValueMatch>, Vec<ValueMatch>),
) -> Result<RouteMatch, Partly> {
    let whole = wrong.is_none() && headers.0 == headers.1 && query.0 == query.1;
    let rest = wrong.or_else(|| path.clone()).unwrap_or_else(|| PathMatch::Prefix("/".into()));
    let rest = RouteMatch { path: rest, method: method.clone(), headers: headers.0, query: query.0 };
    if whole {
        return Ok(rest);
    }
    let written = path.map(|path| RouteMatch { path, method, headers: headers.1, query: query.1 });
    Err(Box::new((rest, written)))
}

pub(super) fn grpc_match(root: &mut Root<'_>, node: &Node<'_>) -> Result<RouteMatch, Partly> {
    let method = node.get("method");
    let is_regex = match &*method.get("type").name_or("Exact") {
        "Exact" => Some(false),
        "RegularExpression" => Some(true),
        other => {
            let hint = "use Exact or RegularExpression; the match is left out";
            root.invalid(&method.get("type"), format!("method type {other} is not known"), hint);
            None
        }
    };
    let part = |field: &str| method.get(field).text().filter(|t| !t.is_empty());
    let mut wrong = None;
    let path = match (part("service"), part("method"), is_regex) {
        (_, _, None) => {
            wrong = Some(PathMatch::Prefix("/".into()));
            None
        }
        (None, None, _) => Some(PathMatch::Prefix("/".into())),
        (Some(service), Some(method), Some(false)) => {
            Some(PathMatch::Exact(format!("/{service}/{method}").into()))
        }
        (Some(service), None, Some(false)) => Some(PathMatch::Prefix(format!("/{service}").into())),
        (None, Some(method), Some(false)) => {
            Some(PathMatch::Regex(format!("{ANY_SERVICE}{}", regex::escape(method)).into()))
        }
        (service, name, Some(true)) => {
            for field in ["service", "method"] {
                if part(field).is_some() && !regex(root, &method.get(field)) {
                    wrong = Some(PathMatch::Prefix("/".into()));
                }
            }
            // Grouped: `a|b` of one must not reach over the slash between them.
            let group = |part: Option<&str>| part.map_or("[^/]+".to_owned(), |text| format!("(?:{text})"));
            Some(PathMatch::Regex(format!("/{}/{}", group(service), group(name)).into()))
        }
    };
    let headers = values(root, &node.get("headers"), true);
    left_out(path, wrong, None, headers, (vec![], vec![]))
}
