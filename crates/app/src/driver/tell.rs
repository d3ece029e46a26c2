//! What `up` says while it runs: plain lines in a pipe; on a terminal also a live view of what waits for what.
//! Work is O(what changed).

use std::{
    collections::{BTreeMap, BTreeSet},
    io::IsTerminal as _,
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use portolan_core::{
    World,
    certificates::rows::{AccountWanted, IssueWanted},
    status::rows::{EntryPoint, State},
    world::Finding,
};
use portolan_engine::{Changes, Engine};
use portolan_model::{Name, Problem, Severity};

use super::Driver;
use crate::status;

/// Hosts that the live view names; the rest is a number.
const NAMED: usize = 10;

/// What was said, and what is to be said next.
pub struct View {
    screen: Option<Screen>,
    /// Each host as it was last told.
    told: BTreeMap<Name, (State, String)>,
    changed: BTreeSet<Name>,
    found: BTreeSet<Problem>,
    /// Whether lines are printed; `--once` prints a table at its end instead.
    lines: bool,
}

/// The lower lines of a terminal.
struct Screen {
    all: MultiProgress,
    summary: ProgressBar,
    waiting: Vec<ProgressBar>,
}

impl View {
    /// Says nothing yet. `lines`: say what changes, line by line.
    pub fn new(lines: bool) -> Self {
        let screen = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let summary = all.add(ProgressBar::new_spinner());
            summary.enable_steady_tick(Duration::from_millis(120));
            Screen { all, summary, waiting: Vec::new() }
        });
        Self { screen, told: BTreeMap::new(), changed: BTreeSet::new(), found: BTreeSet::new(), lines }
    }

    /// Takes note of what a step changed.
    pub fn note(&mut self, step: &Changes) {
        self.changed.extend(step.of::<EntryPoint>().iter().map(|change| change.key.clone()));
        for change in step.of::<Finding>() {
            if change.after.is_some() {
                self.found.insert(change.key.clone());
            } else {
                self.found.remove(&change.key);
            }
        }
    }

    fn line(&self, line: &str) {
        match &self.screen {
            // Above the live view, which is drawn on stderr.
            Some(screen) => drop(screen.all.println(line)),
            None => anstream::println!("{line}"),
        }
    }

    /// Says what changed since the last call.
    pub fn tell(&mut self, engine: &Engine<World>, finding: impl Fn(&Problem) -> String) {
        for host in std::mem::take(&mut self.changed) {
            let Some(entry) = engine.get::<EntryPoint>(&host) else {
                if self.told.remove(&host).is_some() && self.lines {
                    self.line(&format!("gone     {host}"));
                }
                continue;
            };
            let now = (entry.state, entry.why.clone());
            if self.told.get(&host) == Some(&now) {
                continue;
            }
            // On a terminal what is on its way stands in the live view.
            if self.lines && (entry.state != State::Pending || self.screen.is_none()) {
                self.line(&format!("{:8} {host} {}: {}", entry.state.word(), entry.url, entry.why));
            }
            self.told.insert(host, now);
        }
        for problem in std::mem::take(&mut self.found) {
            if self.lines {
                self.line(&finding(&problem));
            }
        }
        self.draw();
    }

    fn draw(&mut self) {
        let Some(screen) = &mut self.screen else { return };
        let count = |state: State| self.told.values().filter(|(s, _)| *s == state).count();
        let pending = count(State::Pending);
        let summary =
            format!("{} live, {pending} pending, {} refused", count(State::Live), count(State::Refused));
        screen.summary.set_message(summary);
        let waiting: Vec<String> = self
            .told
            .iter()
            .filter(|(_, (state, _))| *state == State::Pending)
            .take(NAMED)
            .map(|(host, (_, why))| format!("{host}: {why}"))
            .chain((pending > NAMED).then(|| format!("and {} more", pending - NAMED)))
            .collect();
        while screen.waiting.len() > waiting.len() {
            if let Some(bar) = screen.waiting.pop() {
                bar.finish_and_clear();
                screen.all.remove(&bar);
            }
        }
        while screen.waiting.len() < waiting.len() {
            let bar = screen.all.add(ProgressBar::new_spinner());
            bar.set_style(ProgressStyle::with_template("  {wide_msg}").expect("the template is fixed"));
            screen.waiting.push(bar);
        }
        for (bar, text) in screen.waiting.iter().zip(waiting) {
            bar.set_message(text);
            bar.tick();
        }
    }

    /// Takes the live view off the screen.
    pub fn clear(&mut self) {
        if let Some(screen) = &self.screen {
            let _ = screen.all.clear();
            screen.summary.finish_and_clear();
        }
        self.screen = None;
    }
}

impl Driver {
    /// Nothing of this run can change any more: no work under way, and every host decided.
    pub(super) fn at_rest(&self) -> bool {
        !self.reading.is_running()
            && self.signing.is_empty()
            && self.wire.settled()
            && self.to_probe.is_empty()
            && self.probing.is_empty()
            && self.unanswered.is_empty()
            && !self.dns.busy()
            && self.engine.rows::<AccountWanted>().next().is_none()
            && self.engine.rows::<IssueWanted>().next().is_none()
            && self.engine.rows::<EntryPoint>().all(|e| e.state != State::Pending || !e.probe)
    }

    pub(super) fn result(&mut self) -> u8 {
        self.view.clear();
        let status = self.status();
        anstream::print!("{}", status::table(&status));
        let pending = self.engine.rows::<EntryPoint>().any(|e| e.state == State::Pending);
        let errors = self.engine.rows::<Finding>().any(|f| f.problem.severity == Severity::Error);
        u8::from(pending || errors)
    }

    /// Says what is new.
    pub(super) fn tell(&mut self) {
        let store = &self.store;
        self.view.tell(&self.engine, |problem| {
            status::finding_line(&status::finding(problem, status::origin(store, problem)))
        });
    }
}
