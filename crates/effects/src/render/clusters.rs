//! Which Applications are of the environment's cluster, where those of one tree go to several.
//!
//! An environment is one cluster. Where Applications name one other beside that which Argo CD runs in, that is it, whatever it is called.
//! Where they name several, it is the one that is called like the environment, and the rest is not of it.

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

/// Clusters that were named on the way down.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    /// Beside the one that Argo CD runs in.
    named: BTreeSet<String>,
    /// Those that a set was found to be for, among several.
    chosen: BTreeSet<String>,
    /// The one that Argo CD runs in.
    local: bool,
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
    pub(super) fn judge(&mut self, level: &[&Destination], own: &str) -> Vec<Whose> {
        for destination in level {
            match other(destination) {
                Some(cluster) => drop(self.named.insert(cluster.to_owned())),
                None => self.local = true,
            }
        }
        let is_own = |cluster: &str| cluster == own || self.chosen.contains(cluster);
        let known = self.named.iter().any(|cluster| is_own(cluster)) || self.local && own == "in-cluster";
        let whose = |destination: &&Destination| match other(destination) {
            Some(cluster) if self.named.len() > 1 && !is_own(cluster) => {
                if known {
                    Whose::Others
                } else {
                    Whose::Unknown
                }
            }
            _ => Whose::Ours,
        };
        level.iter().map(whose).collect()
    }

    /// All that were named, for a message.
    pub(super) fn named(&self) -> Vec<String> {
        self.named.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Whose::*, *};

    fn judged(own: &str, levels: &[&[&str]]) -> Vec<Vec<Whose>> {
        let mut clusters = Clusters::default();
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
        // Further down it turns out that there is another.
        assert_eq!(judged("dev", &[&["dev"], &["dev", "prod"]]), [vec![Ours], vec![Ours, Others]]);
        assert_eq!(judged("dev", &[&["hub"], &["a", "b"]]), [vec![Ours], vec![Unknown, Unknown]]);
        // Without a name it is the one that Argo CD runs in.
        assert_eq!(judged("in-cluster", &[&["dev", "prod", here]]), [[Others, Others, Ours]]);
        assert_eq!(judged("in-cluster", &[&["dev", here]]), [[Ours, Ours]]);
        let mut clusters = Clusters::default();
        let server = |server: &str| Destination { server: server.to_owned(), ..Destination::default() };
        clusters.choose(&server("https://a"));
        assert_eq!(clusters.judge(&[&server("https://a"), &server("https://b")], "dev"), [Ours, Others]);
    }
}
