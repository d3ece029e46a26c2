//! `portolan charts lock`: renders, fetches what is named and not there yet, and renders again, as a chart may bring Applications
//! that name others; until nothing new is named.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::Arc,
};

use portolan_core::gitops::verdict;
use portolan_model::{ObjectKey, Problem};

use super::{
    fetch::{Failure, Fetched, Fetcher, Session},
    file::{FILE, LockFile, Locked},
    reference::Reference,
    store::Store,
};
use crate::render::{self, Charts, Tools, Touched, Tree, problems};

/// Charts that bring Applications that name charts that…: nobody means more.
const ROUNDS: usize = 8;

/// What is to be locked.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The work tree, whose lock file is written.
    pub dir: &'a Path,
    /// The environments that are looked at.
    pub envs: &'a [String],
    /// They are all that there are: what none of them names leaves the lock.
    pub all: bool,
    /// `--root PATH`.
    pub root: Option<&'a str>,
    /// What renders.
    pub tools: &'a Tools,
    /// What fetches.
    pub fetcher: &'a Fetcher,
    /// Where archives are kept.
    pub store: &'a Store,
    /// Ranges are resolved anew, and another content is taken for a version that was locked.
    pub update: bool,
}

/// What became of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was not in the lock.
    New,
    /// It is as the lock says.
    Same,
    /// The lock says something else now (`--update`).
    Updated,
    /// Another content for the version of the lock: the lock stays.
    Moved,
    /// It was not fetched: the lock stays.
    Failed,
    /// Nothing names it: it left the lock.
    Gone,
}

/// One chart.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What is asked for.
    pub reference: Reference,
    /// Who asks: Applications, and files of roots.
    pub by: BTreeSet<ObjectKey>,
    /// What became of it.
    pub state: State,
    /// As it stands in the lock now.
    pub locked: Option<Locked>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// All charts, in the order of the lock.
    pub charts: Vec<Entry>,
    /// What is wrong with them, with the root and with the lock file.
    pub problems: Vec<Problem>,
    /// There is no such root or environment, so that nothing was locked.
    pub lost: bool,
}

/// Fetches and writes the lock file. `tell` hears of each chart before it is fetched, and how many were before.
///
/// # Errors
/// When the folder of archives or the lock file cannot be written, or there is no temporary folder.
pub fn run(ask: &Ask<'_>, tell: &mut dyn FnMut(&Reference, usize)) -> io::Result<Report> {
    let mut report = Report::default();
    // Of two at once the second waits, and adds to what the first wrote.
    let folder = std::fs::File::open(ask.dir)?;
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive)?;
    let before = match LockFile::read(ask.dir) {
        Ok(lock) => lock,
        Err(why) => {
            let message = format!("{FILE}: {why}");
            report.problems.push(problems::lock_invalid(&problems::file(FILE), "", message));
            return Ok(report);
        }
    };
    let session = ask.fetcher.session()?;
    let mut lock = before.clone();
    let mut done: BTreeMap<Reference, (State, Option<Problem>)> = BTreeMap::new();
    let mut named;
    let mut whole;
    let mut refused;
    let mut round = 0;
    loop {
        (named, whole) = (BTreeMap::<Reference, BTreeSet<ObjectKey>>::new(), true);
        refused = Vec::new();
        for env in ask.envs {
            let charts = Charts { store: Some(ask.store.clone()), lock: Some(Arc::new(lock.clone())) };
            let tools = Tools { charts, ..ask.tools.clone() };
            let read = Tree::new(ask.dir, env, ask.root, tools).read(&Touched::All);
            let (lost, told): (Vec<Problem>, Vec<Problem>) =
                read.problems.into_values().flatten().partition(render::is_lost);
            // What it would name is not known, so that not all is locked.
            let (unstored, told): (Vec<Problem>, Vec<Problem>) =
                told.into_iter().partition(verdict::is_refused);
            refused.extend(unstored);
            // While rendering it is one source of several that are not read; here it is what was asked for.
            let never = told.into_iter().filter(render::is_never_fetched);
            refused.extend(never.map(|one| problems::not_fetched(&one.object, &one.field, one.message)));
            report.lost |= !lost.is_empty();
            report.problems.extend(lost);
            whole &= read.whole.unsure.is_empty();
            for (reference, by) in read.whole.charts {
                named.entry(reference).or_default().extend(by);
            }
        }
        let new: Vec<_> = named.iter().filter(|(reference, _)| !done.contains_key(reference)).collect();
        if report.lost || new.is_empty() || round == ROUNDS {
            break;
        }
        for (reference, by) in new {
            tell(reference, done.len());
            let became = one(ask, &session, &mut lock, reference, by)?;
            done.insert(reference.clone(), became);
        }
        round += 1;
    }
    if report.lost {
        return Ok(report);
    }
    report.problems.extend(refused);
    for (reference, (state, problem)) in done {
        let by = named.remove(&reference).unwrap_or_default();
        let locked = lock.charts.get(&reference).cloned();
        report.problems.extend(problem);
        report.charts.push(Entry { reference, by, state, locked });
    }
    if ask.all && whole {
        let known: BTreeSet<Reference> = report.charts.iter().map(|entry| entry.reference.clone()).collect();
        for reference in before.charts.keys().filter(|reference| !known.contains(reference)) {
            lock.charts.remove(reference);
            let (reference, by) = (reference.clone(), BTreeSet::new());
            report.charts.push(Entry { reference, by, state: State::Gone, locked: None });
        }
    }
    report.charts.sort_by(|a, b| a.reference.cmp(&b.reference));
    if !lock.charts.is_empty() || before != lock {
        lock.write(ask.dir)?;
    }
    Ok(report)
}

