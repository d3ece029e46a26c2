//! New paths and hosts: rewrites and redirects.

use envoy_types::pb::envoy::{
    config::route::v3::{
        RedirectAction, RouteAction,
        redirect_action::{PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier},
        route_action::HostRewriteSpecifier,
    },
    r#type::matcher::v3::RegexMatchAndSubstitute,
};
use portolan_core::gateway::rows::RouteEntry;
use portolan_model::input::{PathChange, PathMatch, Redirect};

use super::matches::regex;

/// Puts a rewrite into an action, over one that is there.
pub(super) fn rewrite(
    made: &mut RouteAction,
    matched: &PathMatch,
    hostname: Option<&str>,
    path: Option<&PathChange>,
) {
    if let Some(host) = hostname {
        made.host_rewrite_specifier = Some(HostRewriteSpecifier::HostRewriteLiteral(host.to_owned()));
    }
    if path.is_some() {
        made.prefix_rewrite.clear();
        made.regex_rewrite = None;
    }
    match path {
        Some(PathChange::Full(full)) => made.regex_rewrite = Some(substitute("^/.*$", full)),
        Some(PathChange::Prefix(to)) => match prefix_rewrite(matched, to) {
            Rewrite::Prefix(prefix) => made.prefix_rewrite = prefix,
            Rewrite::Regex(regex) => made.regex_rewrite = Some(regex),
        },
        None => {}
    }
}

fn substitute(pattern: &str, to: &str) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute {
        pattern: Some(regex(pattern)),
        // A backslash begins a group reference in RE2 substitutions.
        substitution: to.replace('\\', "\\\\"),
    }
}

enum Rewrite {
    Prefix(String),
    Regex(RegexMatchAndSubstitute),
}

/// Replaces the matched prefix so that exactly one slash stands at the seam (Gateway API, `HTTPPathModifier` table).
fn prefix_rewrite(matched: &PathMatch, to: &str) -> Rewrite {
    let to = to.trim_end_matches('/');
    match matched {
        PathMatch::Prefix(path) if &**path == "/" => Rewrite::Prefix(format!("{to}/")),
        PathMatch::Prefix(path) if to.is_empty() => {
            let escaped: String = path
                .chars()
                .flat_map(|c| if c.is_alphanumeric() || c == '/' { vec![c] } else { vec!['\\', c] })
                .collect();
            Rewrite::Regex(substitute(&format!("^{escaped}/*"), "/"))
        }
        _ => Rewrite::Prefix(to.to_owned()),
    }
}

pub(super) fn redirect_action(host: &str, entry: &RouteEntry, redirect: &Redirect) -> RedirectAction {
    let scheme = redirect.scheme.as_deref().unwrap_or(if entry.https { "https" } else { "http" });
    let known = if scheme == "https" { 443 } else { 80 };
    let written =
        redirect.port.unwrap_or(if redirect.scheme.is_some() { known } else { entry.listener_port });
    let bound = entry.moved_ports.get(&written).copied().unwrap_or(written);
    // Without a port of its own Envoy keeps that of the request's Host, whatever it is. A wildcard has no name to write.
    let same = (bound == known && !host.starts_with('*')).then_some(host);
    let mut made = RedirectAction {
        host_redirect: redirect.hostname.as_deref().or(same).unwrap_or_default().to_owned(),
        port_redirect: if bound == known { 0 } else { u32::from(bound) },
        response_code: match redirect.status {
            301 => RedirectResponseCode::MovedPermanently,
            303 => RedirectResponseCode::SeeOther,
            307 => RedirectResponseCode::TemporaryRedirect,
            308 => RedirectResponseCode::PermanentRedirect,
            _ => RedirectResponseCode::Found,
        } as i32,
        scheme_rewrite_specifier: Some(SchemeRewriteSpecifier::SchemeRedirect(scheme.to_owned())),
        ..Default::default()
    };
    made.path_rewrite_specifier = redirect.path.as_ref().map(|path| match path {
        PathChange::Full(full) => PathRewriteSpecifier::PathRedirect(full.to_string()),
        PathChange::Prefix(to) => match prefix_rewrite(&entry.r#match.path, to) {
            Rewrite::Prefix(prefix) => PathRewriteSpecifier::PrefixRewrite(prefix),
            Rewrite::Regex(regex) => PathRewriteSpecifier::RegexRewrite(regex),
        },
    });
    made
}
