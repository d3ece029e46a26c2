//! Which rule of which virtual host Envoy refuses. It is asked about in a scope of its own that no request is routed by,
//! so the search takes nothing away from anybody.

use std::{collections::BTreeSet, sync::Arc};

use portolan_core::gateway::rows::{Refusal, RouteEntry, VirtualHost};
use portolan_model::{
    Name,
    input::{PathMatch, RouteMatch},
};

use super::bisect::Bisect;
use crate::{encode, tables::Host};

/// What is served in place of a virtual host that Envoy refuses.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// It without the bad rules; `None` if the host as such is refused: what is in force stays.
    pub made: Option<Arc<Host>>,
    /// What Envoy said.
    pub refusal: Refusal,
}

/// A search in the virtual hosts of a scope that was refused.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// Table and shard of the scope.
    pub scope: (Name, u16),
    /// What was suspected.
    pub suspects: Vec<Arc<Host>>,
    /// What Envoy said.
    pub words: String,
    /// Version of the scope that was refused.
    pub version: String,
    hosts: Bisect<Arc<Host>>,
    /// Hosts that are bad, next last.
    bad: Option<Vec<(Arc<Host>, String)>>,
    rules: Option<Rules>,
    found: Vec<(Arc<Host>, Quarantined)>,
}

/// The search in one virtual host.
#[derive(Clone, Debug)]
struct Rules {
    host: Arc<Host>,
    words: String,
    step: Step,
    /// Rules that are refused, with what Envoy said.
    refused: Vec<(usize, String)>,
    /// Of these the ones whose match is refused.
    unmatched: BTreeSet<usize>,
    asked: Option<Arc<Host>>,
}

#[derive(Clone, Debug)]
enum Step {
    /// Is it refused alone?
    Whole,
    /// Is it the host as such?
    Bare,
    /// Which rules are refused?
    Actions(Bisect<usize>),
    /// Is the match of one of them refused?
    AnyMatch,
    /// Of which?
    Matches(Bisect<usize>),
    /// It is accepted alone: it was refused for what stood beside it.
    Accepted,
    /// All is known.
    Outcome,
}

impl Hunt {
    /// A search in `suspects`, which were refused together with these words.
    pub fn new(scope: (Name, u16), version: String, suspects: Vec<Arc<Host>>, words: String) -> Self {
        let hosts = Bisect::new(suspects.clone(), words.clone());
        Self { scope, version, suspects, words, hosts, bad: None, rules: None, found: Vec::new() }
    }

    /// The virtual hosts to ask Envoy about next; `None` when all is known.
    pub fn ask(&mut self) -> Option<Vec<Arc<Host>>> {
        loop {
            if let Some(rules) = &mut self.rules {
                if let Some(asked) = rules.ask() {
                    return Some(vec![asked]);
                }
                let rules = self.rules.take()?;
                let host = Arc::clone(&rules.host);
                self.found.extend(rules.outcome().map(|outcome| (host, outcome)));
            } else if let Some(bad) = &mut self.bad {
                let (host, words) = bad.pop()?;
                self.rules = Some(Rules::new(host, words));
            } else if let Some(asked) = self.hosts.ask() {
                return Some(asked.to_vec());
            } else {
                let none = Bisect::new(Vec::new(), String::new());
                self.bad = Some(std::mem::replace(&mut self.hosts, none).found());
            }
        }
    }

    /// Takes Envoy's answer.
    pub fn answer(&mut self, result: Result<(), String>) {
        match &mut self.rules {
            Some(rules) => rules.answer(result),
            None => self.hosts.answer(result),
        }
    }

    /// The bad ones, each with what is served in its place.
    pub fn found(self) -> Vec<(Arc<Host>, Quarantined)> {
        self.found
    }
}

impl Rules {
    fn new(host: Arc<Host>, words: String) -> Self {
        Self { host, words, step: Step::Whole, refused: vec![], unmatched: BTreeSet::new(), asked: None }
    }