fn one(
    ask: &Ask<'_>,
    session: &Session<'_>,
    lock: &mut LockFile,
    reference: &Reference,
    by: &BTreeSet<ObjectKey>,
) -> io::Result<(State, Option<Problem>)> {
    let unnamed = problems::file(FILE);
    let object = by.first().unwrap_or(&unnamed);
    let known = lock.charts.get(reference).cloned();
    // What is locked stays what it is as long as the repository asks for the same.
    let version = match &known {
        Some(known) if !ask.update && reference.is_range() => &known.version,
        _ => &reference.asked,
    };
    let Fetched { archive, chart, is_uncompared } = match session.fetch(reference, version) {
        Ok(fetched) => fetched,
        Err(failure) => {
            let message = match failure {
                Failure::Unusable(why) => format!("chart {reference} is not fetched: {why}"),
                Failure::Said(why) => format!("chart {reference} was not fetched: {why}"),
            };
            return Ok((State::Failed, Some(problems::not_fetched(object, "", message))));
        }
    };
    let digest = super::Digest::of(&archive);
    let found = Locked { version: chart.version.clone(), digest: digest.clone() };
    if let Err(why) = found.agrees(reference, &chart) {
        let message = format!("chart {reference} was fetched, and is not taken: {why}");
        return Ok((State::Failed, Some(problems::not_fetched(object, "", message))));
    }
    let state = match &known {
        None => State::New,
        Some(known) if known.digest == digest => State::Same,
        Some(_) if ask.update => State::Updated,
        Some(known) => {
            let message = format!(
                "chart {reference}: version {} is {digest} now, and the lock says {}: somebody put another content in its place",
                known.version, known.digest
            );
            return Ok((State::Moved, Some(problems::moved(object, "", message))));
        }
    };
    ask.store.put(&archive)?;
    lock.charts.insert(reference.clone(), found);
    // What is the same as before was taken then.
    let problem = (is_uncompared && state != State::Same).then(|| {
        let message = format!(
            "chart {reference} is locked as {digest}, with which nothing was compared: the index of its repository gives no digest of it"
        );
        problems::not_compared(object, "", message)
    });
    Ok((state, problem))
}
