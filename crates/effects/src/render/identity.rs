//! Which repository the work tree stands for, where no root Application says it: what Git's `origin` is, if any Application names that;
//! else the one that it was taken for before; else the one that most name.

use portolan_model::Object;
use serde_json::Value;

use super::{
    application::{self, Source},
    checkout::{Checkout, same_place},
};

/// A repository that an Application, or a set of them, names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) url: String,
    pub(super) revision: String,
    /// A path that it names there stands here.
    pub(super) here: bool,
}

/// What an object names, in its order.
pub(super) fn named(checkout: &Checkout, object: &Object) -> Vec<Named> {
    if application::is_project(&object.key) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for spec in ["/spec", "/spec/template/spec"] {
        let Some(spec) = object.json.pointer(spec) else { continue };
        let several = spec.get("sources").and_then(Value::as_array).into_iter().flatten();
        all.extend(several.chain(spec.get("source")).filter_map(|source| of_source(checkout, source)));
    }
    if let Some(generators) = object.json.pointer("/spec/generators") {
        of_generators(generators, 0, &mut all);
    }
    all
}

fn of_source(checkout: &Checkout, source: &Value) -> Option<Named> {
    let text = |field: &str| source.get(field).and_then(Value::as_str).unwrap_or_default();
    let (url, path) = (text("repoURL"), text("path"));
    if url.is_empty() || url.contains("{{") || !text("chart").is_empty() {
        return None;
    }
    let here = !path.is_empty() && (path.contains("{{") || checkout.resolve(path).is_ok());
    Some(Named { url: url.to_owned(), revision: text("targetRevision").to_owned(), here })
}

/// What a source of an Application names.
pub(super) fn of(checkout: &Checkout, source: &Source) -> Named {
    let here = !source.path.is_empty() && checkout.resolve(&source.path).is_ok();
    Named { url: source.repo_url.clone(), revision: source.target_revision.clone(), here }
}

/// What Git generators read, also those in others.
fn of_generators(value: &Value, depth: usize, all: &mut Vec<Named>) {
    /// Generators of generators are nested twice at most.
    const DEEPEST: usize = 12;
    let children: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => return,
    };
    if depth > DEEPEST {
        return;
    }
    if let Some(git) = value.get("git") {
        let text = |field: &str| git.get(field).and_then(Value::as_str).unwrap_or_default();
        let url = text("repoURL");
        if !url.is_empty() && !url.contains("{{") {
            all.push(Named { url: url.to_owned(), revision: text("revision").to_owned(), here: true });
        }
    }
    for child in children {
        of_generators(child, depth + 1, all);
    }
}

/// The one that the work tree stands for, if any can be. `before`: what it stood for in the last reading, so that an edit of one
/// Application does not take the others' sources away.
pub(super) fn stands_for<'n>(
    origin: Option<&str>,
    before: Option<&str>,
    named: &'n [Named],
) -> Option<&'n Named> {
    let same = |url: &str| named.iter().find(|one| same_place(&one.url, url));
    let of_git = origin.and_then(|origin| named.iter().find(|one| same_place(&one.url, origin)));
    of_git.or_else(|| before.and_then(same)).or_else(|| {
        let votes = |url: &str| named.iter().filter(|one| one.here && same_place(&one.url, url)).count();
        // Of several that are named as often it is the first.
        let first = named.iter().filter(|one| one.here).rev().max_by_key(|one| votes(&one.url))?;
        same(&first.url)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(url: &str, here: bool) -> Named {
        Named { url: url.to_owned(), revision: String::new(), here }
    }

    #[test]
    fn origin_counts_first_then_what_was_then_what_most_name() {
        let own = "https://git.example/platform.git";
        let other = "https://other.example/x.git";
        let all = [one(other, true), one(own, true), one(own, true), one("https://far.example/y.git", false)];
        let chosen = |origin, before| stands_for(origin, before, &all).map(|one| one.url.as_str());
        assert_eq!(chosen(Some("git@git.example:platform.git"), None), Some(own));
        assert_eq!(chosen(Some("git@other.example:x"), Some(own)), Some(other));
        assert_eq!(chosen(None, None), Some(own));
        assert_eq!(chosen(Some("/somewhere/fork"), Some(other)), Some(other));
        assert_eq!(chosen(None, Some("https://gone.example/z.git")), Some(own));
        assert_eq!(stands_for(None, None, &[one(own, true), one(other, true)]).map(|n| &*n.url), Some(own));
        assert_eq!(stands_for(None, None, &[one(other, false)]), None);
    }
}
