//! Which Applications are of the environment's cluster, where those of one level go to several.
//!
//! An environment is one cluster. Where Applications name one beside that which Argo CD runs in, that is it, whatever it is called. Where they
//! name several, it is the one that is called like the environment, and the rest is not of it. What stands above them says nothing: Applications
//! that bring others often go to a hub.

use std::collections::BTreeSet;

use super::application::Destination;

/// What becomes of an Application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// It is of this environment.
    Ours,
    /// It goes to the cluster of another.
    Others,
    /// Nothing says which of the clusters this environment is.
    Unknown,
}

/// What is known of clusters on the way down.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    /// Those that a set was found to be for, among several.
    chosen: BTreeSet<String>,
}

/// Name or server of another cluster than the one that Argo CD runs in.
pub(super) fn other(destination: &Destination) -> Option<&str> {
    let Destination { name, server, .. } = destination;
    match (name.as_str(), server.trim_end_matches('/')) {
        ("in-cluster", _) | ("", "" | "https://kubernetes.default.svc") => None,
        ("", server) => Some(server),
        (name, _) => Some(name),
    }
}

impl Clusters {
    /// A set made Applications for several clusters, of which this one was taken.
    pub(super) fn choose(&mut self, destination: &Destination) {
        self.chosen.extend(other(destination).map(str::to_owned));
    }

    /// Judges the Applications of one level, in order. `own`: what Argo CD calls the environment's cluster.
    pub(super) fn judge(&self, level: &[&Destination], own: &str) -> Vec<Whose> {
        let named = named(level.iter().copied());
        let is_own = |cluster: &str| cluster == own || self.chosen.contains(cluster);
        let local = own == "in-cluster" && level.iter().any(|one| other(one).is_none());
        // A cluster may be told by its name here and by its server there, and which are one is said by Argo CD's Secrets alone.
        let known =
            |by_server: bool| local || named.iter().any(|one| is_own(one) && is_server(one) == by_server);
        let whose = |destination: &&Destination| match other(destination) {
            Some(cluster) if named.len() > 1 && !is_own(cluster) => {
                if known(is_server(cluster)) {
                    Whose::Others
                } else {
                    Whose::Unknown
                }
            }
            _ => Whose::Ours,
        };
        level.iter().map(whose).collect()
    }
}

/// All clusters that are named, but for the one that Argo CD runs in.
pub(super) fn named<'a>(level: impl Iterator<Item = &'a Destination>) -> BTreeSet<String> {
    level.filter_map(other).map(str::to_owned).collect()
}

fn is_server(cluster: &str) -> bool {
    cluster.contains("://")
}

#[cfg(test)]
mod tests {
    use super::{
        Whose::{Others, Ours, Unknown},
        *,
    };

    fn judged(own: &str, levels: &[&[&str]]) -> Vec<Vec<Whose>> {
        let clusters = Clusters::default();
        let level = |names: &&[&str]| {
            let destination = |name: &&str| match name.strip_prefix("https:") {
                Some(_) => Destination { server: (*name).to_owned(), ..Destination::default() },
                None => Destination { name: (*name).to_owned(), ..Destination::default() },
            };
            let all: Vec<Destination> = names.iter().map(destination).collect();
            clusters.judge(&all.iter().collect::<Vec<_>>(), own)
        };
        levels.iter().map(level).collect()
    }

    #[test]
    fn one_other_cluster_is_the_environments_and_of_several_the_one_of_its_name() {
        let here = "https://kubernetes.default.svc";
        // A hub and what it manages.
        assert_eq!(judged("dev", &[&[here], &["spoke", here, "in-cluster"]]), [vec![Ours], vec![Ours; 3]]);
        assert_eq!(judged("dev", &[&["dev", "prod", here]]), [[Ours, Others, Ours]]);
        assert_eq!(judged("dev", &[&["https://a", "https://b"]]), [[Unknown, Unknown]]);
        assert_eq!(judged("dev", &[&["https://a", "https://a/"]]), [[Ours, Ours]]);
        // What brings them goes to a hub.
        assert_eq!(judged("dev", &[&["hub"], &["https://dev"]]), [[Ours], [Ours]]);
        assert_eq!(judged("dev", &[&["hub"], &["a", "b"]]), [vec![Ours], vec![Unknown, Unknown]]);
        // One that is told by its server may be the one that another tells by its name.
        assert_eq!(judged("dev", &[&["dev", "https://a", "prod"]]), [[Ours, Unknown, Others]]);
        // Without a name it is the one that Argo CD runs in.
        assert_eq!(judged("in-cluster", &[&["dev", "prod", here]]), [[Others, Others, Ours]]);
        assert_eq!(judged("in-cluster", &[&["dev", here]]), [[Ours, Ours]]);
        let mut clusters = Clusters::default();
        let server = |server: &str| Destination { server: server.to_owned(), ..Destination::default() };
        clusters.choose(&server("https://a"));
        assert_eq!(clusters.judge(&[&server("https://a"), &server("https://b")], "dev"), [Ours, Others]);
    }
}