    fn ask(&mut self) -> Option<Arc<Host>> {
        let all: BTreeSet<usize> = (0..self.host.row.entries.len()).collect();
        loop {
            if self.asked.is_none() {
                self.asked = match &mut self.step {
                    Step::Whole => Some(Arc::clone(&self.host)),
                    Step::Bare => Some(without(&self.host, &all, &all)),
                    Step::Actions(bisect) => bisect.ask().map(|kept| {
                        let others = all.iter().copied().filter(|at| !kept.contains(at)).collect();
                        without(&self.host, &others, &others)
                    }),
                    Step::AnyMatch => {
                        let refused: BTreeSet<usize> = self.refused.iter().map(|(at, _)| *at).collect();
                        Some(without(&self.host, &all, &all.difference(&refused).copied().collect()))
                    }
                    Step::Matches(bisect) => bisect.ask().map(|kept| {
                        let others = all.iter().copied().filter(|at| !kept.contains(at)).collect();
                        without(&self.host, &all, &others)
                    }),
                    Step::Accepted | Step::Outcome => return None,
                };
            }
            if let Some(asked) = &self.asked {
                return Some(Arc::clone(asked));
            }
            // A search has ended.
            match std::mem::replace(&mut self.step, Step::Outcome) {
                Step::Actions(bisect) => {
                    self.refused = bisect.found();
                    self.refused.sort_by_key(|(at, _)| *at);
                    self.step = Step::AnyMatch;
                }
                Step::Matches(bisect) => {
                    self.unmatched = bisect.found().into_iter().map(|(at, _)| at).collect();
                }
                Step::Whole | Step::Bare | Step::AnyMatch | Step::Accepted | Step::Outcome => return None,
            }
        }
    }

    fn answer(&mut self, result: Result<(), String>) {
        self.asked = None;
        let rules = 0..self.host.row.entries.len();
        match (&mut self.step, result) {
            (Step::Whole, Ok(())) | (Step::Accepted, _) => self.step = Step::Accepted,
            (Step::Whole, Err(words)) => {
                self.words = words;
                self.step = Step::Bare;
            }
            (Step::Bare, Ok(())) => {
                self.step = Step::Actions(Bisect::new(rules.collect(), self.words.clone()));
            }
            (Step::Bare, Err(words)) => {
                // Not a rule: the host as such.
                self.words = words;
                self.step = Step::Outcome;
            }
            (Step::Actions(bisect) | Step::Matches(bisect), result) => bisect.answer(result),
            (Step::AnyMatch, Ok(())) | (Step::Outcome, _) => self.step = Step::Outcome,
            (Step::AnyMatch, Err(words)) => {
                let refused = self.refused.iter().map(|(at, _)| *at).collect();
                self.step = Step::Matches(Bisect::new(refused, words));
            }
        }
    }

    /// What is served in its place; `None` if it is accepted alone.
    fn outcome(self) -> Option<Quarantined> {
        if matches!(self.step, Step::Accepted) {
            return None;
        }
        let errors: BTreeSet<usize> = self.refused.iter().map(|(at, _)| *at).collect();
        let words = self.refused.first().map_or(&self.words, |(_, words)| words).clone();
        let made = (!errors.is_empty()).then(|| without(&self.host, &errors, &self.unmatched));
        let closed = self.unmatched.into_iter().next();
        let rules = errors.into_iter().collect();
        Some(Quarantined { made, refusal: Refusal { words, rules, closed } })
    }
}

/// A virtual host in which the rules `errors` answer an error, and those of `closed` to every request: whose match
/// cannot be said must not leave its requests to the rules after it.
fn without(host: &Arc<Host>, errors: &BTreeSet<usize>, closed: &BTreeSet<usize>) -> Arc<Host> {
    let row: Arc<VirtualHost> = if closed.is_empty() {
        Arc::clone(&host.row)
    } else {
        let entries = host.row.entries.iter().enumerate().map(|(at, entry)| {
            if closed.contains(&at) {
                Arc::new(RouteEntry { r#match: any(), ..RouteEntry::clone(entry) })
            } else {
                Arc::clone(entry)
            }
        });
        Arc::new(VirtualHost { entries: entries.collect(), ..VirtualHost::clone(&host.row) })
    };
    Arc::new(Host {
        piece: encode::piece(&row, errors),
        row: Arc::clone(&host.row),
        clusters: host.clusters.clone(),
        instead_of: Some(host.piece.version),
        closed: false,
    })
}

fn any() -> RouteMatch {
    RouteMatch { path: PathMatch::Prefix("/".into()), method: None, headers: vec![], query: vec![] }
}
