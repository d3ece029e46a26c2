//! An index over the paths of a virtual host with many rules.
//!
//! Envoy tries routes one after the other, 22 ns each while they fit the cache. Its matcher tree finds a path's longest
//! prefix at once, but it is no replacement for routes: it sees the query string, knows no segments, and a list of routes
//! in it that matches nothing is a 404 and not a step back to the next shorter prefix (reference envoy.md §B). So the tree
//! only chooses *which routes are tried*: those of the longest prefix, and of all its own prefixes, in the order they had.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use envoy_types::{
    pb::{
        envoy::{config::route::v3::RouteList, r#type::matcher::v3::HttpRequestHeaderMatchInput},
        google::protobuf::Any,
        xds::{
            core::v3::TypedExtensionConfig,
            r#type::matcher::v3::matcher::{OnMatch, on_match},
        },
    },
    util::pack_any,
};
use portolan_core::gateway::rows::RouteEntry;
use portolan_model::input::PathMatch;
use prost::{Message as _, Name as _};

use super::{
    bytes::{field, only},
    routes::Encoded,
};

/// Up to here a list costs a request nothing that can be measured.
const PLAIN: usize = 200;

/// Routes in the buckets for each route of the host, at most: an expression that begins with no literal stands in every
/// bucket, and many of those beside many paths would be their product.
const REPEATED: usize = 16;

/// The encoded `Matcher` of a virtual host, of whose entries each has the routes at its place; `None` if a plain list is
/// better.
pub(super) fn of(entries: &[Arc<RouteEntry>], routes: &[Vec<Encoded>]) -> Option<Vec<u8>> {
    if entries.len() <= PLAIN {
        return None;
    }
    let buckets = buckets(entries)?;
    let list = |bucket: &[usize]| OnMatch {
        on_match: Some(on_match::OnMatch::Action(extension(
            "routes",
            Any {
                type_url: RouteList::type_url(),
                value: list_of(bucket.iter().flat_map(|at| &routes[*at])),
            },
        ))),
        ..Default::default()
    };
    let input = HttpRequestHeaderMatchInput { header_name: ":path".into() };
    let mut tree = only(1, &extension("path", pack_any(input)).encode_to_vec());
    let mut map = Vec::new();
    for (prefix, bucket) in buckets.by_prefix {
        let mut entry = only(1, prefix.as_bytes());
        field(2, &list(&bucket).encode_to_vec(), &mut entry);
        field(1, &entry, &mut map);
    }
    // MatcherTree.prefix_match_map, Matcher.matcher_tree, Matcher.on_no_match
    field(3, &map, &mut tree);
    let mut matcher = only(2, &tree);
    if !buckets.without_prefix.is_empty() {
        field(3, &list(&buckets.without_prefix).encode_to_vec(), &mut matcher);
    }
    Some(matcher)
}

/// An encoded `RouteList`.
fn list_of<'a>(routes: impl Iterator<Item = &'a Encoded>) -> Vec<u8> {
    let mut made = Vec::new();
    routes.for_each(|route| field(1, route, &mut made));
    made
}

fn extension(name: &str, config: Any) -> TypedExtensionConfig {
    TypedExtensionConfig { name: name.into(), typed_config: Some(config) }
}

struct Buckets<'a> {
    by_prefix: BTreeMap<&'a str, Vec<usize>>,
    without_prefix: Vec<usize>,
}

/// What a path must begin with, as a text, to match; `None` if nothing can be said.
fn literal(entry: &RouteEntry) -> Option<&str> {
    match &entry.r#match.path {
        PathMatch::Exact(path) | PathMatch::Prefix(path) => Some(&**path),
        PathMatch::Regex(text) => leading_literal(text),
    }
    .filter(|prefix| prefix.starts_with('/'))
}

/// The text that everything begins with that a whole-path expression matches. Says nothing rather than too much: an
/// alternative anywhere outside of a group, or anything that makes this hard to see, is no literal.
fn leading_literal(text: &str) -> Option<&str> {
    if text.contains("[:") || text.contains("\\Q") || alternatives(text) {
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_~%,=@;!&:".contains(c);
    let end = text.find(|c| !plain(c)).unwrap_or(text.len());
    let optional = text[end..].starts_with(['?', '*', '{']);
    Some(&text[..end.saturating_sub(usize::from(optional))])
}

/// Whether the expression has alternatives that no group holds.
fn alternatives(text: &str) -> bool {
    let (mut depth, mut class, mut chars) = (0_u32, false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            ']' => class = false,
            _ if class => {}
            '[' => {
                class = true;
                // A bracket that is first in a class stands for itself.
                chars.next_if_eq(&'^');
                chars.next_if_eq(&']');
            }
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

/// Positions of the routes that are tried for each longest prefix, in order.
fn buckets(entries: &[Arc<RouteEntry>]) -> Option<Buckets<'_>> {
    let mut own: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut without_prefix = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        match literal(entry) {
            Some(prefix) => own.entry(prefix).or_default().push(at),
            None => without_prefix.push(at),
        }
    }
    let mut room = entries.len() * REPEATED;
    let mut by_prefix = BTreeMap::new();
    // In the order of the keys the prefixes of a key come before it, each one a prefix of the next.
    let mut open: Vec<&str> = Vec::new();
    for prefix in own.keys().copied() {
        while open.last().is_some_and(|last| !prefix.starts_with(last)) {
            open.pop();
        }
        open.push(prefix);
        let size = without_prefix.len() + open.iter().map(|key| own[key].len()).sum::<usize>();
        room = room.checked_sub(size)?;
        let bucket: BTreeSet<usize> =
            open.iter().flat_map(|key| &own[key]).chain(&without_prefix).copied().collect();
        by_prefix.insert(prefix, bucket.into_iter().collect());
    }
    Some(Buckets { by_prefix, without_prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_expressions() {
        for (text, literal) in [
            ("/users/[0-9]+", Some("/users/")),
            ("/a/bc?", Some("/a/b")),
            ("/a/bc*/d", Some("/a/b")),
            ("/a/bc{0,2}", Some("/a/b")),
            ("/a/bc+", Some("/a/bc")),
            ("/a.b", Some("/a")),
            ("/a(/x|/y)", Some("/a")),
            ("/a/x|/b", None),
            ("/a[|]b", Some("/a")),
            ("/a[](]b|/c", None),
            ("/a[^](]b|/c", None),
            ("/a\\(b|/c", None),
            ("/a\\(b", Some("/a")),
            ("/a[[:alpha:](]|/c", None),
            ("/a\\Q(\\E|/c", None),
            ("(?i)/a", Some("")),
            (".*", Some("")),
        ] {
            assert_eq!(leading_literal(text), literal, "{text}");
        }
    }
}
