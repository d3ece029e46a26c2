//! Filters of rules and backends.

use super::{
    super::node::{Node, Root},
    target,
};
use crate::{
    Name, Severity,
    input::{Cors, Filter, HeaderChange, PathChange, Redirect},
};

/// Filters of a rule or of one of its backends. A redirect and a rewrite exclude each other (Gateway API, `HTTPRouteRule.filters`, `HTTPBackendRef.filters`).
pub(super) fn filters(root: &mut Root<'_>, node: &Node<'_>, own: &Name) -> Vec<Filter> {
    let mut made: Vec<Filter> = node.items().iter().map(|f| filter(root, f, own)).collect();
    let redirects = made.iter().any(|f| matches!(f, Filter::Redirect(_)));
    if redirects && made.iter().any(|f| matches!(f, Filter::Rewrite { .. })) {
        made.push(unserved(root, &node.path, "RequestRedirect together with URLRewrite"));
    }
    made
}

fn unserved(root: &mut Root<'_>, field: &str, what: &str) -> Filter {
    root.problem(
        204,
        Severity::Error,
        field,
        format!("filter {what} is not served yet; requests that it is for are answered with 500"),
        "remove the filter; a rule must not be served without a filter that its author asked for",
    );
    Filter::Unsupported(what.into())
}

fn filter(root: &mut Root<'_>, node: &Node<'_>, own: &Name) -> Filter {
    let change = |field: &str| {
        let node = node.get(field);
        let pairs = |field: &str| {
            let pair =
                |e: &Node<'_>| (e.get("name").name(), e.get("value").text().unwrap_or_default().to_owned());
            node.get(field).items().iter().map(pair).collect()
        };
        HeaderChange { set: pairs("set"), add: pairs("add"), remove: node.get("remove").names() }
    };
    let path = |node: &Node<'_>| match node.get("type").text() {
        Some("ReplaceFullPath") => Some(PathChange::Full(node.get("replaceFullPath").name_or("/"))),
        Some("ReplacePrefixMatch") => Some(PathChange::Prefix(node.get("replacePrefixMatch").name_or("/"))),
        _ => None,
    };
    match &*node.get("type").name() {
        "RequestHeaderModifier" => Filter::RequestHeaders(change("requestHeaderModifier")),
        "ResponseHeaderModifier" => Filter::ResponseHeaders(change("responseHeaderModifier")),
        "RequestRedirect" => {
            let redirect = node.get("requestRedirect");
            let status = redirect.get("statusCode").u32();
            Filter::Redirect(Redirect {
                scheme: redirect.get("scheme").opt(),
                hostname: redirect.get("hostname").opt(),
                path: path(&redirect.get("path")),
                port: redirect.get("port").port(),
                // What is no status is not what is meant where nothing is written.
                status: status.map_or(302, |status| u16::try_from(status).unwrap_or(0)),
            })
        }
        "URLRewrite" => Filter::Rewrite {
            hostname: node.get("urlRewrite").get("hostname").opt(),
            path: path(&node.get("urlRewrite").get("path")),
        },
        "RequestMirror" => {
            let mirror = node.get("requestMirror");
            let part = mirror.get("fraction");
            let parts = match (mirror.get("percent").u32(), part.get("numerator").u32()) {
                (Some(percent), _) => u64::from(percent) * 10_000,
                (None, Some(n)) => {
                    let whole = u64::from(part.get("denominator").u32().unwrap_or(100));
                    (u64::from(n) * 1_000_000).checked_div(whole).unwrap_or(u64::MAX)
                }
                (None, None) => 1_000_000,
            };
            Filter::Mirror {
                backend: target(&mirror.get("backendRef"), own),
                parts_per_million: u32::try_from(parts).unwrap_or(u32::MAX),
            }
        }
        "CORS" => Filter::Cors(Box::new(cors(&node.get("cors")))),
        other => unserved(root, &node.get("type").path, other),
    }
}

fn cors(node: &Node<'_>) -> Cors {
    Cors {
        origins: node.get("allowOrigins").names(),
        methods: node.get("allowMethods").names(),
        headers: node.get("allowHeaders").names(),
        expose: node.get("exposeHeaders").names(),
        credentials: node.get("allowCredentials").flag(),
        max_age: node.get("maxAge").u32().unwrap_or(5),
    }
}
