//! `destinations` of a project against the cluster and the namespace of an Application.

use std::fmt;

use serde::Deserialize;

use super::spec::{is_denial, matches};
use crate::gitops::glob::Glob;

/// The cluster that Argo CD itself runs in, as it knows it without being told.
const OWN: [&str; 2] = ["https://kubernetes.default.svc", "in-cluster"];

/// A cluster, by what is known of it: an Application says its server or its name, and Argo CD finds the other in a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    server: Option<String>,
    name: Option<String>,
}

impl Cluster {
    /// The one of `spec.destination`, of which one is empty.
    pub fn of(server: &str, name: &str) -> Self {
        let server = server.trim_end_matches('/');
        let (server, name) =
            if server == OWN[0] || name == OWN[1] { (OWN[0], OWN[1]) } else { (server, name) };
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self { server: known(server), name: known(name) }
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.server.as_deref().or(self.name.as_deref()).unwrap_or_default())
    }
}

/// One of `spec.destinations`: patterns, with `!` for what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Destination {
    server: String,
    name: String,
    namespace: String,
}

/// `isDestinationMatched`; `None` if it turns on what is not known of the cluster.
pub(super) fn permitted(all: &[Destination], cluster: &Cluster, namespace: &str) -> Option<bool> {
    let (mut any, mut denied) = (Some(false), Some(false));
    for item in all {
        let name = side(&item.name, cluster.name.as_deref());
        let server = side(&item.server, cluster.server.as_deref());
        let into = Some(matches(Glob::loose, &item.namespace, namespace));
        let matched = and(or(server, name), into);
        any = or(any, matched);
        let denies = |pattern: &str| Some(is_denial(pattern));
        let by_cluster =
            or(and(not(name), denies(&item.name)), and(and(not(server), denies(&item.server)), into));
        let by_namespace = and(and(not(into), denies(&item.namespace)), server);
        denied = or(denied, and(not(matched), or(by_cluster, by_namespace)));
    }
    and(any, not(denied))
}

/// Whether a pattern takes the server or the name of a cluster; of one that is not known, if it does so in any case.
fn side(pattern: &str, known: Option<&str>) -> Option<bool> {
    match known {
        Some(text) => Some(matches(Glob::loose, pattern, text)),
        None if pattern.is_empty() => Some(false),
        None if matches!(pattern, "*" | "**") => Some(true),
        None => None,
    }
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    not(or(not(a), not(b)))
}

fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    if a == Some(true) || b == Some(true) { Some(true) } else { a.zip(b).map(|_| false) }
}

fn not(a: Option<bool>) -> Option<bool> {
    a.map(|a| !a)
}
